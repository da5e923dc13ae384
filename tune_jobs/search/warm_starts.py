"""Configurations that a search begins with: the task's baseline, a user's own, and the best of another study.

They are the study's first trials, and a search learns from them as from any other.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from tune_jobs import plain_yaml
from tune_jobs.decoding import ContentError, decode
from tune_jobs.errors import StudyError
from tune_jobs.models.plain_values import plain
from tune_jobs.records.trials import TrialRecord
from tune_jobs.search.candidates import Candidate, ListSampler, Sampler
from tune_jobs.search_spaces.moving import transfer_params
from tune_jobs.search_spaces.scalars import Params, Value, params_id
from tune_jobs.search_spaces.task import Task
from tune_jobs.words import short

_EXAMPLE = "params, such as `batch_size: 64`"


def from_file(path: Path, task: Task) -> list[Params]:
    """Return the configurations in a YAML file as points of a task. The baseline fills what they lack.

    The file holds params, a list of them, a `best.yaml` or a `front.yaml`.

    Raises:
        StudyError: if the file cannot be read or holds something else.
        SpaceError: if a configuration does not belong to the task.
    """
    return from_bytes(read_file(path), str(path), task)


def read_file(path: Path) -> bytes:
    """Return the bytes of such a file.

    Raises:
        StudyError: it cannot be read, or is too large.
    """
    return plain_yaml.read_bytes(path, f"it is to hold {_EXAMPLE}, or a list of them")


def from_bytes(content: bytes, name: str, task: Task) -> list[Params]:
    """Return the configurations in the bytes of a file, which is called `name`, as `from_file` does.

    Raises:
        StudyError, SpaceError: as `from_file`.
    """
    points = plain_yaml.parsed(content, name)
    return _points(name, points if isinstance(points, list) else [points], task)


def from_list(configurations: Sequence[object], task: Task) -> list[Params]:
    """Return configurations as points of a task. The baseline fills what they lack.

    Raises:
        StudyError, SpaceError: as `from_file`.
    """
    return _points("the list of configurations", configurations, task)


def _points(name: str, content: Sequence[object], task: Task) -> list[Params]:
    checked = [_checked(name, number, _params_of(item)) for number, item in enumerate(content, start=1)]
    if not checked:
        raise StudyError(f"{name} is an empty list: it is to hold {_EXAMPLE}")
    return [
        transfer_params(task, params, name + (f", number {number}," if len(checked) > 1 else ""))
        for number, params in enumerate(checked, start=1)
    ]


def _params_of(content: object) -> object:
    """Return the params of a configuration as `best.yaml` holds it; anything else as it is."""
    return content["params"] if isinstance(content, dict) and isinstance(content.get("params"), dict) else content


def _checked(name: str, number: int, values: object) -> Params:
    if not isinstance(values, dict) or not values:
        raise StudyError(f"{name}: number {number} needs to be {_EXAMPLE}; got {short(values)}")
    plainly = {key: plain(value) for key, value in values.items()}
    try:
        return decode(dict[str, Value], plainly, f"{name}: number {number}")
    except ContentError as error:
        raise StudyError(str(error)) from error


class WarmStartSampler:
    """Proposes some candidates first, then those of a search; never the same params twice."""

    def __init__(self, first: Sequence[Candidate], search: Sampler, trials: Sequence[TrialRecord]) -> None:
        self._first = ListSampler(_untried(first, trials), ())
        self._search = search
        self._proposed: set[str] = set()
        self._told: set[str] = set()
        self._n_trials = len(trials)

    def ask(self) -> Candidate | None:
        candidate = self._next_first()
        if candidate is None:
            candidate = self._search.ask()
        else:  # the search knows of it from now on, as it does when a later launch reads it from the record
            number = self._n_trials + len(self._proposed)
            self._search.tell(TrialRecord(number, candidate.params, candidate.seed, "waiting"))
        while candidate is not None and params_id(candidate.params) in self._proposed:
            candidate = self._search.ask()
        if candidate is not None:
            self._proposed.add(params_id(candidate.params))
        return candidate

    def tell(self, trial: TrialRecord) -> None:
        self._told.add(trial.params_id)
        self._search.tell(trial)

    def _next_first(self) -> Candidate | None:
        """Return the next candidate to begin with, without those that were tried meanwhile, as an enqueued point is."""
        candidate = self._first.ask()
        while candidate is not None and params_id(candidate.params) in self._told:
            candidate = self._first.ask()
        return candidate


def _untried(candidates: Sequence[Candidate], trials: Sequence[TrialRecord]) -> Iterator[Candidate]:
    """Yield each params once, without those that a trial has with any seed."""
    seen = {trial.params_id for trial in trials}
    for candidate in candidates:
        if params_id(candidate.params) not in seen:
            seen.add(params_id(candidate.params))
            yield candidate
