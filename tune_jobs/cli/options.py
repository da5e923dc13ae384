"""The options that several commands share, and how commands print their results."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from tune_jobs.settings import Settings
from tune_jobs.words import printable, printable_lines

Command = TypeVar("Command", bound=Callable[..., Any])

home_option = click.option(
    "--home",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Folder for all state (default: TUNE_JOBS_HOME, else ~/.tune-jobs).",
)
data_dir_option = click.option(
    "--data-dir",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Folder of data sets (default: TUNE_JOBS_DATA, else HOME/data).",
)
address_option = click.option(
    "--address",
    metavar="URL",
    help="Address of a cluster's dashboard, such as http://127.0.0.1:8265 (default: TUNE_JOBS_ADDRESS).",
)
epochs_option = click.option(
    "--epochs", type=click.IntRange(min=1), metavar="N", help="Maximum epochs of a trial (default: the task's)."
)
images_option = click.option(
    "--images", type=click.IntRange(min=1), metavar="N", help="Train on N images, stratified by class (default: all)."
)
moved_task_option = click.option(
    "--task", metavar="FILE.py:NAME", help="Where the model's task is, if its file was moved."
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")


def top_option(default: int) -> Callable[[Command], Command]:
    """Return a decorator that adds --top with its default."""
    number = click.IntRange(min=1)
    return click.option(
        "--top", type=number, metavar="N", default=default, show_default=True, help="Number of configurations."
    )


def assignments(ctx: click.Context, param: click.Parameter, texts: tuple[str, ...]) -> dict[str, str]:
    """Read NAME=VALUE of an option that can be repeated.

    Raises:
        click.BadParameter: a text of another form, or a name twice.
    """
    values: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not (name and equals and value):
            raise click.BadParameter(f"needs NAME=VALUE, NAME=A,B or NAME=LOW..HIGH; got {text!r}")
        if name in values:
            raise click.BadParameter(f"{name} is set twice; give all its values at once: {name}={values[name]},{value}")
        values[name] = value
    return values


def read_settings(home: Path | None, data_dir: Path | None = None) -> Settings:
    return Settings.read(home, data_dir)


def say(message: str) -> None:
    """Print a message to stderr, beside the result on stdout."""
    click.echo(printable_lines(message), err=True)


def say_view(study: str, address: str | None) -> None:
    """Say where MLflow shows a study's trials: at an address of a server, or once `ui` has started one."""
    say(f"Its trials are at {address}" if address else f"`tune-jobs ui {study} --open` shows its trials")


def print_text(text: str = "", *, nl: bool = True) -> None:
    """Print a result to stdout."""
    click.echo(printable_lines(text), nl=nl)


def print_json(value: object) -> None:
    print_text(json.dumps(value, indent=2))


def terminal_width() -> int | None:
    """Return how many columns a table may have, at most 120; None where stdout is no terminal."""
    return min(120, shutil.get_terminal_size().columns) if sys.stdout.isatty() else None


def print_table(columns: Sequence[str], rows: Sequence[Sequence[object]], less: Sequence[str] = ()) -> None:
    """Print a plain, aligned table; columns of numbers are aligned to the right.

    On a terminal that is too narrow, columns without any value are left out, then those of `less`, the first of them
    first.
    """
    shown = [_aligned(column, [row[i] for row in rows]) for i, column in enumerate(columns)]
    width = terminal_width()
    empty = [column for i, column in enumerate(columns) if all(row[i] is None for row in rows)]
    for name in (*empty, *less):
        if width is None or sum(len(cells[0]) + 2 for cells in shown) - 2 <= width:
            break
        shown = [cells for cells in shown if cells[0].strip() != name]
    for line in zip(*shown, strict=True):
        print_text("  ".join(line).rstrip())


def _aligned(heading: str, cells: Sequence[object]) -> list[str]:
    """Return the heading and the cells of a column as texts of one width."""
    texts = [heading, *map(_text, cells)]
    width = max(map(len, texts))
    is_number = all(isinstance(cell, int | float | None) for cell in cells)
    return [text.rjust(width) if is_number else text.ljust(width) for text in texts]


def _text(cell: object) -> str:
    if cell is None:
        return "-"
    return f"{cell:.4f}" if isinstance(cell, float) else printable(str(cell))
