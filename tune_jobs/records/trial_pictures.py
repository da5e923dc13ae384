"""Pictures of a trial, packed so small that they are kept with it: PNG files as text, by their names."""

from __future__ import annotations

import base64
import binascii
import io
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

MOST = 8  # pictures of a trial
LARGEST_SIDE = 1024  # pixels
MOST_BYTES = 2**17  # of all pictures of a trial together
_NAME = re.compile("[a-z0-9][a-z0-9_-]{0,39}")
_SIGNATURE = b"\x89PNG\r\n\x1a\n"


def pack(pictures: Mapping[str, Any]) -> dict[str, str]:
    """Return pictures as text: arrays `(H, W)`, `(H, W, 1)` or `(H, W, 3)` of uint8, by their names.

    Raises:
        ValueError: in one line, if a name or an array cannot be a picture's, or they are too many or too large.
    """
    _check_names(pictures)
    packed = {name: base64.b64encode(_png(name, np.asarray(image))).decode() for name, image in pictures.items()}
    _check_size(packed)
    return packed


def png(text: str) -> bytes:
    """Return the content of the PNG file that a packed picture is.

    Raises:
        ValueError: it is none.
    """
    try:
        content = base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError(f"no packed picture: {error}") from error
    if not content.startswith(_SIGNATURE):
        raise ValueError(f"no packed picture: it begins with {content[:8]!r}")
    return content


def check(packed: Mapping[str, str]) -> None:
    """Refuse what cannot be pictures of a trial, whoever packed them.

    Raises:
        ValueError: in one line.
    """
    _check_names(packed)
    _check_size(packed)
    for text in packed.values():
        png(text)


def _check_names(pictures: Mapping[str, Any]) -> None:
    if len(pictures) > MOST:
        raise ValueError(f"a trial has at most {MOST} pictures; got {len(pictures)}")
    for name in pictures:
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise ValueError(f"a picture needs a name of a-z, 0-9, _ and -, such as 'samples'; got {str(name)[:60]!r}")


def _check_size(packed: Mapping[str, str]) -> None:
    size = sum(3 * len(text) // 4 for text in packed.values())
    if size > MOST_BYTES:
        raise ValueError(f"the pictures of a trial have at most {MOST_BYTES:,} bytes; got {size:,}: draw smaller ones")


def _png(name: str, image: np.ndarray) -> bytes:
    from PIL import Image

    flat = image[..., 0] if image.ndim == 3 and image.shape[2] == 1 else image
    if image.dtype != np.uint8 or not (flat.ndim == 2 or (flat.ndim == 3 and flat.shape[2] == 3)):
        form = f"{image.dtype} {image.shape}"
        raise ValueError(f"picture {name!r} needs uint8 of (H, W), (H, W, 1) or (H, W, 3); got {form}")
    if not 1 <= max(image.shape[:2]) <= LARGEST_SIDE or min(image.shape[:2]) < 1:
        raise ValueError(f"picture {name!r} needs sides of 1 to {LARGEST_SIDE} pixels; got {image.shape[:2]}")
    content = io.BytesIO()
    Image.fromarray(flat).save(content, "PNG", optimize=True)
    return content.getvalue()
