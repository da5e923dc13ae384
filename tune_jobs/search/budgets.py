"""Budgets that end a search before its number of trials: epochs in all, and trials without a better score.

Like a search, a budget is a function of the study's record: a study that is killed and continued ends where an
undisturbed one would have.
"""

from __future__ import annotations

from tune_jobs.records.studies import Budget
from tune_jobs.records.trials import TrialRecord
from tune_jobs.search.candidates import Candidate, Sampler
from tune_jobs.search_spaces.protocol import Objective


class BudgetedSampler:
    """A sampler that proposes nothing once its budget is spent. Trials that run then still go on to their end."""

    def __init__(self, sampler: Sampler, budget: Budget, objective: Objective, trials: tuple[TrialRecord, ...]) -> None:
        self._sampler, self._budget, self._objective = sampler, budget, objective
        self._epochs = 0
        self._best = objective.worst
        self._trials_since_best = 0
        for trial in sorted((trial for trial in trials if trial.is_finished), key=lambda trial: trial.finished or 0.0):
            self._count(trial)

    def ask(self) -> Candidate | None:
        return None if self.end_reason is not None else self._sampler.ask()

    def tell(self, trial: TrialRecord) -> None:
        self._count(trial)
        self._sampler.tell(trial)

    @property
    def end_reason(self) -> str | None:
        """Which budget is spent, with the option that set it; None while none is."""
        if self._budget.epochs is not None and self._epochs >= self._budget.epochs:
            return f"{self._epochs:,} epochs were trained and --total-epochs is {self._budget.epochs:,}"
        if self._budget.flat is not None and self._trials_since_best >= self._budget.flat:
            return (
                f"{self._trials_since_best} trials brought no better score and --stop-when-flat is {self._budget.flat}"
            )
        return None

    @property
    def remaining(self) -> str:
        """What is left of the budgets, in words for the view."""
        parts = []
        if self._budget.epochs is not None:
            parts.append(f"{max(0, self._budget.epochs - self._epochs):,} epochs left")
        if self._budget.flat is not None:
            parts.append(f"no better score in {self._trials_since_best} of {self._budget.flat} trials")
        return " · ".join(parts)

    def _count(self, trial: TrialRecord) -> None:
        self._epochs += len(trial.history)
        if trial.state == "complete" and trial.score is not None and self._objective.is_better(trial.score, self._best):
            self._best = trial.score
            self._trials_since_best = 0
        else:
            self._trials_since_best += 1
