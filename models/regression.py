"""Labels that are measurements: a network learns them scaled, and its outputs, errors and metrics have their unit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Final

import numpy as np

from tune_jobs.models import arguments
from tune_jobs.models.label_encodings import Array
from tune_jobs.models.lazy_keras import keras
from tune_jobs.models.means import MeanOf
from tune_jobs.models.plain_values import make_plain

CRITERIA: Final = ("mse", "mae", "huber", "log_cosh")


@dataclass(frozen=True)
class Regression:
    """One or several measurements: labels `(N,)` or `(N, k)` of any size, in a `unit`, such as "euros".

    The loss is `criterion` between labels that are scaled by mean and standard deviation of the training part. The
    scale is a layer of the model, so that its outputs have the unit of the labels, wherever it is read. Of two readings
    of an image that are up to `close` apart, `predict` says that they agree.

    Raises:
        ValueError: there is no such criterion, or `close` is below 0.
    """

    unit: str = ""
    criterion: str = "mse"
    close: float = 0.0
    mean: tuple[float, ...] = (0.0,)  # of the training part, for each measurement; `fitted` sets these
    std: tuple[float, ...] = (1.0,)

    def __post_init__(self) -> None:
        make_plain(self)
        arguments.one_of("criterion", self.criterion, CRITERIA)
        if not self.close >= 0:
            raise ValueError(f"close must be 0 or more; got {self.close!r}")

    @property
    def name(self) -> str:
        return "regression" if self.criterion == "mse" else f"regression-{self.criterion}"

    @property
    def error_unit(self) -> str:
        return self.unit

    def fitted(self, labels: Array) -> Regression:
        """Return the encoding with mean and standard deviation of these labels. One that is constant is not scaled."""
        values = self.targets(labels)
        std = values.std(axis=0)
        return replace(self, mean=tuple(values.mean(axis=0).tolist()), std=tuple(np.where(std > 0, std, 1.0).tolist()))

    def head(self, features: keras.KerasTensor, name: str = "") -> keras.KerasTensor:
        """Add the measurements `(B, k)`, in their unit."""
        prefix = f"{name}_" if name else ""
        scaled = keras.layers.Dense(len(self.mean), name=f"{prefix}scaled")(features)
        return keras.layers.Rescaling(list(self.std), list(self.mean), name=f"{prefix}measurement")(scaled)

    def targets(self, labels: Array) -> Array:
        """Return the labels as `(N, k)`. Raises ValueError: they are no numbers, or have more axes."""
        if labels.dtype.kind not in "iuf" or labels.ndim > 2:
            raise ValueError(f"labels must be numbers of shape (N,) or (N, k); got {labels.dtype} of {labels.shape}")
        return np.asarray(labels.reshape(len(labels), -1), dtype=np.float64)

    def loss(self) -> Callable[[Any, Any], Any]:
        functions = {
            "mse": keras.losses.mean_squared_error,
            "mae": keras.losses.mean_absolute_error,
            "huber": keras.losses.huber,
            "log_cosh": keras.losses.log_cosh,
        }
        criterion, std = functions[self.criterion], list(self.std)

        def of_scaled(targets: Any, outputs: Any) -> Any:
            scale = keras.ops.cast(std, outputs.dtype)
            return criterion(keras.ops.cast(targets, outputs.dtype) / scale, outputs / scale)

        return of_scaled

    metric_names: ClassVar = ("mae", "rmse", "r2")

    def metrics(self) -> list[keras.metrics.Metric]:
        """Return the mean absolute and the root mean squared error in the unit, and the share that is explained."""
        errors = keras.metrics.MeanAbsoluteError(name="mae"), keras.metrics.RootMeanSquaredError(name="rmse")
        return [*errors, keras.metrics.R2Score(name="r2")]

    def decode(self, outputs: Array) -> Array:
        """Return the measurements, `(N,)` if there is one, else `(N, k)`."""
        return outputs[:, 0] if outputs.ndim == 2 and outputs.shape[1] == 1 else outputs

    def errors(self, predicted: Array, labels: Array) -> Array:
        """Return the absolute errors in the unit, the mean of several."""
        apart = np.abs(np.asarray(predicted, np.float64).reshape(len(labels), -1) - labels.reshape(len(labels), -1))
        return np.asarray(apart.mean(axis=1))

    def label_text(self, label: Array) -> str:
        """Return "12.5 euros"."""
        return " ".join([*(f"{value:.6g}" for value in np.ravel(label)), *([self.unit] if self.unit else [])])

    def mean_of(self, metric: str) -> MeanOf | None:
        """Return "error" for the mean absolute error."""
        return "error" if metric == "mae" else None

    def unit_of(self, metric: str) -> str:
        return self.unit if metric in ("mae", "rmse") else ""
