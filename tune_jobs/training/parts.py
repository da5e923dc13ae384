"""What a trial trains on and is scored on: splits that stay on the device, or streams of batches."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from tune_jobs.datasets import AnyTrainingData, StreamedData, TrainingData
from tune_jobs.datasets.dataset import Split
from tune_jobs.models.label_encodings import LabelEncoding
from tune_jobs.search_spaces.scalars import Params
from tune_jobs.search_spaces.streamed import PartName
from tune_jobs.search_spaces.task import Task
from tune_jobs.training import class_weights, compiled, streams
from tune_jobs.training.compiled import ResidentSplit
from tune_jobs.training.streams import Stream


@dataclass(frozen=True, eq=False)
class Parts:
    """The parts of a data set for one trial. `form` shows what is in them: the data, or a batch of a stream."""

    train: ResidentSplit | Stream
    validation: ResidentSplit | Stream
    form: TrainingData

    @property
    def is_streamed(self) -> bool:
        return isinstance(self.train, Stream)

    @property
    def images(self) -> Any | None:
        """The inputs of the validation part; None where they are streamed."""
        return None if self.is_streamed else self.form.validation.x

    def n_batches(self, batch_size: int) -> int | None:
        """Return how many batches an epoch has; None if that is not known."""
        train = self.train
        return train.n_batches if isinstance(train, Stream) else math.ceil(train.size / batch_size)


def opened(task: Task, params: Params, data: AnyTrainingData, encoding: LabelEncoding, seed: int) -> Parts:
    """Return the parts that a search may see."""
    if isinstance(data, StreamedData):
        validation = Stream(task, params, "validation", seed)
        return Parts(Stream(task, params, "train", seed, validation), validation, streams.example(data, validation))
    train = _weighted(data.train, encoding, task.protocol.class_weight)
    resident = compiled.resident_splits((train, data.validation), encoding.targets)
    return Parts(resident[0], resident[1], data)


def _weighted(train: Split, encoding: LabelEncoding, class_weight: Mapping[str, float] | None) -> Split:
    """Return the part that is trained on, with what each row's class counts."""
    if class_weight is None:
        return train
    return replace(train, weights=class_weights.of_rows(encoding.targets(train.labels), class_weight))


def scored_on(task: Task, params: Params, part: Split | None, name: PartName) -> ResidentSplit | Stream:
    """Return one part to score a model on; the stream of that name where there is no split."""
    if part is None:
        return Stream(task, params, name, 0)
    return compiled.to_device(part, task.encoding_of(params).targets)
