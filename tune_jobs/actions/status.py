"""The state of studies: a line for each, and one study in detail, with its driver, devices and unfinished trials.

What MLflow has not of a study is said too.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass

from tune_jobs.errors import StudyError
from tune_jobs.exports.best import best_row
from tune_jobs.leaderboard.ranking import summary
from tune_jobs.live import activity as live_activity
from tune_jobs.live import drains
from tune_jobs.live.activity import Activity, Device
from tune_jobs.live.drains import Drained
from tune_jobs.records.constraints import is_untrained
from tune_jobs.records.studies import Launch, StudyRecord
from tune_jobs.records.trials import TrialRecord
from tune_jobs.search_spaces.scalars import Params, text
from tune_jobs.settings import Settings
from tune_jobs.study.locks import Holder
from tune_jobs.study.storage import study_names
from tune_jobs.study.study import Study
from tune_jobs.tracking import report
from tune_jobs.tracking.report import Report

COLUMNS = ("study", "task", "trials", "complete", "failed", "best", "metric", "state")  # of `overview`


def overview(settings: Settings) -> list[Mapping[str, object]]:
    """Return a line for each study there is, as a mapping from `COLUMNS`."""
    return [_line(name, settings) for name in study_names(settings)]


def _line(name: str, settings: Settings) -> Mapping[str, object]:
    """Return a study's line. That of a study which cannot be read says why, so that the others are still listed."""
    try:
        study = Study.open(name, settings)
    except StudyError as error:
        return dict.fromkeys(COLUMNS) | {"study": name, "state": str(error)}
    record = study.record()
    best, counts = best_row(record), summary(record.trials)
    values = (
        name,
        record.terms.task,
        counts.total,
        counts.states["complete"],
        counts.states["failed"],
        None if best is None else best.score,
        record.terms.objective.metric,
        "idle" if study.holder() is None else "running",
    )
    return dict(zip(COLUMNS, values, strict=True))


@dataclass(frozen=True)
class Status:
    """The state of one study: its record, the process that runs it, what that does, and what it is kept off."""

    record: StudyRecord
    holder: Holder | None
    activity: Activity
    drained: Drained
    delivery: Report
    enqueued: tuple[Params, ...] = ()  # points that wait to become trials, the next one first

    def __repr__(self) -> str:
        return "\n".join(self.lines())

    def lines(self) -> Iterator[str]:
        """Yield the lines that describe the state to a person."""
        record, activity, terms, launch = self.record, self.activity, self.record.terms, self.record.launch
        data = f", data {terms.dataset} {terms.data_digest}" if terms.has_data else ""
        yield f"study {record.name}, task {terms.task}{data}"
        yield f"  driver    {self.holder or 'none; continue with the same launch command'}"
        if terms.protocol.special:
            yield f"  protocol  {', '.join(terms.protocol.special)}"
        if record.n_versions > 1:
            change = [one for one in record.changes if one.is_version][-1]
            yield f"  version   {record.version} ({change.why}): {change.what}"
        if launch is not None:
            yield f"  search    {_search(launch)}"
        total = summary(record.trials).total  # with further seeds, which no search was asked for
        of = f" of {launch.trials}" if launch is not None and total <= (launch.trials or 0) else ""
        yield f"  trials    {total}{of}: {_counted(record)}"
        if record.prior is not None and record.prior.best is None:
            yield f"  prior     {len(record.prior.trials)} trials of study {record.prior.study}"
        if activity.queue:
            yield f"  queue     {activity.queue}"
        if self.enqueued:
            yield f"  enqueued  {_waiting(self.enqueued)}"
        if activity.packing:
            yield f"  packing   {activity.packing}"
        if self.drained.spots:
            yield f"  drained   {self.drained}; undo with `tune-jobs undrain {record.name}`"
        yield from (f"  MLflow    {line}" for line in self.delivery.lines())
        yield from (f"  device    {_device(device)}" for device in activity.devices)
        yield from (f"  trial {t.number} {self._doing(t)}" for t in record.trials if not t.is_finished)
        yield from _failures(record)

    def to_dict(self) -> dict[str, object]:
        """Return the state as JSON values."""
        record, activity = self.record, self.activity
        counts = summary(record.trials)
        return {
            "study": record.name,
            "task": record.terms.task,
            "driver": None if self.holder is None else asdict(self.holder),
            "trials": counts.total,
            "untrained": counts.untrained,
            "states": dict(counts.states),
            "reasons": dict(counts.reasons),
            "retried": counts.retried,
            "asked_for": None if record.launch is None else record.launch.trials,
            "running": [self._running(trial) for trial in record.trials if self._is_running(trial)],
            "waiting": [
                {"trial": trial.number, "why": self._doing(trial)}
                for trial in record.trials
                if not trial.is_finished and not self._is_running(trial)
            ],
            "enqueued": [dict(point) for point in self.enqueued],
            "queue": activity.queue or None,
            "packing": activity.packing or None,
            "devices": [asdict(device) for device in activity.devices],
            "mlflow": list(self.delivery.lines()),
            "drained": [{"node": node, "gpu": gpu} for node, gpu in sorted(self.drained.spots, key=str)],
        }

    def _is_running(self, trial: TrialRecord) -> bool:
        return trial.state == "running" and trial.number not in self.activity.waiting

    def _running(self, trial: TrialRecord) -> dict[str, object]:
        return {
            "trial": trial.number,
            self.record.terms.protocol.step: len(trial.history),
            "images": self.activity.images.get(trial.number),
            "params": dict(trial.params),
            "place": self.activity.place(trial.number),
        }

    def _doing(self, trial: TrialRecord) -> str:
        """Return what an unfinished trial does, or what it waits for."""
        if self.holder is None:
            state = "was interrupted" if trial.state == "running" else "waits for a driver"
            return f"{state}; run it with the same launch command"
        activity = self.activity
        if trial.number in activity.waiting or trial.state == "waiting":
            default = "it was proposed a moment ago" if activity.nodes else "the driver is starting"
            return f"waits: {activity.waiting.get(trial.number, default)}"
        since = "" if trial.started is None else f", for {max(0.0, time.time() - trial.started):.0f} s"
        place = activity.place(trial.number)
        on = "" if place is None else f", on {place}"
        return f"{self._where(trial)}{since}{on}"

    def _where(self, trial: TrialRecord) -> str:
        """Return how far a running trial is: its rung, or its epoch or fold."""
        images = self.activity.images.get(trial.number)
        if images is not None:
            return f"in the rung of {images:,} images"
        most, step = self.record.terms.protocol.steps, self.record.terms.protocol.step
        return f"in {step} {len(trial.history) + 1}{'' if most is None else f' of at most {most}'}"


def status(name: str, settings: Settings) -> Status:
    """Return the state of a study.

    Raises:
        StudyError: if there is no such study.
    """
    study = Study.open(name, settings)
    record, holder = study.record(), study.holder()
    idle = live_activity.Activity()
    activity = idle if holder is None else live_activity.read(settings.activity_file(name), holder.pid)
    drained, delivery = drains.read(settings.drained_file(name)), report.read(name, settings)
    return Status(record, holder, activity, drained, delivery, study.enqueued())


def _failures(record: StudyRecord) -> Iterator[str]:
    """Yield a line for each failed trial: its reason, and the trial that ran it again."""
    latest = {(trial.params_id, trial.seed): trial.number for trial in record.trials}
    for trial in record.trials:
        if is_untrained(trial):
            yield f"  trial {trial.number} was not trained: {trial.message}"
        elif trial.state == "failed":
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


def _search(launch: Launch) -> str:
    """Return the search, its scheduler and its budget in words."""
    scheduling, budget = launch.scheduling, launch.budget
    parts: list[str] = [launch.search]
    if scheduling.name == "pbt":
        parts.append(f"a population, compared every {scheduling.grace} epochs")
    elif scheduling.name != "none":
        parts.append(scheduling.words)
    if budget.epochs is not None:
        parts.append(f"at most {budget.epochs:,} epochs in all")
    if budget.flat is not None:
        parts.append(f"until {budget.flat} trials in a row have no better score")
    return ", ".join(parts)


def _waiting(points: Sequence[Params]) -> str:
    first = ", ".join(f"{name} {text(value)}" for name, value in points[0].items())
    return f"{len(points)} point{'s' * (len(points) > 1)}, first {first}"


def _counted(record: StudyRecord) -> str:
    return summary(record.trials).words().partition(": ")[2] or "none yet"
