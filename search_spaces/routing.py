"""Which part of a task takes which param: the builder, the encoding, the optimizer or the training loop."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from tune_jobs.search_spaces.scalars import Params, Value

# What a builder is given beside params, if it names it: of the data, and of the encoding.
GIVEN_TO_BUILDER = frozenset({"input_shape", "head", "x_train", "y_train"})


@dataclass(frozen=True)
class Routed:
    """Params divided among the builder, the encoding, the optimizer, the callbacks and the training loop."""

    builder: dict[str, Value]
    encoding: dict[str, Value]
    optimizer: dict[str, Value]
    batch_size: int
    loss: Value = None  # of a task without an encoding
    callbacks: dict[str, Value] = field(default_factory=dict)


def divided(params: Params, takers: Iterable[Collection[str]]) -> list[dict[str, Value]]:
    """Return what each taker takes of params by its names, and the rest as the last one."""
    parts: list[dict[str, Value]] = [{name: params[name] for name in params if name in names} for names in takers]
    taken = {name for part in parts for name in part}
    return [*parts, {name: value for name, value in params.items() if name not in taken}]
