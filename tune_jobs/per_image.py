"""What each validation image contributed to a score, small enough to be kept with every trial.

Right and wrong take a bit an image; any other error a 32-bit float. Both are compressed and written as text.
"""

from __future__ import annotations

import base64
import binascii
import zlib

import numpy as np
from numpy.typing import NDArray

Errors = NDArray[np.float64] | NDArray[np.uint8]

_BITS, _FLOATS = "b", "f"  # the first letter says which; then the number of images, a colon, the content

_BYTES = {_BITS: lambda n: -(-n // 8), _FLOATS: lambda n: 4 * n}


def pack(errors: Errors) -> str:
    """Errors `(N,)`, as `LabelEncoding.errors` gives them, as text."""
    if np.isin(errors, (0.0, 1.0)).all():
        kind, content = _BITS, np.packbits(errors.astype(bool)).tobytes()
    else:
        kind, content = _FLOATS, errors.astype("<f4").tobytes()
    return f"{kind}{len(errors)}:{base64.b64encode(zlib.compress(content, 9)).decode()}"


def unpack(text: str) -> Errors:
    """The errors `(N,)` that `pack` wrote: whole numbers where all were right or wrong, else floats.

    Raises:
        ValueError: it is no such text.
    """
    head, _, content = text.partition(":")
    try:
        raw = zlib.decompress(base64.b64decode(content, validate=True))
        kind, n = head[:1], int(head[1:])
    except (zlib.error, binascii.Error, ValueError) as error:
        raise ValueError(f"no packed errors: {error}") from error
    if kind not in _BYTES or n < 0 or len(raw) != _BYTES[kind](n):
        raise ValueError(f"no packed errors: {head!r} with {len(raw)} bytes")
    if kind == _BITS:
        return np.unpackbits(np.frombuffer(raw, np.uint8), count=n)
    return np.frombuffer(raw, "<f4").astype(np.float64)
