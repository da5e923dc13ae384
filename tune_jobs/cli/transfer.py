"""`transfer`: train one study's best configurations on another task."""

from __future__ import annotations

from pathlib import Path

import click

from tune_jobs.cli.options import (
    data_dir_option,
    epochs_option,
    home_option,
    images_option,
    print_table,
    print_text,
    read_settings,
    say,
    top_option,
)
from tune_jobs.cli.resources import exit_code, resource_options, take_resources
from tune_jobs.words import span


@click.command(short_help="Train a study's best configurations on another task.")
@click.argument("study")
@click.option("--to", required=True, metavar="TASK", help="The other task.")
@top_option(3)
@click.option(
    "--seeds",
    type=click.IntRange(min=1),
    metavar="N",
    default=1,
    show_default=True,
    help="Seeds of each configuration.",
)
@click.option("--study", "into", metavar="NAME", help="Name of the new study (default: the other task's name).")
@epochs_option
@images_option
@resource_options
@home_option
@data_dir_option
def transfer(home: Path | None, data_dir: Path | None, **options: object) -> int:
    """Train a study's best configurations on another task, and compare them with that task's baseline and own best.

    A parameter that a configuration lacks takes the baseline's value; one that the other task does not have is an
    error.

    \b
    Example:  tune-jobs transfer fashion-mnist-mlp-dropout --to cifar10-mlp --top 3
    """
    from tune_jobs.actions import transfer
    from tune_jobs.search_spaces import catalog

    settings = read_settings(home, data_dir)
    request = transfer.TransferRequest(resources=take_resources(options), **options)  # type: ignore[arg-type]
    outcome = transfer.transfer(request, settings, say)
    record = outcome.study
    print_text(f"study {record.name}: {record.terms.subject}")
    columns = ("configuration", record.terms.objective.metric, "std", "n", "95 %", "places", "test", "trials")
    print_table(columns, [_cells(line) for line in transfer.compared(record, catalog.find(request.to))])
    return exit_code(outcome)


def _cells(line: object) -> tuple[object, ...]:
    from tune_jobs.actions.transfer import Line

    assert isinstance(line, Line)
    row = line.row
    if row is None:
        return (line.origin, *[None] * 7)
    return (
        line.origin,
        row.score,
        row.std,
        row.n,
        "-" if row.interval is None else span(*(f"{end:.4f}" for end in row.interval)),
        "-" if row.places is None else f"{row.places[0]}-{row.places[1]}",
        None if row.tested is None else row.tested.score,
        ",".join(map(str, row.trials)),
    )
