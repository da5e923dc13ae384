"""The lines of a study's file: each is a record of Optuna's in JSON, with its number, from zero, and two checksums: its
own and that of all lines up to it. One that begins a trial has Optuna's id of that too, which is else only counted.

Optuna passes over these, so that it reads the files too. Lines without them are those of older files: the next line
that has them covers them.
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from pydantic_core import from_json

_TAIL = b',"sum":"%08x%08x"}\n'  # the record's own checksum, then that of the file up to it
OURS = ("line", "trial", "sum")  # of a record's names
TAIL = len(_TAIL % (0, 0))
_DISTINCT = re.compile(rb'"op_code":(\d+)\b'), re.compile(rb'"trial_id":(\d+)\b'), re.compile(rb'attr":\{"([\w:]+)"')
_BEGUN = re.compile(rb'"trial":(\d+),"sum":')
CREATE_STUDY, DELETE_STUDY, NOTE, CREATE_TRIAL, STATE, EPOCH, ATTRIBUTE = 0, 1, 2, 4, 6, 7, 8  # Optuna's op codes


class DamageError(ValueError):
    """A line that is not as it was written; the message says why."""


class Place(NamedTuple):
    """A place between two lines: so many records and bytes come before it."""

    number: int = 0
    offset: int = 0
    checksum: int = 0  # of all lines before
    is_sealed: bool = False  # a line before has a checksum, and so has every one after
    trials: int = 0  # that were begun before


START = Place()


def chained(own: int, before: int) -> int:
    """Return the checksum of a file that goes on with a record of the checksum `own`."""
    return zlib.crc32(own.to_bytes(4, "big"), before)


def sealed(record: Mapping[str, Any], place: Place) -> bytes:
    """Return a record of Optuna's as the line at `place`."""
    ours = {"line": place.number} | ({"trial": place.trials} if record["op_code"] == CREATE_TRIAL else {})
    body = json.dumps({**record, **ours}, separators=(",", ":")).encode()[:-1]
    return body + tail(body, place.checksum)


def tail(body: bytes, before: int) -> bytes:
    """Return the checksums with which a line ends."""
    own = zlib.crc32(body)
    return _TAIL % (own, chained(own, before))


def has_checksum(line: bytes) -> bool:
    return line[-TAIL : 8 - TAIL] == _TAIL[:8]


def read(line: bytes, place: Place) -> tuple[dict[str, Any], Place]:
    """Return the record of the line at `place`, and the place after it.

    Raises:
        DamageError: the line is not as it was written, or does not follow those before.
    """
    own = zlib.crc32(line[:-TAIL])
    after = chained(own, place.checksum)
    is_sealed = line[-TAIL:] == _TAIL % (own, after)
    if not is_sealed:
        if place.is_sealed or has_checksum(line):
            raise DamageError(_why_not(line))
        after = chained(zlib.crc32(line), place.checksum)
    record = parsed(line)
    trials = place.trials + (record["op_code"] == CREATE_TRIAL)
    return record, Place(place.number + 1, place.offset + len(line), after, is_sealed, trials)


def _why_not(line: bytes) -> str:
    if not has_checksum(line):
        return "it has no checksum"
    return "what is before it is missing or damaged" if is_intact(line) else "it is not what its checksum says"


def is_intact(line: bytes) -> bool:
    """Return True for a line that is what its own checksum says, whatever is before it."""
    own = b"%08x" % zlib.crc32(line[:-TAIL])
    return has_checksum(line) and line[-19:-11] == own and line.endswith(b'"}\n')


def whole(line: bytes, place: Place) -> bytes | None:
    """Return a line whose line end, and nothing else, is damaged, as it was; None if it is another, or half a line."""
    mended = line[:-1] + b"\n"
    try:
        return mended if read(mended, place)[1].is_sealed else None
    except DamageError:
        return None


def is_torn(line: bytes) -> bool:
    """Return True for the end of a write that a crash cut off: without a line end, or with bytes that never came."""
    return not line.endswith(b"\n") or b"\0\0" in line


def parsed(line: bytes) -> dict[str, Any]:
    """Return the record of a line, whatever its checksum.

    Raises:
        DamageError: it has none.
    """
    try:
        record = _from_json(line)
    except (ValueError, RecursionError) as error:
        raise DamageError("it is not JSON") from error
    if not isinstance(record, dict) or not isinstance(record.get("op_code"), int):
        raise DamageError("it is no record")
    return record


def _from_json(line: bytes) -> Any:
    """Return what a line says. pydantic takes a third of the time of Python's own JSON, which reads what it refuses:
    half of a surrogate pair."""
    try:
        return from_json(line)
    except ValueError:
        return json.loads(line)


@dataclass(frozen=True)
class Subject:
    """What a record is about, as far as its line can be read."""

    op_code: int | None
    trial: int | None  # its number
    attribute: str | None
    trial_id: int | None = None  # Optuna's

    def __str__(self) -> str:
        whose = "" if self.trial is None else f" of trial {self.trial}"
        if self.op_code in (NOTE, ATTRIBUTE):
            return f"the {'note ' if self.op_code == NOTE else ''}{self.attribute or 'value'}{whose}"
        words = {CREATE_STUDY: "the study's beginning", CREATE_TRIAL: "the beginning", STATE: "the state"}
        return f"{words.get(self.op_code or 0, 'an epoch' if self.op_code == EPOCH else 'what')}{whose}"


def subject(lines: Sequence[bytes], index: int) -> Subject:
    """Return what the line `index` is about. Trials are counted from the last study that began in the file."""
    op_codes = [_op_code(line) for line in lines[:index]]
    begin = len(op_codes) - op_codes[::-1].index(DELETE_STUDY) if DELETE_STUDY in op_codes else 0
    op_code, trial_id, attribute = (match and match[1] for match in (find.search(lines[index]) for find in _DISTINCT))
    before = op_codes[:begin].count(CREATE_TRIAL)
    kind, identity = _number(op_code), _number(trial_id)
    if kind == CREATE_TRIAL:
        own = _BEGUN.search(lines[index])
        identity = op_codes.count(CREATE_TRIAL) if own is None else int(own[1])
    number = None if identity is None else identity - before
    return Subject(kind, number, None if attribute is None else attribute.decode("ascii"), identity)


def _number(digits: bytes | None) -> int | None:
    return None if digits is None else int(digits)


def _op_code(line: bytes) -> int | None:
    match = _DISTINCT[0].search(line)
    return None if match is None else int(match[1])
