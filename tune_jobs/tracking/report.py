"""What the last delivery of a study has to say, in a file: for the command that waits for it, and for `status`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass

from tune_jobs import files
from tune_jobs.decoding import ContentError, decode_json
from tune_jobs.errors import UserError
from tune_jobs.settings import Settings


@dataclass(frozen=True)
class Report:
    """Why MLflow does not have a study, what it has no place for, and what happened to it there."""

    problem: str | None = None
    left_out: tuple[str, ...] = ()
    news: tuple[str, ...] = ()

    def lines(self) -> Iterator[str]:
        """Yield a line for each thing to say."""
        yield from self.news
        yield from (f"MLflow refused, and has not: {item}" for item in self.left_out)
        if self.problem is not None:
            yield self.problem


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
