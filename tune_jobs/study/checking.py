"""Whether what is said to be a study can be one: every name, type, number and state of a content from elsewhere.

The types are those of the records, so that they are written once; what they cannot say is said here.
"""

from __future__ import annotations

import functools
import math
import re
import types
import typing
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields, is_dataclass
from typing import Any, Literal

from tune_jobs.errors import StudyError
from tune_jobs.records import objectives, per_image
from tune_jobs.records.objectives import metric_on_test
from tune_jobs.records.studies import Evaluation, Launch, Replication, StudyTerms, Transfer
from tune_jobs.records.trials import FINISHED, Segment, TestResult, TrialResult
from tune_jobs.search_spaces.one_factor import AnySpace, space_from_json
from tune_jobs.search_spaces.protocol import Objective
from tune_jobs.search_spaces.scalars import Value
from tune_jobs.search_spaces.spelling import near
from tune_jobs.study.contents import (
    NOTES,
    StudyContent,
    TrialContent,
    check_name,
    courses_of,
    launch_of,
    terms_of,
    tested_number,
    trial_record,
)

_MOST_IMAGES = 10_000_000  # of a split
_MOST_UNPACKED = 2**30  # bytes of what is kept of all images, together
_MOST_PACKED_PICTURES = 2**20  # characters, twice what an evaluation keeps; zlib makes a thousand bytes of one at most
_LATEST = 1e11  # unix seconds; dates go no further than the year 9999
_LARGEST = 2**63  # of whole numbers, above what any store takes


class ContentError(ValueError):
    """A content that is no study's; the message says where and why, in a line."""


@dataclass(frozen=True, kw_only=True)
class _Attempt:
    number: int
    started: float


@dataclass(frozen=True, kw_only=True)
class _Result(TrialResult):
    finished: float
    cpus: float | None = None


_NOTES: Mapping[str, Any] = {
    "created": float,
    "identity": str,
    "terms": StudyTerms,
    "launch": Launch,
    "replication": Replication,
    "readings": tuple[Evaluation, ...],
    "transfers": tuple[Transfer, ...],
    "courses": Mapping[str, tuple[Segment, ...]],
}
_NEEDED = ("created", "identity", "terms")


def check(content: StudyContent, outside: Collection[int]) -> None:
    """Whether a content can be a study's; `outside` are the trials that are said to lie outside its space, as those do
    that come from another task or from before it was narrowed.

    Its parts have the types that `StudyContent` and `TrialContent` say; what is inside of them is checked here.

    Raises:
        ContentError: it cannot; the message names the first thing that is wrong.
    """
    check_name_of(content.name)
    space = _check_notes(content.notes)
    aims = terms_of(content.notes).objectives
    budget = _Budget()
    for number, trial in enumerate(content.trials):
        place = f"trial {number}"
        _check_params(trial, space, place, is_outside=number in outside)
        _check_state(trial, aims[0], place)
        _check_values(trial, number, aims, place)
        if trial.result is not None and trial.result.get("errors") is not None:
            budget.errors("validation", trial.result["errors"], f"{place}: errors")
    _check_what_notes_are_about(content, budget)


def check_notes(notes: Mapping[str, Any]) -> None:
    """Whether these can be a study's notes, each by itself.

    Raises:
        ContentError: they cannot.
    """
    _check_notes(notes)


def check_types(trial: TrialContent, place: str) -> None:
    """Whether what is kept of a trial is of the right types, which is all that whoever reads it relies on.

    Raises:
        ContentError: it is not.
    """
    typed(trial.params, dict[str, Value], f"{place}: params")
    typed(trial.seed, int, f"{place}: seed")
    if trial.attempt is not None:
        typed(trial.attempt, _Attempt, f"{place}: attempt")
    if trial.result is not None:
        typed({**trial.result, "history": []}, _Result, f"{place}: result")
        _check_history(trial.result.get("history", []), place)


def _check_history(history: Any, place: str) -> None:
    """By far the most of a trial, hence by hand: as `typed` it would double the time in which a large study opens."""
    is_right = isinstance(history, list) and all(isinstance(epoch, dict) for epoch in history)
    if not is_right or any(type(value) not in (float, int) for epoch in history for value in epoch.values()):
        raise ContentError(f"{place}: result.history needs a mapping from names to numbers for each epoch")


def check_name_of(name: object) -> None:
    """Whether this is a study's name.

    Raises:
        ContentError: if not.
    """
    try:
        check_name(typed(name, str, "name"))
    except StudyError as error:
        raise ContentError(str(error)) from error


def typed(value: Any, kind: Any, where: str, *, finite: bool = True) -> Any:
    """The value itself, if it is the JSON form of `kind`: a type, a union, a Literal, a mapping, a tuple of any length
    or a dataclass, whose fields may be missing where they have a default. Numbers are finite unless `finite` is False.

    Raises:
        ContentError: it is not; `where` says what it was to be.
    """
    wrong = _why_not(value, kind, where, finite)
    if wrong is not None:
        raise ContentError(wrong)
    return value


def _why_not(value: Any, kind: Any, where: str, finite: bool) -> str | None:
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if kind is Any:
        return None
    if origin in (typing.Union, types.UnionType):
        reasons = [_why_not(value, one, where, finite) for one in arguments]
        return None if None in reasons else _needs(where, kind, value)
    if origin is Literal:
        return None if isinstance(value, str) and value in arguments else _needs(where, kind, value)
    if origin is tuple:
        return _why_no_list(value, arguments[0], where, finite)
    if is_dataclass(kind):
        return _why_no_dataclass(value, typing.cast("type", kind), where, finite)
    if origin is not None and issubclass(origin, Mapping):
        return _why_no_mapping(value, arguments[1], where, finite)
    return None if _is_plain(value, kind, finite) else _needs(where, kind, value)


def _why_no_list(value: Any, kind: Any, where: str, finite: bool) -> str | None:
    if not isinstance(value, list):
        return f"{where} needs a list; got {_short(value)}"
    reasons = (_why_not(one, kind, f"{where}[{i}]", finite) for i, one in enumerate(value))
    return next((reason for reason in reasons if reason is not None), None)


def _why_no_mapping(value: Any, kind: Any, where: str, finite: bool) -> str | None:
    if not isinstance(value, dict):
        return f"{where} needs a mapping; got {_short(value)}"
    reasons = (_why_not(one, kind, f"{where}.{_short(name)}", finite) for name, one in value.items())
    return next((reason for reason in reasons if reason is not None), None)


def _why_no_dataclass(value: Any, kind: type, where: str, finite: bool) -> str | None:
    if not isinstance(value, dict):
        return f"{where} needs a mapping; got {_short(value)}"
    kinds, needed = _fields(kind)
    wrong = _why_not_keys(value, needed, tuple(kinds), where)
    reasons = (_why_not(one, kinds[name], f"{where}.{name}", finite) for name, one in value.items())
    return wrong or next((reason for reason in reasons if reason is not None), None)


@functools.cache
def _fields(kind: type) -> tuple[Mapping[str, Any], Sequence[str]]:
    """A dataclass' fields with their types, and those without a default; asked for once a trial."""
    needed = [one.name for one in fields(kind) if one.default is MISSING and one.default_factory is MISSING]
    return typing.get_type_hints(kind), needed


def check_keys(value: Any, needed: Sequence[str], known: Sequence[str], where: str) -> None:
    """Whether a value is a mapping with these keys.

    Raises:
        ContentError: it is none, one is missing, or there is another.
    """
    wrong = f"{where} needs a mapping; got {_short(value)}" if not isinstance(value, dict) else None
    wrong = wrong or _why_not_keys(value, needed, known, where)
    if wrong is not None:
        raise ContentError(wrong)


def _why_not_keys(value: Mapping[str, Any], needed: Sequence[str], known: Sequence[str], where: str) -> str | None:
    for name in needed:
        if name not in value:
            return f"{where} has no {name!r}"
    for name in value:
        if name not in known:
            return f"{where} has {_short(name)}, which nothing here knows{near(name[:100], known)}"
    return None


def _is_plain(value: Any, kind: Any, finite: bool) -> bool:
    if kind is type(None):
        return value is None
    if kind is bool or isinstance(value, bool):
        return kind is bool and isinstance(value, bool)
    if kind is int:
        return isinstance(value, int) and abs(value) < _LARGEST
    if kind is float:
        is_number = isinstance(value, float) or _is_plain(value, int, finite)
        return is_number and (not finite or math.isfinite(value))
    return isinstance(value, kind)


def _needs(where: str, kind: Any, value: Any) -> str:
    return f"{where} needs {_kind_words(kind)}; got {_short(value)}"


def _kind_words(kind: Any) -> str:
    words = {int: "a whole number", float: "a number", str: "a text", bool: "true or false", type(None): "null"}
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(_kind_words(one) for one in arguments)
    if origin is Literal:
        return f"one of {', '.join(arguments)}"
    return words.get(kind, "something else")


def _short(value: Any) -> str:
    """At most a few words of a value that may be anything."""
    if isinstance(value, list | dict):
        return "a list" if isinstance(value, list) else "a mapping"
    text = repr(value[:61] if isinstance(value, str) else value)
    return text if len(text) <= 60 else f"{text[:60]}…"


def _check_notes(notes: Mapping[str, Any]) -> AnySpace:
    """Each note by itself; the study's space."""
    known = (*NOTES, *(name for name in notes if tested_number(name) is not None))
    check_keys(dict(notes), _NEEDED, known, "the study")
    for name, note in notes.items():
        is_test = tested_number(name) is not None
        typed(note, TestResult if is_test else _NOTES[name], name, finite=not is_test)
    terms = notes["terms"]
    if not re.fullmatch("[0-9a-f]{32}", notes["identity"]):  # it names a folder and stands in MLflow's queries
        raise ContentError(f"identity needs 32 digits of 0-9a-f; got {_short(notes['identity'])}")
    if not re.fullmatch("[a-z0-9][a-z0-9-]{0,199}", terms["task"]):  # it names a folder too
        raise ContentError(f"terms.task needs a task's name; got {_short(terms['task'])}")
    _check_seed(terms["seed"], "terms.seed")
    for where, at in (("created", notes["created"]), ("launch.at", notes.get("launch", {}).get("at", 0))):
        _check_time(at, where)
    for i, reading in enumerate(notes.get("readings", ())):
        _check_time(reading["at"], f"readings[{i}].at")
    aims = _made(lambda: terms_of(notes).objectives, "terms")
    _made(lambda: objectives.check(aims), "terms.further_objectives")
    _made(lambda: launch_of(notes), "launch")
    _made(lambda: courses_of(notes), "courses")
    return typing.cast("AnySpace", _made(lambda: space_from_json(terms["space"]), "terms.space"))


def _made(make: Callable[[], Any], where: str) -> Any:
    """What a constructor of ours makes of values that may be anything: whatever it trips over is their fault."""
    try:
        return make()
    except Exception as error:
        why = " ".join(str(error).split()) or type(error).__name__
        raise ContentError(f"{where}: {why[:300]}") from error


def _check_params(trial: TrialContent, space: AnySpace, place: str, *, is_outside: bool) -> None:
    for name in trial.params:
        if not name.isprintable():
            raise ContentError(f"{place} has a parameter with the name {_short(name)}")
    _check_seed(trial.seed, f"{place}: seed")
    wrong = _made(lambda: space.why_not(trial.params), f"{place}: params")
    if wrong is not None and not is_outside:
        raise ContentError(f"{place} lies outside the study's space: {wrong[:300]}")
    if wrong is None and is_outside:
        raise ContentError(f"{place} is said to lie outside the study's space, and does not")


def _check_state(trial: TrialContent, objective: Objective, place: str) -> None:
    """Whether what is kept of a trial goes with its state."""
    if trial.attempt is not None:
        typed(trial.attempt, _Attempt, f"{place}: attempt")
        _check_time(trial.attempt["started"], f"{place}: attempt.started")
        if trial.attempt["number"] < 1:
            raise ContentError(f"{place}: attempt.number counts from one; got {trial.attempt['number']}")
    if any(epoch < 1 for epoch in trial.intermediate):
        raise ContentError(f"{place}: intermediate counts epochs from one; got {min(trial.intermediate)}")
    if trial.state == "waiting" and (trial.result is not None or trial.intermediate):
        raise ContentError(f"{place} is waiting, and has a result or epochs already")
    if trial.state == "running" and trial.attempt is None:
        raise ContentError(f"{place} is running, and was never started")
    if trial.result is None:
        if trial.state in FINISHED:
            raise ContentError(f"{place} is {trial.state}, and has no result")
        return
    _check_result(typed(trial.result, _Result, f"{place}: result"), objective, place)
    if trial.state in FINISHED and trial.result["state"] != trial.state:
        raise ContentError(f"{place} is {trial.state}, and its result {trial.result['state']}")


def _check_result(result: Mapping[str, Any], objective: Objective, place: str) -> None:
    _check_time(result["finished"], f"{place}: result.finished")
    score, best, history = (result.get(name) for name in ("score", "best_epoch", "history"))
    if result["state"] == "failed":
        if score is not None or best is not None:
            raise ContentError(f"{place} failed, and has a score or a best epoch")
        return
    if score is None or best is None or not history or not 1 <= best <= len(history):
        raise ContentError(f"{place} is {result['state']}, and has no score at one of its epochs")
    if any(objective.metric not in epoch for epoch in history):
        raise ContentError(f"{place} has an epoch without {_short(objective.metric)}")
    if history[best - 1][objective.metric] != score:
        raise ContentError(f"{place} has the score {score}, which is not that of its epoch {best}")


def _check_values(trial: TrialContent, number: int, aims: Sequence[Objective], place: str) -> None:
    """Whether a complete trial has a value in each objective after the first, which is its score."""
    record = trial_record(number, trial)
    for aim in aims[1:]:
        if record.state == "complete" and objectives.value(record, aim) is None:
            raise ContentError(f"{place} is complete, and has no {_short(aim.metric)}, which is an objective")


def _check_what_notes_are_about(content: StudyContent, budget: _Budget) -> None:
    record, n = content.record, len(content.trials)
    metric = metric_on_test(record.terms.objective)
    for name, note in content.notes.items():
        number = tested_number(name)
        if number is None:
            continue
        if number >= n or content.trials[number].state != "complete":
            raise ContentError(f"{name} is about no complete trial")
        if not math.isfinite(note.get("metrics", {}).get(metric, 0.0)):
            raise ContentError(f"{name}.metrics.{_short(metric)} needs a number; got {note['metrics'][metric]}")
        _check_packed(note, name, budget)
    for i, reading in enumerate(record.readings):
        if any(not 0 <= number < n for number in reading.trials):
            raise ContentError(f"readings[{i}] is about a trial that is not there")
    if record.replication is not None:
        unknown = set(record.replication.params_ids) - {trial.params_id for trial in record.trials}
        if unknown:
            raise ContentError(f"replication is about {_short(min(unknown))}, which no trial has")


def _check_packed(note: Mapping[str, Any], name: str, budget: _Budget) -> None:
    if note.get("errors") is not None:
        budget.errors("test", note["errors"], f"{name}.errors")
    if note.get("readings") is not None:
        budget.readings(note["readings"], f"{name}.readings")
    if note.get("worst") is not None:
        budget.pictures(note["worst"], f"{name}.worst")


class _Budget:
    """What all that is packed comes to: few bytes can say a great deal. What is of a split is of all its images."""

    def __init__(self) -> None:
        self._left = _MOST_UNPACKED
        self._images: dict[str, int] = {}

    def errors(self, split: str, packed: str, where: str) -> None:
        """Packed errors, `per_image`'s."""
        self._images_of(split, _made(lambda: per_image.count(packed), where), where)
        self._spend(_made(lambda: per_image.unpack(packed), where).nbytes, where)

    def readings(self, packed: str, where: str) -> None:
        """Packed readings of the test split, `readings`'."""
        from tune_jobs.records.readings import unpack

        readings = _made(lambda: unpack(packed), where)
        self._images_of("test", len(readings.true), where)
        self._spend(readings.true.nbytes + readings.read.nbytes, where)

    def pictures(self, packed: str, where: str) -> None:
        """Packed pictures of images that `readings` are of."""
        from tune_jobs.records.readings import unpack_pictures

        if len(packed) > _MOST_PACKED_PICTURES:
            raise ContentError(f"{where} needs at most {_MOST_PACKED_PICTURES} characters; got {len(packed)}")
        pictures = _made(lambda: unpack_pictures(packed), where)
        self._spend(sum(picture.pixels.nbytes for picture in pictures), where)
        if any(picture.index >= self._images.get("test", 0) for picture in pictures):
            raise ContentError(f"{where} has an image that the test split has not")

    def _images_of(self, split: str, n: int, where: str) -> None:
        if n != self._images.setdefault(split, n) or not 1 <= n <= _MOST_IMAGES:
            raise ContentError(f"{where} of {n} images; the {split} split has {self._images[split]}")

    def _spend(self, n_bytes: int, where: str) -> None:
        self._left -= n_bytes
        if self._left < 0:
            raise ContentError(f"{where} and what was before come to more than {_MOST_UNPACKED // 2**20} MiB")


def _check_time(at: float, where: str) -> None:
    if not 0 <= at < _LATEST:
        raise ContentError(f"{where} needs a time in unix seconds; got {at}")


def _check_seed(seed: int, where: str) -> None:
    if seed < 0:
        raise ContentError(f"{where} needs to be 0 or more; got {seed}")
