"""What the last delivery of a study has to say, in a file: for the command that waits for it, and for `status`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from tune_jobs import files
from tune_jobs.decoding import ContentError, decode_json
from tune_jobs.errors import StudyError, UserError
from tune_jobs.settings import Settings
from tune_jobs.study.study import Study
from tune_jobs.tracking import views


@dataclass(frozen=True)
class Report:
    """Why MLflow does not have a study, what it has no place for, and what happened to it there."""

    problem: str | None = None
    left_out: tuple[str, ...] = ()
    news: tuple[str, ...] = ()
    view: str | None = None  # the address of the study's trials, below that of MLflow

    def lines(self) -> Iterator[str]:
        """Yield a line for each thing to say."""
        yield from self.news
        yield from (f"MLflow refused, and has not: {item}" for item in self.left_out)
        if self.problem is not None:
            yield self.problem


def find_view(study: str | None, settings: Settings) -> tuple[str | None, str]:
    """Return a study and the address of its trials, below that of MLflow; without a name the study delivered last.

    Without any study the address is that of MLflow's page of experiments.

    Raises:
        StudyError: there is no such study, or MLflow has no view of it.
    """
    if study is None:
        files = sorted(settings.studies_dir.glob("*.delivery"), key=_modified_at, reverse=True)
        known = ((file.stem, read(file.stem, settings).view) for file in files)
        return next(((name, view) for name, view in known if view is not None), (None, views.ALL_STUDIES))
    view = read(study, settings).view
    if view is None:
        Study.open(study, settings)
        raise StudyError(f"MLflow has no view of study {study!r} yet: run `tune-jobs sync {study}`")
    return study, view


def _modified_at(file: Path) -> float:
    try:
        return file.stat().st_mtime
    except OSError:
        return 0.0


def server_address(study: str, settings: Settings) -> str | None:
    """Return the address of a study's trials on the MLflow server; None if there is no server or no view."""
    view = read(study, settings).view
    is_served = settings.tracking_uri.startswith("http") and view is not None
    return f"{settings.shown_tracking_uri.rstrip('/')}/{view}" if is_served else None


def write(study: str, settings: Settings, report: Report) -> None:
    """Keep a report until the next delivery. A full disk loses it."""
    with suppress(UserError, OSError):
        files.write(
            settings.delivery_file(study), json.dumps(asdict(report), ensure_ascii=False), durable=False, mode=0o600
        )


def read(study: str, settings: Settings) -> Report:
    """Return the report of the last delivery; an empty one if there is none."""
    try:
        return decode_json(Report, settings.delivery_file(study).read_bytes(), "the report")
    except (OSError, ContentError):
        return Report()
