"""What the fields of a task have to be: checked when it is made, for a mistake would show far from it later."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from tune_jobs.models.plain_values import plain
from tune_jobs.search_spaces.scalars import Params

_ENCODING_PARTS = ("name", "head", "targets", "loss", "metrics", "decode", "errors")


def why_no_encoding(encoding: object) -> str | None:
    """Return what is wrong with a label encoding, to follow its name; None if it fits."""
    lacking = [part for part in _ENCODING_PARTS if not hasattr(encoding, part)]
    if not lacking:
        return None
    return (
        "needs to be a label encoding, such as Classes(10), or a function that returns one; "
        f"got {encoding!r}, which lacks {', '.join(lacking)}"
    )


def why_no_encodings(encodings: Mapping[str, object]) -> str | None:
    """Return what is wrong with the encodings of several outputs, as `why_no_encoding` does."""
    if not encodings:
        return "needs an encoding for each output; got an empty mapping"
    found = ((output, why_no_encoding(encoding)) for output, encoding in encodings.items())
    return next((f"of {output!r} {wrong}" for output, wrong in found if wrong), None)


def of_several_outputs(encodings: Mapping[str, Any], error: Callable[[str], Exception]) -> Any:
    """Return the encoding of a network with several outputs, by their names; raise an `error` if one is none."""
    from tune_jobs.models.several_outputs import PerOutput

    if wrong := why_no_encodings(encodings):
        raise error(f"encoding {wrong}")
    return PerOutput(tuple(encodings.items()))


def why_no_loader(dataset: object) -> str | None:
    """Return what is wrong with a task's data set, as `why_no_encoding` does."""
    if isinstance(dataset, str) and dataset:
        return None
    if not callable(dataset):
        return f"needs a name or a function that loads it; got {dataset!r}"
    wrong = why_not_called(dataset)
    return f"needs a function without arguments: {wrong}" if wrong else None


def why_no_pictures(pictures: object, *, has_model: bool) -> str | None:
    """Return what is wrong with a function that makes pictures of a model, as `why_no_encoding` does."""
    if pictures is None:
        return None
    if not has_model:
        return "needs a model, and the task has code of its own that leaves none"
    if not callable(pictures):
        return f"needs a function; got {pictures!r}"
    wrong = why_not_called(pictures, None, None, 0)
    return f"needs to take (model, data, seed): {wrong}" if wrong else None


def why_no_extras(pictures: object, constraints: object, *, has_model: bool) -> str | None:
    """Return what is wrong with the functions that a task may have beside its training, and with which of them."""
    if wrong := why_no_pictures(pictures, has_model=has_model):
        return f"pictures {wrong}"
    if constraints is None:
        return None
    if not callable(constraints):
        return f"constraints needs a function; got {constraints!r}"
    wrong = why_not_called(constraints, {})
    return f"constraints needs to take (params): {wrong}" if wrong else None


def takes_epoch(pictures: Callable[..., Any]) -> bool:
    """Return whether a function that makes pictures of a model makes some in training too: it has an `epoch`."""
    return is_known(pictures) and "epoch" in inspect.signature(pictures).parameters


def why_not_called(function: Callable[..., Any], *arguments: object, **named: object) -> str | None:
    """Return why a function cannot be called with these arguments; None if it can, or nothing is known of it."""
    if not is_known(function):
        return None
    try:
        inspect.signature(function).bind(*arguments, **named)
    except TypeError as error:
        return str(error)
    return None


def is_known(function: Callable[..., Any]) -> bool:
    """Return whether the arguments of a function are known, as those of a type such as int are not."""
    try:
        inspect.signature(function)
    except (TypeError, ValueError):
        return False
    return True


def why_no_params(params: object) -> str | None:
    """Return what is wrong with params, as `why_no_encoding` does."""
    if not isinstance(params, Mapping):
        return f"has to be of type Mapping; got {params!r}"
    wrong = [name for name in params if not isinstance(name, str)]
    return f"needs names of parameters as its keys; got {wrong[0]!r}" if wrong else None


def plain_params(params: Params) -> dict[str, Any]:
    """Return params with plain values."""
    return {name: plain(value) for name, value in params.items()}
