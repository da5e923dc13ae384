"""A study and its trials in MLflow's form: metrics, params, tags, times and notes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from tune_jobs.leaderboard import ranking
from tune_jobs.leaderboard.ranking import Row
from tune_jobs.records import constraints, fold_rows, objectives
from tune_jobs.records.split_readings import place_among_all
from tune_jobs.records.studies import StudyRecord, StudyTerms
from tune_jobs.records.trials import TestResult, TrialRecord
from tune_jobs.search_spaces.one_factor import space_from_json
from tune_jobs.search_spaces.scalars import Params
from tune_jobs.tracking import marks
from tune_jobs.tracking.names import LONGEST_PARAM, LONGEST_TAG, MetricNames, cut, taken, true_names


def end_ms(study: StudyRecord, trial: TrialRecord) -> int:
    """Return when a trial ended, in unix ms; the study's beginning for a trial that never ran."""
    return to_ms(trial.finished or study.created)


def study_end_ms(study: StudyRecord) -> int:
    """Return when the last trial of a study ended, in unix ms; its beginning, if none has."""
    return max((end_ms(study, trial) for trial in study.trials), default=to_ms(study.created))


def end_tags(study: StudyRecord, trial: TrialRecord) -> dict[str, str]:
    """Return the tags that say how a finished trial ended."""
    reason = {} if trial.reason is None else {"reason": trial.reason}
    return {"state": trial.state, marks.END: str(end_ms(study, trial))} | reason


def param_names(study: StudyRecord) -> dict[str, str]:
    """Return the name in MLflow of each param that differs between trials.

    The others would fill MLflow's table needlessly.
    """
    return taken(space_from_json(study.terms.space).varied())


def params(trial: TrialRecord, names: Mapping[str, str]) -> dict[str, str]:
    """Return a trial's params as text by their names in MLflow, of those in `names`."""
    return {found: cut(str(trial.params[name]), LONGEST_PARAM) for name, found in names.items() if name in trial.params}


def param_tags(study: StudyRecord, trial: TrialRecord) -> dict[str, str]:
    """Return the tags with the true names of a trial's params."""
    names = param_names(study)
    return true_names({found: name for name, found in names.items() if found != name and name in trial.params})


def objective_name(study: StudyRecord) -> str:
    """Return the objective's name in MLflow."""
    return MetricNames(study.terms).ours(study.terms.objective.metric)


def metrics(trial: TrialRecord, terms: StudyTerms, names: MetricNames) -> list[Any]:
    """Return each epoch's metrics as points; for a finished trial also those of its best epoch.

    The best have names of their own (`best_...`), because MLflow's table shows the last value of a name.
    """
    from mlflow.entities import Metric

    start_ms, objective = to_ms(trial.started or 0.0), terms.objective.metric
    points = [
        Metric(names.reported(name), value, start_ms + epoch, epoch)
        for epoch, values in enumerate(_by_name(trial, objective), start=1)
        for name, value in values.items()
    ]
    if trial.is_finished:
        best = {f"best_{objective}": trial.score, "best_epoch": trial.best_epoch} | _further(trial, terms)
        if terms.protocol.folds is not None:
            spread = fold_rows.spread_name(objective)
            best[spread] = trial.metrics.get(spread)
        points += [
            Metric(names.ours(name), float(value), start_ms, 0) for name, value in best.items() if value is not None
        ]
    return points


def _by_name(trial: TrialRecord, objective: str) -> Sequence[Mapping[str, float]]:
    """Return each epoch's metrics; of a trial without a result only its scores are known."""
    if trial.result is not None and trial.result.history:
        return trial.result.history
    return [{objective: score} for score in trial.scores]


def _further(trial: TrialRecord, terms: StudyTerms) -> dict[str, float | None]:
    """Return a finished trial's values of the objectives after the first.

    An objective that is a metric of epochs is named `best_...`: its value is that of the best epoch.
    """
    values = {objective.metric: objectives.value(trial, objective) for objective in terms.further_objectives}
    epoch_metrics = {name for epoch in trial.history for name in epoch}
    return {f"best_{name}" if name in epoch_metrics else name: value for name, value in values.items()}


def further_names(terms: StudyTerms, names: MetricNames) -> list[str]:
    """Return the names in MLflow that the values of the objectives after the first may have."""
    further = [objective.metric for objective in terms.further_objectives]
    return [names.ours(name) for name in further] + [
        names.ours(f"best_{name}") for name in further if name not in objectives.MEASURED
    ]


def tested_metrics(trial: TrialRecord, names: MetricNames) -> list[Any]:
    """Return a finalist's results on the test split as points."""
    from mlflow.entities import Metric

    values = {} if trial.tested is None else trial.tested.metrics
    finished_ms = to_ms(trial.finished or 0.0)
    return [Metric(names.reported(name), value, finished_ms, 0) for name, value in values.items()]


def tested_digest(tested: TestResult) -> str:
    """Return a digest of a finalist's results on the test split."""
    return marks.digest(json.dumps(sorted(tested.metrics.items())))


def trial_note(study: StudyRecord, trial: TrialRecord) -> str:
    """Return the description of a trial's run, in Markdown."""
    lines = [f"trial {trial.number} of study {study.name}, seed {trial.seed}"]
    if trial.reason is not None:
        lines.append(f"**{trial.state}: {trial.reason}** {trial.message or ''}")
    if trial.changes:
        lines.append("Its params changed during training; the `best.yaml` of a winner lists the changes.")
        names = list(param_names(study))
        lines += [f"- from epoch {segment.first}: {_assignments(segment.params, names)}" for segment in trial.changes]
    return "\n".join([*lines, "", _table(trial.params), "", _versions(study)])


def _table(params: Params) -> str:
    rows = (f"| {name} | {value} |" for name, value in params.items())
    return "\n".join(["| parameter | value |", "|---|---|", *rows])


def _assignments(values: Params, names: Sequence[str]) -> str:
    return ", ".join(f"{name}={values[name]}" for name in names if name in values)


def note_beginning(terms: StudyTerms) -> str:
    """Return how the description of a study's run begins."""
    return f"task {terms.task} on " if terms.has_data else f"task {terms.task}, "


def experiment_note(terms: StudyTerms) -> str:
    """Return the description of a task's experiment, which stands in the list of all: its data and its objectives."""
    return f"{f'{terms.dataset}: ' if terms.has_data else ''}{objectives.words(terms.objectives)}"


def study_note(study: StudyRecord, best: Row | None) -> str:
    """Return the description of a study's run, in Markdown: what came out of it, then what it was begun on."""
    terms = study.terms
    space = "\n".join(space_from_json(terms.space).describe())
    special = "".join(f", {setting}" for setting in terms.protocol.special)
    data = f"{terms.dataset} ({terms.data_digest}), " if terms.has_data else ""
    about = f"{note_beginning(terms)}{data}{objectives.words(terms.objectives)}, seed {terms.seed}{special}"
    winner = [] if best is None else _winner(study, best)
    readings = f"Readings of the test split: {_readings(study)}."
    parts = [about, *winner, *_circumstances(study), readings, f"```\n{space}\n```", _versions(study)]
    return "\n\n".join(parts)


def _circumstances(study: StudyRecord) -> list[str]:
    """Return what the description says of limits, of another study that the search learns from, and of versions."""
    lines = []
    if study.constraints:
        lines.append(f"**Limits:** {constraints.words(study.constraints)}. What breaks one is no winner.")
    if study.prior is not None and study.prior.best is None:
        lines.append(f"The search learns from {len(study.prior.trials)} trials of study {study.prior.study}.")
    if study.n_versions > 1:
        lines.append(f"**Version {study.n_versions}:** what is said here is of its trials alone.\n\n" + _changes(study))
    return lines


def _changes(study: StudyRecord) -> str:
    """Return the versions that came after the first, as a list: when, from which trial on, why, and what changed."""
    made = [change for change in study.changes if change.is_version]
    return "\n".join(
        f"- version {number}, from {datetime.fromtimestamp(change.at, UTC):%Y-%m-%d} and trial {change.first} on "
        f"({change.why}): {change.what}"
        for number, change in enumerate(made, start=2)
    )


def _winner(study: StudyRecord, best: Row) -> list[str]:
    """Return what the description says of the best configuration."""
    numbers = ", ".join(map(str, best.trials))
    trials = f"trial {numbers}" if best.n == 1 else f"the mean of trials {numbers}"
    score = f"**Best: {study.terms.objective.metric} {best.score:.6g}**, {trials}"
    return [score, _table({name: best.params[name] for name in param_names(study) if name in best.params})]


def study_tags(study: StudyRecord) -> dict[str, str]:
    """Return the tags of a study's run that say what it is."""
    launch = study.launch
    tags = {"study": study.name, "task": study.terms.task}
    if launch is not None:
        tags["search"] = launch.search
    if launch is not None and launch.scheduling.name != "none":
        tags["scheduler"] = launch.scheduling.name
    if study.n_versions > 1:
        tags["version"] = str(study.n_versions)
    return tags


def outcome_tags(study: StudyRecord, best: Row | None) -> dict[str, str]:
    """Return the tags of a study's run that say what came out of it."""
    tags = {"trials": ranking.summary(study.trials).words()}
    if best is not None:
        tags["best_trial"] = trial_name(study, best.trials[0])
        tags["best_params"] = cut(_assignments(best.params, list(param_names(study))), LONGEST_TAG)
    return tags


def trial_name(study: StudyRecord, number: int) -> str:
    """Return the name of a trial's run."""
    return f"{study.name}-{number:04d}"


def _readings(study: StudyRecord) -> str:
    if not study.readings:
        return "0"
    among_all = place_among_all(study.readings[-1])
    return f"{len(study.readings)}{f' ({among_all})' if among_all else ''}"


def _versions(study: StudyRecord) -> str:
    versions: Mapping[str, str] = study.launch.versions if study.launch else {}
    return ", ".join(f"{name} {version}" for name, version in versions.items())


def system_tags(study: StudyRecord) -> dict[str, str]:
    """Return the tags of every run of a study: its source, its commit, and special settings of its protocol."""
    tags = {"mlflow.source.name": "tune-jobs", "mlflow.source.type": "JOB"}
    protocol = study.terms.protocol.to_dict()
    tags |= {name: str(protocol[name]) for name in ("precision", "deterministic", "portable") if name in protocol}
    if study.launch is not None and study.launch.commit is not None:
        tags["mlflow.source.git.commit"] = study.launch.commit
    return tags


def to_ms(seconds: float) -> int:
    """Return a time in whole milliseconds, as MLflow counts."""
    return int(seconds * 1000)
