"""Sends MLflow what a study has and MLflow lacks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from tune_jobs import exports, temporary
from tune_jobs.records import trial_pictures
from tune_jobs.records.studies import StudyRecord
from tune_jobs.records.trial_pictures import EpochPictures
from tune_jobs.records.trials import TestResult, TrialRecord
from tune_jobs.settings import Settings
from tune_jobs.tracking import marks, mlflow_form, parent, store, views
from tune_jobs.tracking.names import LONGEST_TAG, MetricNames, cut
from tune_jobs.tracking.runs import STATUS, DeliveredRun, StudyRuns
from tune_jobs.tracking.sending import Sender
from tune_jobs.training import folders
from tune_jobs.words import one_line

if TYPE_CHECKING:
    from mlflow.entities import Metric

_MOST_FAILURES = 3  # of trials in a row: then the server fails, and not with a trial


@dataclass
class Tracker:
    """Delivers the records of one study. It holds run ids in hand and depends on no active run.

    Every method may raise MLflow's exceptions while the store is away. Calling it again continues the work.
    """

    settings: Settings
    latest: Callable[[], StudyRecord] | None = None  # reads the study again; None if it cannot change
    failed: dict[int, str] = field(default_factory=dict)  # the trials that MLflow does not have, and why
    left_out: dict[str, str] = field(default_factory=dict)  # the items that MLflow refused, and why
    news: list[str] = field(default_factory=list)  # what happened to the study in MLflow
    view: str | None = None  # the address of its trials, below that of MLflow
    _runs: StudyRuns | None = None
    _names: MetricNames | None = None
    _learnt: set[int] = field(default_factory=set)
    _named: StudyRecord | None = None  # whose names are known
    _delivered: dict[int, DeliveredRun] = field(default_factory=dict)

    def deliver(self, study: StudyRecord) -> int:
        """Bring MLflow up to date. Return the number of trials that MLflow had not seen as they are.

        A trial that MLflow does not take is noted in `failed`, and the others are delivered.
        """
        self.failed.clear()
        n_new = n_in_a_row = 0
        self._connect(study)
        for trial in study.trials:
            if not self._has_news(trial):
                continue
            try:
                n_new += self._bring(study, trial)
                n_in_a_row = 0
            except Exception as error:
                self._runs = None  # the server may have carried out the call that failed: ask what it has
                n_in_a_row += 1
                if not store.is_particular(error) or n_in_a_row == _MOST_FAILURES:
                    raise
                self.failed[trial.number] = one_line(error)
        return n_new

    def connect(self, study: StudyRecord) -> None:
        """Import MLflow and find or create the study's runs, so that what comes next is delivered at once."""
        self._connect(study)

    def forget(self, study: StudyRecord) -> int:
        """Mark the study's runs as deleted, which `mlflow gc` then removes. Return how many there were."""
        client = store.client(self.settings)
        runs = StudyRuns.find(client, study)
        if runs is None:
            return 0
        run_ids = [run.info.run_id for run in runs.all_trials(study) if run.info.lifecycle_stage == "active"]
        for run_id in (*run_ids, runs.parent):  # the parent last: the others are found through it
            client.delete_run(run_id)
        views.forget(client, runs.experiment, study)
        return len(run_ids) + 1

    def send_file(self, study: StudyRecord, file: Path) -> None:
        """Log a file as an artifact of the parent run, if there is one."""
        client = store.client(self.settings)
        runs = StudyRuns.find(client, study)
        if runs is not None:
            Sender(client, runs.parent).log_file(file)

    def close(self, study: StudyRecord) -> int:
        """Log the leaderboard as an artifact of the parent run and end that run. The next launch opens it again.

        Return the number of trials that MLflow had lost meanwhile.
        """
        self._runs = None  # look again: people may have changed something, and the server may have been late
        n_new = self.deliver(study)
        runs = self._connect(study)
        self._deliver_files(runs, study)
        sender = Sender(runs.client, runs.parent)
        parent.deliver(sender, study, self._metric_names(study))
        self._note_left_out("the study", sender)
        runs.client.set_terminated(runs.parent, "FINISHED", mlflow_form.study_end_ms(study))
        return n_new

    def _connect(self, study: StudyRecord) -> StudyRuns:
        """Return the study's runs; at the first call find or create them."""
        if self._runs is not None:
            return self._runs
        client = store.client(self.settings, self._say)
        runs = StudyRuns.open(client, study, self.settings, self._say)
        client.update_run(runs.parent, status="RUNNING")
        self._prepare_view(runs, study)
        self._delivered = runs.trials(study, self.latest, self._say)
        self._runs = runs
        return runs

    def _prepare_view(self, runs: StudyRuns, study: StudyRecord) -> None:
        sender = Sender(runs.client, runs.parent)
        sender.call("its view", lambda: views.prepare(runs.client, runs.experiment, runs.parent, study))
        self._note_left_out("the study", sender)
        self.view = None if sender.left_out else views.address(runs.experiment, study)

    def _say(self, line: str) -> None:
        if line not in self.news:
            self.news.append(line)

    def _has_news(self, trial: TrialRecord) -> bool:
        """Return True if MLflow lacks anything of a trial."""
        delivered = self._delivered.get(trial.number)
        if delivered is None:
            return trial.state != "waiting"
        is_new = not delivered.is_final and (trial.is_finished or len(trial.history) > delivered.epochs)
        return is_new or _is_test_new(delivered, trial)

    def _bring(self, study: StudyRecord, trial: TrialRecord) -> bool:
        """Send what is new of a trial, again if its run was deleted meanwhile."""
        try:
            return self._deliver_trial(self._connect(study), study, trial)
        except Exception as error:
            if not store.is_refusal(error):
                raise
            self._runs = None
            return self._deliver_trial(self._connect(study), study, trial)

    def _deliver_trial(self, runs: StudyRuns, study: StudyRecord, trial: TrialRecord) -> bool:
        """Send what is new of a trial. Return False if nothing is."""
        if not self._has_news(trial):
            return False
        names = self._metric_names(study)
        points = mlflow_form.metrics(trial, study.terms, names)
        delivered = self._of_this_attempt(runs, study, trial, points)
        sender = Sender(runs.client, delivered.run_id)
        if not delivered.is_final:
            _describe(sender, study, trial, delivered, delivered.lacks(points))
            delivered.note(points)
            delivered.epochs = max(delivered.epochs, len(trial.history))
        if trial.tested is not None and _is_test_new(delivered, trial):
            _deliver_test(sender, study, trial, trial.tested, names)
            delivered.tested = mlflow_form.tested_digest(trial.tested)
        if trial.is_finished:
            _deliver_pictures(sender, trial)
            _finish(sender, study, trial, names, delivered.new_tags)
            delivered.is_final = True
            delivered.points.clear()
        delivered.new_tags = None
        self._note_left_out(f"trial {trial.number}", sender)
        return True

    def _of_this_attempt(
        self, runs: StudyRuns, study: StudyRecord, trial: TrialRecord, points: list[Metric]
    ) -> DeliveredRun:
        """Return the trial's run: a new one if there is none, or if it shows an attempt that had other results."""
        delivered = self._delivered.get(trial.number)
        if delivered is not None and not delivered.is_final and delivered.is_of_another_attempt(trial, points):
            del self._delivered[trial.number]
            runs.remove(study, delivered.run_id, self._say)
            delivered = None
        if delivered is None:
            delivered = self._delivered[trial.number] = self._create_trial(runs, study, trial)
        return delivered

    def _deliver_files(self, runs: StudyRuns, study: StudyRecord) -> None:
        """Log the files that trials report, where they are new."""
        from mlflow.entities import RunTag

        for trial in study.trials:
            folder = self.settings.trial_files_dir(study.name) / f"{trial.number:04d}"
            delivered = self._delivered.get(trial.number)
            if delivered is None or not folder.is_dir() or delivered.files == folders.digest(folder):
                continue
            sender = Sender(runs.client, delivered.run_id)
            sender.log_folder(folder, "artifacts")
            delivered.files = folders.digest(folder)
            sender.log("tags", [RunTag(marks.FILES, delivered.files)])
            self._note_left_out(f"trial {trial.number}", sender)

    def _create_trial(self, runs: StudyRuns, study: StudyRecord, trial: TrialRecord) -> DeliveredRun:
        """Create a trial's run. After an error of the server, first look whether the run is there all the same."""
        try:
            return runs.create_trial(study, trial)
        except Exception as error:
            if not store.is_servers_error(error):
                raise
            existing = runs.trials(study, self.latest).get(trial.number)
            return existing or runs.create_trial(study, trial)

    def _metric_names(self, study: StudyRecord) -> MetricNames:
        """Return the names of the study's metrics, of all trials that have ended."""
        self._names = self._names or MetricNames(study.terms)
        for trial in () if study is self._named else study.trials:
            if trial.result is not None and (trial.number not in self._learnt or trial.tested is not None):
                self._names.learn(trial)
                self._learnt.add(trial.number)
        self._named = study
        return self._names

    def _note_left_out(self, whose: str, sender: Sender) -> None:
        self.left_out |= {f"{what} of {whose}": why for what, why in sender.left_out.items()}


def _is_test_new(delivered: DeliveredRun, trial: TrialRecord) -> bool:
    """Return True if MLflow lacks a finalist's results on the test split."""
    tested = trial.tested
    return tested is not None and bool(tested.metrics) and delivered.tested != mlflow_form.tested_digest(tested)


def _describe(
    sender: Sender, study: StudyRecord, trial: TrialRecord, delivered: DeliveredRun, points: list[Metric]
) -> None:
    """Log points and, before they are there, a trial's params and, last, its data set if it has one. Doing so twice
    changes nothing."""
    from mlflow.entities import Param

    if delivered.is_described:
        sender.log("metrics", points)
        return
    params = mlflow_form.params(trial, mlflow_form.param_names(study))
    sender.log_together([Param(name, value) for name, value in params.items()], points)
    if study.terms.has_data:
        parent.log_data(sender, study.terms)
    delivered.is_described = True


def _deliver_test(
    sender: Sender, study: StudyRecord, trial: TrialRecord, tested: TestResult, names: MetricNames
) -> None:
    """Add a finalist's results on the test split to its run. A tag comes last: it says that all is there."""
    from mlflow.entities import RunTag

    with temporary.folder() as folder:
        if exports.write_test(study, trial, folder):
            sender.log_folder(folder, "test")
    sender.log("metrics", mlflow_form.tested_metrics(trial, names))
    sender.log("tags", [RunTag(marks.TESTED, mlflow_form.tested_digest(tested))])


def _deliver_pictures(sender: Sender, trial: TrialRecord) -> None:
    """Add the pictures of a trial to its run, at the step of their epoch, as far as they are not there."""
    best = EpochPictures(trial.best_epoch or 0, trial.pictures)
    pictures = {(name, each.epoch): text for each in (*trial.progress, best) for name, text in each.pictures.items()}
    if pictures:
        there = {tuple(file.path.removeprefix("images/").split("+")[:3:2]) for file in sender.files("images")}
        for (name, epoch), text in pictures.items():
            if (name, str(epoch)) not in there:
                sender.log_picture(name, trial_pictures.content(text), epoch)


def _finish(
    sender: Sender, study: StudyRecord, trial: TrialRecord, names: MetricNames, new_tags: Mapping[str, str] | None
) -> None:
    """Log how a trial ended, and end its run, which has the tags `new_tags` if it is new."""
    from mlflow.entities import RunTag

    tags_there = sender.client.get_run(sender.run_id).data.tags if new_tags is None else new_tags
    metrics = mlflow_form.metrics(trial, study.terms, names)
    metrics += mlflow_form.tested_metrics(trial, names)
    known = sorted({point.key for point in metrics})
    tags = {marks.METRICS: "\n".join(known)} | names.tags(known) | mlflow_form.param_tags(study, trial)
    if (trial.reason is not None or trial.changes) and marks.has_our_note(tags_there, f"trial {trial.number} of "):
        tags |= marks.note(mlflow_form.trial_note(study, trial))
    left_out = "; ".join(f"{what} ({why})" for what, why in sender.left_out.items())
    if left_out or tags_there.get(marks.LEFT_OUT):
        tags[marks.LEFT_OUT] = cut(left_out, LONGEST_TAG)
    tags |= mlflow_form.end_tags(study, trial)
    new = {name: value for name, value in tags.items() if tags_there.get(name) != value}
    sender.log("tags", [RunTag(name, value) for name, value in new.items()])
    sender.client.set_terminated(sender.run_id, STATUS[trial.state], mlflow_form.end_ms(study, trial))
