"""Tables of commands: all columns in a pipe, and those that there is room for on a terminal."""

from __future__ import annotations

from typing import cast

import pytest

from tune_jobs.cli import compare, options
from tune_jobs.leaderboard.comparison import Comparison, Winner

COLUMNS = ("study", "task", "trials", "best", "energy")
ROWS = [("small", "digits-mlp", 12, 0.5, None), ("large", "digits-cnn", 3, 0.25, None)]


def printed(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, width: int | None) -> list[str]:
    monkeypatch.setattr(options, "terminal_width", lambda: width)
    options.print_table(COLUMNS, ROWS, less=("task", "best"))
    return capsys.readouterr().out.splitlines()


def test_a_pipe_gets_every_column(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    whole = ["study  task        trials    best  energy", "small  digits-mlp      12  0.5000       -"]
    assert printed(capsys, monkeypatch, None)[:2] == whole
    assert printed(capsys, monkeypatch, 41)[:2] == whole  # as does a terminal of just that width


@pytest.mark.parametrize(
    ("width", "heading", "row"),
    [
        (40, "study  task        trials    best", "small  digits-mlp      12  0.5000"),
        (32, "study  trials    best", "small      12  0.5000"),
        (20, "study  trials", "small      12"),
        (5, "study  trials", "small      12"),
    ],
)
def test_a_narrow_terminal_does_without_what_is_empty_and_what_matters_less(
    width: int, heading: str, row: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert printed(capsys, monkeypatch, width)[:2] == [heading, row]


def test_the_width_is_that_of_a_terminal_and_at_most_120(monkeypatch: pytest.MonkeyPatch) -> None:
    assert options.terminal_width() is None
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    for columns, width in (("80", 80), ("200", 120)):
        monkeypatch.setenv("COLUMNS", columns)
        assert options.terminal_width() == width


def test_winners_fit_a_narrow_terminal(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    name, interval = "mnist-cnn-factors", "0.9487-0.9602"
    winner = (name, name, "val_accuracy", 1, 0.9548, 0.001, interval, 0.9612, interval)
    monkeypatch.setattr(options, "terminal_width", lambda: 80)
    monkeypatch.setattr(compare, "_winner", lambda _: winner)
    compare._print(Comparison((cast(Winner, None),), ()))
    heading, row = capsys.readouterr().out.splitlines()
    assert heading.split() == ["study", "metric", "n", "mean", "std", "95", "%", "test"]
    assert max(len(heading), len(row)) <= 80
