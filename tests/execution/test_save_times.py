"""Checkpoints are as often as one asked for or, unasked, so seldom that they cost next to nothing."""

from __future__ import annotations

from tune_jobs.execution.save_times import SaveTimes


def test_a_checkpoint_is_due_after_every_so_many_epochs() -> None:
    times = SaveTimes(3, at_all=False)
    assert [epoch for epoch in range(1, 8) if times.is_due(epoch)] == [3, 6]


def test_unasked_the_first_comes_after_5_s_and_the_next_after_20_times_what_it_took() -> None:
    now = 100.0
    times = SaveTimes(None, at_all=True, now=lambda: now)
    dues = []
    for second in range(1, 60):
        now = 100.0 + second
        if times.is_due(second):
            dues.append(second)
            with times.saving():
                now += 1.0 if len(dues) == 1 else 0.1
    assert dues == [5, 26, 32, 38, 44, 50, 56]


def test_without_state_there_is_none() -> None:
    now = 0.0
    times = SaveTimes(None, at_all=False, now=lambda: now)
    now = 1e6
    assert not times.is_due(1)
