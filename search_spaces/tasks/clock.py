"""Telling the time from an image of a clock, the reports' third task: the label encoding matters most.

`tune_jobs.datasets.clocks` draws the images; a user who has those of the reports can load them as `clock-files`. The
error is the "common sense" one: the shorter way round the dial, in minutes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from tune_jobs.models import clock_encodings, cnn
from tune_jobs.search_spaces import Choice, Fixed, Float, Objective, Protocol, Reported, Space, Task, Value, Variants

OBJECTIVE = Objective("val_error_minutes", "minimize")

ENCODINGS = Variants(
    {
        "regression": Space(),
        "classes": Space(classes=Choice(24, 72, 720)),
        "multi-head": Space(minute_weight=Fixed(1.0, Float(0.1, 10.0, log=True))),
        "hour-hand": Space(output_activation=Choice("tanh", "linear")),
        "periodic-sine": Space(),
        "two-hands": Space(
            decoding=Choice("plain", "joint"),
            minute_weight=Fixed(1.0, Float(0.1, 10.0, log=True)),
            consistency_weight=Fixed(0.0, Choice(0.0, 0.1, 0.3)),
        ),
        "soft-classes": Space(width_minutes=Choice(2.0, 5.0, 15.0)),
    }
)
_TRUNK: Mapping[str, Value] = {
    "strides": 2,
    "kernel_size": "5-3",
    "units": "128",
    "activation": "relu",
    "batch_norm": True,
    "optimizer": "adam",
    "learning_rate": 0.001,
    "schedule": "cosine",
    "batch_size": 64,
}
_TWO_HANDS: Mapping[str, Value] = {
    "encoding": "two-hands",
    "decoding": "joint",
    "minute_weight": 1.0,
    "consistency_weight": 0.0,
}
_LEARNING_RATE = Float(1e-4, 1e-2, log=True)
_GRACE = 8  # epochs on turned clocks in which a network answers by chance, before it finds the top
_ADAM = Variants(adam=Space(learning_rate=Fixed(0.001, _LEARNING_RATE)))


def _reported(
    table: str, setting: str, value: float, metric: str, encoding: Mapping[str, Value], epochs: int | None = None
) -> Reported:
    """Return a figure that a report prints for an encoding, as a configuration on the trunk of `clock-encodings`."""
    params = {**_TRUNK, "filters": "16-32-64-64", **encoding}
    return Reported(table, setting, value, params, metric, epochs=epochs)


_REGRESSION: Mapping[str, Value] = {"encoding": "regression"}
_MULTI_HEAD: Mapping[str, Value] = {"encoding": "multi-head", "minute_weight": 1.0}
_24_CLASSES, _72_CLASSES, _720_CLASSES = ({"encoding": "classes", "classes": classes} for classes in (24, 72, 720))
_TANH, _LINEAR = ({"encoding": "hour-hand", "output_activation": activation} for activation in ("tanh", "linear"))
_A, _B = "report A, Table 9", "report B"
_HOURS, _MINUTES = "common_sense_error_hours", "common_sense_error_minutes"
_REPORTED = (
    _reported(_A, "regression", 0.7053, _HOURS, _REGRESSION),
    _reported(_A, "24 classes", 0.6206, _HOURS, _24_CLASSES),
    _reported(_A, "72 classes", 0.9517, _HOURS, _72_CLASSES),
    _reported(_A, "720 classes", 3.0309, _HOURS, _720_CLASSES),
    _reported(_A, "multi-head", 0.6161, _HOURS, _MULTI_HEAD),
    _reported(_A, "label transformation (sin cos)", 0.3447, _HOURS, _TANH),
    _reported(f"{_B}, 3.1.2", "multi-head, 1200 epochs", 0.85, "hour_accuracy", _MULTI_HEAD, 1200),
    _reported(f"{_B}, 3.2.2", "regression, 600 epochs", 0.46, "mean_absolute_error_hours", _REGRESSION, 600),
    _reported(f"{_B}, 3.3.2", "720 classes, 200 epochs", 0.20, "class_accuracy", _720_CLASSES, 200),
    _reported(f"{_B}, 3.4.2", "unit circle, two linear heads, 200 epochs", 50.0, _MINUTES, _LINEAR, 200),
)


def _trunk(filters: Choice, held: str) -> dict[str, Fixed]:
    """Return the parameters of one network for all encodings; each can be opened."""
    return {
        "filters": Fixed(held, filters),
        "strides": Fixed(2, Choice(1, 2)),
        "kernel_size": Fixed("5-3", Choice("3", "5-3")),
        "units": Fixed("128", Choice("64", "128", "256")),
        "activation": Fixed("relu", Choice("relu", "leaky_relu", "gelu")),
        "batch_norm": Fixed(True, Choice(False, True)),
        "optimizer": Fixed("adam", _ADAM),
        "schedule": Fixed("cosine", Choice("constant", "cosine")),
        "batch_size": Fixed(64, Choice(32, 64, 128)),
    }


CLOCK_QUICK = Task(
    name="clock-quick",
    summary="every encoding on small upright clocks; a minute or two",
    dataset="clock-faces-small",
    space=Space(encoding=ENCODINGS, **_trunk(Choice("8-16-32-32", "16-32-64-64"), "8-16-32-32")),
    objective=OBJECTIVE,
    protocol=Protocol(epochs=15, validation=0.2),
    baseline={**_TRUNK, **_TWO_HANDS, "filters": "8-16-32-32"},
    build=cnn.build,
    encoding=clock_encodings.build,
    source="reports A and B, telling the time; made smaller",
)

CLOCK_ENCODINGS = Task(
    name="clock-encodings",
    summary="all label encodings on one trunk",
    dataset="clock-faces",
    space=Space(encoding=ENCODINGS, **_trunk(Choice("16-32-64-64", "32-64-128-128"), "16-32-64-64")),
    objective=OBJECTIVE,
    protocol=Protocol(epochs=60, patience=10, validation=0.1),
    baseline={**_TRUNK, **_TWO_HANDS, "filters": "16-32-64-64"},
    grace=_GRACE,
    build=cnn.build,
    encoding=clock_encodings.build,
    source="report A, Table 9; report B, sections 3.1 to 3.4",
    assumptions="one trunk for all, because neither report prints its own; images drawn here, because theirs are not "
    "published",
    reported=_REPORTED,
)

CLOCK_ENCODINGS_UPRIGHT = replace(
    CLOCK_ENCODINGS,
    name="clock-encodings-upright",
    summary="the same on small upright clocks, where two cores train every encoding to its end",
    dataset="clock-faces-upright",
    grace=1,
    protocol=Protocol(epochs=40, validation=0.1),
    assumptions="upright and clean, so that an encoding is not judged by how soon its network finds the top",
)

_FINAL_A: Mapping[str, Value] = {
    "encoding": "hour-hand",
    "output_activation": "tanh",
    "filters": "32/64-64/128-128",
    "strides": 1,
    "kernel_size": "3",
    "units": "128",
    "activation": "leaky_relu",
    "batch_norm": False,
    "flatten_dropout_rate": 0.4,
    "dense_normalization": "batch",
    "regularizer": "l2",
    "factor": 1e-4,
    "optimizer": "adam",
    "learning_rate": 0.0001,
    "schedule": "constant",
    "augmentation": "none",
    "batch_size": 64,
}
_FINAL_B: Mapping[str, Value] = {
    **{name: value for name, value in _FINAL_A.items() if name not in ("output_activation", "factor")},
    **_TWO_HANDS,
    "decoding": "plain",
    "activation": "relu",
    "flatten_dropout_rate": 0.0,
    "dense_normalization": "none",
    "regularizer": "none",
}
_AUGMENTATIONS = Choice("none", "zoom-shift-brightness", "turn-zoom-shift-brightness")

CLOCK_FINAL = Task(
    name="clock-final",
    summary="trunk and encoding together, to read the clock to the minute",
    dataset="clock-faces",
    space=Space(
        encoding=ENCODINGS,
        filters=Choice("16-32-64-64", "32-64-64-128", "32/64-64/128-128"),
        strides=Fixed(2, Choice(1, 2)),
        kernel_size=Fixed("5-3", Choice("3", "5-3")),
        units=Fixed("128", Choice("64", "128", "256")),
        activation=Choice("relu", "leaky_relu", "gelu"),
        batch_norm=Choice(False, True),
        flatten_dropout_rate=Choice(0.0, 0.2, 0.4),
        dense_normalization=Fixed("none", Choice("none", "batch", "layer")),
        regularizer=Fixed("none", Variants(none=Space(), l2=Space(factor=Float(1e-6, 1e-2, log=True)))),
        optimizer=Variants(
            adam=Space(learning_rate=_LEARNING_RATE),
            adamw=Space(learning_rate=_LEARNING_RATE, weight_decay=Fixed(0.004, Float(1e-4, 1e-1, log=True))),
        ),
        schedule=Fixed("cosine", Choice("constant", "cosine")),
        augmentation=_AUGMENTATIONS,  # never a flip: a mirrored clock shows another time
        batch_size=Fixed(64, Choice(32, 64, 128)),
    ),
    objective=OBJECTIVE,
    protocol=Protocol(epochs=100, patience=20, validation=0.1),
    baseline=_FINAL_A,
    grace=_GRACE,
    build=cnn.build,
    encoding=clock_encodings.build,
    source="report A, section 2.5; report B, section 3.4.3",
    earlier=("616b5c40e003",),  # before strides, kernel size, units and schedule were held
    assumptions="widths, rates and factors, which the reports do not print; one dense layer; at most 100 epochs, while "
    "report B trains 300; images drawn here, because theirs are not published",
    reported=(
        Reported("report A, Table 9", "label transformation (fine-tuned)", 0.1921, _FINAL_A, _HOURS),
        Reported("report B, 3.4.3", "hour circle and minute circle, 300 epochs", 3.0, _FINAL_B, _MINUTES, epochs=300),
    ),
)
