"""Image files as arrays that a model takes. No file is trusted: what is wrong with one is a line that names it."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from tune_jobs.errors import UserError

Picture = NDArray[np.uint8]  # (H, W, C)

_MODES = {1: "L", 3: "RGB"}  # by number of channels
_RUN_PROGRAMS = {"EPS"}  # Pillow hands these to Ghostscript, which runs them
_FULL_SCALES = (255, 65535)


class PictureError(UserError):
    """One image file that cannot be read; others may well be."""


def load(path: Path, shape: tuple[int, int, int]) -> Picture:
    """The image in a file, cut to the middle and resized with antialiasing to `shape`, (H, W, C), as uint8.

    Any format that Pillow decodes by itself, any size and mode: it is turned as its EXIF says, what is transparent is
    white, 16 bits become 8, colours become grey where C is 1. Of several frames it is the first. An image that has the
    size and mode already is taken as it is, value for value.

    Raises:
        PictureError: there is no file, it is no image, is damaged, or has more pixels than Pillow holds to be safe.
        ValueError: C is neither 1 nor 3.
    """
    height, width, channels = shape
    if channels not in _MODES:
        raise ValueError(f"an image file has 1 or 3 channels; {channels} came")
    if path.is_dir():
        raise PictureError(f"{path} is a folder: name the images in it")
    if not path.is_file():
        raise PictureError(f"{path} is no file" if path.exists() else f"there is no file {path}")
    image = ImageOps.fit(_decoded(path, _MODES[channels]), (width, height), Image.Resampling.BICUBIC)
    return np.asarray(image, dtype=np.uint8).reshape(shape)


def _decoded(path: Path, mode: str) -> Image.Image:
    """The upright image in one of `_MODES`."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(path, formats=_formats()) as image:
                return _converted(ImageOps.exif_transpose(image), mode)
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        most = (Image.MAX_IMAGE_PIXELS or 0) // 1_000_000
        raise PictureError(
            f"{path} has more than {most} million pixels, the most that are read: make it smaller"
        ) from error
    except UnidentifiedImageError as error:
        raise PictureError(f"{path} is no image of a format that is read, such as PNG or JPEG") from error
    except MemoryError as error:
        raise PictureError(f"{path} is larger than memory: make it smaller") from error
    except Exception as error:  # decoders raise errors of many kinds for a damaged file
        why = " ".join(str(error).split())[:200] or type(error).__name__
        raise PictureError(f"{path} cannot be read or is damaged: {why}") from error


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
    """A grey image of 16 or 32 bits, or of floats, as 8 bits.

    The full scale is that of 16 bits where the mode says so; else it is the smallest usual one that holds all values.
    """
    values = np.nan_to_num(np.asarray(image, dtype=np.float32))
    largest = values.max()
    scales = _FULL_SCALES[1:] if image.mode.startswith("I;16") else (1,) * (image.mode == "F") + _FULL_SCALES
    scale = next((scale for scale in scales if largest <= scale), largest)
    return Image.fromarray(np.rint(np.clip(values / scale, 0, 1) * 255).astype(np.uint8))
