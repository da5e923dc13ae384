"""Tables for people: aligned text for a terminal, HTML for a notebook."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from html import escape
from typing import Generic, TypeVar, overload

Item = TypeVar("Item")


def text_table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return an aligned table as text."""
    lines = [list(columns), *([_text(cell) for cell in row] for row in rows)]
    widths = [max(len(line[at]) for line in lines) for at in range(len(columns))]
    return "\n".join("  ".join(map(str.ljust, line, widths)).rstrip() for line in lines)


def html_table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return a table as HTML, in whatever style the page around it has."""
    head = "".join(f"<th>{escape(column)}</th>" for column in columns)
    body = "".join(f"<tr>{''.join(f'<td>{escape(_text(cell))}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


class Listing(Sequence[Item], Generic[Item]):
    """Things in order that show themselves as a table, with a line for each."""

    def __init__(
        self, items: Sequence[Item], columns: Sequence[str], row: Callable[[Item], Sequence[object]], empty: str
    ) -> None:
        self._items, self._columns, self._row, self._empty = tuple(items), columns, row, empty

    @overload
    def __getitem__(self, index: int) -> Item: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Item]: ...
    def __getitem__(self, index: int | slice) -> Item | Sequence[Item]:
        return self._items[index]

    def __len__(self) -> int:
        return len(self._items)

    def __iter__(self) -> Iterator[Item]:
        return iter(self._items)

    def __repr__(self) -> str:
        return text_table(self._columns, self._rows) if self._items else self._empty

    def _repr_html_(self) -> str:
        return html_table(self._columns, self._rows) if self._items else f"<p>{escape(self._empty)}</p>"

    @property
    def _rows(self) -> list[Sequence[object]]:
        return [self._row(item) for item in self._items]


def _text(cell: object) -> str:
    if cell is None:
        return "-"
    return f"{cell:.4f}" if isinstance(cell, float) else str(cell)
