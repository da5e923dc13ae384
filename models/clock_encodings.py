"""Label encodings of the time on a 12-hour dial, which decide how well a network reads a clock.

Labels are `(N, 2)`, hour 0-11 and minute 0-59. Targets are minutes since twelve o'clock; each loss derives from them
what it compares its outputs with. Every encoding decodes to a time, and every error is the shorter way round the dial,
in minutes. The sections named below are those of reports A and B.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final, Literal

import numpy as np

from tune_jobs.models import arguments
from tune_jobs.models.label_encodings import Array
from tune_jobs.models.lazy_keras import keras
from tune_jobs.models.scales import Scale, Slip

DIAL: Final = 720  # minutes
SCALE: Final = Scale(
    axis="time",
    unit="minutes",
    unit_of_one="minute",
    ticks=tuple(60.0 * hour for hour in range(13)),
    between_ticks="hour",
    period=float(DIAL),
    form="h:mm",
    error_ticks=(0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 60, 180, 360),
    slip=Slip(step=60.0, tolerance=10.0, words="whole hours, to within ten minutes"),
)
ENCODINGS: Final = (
    "regression",
    "classes",
    "multi-head",
    "hour-hand",
    "periodic-sine",
    "two-hands",
    "soft-classes",
)
DECODINGS: Final = ("plain", "joint")
OUTPUT_ACTIVATIONS: Final = ("linear", "tanh")

Tensor = Any  # of whichever backend Keras runs on
Loss = Callable[[Tensor, Tensor], Tensor]  # minutes (B,), outputs (B, K) to losses (B,)
Decoder = Callable[[Tensor], Tensor]  # outputs (B, K) to minutes (B,)


@dataclass(frozen=True)
class ClockEncoding:
    """A network has `outputs` numbers an image, a loss on them, and a decoder to minutes since twelve o'clock."""

    name: str
    outputs: int
    loss_of: Loss = field(repr=False, compare=False)
    minutes_of: Decoder = field(repr=False, compare=False)
    activation: str = "linear"
    other_decoders: Mapping[str, Decoder] = field(default_factory=dict, repr=False, compare=False)

    error_unit: ClassVar[str] = SCALE.unit
    close: ClassVar[float] = 5.0  # minutes
    scale: ClassVar[Scale] = SCALE

    def head(self, features: keras.KerasTensor) -> keras.KerasTensor:
        """Add the outputs of all heads side by side, `(B, outputs)`."""
        return keras.layers.Dense(self.outputs, activation=self.activation, name="time")(features)

    def targets(self, labels: Array) -> Array:
        """Return minutes, float32 `(N,)`. Raises ValueError: a label is not an hour 0 to 11 and a minute 0 to 59."""
        if labels.ndim != 2 or labels.shape[1] != 2 or labels.dtype.kind not in "iu":
            raise ValueError(f"labels must be whole numbers of shape (N, 2); got {labels.dtype} of {labels.shape}")
        hour, minute = labels[:, 0], labels[:, 1]
        wrong = (hour < 0) | (hour > 11) | (minute < 0) | (minute > 59)
        if wrong.any():
            first = tuple(labels[np.argmax(wrong)].tolist())
            raise ValueError(f"labels must be hours 0 to 11 and minutes 0 to 59; got {first} ({wrong.sum()} such)")
        return np.asarray(60 * hour + minute, dtype=np.float32)

    def loss(self) -> Callable[[Tensor, Tensor], Tensor]:
        """Return the loss as a function of targets and outputs, `(B,)`."""
        return lambda targets, outputs: self.loss_of(_flat(targets), outputs)

    @property
    def metric_names(self) -> tuple[str, ...]:
        of_others = (f"{name}_{what}" for name in self.other_decoders for what in ("error_minutes", "hour_slips"))
        within = ("within_1_minute", "within_5_minutes", "within_10_minutes")
        return ("error_minutes", *within, "hour_slips", *of_others, "median_minutes")

    def metrics(self) -> list[keras.metrics.Metric]:
        """Return the mean and median error in minutes, the shares within 1, 5 and 10, and that of whole-hour slips.

        Each of `other_decoders` adds its own mean error and slips of the same outputs, under its name.
        """
        from tune_jobs.models.clock_metrics import MedianMinutes

        means: dict[str, tuple[Decoder, Callable[[Tensor], Tensor]]] = {
            "error_minutes": (self.minutes_of, lambda error: error),
            "within_1_minute": (self.minutes_of, lambda error: error <= 1),
            "within_5_minutes": (self.minutes_of, lambda error: error <= 5),
            "within_10_minutes": (self.minutes_of, lambda error: error <= 10),
            "hour_slips": (self.minutes_of, is_hour_slip),
        }
        for name, decoder in self.other_decoders.items():
            means[f"{name}_error_minutes"] = (decoder, lambda error: error)
            means[f"{name}_hour_slips"] = (decoder, is_hour_slip)
        median = MedianMinutes(_measured(self.minutes_of, lambda error: error), "median_minutes")
        return [keras.metrics.MeanMetricWrapper(_measured(*of), name=name) for name, of in means.items()] + [median]

    def decode(self, outputs: Array) -> Array:
        """Return hours and minutes, float64 `(N, 2)`; a minute may have a fraction."""
        minutes = np.asarray(keras.ops.convert_to_numpy(self.minutes_of(outputs)), dtype=np.float64) % DIAL
        return np.stack([minutes // 60, minutes % 60], axis=1)

    def errors(self, predicted: Array, labels: Array) -> Array:
        """Return minutes, the shorter way round the dial, `(N,)`."""
        difference = 60.0 * (predicted[:, 0] - labels[:, 0]) + predicted[:, 1] - labels[:, 1]
        return np.asarray(np.abs((difference + DIAL / 2) % DIAL - DIAL / 2), dtype=np.float64)

    def positions(self, labels: Array) -> Array:
        """Return minutes since twelve o'clock, `(N,)`."""
        return np.asarray(60.0 * labels[:, 0] + labels[:, 1], dtype=np.float64)

    def label_text(self, label: Array) -> str:
        """Return a time to the minute, on a dial of twelve hours: "00:00" to "11:59"."""
        hour, minute = divmod(round(_minutes(label)) % DIAL, 60)
        return f"{hour:02d}:{minute:02d}"

    def facts(self, label: Array) -> dict[str, str | float]:
        """Return a time as text, and as minutes since twelve o'clock."""
        return {"time": self.label_text(label), "minutes": _minutes(label)}

    def mean_of(self, metric: str) -> Literal["error"] | None:
        """Return "error" for the error of the reading that counts."""
        return "error" if metric == "error_minutes" else None


def build(
    *,
    encoding: str,
    classes: int = DIAL,
    output_activation: str = "linear",
    decoding: str = "plain",
    minute_weight: float = 1.0,
    consistency_weight: float = 0.0,
    width_minutes: float = 5.0,
) -> ClockEncoding:
    """Return the encoding of that name. Each setting is for some of them; others keep its default.

    `classes`: of "classes", a divisor of 720 (A 2.2, B 3.3). `output_activation`: of "hour-hand" (A 2.4 has tanh, B
    3.4.2 linear outputs). `decoding`, `consistency_weight`: of "two-hands" (B 3.4.3). `minute_weight`: the weight of
    the minute in the loss, where the hour has 1, of "multi-head" (A 2.3, B 3.1) and "two-hands". `width_minutes`: the
    standard deviation of the target of "soft-classes".

    Raises:
        ValueError: a value is not allowed, or the encoding does not use it.
    """
    arguments.one_of("encoding", encoding, ENCODINGS)
    arguments.positive("minute_weight", minute_weight)
    arguments.positive("width_minutes", width_minutes)
    if consistency_weight:
        arguments.positive("consistency_weight", consistency_weight)
    settings = {
        "classes": classes,
        "output_activation": arguments.one_of("output_activation", output_activation, OUTPUT_ACTIVATIONS),
        "decoding": arguments.one_of("decoding", decoding, DECODINGS),
        "minute_weight": minute_weight,
        "consistency_weight": consistency_weight,
        "width_minutes": width_minutes,
    }
    for name, value in settings.items():
        if encoding not in _USERS[name] and value != inspect.signature(build).parameters[name].default:
            raise ValueError(f"{name} is for {' and '.join(_USERS[name])}; got {value!r} with {encoding}")
    match encoding:
        case "regression":
            return regression()
        case "classes":
            return divided(classes)
        case "multi-head":
            return multi_head(minute_weight)
        case "hour-hand":
            return hour_hand(output_activation)
        case "periodic-sine":
            return periodic_sine()
        case "two-hands":
            return two_hands(decoding, minute_weight, consistency_weight)
        case _:
            return soft_classes(width_minutes)


_USERS: Final = {
    "classes": ("classes",),
    "output_activation": ("hour-hand",),
    "decoding": ("two-hands",),
    "minute_weight": ("multi-head", "two-hands"),
    "consistency_weight": ("two-hands",),
    "width_minutes": ("soft-classes",),
}


def regression() -> ClockEncoding:
    """Return one number of hours since twelve (A 2.1, B 3.2), in which 11:55 and 0:05 are far apart."""

    def loss(minutes: Tensor, outputs: Tensor) -> Tensor:
        return keras.ops.square(outputs[:, 0] - minutes / 60)

    return ClockEncoding("regression", 1, loss, lambda outputs: keras.ops.clip(outputs[:, 0], 0, 12) * 60)


def divided(classes: int) -> ClockEncoding:
    """Return exclusive classes, each a part of the dial, read at its middle (A 2.2, B 3.3).

    Raises:
        ValueError: the number of classes does not divide the minutes of the dial.
    """
    classes = arguments.whole("classes", classes, at_least=2)
    if classes > DIAL or DIAL % classes:
        raise ValueError(f"classes must divide {DIAL} minutes; got {classes!r}")
    width = DIAL // classes

    def loss(minutes: Tensor, outputs: Tensor) -> Tensor:
        of_class = keras.ops.cast(minutes, "int32") // width
        return keras.ops.sparse_categorical_crossentropy(of_class, outputs, from_logits=True)

    def read(outputs: Tensor) -> Tensor:
        # the middle of the minutes in a class: a class of one minute is that minute
        return keras.ops.cast(keras.ops.argmax(outputs, axis=-1), "float32") * width + (width - 1) / 2

    return ClockEncoding(f"classes-{classes}", classes, loss, read)


def multi_head(minute_weight: float) -> ClockEncoding:
    """Return twelve hour classes, and the minute as a share of the hour (A 2.3, B 3.1)."""

    def loss(minutes: Tensor, outputs: Tensor) -> Tensor:
        hour = keras.ops.cast(minutes, "int32") // 60
        of_hour = keras.ops.sparse_categorical_crossentropy(hour, outputs[:, :12], from_logits=True)
        return of_hour + minute_weight * keras.ops.square(outputs[:, 12] - (minutes % 60) / 60)

    def read(outputs: Tensor) -> Tensor:
        hour = keras.ops.cast(keras.ops.argmax(outputs[:, :12], axis=-1), "float32")
        return hour * 60 + keras.ops.clip(outputs[:, 12], 0, 1) * 60

    return ClockEncoding(f"multi-head, minute x {minute_weight:g}", 13, loss, read)


def hour_hand(activation: str) -> ClockEncoding:
    """Return sine and cosine of the hour hand's angle, from which the minute follows too (A 2.4, B 3.4.2)."""

    def loss(minutes: Tensor, outputs: Tensor) -> Tensor:
        return keras.ops.sum(keras.ops.square(outputs - _circle(minutes, DIAL)), axis=-1)

    return ClockEncoding(f"hour-hand, {activation}", 2, loss, lambda outputs: _around(outputs, DIAL), activation)


def periodic_sine() -> ClockEncoding:
    """Return one number of minutes, its loss the squared sine of half the angle's error (B 3.4.1: did not converge)."""

    def loss(minutes: Tensor, outputs: Tensor) -> Tensor:
        return keras.ops.square(keras.ops.sin(math.pi / DIAL * (minutes - outputs[:, 0])))

    return ClockEncoding("periodic-sine", 1, loss, lambda outputs: keras.ops.mod(outputs[:, 0], DIAL))


def two_hands(decoding: str, minute_weight: float, consistency_weight: float) -> ClockEncoding:
    """Return sine and cosine of the hour hand's angle and of the minute hand's, four numbers (B 3.4.3).

    Decoded plainly, each hand gives its part of the time: near the full hour, a small error of the hour hand becomes an
    error of a whole hour. Decoded jointly, the time is the minute whose two hands are closest to the four numbers. With
    a `consistency_weight`, the loss also has the distance of the minute hand from twelve times the hour hand's angle.
    """

    def loss(minutes: Tensor, outputs: Tensor) -> Tensor:
        hour, minute = outputs[:, :2], outputs[:, 2:]
        off_hour = keras.ops.sum(keras.ops.square(hour - _circle(minutes, DIAL)), axis=-1)
        off_minute = keras.ops.sum(keras.ops.square(minute - _circle(minutes, 60)), axis=-1)
        total = off_hour + minute_weight * off_minute
        if consistency_weight:
            twelvefold = _circle(_around(hour, DIAL), 60)
            total = total + consistency_weight * keras.ops.sum(keras.ops.square(minute - twelvefold), axis=-1)
        return total

    def plain(outputs: Tensor) -> Tensor:
        hour = keras.ops.floor((_around(outputs[:, :2], DIAL) + 0.5) / 60)  # to the minute, as labels are
        return keras.ops.mod(hour * 60 + _around(outputs[:, 2:], 60), DIAL)

    def joint(outputs: Tensor) -> Tensor:
        return _closest(outputs, minute_weight)

    agreed = f", consistency x {consistency_weight:g}" if consistency_weight else ""
    name = f"two-hands, read {'jointly' if decoding == 'joint' else 'plainly'}, minute x {minute_weight:g}{agreed}"
    both: dict[str, Decoder] = {"plain": plain, "joint": joint}
    return ClockEncoding(name, 4, loss, both[decoding], other_decoders=both)


def soft_classes(width_minutes: float) -> ClockEncoding:
    """Return 720 classes with a von Mises target around the time, for which the next minute is nearly right."""
    concentration = (DIAL / (2 * math.pi * width_minutes)) ** 2

    def loss(minutes: Tensor, outputs: Tensor) -> Tensor:
        away = 2 * math.pi / DIAL * (keras.ops.arange(DIAL, dtype="float32") - minutes[:, None])
        target = keras.ops.softmax(concentration * (keras.ops.cos(away) - 1), axis=-1)
        return keras.ops.categorical_crossentropy(target, outputs, from_logits=True)

    def read(outputs: Tensor) -> Tensor:
        return keras.ops.cast(keras.ops.argmax(outputs, axis=-1), "float32")

    return ClockEncoding(f"soft-classes, {width_minutes:g} minutes wide", DIAL, loss, read)


def distance(minutes: Tensor, others: Tensor) -> Tensor:
    """Return the shorter way round the dial between two times in minutes."""
    return keras.ops.abs(keras.ops.mod(minutes - others + DIAL / 2, DIAL) - DIAL / 2)


def is_hour_slip(error: Tensor) -> Tensor:
    """Return whether an error is whole hours, to within ten minutes: the minute was read and the hour was not."""
    hours = keras.ops.round(error / 60)
    return keras.ops.logical_and(hours >= 1, keras.ops.abs(error - 60 * hours) <= 10)


def _minutes(label: Array) -> float:
    hour, minute = label.tolist()
    return float(60 * hour + minute)


def _measured(decoder: Decoder, of: Callable[[Tensor], Tensor]) -> Callable[[Tensor, Tensor], Tensor]:
    """Return `of` the errors of a decoder as a function of targets and outputs, `(B,)`."""

    def measure(targets: Tensor, outputs: Tensor) -> Tensor:
        return keras.ops.cast(of(distance(decoder(outputs), _flat(targets))), "float32")

    return measure


def _flat(targets: Tensor) -> Tensor:
    """Return minutes `(B,)`: with a single output, Keras gives targets a second axis."""
    return keras.ops.reshape(targets, (-1,))


def _circle(minutes: Tensor, turn: int) -> Tensor:
    """Return sine and cosine, `(B, 2)`, of a hand that goes round once in `turn` minutes."""
    angle = 2 * math.pi / turn * minutes
    return keras.ops.stack([keras.ops.sin(angle), keras.ops.cos(angle)], axis=-1)


def _around(point: Tensor, turn: int) -> Tensor:
    """Return the minutes, from 0 to `turn`, at which a hand has this sine and cosine, `(B, 2)`."""
    return keras.ops.mod(keras.ops.arctan2(point[:, 0], point[:, 1]) * (turn / (2 * math.pi)), turn)


def _closest(outputs: Tensor, minute_weight: float) -> Tensor:
    """Return the whole minute whose hands are closest to four outputs.

    All points of a circle have one length, so it is the minute with the largest inner product.
    """
    times = keras.ops.arange(DIAL, dtype="float32")
    hands = keras.ops.concatenate([_circle(times, DIAL), minute_weight * _circle(times, 60)], axis=-1)  # (720, 4)
    return keras.ops.cast(keras.ops.argmax(keras.ops.matmul(outputs, keras.ops.transpose(hands)), axis=-1), "float32")
