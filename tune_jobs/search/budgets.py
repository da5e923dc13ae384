"""Budgets that end a search before its number of trials: epochs in all, and trials without a better score.

Like a search, a budget is a function of the study's record: a study that is killed and continued ends where an
undisturbed one would have.
"""

from __future__ import annotations

from collections.abc import Sequence

from tune_jobs.records import fold_rows
from tune_jobs.records.constraints import Constraint, excess, is_untrained, words
from tune_jobs.records.studies import Budget
from tune_jobs.records.trials import TrialRecord
from tune_jobs.search.candidates import Candidate, Sampler
from tune_jobs.search_spaces.protocol import Objective

_MAX_UNTRAINED = 300  # configurations in a row that are known to break a limit: the limit leaves next to nothing


class BudgetedSampler:
    """A sampler that proposes nothing once its budget is spent, or if limits leave nothing to propose. Trials that run
    then still go on to their end.

    With `has_folds` trials are cross-validated: the epochs of all their folds count.
    """

    def __init__(
        self,
        sampler: Sampler,
        budget: Budget,
        objective: Objective,
        trials: tuple[TrialRecord, ...],
        constraints: Sequence[Constraint] = (),
        *,
        has_folds: bool = False,
    ) -> None:
        self._sampler, self._budget, self._objective = sampler, budget, objective
        self._constraints = tuple(constraints)
        self._untrained = 0  # in a row
        self._has_folds, self._epochs = has_folds, 0
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
        if self._untrained >= _MAX_UNTRAINED:
            return f"{self._untrained} configurations in a row break {words(self._constraints)}, and were not trained"
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
        self._epochs += fold_rows.epochs_of(trial.history) if self._has_folds else trial.n_epochs
        self._untrained = self._untrained + 1 if is_untrained(trial) else 0
        if is_untrained(trial):
            return
        score = trial.score if trial.state == "complete" and not excess(trial, self._constraints) else None
        if score is not None and self._objective.is_better(score, self._best):
            self._best = score
            self._trials_since_best = 0
        else:
            self._trials_since_best += 1
