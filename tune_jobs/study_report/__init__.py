"""A study as one HTML file with figures, that opens without a network: what came out, and how far to trust it.

`text` makes the page of a study. The figures are Optuna's where they serve and Plotly's in any case; Plotly's script
is in the page once. Importing this room takes no framework along.
"""

from __future__ import annotations

from collections.abc import Sequence

from tune_jobs.leaderboard.comparison import Comparison
from tune_jobs.records.studies import StudyRecord
from tune_jobs.settings import Settings

FILE = "report.html"  # beside the leaderboard


def text(record: StudyRecord, settings: Settings) -> str:
    """Return the report of a study as it was when its record was read.

    Raises:
        StudyError: there is no such study any more.
    """
    from tune_jobs.study.optuna_view import Snapshot
    from tune_jobs.study_report import page

    return page.html_text(Snapshot.of(record, settings))


def comparison_text(records: Sequence[StudyRecord], compared: Comparison) -> str:
    """Return the report of studies whose winners were compared."""
    from tune_jobs.study_report import several

    return several.html_text(records, compared)
