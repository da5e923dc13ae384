"""The runs that MLflow has of a study: finds them, creates them, and takes them out of the trash.

They are found by their marks, whatever people call them. What people added stays: a run that the study does not have,
or has twice, is deleted only if nobody added to it. A request may time out here and still be carried out by the server
later. It may thus create a run a second time.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tune_jobs.records.studies import StudyRecord
from tune_jobs.records.trials import State, TrialRecord
from tune_jobs.settings import Settings
from tune_jobs.tracking import experiments, marks, mlflow_form, names
from tune_jobs.tracking.additions import has_additions
from tune_jobs.tracking.marks import Mark
from tune_jobs.words import Say

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Metric, Run

# A trial that a scheduler stopped did what it should: MLflow shows KILLED, which earlier versions sent, as a failure.
STATUS: Mapping[State, str] = {"complete": "FINISHED", "stopped": "FINISHED", "failed": "FAILED"}
_ENDED = {*STATUS.values(), "KILLED"}


@dataclass
class DeliveredRun:
    """What MLflow is known to have of one trial."""

    run_id: str
    epochs: int = 0
    is_final: bool = False
    is_described: bool = False  # it has its params and its data set
    files: str | None = None  # a digest of the files that it has
    tested: str | None = None  # a digest of the results on the test split that it has
    points: dict[tuple[str, int], float] = field(default_factory=dict)  # values by metric and step; of a run not final
    new_tags: Mapping[str, str] | None = None  # of a run that was created a moment ago

    def lacks(self, points: Sequence[Metric]) -> list[Metric]:
        """Return those of a trial's points that the run lacks. MLflow keeps one twice if its time is another."""
        return [point for point in points if (point.key, point.step) not in self.points]

    def note(self, points: Sequence[Metric]) -> None:
        """Note that the run has these points."""
        self.points |= {(point.key, point.step): point.value for point in points}

    def is_of_another_attempt(self, trial: TrialRecord, points: Sequence[Metric]) -> bool:
        """Return True if the run has a value that is not the trial's. An attempt that was lost had it."""
        wanted = {(point.key, point.step): point.value for point in points}
        names = {point.key for point in points}
        is_beyond = trial.is_finished and any(key[0] in names and key not in wanted for key in self.points)
        return is_beyond or any(not _is_same(self.points[key], wanted[key]) for key in wanted.keys() & self.points)


@dataclass(frozen=True)
class StudyRuns:
    """The runs of one study: a parent, and one nested in it for each trial."""

    client: MlflowClient
    experiment: str  # MLflow's id of it
    parent: str  # MLflow's id of the run

    @classmethod
    def find(cls, client: MlflowClient, study: StudyRecord) -> StudyRuns | None:
        """Return the study's runs; None if there are none outside the trash. Nothing is changed."""
        found = [run for run in experiments.parents(client, study) if run.info.lifecycle_stage == "active"]
        return cls(client, found[0].info.experiment_id, found[0].info.run_id) if found else None

    @classmethod
    def open(cls, client: MlflowClient, study: StudyRecord, settings: Settings, say: Say) -> StudyRuns:
        """Return the study's runs, which are taken out of the trash or created if need be."""
        task = study.terms.task
        found = experiments.parents(client, study)
        if not found:
            about = mlflow_form.experiment_note(study.terms)
            return cls.create(client, experiments.of_task(client, task, settings, say, about), study)
        found.sort(key=lambda run: not _is_active(run))
        experiment = experiments.ready(client, found[0].info.experiment_id, task, say)
        parent = _one(client, study, [client.get_run(run.info.run_id) for run in found])
        if not _is_active(parent):
            client.restore_run(parent.info.run_id)
            say("the study's run was in MLflow's trash: it is restored")
        return cls(client, experiment, parent.info.run_id)

    @classmethod
    def create(cls, client: MlflowClient, experiment: str, study: StudyRecord) -> StudyRuns:
        """Create the study's parent run."""
        note = marks.note(mlflow_form.study_note(study, None))
        tags = {marks.STUDY: study.identity} | note | mlflow_form.system_tags(study) | mlflow_form.study_tags(study)
        start_ms = mlflow_form.to_ms(study.created)
        run = client.create_run(experiment, start_time=start_ms, tags=tags, run_name=study.name)
        return cls(client, experiment, str(run.info.run_id))

    def create_trial(self, study: StudyRecord, trial: TrialRecord) -> DeliveredRun:
        """Create the run of a trial."""
        run = self.client.create_run(
            self.experiment,
            start_time=mlflow_form.to_ms(trial.started or study.created),
            tags=self._lasting_tags(study, trial)
            | {"state": trial.state}
            | marks.note(mlflow_form.trial_note(study, trial))
            | mlflow_form.system_tags(study),
            run_name=mlflow_form.trial_name(study, trial.number),
        )
        return DeliveredRun(run.info.run_id, new_tags=run.data.tags)

    def trials(
        self, study: StudyRecord, latest: Callable[[], StudyRecord] | None, say: Say | None = None
    ) -> dict[int, DeliveredRun]:
        """Return the runs of the study's trials by number, taken out of the trash if need be, and remove all others.

        Others are second runs of a trial, and runs of trials that the study does not have, because it was restored from
        a backup: their numbers belong to other trials now, or soon will. MLflow is never ahead of the study. A run is
        therefore compared with a record that `latest` read after the run was found; None if the study cannot change.
        """
        runs = self.all_trials(study)
        shown = _shown(study, runs)
        if latest is not None and any(not _is_shown(run, shown) for run in runs if _is_active(run)):
            study = latest()
            shown = _shown(study, runs)
        for run in runs:
            if _is_active(run) and not _is_shown(run, shown):
                self._remove(study, run, say)
        self._restore([run for run in shown.values() if not _is_active(run)], say)
        trials = {trial.number: trial for trial in study.trials}
        return {number: self._delivered(study, trials[number], run) for number, run in shown.items()}

    def all_trials(self, study: StudyRecord) -> list[Run]:
        """Return every run of a trial of the study, those in the trash too."""
        marked = self._search(f"tags.`{marks.TRIAL_OF}` = '{study.identity}'")
        nested = self._search(f"tags.`{marks.PARENT}` = '{self.parent}'")  # those of a version without marks
        runs = marked + [run for run in nested if marks.TRIAL_OF not in run.data.tags]
        return [run for run in runs if Mark.read(run) is not None and marks.SET_ASIDE not in run.data.tags]

    def _search(self, filter_string: str) -> list[Run]:
        return experiments.search_runs(self.client, [self.experiment], filter_string)

    def remove(self, study: StudyRecord, run_id: str, say: Say) -> None:
        """Delete the run of a trial, or set it aside if people added to it."""
        self._remove(study, self.client.get_run(run_id), say)

    def _remove(self, study: StudyRecord, run: Run, say: Say | None) -> None:
        """Delete a run that the study does not have, or set it aside if people added to it."""
        if not has_additions(self.client, run, study):
            self.client.delete_run(run.info.run_id)
            return
        self.client.set_tag(run.info.run_id, marks.SET_ASIDE, study.identity, synchronous=True)
        if say is not None:
            say(f"the run {run.info.run_name!r} shows no trial of the study any more; it stays, for people added to it")

    def _restore(self, runs: Sequence[Run], say: Say | None) -> None:
        for run in runs:
            self.client.restore_run(run.info.run_id)
        if runs and say is not None:
            say(f"{len(runs)} of the trials' runs were in MLflow's trash: restored")

    def _delivered(self, study: StudyRecord, trial: TrialRecord, run: Run) -> DeliveredRun:
        """Return what a run has, after what people changed of ours was changed back."""
        tags = run.data.tags
        is_final = _is_final(study, trial, run)
        wanted = self._lasting_tags(study, trial) | (mlflow_form.end_tags(study, trial) if is_final else {})
        self._set_tags(run, {name: value for name, value in wanted.items() if tags.get(name) != value})
        if not trial.is_finished and run.info.status != "RUNNING":
            self.client.update_run(run.info.run_id, status="RUNNING")
        points = {} if is_final else self._points(run)
        objective = mlflow_form.objective_name(study)
        return DeliveredRun(
            run.info.run_id,
            epochs=max((step for name, step in points if name == objective), default=0),
            is_final=is_final,
            is_described=bool(run.inputs.dataset_inputs) and not tags.get(marks.LEFT_OUT),
            files=tags.get(marks.FILES),
            tested=_tested(trial, run),
            points=points,
        )

    def _lasting_tags(self, study: StudyRecord, trial: TrialRecord) -> dict[str, str]:
        """Return the tags of a trial's run that are the same from its beginning to its end."""
        mark = {marks.TRIAL_OF: study.identity, marks.TRIAL: str(Mark.of(trial))}
        return {marks.PARENT: self.parent, "study": study.name, "seed": str(trial.seed)} | mark

    def _set_tags(self, run: Run, tags: Mapping[str, str]) -> None:
        from mlflow.entities import RunTag

        items = [RunTag(name, value) for name, value in tags.items()]
        self.client.log_batch(run.info.run_id, tags=items, synchronous=True)

    def _points(self, run: Run) -> dict[tuple[str, int], float]:
        """Return every value that a run has, by metric and step."""
        return {
            (name, int(point.step)): float(point.value)
            for name in run.data.metrics
            for point in self.client.get_metric_history(run.info.run_id, name)
        }


def _is_same(value: float, other: float) -> bool:
    """Return True if a value in MLflow is this one. MLflow has other numbers for those that are not finite."""
    return math.isclose(value, other) or not (math.isfinite(value) and math.isfinite(other))


def _one(client: MlflowClient, study: StudyRecord, parents: Sequence[Run]) -> Run:
    """Return the parent run of a study. Copies of it are deleted, or set aside if they have what we did not write.

    The one with trials counts, and one in the trash only if all are there.
    """
    if len(parents) == 1:
        return parents[0]
    rich = {run.info.run_id: has_additions(client, run, study) for run in parents}
    kept, *others = sorted(
        parents, key=lambda run: (not _is_active(run), not _has_trials(client, run), not rich[run.info.run_id])
    )
    for run in others:
        if _is_active(run) and rich[run.info.run_id]:
            client.set_tag(run.info.run_id, marks.SET_ASIDE, study.identity, synchronous=True)
            client.delete_tag(run.info.run_id, marks.STUDY)
        elif _is_active(run):
            client.delete_run(run.info.run_id)
    return kept


def _has_trials(client: MlflowClient, parent: Run) -> bool:
    nested = f"tags.`{marks.PARENT}` = '{parent.info.run_id}'"
    return any(Mark.read(run) for run in experiments.search_runs(client, [parent.info.experiment_id], nested))


def _is_active(run: Run) -> bool:
    return str(run.info.lifecycle_stage) == "active"


def _shown(study: StudyRecord, runs: Sequence[Run]) -> dict[int, Run]:
    """Return the run that shows each trial best: one outside the trash, and one that is whole."""
    params, trials = mlflow_form.param_names(study), {trial.number: trial for trial in study.trials}
    best: dict[int, Run] = {}
    for run in runs:
        mark = Mark.read(run)
        trial = None if mark is None else trials.get(mark.number)
        if mark is None or trial is None or not _matches(study, trial, run, mark, params):
            continue
        other = best.get(trial.number)
        if other is None or _rank(run) > _rank(other):
            best[trial.number] = run
    return best


def _rank(run: Run) -> tuple[bool, bool, bool]:
    return _is_active(run), marks.END in run.data.tags, bool(run.inputs.dataset_inputs)


def _is_shown(run: Run, shown: Mapping[int, Run]) -> bool:
    return any(run is other for other in shown.values())


def _matches(study: StudyRecord, trial: TrialRecord, run: Run, mark: Mark, params: Mapping[str, str]) -> bool:
    """Return True if a run shows this trial: with these params and this seed, and, if it has ended, this end of it."""
    end_ms, tags = mlflow_form.end_ms(study, trial), run.data.tags
    if mark.configuration is not None:
        return mark == Mark.of(trial) and (
            marks.END not in tags or (trial.is_finished and tags[marks.END] == str(end_ms))
        )
    values = mlflow_form.params(trial, params)
    has_ended = run.info.status in _ENDED
    return (
        tags.get("seed") == str(trial.seed)
        and all(names.is_cut_of(value, values[name]) for name, value in run.data.params.items() if name in values)
        and (not has_ended or (trial.is_finished and run.info.end_time >= end_ms))  # later if people logged to it
    )


def _is_final(study: StudyRecord, trial: TrialRecord, run: Run) -> bool:
    """Return True if a run has all of a finished trial."""
    tags = run.data.tags
    is_whole = marks.END in tags if marks.TRIAL in tags else True
    return (
        trial.is_finished
        and is_whole
        and not tags.get(marks.LEFT_OUT)
        and run.info.status == STATUS[trial.state]
        and run.info.end_time == mlflow_form.end_ms(study, trial)
    )


def _tested(trial: TrialRecord, run: Run) -> str | None:
    """Return a digest of the results on the test split that a run has.

    A version without marks wrote the metrics last.
    """
    tags: dict[str, str] = run.data.tags
    if trial.tested is None or marks.METRICS in tags or marks.TESTED in tags:
        return tags.get(marks.TESTED)
    return mlflow_form.tested_digest(trial.tested) if set(trial.tested.metrics) <= set(run.data.metrics) else None
