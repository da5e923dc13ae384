"""A metric of errors in minutes that is not a mean. It needs Keras: import it when a network is compiled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import keras

_PER_MINUTE: Final = 20  # steps of three seconds
_STEPS: Final = 360 * _PER_MINUTE + 1  # half the dial is the largest possible error


class MedianMinutes(keras.metrics.Metric):  # type: ignore[misc]  # Keras comes without types
    """The median of errors in minutes, to three seconds, from a histogram: errors arrive batch by batch.

    Of an even number of errors it is the lower of the two in the middle.
    """

    def __init__(self, errors_of: Callable[[Any, Any], Any], name: str) -> None:
        super().__init__(name=name)
        self._errors_of = errors_of
        self._counts = self.add_variable((_STEPS,), initializer="zeros", name="counts")

    def update_state(self, targets: Any, outputs: Any, sample_weight: Any = None) -> None:
        """Count the errors `(B,)` of outputs against targets, without weights."""
        steps = keras.ops.cast(keras.ops.round(self._errors_of(targets, outputs) * _PER_MINUTE), "int32")
        ones = keras.ops.ones_like(steps, dtype="float32")
        self._counts.assign_add(keras.ops.segment_sum(ones, keras.ops.clip(steps, 0, _STEPS - 1), num_segments=_STEPS))

    def result(self) -> Any:
        """Return the median in minutes; 0 before anything was counted."""
        half = keras.ops.sum(self._counts) / 2
        reached = keras.ops.cast(keras.ops.cumsum(self._counts) >= half, "int32")
        return keras.ops.cast(keras.ops.argmax(reached), "float32") / _PER_MINUTE
