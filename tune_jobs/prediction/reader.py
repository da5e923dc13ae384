"""A saved model reads image files, and looks at each several times to say how sure it is."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tune_jobs.errors import DataError
from tune_jobs.models.presentation import Presentation
from tune_jobs.prediction import image_files, saved_models
from tune_jobs.prediction.image_files import Picture, PictureError
from tune_jobs.prediction.saved_models import Origin
from tune_jobs.search_spaces import catalog
from tune_jobs.search_spaces.protocol import TaskError
from tune_jobs.search_spaces.scalars import SpaceError
from tune_jobs.training import tensorflow_start

if TYPE_CHECKING:
    from tune_jobs.models.label_encodings import LabelEncoding
    from tune_jobs.models.lazy_keras import keras

Array = NDArray[Any]

N_VIEWS = 12

# Of the views. A network that reads images like its own to half a minute was sure of 93 % of 720 of them at this share,
# and of 12 % of 720 turned and tilted ones, which it had never seen and read three hours wrong; of no picture of noise.
_SURE = 0.75
_STEP = 1 / 75  # of the sides: a pixel of an image of 75 by 75
_SHIFTS = [(x * step, y * step) for step in (_STEP, 2 * _STEP) for x, y in ((1, 0), (-1, 0), (0, 1), (0, -1))]
_ZOOMS = (0.96, 1.04)
_LIGHTS = (0.9, 1.1)
_MARGIN = 0.05  # of the longer side: more than any view looks beyond the picture
_LARGEST_SIDE = 4096  # pixels; no task here comes near it


@dataclass(frozen=True)
class Reading:
    """What a model reads from one picture.

    `text` is the label of the picture as it is, as people write it, and `facts` the same for programs. `agreement` is
    the share of the changed views whose labels agree with it: their error from it is at most `close`. `spread` is the
    median of these errors, in `unit`; None for an encoding whose errors only count. `probability` is the mean softmax
    over all views of the label; None for an encoding without classes.
    """

    text: str
    facts: Mapping[str, Any]
    agreement: float
    close: float
    unit: str
    spread: float | None
    probability: float | None

    @property
    def is_sure(self) -> bool:
        return self.agreement >= _SURE

    def to_dict(self) -> dict[str, Any]:
        """Return the reading for programs; a spread has its unit in its name, like `spread_minutes`."""
        spread = "_".join(["spread", *self.unit.split()])
        measured = {"agreement": self.agreement, spread: self.spread, "probability": self.probability}
        known = {name: value for name, value in measured.items() if value is not None}
        return {**self.facts, **known, "sure": self.is_sure}

    def words(self) -> str:
        """Return the reading for people.

        `10:08  sure: 12 of 12 views within 5 minutes, typically 0.4 minutes apart`, or
        `7  unsure: 8 of 12 views agree, mean softmax 0.61`.
        """
        count = f"{'sure' if self.is_sure else 'unsure'}: {round(self.agreement * N_VIEWS)} of {N_VIEWS} views"
        parts = [f"{count} within {self._measure(f'{self.close:g}')}" if self.close else f"{count} agree"]
        if self.spread is not None:
            parts.append(f"typically {self._measure(f'{self.spread:.1f}')} apart")
        if self.probability is not None:
            parts.append(f"mean softmax {self.probability:.2f}")
        return f"{self.text}  {', '.join(parts)}"

    def _measure(self, number: str) -> str:
        return f"{number} {self.unit}".rstrip()


class Reader:
    """A saved model that reads image files.

    How sure it is comes from test-time augmentation: the picture and `N_VIEWS` slightly changed views of it, always the
    same changes, go through the model at once, and what counts is how far the readings are apart (Wang et al. 2019,
    "Aleatoric uncertainty estimation with test-time augmentation for medical image segmentation with convolutional
    neural networks", Neurocomputing 338, 34-45, which draws the changes at random). It is the same for every label
    encoding, and it is no calibrated probability: views can agree on what is wrong, most of all in a picture that is
    nothing like those the model was trained on.

    Keras is imported, and the model loaded, when the first picture has been opened.

    Raises:
        DataError: the file is no model with an origin, or its task is not there or not what it was.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._origin = saved_models.read(path)
        self._shape = _shape(path, self._origin)
        self._encoding = _encoding(path, self._origin)

    def read(self, file: Path) -> Reading:
        """Return what the model reads from an image file.

        Raises:
            PictureError: this file cannot be read, or there is nothing on it.
            DataError: the model cannot be loaded, or answers what its encoding cannot read.
        """
        picture = image_files.load(file, self._shape)
        if picture.min() == picture.max():
            raise PictureError(f"{file} is of one colour where it is read: there is nothing on it")
        model = self._model  # its devices are prepared before TensorFlow is imported
        from tune_jobs.training import compiled

        try:
            outputs = np.asarray(compiled.predict(model, views(picture)))
            if np.isfinite(outputs).all():
                return _reading(self._encoding, outputs)
        except Exception as error:  # whatever Keras, or an encoding whose outputs these are not, raises
            raise DataError(f"{self._path} does not answer as {self._encoding.name} does: {_line(error)}") from error
        raise DataError(f"{self._path} answers with numbers that are not finite: it is no trained model")

    @cached_property
    def _model(self) -> keras.Model:
        """Loaded in Keras' safe mode, which runs no code from the file."""
        _prepare_devices()
        from tune_jobs.models.lazy_keras import keras

        try:
            return keras.saving.load_model(self._path, compile=False, safe_mode=True)
        except Exception as error:  # a damaged or crafted file makes Keras raise almost anything
            raise DataError(f"Keras cannot load {self._path}: {_line(error)}") from error


def views(picture: Picture) -> Array:
    """The picture as it is and `N_VIEWS` changed views of it: `(H, W, C)` to `(1 + N_VIEWS, H, W, C)`, uint8.

    Moved by one and by two 75ths of the sides, larger and smaller by 4 %, lighter and darker by 10 %. Beyond the edges
    the edge pixels go on.
    """
    height, width, _ = picture.shape
    margin = math.ceil(_MARGIN * max(height, width))
    wide = np.pad(picture, ((margin, margin), (margin, margin), (0, 0)), mode="edge")
    canvas = Image.fromarray(wide[..., 0] if wide.shape[-1] == 1 else wide)

    def framed(x: float, y: float, zoom: float) -> Picture:
        """What a frame shows that is moved by shares of the sides, and smaller by `zoom`."""
        left, top = margin + width * (x + 0.5 - 0.5 / zoom), margin + height * (y + 0.5 - 0.5 / zoom)
        box = (left, top, left + width / zoom, top + height / zoom)
        return np.asarray(canvas.resize((width, height), Image.Resampling.BICUBIC, box=box)).reshape(picture.shape)

    moved = [framed(x, y, 1.0) for x, y in _SHIFTS]
    zoomed = [framed(0.0, 0.0, zoom) for zoom in _ZOOMS]
    lit = [np.clip(np.rint(picture * light), 0, 255).astype(np.uint8) for light in _LIGHTS]
    return np.stack([picture, *moved, *zoomed, *lit])


def _reading(encoding: LabelEncoding, outputs: Array) -> Reading:
    """Return what `(1 + N_VIEWS, ...)` outputs say of a picture, the first of which is of the picture as it is."""
    shown, labels = Presentation(encoding), encoding.decode(outputs)
    errors = encoding.errors(labels[1:], np.repeat(labels[:1], N_VIEWS, axis=0))
    has_spread = bool(shown.close or shown.error_unit)
    return Reading(
        text=shown.label_text(labels[0]),
        facts=shown.facts(labels[0]),
        agreement=float(np.mean(errors <= shown.close)),
        close=shown.close,
        unit=shown.error_unit,
        spread=float(np.median(errors)) if has_spread else None,
        probability=shown.probability(outputs),
    )


def _shape(path: Path, origin: Origin) -> tuple[int, int, int]:
    match origin.input_shape:
        case (int(height), int(width), 1 | 3 as channels) if max(height, width) <= _LARGEST_SIDE:
            return height, width, channels
    raise DataError(f"{path} takes inputs of {origin.input_shape}, and image files are (height, width, 1 or 3)")


def _encoding(path: Path, origin: Origin) -> LabelEncoding:
    """The label encoding that the model was trained with.

    Raises:
        DataError: its task is gone or has another one now, or it has one that nobody here can show.
    """
    file, _ = catalog.split(origin.reference)
    if file is not None and not file.is_file():
        raise DataError(f"{path} was trained for a task in {file}, which is not there: put it back to read with it")
    try:
        encoding = catalog.find_said(origin.reference, str(path)).encoding_of(origin.params)
    except (TaskError, SpaceError, ValueError, TypeError) as error:
        raise DataError(f"{path} was trained for {origin.reference}, which cannot be used: {_line(error)}") from error
    if encoding.name != origin.encoding:
        raise DataError(
            f"{path} answers as {origin.encoding}, and {origin.reference} now has {encoding.name}: train it again"
        )
    return encoding


def _prepare_devices() -> None:
    """Every core, and of a GPU's memory what is needed; a process that has TensorFlow already keeps its own way."""
    if "tensorflow" not in sys.modules:
        tensorflow_start.start(len(os.sched_getaffinity(0)))


def _line(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:300]
