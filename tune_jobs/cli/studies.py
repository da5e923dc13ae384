"""`studies` and `status`: list the studies; show the state of one."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tune_jobs.cli.options import home_option, json_option, print_json, print_table, read_settings, say
from tune_jobs.settings import Settings

if TYPE_CHECKING:
    from tune_jobs.live.activity import Activity, Device
    from tune_jobs.live.drains import Drained
    from tune_jobs.records.studies import Launch, StudyRecord
    from tune_jobs.records.trials import TrialRecord
    from tune_jobs.study.locks import Holder


@click.command(short_help="List the studies.")
@home_option
@json_option
def studies(home: Path | None, as_json: bool) -> None:
    """List the studies in the home folder, or in the storage that TUNE_JOBS_STORAGE names.

    \b
    Example:  tune-jobs studies
    """
    from tune_jobs.study.storage import study_names

    settings = read_settings(home)
    rows = [_row(name, settings) for name in study_names(settings)]
    if as_json:
        print_json(rows)
    elif rows:
        print_table(tuple(rows[0]), [tuple(row.values()) for row in rows])
    else:
        say("There is no study yet. Begin one with `tune-jobs launch digits-mlp`.")


def _row(name: str, settings: Settings) -> dict[str, object]:
    """Return a study's line; one that cannot be read gets a line that says why, so that the others are still listed."""
    from tune_jobs.errors import StudyError
    from tune_jobs.exports.best import best_row
    from tune_jobs.study.study import Study

    columns = ("study", "task", "trials", "complete", "failed", "best", "metric", "state")
    try:
        study = Study.open(name, settings)
    except StudyError as error:
        return dict.fromkeys(columns) | {"study": name, "state": str(error)}
    record = study.record()
    best = best_row(record)
    values = (
        name,
        record.terms.task,
        len(record.trials),
        record.count("complete"),
        record.count("failed"),
        None if best is None else best.score,
        record.terms.objective.metric,
        "idle" if study.holder() is None else "running",
    )
    return dict(zip(columns, values, strict=True))


@click.command(short_help="Show the state of a study.")
@click.argument("study")
@home_option
@json_option
def status(study: str, home: Path | None, as_json: bool) -> None:
    """Show the state of a study: its driver, its devices, each running or waiting trial, and each failed one with its
    reason.

    \b
    Example:  tune-jobs status digits-mlp
    """
    from tune_jobs.live import activity as live_activity
    from tune_jobs.live import drains
    from tune_jobs.study.study import Study

    settings = read_settings(home)
    opened = Study.open(study, settings)
    record, holder = opened.record(), opened.holder()
    idle = live_activity.Activity()
    activity = idle if holder is None else live_activity.read(settings.activity_file(study), holder.pid)
    drained = drains.read(settings.drained_file(study))
    if as_json:
        print_json(_as_json(record, holder, activity, drained))
        return
    for line in _lines(record, holder, activity, drained):
        click.echo(line)


def _lines(record: StudyRecord, holder: Holder | None, activity: Activity, drained: Drained) -> Iterator[str]:
    """Yield the lines that `status` prints."""
    terms, launch = record.terms, record.launch
    yield f"study {record.name}, task {terms.task}, data {terms.dataset} {terms.data_digest}"
    yield f"  driver    {holder or 'none; continue with the same launch command'}"
    if terms.protocol.special:
        yield f"  protocol  {', '.join(terms.protocol.special)}"
    if launch is not None:
        yield f"  search    {_search(launch)}"
    of = f" of {launch.trials}" if launch is not None and launch.trials else ""
    yield f"  trials    {len(record.trials)}{of}: {_counted(record)}"
    if activity.packing:
        yield f"  packing   {activity.packing}"
    if drained.spots:
        yield f"  drained   {drained}; undo with `tune-jobs undrain {record.name}`"
    yield from (f"  device    {_device(device)}" for device in activity.devices)
    yield from (
        f"  trial {trial.number} {_doing(record, trial, holder is not None, activity)}"
        for trial in record.trials
        if not trial.is_finished
    )
    yield from _failures(record)


def _failures(record: StudyRecord) -> Iterator[str]:
    """Yield a line for each failed trial: its reason, and the trial that ran it again."""
    latest = {(trial.params_id, trial.seed): trial.number for trial in record.trials}
    for trial in record.trials:
        if trial.state == "failed":
            number = latest[trial.params_id, trial.seed]
            retried = "" if number == trial.number else f"; run again as trial {number}"
            yield f"  trial {trial.number} failed: {trial.reason} ({trial.message}){retried}"


def _device(device: Device) -> str:
    """Return a device's line: `trainer-2, GPU 1: trials 3, 7; 61% busy, 31.2 of 80.0 GB`."""
    name = device.node if device.gpu is None else f"{device.node}, GPU {device.gpu}"
    work = f"trial{'s' * (len(device.trials) > 1)} {', '.join(map(str, device.trials))}" if device.trials else "idle"
    if device.is_drained:
        work = f"drained after {work}" if device.trials else "drained, free"
    if device.utilisation is None or device.memory_used_mb is None or device.memory_total_mb is None:
        return f"{name}: {work}"
    used, total = device.memory_used_mb / 1024, device.memory_total_mb / 1024
    return f"{name}: {work}; {device.utilisation:.0%} busy, {used:.1f} of {total:.1f} GB"


def _as_json(record: StudyRecord, holder: Holder | None, activity: Activity, drained: Drained) -> dict[str, object]:
    from dataclasses import asdict

    from tune_jobs.leaderboard.ranking import summary

    counts, waiting = summary(record.trials), activity.waiting
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
                "place": activity.place(trial.number),
            }
            for trial in record.trials
            if trial.state == "running" and trial.number not in waiting
        ],
        "waiting": [
            {"trial": trial.number, "why": _doing(record, trial, holder is not None, activity)}
            for trial in record.trials
            if trial.state == "waiting" or (trial.state == "running" and trial.number in waiting)
        ],
        "packing": activity.packing or None,
        "devices": [asdict(device) for device in activity.devices],
        "drained": [{"node": node, "gpu": gpu} for node, gpu in sorted(drained.spots, key=str)],
    }


def _search(launch: Launch) -> str:
    """Return the search, its scheduler and its budget in words."""
    scheduling, budget = launch.scheduling, launch.budget
    parts: list[str] = [launch.search]
    if scheduling.name == "pbt":
        parts.append(f"a population, compared every {scheduling.grace} epochs")
    elif scheduling.name != "none":
        parts.append(f"{scheduling.name} stops trials early (grace {scheduling.grace}, eta {scheduling.eta})")
    if budget.epochs is not None:
        parts.append(f"at most {budget.epochs:,} epochs in all")
    if budget.flat is not None:
        parts.append(f"until {budget.flat} trials in a row have no better score")
    return ", ".join(parts)


def _doing(record: StudyRecord, trial: TrialRecord, is_driven: bool, activity: Activity) -> str:
    """Return what an unfinished trial does, or what it waits for."""
    if not is_driven:
        state = "was interrupted" if trial.state == "running" else "waits for a driver"
        return f"{state}; run it with the same launch command"
    if trial.number in activity.waiting or trial.state == "waiting":
        default = "it was proposed a moment ago" if activity.nodes else "the driver is starting"
        return f"waits: {activity.waiting.get(trial.number, default)}"
    since = "" if trial.started is None else f", for {max(0.0, time.time() - trial.started):.0f} s"
    place = activity.place(trial.number)
    on = "" if place is None else f", on {place}"
    return f"in epoch {len(trial.history) + 1} of at most {record.terms.protocol.epochs}{since}{on}"


def _counted(record: StudyRecord) -> str:
    from tune_jobs.leaderboard.ranking import summary

    return summary(record.trials).words().partition(": ")[2] or "none yet"
