"""The figure of learning curves: the best configurations over the others, those stopped, and those that failed."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

from tune_jobs.leaderboard import fronts
from tune_jobs.leaderboard.ranking import Row
from tune_jobs.records.studies import StudyRecord
from tune_jobs.records.trials import TrialRecord
from tune_jobs.study.optuna_view import Snapshot
from tune_jobs.study_report.figures import ABOVE, BLUE, GREEN, GREY, ORANGE, RED, Figure, view
from tune_jobs.words import counted, printable

_COLOURS = (BLUE, GREEN, "#a463b8", "#b8932b", "#4fa7c9")  # of the best configurations
_MOST = 300  # curves of each kind
_LONGEST = 200  # points of a curve

Points = list[tuple[int, float]]


def curves(snapshot: Snapshot, rows: Sequence[Row]) -> Iterator[Figure]:
    """Yield the figure of the first objective after each epoch, or fold, if any trial was scored in two."""
    record = snapshot.record
    metric, step = record.terms.objective.metric, record.terms.protocol.step
    known = {trial.number: points for trial in record.trials if len(points := points_of(trial, metric)) > 1}
    if not known:
        return
    foremost = fronts.first(rows) if record.terms.further_objectives else rows
    best = [row.trials[0] for row in foremost if row.is_result and row.trials[0] in known][: len(_COLOURS)]
    kinds = (("complete", GREY, 0.45), ("stopped", ORANGE, 0.6), ("failed", RED, 0.9))
    traces, drawn = [], 0
    for state, colour, opacity in kinds:
        group = [trial.number for trial in record.trials if trial.state == state and trial.number in known]
        group = [number for number in group if number not in best]
        if group:
            shown = _thin(group)
            drawn += len(shown)
            traces.append(_many(f"{state} ({len(group)})", colour, opacity, [known[number] for number in shown]))
    traces += [_one(f"best: trial {number}", known[number], place) for place, number in enumerate(best)]
    layout = {
        "xaxis": {"title": {"text": step}, "automargin": True},
        "yaxis": {"title": {"text": printable(metric)}, "automargin": True} | _range(record, known),
        "legend": ABOVE,
        "hovermode": "closest",
    }
    states = ", ".join(f"{sum(t.state == s for t in record.trials)} {s}" for s, _, _ in kinds)
    alt = f"{metric} after each {step} of {counted(drawn + len(best), 'trial')} ({states})"
    yield Figure("curves", alt, {"data": traces, "layout": layout}, 460)


def points_of(trial: TrialRecord, metric: str) -> Points:
    """Return a trial's epochs with its value after each, as far as it was scored and is finite."""
    values = [metrics.get(metric, metrics.get("score")) for metrics in trial.history]
    values = values or list(trial.scores)
    points = [(n, float(v)) for n, v in enumerate(values, start=1) if v is not None and math.isfinite(v)]
    every = math.ceil(len(points) / _LONGEST)
    return points if every < 2 else [*points[:-1:every], points[-1]]


def _thin(numbers: Sequence[int]) -> Sequence[int]:
    step = math.ceil(len(numbers) / _MOST)
    return numbers[::step]


def _many(name: str, colour: str, opacity: float, curves: Sequence[Points]) -> dict[str, Any]:
    """Return one trace for many curves, with gaps between them."""
    xs: list[int | None] = []
    ys: list[float | None] = []
    for points in curves:
        xs += [*(epoch for epoch, _ in points), None]
        ys += [*(_short(value) for _, value in points), None]
    line = {"color": colour, "width": 1}
    return {
        "type": "scatter",
        "mode": "lines",
        "name": name,
        "x": xs,
        "y": ys,
        "line": line,
        "opacity": opacity,
        "hoverinfo": "skip",
    }


def _one(name: str, points: Points, place: int) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "lines",
        "name": name,
        "x": [epoch for epoch, _ in points],
        "y": [_short(value) for _, value in points],
        "line": {"color": _COLOURS[place], "width": 2},
    }


def _short(value: float) -> float:
    return float(f"{value:.5g}")


def _range(record: StudyRecord, known: dict[int, Points]) -> dict[str, Any]:
    """Return the range that complete curves need after their first tenth, without those that are far off."""
    complete = [known[trial.number] for trial in record.trials if trial.state == "complete" and trial.number in known]
    later = [value for points in complete for _, value in points[len(points) // 10 :]]
    return view(later, record.terms.objective)
