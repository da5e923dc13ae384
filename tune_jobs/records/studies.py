"""What is known of a study, as plain values; a record is a snapshot.

A study keeps its notes in the form of these dataclasses: a field that is added here is stored and read with no further
change. It needs a default, for the studies that do not have it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, get_args

from tune_jobs.errors import StudyError
from tune_jobs.records.constraints import Constraint, words
from tune_jobs.records.priors import Prior
from tune_jobs.records.trials import State, TrialRecord
from tune_jobs.search_spaces.protocol import Objective, Protocol
from tune_jobs.search_spaces.task import NO_DATA

Search = Literal["grid", "random", "qmc", "tpe", "gp", "cmaes", "nsga2", "baseline", "reported"]
AskedSearch = Search | Literal["auto"]
SEARCHES: tuple[Search, ...] = get_args(Search)
SchedulerName = Literal["none", "asha", "hyperband", "median", "pbt"]
SCHEDULERS: tuple[SchedulerName, ...] = get_args(SchedulerName)
Resource = Literal["epochs", "images"]
RESOURCES: tuple[Resource, ...] = get_args(Resource)


@dataclass(frozen=True)
class StudyTerms:
    """What a study was begun on and may not change while it lasts."""

    task: str
    task_digest: str
    reference: str  # under which the task is found: its catalogue name, or FILE.py:NAME
    dataset: str
    data_digest: str
    space: Mapping[str, Any]  # JSON form, as narrowed by --set
    objective: Objective  # the first, where there are several
    protocol: Protocol
    seed: int
    further_objectives: tuple[Objective, ...] = ()
    data_given: bool = False  # the data set was named at the launch, in place of the task's own
    scored_by: str = ""  # a digest of the task without its space; of studies from before, nothing
    declared: str = ""  # a digest of the space as the task declared it
    narrowed: Mapping[str, str] = field(default_factory=dict)  # what --set made of that
    opened: tuple[str, ...] = ()  # and --open

    @property
    def given_data(self) -> str | None:
        """The name of the data set in place of the task's own."""
        return self.dataset if self.data_given else None

    @property
    def objectives(self) -> tuple[Objective, ...]:
        return (self.objective, *self.further_objectives)

    @property
    def has_data(self) -> bool:
        """False if the task runs a function, which has no data set."""
        return self.dataset != NO_DATA

    @property
    def subject(self) -> str:
        """The task and its data set, in words."""
        return f"{self.task} on {self.dataset}" if self.has_data else self.task


@dataclass(frozen=True)
class Change:
    """What a study is about from then on: another space, or something by which scores mean something else.

    The second makes a new version of the study, for the reason `why` that the user gave. It has the trials from the
    number `first` on, and those before that were unfinished and run under its terms.
    """

    terms: StudyTerms
    at: float  # unix seconds
    first: int
    what: str  # changed, in words
    why: str = ""  # of a new version
    unfinished: tuple[int, ...] = ()

    @property
    def is_version(self) -> bool:
        return bool(self.why)


def terms_at(begun: StudyTerms, changes: Sequence[Change], number: int) -> StudyTerms:
    """Return the terms under which the trial of a number is run."""
    mine = [change.terms for change in changes if number >= change.first or number in change.unfinished]
    return mine[-1] if mine else begun


@dataclass(frozen=True)
class Scheduling:
    """The scheduler that stops trials early: none before `grace` epochs, and about one in `eta` goes on at each rung. A
    population (`pbt`) stops none and compares its members every `grace` epochs.

    Where the resource is images, a trial trains on `grace` images first, in all its epochs."""

    name: SchedulerName = "none"
    grace: int = 1
    eta: int = 3
    resource: Resource = "epochs"

    def __post_init__(self) -> None:
        if self.grace < 1 or self.eta < 2:
            raise ValueError(f"needs a grace of 1 or more and an eta of 2 or more; got {self.grace}, {self.eta}")

    @property
    def words(self) -> str:
        """What it does, as `asha stops trials early (grace 1, eta 3)`."""
        if self.resource == "images":
            return f"{self.name} stops trials on fewer images (the first {self.grace:,}, eta {self.eta})"
        return f"{self.name} stops trials early (grace {self.grace}, eta {self.eta})"


@dataclass(frozen=True)
class Budget:
    """What ends a search beside its number of trials: so many epochs in all, or so many trials without a better score;
    None is no such limit."""

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
    reference: str | None = None  # under which the task was found then; None: as the study was begun
    code: str | None = None  # a digest of the code of the task's file, where it has one
    with_paths: tuple[str, ...] = ()  # that went with the task's file, from --with
    unit: str = ""  # of the objective, such as "euros"
    baseline: str | None = None  # the identity of the task's own configuration; None: it has none, or is not known
    constraints: tuple[Constraint, ...] = ()
    numerics: Mapping[str, str] = field(default_factory=dict)  # what the last digits of scores depend on there


@dataclass(frozen=True)
class Replication:
    """The last request to train configurations with further seeds: the `top` ones, each with `seeds` seeds, then a race
    until they are separated if asked for."""

    top: int
    seeds: int
    until_separated: bool
    budget: int | None
    params_ids: tuple[str, ...]
    begun_at: int  # the number of trials that the study had then
    baseline: bool = False  # the task's own configuration is one of them, whatever its place


@dataclass(frozen=True)
class Transfer:
    """A configuration that came from another study, and its place there."""

    study: str
    place: int
    params_id: str  # in this study


@dataclass(frozen=True)
class Evaluation:
    """One reading of the test split: when (unix seconds), by whom, and of which trials.

    `split` is the digest of the test part. `place` is the reading's place among all of that part, from one, over all
    studies that were known then. Studies of earlier versions have neither.
    """

    at: float
    by: str
    trials: tuple[int, ...]
    split: str | None = None
    place: int | None = None


@dataclass(frozen=True)
class StudyRecord:
    """A study with its trials in the order they were begun: all of them, or those of one version.

    The terms are those of that version as it was last launched.
    """

    name: str
    identity: str  # unique, even where a name is used again for a new study
    terms: StudyTerms
    launch: Launch | None
    created: float
    trials: tuple[TrialRecord, ...]
    replication: Replication | None = None
    readings: tuple[Evaluation, ...] = ()
    transfers: tuple[Transfer, ...] = ()
    begun: StudyTerms | None = None  # the first terms, where they have changed since
    changes: tuple[Change, ...] = ()
    version: int = 1
    prior: Prior | None = None  # what the study takes over from another

    @property
    def n_versions(self) -> int:
        return 1 + sum(change.is_version for change in self.changes)

    @property
    def spaces(self) -> tuple[Change, ...]:
        """The changes of the space within this version."""
        mine = [change for change in self.changes if self._version_at(change) == self.version]
        return tuple(change for change in mine if not change.is_version)

    def of_version(self, number: int | None = None) -> StudyRecord:
        """Return what the study is in one version, the last one if none is named. Call it on a record of all trials.

        Raises:
            StudyError: there is no such version.
        """
        number = self.n_versions if number is None else number
        if not self.changes and number == 1:
            return self
        if not 1 <= number <= self.n_versions:
            raise StudyError(f"study {self.name!r} has {self.n_versions} versions; there is no version {number}")
        mine = [change for change in self.changes if self._version_at(change) == number]
        terms = mine[-1].terms if mine else self.begun or self.terms
        trials = tuple(trial for trial in self.trials if self.version_of(trial.number) == number)
        numbers = {trial.number for trial in trials}
        keeps = self.replication if self.replication and self.replication.begun_at > min(numbers, default=0) else None
        return replace(self, terms=terms, trials=trials, replication=keeps, version=number)

    def version_of(self, number: int) -> int:
        """Return the version that a trial belongs to."""
        return 1 + sum(
            change.is_version and (number >= change.first or number in change.unfinished) for change in self.changes
        )

    def _version_at(self, change: Change) -> int:
        return 1 + sum(earlier.is_version for earlier in self.changes[: self.changes.index(change) + 1])

    def trial(self, number: int) -> TrialRecord:
        """Return the trial of a number, which the record has."""
        return next(trial for trial in self.trials if trial.number == number)

    @property
    def next_number(self) -> int:
        """The number that the next trial will have, or more than that of any trial that is here."""
        return 1 + max((trial.number for trial in self.trials), default=-1)

    @property
    def reference(self) -> str:
        """Where the task is: under the reference that it was last launched with."""
        return (self.launch.reference if self.launch else None) or self.terms.reference

    @property
    def with_paths(self) -> tuple[Path, ...]:
        """What goes with the task's file, as it was last launched."""
        return tuple(map(Path, self.launch.with_paths)) if self.launch else ()

    @property
    def constraints(self) -> tuple[Constraint, ...]:
        """The limits of the last launch."""
        return self.launch.constraints if self.launch else ()

    @property
    def no_result(self) -> str:
        """Why the study has no best configuration, of one that has none."""
        keeps = f" and keeps to {words(self.constraints)}" if self.constraints else ""
        return f"none of its trials is complete{keeps}"

    @property
    def standing(self) -> tuple[TrialRecord, ...]:
        """The trials without those that were run again after they failed: the second try takes their place."""
        last: dict[tuple[str, int], TrialRecord] = {}
        for trial in self.trials:
            last[trial.params_id, trial.seed] = trial
        return tuple(last.values())

    @property
    def searched(self) -> tuple[TrialRecord, ...]:
        """The first trial of each configuration, which a search proposed. Its others are replicates."""
        first: dict[str, TrialRecord] = {}
        for trial in self.standing:
            first.setdefault(trial.params_id, trial)
        return tuple(first.values())

    def count(self, state: State) -> int:
        return sum(trial.state == state for trial in self.trials)
