"""Scores as people read them: four decimals, and more only where these would say nothing."""

from __future__ import annotations

from tune_jobs.exports.board import ABSENT


def score(value: float | None) -> str:
    """`0.9123`; `4.1e-05` for what is small, `-` for None."""
    if value is None:
        return ABSENT
    return f"{value:.4g}" if 0 < abs(value) < 1e-3 else f"{value:.4f}"


def std(value: float | None) -> str:
    """A deviation beside a score, to the same decimals: `0.0008`."""
    return ABSENT if value is None else signed(value).removeprefix("+")


def signed(value: float | None) -> str:
    """A difference: `+0.0012`; `+3.1e-05` for what four decimals would show as none."""
    if value is None:
        return ABSENT
    return f"{value:+.2g}" if 0 < abs(value) < 5e-5 else f"{value:+.4f}"


def between(interval: tuple[float, float] | None) -> str:
    """`0.9012-0.9198`."""
    return ABSENT if interval is None else "-".join(map(score, interval))


def between_signed(interval: tuple[float, float] | None) -> str:
    """`-0.0012 to +0.0198`: of a difference, whose ends may have a sign."""
    return ABSENT if interval is None else " to ".join(map(signed, interval))


def p_value(value: float | None) -> str:
    """`0.0123`; `<0.0001` for what is smaller."""
    if value is None:
        return ABSENT
    return "<0.0001" if value < 0.0001 else f"{value:.4f}"
