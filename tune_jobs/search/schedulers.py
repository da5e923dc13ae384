"""Schedulers: stop running trials early, judged by what other trials had reached after the same epochs.

A scheduler is a function of the study's record: one that is made again after a kill decides as the old one would have.
It judges a trial after certain epochs only, its milestones, by the score that the trial would have if it ended there:
its best, its last, or the mean over its folds, which stand for epochs where it is cross-validated. Where the resource
is images, its milestones are its trainings on some of the images. A trial that it ends is `stopped`, never `complete`,
and ranks behind every trial that ran in full.
"""

from __future__ import annotations

import functools
import math
import statistics
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from tune_jobs.errors import UserError
from tune_jobs.records.studies import Scheduling
from tune_jobs.records.trials import TrialRecord
from tune_jobs.search_spaces import protocol as protocols
from tune_jobs.search_spaces.protocol import Objective

_UNKNOWN = 10**9  # epochs, which no trial has
_MEDIAN_MILESTONES = 20  # of a trial under the median rule, at most
_MEDIAN_MIN_TRIALS = 3  # others that must have reached a milestone before the median rule stops any


Reached = Callable[[Sequence[float]], float]  # the score of a trial that ends with these scores of its epochs
Curve = Callable[[TrialRecord], list[float]]


class Scheduler(Protocol):
    """Judges running trials, and learns how each trial ended."""

    def milestones(self, number: int) -> tuple[int, ...]:
        """Return the epochs, counted from one, after which the trial of this number is judged."""

    def should_stop(self, number: int, scores: Sequence[float]) -> bool:
        """Return whether to stop a trial at its current milestone; `scores` has the objective after each epoch, or on
        each rung."""

    def tell(self, trial: TrialRecord) -> None:
        """Learn how a trial ended."""


def make_scheduler(
    scheduling: Scheduling,
    objective: Objective,
    protocol: protocols.Protocol,
    trials: Iterable[TrialRecord],
    *,
    images: int | None = None,
) -> Scheduler | None:
    """Return the scheduler that a study asks for, as it is after `trials` of this protocol.

    `images` is how many there are to train on; None where that is not known. None is returned where every trial runs to
    its end, as the members of a population do.

    Raises:
        UserError: trials have too few epochs for the scheduler to decide anything, or it needs to know how many.
    """
    if scheduling.name == "none":
        return None
    if scheduling.resource == "images":
        return _halving_of_images(scheduling, objective, protocol, trials, images)
    if scheduling.name == "pbt" and protocol.folds is not None:
        raise UserError(
            "--scheduler pbt copies the weights of one model, and a cross-validated trial has one a fold: "
            "leave out the scheduler, or the folds"
        )
    epochs, step = protocol.steps, protocol.step
    if epochs is None and scheduling.name != "asha":
        raise UserError(
            f"--scheduler {scheduling.name} needs to know how many steps a trial has at most: say --epochs N, or "
            "Protocol(epochs=N) in the task; asha does not"
        )
    epochs = _UNKNOWN if epochs is None else epochs
    if scheduling.grace >= epochs:
        raise UserError(
            f"--scheduler {scheduling.name} has nothing to decide: --grace {scheduling.grace} is all of the {epochs} "
            f"{step}{'s' if epochs > 1 else ''} of a trial; ask for fewer or train longer"
        )
    if scheduling.name == "pbt":
        return None
    return _told(_new_scheduler(scheduling, objective, _reached(objective, protocol), epochs), trials)


def image_rungs(scheduling: Scheduling, images: int | None) -> tuple[int, ...]:
    """Return on how many images a trial trains before it trains on all; none where the resource is epochs."""
    if scheduling.resource == "epochs" or images is None:
        return ()
    return _rungs(scheduling.grace, scheduling.eta, images)


def _told(scheduler: Scheduler, trials: Iterable[TrialRecord]) -> Scheduler:
    for trial in trials:
        if trial.is_finished:
            scheduler.tell(trial)
    return scheduler


def _halving_of_images(
    scheduling: Scheduling,
    objective: Objective,
    protocol: protocols.Protocol,
    trials: Iterable[TrialRecord],
    images: int | None,
) -> Scheduler:
    if scheduling.name != "asha":
        raise UserError(f"--resource images is for --scheduler asha; got {scheduling.name}")
    if images is None:
        raise UserError("--resource images needs data that are in memory, and those of this task are not")
    if protocol.folds is not None:
        raise UserError("a cross-validated trial is judged after its folds: leave out --resource images, or --folds")
    if scheduling.grace >= images:
        raise UserError(
            f"--resource images has nothing to decide: --grace {scheduling.grace:,} is all of the {images:,} images "
            "that there are to train on; ask for fewer"
        )
    rungs = image_rungs(scheduling, images)
    curve = functools.partial(_scores_of_rungs, rungs=rungs)
    milestones = tuple(range(1, len(rungs) + 1))
    return _told(_SuccessiveHalving(objective, _last, scheduling.eta, [milestones], [1.0], curve), trials)


def _reached(objective: Objective, protocol: protocols.Protocol) -> Reached:
    if protocol.folds is not None:
        return statistics.fmean
    return _last if protocol.scored_epoch == "last" else objective.best


def _last(scores: Sequence[float]) -> float:
    """Return the last score that is a number; NaN if none is."""
    return next((score for score in reversed(scores) if not math.isnan(score)), math.nan)


def _new_scheduler(scheduling: Scheduling, objective: Objective, reached: Reached, epochs: int) -> Scheduler:
    grace, eta = scheduling.grace, scheduling.eta
    if scheduling.name == "asha":
        return _SuccessiveHalving(objective, reached, eta, [_rungs(grace, eta, epochs)], [1.0])
    if scheduling.name == "hyperband":
        return _hyperband(objective, reached, grace, eta, epochs)
    return _MedianRule(objective, reached, grace, epochs)


class _SuccessiveHalving:
    """Asynchronous successive halving: at each rung a trial continues if it is among the best 1/eta seen there.

    Li et al., A System for Massively Parallel Hyperparameter Tuning, MLSys 2020, in its stopping form: a trial is
    judged once when it reaches a rung, and is never resumed. With several brackets, each with rungs of its own, it is
    the asynchronous Hyperband of the same paper.

    `brackets` has the rungs of each bracket, as epochs; `shares` has the share of trials that each bracket gets.
    `curve` returns the scores of a trial that ended, as `should_stop` gets those of one that runs.
    """

    def __init__(
        self,
        objective: Objective,
        reached: Reached,
        eta: int,
        brackets: Sequence[tuple[int, ...]],
        shares: Sequence[float],
        curve: Curve | None = None,
    ) -> None:
        self._objective, self._reached = objective, reached
        self._curve = curve or functools.partial(_curve, objective=objective)
        self._eta = eta
        self._brackets = brackets
        self._shares = shares
        self._scores: dict[tuple[int, int], dict[int, float]] = {}  # by bracket and rung: each trial's score there

    def milestones(self, number: int) -> tuple[int, ...]:
        return self._brackets[self._bracket(number)]

    def should_stop(self, number: int, scores: Sequence[float]) -> bool:
        rung = self._record(number, scores, len(scores))
        n_continuing = max(1, math.ceil(len(rung) / self._eta))
        return sum(self._objective.is_better(score, rung[number]) for score in rung.values()) >= n_continuing

    def tell(self, trial: TrialRecord) -> None:
        """Record the scores of a trial that ended.

        A complete trial counts at every later rung with its final score, because more epochs would not have helped it.
        """
        if trial.state == "failed":
            for rung in self._scores.values():
                rung.pop(trial.number, None)
            return
        scores = self._curve(trial)
        for epoch in self.milestones(trial.number):
            if scores and (epoch <= len(scores) or trial.state == "complete"):
                self._record(trial.number, scores, epoch)

    def _record(self, number: int, scores: Sequence[float], epoch: int) -> dict[int, float]:
        rung = self._scores.setdefault((self._bracket(number), epoch), {})
        rung[number] = self._reached(scores[:epoch])
        return rung

    def _bracket(self, number: int) -> int:
        """Return the bracket of a trial: trials go, one by one, to the bracket that lacks most of its share."""
        if len(self._shares) == 1:
            return 0
        counts = [0] * len(self._shares)
        for _ in range(number + 1):
            chosen = max(range(len(counts)), key=lambda bracket: self._shares[bracket] / (counts[bracket] + 1))
            counts[chosen] += 1
        return chosen


def _rungs(first: int, eta: int, epochs: int) -> tuple[int, ...]:
    """Return the epochs at which a bracket judges, each `eta` times the one before, all below `epochs`."""
    rungs = [first]
    while rungs[-1] * eta < epochs:
        rungs.append(rungs[-1] * eta)
    return tuple(rungs)


def _hyperband(objective: Objective, reached: Reached, grace: int, eta: int, epochs: int) -> _SuccessiveHalving:
    """Return brackets that begin to judge later and later; the last one stops nothing.

    Li et al., Hyperband, JMLR 18, 2018: bracket s begins with ceil((s_max + 1) / (s + 1) * eta^s) trials. Here that is
    in proportion to the share of the trials that it gets.
    """
    rungs = _rungs(grace, eta, epochs)
    brackets = [rungs[skipped:] for skipped in range(len(rungs) + 1)]
    s_max = len(rungs)
    sizes = [math.ceil((s_max + 1) / (s + 1) * eta**s) for s in range(s_max, -1, -1)]
    return _SuccessiveHalving(objective, reached, eta, brackets, [size / sum(sizes) for size in sizes])


class _MedianRule:
    """The median rule: stop a trial whose best score is behind the median of the other trials' averages up to there.

    Golovin et al., Google Vizier: A Service for Black-Box Optimization, KDD 2017, section 3.2.2. A trial's average is
    over its epochs up to the milestone.
    """

    def __init__(self, objective: Objective, reached: Reached, grace: int, epochs: int) -> None:
        self._objective, self._reached = objective, reached
        interval = math.ceil(epochs / _MEDIAN_MILESTONES)
        self._milestones = tuple(range(grace, epochs, interval))
        self._averages: dict[int, dict[int, float]] = {epoch: {} for epoch in self._milestones}

    def milestones(self, number: int) -> tuple[int, ...]:
        return self._milestones

    def should_stop(self, number: int, scores: Sequence[float]) -> bool:
        others = [average for other, average in self._averages[len(scores)].items() if other != number]
        if len(others) < _MEDIAN_MIN_TRIALS:
            return False
        return self._objective.is_better(statistics.median(others), self._reached(scores))

    def tell(self, trial: TrialRecord) -> None:
        if trial.state == "failed":
            return
        scores = _curve(trial, self._objective)
        for epoch, averages in self._averages.items():
            scored = [score for score in scores[:epoch] if not math.isnan(score)]
            if epoch <= len(scores) and scored:
                averages[trial.number] = statistics.fmean(scored)


def _curve(trial: TrialRecord, objective: Objective) -> list[float]:
    """Return the objective after each epoch; NaN for one that was not scored."""
    if not any(objective.metric in metrics for metrics in trial.history):
        return []
    return [metrics.get(objective.metric, math.nan) for metrics in trial.history]


def _scores_of_rungs(trial: TrialRecord, rungs: tuple[int, ...]) -> list[float]:
    """Return the score on each rung of so many images; none of a trial that had other rungs, or none."""
    images = tuple(rung.images for rung in trial.rungs)
    return [rung.score for rung in trial.rungs] if images == rungs[: len(images)] else []
