"""Configurations that a search begins with: the task's baseline, a user's own, and the best of another study.

They are the study's first trials, and a search learns from them as from any other.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from tune_jobs import plain_yaml
from tune_jobs.decoding import ContentError, decode
from tune_jobs.errors import StudyError
from tune_jobs.records.trials import TrialRecord
from tune_jobs.search.candidates import Candidate, ListSampler, Sampler
from tune_jobs.search_spaces.moving import transfer_params
from tune_jobs.search_spaces.scalars import Params, Value, params_id
from tune_jobs.search_spaces.task import Task
from tune_jobs.words import short


def from_file(path: Path, task: Task) -> list[Params]:
    """The configurations in a YAML file: one mapping from names to values, a list of them, a `best.yaml` or a
    `front.yaml`. What they do not say is the task's baseline's.

    Raises:
        StudyError: the file cannot be read, or holds something else.
        SpaceError: a configuration does not belong to the task.
    """
    content = plain_yaml.read(path, "it is to hold params, such as `batch_size: 64`, or a list of them")
    listed = [_without_the_rest(one) for one in (content if isinstance(content, list) else [content])]
    found = [_checked(path, at, given) for at, given in enumerate(listed, start=1)]
    if not found:
        raise StudyError(f"{path} is an empty list: it is to hold params, such as `batch_size: 64`")
    return [
        transfer_params(task, params, f"{path}" + (f", number {at}," if len(found) > 1 else ""))
        for at, params in enumerate(found, start=1)
    ]


def _without_the_rest(content: object) -> object:
    """The params of a configuration as `best.yaml` has it."""
    return content["params"] if isinstance(content, dict) and isinstance(content.get("params"), dict) else content


def _checked(path: Path, number: int, values: object) -> Params:
    if not isinstance(values, dict) or not values:
        raise StudyError(f"{path}: number {number} needs to be params, such as `batch_size: 64`; got {short(values)}")
    try:
        return decode(dict[str, Value], values, f"{path}: number {number}")
    except ContentError as error:
        raise StudyError(str(error)) from error


class WarmStartSampler:
    """Proposes some candidates first, then what a search does; never the same params twice."""

    def __init__(self, first: Sequence[Candidate], then: Sampler, trials: Sequence[TrialRecord]) -> None:
        self._first = ListSampler(_untried(first, trials), ())
        self._then = then
        self._asked: set[str] = set()
        self._n_trials = len(trials)

    def ask(self) -> Candidate | None:
        candidate = self._first.ask()
        if candidate is not None:  # the search knows of it from now on, as it does when it finds it in the record
            self._then.tell(TrialRecord(self._n_trials + len(self._asked), candidate.params, candidate.seed, "waiting"))
        else:
            candidate = self._then.ask()
        while candidate is not None and params_id(candidate.params) in self._asked:
            candidate = self._then.ask()
        if candidate is not None:
            self._asked.add(params_id(candidate.params))
        return candidate

    def tell(self, trial: TrialRecord) -> None:
        self._then.tell(trial)


def _untried(candidates: Sequence[Candidate], trials: Sequence[TrialRecord]) -> Iterator[Candidate]:
    """Each params once, those left out that were tried with any seed."""
    seen = {trial.params_id for trial in trials}
    for one in candidates:
        if params_id(one.params) not in seen:
            seen.add(params_id(one.params))
            yield one
