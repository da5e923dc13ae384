"""Repair the damaged file of a study: what can be is restored to the bit, and what cannot is dropped and named.

A copy of the file as it was stays beside it. A file is replaced only by one that opens and passes every check.
"""

from __future__ import annotations

import json
import re
import shutil
import time
import zlib
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tune_jobs import files
from tune_jobs.errors import StudyError
from tune_jobs.study import lines
from tune_jobs.study.lines import ATTRIBUTE, CREATE_TRIAL, EPOCH, NOTE, STATE, TAIL, Subject

_GLUED = re.compile(rb'(?<="\})[^\n](?=\{"op_code":)')  # the place of a line end that was damaged
_MOST_SEARCHED = 2**20  # bytes of a line in which a wrong bit is looked for
_RUNNING = 0  # Optuna's number of the state
_VITAL_NOTES = ("created", "identity", "terms")


@dataclass(frozen=True)
class Mended:
    """A file as it should be, with what was done to it, a line each; nothing was, if there is none."""

    content: bytes
    changes: tuple[str, ...]


def mended(content: bytes) -> Mended:
    """Return the content of a study's file without damage.

    Raises:
        StudyError: what is damaged is something that the rest cannot do without.
    """
    changes: list[str] = []
    split = _split(content, changes)
    records, lost = _restored(split, changes)
    for index, what in lost:
        _refuse_vital(what, index, records)
        changes.append(f"record {index + 1} is dropped: {_loss(what)}")
        _drop(records, what)
    return Mended(_sealed(records) if changes else content, tuple(changes))


def replace(path: Path, content: bytes) -> Path:
    """Replace a study's file; return the copy of what it was."""
    copy = path.with_name(f"{path.name}.damaged-{time.strftime('%Y%m%d-%H%M%S')}")
    shutil.copy2(path, copy)
    files.write_bytes(path, content)
    return copy


def _split(content: bytes, changes: list[str]) -> list[bytes]:
    """Return the lines with their line ends, those that were glued together or lost theirs apart again."""
    whole = _GLUED.sub(b"\n", content)
    if whole != content:
        changes.append("a damaged line end is restored")
    *split, last = [line + b"\n" for line in whole.split(b"\n")]
    end = last[:-1]
    if end and lines.is_intact(end[:-1] + b"\n"):
        changes.append("the last line end is restored")
        return [*split, end[:-1] + b"\n"]
    if end:
        changes.append("a half-written last line is cut off; it was never acknowledged")
    return split


def _restored(split: Sequence[bytes], changes: list[str]) -> tuple[list[Any], list[tuple[int, Subject]]]:
    """Return the records, None for each that is lost, and what those are about by their places."""
    records: list[Any] = []
    lost: list[tuple[int, Subject]] = []
    before, is_sealed = 0, False
    for index, line in enumerate(split):
        restored = line if _is_good(line, before, is_sealed=is_sealed) else _restore(line, before)
        record = None if restored is None else _record(restored)
        if record is None:
            lost.append((index, lines.subject(split, index)))
        elif restored != line:
            changes.append(f"record {index + 1}, {lines.subject(split, index)}, is restored to the bit")
        _refuse_gap(record, restored, index, None if lost else before)
        records.append(record)
        is_sealed = is_sealed or lines.has_checksum(line)
        before = _checksum_after(restored or line, before)
    return records, lost


def _refuse_gap(record: dict[str, Any] | None, line: bytes | None, index: int, before: int | None) -> None:
    """Refuse a file of which more is missing than the lines that are damaged; without `before`, one of those was."""
    if record is None or line is None or not lines.has_checksum(line):
        return
    if record.get("line") != index:
        raise StudyError(f"records are missing before record {index + 1}: restore the file from a backup")
    if before is not None and lines.tail(line[:-TAIL], before) != line[-TAIL:]:
        raise StudyError(
            f"something before record {index + 1} was changed, and nothing says what: restore the file from a backup"
        )


def _is_good(line: bytes, before: int, *, is_sealed: bool) -> bool:
    """Return True for a line that is as it was written, whether or not something is missing before it."""
    return lines.is_intact(line) or not (is_sealed or lines.has_checksum(line) or _almost_has_checksum(line, before))


def _almost_has_checksum(line: bytes, before: int) -> bool:
    return _of_checksum(line, before) is not None


def _checksum_after(line: bytes, before: int) -> int:
    """Return the file's checksum as the line has it, for it was computed when the lines before were as they should."""
    if lines.has_checksum(line):
        try:
            return int(line[-11:-3], 16)
        except ValueError:
            return before
    return lines.chained(zlib.crc32(line), before)


def _restore(line: bytes, before: int) -> bytes | None:
    """Return a line as it was, if one damaged bit or only its checksum keeps it from being that; else None."""
    if (mended_line := _of_checksum(line, before)) is not None:
        return mended_line
    if not lines.has_checksum(line) or len(line) > _MOST_SEARCHED:
        return None
    try:
        own = int(line[-19:-11], 16)
    except ValueError:
        return None
    body = bytearray(line[:-TAIL])
    for place, bit in _flips(zlib.crc32(body) ^ own, len(body)):
        body[place] ^= 1 << bit
        return bytes(body) + line[-TAIL:]
    return None


def _of_checksum(line: bytes, before: int) -> bytes | None:
    """Return a line whose checksum alone is damaged with the one that it should have."""
    body, tail = line[:-TAIL], line[-TAIL:]
    right = lines.tail(body, before)
    n_wrong = sum(one != other for one, other in zip(tail, right, strict=False))
    return body + right if len(tail) == TAIL and n_wrong == 1 else None


def _flips(difference: int, n_bytes: int) -> Iterator[tuple[int, int]]:
    """Yield the bits, each of which alone changes the checksum of so many bytes by this difference.

    A CRC is linear: what a bit changes depends on its distance from the end alone.
    """
    table = [zlib.crc32(bytes([byte]), 0xFFFFFFFF) ^ 0xFFFFFFFF for byte in range(256)]
    changes = [table[1 << bit] for bit in range(8)]
    for place in range(n_bytes - 1, -1, -1):
        if difference in changes:
            yield place, changes.index(difference)
        changes = [table[change & 0xFF] ^ (change >> 8) for change in changes]


def _record(line: bytes) -> dict[str, Any] | None:
    try:
        record = lines.parsed(line)
    except lines.DamageError:
        return None
    return record


def _refuse_vital(what: Subject, index: int, records: Sequence[Any]) -> None:
    """Refuse to drop what later records build on."""
    is_vital = what.op_code not in (NOTE, STATE, EPOCH, ATTRIBUTE, CREATE_TRIAL) or what.attribute in _VITAL_NOTES
    if what.op_code == CREATE_TRIAL:
        is_vital = any(record and record["op_code"] == CREATE_TRIAL for record in records[index + 1 :])
    if what.op_code in (STATE, EPOCH, ATTRIBUTE) and what.trial is None:
        is_vital = True
    if is_vital:
        raise StudyError(
            f"record {index + 1}, {what}, cannot be restored, and the study is nothing without it: restore the file "
            "from a backup"
        )


def _loss(what: Subject) -> str:
    """Return what goes with a record, in words."""
    if what.op_code == CREATE_TRIAL:
        return f"trial {what.trial} is lost"
    if what.attribute == "result":
        return f"{what} is lost; trial {what.trial} runs again"
    return f"{what} is lost" + ("; its result says it too" if what.op_code == STATE else "")


def _drop(records: list[Any], what: Subject) -> None:
    """Drop the records that mean nothing without the one that is lost."""
    known = {name for record in records if _is_of(record, what) for name in record.get("user_attr", ())}
    for index, record in enumerate(records):
        if _is_of(record, what) and _depends(record, what, known):
            records[index] = None


def _is_of(record: dict[str, Any] | None, what: Subject) -> bool:
    return record is not None and what.trial is not None and record.get("trial_id") == what.trial_id


def _depends(record: dict[str, Any], what: Subject, known: Container[str]) -> bool:
    """Return True if a record of the same trial is nothing without the lost one; `known` are the trial's attributes."""
    if what.op_code == CREATE_TRIAL:
        return True
    if what.attribute == "result":
        return record["op_code"] == STATE and record["state"] != _RUNNING and "result" not in known
    is_begun = "attempt" in known or "result" in known
    return what.attribute == "attempt" and not is_begun and record["op_code"] in (STATE, EPOCH)


def _sealed(records: Sequence[Any]) -> bytes:
    content, place = [], lines.START
    for record in records:
        if record is None:
            continue
        original = {name: value for name, value in record.items() if name not in lines.OURS}
        line = lines.sealed(json.dumps(original, separators=(",", ":")).encode(), place.number, place.checksum)
        place = lines.read(line, place)[1]
        content.append(line)
    return b"".join(content)
