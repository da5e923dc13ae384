"""What a search proposes, the interface of every search, and the simplest one: a list."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

from tune_jobs.records.trials import TrialRecord
from tune_jobs.search_spaces.scalars import Params, params_id


@dataclass(frozen=True)
class Candidate:
    """A configuration to train next: params, with a seed."""

    params: Params
    seed: int


class Sampler(Protocol):
    """A search: it proposes candidates, and learns how each trial ended."""

    def ask(self) -> Candidate | None:
        """Return the next candidate, or None if there is none now; a trial that ends may change that."""

    def tell(self, trial: TrialRecord) -> None:
        """Learn how a trial ended."""


class ListSampler:
    """Proposes given candidates in their order, without those that were tried."""

    def __init__(self, candidates: Iterable[Candidate], trials: Iterable[TrialRecord]) -> None:
        self._candidates: Iterator[Candidate] = iter(candidates)
        self._tried = {(trial.params_id, trial.seed) for trial in trials}

    def ask(self) -> Candidate | None:
        for candidate in self._candidates:
            key = params_id(candidate.params), candidate.seed
            if key not in self._tried:
                self._tried.add(key)
                return candidate
        return None

    def tell(self, trial: TrialRecord) -> None:
        """Do nothing: a list does not learn."""
