"""`studies` and `status`: what there is, and how it goes."""

from __future__ import annotations

import time
from pathlib import Path

import click

from tune_jobs.cli.options import home_option, json_option, print_json, print_table, say, settings
from tune_jobs.settings import Settings


@click.command(short_help="List the studies there are.")
@home_option
@json_option
def studies(home: Path | None, as_json: bool) -> None:
    """List the studies in the home folder, or in the storage that TUNE_JOBS_STORAGE names.

    \b
    Example:  tune-jobs studies
    """
    from tune_jobs.study import study_names

    where = settings(home)
    rows = [_row(name, where) for name in study_names(where)]
    if as_json:
        print_json(rows)
    elif rows:
        print_table(tuple(rows[0]), [tuple(row.values()) for row in rows])
    else:
        say("no study yet: tune-jobs launch digits-mlp begins one")


def _row(name: str, where: Settings) -> dict[str, object]:
    """A study in a line; one that cannot be read is a line too, and the others are still listed."""
    from tune_jobs.errors import StudyError
    from tune_jobs.exports import best_row
    from tune_jobs.study import Study

    columns = ("study", "task", "trials", "complete", "failed", "best", "metric", "state")
    try:
        study = Study.open(name, where)
    except StudyError as error:
        return dict.fromkeys(columns) | {"study": name, "state": str(error)}
    record = study.record()
    best = best_row(record)
    found = (
        name,
        record.terms.task,
        len(record.trials),
        record.count("complete"),
        record.count("failed"),
        None if best is None else best.score,
        record.terms.objective.metric,
        "idle" if study.holder() is None else "running",
    )
    return dict(zip(columns, found, strict=True))


@click.command(short_help="Show how a study goes.")
@click.argument("study")
@home_option
@json_option
def status(study: str, home: Path | None, as_json: bool) -> None:
    """Show how a study goes: who runs it, how many trials are where, what failed and why.

    \b
    Example:  tune-jobs status digits-mlp
    """
    from dataclasses import asdict

    from tune_jobs.leaderboard import summary
    from tune_jobs.study import Study

    opened = Study.open(study, settings(home))
    record, holder = opened.record(), opened.holder()
    counts = summary(record.trials)
    running = [trial for trial in record.trials if trial.state == "running"]
    if as_json:
        print_json(
            {
                "study": record.name,
                "task": record.terms.task,
                "driver": None if holder is None else asdict(holder),
                "trials": len(record.trials),
                "states": dict(counts.states),
                "reasons": dict(counts.reasons),
                "asked_for": None if record.launch is None else record.launch.trials,
                "running": [
                    {"trial": trial.number, "epoch": len(trial.history), "params": dict(trial.params)}
                    for trial in running
                ],
            }
        )
        return
    asked = record.launch.trials if record.launch is not None else None
    click.echo(f"study {record.name}, task {record.terms.task}, data {record.terms.dataset} {record.terms.data_digest}")
    click.echo(f"  driver    {holder or 'none: the same launch command continues it'}")
    click.echo(f"  trials    {len(record.trials)}{f' of {asked}' if asked else ''}: {_counted(counts.states)}")
    for trial in running:
        _print_running(
            trial.number, len(trial.history), record.terms.protocol.epochs, trial.started, is_alive=holder is not None
        )
    for trial in record.trials:
        if trial.state == "failed":
            click.echo(f"  trial {trial.number} failed: {trial.reason} ({trial.message})")


def _print_running(number: int, epoch: int, epochs: int, started: float | None, *, is_alive: bool) -> None:
    since = "" if started is None else f", for {max(0.0, time.time() - started):.0f} s"
    what = (
        f"in epoch {epoch + 1} of at most {epochs}{since}"
        if is_alive
        else "interrupted; it runs again at the next launch"
    )
    click.echo(f"  trial {number} {what}")


def _counted(states: object) -> str:
    pairs = dict(states)  # type: ignore[call-overload]
    return ", ".join(f"{count} {state}" for state, count in pairs.items() if count) or "none yet"
