"""What is told of a sweep while it runs: that it begins, each new best trial, and how it ended.

A message is a JSON object. Its `event` is `begin`, `best`, `failure` or `end`, its `text` says the same in a sentence.
"""

from __future__ import annotations

import signal
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from tune_jobs.leaderboard.ranking import Row, summary
from tune_jobs.masking import redact
from tune_jobs.records.studies import StudyRecord
from tune_jobs.records.trials import TrialRecord
from tune_jobs.search_spaces.protocol import Objective
from tune_jobs.words import duration, printable

Send = Callable[[Mapping[str, Any]], None]
_LONGEST = 500  # characters of an error's message: a message has to fit into a pipe at once


def tell_nobody(message: Mapping[str, Any]) -> None:
    """Stand in where nobody is to be told."""


@dataclass(frozen=True)
class News:
    """Makes the messages of one run of a study; `secrets` are addresses whose passwords are hidden in them."""

    study: str
    task: str
    objective: Objective
    total: int | None = None  # trials of the study; None if unknown
    send: Send = tell_nobody
    secrets: tuple[str | None, ...] = ()
    _started: float = field(default_factory=time.monotonic)

    def begin(self, n_finished: int) -> None:
        """Tell that trials are about to run."""
        of = "" if self.total is None else f" of {self.total}"
        text = f"begins on {socket.gethostname()}; {n_finished}{of} trials have ended before"
        self.send(self._message("begin", text, finished=n_finished, total=self.total))

    def best(self, trial: TrialRecord) -> None:
        """Tell of a trial that is better than all before."""
        scored = {"score": trial.score, "trial": trial.number, "params": dict(trial.params)}
        self.send(self._message("best", self._best_words(trial.score, trial.number), **scored))

    def fail(self, why: str, record: StudyRecord | None = None) -> None:
        """Tell of a failure that ended the sweep. It is the last message."""
        why = printable(redact(" ".join(why.split())[:_LONGEST], *self.secrets))
        self.send(self._message("failure", f"has failed: {why}", message=why, **self._trials(record)))

    def end(self, record: StudyRecord, best: Row | None, number: int | None) -> None:
        """Tell that the sweep has ended, by the signal of this number if it was one. It is the last message."""
        early = "" if number is None else f" by {signal.Signals(number).name}"
        counts = summary(record.trials).words()
        text = f"has ended{early} after {duration(time.monotonic() - self._started)}; {counts}"
        scored: Mapping[str, Any] = {}
        if best is not None:
            text += f"; {self._best_words(best.score, best.trials[0])}"
            scored = {"score": best.score, "trial": best.trials[0], "params": dict(best.params)}
        self.send(self._message("end", text, signal=number, **scored, **self._trials(record)))

    def lost(self) -> Mapping[str, Any]:
        """Return the message for a process that ended without another: it was killed, or quit at once."""
        why = "its process ended without a word, as kill -9 or a second Ctrl-C ends one"
        return self._message("failure", f"has failed: {why}", message=why)

    def _message(self, event: str, text: str, **more: Any) -> Mapping[str, Any]:
        return {
            "event": event,
            "text": f"tune-jobs: study {self.study} {text}",
            "study": self.study,
            "task": self.task,
            "host": socket.gethostname(),
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "seconds": round(time.monotonic() - self._started, 1),
            "metric": self.objective.metric,
            "direction": self.objective.direction,
            **more,
        }

    def _best_words(self, score: float | None, number: int) -> str:
        return f"best {self.objective.metric} {'none' if score is None else f'{score:.4f}'}, trial {number}"

    def _trials(self, record: StudyRecord | None) -> Mapping[str, Any]:
        """Return how many trials of a study are in each state."""
        return {} if record is None else {"trials": dict(summary(record.trials).states)}
