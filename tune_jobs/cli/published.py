"""`results`: what the reports print, beside ours."""

from __future__ import annotations

import time
from pathlib import Path

import click

from tune_jobs.cli.options import home_option, say, settings


@click.command(short_help="Put every figure of the reports beside ours.")
@click.argument("study", nargs=-1)
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="A file instead of the terminal.")
@home_option
def results(study: tuple[str, ...], output: Path | None, home: Path | None) -> None:
    """Put every figure of the reports beside ours, in Markdown, from the studies named or from all there are.

    \b
    Example:  tune-jobs results -o docs/results.md
    """
    from tune_jobs import exports
    from tune_jobs import results as made
    from tune_jobs.study import Study, study_names

    where = settings(home)
    records = [Study.open(name, where).record() for name in study or study_names(where)]
    text = made.page(records, made.this_machine(), time.time())
    if output is None:
        click.echo(text, nl=False)
    else:
        exports.write(output, text)
        say(f"wrote {output}")
