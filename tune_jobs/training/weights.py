"""Weights of finished trials, kept in the home folder, so that an evaluation tests the model that was ranked.

A file is named after the study's identity and the trial's number. One that is damaged counts as missing. Only arrays of
numbers are read.
"""

from __future__ import annotations

import io
import math
import zipfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tune_jobs import files
from tune_jobs.datasets import StreamedData
from tune_jobs.errors import UserError

if TYPE_CHECKING:
    from tune_jobs.datasets import AnyTrainingData
    from tune_jobs.models.lazy_keras import keras
    from tune_jobs.records.trials import TrialRecord
    from tune_jobs.search_spaces.task import Task

Weights = list[NDArray[Any]]

MOST_BYTES = 256 * 2**20  # of a trial's weights that are kept without being asked for
_NEAR = 1e-3  # relative: another machine's last digits move a score by less, and other weights by more


def packed(model: keras.Model) -> bytes:
    """Return a model's weights as the content of a file: its worker may be on another machine."""
    content = io.BytesIO()
    np.savez(content, *model.get_weights())
    return content.getvalue()


def size(model: keras.Model) -> int:
    """Return how many bytes a model's weights take."""
    return sum(int(np.prod(weight.shape)) * np.dtype(weight.dtype).itemsize for weight in model.weights)


def keep(content: bytes, folder: Path, number: int) -> None:
    """Write a trial's weights. A disk that is full costs the weights and not the trial."""
    with suppress(UserError, OSError):
        files.make_folder(folder)
        files.write_bytes(_file(folder, number), content, durable=False)


def load(folder: Path, number: int) -> Weights | None:
    """Return the weights that were kept of a trial, in the order of the model; None if there are none to be read."""
    try:
        with _file(folder, number).open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            return [arrays[name] for name in arrays.files]
    except (OSError, ValueError, TypeError, EOFError, zipfile.BadZipFile):
        return None


def drop(folder: Path, number: int) -> None:
    """Remove the weights that were kept of a trial, if there are any."""
    with suppress(OSError):
        _file(folder, number).unlink(missing_ok=True)


def scored_model(
    task: Task, trial: TrialRecord, data: AnyTrainingData, kept_weights: Weights | None
) -> tuple[keras.Model, float] | None:
    """Return a trial's model with its kept weights and the score these reach here; None if they are another model's.

    Another machine's arithmetic may move the score in its last digits, and an image or two that were a close call.
    """
    from tune_jobs.training import compiled, own_answers, parts
    from tune_jobs.training.epochs import build_model
    from tune_jobs.training.trial import mean_of_objective

    if kept_weights is None:
        return None
    model = build_model(task, trial.params, data, seed=trial.seed)
    try:
        model.set_weights(kept_weights)
    except ValueError:  # of another network
        return None
    split = None if isinstance(data, StreamedData) else data.validation
    validation = parts.scored_on(task, trial.params, split, "validation")
    batch_size = task.route(trial.params).batch_size
    scored = compiled.CompiledEpochs(model, batch_size=batch_size, seed=trial.seed).evaluate(validation)
    scored |= own_answers.further_scores(model, None if split is None else split.x)
    val_score = scored.get(task.objective.metric.removeprefix("val_"), math.nan)
    is_share = split is not None and mean_of_objective(task, trial.params, model) == "right"
    close_calls = 2.5 / len(split) if split is not None and is_share else 0.0
    is_own = trial.score is not None and math.isclose(val_score, trial.score, rel_tol=_NEAR, abs_tol=close_calls)
    return (model, val_score) if is_own else None


def _file(folder: Path, number: int) -> Path:
    return folder / f"{number:04d}.npz"
