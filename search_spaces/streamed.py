"""A data set that does not fit into memory: a function that opens it, part by part, as batches."""

from __future__ import annotations

import hashlib
import typing
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from tune_jobs.models.plain_values import make_plain
from tune_jobs.search_spaces import function_names
from tune_jobs.search_spaces.declarations import is_known, why_no_loader, why_not_called
from tune_jobs.search_spaces.protocol import TaskError, is_count
from tune_jobs.search_spaces.scalars import Params

PartName = Literal["train", "validation", "test"]


class BatchFunction(typing.Protocol):
    """Opens a part of a data set: returns a `tf.data.Dataset` or a `keras.utils.PyDataset` of batches.

    A batch is `(x, y)` or `(x, y, weights)`, each an array or a mapping or tuple of arrays, with `batch_size` rows. The
    training part is opened for each epoch, with a `seed` of its own; the others always with seed 0. A search opens
    "train" and "validation" only.
    """

    def __call__(self, *, part: PartName, batch_size: int, seed: int, params: Params) -> Any: ...


@dataclass(frozen=True)
class Streamed:
    """What `streamed` returns."""

    batches: BatchFunction
    version: str = ""
    rows: int | None = None

    def __post_init__(self) -> None:
        make_plain(self)
        if not (callable(self.batches) and is_known(self.batches)):
            raise TaskError(f"streamed needs a function that opens the data set; got {self.batches!r}")
        if wrong := why_not_called(self.batches, part="train", batch_size=1, seed=0, params={}):
            raise TaskError(f"streamed needs a function that takes (*, part, batch_size, seed, params): {wrong}")
        if not isinstance(self.version, str):
            raise TaskError(f"streamed needs its version as a text; got {self.version!r}")
        if self.rows is not None and not is_count(self.rows):
            raise TaskError(f"streamed needs rows of 1 or more; got {self.rows!r}")

    @property
    def data_name(self) -> str:
        """The name in studies and messages: that of the function."""
        return function_names.name(self.batches)

    @property
    def digest(self) -> str:
        """Return 16 hex digits of the name and the version: the batches themselves are not read."""
        return hashlib.sha256(f"streamed {self.data_name} {self.version}".encode()).hexdigest()[:16]


def streamed(batches: BatchFunction, *, version: str = "", rows: int | None = None) -> Streamed:
    """Return a task's data set whose batches are read or drawn while it trains.

    Args:
        batches: opens a part of it (`BatchFunction`).
        version: what tells the data from others of the same function, such as a date. A study goes on with one version.
        rows: of the training part, if its pipeline does not know how many batches it has and the learning rate follows
            a schedule.

    Raises:
        TaskError: the function takes other arguments, or a setting is impossible.
    """
    return Streamed(batches, version, rows)


def why_no_data(dataset: object, has_own_loop: bool, given_names: Iterable[str]) -> str | None:
    """Return what is wrong with a task's data set, to follow its name; None if it fits.

    A task that streams them has nothing that needs them as a whole.
    """
    if not isinstance(dataset, Streamed):
        return why_no_loader(dataset)
    if has_own_loop:
        return "is streamed, and a training loop of its own would need to open it itself: use run"
    whole = sorted({"x_train", "y_train"} & {*given_names})
    return f"is streamed, and build takes it whole as {whole[0]}" if whole else None
