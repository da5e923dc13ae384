"""The epochs of a trial so far, which of them is the best, and when training has to end."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator

from tune_jobs.errors import Reason, TrialError
from tune_jobs.records.trials import Metrics
from tune_jobs.search_spaces.protocol import Objective, Protocol
from tune_jobs.training.checkpoints import Checkpoint


class EpochHistory:
    """The metrics of each epoch, the best epoch by the objective, and the seconds spent inside epochs.

    Epochs are counted from one.
    """

    def __init__(self, objective: Objective) -> None:
        self.required: tuple[str, ...] = (objective.metric,)  # metrics that each epoch must have
        self.epochs: list[Metrics] = []
        self.best_epoch: int | None = None
        self.seconds = 0.0
        self._objective = objective

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
        """Add an epoch, and return True if it is the best so far.

        Raises:
            TrialError: a number is not finite, or a required metric is missing.
        """
        for name, value in metrics.items():
            if not math.isfinite(value):
                raise TrialError(Reason.DIVERGED, f"{name} was {value} in epoch {len(self.epochs) + 1}")
        self.epochs.append(metrics)
        for name in self.required:
            if name not in metrics:
                raise TrialError(Reason.INVALID, f"no metric {name!r} to judge by; the trial has {', '.join(metrics)}")
        if self.best_epoch is None or self._objective.is_better(metrics[self._objective.metric], self.score):
            self.best_epoch = len(self.epochs)
            return True
        return False

    @property
    def best(self) -> Metrics | None:
        """The metrics of the best epoch; None before the first epoch."""
        return None if self.best_epoch is None else self.epochs[self.best_epoch - 1]

    @property
    def score(self) -> float:
        """The objective at the best epoch; there is one after the first epoch."""
        assert self.best is not None
        return self.best[self._objective.metric]

    def is_over(self, protocol: Protocol) -> bool:
        """Return True if all epochs are trained, or `patience` epochs brought no better score."""
        since_best = 0 if self.best_epoch is None else len(self.epochs) - self.best_epoch
        is_out_of_patience = protocol.patience is not None and since_best >= protocol.patience
        return len(self.epochs) >= protocol.epochs or is_out_of_patience
