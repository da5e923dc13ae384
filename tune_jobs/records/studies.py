"""What is known of a study and its trials, as plain values: what `study.py` reads and everything else shows.

Nothing here reads, writes or decides; a record is a snapshot.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from tune_jobs.records.trials import State, TrialRecord
from tune_jobs.search_spaces.protocol import Objective, Protocol

Search = Literal["grid", "random", "qmc", "tpe", "gp", "cmaes", "nsga2", "baseline", "reported"]
AskedSearch = Search | Literal["auto"]
SEARCHES: tuple[Search, ...] = get_args(Search)
SchedulerName = Literal["none", "asha", "hyperband", "median", "pbt"]
SCHEDULERS: tuple[SchedulerName, ...] = get_args(SchedulerName)


@dataclass(frozen=True)
class StudyTerms:
    """What a study was begun on and may not change while it lasts."""

    task: str
    task_digest: str
    reference: str  # where the task is found again: its catalogue name, or FILE.py:NAME
    dataset: str
    data_digest: str
    space: Mapping[str, Any]  # JSON form, as narrowed by --set
    objective: Objective  # the first, where there are several
    protocol: Protocol
    seed: int
    further_objectives: tuple[Objective, ...] = ()

    @property
    def objectives(self) -> tuple[Objective, ...]:
        return (self.objective, *self.further_objectives)


@dataclass(frozen=True)
class Scheduling:
    """Who stops trials early: none before `grace` epochs, and about one in `eta` goes on at each look. A population
    (`pbt`) stops none and compares its members every `grace` epochs."""

    name: SchedulerName = "none"
    grace: int = 1
    eta: int = 3

    def __post_init__(self) -> None:
        if self.grace < 1 or self.eta < 2:
            raise ValueError(f"needs a grace of 1 epoch or more and an eta of 2 or more; got {self.grace}, {self.eta}")


@dataclass(frozen=True)
class Budget:
    """When a search ends beside its number of trials: after so many epochs in all, or so many trials without a better
    score; None is no such end."""

    epochs: int | None = None
    flat: int | None = None


@dataclass(frozen=True)
class Launch:
    """How a study was last run: what may change between one launch and the next."""

    search: Search
    trials: int | None  # the study's total that was asked for
    host: str
    at: float  # unix seconds
    commit: str | None  # of the folder it was launched from, where git knows it
    versions: Mapping[str, str]
    scheduling: Scheduling = Scheduling()
    budget: Budget = Budget()
    encoding_params: tuple[str, ...] = ()  # those of the params that the label encoding takes


@dataclass(frozen=True)
class Replication:
    """What was asked for last to be trained with further seeds; the first `seeds` of each, then a race if asked."""

    top: int
    seeds: int
    until_separated: bool
    budget: int | None
    params_ids: tuple[str, ...]
    begun_at: int  # how many trials the study had then


@dataclass(frozen=True)
class Transfer:
    """A configuration that came from another study, and the place it had there."""

    study: str
    place: int
    params_id: str  # as it is here


@dataclass(frozen=True)
class Evaluation:
    """One reading of the test split: when (unix seconds), for whom, and which trials were to be evaluated."""

    at: float
    by: str
    trials: tuple[int, ...]


@dataclass(frozen=True)
class StudyRecord:
    """A study with its trials in the order they were begun."""

    name: str
    identity: str  # another one where the same name is used again for a new study
    terms: StudyTerms
    launch: Launch | None
    created: float
    trials: tuple[TrialRecord, ...]
    replication: Replication | None = None
    readings: tuple[Evaluation, ...] = ()
    transfers: tuple[Transfer, ...] = ()

    @property
    def standing(self) -> tuple[TrialRecord, ...]:
        """The trials without those that failed and were run again; one that was takes the place of the first try."""
        last: dict[tuple[str, int], TrialRecord] = {}
        for trial in self.trials:
            last[trial.params_id, trial.seed] = trial
        return tuple(last.values())

    @property
    def searched(self) -> tuple[TrialRecord, ...]:
        """The first trial of each configuration: what a search proposed. The others are its replicates."""
        first: dict[str, TrialRecord] = {}
        for trial in self.standing:
            first.setdefault(trial.params_id, trial)
        return tuple(first.values())

    def count(self, state: State) -> int:
        return sum(trial.state == state for trial in self.trials)
