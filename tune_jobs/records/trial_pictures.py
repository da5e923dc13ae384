"""Pictures of a trial, packed so small that they are kept with it: PNG or JPEG files as text, by their names."""

from __future__ import annotations

import base64
import binascii
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from PIL import Image

MOST = 8  # pictures of a trial
LARGEST_SIDE = 1024  # pixels
MOST_BYTES = 2**17  # of all pictures of a trial's model together
MOST_BYTES_OF_AN_EPOCH = 2**15  # of all pictures after an epoch, of which a trial keeps several
MOST_EPOCHS = 16  # from which a trial keeps pictures
_NAME = re.compile("[a-z0-9][a-z0-9_-]{0,39}")
_LARGEST_PNG = 2**14  # bytes; a colour picture that has more is kept as JPEG, of which a photograph needs a fifth
_QUALITIES = (85, 70, 50, 30, 15)  # of JPEGs: the first with which the pictures are small enough
_SIGNATURES = {"image/png": b"\x89PNG\r\n\x1a\n", "image/jpeg": b"\xff\xd8\xff"}


@dataclass(frozen=True)
class EpochPictures:
    """Packed pictures of a trial after an epoch, counted from one, by their names."""

    epoch: int
    pictures: Mapping[str, str]


def pack(pictures: Mapping[str, Any], most_bytes: int = MOST_BYTES) -> dict[str, str]:
    """Return pictures as text: arrays `(H, W)`, `(H, W, 1)` or `(H, W, 3)` of uint8, by their names.

    Raises:
        ValueError: in one line, if a name or an array cannot be a picture's, or they are too many or too large.
    """
    import numpy as np

    _check_names(pictures)
    images = {name: _image(name, np.asarray(image)) for name, image in pictures.items()}
    packed: dict[str, str] = {}
    for quality in _QUALITIES:
        packed = {name: base64.b64encode(_file(image, quality)).decode() for name, image in images.items()}
        if _size(packed) <= most_bytes:
            break
    _check_size(packed, most_bytes)
    return packed


def content(text: str) -> bytes:
    """Return the content of the PNG or JPEG file that a packed picture is.

    Raises:
        ValueError: it is none.
    """
    return _opened(text)[1]


def media_type(text: str) -> str:
    """Return what kind of file a packed picture is: `image/png` or `image/jpeg`.

    Raises:
        ValueError: it is none.
    """
    return _opened(text)[0]


def _opened(text: str) -> tuple[str, bytes]:
    try:
        content = base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError(f"no packed picture: {error}") from error
    for kind, signature in _SIGNATURES.items():
        if content.startswith(signature):
            return kind, content
    raise ValueError(f"no packed picture: it begins with {content[:8]!r}")


def check(packed: Mapping[str, str], most_bytes: int = MOST_BYTES) -> None:
    """Refuse what cannot be pictures of a trial, whoever packed them.

    Raises:
        ValueError: in one line.
    """
    _check_names(packed)
    _check_size(packed, most_bytes)
    for text in packed.values():
        content(text)


def check_progress(progress: Sequence[EpochPictures]) -> None:
    """Refuse what cannot be pictures of a trial's epochs, as `check` does.

    Raises:
        ValueError: in one line.
    """
    epochs = [each.epoch for each in progress]
    if len(epochs) > MOST_EPOCHS or epochs != sorted(set(epochs)) or min(epochs, default=1) < 1:
        raise ValueError(f"pictures of at most {MOST_EPOCHS} epochs, in their order; got {epochs[:20]}")
    for each in progress:
        check(each.pictures, MOST_BYTES_OF_AN_EPOCH)


def is_kept(epoch: int) -> bool:
    """Return True for the epochs after which a trial keeps pictures: 1, 2, 4, 8, …, so that there are few of them."""
    return epoch & (epoch - 1) == 0 and epoch < 2**MOST_EPOCHS


def _check_names(pictures: Mapping[str, Any]) -> None:
    if len(pictures) > MOST:
        raise ValueError(f"a trial has at most {MOST} pictures; got {len(pictures)}")
    for name in pictures:
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise ValueError(f"a picture needs a name of a-z, 0-9, _ and -, such as 'samples'; got {str(name)[:60]!r}")


def _check_size(packed: Mapping[str, str], most_bytes: int) -> None:
    size = _size(packed)
    if size > most_bytes:
        whose = "a trial" if most_bytes == MOST_BYTES else "an epoch"
        raise ValueError(f"the pictures of {whose} have at most {most_bytes:,} bytes; got {size:,}: draw smaller ones")


def _size(packed: Mapping[str, str]) -> int:
    return sum(3 * len(text) // 4 for text in packed.values())


def _image(name: str, image: np.ndarray) -> Image.Image:
    import numpy as np
    from PIL import Image

    flat = image[..., 0] if image.ndim == 3 and image.shape[2] == 1 else image
    if image.dtype != np.uint8 or not (flat.ndim == 2 or (flat.ndim == 3 and flat.shape[2] == 3)):
        form = f"{image.dtype} {image.shape}"
        raise ValueError(f"picture {name!r} needs uint8 of (H, W), (H, W, 1) or (H, W, 3); got {form}")
    if not 1 <= max(image.shape[:2]) <= LARGEST_SIDE or min(image.shape[:2]) < 1:
        raise ValueError(f"picture {name!r} needs sides of 1 to {LARGEST_SIDE} pixels; got {image.shape[:2]}")
    return Image.fromarray(flat)


def _file(image: Image.Image, quality: int) -> bytes:
    png = _saved(image, "PNG", optimize=True)
    if image.mode == "L" or len(png) <= _LARGEST_PNG:
        return png
    return _saved(image, "JPEG", quality=quality)


def _saved(image: Image.Image, form: str, **options: Any) -> bytes:
    content = io.BytesIO()
    image.save(content, form, **options)
    return content.getvalue()
