"""Kills of a running sweep at random moments: its driver, its workers, and Ray's own processes beneath them."""

from __future__ import annotations

import random
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

import psutil

from tests.support.sweeping import PATIENCE_S, ended, kill_family

if TYPE_CHECKING:
    from tests.support.warm import Command

Victim = Literal["driver", "worker", "raylet", "gcs_server", "deliverer"]
VICTIMS: tuple[Victim, ...] = ("driver", "worker", "raylet", "gcs_server")


@dataclass
class Killer:
    """Runs one command again and again, and kills something of it at a random moment, the victims in turn, until it was
    `kills` times; then lets it end by itself."""

    run: Callable[[], subprocess.Popen[str]]
    seed: int
    longest_s: float  # a moment is so long after the start at most
    patience_s: float = PATIENCE_S  # for what is left to do after the last kill
    tell: Callable[[str], None] = lambda _: None
    killed: list[Victim] = field(default_factory=list)

    def disturb(self, kills: int) -> None:
        rng = random.Random(self.seed)
        process = self.run()
        try:
            while len(self.killed) < kills:
                self._wait(process, rng.uniform(0, self.longest_s))
                if process.poll() is None:
                    self._kill(process, rng)
                if process.poll() is not None:
                    process.communicate()
                    assert process.returncode, f"it ended well after {len(self.killed)} kills: give it more to do"
                    process = self.run()
            code, _, stderr = ended(process, self.patience_s)
            if "Ray did not start" in stderr:  # what was killed may still be going down
                process = self.run()
                code, _, stderr = ended(process, self.patience_s)
            assert code == 0, stderr
        finally:
            kill_family(process)

    def _wait(self, process: subprocess.Popen[str], seconds: float) -> None:
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=seconds)

    def _kill(self, process: subprocess.Popen[str], rng: random.Random) -> None:
        victim = VICTIMS[len(self.killed) % len(VICTIMS)]
        if kill(process, victim, rng):
            self.killed.append(victim)
            self.tell(f"kill {len(self.killed)}: {victim}")


def kill(
    process: subprocess.Popen[str] | Command, victim: Victim, rng: random.Random, ray: psutil.Process | None = None
) -> bool:
    """Kill the driver `process` or one that it started; return False if there is none.

    Workers are children of `ray` if that is not the driver's own.

    The driver has to end by itself if it lost its Ray.
    """
    if victim == "driver":
        process.kill()
        process.wait(timeout=PATIENCE_S)
        time.sleep(0.1)  # its children end after it, and the next driver must bear with those that have not
        return True
    found = _found(process, victim, ray)
    if not found:
        return False
    with suppress(psutil.NoSuchProcess):
        rng.choice(found).kill()
    if victim in ("raylet", "gcs_server"):
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=PATIENCE_S)
        assert process.poll() is not None, f"the driver did not notice that its {victim} died"
    return True


def is_there(process: subprocess.Popen[str] | Command, victim: Victim, ray: psutil.Process | None = None) -> bool:
    """Return True if a command has such a process, as `kill` finds it."""
    return bool(_found(process, victim, ray))


def _found(
    process: subprocess.Popen[str] | Command, victim: Victim, ray: psutil.Process | None
) -> list[psutil.Process]:
    family = ray.children(recursive=True) if ray is not None and victim == "worker" else _family(process)
    return [one for one in family if _is(one, victim)]


def _family(process: subprocess.Popen[str] | Command) -> list[psutil.Process]:
    with suppress(psutil.NoSuchProcess):
        return psutil.Process(process.pid).children(recursive=True)
    return []


def _is(process: psutil.Process, victim: Victim) -> bool:
    with suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
        if victim == "worker":
            title = " ".join(process.cmdline()[:1])
            return title.startswith("ray::") and not title.endswith(("Agent", "IDLE"))  # with agents the raylet dies
        if victim == "deliverer":
            return "--follow" in process.cmdline()
        return process.name() == victim
    return False
