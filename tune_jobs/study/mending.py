"""Repair the damaged file of a study: what can be is restored to the bit, and what cannot is dropped and named.

A copy of the file as it was stays beside it. A file is replaced only by one that opens and passes every check.
"""

from __future__ import annotations

import re
import shutil
import time
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tune_jobs import files
from tune_jobs.errors import StudyError
from tune_jobs.study import lines, losses
from tune_jobs.study.lines import TAIL, Subject

_GLUED = re.compile(rb'(?<="\})[^\n](?=\{"op_code":)')  # the place of a line end that was damaged
_MOST_SEARCHED = 2**20  # bytes of a line in which a wrong bit is looked for
_MOST_WITH_BYTES = 2**14  # and a wrong byte: there is one in so many that fits by chance
_POLYNOMIAL = [zlib.crc32(bytes([byte]), 0xFFFFFFFF) ^ 0xFFFFFFFF for byte in range(256)]  # what a last byte changes
_BYTE_OF = {change >> 24: byte for byte, change in enumerate(_POLYNOMIAL)}


@dataclass(frozen=True)
class Mended:
    """A file as it should be, with what was done to it, a line each; nothing was, if there is none."""

    content: bytes
    changes: tuple[str, ...]


def mended(content: bytes, name: str) -> Mended:
    """Return the content of the file of the study `name` without damage.

    Raises:
        StudyError: what is damaged is something that the rest cannot do without.
    """
    changes: list[str] = []
    read = _Reader(changes)
    split = _split(content, changes)
    for index in range(len(split)):
        read.line(split, index)
    read.end(split)
    records = [read.records[number] for number in sorted(read.records)]
    if read.lost:
        settled = losses.settled(read.records, read.lost, name)
        records = settled.records
        changes += settled.changes
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


@dataclass
class _Reader:
    """Reads lines one after another, and restores those that are damaged, where that can be."""

    changes: list[str]
    records: dict[int, dict[str, Any]] = field(default_factory=dict)  # by their numbers
    lost: dict[int, Subject | None] = field(default_factory=dict)  # what those are about by their numbers, as far as
    _damaged: list[int] = field(default_factory=list)  # that can be read; the last lines, which could not be
    _next: int = 0
    _before: int = 0  # the checksum of all before; after a damaged line what that says
    _is_sealed: bool = False

    def line(self, split: Sequence[bytes], index: int) -> None:
        """Read the line `index`.

        Raises:
            StudyError: the lines are in another order, or one was replaced.
        """
        line = split[index]
        restored = self._restored(line)
        record = None if restored is None else _record(restored)
        if restored is None or record is None:
            self._damaged.append(index)
        else:
            number = self._number(record)
            self._refuse_replaced(restored, number, split[index + 1] if index + 1 < len(split) else b"")
            if restored != line:
                what = lines.subject(split, index)
                self.changes.append(f"record {number + 1}, {what}, is restored to the bit")
            self._lose(split, number)
            self.records[number] = record
            self._next = number + 1
        self._is_sealed = self._is_sealed or lines.has_checksum(line)
        self._before = _checksum_after(restored or line, self._before)

    def end(self, split: Sequence[bytes]) -> None:
        """Read the end of the file."""
        self._lose(split, self._next + len(self._damaged))

    def _lose(self, split: Sequence[bytes], number: int) -> None:
        """Note the records before this number that were not there. If there are as many damaged lines, each is one."""
        places = range(self._next, number)
        are_lines = len(places) == len(self._damaged)
        subjects = [lines.subject(split, index) for index in self._damaged] if are_lines else [None] * len(places)
        self.lost |= dict(zip(places, subjects, strict=True))
        self._damaged = []

    def _number(self, record: Mapping[str, Any]) -> int:
        number = record.get("line", self._next + len(self._damaged))
        if not isinstance(number, int) or number < self._next:
            raise StudyError(
                f"record {self._next + 1} comes after later ones: the file was put together of parts; restore it from "
                "a backup"
            )
        return number

    def _refuse_replaced(self, line: bytes, number: int, after: bytes) -> None:
        """Refuse a file in which a line was replaced by another that is in order: the one after it knows the first."""
        is_next = number == self._next and not self._damaged
        right = lines.tail(line[:-TAIL], self._before)
        if not is_next or not lines.has_checksum(line) or line[-TAIL:] == right:
            return
        follower = _record(after) if lines.is_intact(after) else None
        follows = follower is not None and follower.get("line") == number + 1
        if follows and after[-TAIL:] != lines.tail(after[:-TAIL], int(right[-11:-3], 16)):
            raise StudyError(
                f"something before record {number + 2} was changed, and nothing says what: restore the file from a "
                "backup"
            )

    def _restored(self, line: bytes) -> bytes | None:
        """Return a line as it was, if it is that or one damaged byte keeps it from being that; else None."""
        of_checksum = _of_checksum(line, self._before)
        if of_checksum is not None:
            return of_checksum
        if lines.is_intact(line) or not (self._is_sealed or lines.has_checksum(line)):
            return line
        return _with_byte(line) if lines.has_checksum(line) else None


def _of_checksum(line: bytes, before: int) -> bytes | None:
    """Return a line whose checksum alone is damaged with the one that it should have."""
    body, tail = line[:-TAIL], line[-TAIL:]
    right = lines.tail(body, before)
    n_wrong = sum(one != other for one, other in zip(tail, right, strict=False))
    return body + right if len(tail) == TAIL and n_wrong == 1 else None


def _checksum_after(line: bytes, before: int) -> int:
    """Return the file's checksum as the line has it, for it was computed when the lines before were as they should."""
    if lines.has_checksum(line):
        try:
            return int(line[-11:-3], 16)
        except ValueError:
            return before
    return lines.chained(zlib.crc32(line), before)


def _with_byte(line: bytes) -> bytes | None:
    """Return a line as it was by its own checksum, if one bit of it is wrong or, of a short line, one byte."""
    if len(line) > _MOST_SEARCHED:
        return None
    try:
        own = int(line[-19:-11], 16)
    except ValueError:
        return None
    fitting = []
    for place, change in _wrong_bytes(zlib.crc32(line[:-TAIL]) ^ own, len(line) - TAIL):
        candidate = line[:place] + bytes([line[place] ^ change]) + line[place + 1 :]
        is_bit = change.bit_count() == 1
        if (is_bit or len(line) <= _MOST_WITH_BYTES) and _record(candidate) is not None:
            fitting.append((is_bit, candidate))
    best = [candidate for is_bit, candidate in fitting if is_bit] or [candidate for _, candidate in fitting]
    return best[0] if len(best) == 1 else None


def _wrong_bytes(difference: int, n_bytes: int) -> Iterator[tuple[int, int]]:
    """Yield the places, each with how its byte has to change, so that the checksum of so many bytes changes by this
    difference.

    A CRC is linear: what a byte changes depends on its distance from the end alone. So the difference is taken back, a
    byte at a time from the end, until one byte alone makes it.
    """
    for place in range(n_bytes - 1, -1, -1):
        byte = _BYTE_OF[difference >> 24]
        if _POLYNOMIAL[byte] == difference:
            yield place, byte
        difference = ((difference ^ _POLYNOMIAL[byte]) << 8) | byte


def _record(line: bytes) -> dict[str, Any] | None:
    try:
        return lines.parsed(line)
    except lines.DamageError:
        return None


def _sealed(records: Sequence[Mapping[str, Any]]) -> bytes:
    content, place = [], lines.START
    for record in records:
        original = {name: value for name, value in record.items() if name not in lines.OURS}
        line = lines.sealed(original, place)
        place = lines.read(line, place)[1]
        content.append(line)
    return b"".join(content)
