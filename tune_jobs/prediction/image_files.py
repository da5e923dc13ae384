"""Read image files as arrays for a model. Files are not trusted: an error is one line that names the file."""

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
    height, width, channels = shape
    if channels not in _MODES:
        raise ValueError(f"an image file needs 1 or 3 channels; got {channels}")
    if path.is_dir():
        raise PictureError(f"{path} is a folder: name the images in it")
    if not path.is_file():
        raise PictureError(f"{path} is no file" if path.exists() else f"there is no file {path}")
    image = ImageOps.fit(_decoded(path, _MODES[channels]), (width, height), Image.Resampling.BICUBIC)
    return np.asarray(image, dtype=np.uint8).reshape(shape)


def _decoded(path: Path, mode: str) -> Image.Image:
    """Return the upright image in one of `_MODES`."""
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
    """Return a grey image of 16 or 32 bits, or of floats, as 8 bits.

    The full scale is that of 16 bits if the mode says so, else the smallest usual one that is not below any value.
    """
    values = np.nan_to_num(np.asarray(image, dtype=np.float32))
    largest = values.max()
    scales = _FULL_SCALES[1:] if image.mode.startswith("I;16") else (1,) * (image.mode == "F") + _FULL_SCALES
    scale = next((scale for scale in scales if largest <= scale), largest)
    return Image.fromarray(np.rint(np.clip(values / scale, 0, 1) * 255).astype(np.uint8))
