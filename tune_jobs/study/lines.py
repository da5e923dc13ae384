"""The lines of a study's file: each is a record of Optuna's in JSON, with a checksum of itself and of all before it.

Optuna passes over the checksum, so that it reads these files too. Lines without one are those of older files: the next
line that has one covers them.
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from pydantic_core import from_json

_TAIL = b',"sum":"%08x%08x"}\n'  # the record's own checksum, then that of the file up to it
TAIL = len(_TAIL % (0, 0))
_DISTINCT = re.compile(rb'"op_code":(\d+)\b'), re.compile(rb'"trial_id":(\d+)\b'), re.compile(rb'attr":\{"([\w:]+)"')
CREATE_STUDY, DELETE_STUDY, NOTE, CREATE_TRIAL, STATE, EPOCH, ATTRIBUTE = 0, 1, 2, 4, 6, 7, 8  # Optuna's op codes


class DamageError(ValueError):
    """A line that is not as it was written; the message says why."""


class Place(NamedTuple):
    """A place between two lines: so many records and bytes come before it."""

    number: int = 0
    offset: int = 0
    checksum: int = 0  # of all lines before
    is_sealed: bool = False  # a line before has a checksum, and so has every one after


START = Place()


def chained(own: int, before: int) -> int:
    """Return the checksum of a file that goes on with a record of the checksum `own`."""
    return zlib.crc32(own.to_bytes(4, "big"), before)


def sealed(record: bytes, before: int) -> bytes:
    """Return a record, the JSON text of a mapping, as a line that follows lines with the checksum `before`."""
    body = record[:-1]
    own = zlib.crc32(body)
    return body + _TAIL % (own, chained(own, before))


def has_checksum(line: bytes) -> bool:
    return line[-TAIL : 8 - TAIL] == _TAIL[:8]


def read(line: bytes, place: Place) -> tuple[dict[str, Any], Place]:
    """Return the record of the line at `place`, and the place after it.

    Raises:
        DamageError: the line is not as it was written, or does not follow those before.
    """
    number, offset, before, is_sealed = place
    own = zlib.crc32(line[:-TAIL])
    after = chained(own, before)
    if line[-TAIL:] != _TAIL % (own, after):
        if is_sealed or has_checksum(line):
            raise DamageError(_why_not(line, own))
        after = chained(zlib.crc32(line), before)
        return _parsed(line), Place(number + 1, offset + len(line), after, is_sealed=False)
    return _parsed(line), Place(number + 1, offset + len(line), after, is_sealed=True)


def _why_not(line: bytes, own: int) -> str:
    if not has_checksum(line):
        return "it has no checksum"
    is_itself = line[-TAIL : 16 - TAIL] == (_TAIL % (own, 0))[:16]
    return "what is before it is missing or damaged" if is_itself else "it is not what its checksum says"


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


def _parsed(line: bytes) -> dict[str, Any]:
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
    op_code, trial, attribute = (match and match[1] for match in (find.search(lines[index]) for find in _DISTINCT))
    number = None if trial is None else int(trial) - op_codes[:begin].count(CREATE_TRIAL)
    if op_code is not None and int(op_code) == CREATE_TRIAL:
        number = op_codes[begin:].count(CREATE_TRIAL)
    return Subject(
        None if op_code is None else int(op_code), number, None if attribute is None else attribute.decode("ascii")
    )


def _op_code(line: bytes) -> int | None:
    match = _DISTINCT[0].search(line)
    return None if match is None else int(match[1])
