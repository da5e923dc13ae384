"""Small sweeps for tests: a task file whose training does as it is told, the command line as a process, and patience.

The task has its own training loop, so that no trial imports TensorFlow, and it writes down what it was asked to train.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

PATIENCE_S = 90.0  # before a wait is given up; the machine may be busy

TASK = '''
"""A task whose trials do what `act` says; it stands in no catalogue and imports nothing heavy."""

import fcntl, json, os, random, sys, time
from pathlib import Path

from search_spaces.domains import Choice, Fixed, Float, Int, Space
from search_spaces.task import Objective, Protocol, Task

FOLDER = Path({folder!r})


def note(what, params):
    line = json.dumps({{"what": what, "at": time.time(), "pid": os.getpid(), "cwd": os.getcwd(), **params}})
    with (FOLDER / "events").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.write(line + "\\n")


def is_first(params):
    try:
        (FOLDER / f"first-{{json.dumps(params, sort_keys=True)}}").touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


def act(what, params, epoch):
    if what == "wait" or what == f"wait-{{epoch}}":
        while not (FOLDER / "go").exists():
            time.sleep(0.02)
    elif what == "raise" and epoch == 2:
        raise RuntimeError("no such\\nthing")
    elif what == "die" or (what == "die-once" and is_first(params)):
        os._exit(3)
    elif what == "exit":
        sys.exit("a loop that ends its process")
    elif what == "wear":
        from tune_jobs.execution import worker
        worker._TRIALS = 2


def train(params, data, *, seed, epochs):
    note("begin", params)
    for epoch in range(1, epochs + 1):
        act(params["act"], params, epoch)
        if params["act"] == "diverge" and epoch == 2:
            yield {{"val_accuracy": float("nan")}}
        value = random.Random(f"{{seed}} {{params}} {{epoch}}").random()
        yield {{"val_accuracy": value, "val_loss": 1 - value, "images": len(data.train.x)}}
    note("end", params)


OWN = Task(
    name="own",
    summary="a loop of its own",
    dataset="digits",
    space={space},
    objective=Objective("val_accuracy", "maximize"),
    protocol=Protocol(epochs=3, validation=0.2),
    baseline={baseline!r},
    train=train,
)
'''


@dataclass(frozen=True)
class Own:
    """A task file in a folder, and what its trials wrote down."""

    file: Path

    @property
    def reference(self) -> str:
        return f"{self.file}:OWN"

    @property
    def events(self) -> list[dict[str, Any]]:
        file = self.file.parent / "events"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    def begun(self, *names: str) -> list[tuple[object, ...]]:
        """The values of the named parameters of each training begun, in order."""
        return [tuple(event[name] for name in names) for event in self.events if event["what"] == "begin"]

    def go(self) -> None:
        """Lets those go on that wait."""
        (self.file.parent / "go").touch()


def own_task(folder: Path, *acts: str, width: str = "Choice(1, 2, 3, 4)") -> Own:
    """A task file in `folder` whose space is `acts` times `width`."""
    folder.mkdir(parents=True, exist_ok=True)
    acts = acts or ("fine",)
    space = f"Space(act=Choice(*{acts!r}), width={width}, depth=Fixed(1, Int(1, 3)))"
    file = folder / "own_task.py"
    file.write_text(
        TASK.format(folder=str(folder), space=space, baseline={"act": acts[0], "width": 1, "depth": 1}),
        encoding="utf-8",
    )
    return Own(file)
