"""Colour in the table that a launch ends with: on a terminal that shows any, and not against the user's wish."""

from __future__ import annotations

import sys

import click
import pytest

from tune_jobs.cli import colours

TEXT = "study a: b\nin all rows: c=1\n\nrank  score\n   1    0.9\n  1=    0.9\n  10    0.1\n\n3 trials\na note\n"


def pretend_to_be_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setattr("click.echo", lambda text, nl: sys.stdout.write(text))  # it would look at the real one
    monkeypatch.setenv("TERM", "xterm-256color")
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)


def test_on_a_terminal_the_winner_stands_out(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pretend_to_be_a_terminal(monkeypatch)
    colours.print_leaderboard(TEXT)
    printed = capsys.readouterr().out
    assert click.unstyle(printed) == TEXT
    assert click.style("   1    0.9\n", fg="green", bold=True) in printed
    assert click.style("  1=    0.9\n", fg="green", bold=True) in printed
    assert "\x1b[0m  10    0.1\n" in printed


@pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_who_wants_no_colour_has_none(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    pretend_to_be_a_terminal(monkeypatch)
    monkeypatch.setenv(name, value)
    colours.print_leaderboard(TEXT)
    assert capsys.readouterr().out == TEXT


def test_no_control_character_of_a_text_reaches_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    colours.print_leaderboard("study \x1b[31mred\n\nrank\n  1 a\n\nnote\n")
    assert "\x1b" not in capsys.readouterr().out
