"""What the actions share: hold a study, resume it on its task, run trials, deliver them to MLflow, write the exports.

An action decides what is run: a search (`launch.py`), further seeds (`replicate.py`), failed trials (`retry.py`),
another task's configurations (`transfer.py`), or finalists on the test split (`evaluate.py`).
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from tune_jobs import datasets, exports, tracking
from tune_jobs.actions import notifying, rehearsal, report
from tune_jobs.datasets import AnyTrainingData
from tune_jobs.environment import prepare_python
from tune_jobs.errors import Reason, SettingsError, StudyError, UserError
from tune_jobs.execution.plan import Beside, Conditions, Plan, Resources, StudyInputs, StudyRun
from tune_jobs.execution.rules import CodeError, Failures, TaskFailure
from tune_jobs.execution.searching import run_trials
from tune_jobs.execution.task_source import TaskSource
from tune_jobs.exports.best import best_row
from tune_jobs.live.signals import interruptible
from tune_jobs.models.presentation import Presentation
from tune_jobs.records.studies import Launch, Search, StudyRecord, StudyTerms
from tune_jobs.search_spaces import catalog, digests
from tune_jobs.search_spaces.one_factor import space_from_json
from tune_jobs.search_spaces.protocol import TaskError
from tune_jobs.search_spaces.scalars import SpaceError, params_id
from tune_jobs.search_spaces.task import Task
from tune_jobs.settings import Settings
from tune_jobs.study import provenance
from tune_jobs.study.study import Study
from tune_jobs.tracking import delivery
from tune_jobs.tracking.report import server_address
from tune_jobs.training import tensorflow_start
from tune_jobs.words import Say

_QUICK_S = 2.0  # a function that loads data in less is called once more to see whether it returns the same

if TYPE_CHECKING:
    # What a session runs on Ray; it tells the second argument how far it is.
    Work = Callable[[StudyRun, Beside], Failures | None]


@dataclass(frozen=True)
class Outcome:
    """How a run ended. `signal` is what ended it early, if one did. `task_failure` did, or all trials failed."""

    study: StudyRecord
    exports_dir: Path
    is_delivered: bool  # MLflow has every trial
    signal: int | None
    task_failure: TaskFailure | None = None
    view: str | None = None  # the address of the study's trials on an MLflow server
    unheard: str | None = None  # who did not hear all notifications, in one line


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
        begun = self.study.record()
        task = find_begun(begun)
        inputs = study_inputs(task, begun.reference, Conditions.of(begun.terms), self.settings, begun, self.say)
        self.study.begin(inputs.terms)
        say_changed_code(begun, inputs, self.say)
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
        with notifying.told(self.study.name, inputs, plan, resources, self.settings, self.say) as told:
            news = told.news
            outcome = self.conduct(lambda run, beside: run_trials(run, plan, beside, news), inputs, resources)
            if outcome.task_failure is not None:
                news.fail(outcome.task_failure.message, outcome.study)
            else:
                news.end(outcome.study, best_row(outcome.study), outcome.signal)
        return replace(outcome, unheard=told.problems)

    def conduct(self, work: Work | None, inputs: StudyInputs, resources: Resources) -> Outcome:
        """Do the work while trials are delivered to MLflow, then write the exports and wait for the delivery."""
        name, folder, failures = self.study.name, self.settings.exports_dir(self.study.name), Failures()
        prepare_python()  # for the processes that this one starts
        before = {trial.number for trial in self.study.record().trials if trial.is_finished}
        with interruptible(self.say) as interruption, delivery.alongside(name, self.settings) as delivered:
            if work is not None:
                run = StudyRun(self.study, inputs, resources, self.settings, interruption, self.say)
                failures = _unless_interrupted(work, run, delivered) or failures
            record = self.study.record()
            exports.write_all(record, folder)
            self.say("delivering to MLflow …")
            is_delivered = delivered.wait()
        if interruption.signal is None:  # nothing goes on after Ctrl-C
            report.begin(name, self.settings)
        all_failed = None if interruption.is_set else _all_failed(record, before, failures.first)
        failure, view = failures.stopped or all_failed, server_address(name, self.settings)
        return Outcome(record, folder, is_delivered, interruption.signal, failure, view)


def _unless_interrupted(work: Work, run: StudyRun, beside: Beside) -> Failures | None:
    """Do the work. A set-up that fails after Ctrl-C, as Ray's slow start may, is told and is not how the run ended."""
    try:
        return work(run, beside)
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


def find_task(reference: str, also: Sequence[Path] = ()) -> Task:
    """Return the task of a reference in a process that does not train: its file may use TensorFlow when it is imported.

    Raises:
        TaskError: as `catalog.find`.
    """
    with tensorflow_start.prepared(None):
        return catalog.find(reference, also)


def find_begun(study: StudyRecord) -> Task:
    """Return the task of a study that was begun, from where it was last launched, as `find_task` does.

    Raises:
        TaskError: as `catalog.find_said`.
    """
    with tensorflow_start.prepared(None):
        return catalog.find_said(study.reference, f"study {study.name!r}", study.with_paths)


def study_inputs(
    task: Task,
    reference: str,
    conditions: Conditions,
    settings: Settings,
    begun: StudyRecord | None,
    say: Say,
    with_paths: tuple[Path, ...] = (),
) -> StudyInputs:
    """Return what trials of a task under these conditions are about, with the data loaded.

    A study that was begun knows its task and data again by what they are, wherever the task's file is now. What goes
    with the file is as it was, unless `with_paths` says otherwise.

    Raises:
        UserError: if the data cannot be had, or are others at each call.
    """
    trained = conditions.applied_to(task)
    with tensorflow_start.prepared(None):
        data = _load(trained, settings, say, is_first=begun is None)
        known_data = None if begun is None else begun.terms.given_data
        if data is not None and conditions.given_data not in (None, known_data):
            datasets.check_fits(data, task, settings.data_dir, say)
    digest, also = task.digest(), with_paths
    if begun is not None:
        digest, also = _known_digest(task, begun.terms), also or begun.with_paths
        data = data and _known_data(trained, data, begun.terms, settings)
    inputs = StudyInputs(
        task=trained,
        task_digest=digest,
        reference=reference,
        space=conditions.space,
        seed=conditions.seed,
        data=data,
        further=conditions.objectives[1:],
        with_paths=also,
        code=catalog.code_digest(reference, also),
        data_given=conditions.given_data is not None,
        constraints=begun.constraints if begun is not None else (),
        scored_by=digests.of_scores(task),
        declared=conditions.declared,
        narrowed=conditions.narrowed,
        opened=conditions.opened,
    )
    if begun is None:
        rehearse(inputs, say)
    return inputs


def rehearse(inputs: StudyInputs, say: Say) -> None:
    """Check the names in a task as a new study, or a new version of one, trains it.

    Raises:
        TaskError: as `rehearsal.check`.
    """
    source = functools.partial(TaskSource.of, inputs.reference, inputs.with_paths)
    rehearsal.check(inputs.task, inputs.space, inputs.further, inputs.data, source, say)


def _load(task: Task, settings: Settings, say: Say, *, is_first: bool) -> AnyTrainingData | None:
    """Return the data of a task, if it has some. Before a study is begun, a function that is quick is called twice.

    Raises:
        DataError: they cannot be had, or are others at each call.
    """
    started = time.monotonic()
    data = datasets.training_data(task, settings.data_dir, say)
    if data is not None and is_first and time.monotonic() - started < _QUICK_S:
        datasets.check_steady(task, data.digest, settings.data_dir)
    return data


def _known_digest(task: Task, terms: StudyTerms) -> str:
    """Return the digest by which a study knows the task, which may be that of an earlier version."""
    file, _ = catalog.split(terms.reference)
    known = {*digests.earlier(task, None if file is None else file.stem), *task.earlier}
    if not terms.scored_by:  # from before it was kept: the task may have had this very space
        with suppress(TaskError, SpaceError):
            known.add(replace(task, space=space_from_json(terms.space)).digest())
    return terms.task_digest if terms.task_digest in known else task.digest()


def _known_data(task: Task, data: AnyTrainingData, terms: StudyTerms, settings: Settings) -> AnyTrainingData:
    """Return the data under the name that a study has for them, which in earlier versions was that of a file too.

    Raises:
        DataError: the task's own function returns others at each call.
    """
    if data.digest != terms.data_digest:
        datasets.check_steady(task, data.digest, settings.data_dir)
    is_same_function = data.name.rpartition(".")[2] == terms.dataset.rpartition(".")[2]
    return replace(data, name=terms.dataset) if is_same_function or data.digest == terms.data_digest else data


def absolute(paths: Sequence[Path]) -> tuple[Path, ...]:
    """Return paths as they are found from any folder."""
    return tuple(path.expanduser().absolute().parent.resolve() / path.name for path in paths)


def launch_note(search: Search, trials: int | None, inputs: StudyInputs) -> Launch:
    """Return a launch from this machine, now, with the place where the task is."""
    now = provenance.note(search, trials, inputs.task.encoding_params)
    place = None if inputs.reference == inputs.task.name else catalog.lasting(inputs.reference)
    unit = _unit(inputs.task)
    also = tuple(map(str, inputs.with_paths))
    baseline = params_id(inputs.task.baseline) if inputs.task.baseline else None
    now = replace(now, unit=unit, constraints=inputs.constraints, baseline=baseline)
    return replace(now, reference=place, code=inputs.code, with_paths=also)


def _unit(task: Task) -> str:
    """Return the unit of the objective where the encoding has one that the name of the metric does not say."""
    metric = task.objective.metric.removeprefix("val_")
    if task.encoding is None:
        return ""
    unit = Presentation(task.encoding_of(task.baseline)).unit_of(metric)
    return "" if unit in metric.split("_") else unit


def say_changed_code(begun: StudyRecord, inputs: StudyInputs, say: Say) -> None:
    """Say so if the code of the task's file is not what it was when the study was last launched."""
    last = begun.launch.code if begun.launch else None
    if last is not None and inputs.code is not None and last != inputs.code:
        say(
            f"study {begun.name}: the code of its task file, or of what that imports, has changed since the last "
            "launch: scores of earlier trials may not compare. --study NAME begins another"
        )


def check(task: Task, resources: Resources, *, is_population: bool) -> None:
    """Check that trials of a task can be run with these resources, as a population or not.

    Raises:
        UserError: if not; the message says which option to leave out.
    """
    checkpoints = "--checkpoint-every" if resources.checkpoint_every is not None else None
    if task.protocol.folds is not None and checkpoints:
        raise UserError("a cross-validated trial keeps each fold that has ended: leave out --checkpoint-every")
    if task.protocol.folds is not None and resources.keep_weights:
        raise UserError(
            "a cross-validated trial has a model for each fold, none of which is that of all rows: leave out "
            "--keep-weights; `tune-jobs train` makes one of all rows"
        )
    option = "--scheduler pbt" if is_population else checkpoints
    if option and not task.can_resume:
        hint = "" if task.run is None else ", or let the function take `checkpoint`, the folder of its state"
        raise UserError(
            f"task {task.name!r} has {task.own_code}, which cannot be taken up in the middle: leave out {option}{hint}"
        )
    if resources.keep_weights and task.run is not None:
        raise UserError(
            f"task {task.name!r} has {task.own_code}, whose weights are not seen: leave out --keep-weights, and "
            "let the function take `artifacts`, a folder whose files are kept"
        )
    if is_population and checkpoints:
        raise UserError("a population keeps checkpoints of its own: leave out --checkpoint-every")
