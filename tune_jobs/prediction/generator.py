"""A saved model draws images: samples, walks through its latents, ways from one image to another, a map of images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tune_jobs.datasets import image_files
from tune_jobs.datasets.dataset import Split
from tune_jobs.errors import DataError, UserError
from tune_jobs.models.generative import latents, sample_scores
from tune_jobs.prediction import image_grids
from tune_jobs.prediction.opened_models import SavedModel
from tune_jobs.words import one_line

Array = NDArray[Any]
COLUMNS = 8  # of a grid, and steps of a walk
_BATCH = 500  # images


class Generator:
    """A saved model that has latents, which it draws images of.

    `reference` says where the model's task is, if that is not where the model was trained, and `also` what goes with
    its file.

    Raises:
        DataError: the file is no such model, or its task is missing or has changed.
    """

    def __init__(self, path: Path, reference: str | None = None, also: Sequence[Path] = ()) -> None:
        self._path, self._saved = path, SavedModel(path, reference, also)
        self._model = self._saved.model
        if not callable(getattr(self._model, "decode", None)) or not hasattr(self._model, "latent_dim"):
            raise DataError(f"{path} is a model of {self._saved.origin.task}, which draws no images")

    def samples(self, n: int, seed: int) -> bytes:
        """Return a PNG of `n` images that are drawn from noise of this seed.

        Raises:
            UserError: nothing says how the model's latents are distributed.
        """
        self._require_prior("samples")
        return self._grid(sample_scores.draw(self._model.decode, self._model.latent_dim, n, seed))

    def walk(self, coordinates: Sequence[int], n: int, seed: int) -> bytes:
        """Return a PNG of `n` images, rounded up to whole rows: in each row the coordinates, counted from 1, change
        together.

        Raises:
            UserError: nothing says how the latents are distributed, or there is no such coordinate.
        """
        self._require_prior("walks")
        rows = -(-n // COLUMNS)
        try:
            points = latents.walk(self._model.latent_dim, coordinates, rows=rows, steps=COLUMNS, seed=seed)
        except ValueError as error:
            raise UserError(str(error)) from error
        return self._grid(self._decoded(points))

    def between(self, files: tuple[Path, Path], n: int) -> bytes:
        """Return a PNG of `n` images on the way from one image file to another.

        Raises:
            UserError: the model has no encoder, or a file cannot be read.
        """
        pictures = np.stack([image_files.load(file, self._saved.image_shape) for file in files])
        first, last = self._encoded(pictures)
        return self._grid(self._decoded(latents.between(first, last, n)))

    def latent_map(self, images: Split, names: tuple[str, ...]) -> bytes:
        """Return a PNG with the place of each image in the plane in which latents vary most, coloured by its class.

        Raises:
            UserError: the model has no encoder, or the images have no classes.
        """
        labels = np.asarray(images.labels).reshape(len(images), -1)
        if labels.shape[1] != 1 or labels.dtype.kind not in "iu":
            raise UserError(f"{self._path}: a map needs images with a class each, and these data have none")
        points = latents.plane(self._encoded(images.x))
        return image_grids.scatter(points, labels[:, 0], names)

    @property
    def origin(self) -> Any:
        """What the model says of where it is from."""
        return self._saved.origin

    def _require_prior(self, what: str) -> None:
        if not getattr(self._model, "has_prior", False):
            raise UserError(
                f"{self._path} is an autoencoder, whose latents have no distribution to draw {what} from: use "
                "--between IMAGE IMAGE or --map"
            )

    def _encoded(self, images: Array) -> Array:
        if not callable(getattr(self._model, "encode", None)):
            raise UserError(
                f"{self._path} has no encoder, which --between and --map need: leave them out, or use --walk"
            )
        return self._in_batches(self._model.encode, images)

    def _decoded(self, points: Array) -> Array:
        return self._in_batches(self._model.decode, points.astype(np.float32))

    def _in_batches(self, function: Callable[[Array], Any], values: Array) -> Array:
        parts = [np.asarray(function(values[first : first + _BATCH])) for first in range(0, len(values), _BATCH)]
        return np.concatenate(parts)

    def _grid(self, images: Array) -> bytes:
        if not np.isfinite(images).all():
            raise DataError(f"{self._path} draws images that are not finite: it is not a trained model")
        try:
            return image_grids.grid(images, COLUMNS)
        except ValueError as error:
            raise UserError(one_line(error)) from error
