"""The leaderboard as aligned text for a terminal and as a Markdown table."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Sequence

from tune_jobs.exports.board import ABSENT, Board, Column
from tune_jobs.words import printable

_WIDTH = 120
_BRIEF = 80
_GAP = "  "
_EMPTY = "no trial has a score yet"
_LESS = ("state", "places", "95 %", "std")  # what goes last where there is no room for it, the last first


def text(board: Board, width: int = _WIDTH) -> str:
    """Return aligned text of at most `width` columns, or as few more as there have to be.

    If there is not enough room, details are left out. Then the last parameters move to a second line of each row, and
    then the last numbers.
    """
    same = "  ".join(f"{name}={value}" for name, value in board.same)
    head = [printable(board.about), *([f"in all rows: {same}"] if same else [])]
    rows = list(_rows(board.columns, width)) if board.shown else [_EMPTY]
    return _page(head, rows, board.notes, width)


def brief(board: Board) -> str:
    """Return aligned text of at most 80 columns with one line for each row.

    If there is not enough room, details are left out, then the parameters that differ least among the rows.
    """
    if not board.shown:
        return _page([printable(board.about)], [_EMPTY], board.notes, _BRIEF)
    shown, left_out = _brief_columns(board.columns)
    notes = board.notes
    if left_out:
        notes = (*notes, f"`tune-jobs leaderboard {board.study.name}` shows {', '.join(left_out)} too")
    rows = [_aligned(shown, [column.heading for column in shown])]
    rows += [_aligned(shown, [column.cells[index] for column in shown]) for index in range(len(board.shown))]
    return _page([printable(board.about)], rows, notes, _BRIEF)


def _brief_columns(columns: Sequence[Column]) -> tuple[list[Column], list[str]]:
    """Return the columns that fit, and the headings of parameters that do not."""
    shown = list(columns)
    left_out: list[str] = []
    params = sorted((c for c in columns if c.kind == "param"), key=lambda c: -len(set(c.cells)))  # stable
    to_go = [column for column in columns if column.kind != "param" and column.heading in _LESS]
    to_go = [*to_go, *params, *(column for column in columns if column.kind == "detail")]
    while to_go and _total(shown) > _BRIEF:
        column = to_go.pop()
        shown.remove(column)
        if column.kind == "param":
            left_out.insert(0, column.heading)
    return shown, left_out


def _total(columns: Sequence[Column]) -> int:
    return sum(column.width + len(_GAP) for column in columns) - len(_GAP)


def _page(head: Sequence[str], rows: Sequence[str], notes: Sequence[str], width: int) -> str:
    lines = [part for line in head for part in _wrapped(line, "    ", width)]
    foot = [part for note in notes for part in _wrapped(printable(note), "  ", width)]
    return "\n".join([*lines, "", *rows, "", *foot]) + "\n"


def markdown(board: Board) -> str:
    """Return a section with a table in GitHub's Markdown."""
    lines = [f"# Leaderboard of {escaped(board.study.name)}", "", escaped(board.about)]
    if board.same:
        lines += [
            "",
            "In all rows: " + ", ".join(f"{escaped(name)} = {escaped(value)}" for name, value in board.same),
        ]
    if board.shown:
        columns = board.columns
        rules = [":--" if _is_left(column) else "--:" for column in columns]
        lines += ["", _piped(escaped(column.heading) for column in columns), _piped(rules)]
        lines += [_piped(escaped(column.cells[index]) for column in columns) for index in range(len(board.shown))]
    else:
        lines += ["", "No trial has a score yet."]
    return "\n".join([*lines, "", *(f"- {escaped(note)}" for note in board.notes)]) + "\n"


def _rows(columns: Sequence[Column], width: int) -> Iterator[str]:
    """Yield the headings, then each row with the line of its folded parameters."""
    shown, folded = _fold(columns, width)
    yield _aligned(shown, [column.heading for column in shown])
    for index in range(len(columns[0].cells)):
        yield _aligned(shown, [column.cells[index] for column in shown])
        rest = _GAP.join(
            f"{column.heading}={column.cells[index]}" for column in folded if column.cells[index] != ABSENT
        )
        if rest:
            yield from _wrapped(f"      {rest}", "      ", width)


def _fold(columns: Sequence[Column], width: int) -> tuple[list[Column], list[Column]]:
    """Return the columns that fit side by side, and those that do not: parameters, then what is told of the score."""
    shown = list(columns)
    folded: list[Column] = []
    told = columns[2:-1]  # the place and the score begin a row, and its trials end it
    to_go = [column for kind in ("number", "param", "detail") for column in told if column.kind == kind]
    while to_go and _total(shown) > width:
        column = to_go.pop()
        shown.remove(column)
        if column.kind != "detail":
            folded.append(column)
    return shown, [column for column in columns if column in folded]


def _aligned(columns: Sequence[Column], cells: Sequence[str]) -> str:
    padded = (
        cell.ljust(column.width) if _is_left(column) else cell.rjust(column.width)
        for column, cell in zip(columns, cells, strict=True)
    )
    return _GAP.join(padded).rstrip()


def _is_left(column: Column) -> bool:
    return column.kind in ("text", "param")


def _wrapped(line: str, indent: str, width: int) -> list[str]:
    if len(line) <= width and line.isprintable():  # most are, and textwrap takes its time
        return [line.rstrip()]
    return textwrap.wrap(line, width, subsequent_indent=indent, break_on_hyphens=False) or [""]


def _piped(cells: Iterator[str] | Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def escaped(cell: str) -> str:
    """Return text that Markdown shows as it is. An underscore inside a word needs no escape."""
    escaped = re.sub(r"([\\`*\[\]<>|~$#])", r"\\\1", printable(cell).replace("&", "&amp;"))
    return re.sub(r"(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])", r"\\_", escaped)
