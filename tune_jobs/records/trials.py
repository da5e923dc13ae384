"""What is known of a trial, as plain values; a record is a snapshot.

What a study keeps of a trial has the form of these dataclasses: a field that is added here is stored and read with no
further change.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

from tune_jobs.records.trial_pictures import EpochPictures
from tune_jobs.search_spaces.scalars import Value, params_id

Metrics = Mapping[str, float]
State = Literal["waiting", "running", "complete", "stopped", "failed"]
FINISHED: tuple[State, ...] = ("complete", "stopped", "failed")
LOST = "lost"  # why a trial failed of which a damaged file has nothing left; no trial ends so by itself


@dataclass(frozen=True)
class Rung:
    """What a trial reached on some of the training images, in all its epochs, before it was trained on more."""

    images: int
    score: float
    epochs: int


@dataclass(frozen=True)
class TrialResult:
    """How a trial ended; epochs are counted from one."""

    state: Literal["complete", "stopped", "failed"]
    score: float | None = None  # the objective at the best epoch
    best_epoch: int | None = None
    metrics: Metrics = field(default_factory=dict)  # those of the best epoch, and what was measured after it
    history: tuple[Metrics, ...] = ()  # one mapping an epoch
    train_seconds: float = 0.0  # inside epochs: without building the model, with compiling it
    weights: int | None = None  # how many the model has
    errors: str | None = None  # of each validation image at the best epoch (`per_image`), where they make up the score
    reason: str | None = None  # why it failed or was stopped, in one word
    message: str | None = None  # the same in one line; of a trial that did not fail, why it has no pictures
    pictures: Mapping[str, str] | None = None  # at the best epoch, packed (`trial_pictures.py`), by their names
    progress: tuple[EpochPictures, ...] = ()  # pictures after some of the epochs, in their order
    rungs: tuple[Rung, ...] = ()  # where a scheduler gave the trial more and more images; all else is of the last ones


@dataclass(frozen=True)
class Spent:
    """What training took of the machines, in seconds of a CPU or GPU. What was not measured is None.

    A trial holds its CPUs and GPUs, or a share of one, whether it uses them or not. `cpu_used` is processor time,
    `gpu_used` the share of time in which the GPU was busy, by the time it was held, and `joules` the GPU's energy.
    """

    cpu_held: float
    gpu_held: float = 0.0
    cpu_used: float | None = None
    gpu_used: float | None = None
    joules: float | None = None

    def plus(self, other: Spent) -> Spent:
        """Return the sum, as far as it was measured."""
        return Spent(
            self.cpu_held + other.cpu_held,
            self.gpu_held + other.gpu_held,
            total((self.cpu_used, other.cpu_used)),
            total((self.gpu_used, other.gpu_used)),
            total((self.joules, other.joules)),
        )


def total(values: Iterable[float | None]) -> float | None:
    """Return the sum of the values that are known; None if none is."""
    known = [value for value in values if value is not None]
    return sum(known) if known else None


@dataclass(frozen=True, kw_only=True)
class RecordedResult(TrialResult):
    """A result as a study records it."""

    finished: float  # unix seconds
    cpus: float | None = None  # that the trial was trained on; part of what makes a score repeatable
    gpus: int | None = None  # that trained it together, where they were several
    user: str | None = None  # whose driver recorded what was spent
    spent: Spent | None = None  # in all attempts that this driver saw


@dataclass(frozen=True)
class Segment:
    """The epochs of a trial from `first` on, counted from one, that were trained with these params.

    `parent` is the trial whose checkpoint the segment began from; the trial itself where it began anew.
    """

    first: int
    params: Mapping[str, Value]
    seed: int
    parent: int


Lineage = tuple[Segment, ...]


@dataclass(frozen=True)
class TestResult:
    """What a finalist reached on the test split."""

    __test__ = False  # pytest would take it for a test class by its name

    metrics: Mapping[str, float] = field(default_factory=dict)  # named test_*; none where it failed
    errors: str | None = None  # of each test image, packed (`per_image`), where they make up the objective
    val_score: float | None = None  # of the model that was evaluated; the trial's own where all repeats
    failure: str | None = None  # why it could not be evaluated, in one line
    readings: str | None = None  # the true and the read value of each image, packed; of an encoding with a scale
    worst: str | None = None  # the images that were read worst, packed (`readings.py` has both)
    reading: int | None = None  # of the study's readings of the test split, from one; None in studies from before
    is_retrained: bool | None = None  # the model was trained anew, and not the one that was ranked; None: not known


@dataclass(frozen=True)
class TrialRecord:
    """One trial as the study knows it; what it reached is its result's."""

    number: int
    params: Mapping[str, Value]
    seed: int
    state: State
    attempts: int = 0  # how often it was started; more than one after an interruption or a lost worker
    started: float | None = None  # unix seconds
    place: str | None = None  # the machine and its GPUs, in words; None in studies from before it was kept
    result: RecordedResult | None = None  # there as soon as the trial has ended, before its state says so
    scores: tuple[float, ...] = ()  # the objective after each epoch, as reported in training; NaN if not scored
    tested: TestResult | None = None  # only of finalists, once they were evaluated
    course: Lineage = ()  # how its params changed in flight, from its first epoch on; empty where they did not

    @cached_property
    def params_id(self) -> str:
        """The identity of the configuration: a hash of its params."""
        return params_id(self.params)

    @property
    def score(self) -> float | None:
        return None if self.result is None else self.result.score

    @property
    def best_epoch(self) -> int | None:
        return None if self.result is None else self.result.best_epoch

    @property
    def metrics(self) -> Metrics:
        return {} if self.result is None else self.result.metrics

    @property
    def history(self) -> tuple[Metrics, ...]:
        """One mapping an epoch; of a trial that has no result yet only its scores."""
        if self.result is not None and self.result.history:
            return self.result.history
        return tuple({} if math.isnan(score) else {"score": score} for score in self.scores)

    @property
    def n_epochs(self) -> int:
        """How many epochs it trained, those on some of the images too."""
        of_rungs = sum(rung.epochs for rung in self.rungs)
        return of_rungs if self.rungs and self.state == "stopped" else of_rungs + len(self.history)

    @property
    def train_seconds(self) -> float | None:
        return None if self.result is None else self.result.train_seconds

    @property
    def weights(self) -> int | None:
        return None if self.result is None else self.result.weights

    @property
    def errors(self) -> str | None:
        return None if self.result is None else self.result.errors

    @property
    def reason(self) -> str | None:
        return None if self.result is None else self.result.reason

    @property
    def message(self) -> str | None:
        return None if self.result is None else self.result.message

    @property
    def pictures(self) -> Mapping[str, str]:
        return (None if self.result is None else self.result.pictures) or {}

    @property
    def progress(self) -> tuple[EpochPictures, ...]:
        return () if self.result is None else self.result.progress

    @property
    def rungs(self) -> tuple[Rung, ...]:
        return () if self.result is None else self.result.rungs

    @property
    def finished(self) -> float | None:
        return None if self.result is None else self.result.finished

    @property
    def cpus(self) -> float | None:
        return None if self.result is None else self.result.cpus

    @property
    def gpus(self) -> int | None:
        return None if self.result is None else self.result.gpus

    @property
    def user(self) -> str | None:
        return None if self.result is None else self.result.user

    @property
    def spent(self) -> Spent | None:
        return None if self.result is None else self.result.spent

    @property
    def changes(self) -> Lineage:
        """The course without the segments that only go on with the one before; empty where nothing ever changed."""
        if not self.course:
            return ()
        owners = [segment.parent for segment in self.course[1:]] + [self.number]
        distinct: list[Segment] = []
        for index, (segment, owner) in enumerate(zip(self.course, owners, strict=True)):
            goes_on = (
                index > 0 and segment.parent == owner == owners[index - 1] and segment.params == distinct[-1].params
            )
            if not goes_on:
                distinct.append(segment)
        return tuple(distinct) if len(distinct) > 1 else ()

    @property
    def seconds(self) -> float | None:
        """From its start to its end, building and compiling included."""
        if self.started is None or self.finished is None:
            return None
        return self.finished - self.started

    @property
    def is_finished(self) -> bool:
        return self.state in FINISHED
