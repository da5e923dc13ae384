"""Drains: devices on which a study is to start no more trials. `drain` notes them beside the study, its driver reads
them.

A drain outlives the driver: it lasts until `undrain`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from tune_jobs import files
from tune_jobs.decoding import ContentError, decode_json
from tune_jobs.errors import StudyError

Spot = tuple[str | None, str | None]  # a node's name, address or id; a GPU's index there. None is any


@dataclass(frozen=True)
class Drained:
    """The spots that are drained."""

    spots: frozenset[Spot] = frozenset()

    def covers(self, node: Iterable[str], gpus: Iterable[str]) -> bool:
        """Return True if a worker on these GPUs of a node is on a drained spot; the node may have several names."""
        names, devices = set(node), set(gpus)
        return any((name is None or name in names) and (gpu is None or gpu in devices) for name, gpu in self.spots)

    def __str__(self) -> str:
        return ", ".join(words(spot) for spot in sorted(self.spots, key=str))


def words(spot: Spot) -> str:
    """Return `node two`, `GPU 3` or `GPU 3 of node two`."""
    node, gpu = spot
    where = "" if node is None else f"node {node}"
    return where if gpu is None else f"GPU {gpu}" + (f" of {where}" if where else "")


def spots(node: str | None, gpus: Iterable[str]) -> tuple[Spot, ...]:
    """Return the spots of GPUs of a node, or of every node if that is None; without GPUs the whole node."""
    return tuple((node, gpu) for gpu in gpus) or ((node, None),)


def read(path: Path) -> Drained:
    """Read what is drained now.

    Raises:
        StudyError: the file cannot be read, or is not what `drain` writes.
    """
    try:
        return Drained(frozenset(decode_json(tuple[Spot, ...], path.read_bytes(), "the file")))
    except FileNotFoundError:
        return Drained()
    except (OSError, ContentError) as error:
        raise StudyError(f"{path} should list what is drained ({error}): delete it, and drain again") from error


def drain(path: Path, more: Iterable[Spot]) -> None:
    """Add spots to those that are drained."""
    _write(path, read(path).spots | frozenset(more))


def undrain(path: Path, returned: Iterable[Spot]) -> None:
    """Give spots back; all of them if none are named.

    Raises:
        StudyError: one of them is not drained.
    """
    now, back = read(path), frozenset(returned)
    if not now.spots:
        raise StudyError("nothing is drained")
    if back - now.spots:
        missing = min(back - now.spots, key=str)
        raise StudyError(f"{words(missing)} is not drained; drained are: {now}")
    _write(path, now.spots - back if back else frozenset())


class Watch:
    """Reads the file again when it has changed; keeps the last content that it could read."""

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


def _write(path: Path, drained: frozenset[Spot]) -> None:
    if drained:
        files.write(path, json.dumps(sorted(drained, key=str)), mode=0o600)
    else:
        path.unlink(missing_ok=True)
