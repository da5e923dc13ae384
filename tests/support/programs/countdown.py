"""A task that runs a function: it halves a number step by step, and can go on from its own files.

It writes down where each run begins, and which frameworks its process has. `act` says what else it does.
"""

import json
import os
import signal
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tune_jobs.search_spaces import Choice, Float, Objective, Space, Task

FOLDER = Path(__file__).parent  # where it writes what it was asked to do
STEPS = 5


def run(params: Mapping[str, Any], *, seed: int, checkpoint: Path, artifacts: Path) -> Iterator[Any]:
    state = checkpoint / "state.json"
    first, x = json.loads(state.read_text()) if state.exists() else (1, params["x"] + seed)
    note({**params, "seed": seed, "first": first, "tensorflow": "tensorflow" in sys.modules})
    for step in range(first, STEPS + 1):
        if params["act"] == "die-once" and step == 4 and first == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        if params["act"] == "raise":
            raise ValueError("no such\nthing")
        x /= 2
        state.write_text(json.dumps([step + 1, x]))
        (artifacts / "log.txt").write_text(f"step {step}: {x}\n")
        yield {"loss": x, "step": step}


def note(event: Mapping[str, Any]) -> None:
    with (FOLDER / "events").open("a") as file:
        file.write(json.dumps({"what": "begin", **event}) + "\n")


OWN = Task(
    "countdown",
    Space(act=Choice("fine", "die-once", "raise"), x=Float(1.0, 2.0)),
    Objective("loss", "minimize"),
    run=run,
)
