"""What a search hands to the driver, and the simplest of searches: a list."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

from tune_jobs.records.trials import TrialRecord
from tune_jobs.search_spaces.scalars import Params, params_id


@dataclass(frozen=True)
class Candidate:
    """What to train next: params, with a seed."""

    params: Params
    seed: int


class Sampler(Protocol):
    """Proposes candidates; told of every trial that ended."""

    def ask(self) -> Candidate | None:
        """The next one, or None where there is none as things are; an ended trial may change that."""

    def tell(self, trial: TrialRecord) -> None:
        """What became of params asked for earlier."""


class ListSampler:
    """Candidates in their order, a grid's or others, but for those that were tried."""

    def __init__(self, candidates: Iterable[Candidate], trials: Iterable[TrialRecord]) -> None:
        self._candidates: Iterator[Candidate] = iter(candidates)
        self._tried = {(trial.params_id, trial.seed) for trial in trials}

    def ask(self) -> Candidate | None:
        for one in self._candidates:
            key = params_id(one.params), one.seed
            if key not in self._tried:
                self._tried.add(key)
                return one
        return None

    def tell(self, trial: TrialRecord) -> None:
        """A list learns nothing."""
