"""What the actions share: hold a study, resume it on its task, run trials, deliver them to MLflow, write the exports.

An action decides what is run: a search (`launch.py`), further seeds (`replicate.py`), failed trials (`retry.py`),
another task's configurations (`transfer.py`), or finalists on the test split (`evaluate.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tune_jobs import datasets, exports, tracking
from tune_jobs.errors import Reason, SettingsError, StudyError, UserError
from tune_jobs.execution.plan import Conditions, Plan, Resources, StudyInputs, StudyRun
from tune_jobs.execution.rules import CodeError, Failures, TaskFailure
from tune_jobs.execution.searching import run_trials
from tune_jobs.live.signals import interruptible
from tune_jobs.records.studies import StudyRecord
from tune_jobs.search_spaces import catalog
from tune_jobs.search_spaces.task import Task
from tune_jobs.settings import Settings, prepare_python
from tune_jobs.study.study import Study
from tune_jobs.tracking import delivery
from tune_jobs.words import Say

if TYPE_CHECKING:
    # What a session runs on Ray; it calls the second argument once nothing more is trained.
    Work = Callable[[StudyRun, Callable[[], None]], Failures | None]


@dataclass(frozen=True)
class Outcome:
    """How a run ended. `signal` is what ended it early, if one did. `task_failure` did, or all trials failed."""

    study: StudyRecord
    exports_dir: Path
    is_delivered: bool  # MLflow has every trial
    signal: int | None
    task_failure: TaskFailure | None = None


@contextmanager
def hold(name: str, settings: Settings, say: Say) -> Iterator[Session]:
    """Hold the study `name` for writing until the block ends, in a home that is ready and with MLflow at hand.

    Raises:
        SettingsError: if the home cannot be written or MLflow cannot be used.
        StudyError: if another process holds the study.
    """
    settings.prepare()
    tracking.check(settings)
    with Study.hold(name, settings) as study:
        yield Session(study, settings, say)


@dataclass(frozen=True)
class Session:
    """A study that this process holds, with all that an action needs to run it."""

    study: Study
    settings: Settings
    say: Say

    def resume(self) -> StudyInputs:
        """Return what the study's trials are about, checked against what it was begun on.

        Raises:
            UserError, TaskError: if the study was never begun, or its task or data are missing or have changed.
        """
        if not self.study.has_begun:
            raise StudyError(f"no study named {self.study.name!r}. `tune-jobs studies` lists all")
        terms = self.study.record().terms
        task = catalog.find_said(terms.reference, f"study {self.study.name!r}")
        inputs = study_inputs(task, terms.reference, Conditions.of(terms), self.settings)
        self.study.begin(inputs.terms)
        return inputs

    def run(self, inputs: StudyInputs, plan: Plan | None, resources: Resources) -> Outcome:
        """Run unfinished trials and what the plan proposes until it is fulfilled, time is up or a signal comes.

        Without a plan nothing is trained: the study as it is gets delivered and exported.

        Raises:
            UserError: if the trials cannot be run in this way.
        """
        if plan is None:
            return self.conduct(None, inputs, resources)
        check(inputs.task, resources, is_population=plan.compare_every is not None)
        if plan.compare_every is None and any(trial.course for trial in self.study.unfinished()):
            name = self.study.name
            raise UserError(f"a population of study {name!r} is under way: launch it with --scheduler pbt first")
        return self.conduct(lambda run, ended: run_trials(run, plan, ended), inputs, resources)

    def conduct(self, work: Work | None, inputs: StudyInputs, resources: Resources) -> Outcome:
        """Do the work while trials are delivered to MLflow, then write the exports and wait for the delivery."""
        name, folder, failures = self.study.name, self.settings.exports_dir(self.study.name), Failures()
        prepare_python()  # for the processes that this one starts
        before = {trial.number for trial in self.study.record().trials if trial.is_finished}
        with interruptible(self.say) as interruption, delivery.alongside(name, self.settings) as delivered:
            if work is not None:
                run = StudyRun(self.study, inputs, resources, self.settings, interruption, self.say)
                failures = _unless_interrupted(work, run, delivered.sweep_ended) or failures
            record = self.study.record()
            exports.write_all(record, folder)
            self.say("delivering to MLflow …")
            is_delivered = delivered.wait()
        all_failed = None if interruption.is_set else _all_failed(record, before, failures.first)
        return Outcome(record, folder, is_delivered, interruption.signal, failures.stopped or all_failed)


def _unless_interrupted(work: Work, run: StudyRun, ended: Callable[[], None]) -> Failures | None:
    """Do the work. A set-up that fails after Ctrl-C, as Ray's slow start may, is told and is not how the run ended."""
    try:
        return work(run, ended)
    except SettingsError as error:
        if not run.interruption.is_set:
            raise
        run.say(str(error))
        return None


def _all_failed(record: StudyRecord, before: set[int], first: CodeError | None) -> TaskFailure | None:
    """Return how all trials failed that ended now and not `before`, or all of a study in which none did; else None."""
    finished = [trial for trial in record.standing if trial.is_finished]
    trials = [trial for trial in finished if trial.number not in before] or finished
    if not trials or any(trial.state != "failed" for trial in trials):
        return None
    trial = min(trials, key=lambda trial: trial.finished or 0.0)
    message = f"all trials failed ({len(trials)}); the first was trial {trial.number}: {trial.reason} ({trial.message})"
    return TaskFailure(
        message, None if first is None else first.traceback, trial.reason or Reason.CRASHED, is_early=False
    )


def study_inputs(task: Task, reference: str, conditions: Conditions, settings: Settings) -> StudyInputs:
    """Return what trials of a task under these conditions are about, with the data loaded.

    Raises:
        UserError: if the data cannot be had.
    """
    trained = conditions.applied_to(task)
    data = datasets.load_for_task(trained, settings.data_dir).training
    return StudyInputs(
        trained, task.digest(), reference, conditions.space, conditions.seed, data, conditions.objectives[1:]
    )


def check(task: Task, resources: Resources, *, is_population: bool) -> None:
    """Check that trials of a task can be run with these resources, as a population or not.

    Raises:
        UserError: if not; the message says which option to leave out.
    """
    checkpoints = "--checkpoint-every" if resources.checkpoint_every is not None else None
    option = "--scheduler pbt" if is_population else checkpoints
    if option and task.train is not None:
        raise UserError(
            f"task {task.name!r} has a training loop of its own, which cannot be taken up in the middle: "
            f"leave out {option}"
        )
    if is_population and checkpoints:
        raise UserError("a population keeps checkpoints of its own: leave out --checkpoint-every")
