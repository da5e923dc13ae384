"""What is wrong with the arrays of a data set: said in one line before anything is trained, with the first bad value.

The arrays are called x_train, y_train, x_test and y_test, as the function that returns them usually calls them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from tune_jobs.datasets import nests
from tune_jobs.datasets.dataset import Original, Split
from tune_jobs.datasets.nests import Array, Nest
from tune_jobs.errors import DataError
from tune_jobs.models.label_encodings import LabelEncoding
from tune_jobs.search_spaces.protocol import TaskError
from tune_jobs.search_spaces.task import Task
from tune_jobs.words import one_line, short

Encode = Callable[[Nest], Nest]  # labels to targets

IMAGES = "uint8 on 4 axes"  # the form of images, (N, H, W, C)
_CALLS = {  # by what has their method: sparse matrices, and tensors with ragged rows or few values
    "toarray": "{}.toarray()",
    "to_tensor": "{}.to_tensor()",
    "dense_shape": "tf.sparse.to_dense({})",
}


def array(value: object, name: str) -> Array:
    """Return a value as an array of numbers or of texts. Texts are Python's own, whatever their lengths.

    Raises:
        DataError: it is none; with its first element that does not belong.
    """
    is_text = isinstance(value, list | tuple) and bool(value) and isinstance(value[0], str)
    if isinstance(value, np.ma.MaskedArray) and np.ma.is_masked(value):
        masked = _first(np.ma.getmaskarray(value))
        raise DataError(f"{_at(name, masked)} is masked: {name} needs numbers; {name}.filled(0) has them")
    try:
        array = np.asarray(value, dtype=object if is_text else None)
    except ValueError as error:
        raise _unequal(name) from error
    if array.dtype.kind in "buif":
        return array
    _check_kind(array, value, name)
    array = array.astype(object) if array.dtype.kind in "UT" else array
    kind, fits = ("texts", _is_text) if array.size and _is_text(array.flat[0]) else ("numbers", _is_number)
    place = next((place for place in np.ndindex(array.shape) if not fits(array[place])), None)
    if place is not None:
        raise DataError(f"{_at(name, place)} is {_shown(array[place])}: {name} needs {kind}")
    if kind == "texts":
        return array
    advice = f"; {name}.astype({_plain_type(array)}) makes one of it" if array.dtype == object else ""
    raise DataError(f"{name} needs to be an array of numbers; got an array of {array.dtype}{advice}")


def _check_kind(array: Array, value: object, name: str) -> None:
    """Refuse what holds numbers or texts in a form of its own, with the call that gives them."""
    if array.dtype.kind == "S":
        raise DataError(f"{name} has bytes: {name} needs numbers or texts; np.char.decode({name}) has them")
    if array.ndim and array.size and isinstance(array.flat[0], list | tuple | np.ndarray):
        raise _unequal(name)
    call = next((call for method, call in _CALLS.items() if hasattr(value, method)), None)
    if array.ndim == 0 and call is not None:
        kind = type(value).__name__
        raise DataError(f"{name} is a {kind}: {name} needs to be an array; {call.format(name)} makes one of it")


def _unequal(name: str) -> DataError:
    return DataError(
        f"{name} has rows of different shapes: keras.utils.pad_sequences makes one array of them, "
        "and several inputs are a tuple or a mapping of arrays"
    )


def _plain_type(array: Array) -> str:
    return "int" if all(isinstance(number, int | np.integer) for number in array.flat) else "float"


def check_alike(train: Split, other: Split, part: str) -> None:
    """Check that the training part and another one have the same arrays, of one shape and one type of number.

    Raises:
        DataError: they differ.
    """
    for name, a, b in (("x", train.x, other.x), ("y", train.labels, other.labels)):
        if nests.form(a) != nests.form(b):
            raise DataError(f"{name}_train and {name}_{part} must be alike, and are {_form(a)} and {_form(b)}")


def form(x: Nest) -> str:
    """Return the form of an input in words: what of it a builder cannot know from the shape that it is given."""
    return ", ".join(f"{name}{' ' * bool(name)}{_kind(array)} on {array.ndim} axes" for name, array in nests.leaves(x))


def _kind(array: Array) -> str:
    kinds = {"f": "floats", "b": "booleans", "i": "whole numbers", "u": "whole numbers", "O": "texts"}
    return "uint8" if array.dtype == np.uint8 else kinds[array.dtype.kind]


def check_for_task(task: Task, original: Original) -> None:
    """Check that a network of the task can be trained on the data: all numbers are finite, and its encoding takes every
    label. A training loop of the task's own judges its data itself.

    Raises:
        DataError: with the first bad value and its place.
        TaskError: the encoding refuses the baseline.
    """
    if task.trains_itself:
        return
    encode = _encoding(task).targets
    if task.protocol.class_weight is not None and original.train.weights is not None:
        raise DataError("rows have weights, and the protocol has class_weight: leave one of them out")
    if task.protocol.class_weight is not None and nests.is_nested(original.train.labels):
        raise DataError("there are several outputs, and the protocol has class_weight: give rows weights instead")
    for part, split in (("train", original.train), ("val", original.validation), ("test", original.test)):
        if split is None:
            continue
        for nest, letter in ((split.x, "x"), (split.labels, "y"), (split.weights, "w")):
            for name, values in nests.leaves(() if nest is None else nest, f"{letter}_{part}"):
                _check_finite(name, values)
        _check_labels(f"y_{part}", split.labels, encode)


def _encoding(task: Task) -> LabelEncoding:
    try:
        return task.encoding_of(task.baseline)
    except TaskError:
        raise
    except Exception as error:
        raise TaskError(
            f"task {task.name!r}: its encoding cannot be made for the baseline: {one_line(error)}"
        ) from error


def _check_finite(name: str, array: Array) -> None:
    if array.size == 0:
        raise DataError(f"{name} has shape {array.shape}: a network needs numbers")
    if array.dtype.kind != "f":
        return
    with np.errstate(over="ignore"):
        wrong = ~np.isfinite(array.astype(np.float32, copy=False))
    if wrong.any():
        place = _first(wrong)
        what = "numbers below 3.4e38" if np.isfinite(array[place]) else "finite numbers"
        raise DataError(f"{_at(name, place)} is {array[place]}: a network needs {what} ({_among(wrong)})")


def _first(wrong: Array) -> tuple[int, ...]:
    """Return the place of the first that is true."""
    return tuple(map(int, np.unravel_index(int(wrong.argmax()), wrong.shape)))


def _check_labels(name: str, labels: Nest, encode: Encode) -> None:
    why = _why_refused(labels, encode)
    if why is None:
        return
    place = _first_refused(labels, encode)
    advice = next(_advice(name, labels, encode), "")
    raise DataError(f"{_at(name, (place,))} is {_shown_row(labels, place)}: {why}{advice}")


def _why_refused(labels: Nest, encode: Encode) -> str | None:
    """Return why an encoding refuses labels, which it may not change; None if it takes them."""
    try:
        targets = encode(nests.mapped(_read_only, labels))
    except ValueError as error:
        return " ".join(str(error).split())[:300]
    except Exception as error:
        return one_line(error)
    n = nests.size(labels)
    counts = [len(part) if hasattr(part, "__len__") else None for part in nests.arrays(targets)]
    wrong = [count for count in counts if count != n]
    return f"the encoding needs one target a label; got {wrong[0]}" if wrong else None


def _read_only(array: Array) -> Array:
    view = array.view()
    view.flags.writeable = False
    return view


def _first_refused(labels: Nest, encode: Encode) -> int:
    """Return the place of the first label that is refused; each step halves what may hold it."""
    taken, refused = 0, nests.size(labels)
    while refused - taken > 1:
        middle = (taken + refused) // 2
        if _why_refused(nests.rows(labels, slice(middle)), encode) is None:
            taken = middle
        else:
            refused = middle
    return taken


def _advice(name: str, labels: Nest, encode: Encode) -> Iterator[str]:
    """Yield changes of the labels that would make them fit."""
    if nests.is_nested(labels):
        return
    changes: list[tuple[str, Array]] = []
    if labels.ndim == 2 and labels.shape[1] == 1:
        changes.append((f"{name}[:, 0]", labels[:, 0]))
    if labels.dtype.kind in "fb" and (labels == labels.astype(np.int64)).all():
        changes.append((f"{name}.astype(int)", labels.astype(np.int64)))
    if labels.dtype.kind in "iu":
        least = int(labels.min())
        changes.append((f"{name} {'-' if least > 0 else '+'} {abs(least)}", labels - least))
    if labels.ndim == 2 and labels.shape[1] > 1 and labels.dtype.kind in "buif" and _is_one_hot(labels):
        changes.append((f"{name}.argmax(axis=1)", labels.argmax(axis=1)))
    if labels.ndim == 1 and labels.dtype.kind in "iuf":
        changes.append((f"np.unique({name}, return_inverse=True)[1]", np.unique(labels, return_inverse=True)[1]))
    for words, changed in changes:
        if _why_refused(changed, encode) is None:
            yield f"; {words} would fit"


def _is_one_hot(labels: Array) -> bool:
    return bool(((labels == 0) | (labels == 1)).all() and (labels.sum(axis=1) == 1).all())


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float | np.integer | np.floating | np.bool_)


def _at(name: str, place: tuple[int, ...]) -> str:
    return f"{name}[{', '.join(map(str, place))}]" if place else name


def _shown_row(labels: Nest, place: int) -> str:
    return ", ".join(f"{name}{' ' * bool(name)}{_shown(array[place])}" for name, array in nests.leaves(labels))


def _form(nest: Nest) -> str:
    parts = [f"{name}{' ' * bool(name)}{array.shape} {array.dtype}" for name, array in nests.leaves(nest)]
    return ", ".join(parts)


def _shown(value: Any) -> str:
    """Return a label as plain Python shows it: 2, or 'dog'."""
    plainly = value.tolist() if hasattr(value, "tolist") else value
    return " ".join(str(plainly).split())[:60] if isinstance(plainly, list) else short(plainly)


def _among(wrong: Array) -> str:
    return f"{np.count_nonzero(wrong):,} of {wrong.size:,} are not"
