"""Which weights stay where a user has not asked for all: those that `evaluate` may be asked for."""

from __future__ import annotations

from pathlib import Path

from tune_jobs.leaderboard import ranking
from tune_jobs.records.trials import TrialRecord
from tune_jobs.study.study import Study
from tune_jobs.training import weights

FINALISTS = 10  # configurations, the best ones, each with all its seeds


class KeptWeights:
    """Removes the weights of trials that ended here and are not among the best `FINALISTS` configurations.

    Files from before stay: the user may have asked for them. To rank all trials after each would take too long in a
    long study, so that up to twice as many are there for a while.
    """

    def __init__(self, study: Study, folder: Path) -> None:
        self._study, self._folder = study, folder
        self._numbers: set[int] = set()  # of trials that ended here, whose weights may be there

    def ended(self, trial: TrialRecord) -> None:
        """Learn that a trial has ended."""
        if trial.state == "complete":
            self._numbers.add(trial.number)
        if len(self._numbers) >= 2 * FINALISTS:
            self.prune()

    def prune(self) -> None:
        """Remove the weights of all but the best configurations."""
        if not self._numbers:
            return
        record = self._study.record()
        rows = ranking.finalists(ranking.rank(record.trials, record.terms.objective, record.constraints), FINALISTS)
        best = {number for row in rows for number in row.trials}
        for number in self._numbers - best:
            weights.drop(self._folder, number)
        self._numbers &= best
