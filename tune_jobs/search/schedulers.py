"""Schedulers: which running trial is to be stopped early, from what the others had reached by then.

A scheduler is a function of the study's record: one that is made anew after a kill judges as the old one would have. It
looks at a trial after certain epochs alone, its milestones, and at the best score up to there, as the trial itself is
judged. What is stopped is `stopped`, never `complete`, and ranks behind every trial that ran in full.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from typing import Protocol

from tune_jobs.errors import UserError
from tune_jobs.records.studies import Scheduling
from tune_jobs.records.trials import TrialRecord
from tune_jobs.search_spaces.protocol import Objective

_MEDIAN_LOOKS = 20  # how often the median rule looks at a trial
_MEDIAN_TRIALS = 3  # that have to have ended, before it stops any


class Scheduler(Protocol):
    """Judges running trials; told of every trial that ended."""

    def milestones(self, number: int) -> tuple[int, ...]:
        """The epochs, counted from one, after which the trial of this number is judged."""

    def stops(self, number: int, scores: Sequence[float]) -> bool:
        """Whether a trial is to end at the milestone it is at; `scores` is the objective after each of its epochs."""

    def tell(self, trial: TrialRecord) -> None:
        """A trial ended."""


def scheduler(asked: Scheduling, objective: Objective, epochs: int, trials: Iterable[TrialRecord]) -> Scheduler | None:
    """The scheduler that was asked for, as it is after `trials`; None where every trial runs to its end, as the members
    of a population do.

    Raises:
        UserError: the epochs leave it nothing to decide.
    """
    if asked.name == "none":
        return None
    if asked.grace >= epochs:
        raise UserError(
            f"--scheduler {asked.name} has nothing to decide: --grace {asked.grace} is all of the {epochs} "
            f"epoch{'s' if epochs > 1 else ''} of a trial; ask for fewer or train longer"
        )
    made: Scheduler
    if asked.name == "pbt":
        return None
    if asked.name == "asha":
        made = _Halving(objective, asked.eta, [_rungs(asked.grace, asked.eta, epochs)], [1.0])
    elif asked.name == "hyperband":
        made = _hyperband(objective, asked.grace, asked.eta, epochs)
    else:
        made = _Median(objective, asked.grace, epochs)
    for trial in trials:
        if trial.is_finished:
            made.tell(trial)
    return made


class _Halving:
    """Asynchronous successive halving: at each rung a trial goes on if it is among the best 1/eta of those seen there.

    Li et al., A System for Massively Parallel Hyperparameter Tuning, MLSys 2020, in its stopping form: a trial is
    judged when it gets to a rung and never taken up again. With several brackets, each with rungs of its own, it is the
    asynchronous Hyperband of the same paper.
    """

    def __init__(
        self, objective: Objective, eta: int, brackets: Sequence[tuple[int, ...]], shares: Sequence[float]
    ) -> None:
        self._objective = objective
        self._eta = eta
        self._brackets = brackets
        self._shares = shares
        self._seen: dict[tuple[int, int], dict[int, float]] = {}  # bracket and rung: each trial's score there

    def milestones(self, number: int) -> tuple[int, ...]:
        return self._brackets[self._bracket(number)]

    def stops(self, number: int, scores: Sequence[float]) -> bool:
        rung = self._note(number, scores, len(scores))
        mine = rung[number]
        allowed = max(1, math.ceil(len(rung) / self._eta))
        return sum(self._objective.is_better(other, mine) for other in rung.values()) >= allowed

    def tell(self, trial: TrialRecord) -> None:
        """A trial that ended by itself counts at every later rung with what it came to: more epochs were of no use."""
        if trial.state == "failed":
            for rung in self._seen.values():
                rung.pop(trial.number, None)
            return
        scores = [metrics[self._objective.metric] for metrics in trial.history if self._objective.metric in metrics]
        for epoch in self.milestones(trial.number):
            if scores and (epoch <= len(scores) or trial.state == "complete"):
                self._note(trial.number, scores, epoch)

    def _note(self, number: int, scores: Sequence[float], epoch: int) -> dict[int, float]:
        rung = self._seen.setdefault((self._bracket(number), epoch), {})
        rung[number] = self._objective.best(scores[:epoch])
        return rung

    def _bracket(self, number: int) -> int:
        """Brackets take turns, each as often as its share says: the one that lacks most gets the next trial."""
        if len(self._shares) == 1:
            return 0
        had = [0] * len(self._shares)
        for _ in range(number + 1):
            at = max(range(len(had)), key=lambda bracket: self._shares[bracket] / (had[bracket] + 1))
            had[at] += 1
        return at


def _rungs(first: int, eta: int, epochs: int) -> tuple[int, ...]:
    """The epochs at which a bracket looks, each `eta` times the one before; the last epoch needs no look."""
    found = [first]
    while found[-1] * eta < epochs:
        found.append(found[-1] * eta)
    return tuple(found)


def _hyperband(objective: Objective, grace: int, eta: int, epochs: int) -> _Halving:
    """Brackets whose first look comes later and later, the last of which stops nothing.

    Li et al., Hyperband, JMLR 18, 2018: bracket s begins with ceil((s_max + 1) / (s + 1) * eta^s) trials, which is the
    share of the trials that it gets here.
    """
    rungs = _rungs(grace, eta, epochs)
    brackets = [rungs[at:] for at in range(len(rungs) + 1)]
    last = len(rungs)
    shares = [math.ceil((last + 1) / (s + 1) * eta**s) for s in range(last, -1, -1)]
    return _Halving(objective, eta, brackets, [share / sum(shares) for share in shares])


class _Median:
    """The median rule: a trial stops when its best so far is behind the median of what the others averaged by then.

    Golovin et al., Google Vizier: A Service for Black-Box Optimization, KDD 2017, section 3.2.2; the average of a trial
    is over its epochs up to the one that is looked at.
    """

    def __init__(self, objective: Objective, grace: int, epochs: int) -> None:
        self._objective = objective
        apart = math.ceil(epochs / _MEDIAN_LOOKS)
        self._milestones = tuple(range(grace, epochs, apart))
        self._averages: dict[int, dict[int, float]] = {epoch: {} for epoch in self._milestones}

    def milestones(self, number: int) -> tuple[int, ...]:
        return self._milestones

    def stops(self, number: int, scores: Sequence[float]) -> bool:
        others = [average for other, average in self._averages[len(scores)].items() if other != number]
        if len(others) < _MEDIAN_TRIALS:
            return False
        return self._objective.is_better(statistics.median(others), self._objective.best(scores))

    def tell(self, trial: TrialRecord) -> None:
        if trial.state == "failed":
            return
        scores = [metrics[self._objective.metric] for metrics in trial.history if self._objective.metric in metrics]
        for epoch, averages in self._averages.items():
            if epoch <= len(scores):
                averages[trial.number] = statistics.fmean(scores[:epoch])
