"""`results`: the figures of the reports beside ours."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tune_jobs.cli.options import home_option, print_text, read_settings, say
from tune_jobs.files import make_parent

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from tune_jobs.records.studies import StudyRecord
    from tune_jobs.reproduction.pages import PageName
    from tune_jobs.settings import Settings


@click.command(short_help="Put every figure of the reports beside ours.")
@click.argument("study", nargs=-1)
@click.option(
    "--page",
    type=click.Choice(["images", "clock", "generative"]),
    default="images",
    show_default=True,
    help="Which part of the reports.",
)
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="A file instead of the terminal.")
@click.option("--machine", help="What the studies were run on; this machine where not given.")
@home_option
def results(
    study: tuple[str, ...], page: PageName, output: Path | None, machine: str | None, home: Path | None
) -> None:
    """Put every figure of the reports beside ours, in Markdown, from the studies named or from all studies.

    A STUDY is a name as in `studies`, or a file that `export-study` wrote.

    With -o, the plots of the page are written beside it. For images they are the learning curves of one-factor studies
    and how each search went; for clocks, the learning curves of the label encodings, the errors over the time shown,
    and the images with the largest errors; for generative networks, what the baseline and the best of each study draw.

    \b
    Example:  tune-jobs results -o results.md
              tune-jobs results --page clock -o clock.md
              tune-jobs results docs/studies/clock/*.study --page clock -o docs/clock.md
    """
    from tune_jobs import exports
    from tune_jobs.reproduction import pages
    from tune_jobs.reproduction.images import this_machine
    from tune_jobs.study.storage import study_names

    where = read_settings(home)
    records = [_record(name, where) for name in study or study_names(where)]
    pages.check(records if study else [], page)
    made = pages.PAGES[page]
    if output is not None:
        make_parent(output)
    plots = {} if output is None else _save(made.drawings(records), output)
    text = made.text(records, machine or this_machine(), time.time(), plots)
    if output is None:
        print_text(text, nl=False)
        return
    exports.write(output, text)
    say(f"wrote {output}" + (f" and {len(plots)} plots beside it" if plots else ""))


def _record(name: str, where: Settings) -> StudyRecord:
    """Return the record of a study, or of the study in a file."""
    if name.endswith(".study"):
        from tune_jobs.study import file

        return file.read(Path(name)).record
    from tune_jobs.study.study import Study

    return Study.open(name, where).record()


def _save(drawings: Mapping[str, Figure], output: Path) -> dict[str, str]:
    """Write each drawing beside the page, as `PAGE-NAME.svg`; return the files' names by those of the drawings."""
    from tune_jobs.exports import plots

    files = {name: output.with_name(f"{output.stem}-{name}.svg") for name in drawings}
    for name, drawing in drawings.items():
        plots.save(drawing, files[name])
    return {name: file.name for name, file in files.items()}
