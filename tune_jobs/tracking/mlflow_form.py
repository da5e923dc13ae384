"""A study and its trials in MLflow's form: metrics, params, tags, times and notes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tune_jobs.records import objectives
from tune_jobs.records.studies import StudyRecord, StudyTerms
from tune_jobs.records.trials import TrialRecord
from tune_jobs.search_spaces.one_factor import space_from_json
from tune_jobs.search_spaces.scalars import Params


def end_ms(study: StudyRecord, trial: TrialRecord) -> int:
    """Return when a trial ended, in unix ms; the study's beginning for a trial that never ran."""
    return to_ms(trial.finished or study.created)


def params(trial: TrialRecord, names: Sequence[str]) -> dict[str, str]:
    """Return a trial's params of these names as text."""
    return {name: str(trial.params[name]) for name in names if name in trial.params}


def metrics(trial: TrialRecord, objective: str, after: int) -> list[Any]:
    """Return each epoch's metrics after epoch `after`, as points; for a finished trial also those of its best epoch.

    The best have names of their own (`best_...`), because MLflow's table shows the last value of a name.
    """
    from mlflow.entities import Metric

    start_ms = to_ms(trial.started or 0.0)
    points = [
        Metric(objective if name == "score" else name, value, start_ms + epoch, epoch)
        for epoch, values in enumerate(trial.history, start=1)
        for name, value in values.items()
        if epoch > after or (trial.is_finished and name != objective)
    ]
    if trial.is_finished:
        best = {f"best_{objective}": trial.score, "best_epoch": trial.best_epoch}
        points += [Metric(name, float(value), start_ms, 0) for name, value in best.items() if value is not None]
    return points


def further_metrics(trial: TrialRecord, terms: StudyTerms) -> list[Any]:
    """Return a finished trial's values of the objectives after the first, as points.

    An objective that is a metric of epochs is named `best_...`: its value is that of the best epoch.
    """
    from mlflow.entities import Metric

    further = terms.further_objectives if trial.is_finished else ()
    values = {objective.metric: objectives.value(trial, objective) for objective in further}
    start_ms = to_ms(trial.started or 0.0)
    epoch_metrics = {name for epoch in trial.history for name in epoch}
    return [
        Metric(f"best_{name}" if name in epoch_metrics else name, value, start_ms, 0)
        for name, value in values.items()
        if value is not None
    ]


def varied_params(study: StudyRecord) -> Sequence[str]:
    """Return the names of the params that differ between trials. The others would fill MLflow's table needlessly."""
    return space_from_json(study.terms.space).varied()


def trial_note(study: StudyRecord, trial: TrialRecord) -> str:
    """Return the description of a trial's run, in Markdown."""
    lines = [f"trial {trial.number} of study {study.name}, seed {trial.seed}"]
    if trial.reason is not None:
        lines.append(f"**{trial.state}: {trial.reason}** {trial.message or ''}")
    if trial.changes:
        lines.append("Its params changed during training; the `best.yaml` of a winner lists the changes.")
        names = varied_params(study)
        lines += [f"- from epoch {segment.first}: {_assignments(segment.params, names)}" for segment in trial.changes]
    lines += [
        "",
        "| parameter | value |",
        "|---|---|",
        *(f"| {name} | {value} |" for name, value in trial.params.items()),
    ]
    return "\n".join([*lines, "", _versions(study)])


def _assignments(values: Params, names: Sequence[str]) -> str:
    return ", ".join(f"{name}={values[name]}" for name in names if name in values)


def study_note(study: StudyRecord) -> str:
    """Return the description of a study's run, in Markdown."""
    terms = study.terms
    space = "\n".join(space_from_json(terms.space).describe())
    special = "".join(f", {setting}" for setting in terms.protocol.special)
    return (
        f"task {terms.task} on {terms.dataset} ({terms.data_digest}), {objectives.words(terms.objectives)}, "
        f"seed {terms.seed}{special}; readings of the test split: {len(study.readings)}"
        f"\n\n```\n{space}\n```\n\n{_versions(study)}"
    )


def _versions(study: StudyRecord) -> str:
    versions: Mapping[str, str] = study.launch.versions if study.launch else {}
    return ", ".join(f"{name} {version}" for name, version in versions.items())


def system_tags(study: StudyRecord) -> dict[str, str]:
    """Return the tags of every run of a study: its source, its commit, and special settings of its protocol."""
    tags = {"mlflow.source.name": "tune-jobs", "mlflow.source.type": "JOB"}
    protocol = study.terms.protocol.to_dict()
    tags |= {name: str(protocol[name]) for name in ("precision", "deterministic") if name in protocol}
    if study.launch is not None and study.launch.commit is not None:
        tags["mlflow.source.git.commit"] = study.launch.commit
    return tags


def to_ms(seconds: float) -> int:
    """Return a time in whole milliseconds, as MLflow counts."""
    return int(seconds * 1000)
