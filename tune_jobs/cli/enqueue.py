"""`enqueue`: hand points to a study."""

from __future__ import annotations

from pathlib import Path

import click

from tune_jobs.cli.options import assignments, home_option, read_settings, say


@click.command(short_help="Hand points to a study, to be tried next.")
@click.argument("study")
@click.option(
    "--try",
    "tried",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Enqueue the configurations of a YAML file: params, a list of them, or a best.yaml.",
)
@click.option(
    "--set",
    "params",
    multiple=True,
    callback=assignments,
    metavar="NAME=VALUE",
    help="Enqueue one configuration with this value; what is not set is the baseline's. Repeatable.",
)
@home_option
def enqueue(study: str, tried: Path | None, params: dict[str, str], home: Path | None) -> None:
    """Hand configurations to a study, to be tried before all that its search would propose, in their order.

    A process that runs the study takes them at once; otherwise the next launch does. They count as trials of the
    search, and run even where it has reached its number of trials. One that the study has already is left out.

    \b
    Example:  tune-jobs enqueue digits-mlp --set units=128 --set learning_rate=0.003
              tune-jobs enqueue digits-mlp --try points.yaml
    """
    from tune_jobs.actions import enqueue as action

    if (tried is None) == (not params):
        raise click.UsageError("needs --try FILE or --set NAME=VALUE, to say which points to enqueue")
    settings = read_settings(home)
    outcome = action.enqueue(study, [params] if tried is None else tried, settings)
    for why in outcome.left_out:
        say(f"Left out: {why}")
    n, n_waiting = len(outcome.added), len(outcome.waiting)
    say(f"Enqueued {n} point{'s' * (n != 1)} for study {study}; {n_waiting} now wait{'s' * (n_waiting == 1)}")
    if n_waiting:
        say(f"{outcome.holder or 'The process that runs the study'} takes them next, else the same launch command does")
