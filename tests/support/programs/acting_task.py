"""A task whose trials do what their parameter `act` says. It stands in no catalogue and imports nothing heavy.

`sweeping.own_task` copies it into a folder of a test's own and adds lines at the end: that folder, and what else the
test needs of the task. It stands alone, as every task that workers elsewhere train.
"""

import fcntl
import json
import os
import random
import resource
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace  # noqa: F401 - for the lines at the end, as Float
from pathlib import Path
from typing import Any

from tune_jobs.search_spaces import Choice, Fixed, Float, Int, Objective, Protocol, Space, Task  # noqa: F401

Params = Mapping[str, Any]

FOLDER = Path(__file__).parent  # where trials write their events and read what they may do
LEAKED: list[Any] = []  # what a worker keeps for good


def train(params: Params, data: Any, *, seed: int, epochs: int) -> Iterator[dict[str, Any]]:
    note("begin", {**params, "seed": seed})
    wait_for_room()
    for epoch in range(1, epochs + 1):
        act(params, epoch, seed)
        if params["act"] == "diverge" and epoch == 2:
            yield {"val_accuracy": float("nan")}
        if epoch == epochs:
            note("end", {**params, "seed": seed})
        if params["act"] == "mute" or (params["act"] == "seldom" and epoch % 2):
            yield {"loss": 1.0}
            continue
        if params["act"] == "text":
            yield {"val_accuracy": "good"}
        value = value_of(params, seed, epoch)
        yield {"val_accuracy": value, "val_loss": 1 - value, "images": len(data.train.x)}


def note(what: str, params: Params) -> None:
    """Append an event to the folder's file."""
    worker = {"pid": os.getpid(), "parent": os.getppid(), "gpus": os.environ.get("CUDA_VISIBLE_DEVICES")}
    # a Ray that has run a sweep of TensorFlow may still have a worker that was forked with it, and with its pandas
    imported = {"ray.tune"} if "tensorflow" in sys.modules else {"ray.tune", "pandas"}
    place = {"cwd": str(Path.cwd()), "has_tune": not imported.isdisjoint(sys.modules)}
    line = json.dumps({"what": what, "at": time.time(), **place, **worker, **params})
    with (FOLDER / "events").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        file.write(line + "\n")


def wait_for_room() -> None:
    """Wait until fewer trials have ended than the file `room` allows; without that file, do not wait."""
    while True:
        try:
            room = int((FOLDER / "room").read_text() or 0)
        except FileNotFoundError:
            return
        if (FOLDER / "events").read_text().count('"what": "end"') < room:
            return
        time.sleep(0.02)


def act(params: Params, epoch: int, seed: int) -> None:
    """Do what an epoch of this act does beside its values."""
    what = params["act"]
    if what in ACTS and is_due(what, params, epoch, seed):
        ACTS[what](params)


def is_due(what: str, params: Params, epoch: int, seed: int) -> bool:
    """Return whether a trial of this act does it in this epoch; most do it in each."""
    if what == "wait-at-4":
        return bool(params["width"] == 4 and epoch == 2)
    if what in ("raise", "unlucky"):
        return epoch == 2 and (what == "raise" or seed == 1)
    if what in ("die-once", "gorge-once"):
        return is_first(params)
    return what not in ("hoard", "leak") or epoch == 1


def is_first(params: Params) -> bool:
    """True for the first trial of these params."""
    try:
        (FOLDER / f"first-{json.dumps(dict(params), sort_keys=True)}").touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


def wait_to_go(params: Params) -> None:
    while not (FOLDER / "go").exists():
        time.sleep(0.02)


def doze(params: Params) -> None:
    if not (FOLDER / "go").exists():
        time.sleep(0.2)


def fail_until_go(params: Params) -> None:
    """Fail if the width is odd and there is no file `go`."""
    if params["width"] % 2 and not (FOLDER / "go").exists():
        fail(params)


def fail(params: Params) -> None:
    raise RuntimeError("no such\nthing")


def share_with_one_other(params: Params) -> None:
    """Run out of memory where more than two trials are on one device."""
    device = FOLDER / f"device-{os.getppid()}-{os.environ.get('CUDA_VISIBLE_DEVICES')}"
    device.mkdir(exist_ok=True)
    mine = device / str(os.getpid())
    mine.touch()
    try:
        time.sleep(0.3)
        if len(list(device.iterdir())) > 2:
            raise MemoryError("no more room on the device")
    finally:
        mine.unlink()


def hoard(params: Params) -> None:
    """Fill 200 MB that refer to themselves, and note what was held before; one that leaks keeps them."""
    from tune_jobs.execution import wear
    from tune_jobs.training import devices

    note("held", {**params, "mb": devices.resident_mb()})
    wear._MAX_GROWTH_MB = 300
    held: list[Any] = [b"x" * (200 << 20)]
    held.append(held)
    if params["act"] == "leak":
        LEAKED.append(held)


def use_up_memory(params: Params) -> None:
    """Ask for more memory than this process may have."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (1 << 28, before[1]))
    try:
        bytearray(1 << 30)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def wear_out_after_two_trials(params: Params) -> None:
    """Allow this worker two trials, each slow enough for two at once to be seen."""
    from tune_jobs.execution import wear

    wear._MAX_TRIALS = 2
    time.sleep(0.2)


ACTS: Mapping[str, Callable[[Params], object]] = {
    "wait": wait_to_go,
    "wait-at-4": wait_to_go,
    "doze": doze,
    "slow": lambda params: time.sleep(1.5),
    "hang": lambda params: time.sleep(3600),
    "raise": fail,
    "unready": fail_until_go,
    "unlucky": fail,
    "exit": lambda params: sys.exit("a loop that ends its process"),
    "die": lambda params: os._exit(3),
    "die-once": lambda params: os._exit(3),
    "killed": lambda params: os.kill(os.getpid(), signal.SIGKILL),
    "gorge": use_up_memory,
    "gorge-once": use_up_memory,
    "crowd": share_with_one_other,
    "hoard": hoard,
    "leak": hoard,
    "wear": wear_out_after_two_trials,
}


def value_of(params: Params, seed: int, epoch: int) -> float:
    """Return the score of an epoch: noise, or the width where the act says so."""
    noise = random.Random(f"{seed} {params} {epoch}").random()
    if params["act"] in ("level", "unlucky", "unready"):
        return float(params["width"] / 10 + noise / 1000)  # the wider the better, whatever the seed
    if params["act"] == "lucky":
        return float((params["width"] if seed == 0 else (5 - params["width"]) / 2) / 10 + noise / 1000)
    return noise


OWN = Task(
    name="own",
    summary="a loop of its own",
    dataset="digits",
    space=Space(act=Choice("fine"), width=Choice(1, 2, 3, 4), depth=Fixed(1, Int(1, 3))),
    objective=Objective("val_accuracy", "maximize"),
    protocol=Protocol(epochs=3, validation=0.2),
    baseline={"act": "fine", "width": 1, "depth": 1},
    train=train,
)
