"""`export-study` and `import-study`: write a study to one file, and read it from there."""

from __future__ import annotations

from pathlib import Path

import click

from tune_jobs.cli.options import home_option, print_text, read_settings, say
from tune_jobs.cli.resources import say_delivery, say_exports


@click.command("export-study", short_help="Write a study to one file.")
@click.argument("study")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="File to write (default: STUDY.study).",
)
@home_option
def export_study(study: str, output: Path | None, home: Path | None) -> None:
    """Write a study to one file, from which `import-study` makes the same study in another home or storage.

    The file has the whole record of the study. It does not have the kept weights: without them `evaluate` trains
    again. Files that trials reported go into FILE.files.zip beside it, which `import-study` reads too. If the study is
    running, its present state is written.

    \b
    Example:  tune-jobs export-study digits-mlp -o digits-mlp.study
    """
    from tune_jobs.actions import portable

    file = output or Path(f"{study}.study")
    portable.export_study(study, file, read_settings(home), say)
    print_text(str(file))


@click.command("import-study", short_help="Read a study from a file.")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--study", metavar="NAME", help="Name of the study here (default: its own name).")
@home_option
def import_study(file: Path, study: str | None, home: Path | None) -> None:
    """Read a study from a file that `export-study` wrote, and make its exports and its runs in MLflow.

    It is the same study: the same launch command continues it, and no finished trial runs again. If the study is
    already here as it is in the file, nothing changes.

    \b
    Example:  tune-jobs import-study digits-mlp.study
    """
    from tune_jobs.actions import portable

    imported = portable.import_study(file, study, read_settings(home), say)
    record = imported.study
    print_text(
        f"study {record.name}, {len(record.trials)} trials, "
        f"{'imported' if imported.is_new else 'is already here as in the file'}"
    )
    say_exports(imported.exports_dir)
    say_delivery(record.name, imported.view, is_delivered=imported.is_delivered)
