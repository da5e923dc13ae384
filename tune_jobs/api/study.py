"""A study as an object: what came out of it, and what can be done with it next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

from tune_jobs import exports
from tune_jobs.actions import (
    enqueue,
    evaluate,
    extend,
    portable,
    replicate,
    report,
    retry,
    status,
    steer,
    train,
    transfer,
)
from tune_jobs.actions.session import Outcome
from tune_jobs.api.console import raise_early_end, say
from tune_jobs.api.leaderboard import Leaderboard
from tune_jobs.api.options import PlaceOptions, RunOptions, TransferOptions, take_resources, with_options
from tune_jobs.errors import Reason, StudyError, UserError
from tune_jobs.exports.best import best_row
from tune_jobs.leaderboard.ranking import Row
from tune_jobs.records.studies import StudyRecord
from tune_jobs.records.trials import TrialRecord
from tune_jobs.search_spaces import catalog
from tune_jobs.search_spaces.protocol import TaskError
from tune_jobs.search_spaces.scalars import Params, Value
from tune_jobs.search_spaces.spelling import near
from tune_jobs.search_spaces.task import Task
from tune_jobs.settings import Settings
from tune_jobs.study.study import Study as StoredStudy

if TYPE_CHECKING:
    import pandas as pd

    from tune_jobs.models.lazy_keras import keras
    from tune_jobs.study.optuna_view import OptunaStudy

_TOP = 10  # rows that a notebook shows of a leaderboard


class Study:
    """A study in its home: its trials, its leaderboard, its best model, and what can be done with it.

    Nothing is kept here: each look reads the study as it is now, also while another process runs it. What trains
    returns the study again, once all is done; Ctrl-C ends it earlier, and what is finished is kept.

    >>> study = tj.open("digits-mlp")
    >>> study
    Study 'digits-mlp' of task digits-mlp: 3 trials: 3 complete; best val_accuracy 0...
    >>> "learning_rate" in study.best_params
    True
    >>> study.trials_dataframe()[["number", "state"]].to_string(index=False).splitlines()[1].split()
    ['0', 'complete']
    """

    def __init__(self, name: str, settings: Settings) -> None:
        self.name = name
        self._settings = settings

    @property
    def record(self) -> StudyRecord:
        """All that is known of the study now, as plain values; of its last version, where it has several.

        Raises:
            StudyError: if it was deleted.
        """
        return StoredStudy.open(self.name, self._settings).record()

    @property
    def trials(self) -> tuple[TrialRecord, ...]:
        """The trials, in the order in which they began."""
        return self.record.trials

    @property
    def task(self) -> Task:
        """The task that the study was begun on.

        Raises:
            TaskError: if it cannot be found: its file is gone, or it was made in Python by another process.
        """
        record = self.record
        return catalog.find_said(record.reference, f"study {self.name!r}", record.with_paths)

    @property
    def best_params(self) -> dict[str, Value]:
        """The params of the best configuration.

        Raises:
            StudyError: if no trial is complete.
        """
        return dict(self._best.params)

    @property
    def best_score(self) -> float:
        """The score of the best configuration: the mean over its seeds.

        Raises:
            StudyError: if no trial is complete.
        """
        return self._best.score

    def leaderboard(self, top: int | None = None, *, version: int | None = None) -> Leaderboard:
        """Return the configurations in order, or the best `top` of them; of one version where the study has several.

        Raises:
            StudyError: there is no such version.
        """
        return Leaderboard(StoredStudy.open(self.name, self._settings).history().of_version(version), top)

    def trials_dataframe(self) -> pd.DataFrame:
        """Return a row for each trial: its params as `params.NAME`, the metrics of its best epoch as `metrics.NAME`."""
        from tune_jobs.api.frames import trials_frame

        return trials_frame(self.trials)

    def optuna_study(self) -> OptunaStudy:
        """Return the study as an Optuna study for its plots and its dashboard. It can be read and not written.

        >>> study = tj.open("digits-mlp").optuna_study()
        >>> {trial.state.name for trial in study.trials}
        {'COMPLETE'}
        >>> "units" in study.best_params, study.metric_names
        (True, ['val_accuracy'])
        >>> study.ask()
        Traceback (most recent call last):
        tune_jobs.errors.StudyError: the Optuna study of 'digits-mlp' can only be read: to run more trials, call ...
        """
        from tune_jobs.study.optuna_view import optuna_study

        return optuna_study(self.name, self._settings)

    def status(self) -> status.Status:
        """Return the state of the study: who runs it and where, and what each trial does, waits for or failed of."""
        return status.status(self.name, self._settings)

    def best_model(self, task: Task | None = None) -> keras.Model:
        """Return the model of the best configuration, trained again in this process or made of its kept weights.

        >>> model = tj.open("digits-mlp").best_model()
        >>> model.output_shape
        (None, 10)

        Raises:
            UserError, TaskError: if no trial is complete, the task has no model, or the task or its data are missing
                or have changed.
        """
        self._remember(task)
        return train.best_model(self.name, self._settings, say)

    @with_options(RunOptions)
    def extend(self, trials: int, *, task: Task | None = None, **options: Unpack[RunOptions]) -> Study:
        """Run this many trials more, with the search that the study has.

        >>> study = tj.open("digits-mlp")
        >>> n_trials = len(study.trials)
        >>> len(study.extend(1).trials) - n_trials
        1
        """
        request = extend.ExtendRequest(
            self.name, trials, is_more=True, resources=take_resources("extend", options, RunOptions)
        )
        self._remember(task)
        return self._after(extend.extend(request, self._settings, say))

    def enqueue(self, points: Path | str | Params | Sequence[Params], *, task: Task | None = None) -> Study:
        """Hand points to the study, to be tried before all that its search would propose, in their order.

        A point is params, of which the baseline fills what they lack; a path is a YAML file of them. A process that
        runs the study takes them at once, else the next `launch` or `extend`. What the study has already is left out.

        >>> study = tj.open("digits-mlp").enqueue([{"units": "64-32"}, {"units": "128-64"}])
        >>> [point["units"] for point in study.enqueued]
        ['64-32', '128-64']
        >>> study.extend(2).enqueued
        ()
        """
        self._remember(task)
        tried = [points] if isinstance(points, Mapping) else points
        outcome = enqueue.enqueue(self.name, Path(tried) if isinstance(tried, str) else tried, self._settings)
        for why in outcome.left_out:
            say(f"Left out: {why}")
        return self

    @property
    def enqueued(self) -> tuple[Params, ...]:
        """The points that wait to become trials, the next one first."""
        return StoredStudy.open(self.name, self._settings).enqueued()

    @with_options(RunOptions)
    def replicate(
        self,
        top: int = 5,
        seeds: int = 3,
        *,
        baseline: bool = False,
        until_separated: bool = False,
        budget: int | None = None,
        task: Task | None = None,
        **options: Unpack[RunOptions],
    ) -> Study:
        """Train the best `top` configurations with further seeds, so that each has `seeds` of them.

        With `baseline` the task's own configuration gets the same seeds, whatever its place. With `until_separated` go
        on where the order is in doubt, up to `budget` further trials.

        >>> board = tj.open("digits-mlp").replicate(top=1, seeds=2).leaderboard()
        >>> max(row.n for row in board)
        2
        """
        chosen = take_resources("replicate", options, RunOptions)
        request = replicate.ReplicateRequest(self.name, top, seeds, until_separated, budget, chosen, baseline)
        self._remember(task)
        return self._after(replicate.replicate(request, self._settings, say))

    @with_options(PlaceOptions)
    def evaluate(
        self,
        top: int = 1,
        *,
        by: str | None = None,
        again: bool = False,
        task: Task | None = None,
        **options: Unpack[PlaceOptions],
    ) -> Study:
        """Score the best `top` configurations, with all their seeds, on the test split. Nothing else reads it.

        Each reading is noted in the study, for whom it was (`by`; else the user). A second one needs `again`.

        >>> board = tj.open("digits-mlp").evaluate(top=1).leaderboard()
        >>> [row.tested.metric for row in board if row.tested]
        ['test_accuracy']
        """
        request = evaluate.EvaluateRequest(self.name, top, by, again, take_resources("evaluate", options, PlaceOptions))
        self._remember(task)
        return self._after(evaluate.evaluate(request, self._settings, say))

    @with_options(RunOptions)
    def retry(self, reasons: Sequence[str] = (), *, task: Task | None = None, **options: Unpack[RunOptions]) -> Study:
        """Run failed trials again: those that failed for one of these reasons, else those that may now succeed.

        Reasons are `crashed`, `out-of-memory`, `timed-out`, `diverged`, `invalid`, `collapsed`
        and `infeasible`.
        """
        chosen = take_resources("retry", options, RunOptions)
        request = retry.RetryRequest(self.name, tuple(map(_reason, reasons)) or retry.BY_ITSELF, chosen)
        self._remember(task)
        return self._after(retry.retry(request, self._settings, say))

    @with_options(TransferOptions)
    def transfer(
        self,
        to: str | Task,
        top: int = 3,
        seeds: int = 1,
        *,
        study: str | None = None,
        **options: Unpack[TransferOptions],
    ) -> Study:
        """Train the best `top` configurations on another task, beside its baseline; return the study there.

        `study` names that study; else it has the other task's name.
        """
        chosen = take_resources("transfer", options, TransferOptions)
        reference = to if isinstance(to, str) else catalog.reference_of(to)
        request = transfer.TransferRequest(
            self.name, reference, top, seeds, study, options.get("epochs"), options.get("images"), chosen
        )
        outcome = transfer.transfer(request, self._settings, say)
        return Study(outcome.study.name, self._settings)._after(outcome)

    def stop(self, *, now: bool = False) -> None:
        """Stop the study if another process runs it: once its running trials have finished, or now.

        Raises:
            StudyError: if nothing runs it on this machine.
        """
        steer.stop(self.name, self._settings, now=now)

    def export(self, folder: Path | str) -> tuple[Path, ...]:
        """Write the leaderboard in every format, and `best.yaml`, to a folder; return the files."""
        return exports.write_all(self.record, Path(folder))

    def report(self, path: Path | str | None = None) -> Path:
        """Write the report, one HTML file that opens without a network, to `path` or beside the exports; return it."""
        return report.write(self.name, self._settings, None if path is None else Path(path))

    def export_study(self, file: Path | str) -> Path:
        """Write the whole study to one file, which `import_study` reads; return the file."""
        portable.export_study(self.name, Path(file), self._settings, say)
        return Path(file)

    def delete(self) -> None:
        """Delete the study with its exports, its kept weights and its runs in MLflow. It does not ask.

        Raises:
            StudyError: if a process runs it.
        """
        _, problem = steer.delete(self.name, self._settings)
        if problem is not None:
            say(f"The runs of study {self.name} are still in MLflow: {problem}")

    def __repr__(self) -> str:
        try:
            return f"Study {self.name!r} of task {self._summary}"
        except UserError as error:
            return f"Study {self.name!r} ({error})"

    def _repr_html_(self) -> str:
        return f"<p>{escape(repr(self))}</p>{self.leaderboard(_TOP)._repr_html_()}"

    @property
    def _summary(self) -> str:
        record = self.record
        best, metric = best_row(record), record.terms.objective.metric
        score = f"no {metric} yet" if best is None else f"best {metric} {best.score:.4f}"
        return f"{record.terms.task}: {exports.board_of(record, None).notes[0]}; {score}"

    @property
    def _best(self) -> Row:
        record = self.record
        best = best_row(record)
        if best is None:
            raise StudyError(f"study {self.name!r} has no best configuration: {record.no_result}")
        return best

    def _remember(self, task: Task | None) -> None:
        """Have the actions find a task that is passed.

        Raises:
            TaskError: it is not the study's.
        """
        if task is None:
            return
        reference, begun = catalog.reference_of(task), self.record.reference
        if reference != begun:
            raise TaskError(f"study {self.name!r} was begun from {begun}, and the task passed is {reference}")

    def _after(self, outcome: Outcome) -> Study:
        raise_early_end(outcome)
        return self


def _reason(name: str) -> Reason:
    try:
        return Reason(name)
    except ValueError:
        names = [str(reason) for reason in Reason]
        raise UserError(f"no reason named {name!r}{near(name, names)}; there are {', '.join(names)}") from None
