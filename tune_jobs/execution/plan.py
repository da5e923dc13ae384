"""What is to be run, in plain values: the study's inputs, the resources, and who proposes trials."""

from __future__ import annotations

import typing
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from tune_jobs.datasets import AnyTrainingData, TrainingData, on_data
from tune_jobs.errors import UserError
from tune_jobs.models.plain_values import make_plain
from tune_jobs.records.constraints import Constraint
from tune_jobs.records.studies import StudyTerms
from tune_jobs.search.budgets import BudgetedSampler
from tune_jobs.search.candidates import Sampler
from tune_jobs.search.enqueued import EnqueuedSampler
from tune_jobs.search.schedulers import Scheduler
from tune_jobs.search_spaces import catalog
from tune_jobs.search_spaces.one_factor import AnySpace, space_from_json
from tune_jobs.search_spaces.protocol import Objective, Protocol
from tune_jobs.search_spaces.task import NO_DATA, Task
from tune_jobs.settings import Settings
from tune_jobs.words import Say

if TYPE_CHECKING:
    from tune_jobs.live.signals import Interruption
    from tune_jobs.study.study import Study


def check_counts(least: int, **counts: object) -> None:
    """Check that each count that is given is a whole number of at least `least`.

    Raises:
        UserError: one is not; the message names it.
    """
    for name, count in counts.items():
        if count is not None and (not isinstance(count, int) or isinstance(count, bool) or count < least):
            raise UserError(f"{name} needs a whole number of {least} or more; got {count!r}")


def why_not_gpus(gpus: object) -> str | None:
    """Return why a trial cannot ask for this number of GPUs; None if it can."""
    if gpus is None or gpus == "auto":
        return None
    number = float(gpus) if isinstance(gpus, int | float) and not isinstance(gpus, bool) else -1.0
    if not (0 <= number <= 1 or (number > 1 and number.is_integer())):
        return f"needs a share such as 0.25, a whole number of GPUs, or auto; got {gpus!r}"
    return f"needs 0.01 or more, or 0 for none; got {gpus!r}" if 0 < number < 0.01 else None


@dataclass(frozen=True)
class Resources:
    """Where trials run, how many at once and for how long.

    Raises:
        UserError: a number that cannot be.
    """

    time_limit_s: float | None = None
    max_concurrent: int | None = None
    cpus_per_trial: float = 1.0
    gpus_per_trial: float | Literal["auto"] | None = None  # None: one where there are GPUs; auto measures what fits
    trial_limit_s: float | None = None  # of one trial on its worker
    max_retries: int = 3  # of a trial whose worker is lost
    checkpoint_every: int | None = None  # epochs
    address: str | None = None  # of a running Ray cluster; None starts one of our own
    keep_weights: bool | None = None  # of every trial, in the home folder; None: of the best alone; False: of none
    notify: tuple[str, ...] = ()  # addresses and commands that are told how the sweep goes; empty: as the settings say

    def __post_init__(self) -> None:
        make_plain(self)
        check_counts(1, max_concurrent=self.max_concurrent, checkpoint_every=self.checkpoint_every)
        check_counts(0, max_retries=self.max_retries)
        for name in ("time_limit_s", "trial_limit_s", "cpus_per_trial"):
            number = getattr(self, name)
            is_number = isinstance(number, int | float) and not isinstance(number, bool)
            if number is not None and not (is_number and 0 < number < float("inf")):
                raise UserError(f"{name.removesuffix('_s')} needs a number above 0; got {number!r}")
        if wrong := why_not_gpus(self.gpus_per_trial):
            raise UserError(f"gpus_per_trial {wrong}")


@dataclass(frozen=True)
class Conditions:
    """What holds for all trials of a study, beside its task and data."""

    space: AnySpace  # as narrowed
    protocol: Protocol
    objectives: tuple[Objective, ...]  # the first decides wherever one number has to
    seed: int
    given_data: str | None = None  # the data set in place of the task's own
    declared: str = ""  # a digest of the task's space, of which `narrowed` and `opened` made this one
    narrowed: Mapping[str, str] = field(default_factory=dict)
    opened: tuple[str, ...] = ()

    @classmethod
    def of(cls, terms: StudyTerms) -> Conditions:
        """Return those of a study that was begun."""
        return cls(
            space_from_json(terms.space),
            terms.protocol,
            terms.objectives,
            terms.seed,
            terms.given_data,
            terms.declared,
            terms.narrowed,
            terms.opened,
        )

    def applied_to(self, task: Task) -> Task:
        """Return the task with this protocol, the first objective and these data."""
        return replace(on_data(task, self.given_data), protocol=self.protocol, objective=self.objectives[0])


@dataclass(frozen=True)
class StudyInputs:
    """What the trials of a study are about."""

    task: Task  # with the study's protocol, objective and data
    task_digest: str  # of the task as declared
    reference: str
    space: AnySpace  # as narrowed
    seed: int
    data: AnyTrainingData | None  # None where the task runs a function
    further: tuple[Objective, ...] = ()  # objectives after the first
    with_paths: tuple[Path, ...] = ()  # what goes with the task's file, from --with
    code: str | None = None  # a digest of the code of the task's file, where it has one
    data_given: bool = False  # in place of the task's own
    constraints: tuple[Constraint, ...] = ()
    scored_by: str = ""  # a digest of the task as declared, without its space
    declared: str = ""  # as in `Conditions`
    narrowed: Mapping[str, str] = field(default_factory=dict)
    opened: tuple[str, ...] = ()

    @property
    def n_images(self) -> int | None:
        """How many images, or rows, trials train on; None where they are not in memory."""
        return len(self.data.train) if isinstance(self.data, TrainingData) else None

    @property
    def terms(self) -> StudyTerms:
        """What a study of these inputs is begun on."""
        return StudyTerms(
            task=self.task.name,
            task_digest=self.task_digest,
            reference=catalog.lasting(self.reference),
            dataset=NO_DATA if self.data is None else self.data.name,
            data_digest=NO_DATA if self.data is None else self.data.digest,
            space=self.space.to_json(),
            objective=self.task.objective,
            protocol=self.task.protocol,
            seed=self.seed,
            further_objectives=self.further,
            data_given=self.data_given,
            scored_by=self.scored_by,
            declared=self.declared,
            narrowed=self.narrowed,
            opened=self.opened,
        )


@dataclass(frozen=True)
class Plan:
    """Who proposes trials and how far it goes: `trials` searched ones in all, and `total` of any kind, where known."""

    sampler: Sampler
    trials: int | None
    total: int | None
    scheduler: Scheduler | None = None
    bounded: BudgetedSampler | None = None  # the sampler again, where a budget ends it
    compare_every: int | None = None  # epochs, where the trials are a population
    enqueued: EnqueuedSampler | None = None  # the sampler again, where what users enqueue comes first
    image_rungs: tuple[int, ...] = ()  # on how many images a trial trains before it trains on all


class Beside(typing.Protocol):
    """What goes on beside a sweep in a process of its own, and is told how far the sweep is."""

    def sweep_began(self) -> None:
        """Learn that Ray is there, and the sweep waits for its workers."""

    def sweep_ended(self) -> None:
        """Learn that nothing more is trained."""


@dataclass(frozen=True)
class StudyRun:
    """One run of a held study on Ray: its inputs, its resources, and what it listens and speaks to."""

    study: Study
    inputs: StudyInputs
    resources: Resources
    settings: Settings
    interruption: Interruption
    say: Say
