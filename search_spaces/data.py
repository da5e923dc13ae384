"""What a task's function returns: the parts of a data set, and how they are to be divided.

An array may be a mapping or a tuple of arrays wherever a model has several inputs or outputs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tune_jobs.search_spaces.scalars import Params

Part = tuple[Any, Any] | tuple[Any, Any, Any]  # (x, y) or (x, y, weights)


@dataclass(frozen=True, eq=False)
class Data:
    """A data set with a word on how it is divided. A task's function may return one in place of plain parts.

    Args:
        train: `(x, y)`, or `(x, y, weights)` with a weight for each row.
        test: the part that only an evaluation reads; or a share of `train`, or a number of its rows, to hold out.
        validation: the part that trials are scored on. Without it, the protocol's `validation` is held out of `train`.
        groups: a value for each row of `train`, such as its patient. Rows of one group are never divided.
        in_order: whether rows stand in the order of time. The last ones are held out then, and none are drawn.
    """

    train: Part
    test: Part | int | float
    validation: Part | None = None
    groups: Any = None
    in_order: bool = False


DataSource = Callable[[], "tuple[Part, Part] | tuple[Part, Part, Part] | Data"]
# Of a model, the data without the test part and the seed: pictures `(H, W, C)`, uint8, by their names. One that has a
# fourth parameter `epoch` is called in training too; it is None once the model has the best epoch's weights.
PicturesFunction = Callable[..., Mapping[str, Any]]
ConstraintsFunction = Callable[[Params], Mapping[str, float]]  # of params: numbers by names
