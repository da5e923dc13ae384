"""Small classifiers whose features stand for images where sets of images are compared.

Each is trained once, by `benchmarks/feature_networks.py`, and shipped in `feature_weights`. Its name ends with a digest
of its weights. A task's space holds that name, so that all trials of a study are scored by one classifier.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tune_jobs.models.lazy_keras import keras

Array = NDArray[Any]
FOLDER = Path(__file__).parent / "feature_weights"
BATCH = 500  # images


@dataclass(frozen=True, eq=False)
class FeatureNetwork:
    """A classifier of images `(N, H, W, C)` from 0 to 1, which shows what it sees before it decides."""

    model: keras.Model

    def see(self, images: Array) -> tuple[Array, Array]:
        """Return the features of images, `(N, 64)`, and the class of each, `(N,)`."""
        parts = [self.model(images[first : first + BATCH]) for first in range(0, len(images), BATCH)]
        features, logits = (np.concatenate([keras.ops.convert_to_numpy(part[n]) for part in parts]) for n in (0, 1))
        return features, logits.argmax(axis=1)


def build(input_shape: tuple[int, ...], classes: int) -> keras.Model:
    """Return an untrained network: images `(B, H, W, C)` from 0 to 1 to features `(B, 64)` and logits `(B, n)`.

    Images of 64 pixels a side or more are halved once more, so that all networks are of one size.
    """
    inputs = keras.Input(input_shape, dtype="float32", name="images")
    x = inputs
    for number, filters in enumerate((16, 32, 64, 64) if min(input_shape[:2]) >= 64 else (16, 32, 64), start=1):
        x = keras.layers.Conv2D(
            filters, 3, strides=2, padding="same", activation="relu", dtype="float32", name=f"convolution_{number}"
        )(x)
    x = keras.layers.Flatten(name="flatten")(x)
    features = keras.layers.Dense(64, activation="relu", dtype="float32", name="features")(x)
    logits = keras.layers.Dense(classes, dtype="float32", name="logits")(features)
    return keras.Model(inputs, [features, logits], name="features")


@functools.cache
def name_of(data: str) -> str:
    """Return the name of a data set's network: `mnist-` and eight digits of its weights' digest.

    Raises:
        ValueError: there is none for these data.
    """
    return f"{data}-{digest(_arrays(data))}"


def load(name: str) -> FeatureNetwork:
    """Return the network of this name.

    Raises:
        ValueError: there is no such network, or this version has another one for these data.
    """
    data = name.rpartition("-")[0] or name
    if name_of(data) != name:
        raise ValueError(
            f"samples were scored by the features {name}, and this version of tune-jobs has {name_of(data)}"
        )
    arrays = _arrays(data)
    model = build(tuple(arrays[0].tolist()), arrays[-1].shape[0])
    model.set_weights([array.astype(np.float32) for array in arrays[1:]])
    return FeatureNetwork(model)


def digest(arrays: Sequence[Array]) -> str:
    """Return eight hex digits of the SHA-256 of arrays, with their shapes and types."""
    sha = hashlib.sha256()
    for array in arrays:
        sha.update(f"{array.dtype.str} {array.shape};".encode())
        sha.update(np.ascontiguousarray(array).data)
    return sha.hexdigest()[:8]


def write(data: str, input_shape: tuple[int, ...], model: keras.Model) -> None:
    """Write a trained network's weights, in half precision, as those of a data set."""
    arrays = [np.array(input_shape, np.int16), *(weight.astype(np.float16) for weight in model.get_weights())]
    np.savez_compressed(FOLDER / f"{data}.npz", *arrays)


def _arrays(data: str) -> list[Array]:
    """Return the shape of an image, and the weights of the network of a data set."""
    path = FOLDER / f"{data}.npz"
    known = sorted(file.stem for file in FOLDER.glob("*.npz"))
    if data not in known:
        raise ValueError(f"features must be those of {', '.join(known)}; got {data!r}")
    with np.load(path, allow_pickle=False) as arrays:
        return [arrays[name] for name in arrays.files]
