"""A task whose networks weigh much: 37 MB of weights, and Adam's two moments. Each notes what its worker holds."""

import json
import os
from pathlib import Path
from typing import Any

from tune_jobs.models import mlp
from tune_jobs.models.label_encodings import Classes
from tune_jobs.search_spaces import Choice, Objective, Protocol, Space, Task

FOLDER = Path(__file__).parent  # tests name their own at the end


def build(*, input_shape: tuple[int, int, int], head: Any, number: int) -> Any:
    from tune_jobs.training import devices

    with (FOLDER / "events").open("a") as file:
        file.write(json.dumps({"what": "held", "pid": os.getpid(), "mb": devices.resident_mb()}) + "\n")
    return mlp.build(input_shape=input_shape, head=head, units="3000-3000")


OWN = Task(
    name="own",
    summary="much of everything",
    dataset="digits",
    space=Space(number=Choice(1, 2, 3)),
    objective=Objective("val_accuracy", "maximize"),
    protocol=Protocol(epochs=1, validation=0.2, images=100),
    baseline={"number": 1},
    build=build,
    encoding=Classes(10),
)
