"""`export-study` and `import-study`: a study as one file."""

from __future__ import annotations

from pathlib import Path

import click

from tune_jobs.cli.options import home_option, say, settings


@click.command("export-study", short_help="Write a study as one file.")
@click.argument("study")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="The file; STUDY.study where not given."
)
@home_option
def export_study(study: str, output: Path | None, home: Path | None) -> None:
    """Write a study as one file, which `import-study` makes the same study of, in another home or storage.

    All that the study knows is in it; kept weights are not, and `evaluate` trains again where there are none. While
    the study is being run, what it has at this moment is written.

    \b
    Example:  tune-jobs export-study digits-mlp -o digits-mlp.study
    """
    from tune_jobs.actions import portable

    file = output or Path(f"{study}.study")
    portable.export_study(study, file, settings(home), say)
    click.echo(file)


@click.command("import-study", short_help="Make a study of such a file.")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--study", help="Another name for it here.")
@home_option
def import_study(file: Path, study: str | None, home: Path | None) -> None:
    """Make a study of a file that `export-study` wrote, with its exports and its runs in MLflow.

    It is the same study: the launch command of its task continues it, and nothing that finished runs again. A study
    that is here already as it is in the file stays. Kept weights are not in the file.

    \b
    Example:  tune-jobs import-study digits-mlp.study
    """
    from tune_jobs.actions import portable

    imported = portable.import_study(file, study, settings(home), say)
    record = imported.study
    click.echo(
        f"study {record.name}, {len(record.trials)} trials, "
        f"{'imported' if imported.is_new else 'is here already, as in the file'}"
    )
    say(f"leaderboard and best.yaml in {imported.exports_dir}")
    if imported.is_delivered:
        say("every trial in MLflow: tune-jobs ui")
    else:
        say(f"MLflow does not have all of it yet: `tune-jobs sync {record.name}` delivers when it answers")
