"""What both pages of results have in common: how they are made of sections, and where their plots are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime


@dataclass(frozen=True)
class Origin:
    """Where a page is from: the studies by their number, the machine they were run on, and the time in unix seconds."""

    studies: int
    machine: str
    at: float


@dataclass(frozen=True)
class Section:
    """A heading with what stands below it; empty lines at the end do not count."""

    heading: str
    lines: Iterable[str]


def rendered(title: str, command: str, origin: Origin, about: Sequence[str], sections: Sequence[Section]) -> str:
    """Return a page in Markdown: its title, what it was made by and is about, and its sections."""
    day = datetime.fromtimestamp(origin.at, UTC).strftime("%Y-%m-%d")
    made = f"Made by `{command}` on {day} from {origin.studies} studies run on {origin.machine}."
    lines = [f"# {title}", "", made, *about]
    for section in sections:
        lines += ["", f"## {section.heading}", "", *section.lines]
        while lines[-1] == "":
            lines.pop()
    return "\n".join(lines).rstrip("\n") + "\n"


def coverage(run: int, figures: int, *, compares: str) -> Iterator[str]:
    """Say how many of the reported figures were run, and what a smaller budget means for a row."""
    yield f"{run} of {figures} were run. A budget that is not `full` is what this machine had time for:"
    yield f"such a row says how the {compares} compare, not what they can reach."
    yield ""
