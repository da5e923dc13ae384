"""`transfer`: one task's best configurations on another."""

from __future__ import annotations

from pathlib import Path

import click

from tune_jobs.cli.options import data_dir_option, home_option, print_table, say, settings
from tune_jobs.cli.resources import exit_code, resource_options, taken


@click.command(short_help="Train one task's best on another.")
@click.argument("study")
@click.option("--to", required=True, metavar="TASK", help="The other task.")
@click.option("--top", type=click.IntRange(min=1), default=3, show_default=True, help="How many configurations.")
@click.option("--seeds", type=click.IntRange(min=1), default=1, show_default=True, help="Seeds of each.")
@click.option("--study", "into", help="Name of the study there; the task's name where not given.")
@click.option("--epochs", type=click.IntRange(min=1), help="Epochs at most, in place of the task's.")
@click.option("--images", type=click.IntRange(min=1), help="Train on so many images only, each class in its share.")
@resource_options
@home_option
@data_dir_option
def transfer(home: Path | None, data_dir: Path | None, **options: object) -> int:
    """Train a study's best configurations on another task, beside its baseline, and compare them with its own best.

    What a configuration lacks there is the baseline's; what does not belong there is an error.

    \b
    Example:  tune-jobs transfer fashion-mnist-mlp-dropout --to cifar10-mlp --top 3
    """
    from tune_jobs.actions import transfer
    from tune_jobs.search_spaces import catalog

    where = settings(home, data_dir)
    request = transfer.TransferRequest(resources=taken(options), **options)  # type: ignore[arg-type]
    outcome = transfer.transfer(request, where, say)
    record = outcome.study
    click.echo(f"study {record.name}: {record.terms.task} on {record.terms.dataset}")
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
        "-" if row.interval is None else f"{row.interval[0]:.4f}-{row.interval[1]:.4f}",
        "-" if row.places is None else f"{row.places[0]}-{row.places[1]}",
        None if row.tested is None else row.tested.score,
        ",".join(map(str, row.trials)),
    )
