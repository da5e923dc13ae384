"""Read the idx format of MNIST's files: a magic number, the sizes of the axes, then the values; gzip around it.

Described at the end of MNIST's own page, http://yann.lecun.com/exdb/mnist/. Only unsigned bytes are supported.
"""

from __future__ import annotations

import gzip
import math
import struct
import zlib

import numpy as np
from numpy.typing import NDArray


def parse(packed: bytes, *, n_axes: int) -> NDArray[np.uint8]:
    """Return the array in a gzipped idx file, which must have `n_axes` axes (3 for grey images, 1 for labels).

    Raises:
        ValueError: in one line, if the file is damaged or has another format.
    """
    try:
        data = gzip.decompress(packed)
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(f"its gzip is damaged: {error}") from error
    header = 4 + 4 * n_axes
    magic = bytes((0, 0, 8, n_axes))  # 8 is the format's code for unsigned bytes
    if data[:4] != magic:
        raise ValueError(f"it must begin with the bytes {magic.hex()}, and begins with {data[:4].hex() or 'nothing'}")
    if len(data) < header:
        raise ValueError(f"its header must have {header} bytes, and it ends after {len(data)}")
    shape = struct.unpack(f">{n_axes}I", data[4:header])
    if len(data) - header != math.prod(shape):
        raise ValueError(f"its header tells of {math.prod(shape)} values {shape}, and {len(data) - header} are there")
    return np.frombuffer(data, np.uint8, offset=header).reshape(shape)
