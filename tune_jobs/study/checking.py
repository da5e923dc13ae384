"""Refuse what cannot be a study, though every value has the right type.

A study that comes from elsewhere is checked before anything of it is stored: whatever reads it later relies on its
states, numbers and names. One that is here is checked at each reading, without what takes its time: whether params lie
in the space, and how large is what is packed.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, TypeVar

from tune_jobs.decoding import ContentError
from tune_jobs.errors import StudyError
from tune_jobs.records import fold_rows, objectives, per_image, trial_pictures
from tune_jobs.records.objectives import metric_on_test
from tune_jobs.records.priors import Prior
from tune_jobs.records.studies import Change, Launch, StudyRecord, StudyTerms, terms_at
from tune_jobs.records.trials import Lineage, RecordedResult, TestResult, TrialRecord
from tune_jobs.search_spaces.one_factor import AnySpace, space_from_json
from tune_jobs.search_spaces.scalars import Params
from tune_jobs.study.contents import (
    Notes,
    StudyContent,
    TrialContent,
    check_name,
    note_of_test,
    notes_of,
    trial_record,
)
from tune_jobs.words import short

T = TypeVar("T")

_MOST_IMAGES = 10_000_000  # of a split
_MOST_UNPACKED = 2**30  # bytes of what is kept of all images, together
_MOST_PACKED_PICTURES = 2**20  # characters, twice what an evaluation keeps; zlib makes a thousand bytes of one at most
_LATEST = 1e11  # unix seconds; dates go no further than the year 9999
_MOST_SPENT = 1e18  # seconds of devices, and joules
_MOST = 10**9  # epochs, trials, seeds, CPUs: of whatever is counted


def check(content: StudyContent, outside: Collection[int]) -> None:
    """Refuse a content that cannot be a study's; `outside` are the trials that are said to lie outside its space, as
    those do that come from another task or from before it was narrowed.

    Raises:
        ContentError: the message names the first thing that is wrong.
    """
    check_study_name(content.name)
    notes, record = notes_of(content.notes), content.record
    space = _check_notes(notes)
    sizes = _Sizes()
    for trial in record.trials:
        place = f"trial {trial.number}"
        _check_params(trial, space, place, is_outside=trial.number in outside)
        check_trial(trial, terms_at(notes.terms, notes.changes, trial.number))
        if trial.seconds is not None and trial.seconds < 0:
            raise ContentError(f"{place} ended before it began")
        sizes.add_errors("validation", trial.errors, f"{place}: errors")
    _check_sizes(notes.tests, sizes)
    check_notes_on_trials(notes, record)


def check_trial(trial: TrialRecord, terms: StudyTerms) -> None:
    """Refuse a trial that no study on these terms can have, whatever its space.

    Raises:
        ContentError: the message names what is wrong.
    """
    place = f"trial {trial.number}"
    _check_seed(trial.seed, f"{place}: seed")
    _check_state(trial, place)
    if trial.result is not None:
        _check_result(trial, trial.result, terms, place)


def check_notes_on_trials(notes: Notes, record: StudyRecord) -> None:
    """Refuse notes about trials and configurations that the study does not have.

    Raises:
        ContentError: the message names the note.
    """
    _check_tests(notes.tests, record)
    _check_references(record)


def check_study_name(name: str) -> None:
    """Refuse what cannot be a study's name.

    Raises:
        ContentError: the name has another character in it, or is too long.
    """
    try:
        check_name(name)
    except StudyError as error:
        raise ContentError(str(error)) from error


def read_notes(values: Mapping[str, Any]) -> Notes:
    """Read a study's notes and check each by itself.

    Raises:
        ContentError: the message names the note.
    """
    notes = notes_of(values)
    _check_notes(notes)
    return notes


def read_trial(number: int, content: TrialContent, notes: Notes) -> TrialRecord:
    """Read a trial of a study with these notes, and check it.

    Raises:
        ContentError: the message names what is wrong.
    """
    record = trial_record(number, content)
    check_trial(record, terms_at(notes.terms, notes.changes, number))
    return record


def _check_notes(notes: Notes) -> AnySpace:
    """Refuse notes that cannot be a study's; return the study's space."""
    if not re.fullmatch("[0-9a-f]{32}", notes.identity):  # it names a folder and stands in MLflow's queries
        raise ContentError(f"identity needs 32 digits of 0-9a-f; got {short(notes.identity)}")
    _check_time(notes.created, "created")
    for i, change in enumerate(notes.changes):
        _check_change(change, f"changes[{i}]")
    if notes.launch is not None:
        _check_launch(notes.launch)
    if notes.replication is not None:
        _check_counts(vars(notes.replication), ("top", "seeds", "budget", "begun_at"), "replication")
    for i, transfer in enumerate(notes.transfers):
        _check_count(transfer.place, f"transfers[{i}].place")
    for number, course in notes.courses.items():
        _check_course(course, f"courses.{short(number)}")
    if notes.prior is not None:
        _check_prior(notes.prior)
    for i, point in enumerate(notes.enqueued):
        _check_names(point, f"enqueued[{i}]")
    for i, evaluation in enumerate(notes.readings):
        _check_time(evaluation.at, f"readings[{i}].at")
    return _check_terms(notes.terms, "terms")


def _check_terms(terms: StudyTerms, where: str) -> AnySpace:
    """Refuse terms that cannot be a study's; return its space."""
    if not re.fullmatch("[a-z0-9][a-z0-9-]{0,199}", terms.task):  # it names a folder too
        raise ContentError(f"{where}.task needs a task's name; got {short(terms.task)}")
    _check_seed(terms.seed, f"{where}.seed")
    counts = ("epochs", "patience", "batch_size", "validation", "images", "folds")
    _check_counts(vars(terms.protocol), counts, f"{where}.protocol")
    _made(lambda: objectives.check(terms.objectives), f"{where}.further_objectives")
    return _made(lambda: space_from_json(terms.space), f"{where}.space")


def _check_change(change: Change, where: str) -> None:
    _check_terms(change.terms, f"{where}.terms")
    _check_time(change.at, f"{where}.at")
    _check_count(change.first, f"{where}.first")
    if any(not 0 <= number < change.first for number in change.unfinished):
        raise ContentError(f"{where}.unfinished has a trial that is not before {change.first}")


def _check_launch(launch: Launch) -> None:
    _check_time(launch.at, "launch.at")
    _check_count(launch.trials, "launch.trials")
    _check_counts(vars(launch.scheduling), ("grace", "eta"), "launch.scheduling")
    _check_counts(vars(launch.budget), ("epochs", "flat"), "launch.budget")
    for constraint in launch.constraints:
        if not constraint.name.isprintable():
            raise ContentError(f"launch.constraints has the name {short(constraint.name)}")


def _check_prior(prior: Prior) -> None:
    check_study_name(prior.study)
    _check_count(prior.best, "prior.best")
    for i, trial in enumerate(prior.trials):
        _check_names(trial.params, f"prior.trials[{i}]")
        if trial.state == "complete" and trial.score is None:
            raise ContentError(f"prior.trials[{i}] is complete, and has no score")


def _check_course(course: Lineage, where: str) -> None:
    for i, segment in enumerate(course):
        _check_counts(vars(segment), ("first", "parent"), f"{where}[{i}]")
        _check_seed(segment.seed, f"{where}[{i}].seed")


def _made(make: Callable[[], T], where: str) -> T:
    """Call a constructor of ours with values that may be anything: whatever it raises is the fault of these."""
    try:
        return make()
    except Exception as error:
        why = " ".join(str(error).split()) or type(error).__name__
        raise ContentError(f"{where}: {why[:300]}") from error


def _check_params(trial: TrialRecord, space: AnySpace, place: str, *, is_outside: bool) -> None:
    _check_names(trial.params, place)
    why_not = _made(lambda: space.why_not(trial.params), f"{place}: params")
    if why_not is not None and not is_outside:
        raise ContentError(f"{place} lies outside the study's space: {why_not[:300]}")
    if why_not is None and is_outside:
        raise ContentError(f"{place} is said to lie outside the study's space, and does not")


def _check_names(params: Params, where: str) -> None:
    for name in params:
        if not name.isprintable():
            raise ContentError(f"{where} has a parameter with the name {short(name)}")


def _check_state(trial: TrialRecord, place: str) -> None:
    """Refuse a trial whose state does not go with what is kept of it."""
    if trial.started is not None:
        _check_time(trial.started, f"{place}: attempt.started")
        if not 1 <= trial.attempts <= _MOST:
            raise ContentError(f"{place}: attempt.number counts from one; got {trial.attempts}")
    if trial.state == "waiting" and (trial.result is not None or trial.scores):
        raise ContentError(f"{place} is waiting, and has a result or epochs already")
    if trial.state == "running" and trial.started is None:
        raise ContentError(f"{place} is running, and was never started")
    if trial.is_finished and trial.result is None:
        raise ContentError(f"{place} is {trial.state}, and has no result")
    if trial.is_finished and trial.result is not None and trial.result.state != trial.state:
        raise ContentError(f"{place} is {trial.state}, and its result {trial.result.state}")


def _check_result(trial: TrialRecord, result: RecordedResult, terms: StudyTerms, place: str) -> None:
    _check_time(result.finished, f"{place}: result.finished")
    _check_counts(vars(result), ("cpus", "gpus", "weights"), f"{place}: result")
    for name, value in vars(result.spent).items() if result.spent is not None else ():
        if value is not None and not 0 <= value < _MOST_SPENT:
            raise ContentError(f"{place}: result.spent.{name} needs a number of 0 or more; got {value}")
    if not 0 <= result.train_seconds < _LATEST:
        raise ContentError(f"{place}: result.train_seconds needs a time in seconds; got {result.train_seconds}")
    _made(lambda: trial_pictures.check(result.pictures or {}), f"{place}: result.pictures")
    _made(lambda: trial_pictures.check_progress(result.progress), f"{place}: result.progress")
    for i, rung in enumerate(result.rungs):
        _check_counts(vars(rung), ("images", "epochs"), f"{place}: result.rungs[{i}]")
    if result.state == "failed":
        if result.score is not None or result.best_epoch is not None:
            raise ContentError(f"{place} failed, and has a score or a best epoch")
        return
    if terms.protocol.folds is None:
        _check_score(result, terms.objective.metric, place)
    else:
        _check_folds(result, terms.objective.metric, terms.protocol.folds, place)
    for aim in terms.further_objectives:
        if trial.state == "complete" and objectives.value(trial, aim) is None:
            raise ContentError(f"{place} is complete, and has no {short(aim.metric)}, which is an objective")


def _check_score(result: RecordedResult, metric: str, place: str) -> None:
    best, history = result.best_epoch, result.history
    if result.score is None or best is None or not 1 <= best <= len(history):
        raise ContentError(f"{place} is {result.state}, and has no score at one of its epochs")
    if history[best - 1].get(metric) != result.score:
        raise ContentError(f"{place} has the score {result.score}, which is not that of its epoch {best}")


def _check_folds(result: RecordedResult, metric: str, n: int, place: str) -> None:
    """Refuse a cross-validated trial whose score is not the mean over its folds."""
    rows = result.history
    if not 1 <= len(rows) <= n or (result.state == "complete" and len(rows) != n):
        raise ContentError(f"{place} is {result.state}, and has {len(rows)} of {n} folds")
    if result.score is None or not all(metric in row for row in rows):
        raise ContentError(f"{place} is {result.state}, and has no score or a fold without one")
    if not math.isclose(result.score, fold_rows.score(rows, metric), rel_tol=1e-9, abs_tol=1e-300):
        raise ContentError(f"{place} has the score {result.score}, which is not the mean over its folds")


def _check_tests(tests: Mapping[int, TestResult], record: StudyRecord) -> None:
    for number, tested in tests.items():
        metric = metric_on_test(terms_at(record.begun or record.terms, record.changes, number).objective)
        name = note_of_test(number)
        if number >= len(record.trials) or record.trials[number].state != "complete":
            raise ContentError(f"{name} is about no complete trial")
        if not math.isfinite(tested.metrics.get(metric, 0.0)):
            raise ContentError(f"{name}: metrics.{short(metric)} needs a number; got {tested.metrics[metric]}")
        _check_count(tested.reading, f"{name}.reading")


def _check_sizes(tests: Mapping[int, TestResult], sizes: _Sizes) -> None:
    for number, tested in tests.items():
        name = note_of_test(number)
        sizes.add_errors("test", tested.errors, f"{name}.errors")
        sizes.add_readings(tested.readings, f"{name}.readings")
        sizes.add_pictures(tested.worst, f"{name}.worst")


def _check_references(record: StudyRecord) -> None:
    for i, evaluation in enumerate(record.readings):
        if any(not 0 <= number < len(record.trials) for number in evaluation.trials):
            raise ContentError(f"readings[{i}] is about a trial that is not there")
    if record.replication is not None:
        unknown = set(record.replication.params_ids) - {trial.params_id for trial in record.trials}
        if unknown:
            raise ContentError(f"replication is about {short(min(unknown))}, which no trial has")


class _Sizes:
    """The sizes of all that is packed, since a few bytes can unpack to very many. What is kept of a split has to be of
    all its images."""

    def __init__(self) -> None:
        self._left = _MOST_UNPACKED
        self._images: dict[str, int] = {}

    def add_errors(self, split: str, packed: str | None, where: str) -> None:
        """Add errors that `per_image` packed."""
        if packed is None:
            return
        self._add_images(split, _made(lambda: per_image.count(packed), where), where)
        self._spend(_made(lambda: per_image.unpack(packed), where).nbytes, where)

    def add_readings(self, packed: str | None, where: str) -> None:
        """Add readings of the test split that `readings` packed."""
        from tune_jobs.records.readings import unpack

        if packed is None:
            return
        readings = _made(lambda: unpack(packed), where)
        self._add_images("test", len(readings.true), where)
        self._spend(readings.true.nbytes + readings.read.nbytes, where)

    def add_pictures(self, packed: str | None, where: str) -> None:
        """Add pictures of images that `readings` are of."""
        from tune_jobs.records.readings import unpack_pictures

        if packed is None:
            return
        if len(packed) > _MOST_PACKED_PICTURES:
            raise ContentError(f"{where} needs at most {_MOST_PACKED_PICTURES} characters; got {len(packed)}")
        pictures = _made(lambda: unpack_pictures(packed), where)
        self._spend(sum(picture.pixels.nbytes for picture in pictures), where)
        if any(picture.index >= self._images.get("test", 0) for picture in pictures):
            raise ContentError(f"{where} has an image that the test split has not")

    def _add_images(self, split: str, n: int, where: str) -> None:
        if n != self._images.setdefault(split, n) or not 1 <= n <= _MOST_IMAGES:
            raise ContentError(f"{where} of {n} images; the {split} split has {self._images[split]}")

    def _spend(self, n_bytes: int, where: str) -> None:
        self._left -= n_bytes
        if self._left < 0:
            raise ContentError(f"{where} and what was before come to more than {_MOST_UNPACKED // 2**20} MiB")


def _check_time(seconds: float, where: str) -> None:
    if not 0 <= seconds < _LATEST:
        raise ContentError(f"{where} needs a time in unix seconds; got {seconds}")


def _check_counts(values: Mapping[str, float | None], names: Sequence[str], where: str) -> None:
    for name in names:
        _check_count(values[name], f"{where}.{name}")


def _check_count(number: float | None, where: str) -> None:
    if number is not None and not 0 <= number <= _MOST:
        raise ContentError(f"{where} needs a number from 0 to {_MOST}; got {number}")


def _check_seed(seed: int, where: str) -> None:
    if seed < 0:
        raise ContentError(f"{where} needs to be 0 or more; got {seed}")
