"""What a sweep shows: a line an ended trial where nobody watches, a view of every state where somebody does."""

from __future__ import annotations

import io
import time
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from tests.support.trials import trial_record
from tune_jobs.live.activity import Activity
from tune_jobs.live.progress import Progress, SweepOutline, short_params
from tune_jobs.live.signals import Interruption
from tune_jobs.records.constraints import Constraint
from tune_jobs.records.trials import TrialRecord
from tune_jobs.search_spaces import Objective
from tune_jobs.words import duration

NOWHERE = Path("no-such-folder") / "activity"
PARAMS = {"units": 64, "learning_rate": 0.00123456, "dropout": "without"}


def progress(
    *earlier: TrialRecord, total: int | None = 8, interruption: Interruption | None = None, direction: str = "maximize"
) -> Progress:
    objective = Objective("val_accuracy", direction)  # type: ignore[arg-type]
    varied = ("units", "learning_rate")
    outline = SweepOutline("clock", objective, 12, varied, total, earlier)
    return Progress(outline, interruption or Interruption(), NOWHERE)


def trial(number: int, **fields: object) -> TrialRecord:
    return trial_record(number, PARAMS, started=100.0, finished=103.0, **fields)


def complete(number: int, score: float) -> TrialRecord:
    return trial(number, state="complete", score=score, best_epoch=4)


def running(number: int) -> TrialRecord:
    return trial(number, state="running")


def failed(number: int, message: str = "loss was nan in epoch 3") -> TrialRecord:
    return trial(number, state="failed", reason="diverged", message=message)


def seen(view: Progress, width: int = 100) -> str:
    console = Console(record=True, width=width, file=io.StringIO())
    console.print(view)
    return console.export_text()


def test_what_was_not_trained_counts_for_none_and_what_breaks_a_limit_is_not_the_best(
    capsys: pytest.CaptureFixture[str],
) -> None:
    outline = SweepOutline("clock", Objective("val_accuracy", "maximize"), 12, ("units",), 8)
    limited = replace(outline, constraints=(Constraint("parameters", "<=", 10.0),))
    view = Progress(limited, Interruption(), NOWHERE)
    view.trial_ended(trial(0, state="failed", reason="infeasible", message="parameters would be 12"))
    view.trial_ended(trial(1, state="complete", score=0.9, best_epoch=4, weights=11))
    view.trial_ended(trial(2, state="complete", score=0.5, best_epoch=4, weights=9))
    assert capsys.readouterr().err.splitlines()[0] == "[0/8] trial 0 not trained: parameters would be 12  units=64"
    text = seen(view)
    assert "2 done · 0 running · 1 not trained" in text
    assert "2/8" in text
    assert "best val_accuracy 0.5000" in text


def test_each_trial_that_is_better_than_all_before_is_told() -> None:
    told: list[TrialRecord] = []
    outline = SweepOutline("clock", Objective("val_accuracy", "maximize"), 12, ("units",), 8, (complete(0, 0.5),))
    view = Progress(outline, Interruption(), NOWHERE, told.append)
    for one in (complete(1, 0.4), complete(2, 0.6), complete(3, 0.6), failed(4), complete(5, 0.7)):
        view.trial_ended(one)
    assert [one.number for one in told] == [2, 5]


def test_the_time_left_is_that_of_the_pace_or_of_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    view = progress(complete(0, 0.5))
    assert view.seconds_left is None
    view.count_from_now()
    now[0] += 20.0
    view.trial_ended(complete(1, 0.5))
    assert view.seconds_left == 120.0  # six more trials of twenty seconds
    outline = replace(view._outline, time_limit_s=50.0)
    limited = Progress(outline, Interruption(), NOWHERE)
    now[0] += 15.0
    assert limited.seconds_left == 35.0


def test_before_the_first_trial_it_says_what_it_waits_for() -> None:
    text = seen(progress())
    assert "clock" in text
    assert "0 done · 0 running" in text
    assert "no score yet" in text
    assert "starting workers" in text


def test_a_running_trial_is_shown_with_its_epoch_score_and_what_varies() -> None:
    view = progress()
    view.trial_started(running(3))
    assert "0/12" in seen(view)
    view.epoch_ended(running(3), 5, {"val_accuracy": 0.875, "loss": 1.0})
    line = next(line for line in seen(view).splitlines() if "5/12" in line)
    assert line.split() == ["3", "5/12", "0.8750", "units=64", "learning_rate=0.00123"]
    assert "starting workers" not in seen(view)


def test_what_waits_is_shown_with_its_reason_until_it_begins() -> None:
    view = progress()
    reasons = {3: "its worker is starting", 4: "its worker is starting", 5: "no free slot: 2 at once, 1 CPU each"}
    view.activity_changed(Activity(reasons))
    assert [line for line in seen(view).splitlines() if line.startswith("trial ")] == [
        "trial 3: its worker is starting",
        "trial 4: its worker is starting",
    ]
    view.trial_started(running(3))
    assert "trial 3: its worker" not in seen(view)
    assert "trial 4: its worker" in seen(view)


def test_a_running_trial_nobody_announced_is_shown_too() -> None:
    view = progress()
    view.epoch_ended(running(3), 5, {"val_accuracy": 0.875})
    assert "5/12" in seen(view)


def test_ended_trials_are_counted_by_state_and_leave_the_table() -> None:
    view = progress()
    for number in range(3):
        view.trial_started(running(number))
    view.trial_ended(complete(0, 0.9))
    view.trial_ended(failed(1))
    text = seen(view)
    assert "1 done · 1 running · 1 failed" in text
    assert "2/8" in text
    assert "best val_accuracy 0.9000  trial 0" in text
    assert "trials/min" in text
    assert " left" in text


@pytest.mark.parametrize(("direction", "best"), [("maximize", 1), ("minimize", 0)])
def test_the_best_of_earlier_and_new_trials_is_shown_in_the_objectives_direction(direction: str, best: int) -> None:
    view = progress(complete(0, 0.2), direction=direction)
    view.trial_ended(complete(1, 0.8))
    assert f"  trial {best}  " in seen(view)


def test_a_stopped_trial_is_never_the_best() -> None:
    view = progress(complete(0, 0.2))
    view.trial_ended(trial(1, state="stopped", score=0.9, best_epoch=2))
    text = seen(view)
    assert "trial 0" in text
    assert "1 stopped" in text


def test_without_a_total_there_is_no_bar_and_no_time_left() -> None:
    view = progress(total=None)
    view.trial_ended(complete(0, 0.9))
    text = seen(view)
    assert "━" not in text
    assert " left" not in text


def test_an_interruption_is_shown_in_the_view() -> None:
    assert "Stopping: finished trials are kept" in seen(progress(interruption=Interruption(signal=2)))


@pytest.mark.parametrize("width", [20, 40, 60])
def test_a_narrow_terminal_keeps_a_line_a_trial(width: int) -> None:
    view = progress()
    view.trial_started(running(1))
    view.trial_started(running(2))
    height = len(seen(view, width=100).splitlines())
    assert len(seen(view, width).splitlines()) <= height + 2  # the headline may fold


def test_a_trial_in_a_rung_shows_its_images_in_place_of_its_epoch() -> None:
    view = progress()
    view.trial_started(running(1))
    view.activity_changed(Activity(images={1: 6000}))
    assert "6,000 images" in seen(view)
    assert "0/12" not in seen(view)
    view.activity_changed(Activity())
    assert "0/12" in seen(view)


def test_values_are_shown_as_they_are_even_where_they_look_like_markup() -> None:
    outline = SweepOutline("clock", Objective("a", "maximize"), 3, ("pooling",), total=2)
    view = Progress(outline, Interruption(), NOWHERE)
    view.trial_started(TrialRecord(0, {"pooling": "[bold]"}, seed=0, state="running"))
    assert "pooling=[bold]" in seen(view)


def test_off_a_terminal_every_ended_trial_is_a_line_on_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    view = progress(complete(0, 0.1))
    with view.shown():
        view.trial_started(running(1))
        view.epoch_ended(running(1), 1, {"val_accuracy": 0.5})
        view.trial_ended(complete(1, 0.9))
        view.trial_ended(failed(2))
        view.trial_ended(trial(3, state="stopped", score=0.4, best_epoch=1))
    out, err = capsys.readouterr()
    assert out == ""
    params = "units=64 learning_rate=0.00123"
    assert err.splitlines() == [
        f"[2/8] trial 1 complete val_accuracy 0.9000 at epoch 4 in 3.0 s  {params}",
        f"[3/8] trial 2 failed: diverged (loss was nan in epoch 3) in 3.0 s  {params}",
        f"[4/8] trial 3 stopped val_accuracy 0.4000 at epoch 1 in 3.0 s  {params}",
    ]


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.0, "0.0 s"),
        (9.94, "9.9 s"),
        (10.4, "10 s"),
        (59.4, "59 s"),
        (59.6, "1 min 0 s"),
        (125, "2 min 5 s"),
        (3599.6, "1 h 0 min"),
        (12_000, "3 h 20 min"),
        (100_000, "27 h 46 min"),
    ],
)
def test_durations_are_in_words(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_params_on_one_line_are_those_that_vary_and_are_there() -> None:
    assert short_params({"a": 1, "c": None, "b": 1e-5}, ("b", "a", "missing")) == "b=1e-05 a=1"
