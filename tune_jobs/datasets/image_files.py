"""Read image files as arrays for a model. Files are not trusted: an error is one line that names the file."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from tune_jobs.errors import UserError

Picture = NDArray[np.uint8]  # (H, W, C)
Result = TypeVar("Result")

_MODES = {1: "L", 3: "RGB"}  # by number of channels
_RUN_PROGRAMS = {"EPS"}  # Pillow hands these to Ghostscript, which runs them
_FULL_SCALES = (255, 65535)
_GREY = ("1", "L", "LA", "La", "F")  # and those that begin with I: 16 or 32 bits
_TURNED = (5, 6, 7, 8)  # values of EXIF's orientation that turn height into width
_ORIENTATION = 0x0112  # its tag


class PictureError(UserError):
    """An image file that cannot be read, although others may be."""


def load(path: Path, shape: tuple[int, int, int]) -> Picture:
    """Return the middle of the image in a file, resized with antialiasing to `shape`, (H, W, C), as uint8.

    The file may have any format that Pillow decodes by itself, any size and mode. The image is turned as its EXIF data
    say, transparent parts become white, 16 bits become 8, and colours become grey if C is 1. The first of several
    frames is read. An image that has the right size and mode keeps its values.

    Raises:
        PictureError: the file is missing, not an image, damaged, or has more pixels than Pillow considers safe.
        ValueError: C is neither 1 nor 3.
    """
    if path.is_dir():
        raise PictureError(f"{path} is a folder: name the images in it")
    if not path.is_file():
        raise PictureError(f"{path} is no file" if path.exists() else f"there is no file {path}")
    with strict():
        return read(path, str(path), shape)


@contextmanager
def strict() -> Iterator[None]:
    """Let Pillow refuse images of more pixels than it considers safe, and otherwise not warn, in this process.

    It holds for all threads until the block ends, so one block has to surround the threads that call `read`.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        yield


def read(file: Path | BinaryIO, name: str, shape: tuple[int, int, int]) -> Picture:
    """Return an image as `load` does, of an open file too, inside a block of `strict`; `name` is for messages."""
    height, width, channels = shape
    if channels not in _MODES:
        raise ValueError(f"an image file needs 1 or 3 channels; got {channels}")
    mode = _MODES[channels]
    upright = _opened(file, name, lambda image: _converted(ImageOps.exif_transpose(image), mode))
    fitted = ImageOps.fit(upright, (width, height), Image.Resampling.BICUBIC)
    return np.asarray(fitted, dtype=np.uint8).reshape(shape)


def form(file: Path | BinaryIO, name: str) -> tuple[int, int, int]:
    """Return the height, width and channels that an image has when it is read as it is: 1 channel if it is grey, else
    3. Only the head of the file is read, inside a block of `strict`.

    Raises:
        PictureError: as `load`.
    """
    return _opened(file, name, _form)


def _form(image: Image.Image) -> tuple[int, int, int]:
    width, height = image.size
    if image.getexif().get(_ORIENTATION) in _TURNED:
        width, height = height, width
    return height, width, 1 if image.mode in _GREY or image.mode.startswith("I") else 3


def _opened(file: Path | BinaryIO, name: str, use: Callable[[Image.Image], Result]) -> Result:
    """Return what `use` makes of an image."""
    try:
        with Image.open(file, formats=_formats()) as image:
            return use(image)
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        most = (Image.MAX_IMAGE_PIXELS or 0) // 1_000_000
        raise PictureError(
            f"{name} has more than {most} million pixels, the most that are read: make it smaller"
        ) from error
    except UnidentifiedImageError as error:
        raise PictureError(f"{name} is no image of a format that is read, such as PNG or JPEG") from error
    except MemoryError as error:
        raise PictureError(f"{name} is larger than memory: make it smaller") from error
    except Exception as error:  # decoders raise errors of many kinds for a damaged file
        why = " ".join(str(error).split())[:200] or type(error).__name__
        raise PictureError(f"{name} cannot be read or is damaged: {why}") from error


def _formats() -> list[str]:
    Image.init()
    return [name for name in Image.OPEN if name not in _RUN_PROGRAMS]


def _converted(image: Image.Image, mode: str) -> Image.Image:
    if image.mode == "F" or image.mode.startswith("I"):
        image = _in_eight_bits(image)
    elif image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    return image.convert(mode)


def _in_eight_bits(image: Image.Image) -> Image.Image:
    """Return a grey image of 16 or 32 bits, or of floats, as 8 bits.

    The full scale is that of 16 bits if the mode says so, else the smallest usual one that is not below any value.
    """
    values = np.nan_to_num(np.asarray(image, dtype=np.float32))
    largest = values.max()
    scales = _FULL_SCALES[1:] if image.mode.startswith("I;16") else (1,) * (image.mode == "F") + _FULL_SCALES
    scale = next((scale for scale in scales if largest <= scale), largest)
    return Image.fromarray(np.rint(np.clip(values / scale, 0, 1) * 255).astype(np.uint8))
