"""A search that learns from trials of spaces that a study had before: as points of the space that it has now."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from tune_jobs.records.trials import TrialRecord
from tune_jobs.search.candidates import Candidate, Sampler
from tune_jobs.search_spaces.scalars import Params

Fit = Callable[[Params], Params | None]  # params as a point of the space; None if they are outside


class FittedSampler:
    """A search that is told of trials as they fit its space; of those that do not it is told nothing."""

    def __init__(self, search: Sampler, fit: Fit) -> None:
        self._search, self._fit = search, fit

    def ask(self) -> Candidate | None:
        return self._search.ask()

    def tell(self, trial: TrialRecord) -> None:
        for fitting in fitted((trial,), self._fit):
            self._search.tell(fitting)


def fitted(trials: Iterable[TrialRecord], fit: Fit) -> tuple[TrialRecord, ...]:
    """Return the trials that fit, with the params that they are in the space."""
    points = ((trial, fit(trial.params)) for trial in trials)
    return tuple(replace(trial, params=params) for trial, params in points if params is not None)
