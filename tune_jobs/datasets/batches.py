"""Pipelines of batches that a task's own function returns, such as a `tf.data.Dataset`: read into memory, in order.

Neither TensorFlow nor Keras is imported here: a pipeline is known by what it can do.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from tune_jobs.datasets import memory, nests
from tune_jobs.errors import DataError
from tune_jobs.words import one_line

_NO_ARRAYS = {"RaggedTensorSpec", "SparseTensorSpec"}
_INFINITE = -1  # what `tf.data.Dataset.cardinality` calls it


def is_pipeline(value: Any) -> bool:
    """Return True for a `tf.data.Dataset` and for a `keras.utils.PyDataset`."""
    return hasattr(value, "as_numpy_iterator") or _is_py_dataset(value)


def read(pipeline: Any) -> tuple[Any, ...]:
    """Return all batches of a pipeline as one `(x, y)` or `(x, y, weights)`, each an array or a nest of arrays.

    The elements of a pipeline that has not batched them are the rows.

    Raises:
        DataError: it never ends, has no batch or rows of different shapes, raises, or does not fit into memory.
    """
    try:
        batches = list(_bounded(_batches(pipeline)))
    except DataError:
        raise
    except Exception as error:
        raise DataError(f"a pipeline of batches raised {one_line(error)}") from error
    if not batches:
        raise DataError("a pipeline of batches is empty")
    _check_shapes(batches)
    join = np.concatenate if all(np.ndim(array) for array in nests.arrays(batches[0])) else np.stack
    leaves = zip(*map(nests.arrays, batches), strict=True)
    joined = iter([_texts(join(parts)) for parts in leaves])
    part = nests.mapped(lambda _: next(joined), _sorted(batches[0]))
    return part if isinstance(part, tuple) else (part,)


def _batches(pipeline: Any) -> Iterator[Any]:
    if _is_py_dataset(pipeline):
        return (_as_arrays(pipeline[index]) for index in range(pipeline.num_batches or 0))
    if int(pipeline.cardinality()) == _INFINITE:
        raise DataError("a tf.data.Dataset never ends: leave out repeat(), each epoch takes all its batches")
    if {type(spec).__name__ for spec in nests.arrays(pipeline.element_spec)} & _NO_ARRAYS:
        raise DataError(
            "a tf.data.Dataset has ragged or sparse tensors: make arrays of them, as by "
            "map(lambda x, y: (x.to_tensor(), y)) or tf.sparse.to_dense"
        )
    return iter(pipeline.as_numpy_iterator())


def _bounded(batches: Iterable[Any]) -> Iterator[Any]:
    """Yield batches as long as there is room for all of them, and once more for the arrays that they are joined to."""
    room, held = memory.total() // 2, 0
    for batch in batches:
        held += sum(np.asarray(array).nbytes for array in nests.arrays(batch))
        if held > room:
            raise DataError(
                f"a pipeline of batches has more than {room / 2**30:,.1f} GiB, for which this machine has no room: "
                "stream it (tj.streamed, docs/data.md)"
            )
        yield batch


def _check_shapes(batches: list[Any]) -> None:
    """Refuse what cannot lie in one array in memory."""
    forms = {tuple(np.shape(array)[1:] for array in nests.arrays(batch)) for batch in batches}
    if len(forms) > 1:
        raise DataError(
            "a pipeline has batches whose rows have different shapes: pad them all to one length, as by "
            "padded_batch(…, padded_shapes=…), or stream them (tj.streamed)"
        )


def _is_py_dataset(value: Any) -> bool:
    return any(kind.__name__ == "PyDataset" for kind in type(value).__mro__)


def _as_arrays(batch: Any) -> Any:
    return nests.mapped(np.asarray, batch)


def _sorted(nest: Any) -> Any:
    """Return a nest whose mappings have the order of `nests.arrays`."""
    if isinstance(nest, dict):
        return {name: _sorted(nest[name]) for name in sorted(nest)}
    return tuple(map(_sorted, nest)) if isinstance(nest, tuple) else nest


def _texts(array: Any) -> Any:
    """Return texts in place of the bytes that TensorFlow makes of them."""
    return np.vectorize(bytes.decode, otypes=[object])(array) if array.dtype.kind in "OS" else array
