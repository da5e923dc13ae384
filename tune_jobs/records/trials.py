"""What is known of a trial, as plain values.

Nothing here reads, writes or decides; a record is a snapshot."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from tune_jobs.search_spaces.scalars import Value, params_id

Metrics = Mapping[str, float]


@dataclass(frozen=True)
class TrialResult:
    """How a trial ended. `metrics` are those of the best epoch, and what was measured after it; `history` has one
    mapping an epoch."""

    state: Literal["complete", "stopped", "failed"]
    score: float | None = None
    best_epoch: int | None = None
    metrics: Metrics = field(default_factory=dict)
    history: tuple[Metrics, ...] = ()
    train_seconds: float = 0.0  # inside epochs: without building the model, with compiling it
    weights: int | None = None
    errors: str | None = None  # of each validation image at the best epoch (`per_image`), where they make up the score
    reason: str | None = None
    message: str | None = None


State = Literal["waiting", "running", "complete", "stopped", "failed"]


FINISHED: tuple[State, ...] = ("complete", "stopped", "failed")


@dataclass(frozen=True)
class Segment:
    """The epochs of a trial from `first` on, counted from one, that were trained with these params.

    `parent` is the trial whose checkpoint the stretch began from; the trial itself where it began anew.
    """

    first: int
    params: Mapping[str, Value]
    seed: int
    parent: int


Lineage = tuple[Segment, ...]


@dataclass(frozen=True)
class TestResult:
    """What a finalist came to on the test split."""

    __test__ = False  # no test class, whatever pytest makes of its name

    metrics: Mapping[str, float] = field(default_factory=dict)  # named test_*; none where it failed
    errors: str | None = None  # of each test image, packed (`per_image`)
    val_score: float | None = None  # of the model that was evaluated; the trial's own where all repeats
    failure: str | None = None  # why it could not be evaluated, in one line
    readings: str | None = None  # of an encoding of the time: the true and the read time of each image, packed
    worst: str | None = None  # the images that were read worst, packed (`readings.py` has both)


@dataclass(frozen=True)
class TrialRecord:
    """One trial as the study knows it; times are unix seconds, epochs are counted from one."""

    number: int
    params: Mapping[str, Value]
    seed: int
    state: State
    attempts: int = 0  # how often it was started; more than one after an interruption or a lost worker
    score: float | None = None  # the objective at the best epoch
    best_epoch: int | None = None
    metrics: Mapping[str, float] = field(default_factory=dict)  # at the best epoch, and what was measured after it
    history: tuple[Mapping[str, float], ...] = ()  # one mapping an epoch
    reason: str | None = None  # why it failed or was stopped, in one word
    message: str | None = None  # the same in one line
    started: float | None = None
    finished: float | None = None
    train_seconds: float | None = None  # inside epochs, without building and compiling
    weights: int | None = None  # how many the model has
    errors: str | None = None  # of each validation image at the best epoch, packed (`per_image`)
    cpus: float | None = None  # that it trained on; part of what makes a score repeatable
    tested: TestResult | None = None  # only of finalists, once they were evaluated
    course: Lineage = ()  # how its params changed in flight, from its first epoch on; empty where they did not

    @property
    def params_id(self) -> str:
        """The identity of the configuration: a hash of its params."""
        return params_id(self.params)

    @property
    def changes(self) -> Lineage:
        """The course without the stretches that only go on with what was before; empty where nothing ever changed."""
        if not self.course:
            return ()
        owners = [stretch.parent for stretch in self.course[1:]] + [self.number]
        kept: list[Segment] = []
        for at, (stretch, owner) in enumerate(zip(self.course, owners, strict=True)):
            goes_on = at > 0 and stretch.parent == owner == owners[at - 1] and stretch.params == kept[-1].params
            if not goes_on:
                kept.append(stretch)
        return tuple(kept) if len(kept) > 1 else ()

    @property
    def seconds(self) -> float | None:
        """From its start to its end, building and compiling included."""
        if self.started is None or self.finished is None:
            return None
        return self.finished - self.started

    @property
    def is_finished(self) -> bool:
        return self.state in FINISHED
