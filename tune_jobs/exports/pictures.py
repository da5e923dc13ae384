"""The pictures of a study's best trial as HTML: of its model at the best epoch, and of its training."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape

from tune_jobs.exports.board import Board
from tune_jobs.leaderboard import fronts
from tune_jobs.records import trial_pictures
from tune_jobs.records.trials import TrialRecord
from tune_jobs.words import printable


def shown_trial(board: Board) -> TrialRecord | None:
    """Return the trial whose pictures are shown: the best configuration's first one; None if it has none."""
    best = fronts.best(board.rows)
    trial = None if best is None else board.study.trial(best.trials[0])
    return trial if trial is not None and (trial.pictures or trial.progress) else None


def section(board: Board) -> Iterator[str]:
    """Yield the pictures under a heading of their own; nothing if there are none."""
    trial = shown_trial(board)
    if trial is not None:
        yield f"<h2>Pictures of trial {trial.number}</h2>"
        yield from figures(trial)


def figures(trial: TrialRecord) -> Iterator[str]:
    """Yield a trial's pictures of the best epoch, and those of its training from left to right."""
    yield from _figures(trial.pictures, f"epoch {trial.best_epoch}, the best")
    if trial.progress:
        yield '<div class="progress">'
        for each in trial.progress:
            yield from _figures(each.pictures, f"epoch {each.epoch}")
        yield "</div>"


def _figures(pictures: Mapping[str, str], when: str) -> Iterator[str]:
    for name, packed in pictures.items():
        words = escape(printable(f"{name}, {when}"))
        source = f"data:{trial_pictures.media_type(packed)};base64,{escape(packed)}"
        yield (f'<figure class="picture"><img alt="{words}" src="{source}"><figcaption>{words}</figcaption></figure>')
