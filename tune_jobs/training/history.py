"""The epochs of a trial so far, which of them is the best, and when training has to end."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator

from tune_jobs.errors import Reason, TrialError
from tune_jobs.records.trials import Metrics
from tune_jobs.search_spaces.protocol import Objective, Protocol
from tune_jobs.search_spaces.spelling import near
from tune_jobs.training.checkpoints import Checkpoint


class EpochHistory:
    """The metrics of each epoch, the best epoch by the objective, and the seconds spent inside epochs.

    Epochs are counted from one. Where the protocol says so, the best epoch is the last one. An epoch without a required
    metric is an error or, with `may_skip`, one that was not scored.
    """

    def __init__(self, objective: Objective, protocol: Protocol) -> None:
        self.required: tuple[str, ...] = (objective.metric,)  # metrics that an epoch must have
        self.must_be_finite: tuple[str, ...] = ()  # beside the required ones
        self.may_skip = False
        self.epochs: list[Metrics] = []
        self.best_epoch: int | None = None
        self.seconds = 0.0
        self._objective, self._protocol = objective, protocol

    def __len__(self) -> int:
        return len(self.epochs)

    def resume(self, start: Checkpoint, *, is_copy: bool) -> None:
        """Begin with the history of a checkpoint. The best epoch of another trial (`is_copy`) is not this one's."""
        self.epochs, self.seconds = list(start.history), start.seconds
        self.best_epoch = None if is_copy else start.best_epoch

    def timed(self, epochs: Iterator[Metrics]) -> Iterator[Metrics]:
        """Yield the epochs, and add up the time spent inside them."""
        while True:
            started = time.perf_counter()
            metrics = next(epochs, None)
            self.seconds += time.perf_counter() - started
            if metrics is None:
                return
            yield metrics

    def add(self, metrics: Metrics) -> bool:
        """Add an epoch, and return True if it is the best so far. What is not finite counts as not measured.

        Raises:
            TrialError: a number that has to be finite is not, or a required metric is missing.
        """
        for name in (*self.required, *self.must_be_finite):
            if not math.isfinite(metrics.get(name, 0.0)):
                raise TrialError(Reason.DIVERGED, f"{name} was {metrics[name]} in epoch {len(self.epochs) + 1}")
        self.epochs.append({name: value for name, value in metrics.items() if math.isfinite(value)})
        if not self._is_scored(self.epochs[-1]):
            if not self.may_skip:
                raise self.without_score()
            return False
        if self._counts(self.epochs[-1]):
            self.best_epoch = len(self.epochs)
            return True
        return False

    def without_score(self) -> TrialError:
        """Return the error of a training in which no epoch, or the last one, could be judged."""
        if not self.epochs:
            return TrialError(Reason.INVALID, "the task's own code ended without an epoch")
        names = tuple(dict.fromkeys(name for epoch in self.epochs for name in epoch))
        missing = next((name for name in self.required if name not in names), self.required[0])
        words = f"no metric {missing!r} to judge by{near(missing, names)}; the trial has {', '.join(names)}"
        return TrialError(Reason.INVALID, words)

    def _is_scored(self, metrics: Metrics) -> bool:
        return all(name in metrics for name in self.required)

    def _counts(self, metrics: Metrics) -> bool:
        """Return True if a scored epoch is the trial's best one so far."""
        if self.best_epoch is None or self._protocol.scored_epoch == "last":
            return True
        return self._objective.is_better(metrics[self._objective.metric], self.score)

    @property
    def best(self) -> Metrics | None:
        """The metrics of the best epoch; None before the first epoch."""
        return None if self.best_epoch is None else self.epochs[self.best_epoch - 1]

    @property
    def score(self) -> float:
        """The objective at the best epoch; there is one after the first epoch."""
        assert self.best is not None
        return self.best[self._objective.metric]

    @property
    def is_over(self) -> bool:
        """True if all epochs are trained, or `patience` scored epochs brought no better score."""
        patience = self._protocol.patience
        since_best = 0 if self.best_epoch is None else sum(map(self._is_scored, self.epochs[self.best_epoch :]))
        return len(self.epochs) >= self._protocol.most_epochs or (patience is not None and since_best >= patience)
