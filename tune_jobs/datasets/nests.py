"""Nests: an array, or a mapping or tuple of nests. A model with several inputs or outputs is given such data.

They have the order that Keras and TensorFlow give them: a mapping goes by its sorted names.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Nest: TypeAlias = Any  # an array, or a mapping or tuple of nests


def is_nested(nest: Nest) -> bool:
    return isinstance(nest, Mapping | tuple)


def leaves(nest: Nest, name: str = "") -> Iterator[tuple[str, Array]]:
    """Yield the arrays with their names, such as `x_train['table']` under the name `x_train`."""
    if isinstance(nest, Mapping):
        for key in sorted(nest):
            yield from leaves(nest[key], f"{name}[{key!r}]")
    elif isinstance(nest, tuple):
        for place, part in enumerate(nest):
            yield from leaves(part, f"{name}[{place}]")
    else:
        yield name, nest


def arrays(nest: Nest) -> list[Array]:
    return [array for _, array in leaves(nest)]


def mapped(function: Callable[[Any], Any], nest: Nest) -> Nest:
    """Return a nest of the same form, with what the function makes of each array."""
    if isinstance(nest, Mapping):
        return {name: mapped(function, part) for name, part in nest.items()}
    if isinstance(nest, tuple):
        return tuple(mapped(function, part) for part in nest)
    return function(nest)


def rows(nest: Nest, which: Any) -> Nest:
    """Return these rows of each array."""
    return mapped(lambda array: array[which], nest)


def size(nest: Nest) -> int:
    """Return the number of rows."""
    return len(next(leaves(nest))[1])


def shapes(nest: Nest) -> Any:
    """Return the shape of one row of each array, in a nest of the same form."""
    return mapped(lambda array: np.shape(array)[1:], nest)


def form(nest: Nest) -> list[tuple[str, tuple[int, ...], str]]:
    """Return what two parts of a data set have to share: names, shapes of a row and types. Texts are of one type."""
    return [(name, array.shape[1:], array.dtype.str) for name, array in leaves(nest)]
