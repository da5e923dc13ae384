"""`leaderboard` and `export`: show or write a study's configurations, best first."""

from __future__ import annotations

from pathlib import Path

import click

from tune_jobs.cli import colours
from tune_jobs.cli.options import home_option, json_option, print_text, read_settings, say, terminal_width
from tune_jobs.exports import FORMATS
from tune_jobs.files import make_parent

_version_option = click.option(
    "--version",
    type=click.IntRange(min=1),
    metavar="N",
    help="Version of the study, where its scores came to mean something else (default: the last).",
)


@click.command(short_help="Show a study's configurations, best first.")
@click.argument("study")
@click.option("--top", type=click.IntRange(min=1), metavar="N", help="Show the best N configurations (default: all).")
@click.option(
    "--format", "form", type=click.Choice(FORMATS), default="table", show_default=True, help="Format of the output."
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write to FILE instead of the terminal.",
)
@_version_option
@json_option
@home_option
def leaderboard(
    study: str,
    top: int | None,
    form: str,
    output: Path | None,
    version: int | None,
    as_json: bool,
    home: Path | None,
) -> None:
    """Show a study's configurations, best first, with how certain their order is.

    \b
    Example:  tune-jobs leaderboard digits-mlp --top 5
    """
    from tune_jobs import exports
    from tune_jobs.study.study import Study

    record = Study.open(study, read_settings(home)).history().of_version(version)
    width = terminal_width()
    if output is None and form == "table" and not as_json and width is not None:
        colours.print_leaderboard(exports.table(record, top, width))
        return
    text = exports.render(record, "json" if as_json else form, top)  # type: ignore[arg-type]
    if output is None:
        print_text(text, nl=not text.endswith("\n"))
    else:
        make_parent(output)
        exports.write(output, text)
        say(f"wrote {output}")


@click.command(short_help="Write the leaderboard in every format, and best.yaml.")
@click.argument("study")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    required=True,
    help="Folder for the files.",
)
@_version_option
@home_option
def export(study: str, output: Path, version: int | None, home: Path | None) -> None:
    """Write a study's leaderboard in every format, and best.yaml, from which `tune-jobs train` trains the winner.

    \b
    Example:  tune-jobs export digits-mlp -o results
    """
    from tune_jobs import exports
    from tune_jobs.study.study import Study

    record = Study.open(study, read_settings(home)).history().of_version(version)
    for path in exports.write_all(record, output):
        print_text(str(path))
