"""How a search went: the configurations that it tried in the order in which they ended, and the best so far.

The cost of a search is counted in epochs, since a trial that a scheduler stopped cost less than one that was not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tune_jobs.records.studies import StudyRecord
from tune_jobs.records.trials import State, TrialRecord


@dataclass(frozen=True)
class Step:
    """A configuration at the end of its first trial.

    `epochs` were trained until then in all trials of the search. `best` is the best score so far of those that ran in
    full, None before there is one: how a stopped trial would have ended is unknown.
    """

    number: int  # of the trial
    state: State
    epochs: int
    score: float | None
    best: float | None


def history(study: StudyRecord) -> tuple[Step, ...]:
    """Return the steps of a search, in the order in which its trials ended; further seeds are none."""
    ended = sorted((trial for trial in study.searched if trial.is_finished), key=_end)
    steps: list[Step] = []
    for trial in ended:
        epochs = trial.n_epochs + (steps[-1].epochs if steps else 0)
        best = steps[-1].best if steps else None
        if trial.state == "complete" and trial.score is not None:
            best = trial.score if best is None else study.terms.objective.best([best, trial.score])
        steps.append(Step(trial.number, trial.state, epochs, trial.score, best))
    return tuple(steps)


def best_after(steps: Sequence[Step], epochs: int) -> float | None:
    """Return the best score that a search had when this many epochs were trained; None if it had none."""
    within = [step.best for step in steps if step.epochs <= epochs]
    return within[-1] if within else None


def _end(trial: TrialRecord) -> tuple[float, int]:
    return trial.finished or 0.0, trial.number
