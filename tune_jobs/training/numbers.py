"""Metrics as plain numbers, whatever type they come in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from tune_jobs.errors import Reason, TrialError
from tune_jobs.words import short


def as_numbers(metrics: Mapping[Any, Any]) -> dict[str, float]:
    """Return metrics as floats by name, from numbers, scalars and arrays of any library.

    A metric with a value a class becomes one metric a class: `f1_score/0`, `f1_score/1`. The parts of a mapping have
    their own names, as in `fit`. None is a metric that was not measured.

    Raises:
        TrialError: a value is no number.
    """
    return {name: number for key, value in metrics.items() for name, number in _numbers(str(key), value)}


def _numbers(name: str, value: Any) -> Iterator[tuple[str, float]]:
    if isinstance(value, Mapping):
        yield from as_numbers(value).items()
    elif value is not None:
        array = _array(name, value)
        if array.size == 1:
            yield name, array.item()
        else:
            yield from (("/".join([name, *map(str, place)]), float(one)) for place, one in np.ndenumerate(array))


def _array(name: str, value: Any) -> np.ndarray:
    """Return a number or an array of numbers as float64."""
    is_array = isinstance(value, list | tuple) or len(getattr(value, "shape", ())) > 0
    try:
        if isinstance(value, str | bytes):
            raise TypeError
        return np.asarray(value if is_array else float(value), dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        raise TrialError(Reason.INVALID, f"metric {name!r} needs a number; got {short(value)}") from None
