"""Points that users hand to a study before or while it runs: each comes before all that the search would propose.

They are trials like any other, and the search learns from them. They run even where the search is at its end, for
somebody asked for them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence

from tune_jobs.records.trials import TrialRecord
from tune_jobs.search.candidates import Candidate, Sampler
from tune_jobs.search_spaces.scalars import Params, params_id
from tune_jobs.study.enqueued import waiting

_LOOK_S = 1.0  # between two looks while trials run: a database takes milliseconds to answer


class EnqueuedSampler:
    """A search that makes way for enqueued points.

    `points` returns those that were handed to the study, in their order; what a trial has already is passed over.
    """

    def __init__(
        self, points: Callable[[], Sequence[Params]], search: Sampler, seed: int, trials: Iterable[TrialRecord]
    ) -> None:
        self._points, self._search, self._seed = points, search, seed
        self._tried = {trial.params_id for trial in trials}
        self._waiting: dict[str, Params] = {}
        self._looked = -_LOOK_S
        self._enqueued: set[str] = set()

    def has_enqueued(self, *, now: bool = False) -> bool:
        """Return True if a point waits, as seen a moment ago or, with `now`, as it is."""
        if now or time.monotonic() - self._looked >= _LOOK_S:
            points, self._looked = self._points(), time.monotonic()
            self._waiting = {params_id(point): point for point in waiting(points, self._tried)}
        return bool(self._waiting)

    def ask_enqueued(self, *, now: bool = False) -> Candidate | None:
        """Return the next point that waits; None if there is none, as `has_enqueued` sees it."""
        if not self.has_enqueued(now=now):
            return None
        identity, params = next(iter(self._waiting.items()))
        candidate = Candidate(params, self._seed)
        # the search knows of it from now on, as it does when a later launch reads it from the record
        self._search.tell(TrialRecord(len(self._tried), params, self._seed, "waiting"))
        self._enqueued.add(identity)
        self._note(candidate)
        return candidate

    def ask(self) -> Candidate | None:
        candidate = self._search.ask()
        while candidate is not None and params_id(candidate.params) in self._enqueued:
            candidate = self._search.ask()
        if candidate is not None:
            self._note(candidate)
        return candidate

    def tell(self, trial: TrialRecord) -> None:
        self._search.tell(trial)

    def _note(self, candidate: Candidate) -> None:
        self._tried.add(params_id(candidate.params))
        self._waiting.pop(params_id(candidate.params), None)
