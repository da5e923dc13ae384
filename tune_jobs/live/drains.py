"""Devices that a study is to leave alone for a while: noted beside the study by `drain`, read by its driver.

A drain outlives the driver: it holds until `undrain`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from tune_jobs.errors import StudyError

Spot = tuple[str | None, str | None]  # a node's name, address or id; a GPU's index there. None is any


@dataclass(frozen=True)
class Drained:
    """The spots that are drained."""

    spots: frozenset[Spot] = frozenset()

    def covers(self, node: Iterable[str], gpus: Iterable[str]) -> bool:
        """Whether a worker on these GPUs of a node, known by several names, is on a drained spot."""
        names, devices = set(node), set(gpus)
        return any((at is None or at in names) and (gpu is None or gpu in devices) for at, gpu in self.spots)

    def __str__(self) -> str:
        return ", ".join(words(spot) for spot in sorted(self.spots, key=str))


def words(spot: Spot) -> str:
    node, gpu = spot
    where = "" if node is None else f"node {node}"
    return where if gpu is None else f"GPU {gpu}" + (f" of {where}" if where else "")


def spots(node: str | None, gpus: Iterable[str]) -> tuple[Spot, ...]:
    """GPUs of a node, of every node where that is None; the whole node without GPUs."""
    chosen = tuple(gpus)
    return tuple((node, gpu) for gpu in chosen) if chosen else ((node, None),)


def read(path: Path) -> Drained:
    """What is drained now.

    Raises:
        StudyError: the file cannot be read, or is not what `drain` writes.
    """
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
        return Drained(frozenset((_text(node), _text(gpu)) for node, gpu in said))
    except FileNotFoundError:
        return Drained()
    except (OSError, ValueError, TypeError) as error:
        raise StudyError(f"{path} should list what is drained ({error}): delete it, and drain again") from error


def drain(path: Path, more: Iterable[Spot]) -> None:
    _write(path, read(path).spots | frozenset(more))


def undrain(path: Path, given_back: Iterable[Spot]) -> None:
    """Gives spots back; all of them where none are named.

    Raises:
        StudyError: one of them is not drained.
    """
    now, back = read(path), frozenset(given_back)
    if not now.spots:
        raise StudyError("nothing is drained")
    if back - now.spots:
        missing = min(back - now.spots, key=str)
        raise StudyError(f"{words(missing)} is not drained; what is: {now}")
    _write(path, now.spots - back if back else frozenset())


class Watch:
    """Reads the file again when it has changed; keeps what it last could read."""

    def __init__(self, path: Path, complain: Callable[[str], None]) -> None:
        self._path, self._complain = path, complain
        self._stamp: tuple[int, int] | None = None
        self._last = Drained()

    def __call__(self) -> Drained:
        try:
            status = self._path.stat()
            stamp = (status.st_mtime_ns, status.st_ino)
        except FileNotFoundError:
            stamp = None
        except OSError:
            return self._last
        if stamp != self._stamp:
            self._stamp = stamp
            try:
                self._last = read(self._path)
            except StudyError as error:
                self._complain(str(error))
        return self._last


def _write(path: Path, now: frozenset[Spot]) -> None:
    if not now:
        path.unlink(missing_ok=True)
        return
    part = path.with_name(f".{path.name}.part")
    part.write_text(json.dumps(sorted(now, key=str)), encoding="utf-8")
    part.replace(path)


def _text(value: object) -> str | None:
    if value is not None and not isinstance(value, str):
        raise TypeError(f"needs names; got {value!r}")
    return value
