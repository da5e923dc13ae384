"""A worker makes room for a fresh one by what it holds between trials, not by what one of them needed."""

from __future__ import annotations

import pytest

from tune_jobs.execution import wear
from tune_jobs.execution.wear import Wear


def worn_after(*held_mb: float, machine_mb: float = 0.0) -> list[bool]:
    """Return whether a worker is worn out after each trial, if the trials left it holding so much memory."""
    readings = iter(held_mb)
    worker = Wear(lambda: next(readings), lambda: machine_mb)
    is_worn_out = []
    for _ in held_mb:
        worker.trial_ended()
        is_worn_out.append(worker.is_worn_out)
    return is_worn_out


def test_growth_counts_from_what_was_held_after_the_first_trial() -> None:
    first, most = 3000.0, wear._MAX_GROWTH_MB
    assert worn_after(first, first + most, first + most + 1, first) == [
        False,
        False,
        True,
        False,
    ]


def test_on_a_small_machine_less_is_too_much() -> None:
    most = wear._MAX_GROWTH_SHARE * 4000
    assert most < wear._MAX_GROWTH_MB
    assert worn_after(500.0, 500 + most, 501 + most, machine_mb=4000) == [False, False, True]


def test_trials_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wear, "_MAX_TRIALS", 3)
    assert worn_after(1.0, 1.0, 1.0, 1.0) == [False, False, True, True]


def test_where_memory_is_not_known_trials_alone_count() -> None:
    assert not any(worn_after(0.0, 0.0, 0.0))
