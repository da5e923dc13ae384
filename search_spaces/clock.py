"""Telling the time from a picture of a clock: the reports' third task, in which the label encoding decides.

The pictures are drawn by `tune_jobs.datasets.clock_faces`; those of the reports, where somebody has them, are the
dataset `clock-files`. The error is the common-sense one: the shorter way round the dial, in minutes.
"""

from __future__ import annotations

from collections.abc import Mapping

from models import clock_encodings, cnn
from search_spaces.domains import Choice, Fixed, Float, Space, Value, Variants
from search_spaces.task import Objective, Protocol, Task

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
_ADAM = Variants(adam=Space(learning_rate=Fixed(0.001, Float(1e-4, 1e-2, log=True))))


def _trunk(filters: Choice, held: str) -> dict[str, Fixed]:
    """One network under every encoding; each part of it opens."""
    return {
        "filters": Fixed(held, filters),
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
    space=Space(encoding=ENCODINGS, **_trunk(Choice("8-16-32", "16-32-64"), "8-16-32")),
    objective=OBJECTIVE,
    protocol=Protocol(epochs=15, validation=0.2),
    baseline={**_TRUNK, **_TWO_HANDS, "filters": "8-16-32"},
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
    build=cnn.build,
    encoding=clock_encodings.build,
    source="report A, Table 9; report B, sections 3.1 to 3.4",
    chosen="one trunk for all, since neither report prints its own; pictures drawn here, since theirs cannot be had",
)
