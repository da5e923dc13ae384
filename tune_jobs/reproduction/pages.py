"""The pages of results: the studies of each, its text and its plots."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from tune_jobs.errors import UserError
from tune_jobs.records.studies import StudyRecord
from tune_jobs.reproduction import clocks, generative, images
from tune_jobs.reproduction.clock_studies import is_of_clocks
from tune_jobs.reproduction.generative_studies import is_generative

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PageName = Literal["images", "clock", "generative"]
Records = Sequence[StudyRecord]


@dataclass(frozen=True)
class Page:
    """How a page is made of studies.

    `text` takes the studies, the machine it is made on, the time in unix seconds, and the files of the plots by
    what they show; `drawings` has the plots by the same names.
    """

    text: Callable[[Records, str, float, Mapping[str, str]], str]
    drawings: Callable[[Records], dict[str, Figure]]


PAGES: Mapping[PageName, Page] = {
    "images": Page(images.page, images.drawings),
    "clock": Page(clocks.page, clocks.drawings),
    "generative": Page(generative.page, generative.drawings),
}


def page_of(study: StudyRecord) -> PageName:
    """Return the page that a study stands on."""
    if is_generative(study):
        return "generative"
    return "clock" if is_of_clocks(study) else "images"


def check(named: Records, page: PageName) -> None:
    """Check that studies that were asked for by name stand on the page.

    Raises:
        UserError: one of them stands on another.
    """
    for study in named:
        other = page_of(study)
        if other != page:
            raise UserError(
                f"study {study.name!r} is for --page {other}, and --page {page} was asked for: leave it out"
            )
