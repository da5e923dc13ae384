"""The error of each image, packed so small that it is kept with every trial.

Right or wrong takes a bit an image, any other error a 32-bit float. Both are compressed and written as text.
"""

from __future__ import annotations

import base64
import binascii
import re
import zlib

import numpy as np
from numpy.typing import NDArray

Errors = NDArray[np.float64] | NDArray[np.uint8]

_BITS, _FLOATS = "b", "f"  # the first letter of the text; then the number of images, a colon and the content

_BYTES = {_BITS: lambda n: -(-n // 8), _FLOATS: lambda n: 4 * n}


def pack(errors: Errors) -> str:
    """Return errors `(N,)`, as `LabelEncoding.errors` gives them, as text."""
    if np.isin(errors, (0.0, 1.0)).all():
        kind, content = _BITS, np.packbits(errors.astype(bool)).tobytes()
    else:
        kind, content = _FLOATS, errors.astype("<f4").tobytes()
    return f"{kind}{len(errors)}:{base64.b64encode(zlib.compress(content, 9)).decode()}"


def unpack(text: str) -> Errors:
    """Return the errors `(N,)` that `pack` wrote: whole numbers if all are right or wrong, else floats.

    Raises:
        ValueError: it is no such text.
    """
    kind, n = _head(text)
    unpacking = zlib.decompressobj()
    try:
        packed = base64.b64decode(text.partition(":")[2], validate=True)
        raw = unpacking.decompress(packed, _BYTES[kind](n) + 1)  # no more is unpacked than there may be
    except (zlib.error, binascii.Error) as error:
        raise ValueError(f"no packed errors: {error}") from error
    if len(raw) != _BYTES[kind](n) or not unpacking.eof:
        raise ValueError(f"no packed errors: {kind}{n} with {len(raw)} bytes")
    if kind == _BITS:
        return np.unpackbits(np.frombuffer(raw, np.uint8), count=n)
    return np.frombuffer(raw, "<f4").astype(np.float64)


def count(text: str) -> int:
    """Return the number of images that a packed text claims, without unpacking it.

    Raises:
        ValueError: it is no such text.
    """
    return _head(text)[1]


def _head(text: str) -> tuple[str, int]:
    head = re.match(f"([{_BITS}{_FLOATS}])([0-9]{{1,10}}):", text)
    if head is None:
        raise ValueError(f"no packed errors: they begin with {text[:20]!r}")
    return head[1], int(head[2])
