"""What a model says of itself beside its metrics, if its class has these parts.

* `further_scores(images, *, thorough)` returns further metrics by name: of the validation images after each epoch, and
  of the test images at an evaluation, which is `thorough`.
* `image_errors(images)` returns what each image adds to the metric that `image_metric` names, `(N,)`; that is their
  mean.
* `evaluation_batch` is how many rows are scored at once. Without it they are as many as in a batch of training, as in
  `fit`: what a loss comes to may depend on it.
* `why_failed(metrics)` says why a model with these metrics of its best epoch is no result, or returns None.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from tune_jobs.errors import Reason, TrialError
from tune_jobs.models.means import MeanOf
from tune_jobs.records.per_image import Errors
from tune_jobs.records.trials import Metrics
from tune_jobs.training.numbers import as_numbers

if TYPE_CHECKING:
    from tune_jobs.models.lazy_keras import keras


def further_scores(model: keras.Model, images: Any | None, *, thorough: bool = False) -> dict[str, float]:
    """Return the metrics that the model has beside those of its steps; none without images, as of streamed data.

    Raises:
        TrialError: one of them is no number.
    """
    method = _method(model, "further_scores")
    return {} if method is None or images is None else as_numbers(method(images, thorough=thorough))


def mean_of(model: keras.Model | None, metric: str) -> MeanOf | None:
    """Return "error" if a metric, as the steps name it, is the mean of `image_errors`; else None."""
    return "error" if has_image_errors(model) and getattr(model, "image_metric", None) == metric else None


def has_image_errors(model: keras.Model | None) -> bool:
    """Return True if the model says itself how wrong it is about each image."""
    return _method(model, "image_errors") is not None


def evaluation_batch(model: keras.Model, batch_size: int) -> int:
    """Return how many rows are scored at once of a model that is trained in batches of `batch_size`."""
    return int(getattr(model, "evaluation_batch", batch_size))


def image_errors(model: keras.Model, images: Any, batch_size: int) -> Errors:
    """Return what each image adds to the metric, `(N,)`: by the batches of an evaluation, whose noise they share."""
    size = evaluation_batch(model, batch_size)
    parts = [model.image_errors(images[first : first + size]) for first in range(0, len(images), size)]
    return np.concatenate([np.asarray(part, dtype=np.float64) for part in parts])


def check(model: keras.Model | None, metrics: Metrics) -> None:
    """Check that a model with these metrics of its best epoch is a result.

    Raises:
        TrialError: the model says that it is none.
    """
    method = _method(model, "why_failed")
    why = None if method is None else method(metrics)
    if why is not None:
        raise TrialError(Reason.COLLAPSED, why)


def _method(model: keras.Model | None, name: str) -> Callable[..., Any] | None:
    method = getattr(model, name, None)
    return method if callable(method) else None
