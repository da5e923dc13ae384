"""Colour in tables on a terminal: the winner stands out, headings and notes step back."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator

import click

from tune_jobs.words import printable_lines

_RANK_ONE = re.compile(r" *1=? ")


def print_leaderboard(text: str) -> None:
    """Print a leaderboard: about the study, a table and notes, with blank lines in between.

    It has colour on a terminal that shows any, unless NO_COLOR is set.
    """
    printable = printable_lines(text)
    click.echo("".join(_coloured(printable)) if _has_colours() else printable, nl=not text.endswith("\n"))


def _has_colours() -> bool:
    if not sys.stdout.isatty():
        return False
    from rich.console import Console  # it knows NO_COLOR and what terminals can show

    console = Console()
    return console.color_system is not None and not console.no_color


def _coloured(text: str) -> Iterator[str]:
    about, _, rest = text.partition("\n\n")
    table, _, notes = rest.partition("\n\n")
    heading, *rows = table.splitlines(keepends=True)
    yield click.style(about, bold=True) + "\n\n" + click.style(heading, dim=True)
    yield from (click.style(row, fg="green", bold=True) if _RANK_ONE.match(row) else row for row in rows)
    yield "\n\n" + click.style(notes, dim=True)
