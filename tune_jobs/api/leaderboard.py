"""A study's leaderboard as an object: configurations in order, as rows, as text, as HTML and as a DataFrame."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, overload

from tune_jobs import exports
from tune_jobs.api.tables import html_table
from tune_jobs.leaderboard.ranking import Row
from tune_jobs.records.studies import StudyRecord

if TYPE_CHECKING:
    import pandas as pd


class Leaderboard(Sequence[Row]):
    """The configurations of a study, best first, with what is known about the order.

    >>> board = tj.open("digits-mlp").leaderboard(top=2)
    >>> [row.rank for row in board]
    [1, 2]
    >>> board[0].score == tj.open("digits-mlp").best_score
    True
    >>> board.to_pandas()[["rank", "n", "params.units"]].shape
    (2, 3)
    """

    def __init__(self, record: StudyRecord, top: int | None = None) -> None:
        self._record, self._top = record, top
        self._board = exports.board_of(record, top)

    @overload
    def __getitem__(self, index: int) -> Row: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Row]: ...
    def __getitem__(self, index: int | slice) -> Row | Sequence[Row]:
        return self._board.shown[index]

    def __len__(self) -> int:
        return len(self._board.shown)

    def __iter__(self) -> Iterator[Row]:
        return iter(self._board.shown)

    def to_pandas(self) -> pd.DataFrame:
        """Return a row for each configuration, with the columns of the CSV export; params are `params.NAME`."""
        from tune_jobs.api import frames

        return frames.leaderboard_frame(self._board)

    def to_text(self, format: exports.Format = "table") -> str:  # noqa: A002 - the option's name
        """Return the leaderboard in a format of the command: `table`, `csv`, `json`, `md` or `html`."""
        return exports.render(self._record, format, self._top)

    def __repr__(self) -> str:
        return self.to_text().rstrip("\n")

    def _repr_html_(self) -> str:
        columns = self._board.columns if self._board.shown else ()
        cells = [[column.cells[at] for column in columns] for at in range(len(self))]
        return html_table([column.heading for column in columns], cells) + html_notes(self._board.notes)


def html_notes(notes: Sequence[str]) -> str:
    """Return notes below a table as HTML."""
    from html import escape

    return f"<p>{'<br>'.join(map(escape, notes))}</p>"
