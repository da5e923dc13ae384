"""A study and its trials in MLflow's words: metrics, params, tags, times and notes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tune_jobs.records import objectives
from tune_jobs.records.studies import StudyRecord, StudyTerms
from tune_jobs.records.trials import TrialRecord
from tune_jobs.search_spaces.one_factor import space_from_json
from tune_jobs.search_spaces.scalars import Params


def end(study: StudyRecord, trial: TrialRecord) -> int:
    """When a trial ended, in ms; one that never ran ended as it was made."""
    return ms(trial.finished or study.created)


def said(trial: TrialRecord, names: Sequence[str]) -> dict[str, str]:
    """A trial's params of these names as MLflow has them."""
    return {name: str(trial.params[name]) for name in names if name in trial.params}


def metrics(trial: TrialRecord, objective: str, after: int) -> list[Any]:
    """Each epoch's metrics after epoch `after`; of a trial that ended also its best, under names of their own,
    because MLflow's table shows the last value of a name."""
    from mlflow.entities import Metric

    at = ms(trial.started or 0.0)
    points = [
        Metric(objective if name == "score" else name, value, at + epoch, epoch)
        for epoch, found in enumerate(trial.history, start=1)
        for name, value in found.items()
        if epoch > after or (trial.is_finished and name != objective)
    ]
    if trial.is_finished:
        best = {f"best_{objective}": trial.score, "best_epoch": trial.best_epoch}
        points += [Metric(name, float(value), at, 0) for name, value in best.items() if value is not None]
    return points


def values(trial: TrialRecord, terms: StudyTerms) -> list[Any]:
    """What a trial that ended came to in the objectives after the first: of a metric of its epochs the value at the
    best one, under a name of its own."""
    from mlflow.entities import Metric

    found = {aim.metric: objectives.value(trial, aim) for aim in terms.further_objectives if trial.is_finished}
    at = ms(trial.started or 0.0)
    of_epochs = {name for metrics in trial.history for name in metrics}
    return [
        Metric(f"best_{name}" if name in of_epochs else name, value, at, 0)
        for name, value in found.items()
        if value is not None
    ]


def varied(study: StudyRecord) -> Sequence[str]:
    """The parameters that differ between trials: the others would only fill MLflow's table with equal columns."""
    return space_from_json(study.terms.space).varied()


def trial_note(study: StudyRecord, trial: TrialRecord) -> str:
    lines = [f"trial {trial.number} of study {study.name}, seed {trial.seed}"]
    if trial.reason is not None:
        lines.append(f"**{trial.state}: {trial.reason}** {trial.message or ''}")
    if trial.changes:
        lines.append("Its params changed in flight; `best.yaml` of the winner has how.")
        lines += [f"- from epoch {one.first}: {_words(one.params, varied(study))}" for one in trial.changes]
    lines += [
        "",
        "| parameter | value |",
        "|---|---|",
        *(f"| {name} | {value} |" for name, value in trial.params.items()),
    ]
    return "\n".join([*lines, "", _versions(study)])


def _words(params: Params, names: Sequence[str]) -> str:
    return ", ".join(f"{name}={params[name]}" for name in names if name in params)


def study_note(study: StudyRecord) -> str:
    terms = study.terms
    space = "\n".join(space_from_json(terms.space).describe())
    return (
        f"task {terms.task} on {terms.dataset} ({terms.data_digest}), {objectives.words(terms.objectives)}, "
        f"seed {terms.seed}{''.join(f', {one}' for one in terms.protocol.special)}; "
        f"readings of the test split: {len(study.readings)}"
        f"\n\n```\n{space}\n```\n\n{_versions(study)}"
    )


def _versions(study: StudyRecord) -> str:
    versions: Mapping[str, str] = study.launch.versions if study.launch else {}
    return ", ".join(f"{name} {version}" for name, version in versions.items())


def system_tags(study: StudyRecord) -> dict[str, str]:
    tags = {"mlflow.source.name": "tune-jobs", "mlflow.source.type": "JOB"}
    protocol = study.terms.protocol
    tags |= {
        name: str(protocol.to_dict()[name]) for name in ("precision", "deterministic") if name in protocol.to_dict()
    }
    if study.launch is not None and study.launch.commit is not None:
        tags["mlflow.source.git.commit"] = study.launch.commit
    return tags


def ms(seconds: float) -> int:
    """MLflow's times."""
    return int(seconds * 1000)
