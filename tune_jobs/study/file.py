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
from pathlib import Path
from typing import Any

from tune_jobs.errors import StudyError
from tune_jobs.records.trials import State
from tune_jobs.search_spaces.one_factor import space_from_json
from tune_jobs.search_spaces.scalars import Value
from tune_jobs.study.checking import ContentError, check, check_keys, check_name_of, typed
from tune_jobs.study.contents import StudyContent, TrialContent

FORMAT = 1
MOST_BYTES = 256 * 2**20  # of JSON, some 30,000 trials; a gzip'd file can claim a thousand times its size
_KEYS = ("format", "name", "notes", "trials")
_TRIAL_NEEDED = ("state", "params", "seed")
_TRIAL_KEYS = (*_TRIAL_NEEDED, "outside", "attempt", "result", "intermediate")


def read(file: Path) -> StudyContent:
    """The study in a file that `export_study` wrote, or somebody else.

    Raises:
        StudyError: the file cannot be read, or is no study; in one line.
    """
    try:
        with file.open("rb") as opened:
            data = opened.read(MOST_BYTES + 1)
    except OSError as error:
        raise StudyError(f"the file {file} cannot be read: {error.strerror}") from error
    try:
        return decoded(data)
    except ContentError as error:
        raise StudyError(f"{file} is no study that can be imported: {error}; export it again") from error


def encoded(content: StudyContent) -> bytes:
    """The content as the bytes of a file.

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
    """The content that `encoded` wrote, checked.

    Raises:
        ContentError: the bytes are no study's; the message says why, in a line.
    """
    form = _json(_unzipped(data))
    check_keys(form, ("format",), tuple(form) if isinstance(form, dict) else (), "it")
    if form["format"] != FORMAT or isinstance(form["format"], bool):
        raise ContentError(f"it is of format {str(form['format'])[:20]}, and this version reads {FORMAT}")
    check_keys(form, _KEYS, _KEYS, "it")
    check_name_of(form["name"])
    typed(form["notes"], dict[str, Any], "notes")
    forms = [_checked_form(one, f"trial {n}") for n, one in enumerate(typed(form["trials"], tuple[Any, ...], "trials"))]
    content = StudyContent(form["name"], form["notes"], tuple(_trial(one) for one in forms))
    check(content, frozenset(number for number, one in enumerate(forms) if one.get("outside", False)))
    return content


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


def _checked_form(form: Any, where: str) -> Mapping[str, Any]:
    check_keys(form, _TRIAL_NEEDED, _TRIAL_KEYS, where)
    kinds = {
        "state": State,
        "params": dict[str, Value],
        "seed": int,
        "outside": bool,
        "attempt": dict[str, Any],
        "result": dict[str, Any],
        "intermediate": dict[str, float],
    }
    for name, value in form.items():
        typed(value, kinds[name], f"{where}: {name}")
    for epoch in form.get("intermediate", {}):
        if not re.fullmatch("[1-9][0-9]{0,8}", epoch):
            raise ContentError(f"{where}: intermediate needs epochs, counted from one; got {epoch[:20]!r}")
    checked: Mapping[str, Any] = form
    return checked


def _trial(form: Mapping[str, Any]) -> TrialContent:
    return TrialContent(
        state=form["state"],
        params=form["params"],
        seed=form["seed"],
        attempt=form.get("attempt"),
        result=form.get("result"),
        intermediate={int(epoch): float(score) for epoch, score in form.get("intermediate", {}).items()},
    )


def _unzipped(data: bytes) -> bytes:
    unzipping = zlib.decompressobj(wbits=31)
    try:
        text = unzipping.decompress(data, MOST_BYTES + 1)
    except zlib.error as error:
        raise ContentError(f"it is not gzip'd, or damaged ({error})") from error
    if len(text) > MOST_BYTES or len(data) > MOST_BYTES:
        raise ContentError(f"it is more than {MOST_BYTES // 2**20} MiB")
    if not unzipping.eof:
        raise ContentError("it is cut off")
    if unzipping.unused_data:
        raise ContentError("something follows after its end")
    return text


def _json(text: bytes) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ContentError(f"it holds no JSON ({' '.join(str(error).split())[:100]})") from error
