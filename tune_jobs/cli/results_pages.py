"""`results`: what the reports print, beside ours."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tune_jobs.cli.options import home_option, read_settings, say

if TYPE_CHECKING:
    from tune_jobs.records.studies import StudyRecord
    from tune_jobs.reproduction.clocks import Plot
    from tune_jobs.settings import Settings


@click.command(short_help="Put every figure of the reports beside ours.")
@click.argument("study", nargs=-1)
@click.option("--page", type=click.Choice(["images", "clock"]), default="images", show_default=True, help="Which half.")
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="A file instead of the terminal.")
@click.option("--machine", help="What the studies were run on; this machine where not given.")
@home_option
def results(study: tuple[str, ...], page: str, output: Path | None, machine: str | None, home: Path | None) -> None:
    """Put every figure of the reports beside ours, in Markdown, from the studies named or from all there are.

    A study is named as in `studies`, or by the file that `export-study` wrote of it.

    With a file, the plots of the page are written beside it: of images the learning curves of one-factor studies, of
    clocks those of the encodings, errors over the time shown and the images read worst.

    \b
    Example:  tune-jobs results -o results.md
              tune-jobs results --page clock -o clock.md
              tune-jobs results docs/studies/clock/*.study --page clock -o docs/clock.md
    """
    from tune_jobs import exports
    from tune_jobs.reproduction import clocks
    from tune_jobs.reproduction import images as made
    from tune_jobs.study.storage import study_names

    where = read_settings(home)
    records = [_record(name, where) for name in study or study_names(where)]
    _check(records if study else [], page)
    on = machine or made.this_machine()
    if page == "clock":
        clock_plots = {} if output is None else _clock_plots(records, output)
        text, n = clocks.page(records, on, time.time(), clock_plots), len(clock_plots)
    else:
        curves = {} if output is None else _curves(records, output)
        text, n = made.page(records, on, time.time(), curves), len(curves)
    if output is None:
        click.echo(text, nl=False)
        return
    exports.write(output, text)
    say(f"wrote {output}" + (f" and {n} plots beside it" if n else ""))


def _record(name: str, where: Settings) -> StudyRecord:
    """Of a study here, or in a file."""
    if name.endswith(".study"):
        from tune_jobs.study import file

        return file.read(Path(name)).record
    from tune_jobs.study.study import Study

    return Study.open(name, where).record()


def _check(named: Sequence[StudyRecord], page: str) -> None:
    """Studies that were asked for by name have a place on the page.

    Raises:
        UserError: one of them has none.
    """
    from tune_jobs.errors import UserError
    from tune_jobs.reproduction.reported import is_of_clocks

    for record in named:
        its = "clock" if is_of_clocks(record.terms.objective) else "images"
        if its != page:
            raise UserError(f"study {record.name!r} is for --page {its}, and --page {page} was asked for: leave it out")


def _curves(records: Sequence[StudyRecord], output: Path) -> dict[str, str]:
    """Writes the learning curves of each one-factor study; the files' names by study."""
    from tune_jobs.exports import curves, plots
    from tune_jobs.leaderboard.factors import factor_study, is_one_factor

    written = {}
    for record in records:
        if is_one_factor(record) and (found := factor_study(record)).has_curves:
            path = output.with_name(f"{output.stem}-{record.name}.svg")
            plots.save(curves.curves_plot(found), path)
            written[record.name] = path.name
    return written


def _clock_plots(records: Sequence[StudyRecord], output: Path) -> dict[Plot, str]:
    """Writes the plots of the page of clocks: `clock-curves-STUDY.svg`, `clock-errors-DATA.svg` and so on; their names
    by what they show."""
    from tune_jobs.exports import clock_plots, plots
    from tune_jobs.reproduction import clock_studies, clocks

    drawn = {}
    studies = clocks.of_clocks(records)
    for study in studies:
        entries = clock_studies.entries(study)
        if len(entries) > 1 and any(entry.curve is not None for entry in entries):
            drawn["curves", study.name] = clock_plots.encodings_plot(study.name, entries)
    for data, best in clocks.winners(studies):
        trial = clock_studies.evaluated(best.study, best.row)
        found = {} if trial is None else clock_plots.plots_of_test(best.study.name, trial)
        drawn |= {(kind, data): figure for kind, figure in found.items()}
    written = {}
    for (kind, name), figure in drawn.items():
        path = output.with_name(f"{output.stem}-{kind}-{name}.svg")
        plots.save(figure, path)
        written[kind, name] = path.name
    return written
