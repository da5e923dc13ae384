"""A saved model reads image files, each in several views, whose agreement shows how sure it is."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tune_jobs.datasets import image_files
from tune_jobs.datasets.image_files import Picture, PictureError
from tune_jobs.errors import DataError
from tune_jobs.models.presentation import Presentation
from tune_jobs.prediction.opened_models import SavedModel, class_name
from tune_jobs.words import one_line

if TYPE_CHECKING:
    from tune_jobs.models.label_encodings import LabelEncoding

Array = NDArray[Any]

N_VIEWS = 12

# The share of views from which on a reading is sure. At this share, a network that reads its own kind of clocks to half
# a minute was sure of 93 % of 720 such clocks, of 12 % of 720 turned and tilted ones, which it had never seen and read
# three hours wrong, and of no picture of noise.
_SURE = 0.75
_STEP = 1 / 75  # of the sides: a pixel of an image of 75 by 75
_SHIFTS = [(x * step, y * step) for step in (_STEP, 2 * _STEP) for x, y in ((1, 0), (-1, 0), (0, 1), (0, -1))]
_ZOOMS = (0.96, 1.04)
_LIGHTS = (0.9, 1.1)
_MARGIN = 0.05  # of the longer side; no view reaches further beyond the picture


@dataclass(frozen=True)
class Reading:
    """What a model reads from one picture.

    `text` is the label of the unchanged picture as people write it, `facts` the same for programs. `agreement` is the
    share of the changed views whose labels differ from it by at most `close`. `spread` is the median of these
    differences, in `unit`; None for an encoding in which labels are either equal or not. `probability` is the mean
    softmax of the label over all views; None for an encoding without classes.
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

    Test-time augmentation shows how sure it is: the picture and `N_VIEWS` slightly changed views of it, always with the
    same changes, go through the model at once, and their readings are compared (Wang et al. 2019, "Aleatoric
    uncertainty estimation with test-time augmentation for medical image segmentation with convolutional neural
    networks", Neurocomputing 338, 34-45; there the changes are random). It works in the same way for every label
    encoding. It is not a calibrated probability: all views can have the same wrong reading, above all if the picture is
    unlike those the model was trained on.

    The model is loaded after the first picture was opened.

    Raises:
        DataError: the file is not a model with an origin, or not one of images, or its task is missing or has changed.
    """

    def __init__(self, path: Path, reference: str | None = None, also: Sequence[Path] = ()) -> None:
        self._saved = SavedModel(path, reference, also)
        self._shape = self._saved.image_shape

    def read(self, file: Path) -> Reading:
        """Return what the model reads from an image file.

        Raises:
            PictureError: this file cannot be read, or the picture has only one colour.
            DataError: the model cannot be loaded, or its outputs do not fit its label encoding.
        """
        picture = image_files.load(file, self._shape)
        if picture.min() == picture.max():
            raise PictureError(f"{file} has only one colour where it is read: there is nothing on it")
        model = self._saved.model  # its devices are prepared before TensorFlow is imported
        from tune_jobs.training import compiled

        try:
            outputs = np.asarray(compiled.predict(model, views(picture)))
            if np.isfinite(outputs).all():
                return _reading(self._saved.encoding, outputs, self._saved.origin.classes)
        except (
            Exception
        ) as error:  # Keras, and encodings that get other outputs than theirs, raise errors of many kinds
            raise DataError(
                f"the outputs of {self._saved.path} do not fit its label encoding {self._saved.encoding.name}: "
                f"{one_line(error)}"
            ) from error
        raise DataError(f"{self._saved.path} has outputs that are not finite: it is not a trained model")


def views(picture: Picture) -> Array:
    """Return the picture and `N_VIEWS` changed views of it: `(H, W, C)` to `(1 + N_VIEWS, H, W, C)`, uint8.

    They are moved by one and by two 75ths of the sides, smaller and larger by 4 %, darker and lighter by 10 %. Beyond
    the picture, its edge pixels are repeated.
    """
    height, width, _ = picture.shape
    margin = math.ceil(_MARGIN * max(height, width))
    wide = np.pad(picture, ((margin, margin), (margin, margin), (0, 0)), mode="edge")
    canvas = Image.fromarray(wide[..., 0] if wide.shape[-1] == 1 else wide)

    def framed(x: float, y: float, zoom: float) -> Picture:
        """Return the content of a frame that is moved by shares of the sides, and smaller by `zoom`."""
        left, top = margin + width * (x + 0.5 - 0.5 / zoom), margin + height * (y + 0.5 - 0.5 / zoom)
        box = (left, top, left + width / zoom, top + height / zoom)
        return np.asarray(canvas.resize((width, height), Image.Resampling.BICUBIC, box=box)).reshape(picture.shape)

    moved = [framed(x, y, 1.0) for x, y in _SHIFTS]
    zoomed = [framed(0.0, 0.0, zoom) for zoom in _ZOOMS]
    lit = [np.clip(np.rint(picture * light), 0, 255).astype(np.uint8) for light in _LIGHTS]
    return np.stack([picture, *moved, *zoomed, *lit])


def _reading(encoding: LabelEncoding, outputs: Array, classes: Sequence[str]) -> Reading:
    """Return the reading of `(1 + N_VIEWS, ...)` outputs, the first of which is that of the unchanged picture.

    `classes` are the names of the labels 0, 1, 2, … where the data set has them.
    """
    shown, labels = Presentation(encoding), encoding.decode(outputs)
    errors = shown.errors(labels[1:], np.repeat(labels[:1], N_VIEWS, axis=0))
    name = class_name(labels[0], classes)
    has_spread = bool(shown.close or shown.error_unit)
    return Reading(
        text=name or shown.label_text(labels[0]),
        facts={**shown.facts(labels[0]), **({"class": name} if name else {})},
        agreement=float(np.mean(errors <= shown.close)),
        close=shown.close,
        unit=shown.error_unit,
        spread=float(np.median(errors)) if has_spread else None,
        probability=shown.probability(outputs),
    )
