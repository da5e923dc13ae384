"""Scores as people read them: four decimals, or more if a small number needs them."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from tune_jobs.exports.board import ABSENT
from tune_jobs.search_spaces.protocol import Objective
from tune_jobs.words import span

_REACH = 3  # times the distance of the median from the best


def score(value: float | None) -> str:
    """Return `0.9123`; `4.1e-05` for a small value, `-` for None."""
    if value is None:
        return ABSENT
    return f"{value:.4g}" if 0 < abs(value) < 1e-3 else f"{value:.4f}"


def std(value: float | None) -> str:
    """Return a standard deviation, to the decimals of a score: `0.0008`."""
    return ABSENT if value is None else signed(value).removeprefix("+")


def signed(value: float | None) -> str:
    """Return a difference: `+0.0012`; `+3.1e-05` for one that four decimals would show as zero."""
    if value is None:
        return ABSENT
    return f"{value:+.2g}" if 0 < abs(value) < 5e-5 else f"{value:+.4f}"


def between(interval: tuple[float, float] | None) -> str:
    """Return an interval: `0.9012-0.9198`."""
    return ABSENT if interval is None else span(*map(score, interval))


def between_signed(interval: tuple[float, float] | None) -> str:
    """Return the interval of a difference, whose ends may have a sign: `-0.0012 to +0.0198`."""
    return ABSENT if interval is None else " to ".join(map(signed, interval))


def p_value(value: float | None) -> str:
    """Return `0.0123`; `<0.0001` for a smaller value."""
    if value is None:
        return ABSENT
    return "<0.0001" if value < 0.0001 else f"{value:.4f}"


def within_reach(values: Sequence[float], objective: Objective) -> list[float]:
    """Return values, the best first, without those that are more than three times as far from the best as the median.

    A network that learned nothing would flatten all others on a scale.
    """
    ordered = sorted(values, reverse=objective.direction == "maximize")
    reach = _REACH * abs(statistics.median(ordered) - ordered[0]) if ordered else 0.0
    return [value for value in ordered if reach == 0 or abs(value - ordered[0]) <= reach]
