"""`results`: what the reports print, beside ours."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tune_jobs.cli.options import home_option, say, settings

if TYPE_CHECKING:
    from tune_jobs.records import StudyRecord


@click.command(short_help="Put every figure of the reports beside ours.")
@click.argument("study", nargs=-1)
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="A file instead of the terminal.")
@home_option
def results(study: tuple[str, ...], output: Path | None, home: Path | None) -> None:
    """Put every figure of the reports beside ours, in Markdown, from the studies named or from all there are.

    With a file, the learning curves of one-factor studies are written beside it.

    \b
    Example:  tune-jobs results -o docs/results.md
    """
    from tune_jobs import exports
    from tune_jobs import results as made
    from tune_jobs.study import Study, study_names

    where = settings(home)
    records = [Study.open(name, where).record() for name in study or study_names(where)]
    if output is None:
        click.echo(made.page(records, made.this_machine(), time.time()), nl=False)
        return
    plots = _curves(records, output)
    exports.write(output, made.page(records, made.this_machine(), time.time(), plots))
    say(f"wrote {output}" + (f" and {len(plots)} plots beside it" if plots else ""))


def _curves(records: Sequence[StudyRecord], output: Path) -> dict[str, str]:
    """Writes the learning curves of each one-factor study; the files' names by study."""
    from tune_jobs.exports import curves, plots
    from tune_jobs.factors import factor_study, is_one_factor

    written = {}
    for record in records:
        if is_one_factor(record) and (found := factor_study(record)).has_curves:
            path = output.with_name(f"{output.stem}-{record.name}.svg")
            plots.save(curves.curves_plot(found), path)
            written[record.name] = path.name
    return written
