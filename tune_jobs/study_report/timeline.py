"""The figure of the workers over time: what each did, where, and why it did nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from tune_jobs.records.trials import State, TrialRecord
from tune_jobs.study_report.figures import ABOVE, GREEN, GREY, ORANGE, RED, Figure
from tune_jobs.words import counted, duration, printable

_COLOURS: Mapping[State, str] = {"complete": GREEN, "stopped": ORANGE, "failed": RED}
_PAUSE_S = 60.0  # in which nothing ran: the study was not being run
_MOST_LANES = 64


@dataclass(frozen=True)
class Lane:
    """A place with its trials in order, none of which overlaps another; a device with two trials at once has two."""

    name: str
    trials: tuple[TrialRecord, ...]

    @property
    def busy_s(self) -> float:
        return sum(trial.seconds or 0.0 for trial in self.trials)


@dataclass(frozen=True)
class Idle:
    """How long a lane did nothing while the study was being run: between its trials, and at the end."""

    between_s: float  # a worker started, was told what to do next, or waited for its population
    end_s: float  # no trial was left for it, and others still ran


def lanes(trials: Sequence[TrialRecord]) -> tuple[Lane, ...]:
    """Return the lanes of all trials that ended, by place; without a place, as many as ran at once."""
    by_place: dict[str, list[TrialRecord]] = {}
    for trial in sorted(_timed(trials), key=lambda trial: trial.started or 0.0):
        by_place.setdefault(trial.place or "worker", []).append(trial)
    return tuple(lane for place in sorted(by_place) for lane in _apart(printable(place), by_place[place]))


def _timed(trials: Sequence[TrialRecord]) -> list[TrialRecord]:
    return [trial for trial in trials if trial.started is not None and trial.finished is not None]


def _apart(place: str, trials: Sequence[TrialRecord]) -> Iterator[Lane]:
    """Yield lanes on which no two trials overlap: each takes the lane that has been free for the shortest time."""
    held: list[list[TrialRecord]] = []
    for trial in trials:
        started = (trial.started or 0.0) + 0.5  # clocks are read a moment apart
        free = [lane for lane in held if (lane[-1].finished or 0.0) <= started]
        if free:
            max(free, key=lambda lane: lane[-1].finished or 0.0).append(trial)
        else:
            held.append([trial])
    for number, several in enumerate(held, start=1):
        yield Lane(place if len(held) == 1 else f"{place} · {number}", tuple(several))


def spans(trials: Sequence[TrialRecord]) -> tuple[tuple[float, float], ...]:
    """Return the times in which the study was being run: from a trial's start to an end that no other follows."""
    found: list[tuple[float, float]] = []
    for trial in sorted(_timed(trials), key=lambda trial: trial.started or 0.0):
        start, end = trial.started or 0.0, trial.finished or 0.0
        if found and start <= found[-1][1] + _PAUSE_S:
            found[-1] = found[-1][0], max(end, found[-1][1])
        else:
            found.append((start, end))
    return tuple(found)


def idle(lane: Lane, runs: Sequence[tuple[float, float]]) -> Idle:
    """Return how long a lane did nothing in the runs that it had a trial in."""
    between = at_end = 0.0
    for start, end in runs:
        inside = [trial for trial in lane.trials if start <= (trial.started or 0.0) <= end]
        if inside:
            last = max(trial.finished or 0.0 for trial in inside)
            first = min(trial.started or 0.0 for trial in inside)
            between += max(0.0, last - first - sum(trial.seconds or 0.0 for trial in inside))
            at_end += max(0.0, end - last)
    return Idle(between, at_end)


def timeline(trials: Sequence[TrialRecord]) -> Iterator[Figure]:
    """Yield the figure, if any trial has a start and an end."""
    shown = lanes(trials)[:_MOST_LANES]
    if not shown:
        return
    states = [state for state in _COLOURS if any(trial.state == state for lane in shown for trial in lane.trials)]
    names = [lane.name for lane in shown]
    layout = {
        "barmode": "overlay",
        "xaxis": {"type": "date", "automargin": True, "tickangle": 0, "title": {"text": "time (UTC)", "standoff": 12}},
        "yaxis": {"categoryorder": "array", "categoryarray": names[::-1], "automargin": True},
        "legend": ABOVE,
        "showlegend": True,
        "bargap": 0.25,
    }
    n_trials = sum(len(lane.trials) for lane in shown)
    alt = f"{counted(n_trials, 'trial')} on {counted(len(shown), 'worker')} over time"
    data = [_bars(state, shown) for state in states]
    yield Figure("timeline", alt, {"data": data, "layout": layout}, 150 + 26 * len(shown))


def _bars(state: State, shown: Sequence[Lane]) -> dict[str, Any]:
    trials = [(lane.name, trial) for lane in shown for trial in lane.trials if trial.state == state]
    return {
        "type": "bar",
        "orientation": "h",
        "name": f"{state} ({len(trials)})",
        "y": [name for name, _ in trials],
        "base": [_utc(trial.started or 0.0) for _, trial in trials],
        "x": [round(1000 * (trial.seconds or 0.0)) for _, trial in trials],
        "text": [_hover(trial) for _, trial in trials],
        "textposition": "none",
        "hovertemplate": "%{text}<extra></extra>",
        "marker": {"color": _COLOURS.get(state, GREY), "line": {"width": 0.5, "color": "rgba(255,255,255,.6)"}},
    }


def _hover(trial: TrialRecord) -> str:
    why = f": {printable(trial.reason)}" if trial.reason else ""
    return f"trial {trial.number}, {trial.state}{why}, {duration(trial.seconds or 0.0)}"


def _utc(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
