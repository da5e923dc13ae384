"""`studies` and `status`: what there is, and how it goes."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tune_jobs.cli.options import home_option, json_option, print_json, print_table, say, settings
from tune_jobs.settings import Settings

if TYPE_CHECKING:
    from tune_jobs.live.activity import Activity, Device
    from tune_jobs.live.drains import Drained
    from tune_jobs.records.studies import Launch, StudyRecord
    from tune_jobs.records.trials import TrialRecord
    from tune_jobs.study.locks import Holder


@click.command(short_help="List the studies there are.")
@home_option
@json_option
def studies(home: Path | None, as_json: bool) -> None:
    """List the studies in the home folder, or in the storage that TUNE_JOBS_STORAGE names.

    \b
    Example:  tune-jobs studies
    """
    from tune_jobs.study.storage import study_names

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
    from tune_jobs.exports.best import best_row
    from tune_jobs.study.study import Study

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
    """Show how a study goes: who runs it and on which devices, what each trial does or waits for, what failed and why.

    \b
    Example:  tune-jobs status digits-mlp
    """
    from tune_jobs.live import activity, drains
    from tune_jobs.study.study import Study

    where = settings(home)
    opened = Study.open(study, where)
    record, holder = opened.record(), opened.holder()
    seen = activity.Activity() if holder is None else activity.read(where.activity_file(study), holder.pid)
    drained = drains.read(where.drained_file(study))
    if as_json:
        print_json(_as_json(record, holder, seen, drained))
        return
    asked = record.launch.trials if record.launch is not None else None
    click.echo(f"study {record.name}, task {record.terms.task}, data {record.terms.dataset} {record.terms.data_digest}")
    click.echo(f"  driver    {holder or 'none: the same launch command continues it'}")
    if record.terms.protocol.special:
        click.echo(f"  protocol  {', '.join(record.terms.protocol.special)}")
    if record.launch is not None:
        click.echo(f"  search    {_search(record.launch)}")
    of = f" of {asked}" if asked else ""
    click.echo(f"  trials    {len(record.trials)}{of}: {_counted(record)}")
    if seen.packing:
        click.echo(f"  packing   {seen.packing}")
    if drained.spots:
        click.echo(f"  drained   {drained}: `tune-jobs undrain {study}` gives back")
    for device in seen.devices:
        click.echo(f"  device    {_device(device)}")
    for trial in record.trials:
        if not trial.is_finished:
            click.echo(f"  trial {trial.number} {_doing(record, trial, holder is not None, seen)}")
    again = {(trial.params_id, trial.seed): trial.number for trial in record.trials}
    for trial in record.trials:
        if trial.state == "failed":
            last = again[trial.params_id, trial.seed]
            then = "" if last == trial.number else f"; run again as trial {last}"
            click.echo(f"  trial {trial.number} failed: {trial.reason} ({trial.message}){then}")


def _device(device: Device) -> str:
    """`trainer-2, GPU 1: trials 3, 7; 61 % busy, 31.2 of 80.0 GB`."""
    where = device.node if device.gpu is None else f"{device.node}, GPU {device.gpu}"
    doing = f"trial{'s' * (len(device.trials) > 1)} {', '.join(map(str, device.trials))}" if device.trials else "idle"
    if device.is_drained:
        doing = f"drained, {doing} to its end" if device.trials else "drained, free"
    if device.utilisation is None or device.memory_used_mb is None or device.memory_total_mb is None:
        return f"{where}: {doing}"
    used, total = device.memory_used_mb / 1024, device.memory_total_mb / 1024
    return f"{where}: {doing}; {device.utilisation:.0%} busy, {used:.1f} of {total:.1f} GB"


def _as_json(record: StudyRecord, holder: Holder | None, seen: Activity, drained: Drained) -> dict[str, object]:
    from dataclasses import asdict

    from tune_jobs.leaderboard.ranking import summary

    counts, waiting = summary(record.trials), seen.waiting
    return {
        "study": record.name,
        "task": record.terms.task,
        "driver": None if holder is None else asdict(holder),
        "trials": len(record.trials),
        "states": dict(counts.states),
        "reasons": dict(counts.reasons),
        "retried": counts.retried,
        "asked_for": None if record.launch is None else record.launch.trials,
        "running": [
            {
                "trial": trial.number,
                "epoch": len(trial.history),
                "params": dict(trial.params),
                "place": seen.place(trial.number),
            }
            for trial in record.trials
            if trial.state == "running" and trial.number not in waiting
        ],
        "waiting": [
            {"trial": trial.number, "why": _doing(record, trial, holder is not None, seen)}
            for trial in record.trials
            if trial.state == "waiting" or (trial.state == "running" and trial.number in waiting)
        ],
        "packing": seen.packing or None,
        "devices": [asdict(device) for device in seen.devices],
        "drained": [{"node": node, "gpu": gpu} for node, gpu in sorted(drained.spots, key=str)],
    }


def _search(launch: Launch) -> str:
    """How the study looks for params and when it gives a trial, or the search, up."""
    scheduling, budget = launch.scheduling, launch.budget
    parts: list[str] = [launch.search]
    if scheduling.name == "pbt":
        parts.append(f"a population, compared every {scheduling.grace} epochs")
    elif scheduling.name != "none":
        parts.append(f"{scheduling.name} stops trials early (grace {scheduling.grace}, eta {scheduling.eta})")
    if budget.epochs is not None:
        parts.append(f"at most {budget.epochs:,} epochs in all")
    if budget.flat is not None:
        parts.append(f"until {budget.flat} trials brought no better score")
    return ", ".join(parts)


def _doing(record: StudyRecord, trial: TrialRecord, is_driven: bool, seen: Activity) -> str:
    """What an unfinished trial does, or waits for."""
    if not is_driven:
        was = "was interrupted" if trial.state == "running" else "waits for a driver"
        return f"{was}: the same launch command runs it"
    if trial.number in seen.waiting or trial.state == "waiting":
        otherwise = "it was asked for a moment ago" if seen.nodes else "the driver is starting"
        return f"waits: {seen.waiting.get(trial.number, otherwise)}"
    since = "" if trial.started is None else f", for {max(0.0, time.time() - trial.started):.0f} s"
    place = seen.place(trial.number)
    where = "" if place is None else f", on {place}"
    return f"in epoch {len(trial.history) + 1} of at most {record.terms.protocol.epochs}{since}{where}"


def _counted(record: StudyRecord) -> str:
    from tune_jobs.leaderboard.ranking import summary

    return summary(record.trials).words().partition(": ")[2] or "none yet"
