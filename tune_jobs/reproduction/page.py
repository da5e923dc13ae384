"""The layout that the pages of results share: a title, what it was made from, and sections."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from tune_jobs.reproduction.reported import LEAST_EPOCHS, LEAST_IMAGES
from tune_jobs.words import counted


@dataclass(frozen=True)
class Origin:
    """What a page was made from: the number of studies, the machine it was made on, and when, in unix seconds."""

    studies: int
    machine: str
    made_at: float


@dataclass(frozen=True)
class Section:
    """A heading with the lines below it; empty lines at the end are left out."""

    heading: str
    lines: Iterable[str]


def rendered(title: str, command: str, origin: Origin, about: Sequence[str], sections: Sequence[Section]) -> str:
    """Return a page in Markdown: its title, what it was made from, an introduction, and its sections."""
    day = datetime.fromtimestamp(origin.made_at, UTC).strftime("%Y-%m-%d")
    made = f"Made by `{command}` on {day} from {counted(origin.studies, 'study')}, on {origin.machine}."
    lines = [f"# {title}", "", made, *about]
    for section in sections:
        lines += ["", f"## {section.heading}", "", *section.lines]
        while lines[-1] == "":
            lines.pop()
    return "\n".join(lines).rstrip("\n") + "\n"


def coverage(run: int, figures: int) -> Iterator[str]:
    """Say how many of the reported figures were run, and when a row counts."""
    yield f"{run} of {figures} were run: in full, or with at least {LEAST_IMAGES:,} images and {LEAST_EPOCHS} epochs."
    yield "What had less says nothing of a setting. It counts as not run, and its row says what it had."
    yield ""
