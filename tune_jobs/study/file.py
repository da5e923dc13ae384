"""A study as one file, to be moved between homes and storages: nothing of its record is lost, and MLflow is made again
from it.

The file is gzip'd JSON with a format number. Its bytes depend on the study alone. Kept weights are not in it. Whoever
made a file, nothing in it is run, and what cannot be a study's is refused before anything is written.
"""

from __future__ import annotations

import gzip
import io
import json
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from tune_jobs import files
from tune_jobs.decoding import ContentError, decode
from tune_jobs.errors import StudyError
from tune_jobs.records.trials import State
from tune_jobs.search_spaces.one_factor import space_from_json
from tune_jobs.search_spaces.scalars import Value
from tune_jobs.study.checking import check, check_study_name
from tune_jobs.study.contents import StudyContent, TrialContent
from tune_jobs.words import short

FORMAT = 1
MOST_BYTES = 256 * 2**20  # of JSON, some 30,000 trials; a gzip'd file can claim a thousand times its size
_PART = 2**20
_UNPACKED = 4 * 2**20, 50  # bytes of JSON that any file may have, and how many more for each of its own; studies have 3
_BUILT = 16 * 2**20, 12  # bytes of memory that any JSON may take, and how many more for each of its own; studies take 7
_TAKES = {b",": 64, b"[": 64, b"{": 250}  # bytes at most that a value, a list or a mapping takes beside its own text


@dataclass(frozen=True)
class _StudyForm:
    format: int
    name: str
    notes: Mapping[str, Any]
    trials: tuple[Any, ...]


@dataclass(frozen=True)
class _TrialForm:
    state: State
    params: Mapping[str, Value]
    seed: int
    outside: bool = False  # of the study's space
    attempt: Mapping[str, Any] | None = None
    result: Mapping[str, Any] | None = None
    intermediate: Mapping[str, float] = field(default_factory=dict)


def read(file: Path) -> StudyContent:
    """Read the study in a file, whoever wrote it.

    Raises:
        StudyError: the file cannot be read, or is no study; in one line.
    """
    try:
        with files.reading(file) as opened:
            parts = iter(partial(opened.read, _PART), b"")  # a read of so many bytes makes room for all of them
            data = b"".join(islice(parts, MOST_BYTES // _PART + 1))
    except OSError as error:
        raise StudyError(f"the file {file} cannot be read: {error.strerror}") from error
    try:
        return decoded(data)
    except ContentError as error:
        raise StudyError(f"{file} is no study that can be imported: {error}; export it again") from error


def encoded(content: StudyContent) -> bytes:
    """Return the content as the bytes of a file.

    The order of notes means nothing, and they are sorted; that of params and metrics is how they are shown, and stays.

    Raises:
        StudyError: they would be more than an import takes.
    """
    space = space_from_json(content.notes["terms"]["space"])
    form = {
        "format": FORMAT,
        "name": content.name,
        "notes": dict(sorted(content.notes.items())),
        "trials": [_trial_form(trial, is_outside=space.why_not(trial.params) is not None) for trial in content.trials],
    }
    text = json.dumps(form, separators=(",", ":")).encode()
    if len(text) > MOST_BYTES:
        raise StudyError(
            f"study {content.name!r} is {len(text) // 2**20} MiB, and at most {MOST_BYTES // 2**20} MiB go"
        )
    data = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", fileobj=data, mtime=0) as file:  # not compress(): its head varies
        file.write(text)
    return data.getvalue()


def decoded(data: bytes) -> StudyContent:
    """Return the content that `encoded` wrote, checked.

    Raises:
        ContentError: the bytes are no study's; the message says why, in a line.
    """
    values = _json(_unzipped(data))
    if isinstance(values, dict):  # first of all: of another format nothing else is known
        _check_format(values.get("format", FORMAT))
    form = decode(_StudyForm, values, "it")
    check_study_name(form.name)
    trials = [decode(_TrialForm, trial, f"trial {number}") for number, trial in enumerate(form.trials)]
    content = StudyContent(form.name, form.notes, tuple(_trial(n, trial) for n, trial in enumerate(trials)))
    check(content, frozenset(number for number, trial in enumerate(trials) if trial.outside))
    return content


def _check_format(number: object) -> None:
    if number != FORMAT or isinstance(number, bool):
        raise ContentError(f"it is of format {short(number)}, and this version reads {FORMAT}")


def _trial_form(trial: TrialContent, *, is_outside: bool) -> dict[str, Any]:
    form: dict[str, Any] = {"state": trial.state, "params": dict(trial.params), "seed": trial.seed}
    if is_outside:
        form["outside"] = True
    for name, value in (("attempt", trial.attempt), ("result", trial.result)):
        if value is not None:
            form[name] = value
    if trial.intermediate:
        form["intermediate"] = {str(epoch): score for epoch, score in sorted(trial.intermediate.items())}
    return form


def _trial(number: int, form: _TrialForm) -> TrialContent:
    for epoch in form.intermediate:
        if not re.fullmatch("[1-9][0-9]{0,8}", epoch):
            raise ContentError(f"trial {number}: intermediate needs epochs, counted from one; got {short(epoch)}")
    scores = {int(epoch): score for epoch, score in form.intermediate.items()}
    return TrialContent(form.state, form.params, form.seed, form.attempt, form.result, scores)


def _unzipped(data: bytes) -> bytes:
    unzipping = zlib.decompressobj(wbits=31)
    most = min(MOST_BYTES, _bound(_UNPACKED, data))
    try:
        text = unzipping.decompress(data, most + 1)
    except zlib.error as error:
        raise ContentError(f"it is not gzip'd, or damaged ({error})") from error
    if len(text) > most or len(data) > MOST_BYTES:
        raise ContentError(f"it is more than {most // 2**20} MiB, as much as one of its size can be")
    if not unzipping.eof:
        raise ContentError("it is cut off")
    if unzipping.unused_data:
        raise ContentError("something follows after its end")
    return text


def _bound(allowed: tuple[int, int], content: bytes) -> int:
    free, for_each = allowed
    return free + for_each * len(content)


def _json(text: bytes) -> Any:
    if sum(size * text.count(sign) for sign, size in _TAKES.items()) > _bound(_BUILT, text):
        raise ContentError("it has more lists and mappings than a study of its size")
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ContentError(f"it holds no JSON ({' '.join(str(error).split())[:100]})") from error
