"""Kills of every command that writes: in a home of its own the commands follow each other. Each is killed at random
moments and given again until it ends well. What it leaves is compared with what the same commands leave undisturbed.

The trials of `launch`, `extend`, `replicate`, `retry` and `evaluate` wait for room, so that a command is killed in the
midst of its work. `benchmarks/faults.py --only commands` does all of it; tests/faults/test_killed_commands.py a little.
"""

from __future__ import annotations

import random
import shutil
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from tests.support.auditing import Seen, differences
from tests.support.killing import Victim, is_there, kill
from tests.support.sweeping import (
    WITHOUT_MLFLOW,
    Own,
    SharedRay,
    called,
    ended,
    finished_study,
    kill_family,
    logged,
    own_task,
    until,
)
from tests.support.warm import Command, WarmServer
from tune_jobs.actions import portable
from tune_jobs.records.studies import StudyRecord
from tune_jobs.settings import Settings
from tune_jobs.study.storage import study_names
from tune_jobs.study.study import Study
from tune_jobs.tracking import store

PATIENCE_S = 1200.0  # for a command; one that evaluates imports TensorFlow, on a machine that may be busy
LEAST_S = 0.5  # what a command as a process takes at least, from its start to its end
Group = tuple[Victim, ...]  # processes of one command, killed one after another
_OF_TRIALS: tuple[Group, ...] = (("worker", "driver"), ("raylet",), ("deliverer", "driver"), ("gcs_server",))
GROUPS: Mapping[str, tuple[Group, ...]] = {
    "launch": _OF_TRIALS,
    "extend": _OF_TRIALS,
    "replicate": _OF_TRIALS,
    "retry": _OF_TRIALS,
    "evaluate": _OF_TRIALS,
    "import-study": (("driver",), ("deliverer",)),
    "delete": (("driver",),),
}
_NOTHING_LEFT = ("no study named", "already has")  # what was killed had done its work


def has_own_ray(group: Group) -> bool:
    """Return True if a command is to have a Ray of its own, because that is killed."""
    return not {"raylet", "gcs_server"}.isdisjoint(group)


def settings_of(home: Path) -> Settings:
    return Settings(home, home / "data", None, f"sqlite:///{home / 'mlflow.db'}")


@dataclass(frozen=True)
class Runner:
    """Starts commands as processes, on a Ray of their own where that is to be killed, else on the shared one.

    They deliver to MLflow by a process where that is to be killed. Elsewhere the next `sync` does. With `is_here`,
    those that nobody kills run in this process (`sweeping.sweeps_here`).
    """

    warm: WarmServer
    ray: SharedRay
    is_here: bool = False

    def finish(self, settings: Settings, words: Sequence[str]) -> tuple[int, str, str]:
        """Run a command that nobody kills."""
        return called(settings, *words) if self.is_here else ended(self.start(settings, words), PATIENCE_S)

    def start(self, settings: Settings, words: Sequence[str], group: Group = ()) -> Command:
        is_shared = not has_own_ray(group) and words[0] not in ("import-study", "delete")
        before = "" if "deliverer" in group else WITHOUT_MLFLOW
        words = (*words, *(self.ray.words if is_shared else ()))
        return self.warm.command_line(settings, *words, before=before, **(self.ray.client if is_shared else {}))


@dataclass(frozen=True)
class Ground:
    """What all courses begin with: a home with a study of trained networks, and the file of another study."""

    folder: Path
    runner: Runner
    networks: Own  # of the study "networks", which is evaluated

    @classmethod
    def make(cls, folder: Path, runner: Runner, *, has_networks: bool = True) -> Ground:
        ground = cls(folder, runner, Own.copy("dense_task.py", folder / "networks"))
        settings, other = settings_of(folder / "home"), settings_of(folder / "other-home")
        settings.prepare()
        store.client(settings)  # makes its tables
        if has_networks:
            words = ("launch", ground.networks.reference, "--study", "networks", "--search", "grid")
            code, _, stderr = runner.finish(settings, words)
            assert code == 0, stderr
        finished_study(own_task(folder / "other", width="Choice(*range(1, 31))"), other, "other")
        portable.export_study("other", ground.file, other, lambda _: None)
        return ground

    @property
    def file(self) -> Path:
        return self.folder / "other.study"


@dataclass(frozen=True)
class Step:
    """A command, the study that it is about, and the task whose trials wait for room; None if nothing waits."""

    name: str
    words: tuple[str, ...]
    study: str
    own: Own | None = None

    def begun(self) -> int:
        """Return how many trials have ended, or how many networks were built."""
        assert self.own is not None
        built = self.own.file.parent / "built"
        return len(built.read_text().split()) if built.exists() else len(self.own.noted("end"))

    def make_room(self, more: int | None) -> None:
        """Let so many more go on; None lets all of them."""
        if self.own is None:
            return
        if more is not None:
            self.own.make_room(self.begun() + more)
        elif (self.own.file.parent / "room").exists():
            self.own.make_room(None)


@dataclass
class Course:
    """The commands in one home. A study that is begun here has `n_trials` before any is replicated."""

    folder: Path
    ground: Ground
    n_trials: int = 8  # more than may end before the last kill of a command: one that has ended cannot be killed
    own: Own = field(init=False)
    settings: Settings = field(init=False)

    def __post_init__(self) -> None:
        self.settings = settings_of(self.folder / "home")
        self.own = own_task(self.folder / "task", "unready", width=f"Choice(*range(1, {self.n_trials + 1}))")
        shutil.copytree(self.ground.folder / "home", self.settings.home)

    def steps(self, names: Iterable[str]) -> list[Step]:
        own, networks = self.own, self.ground.networks
        run = ("--max-concurrent", "2")
        steps = {
            "launch": Step(
                "launch",
                ("--search", "grid", "--trials", str(self.n_trials // 2), "--max-retries", "99", *run),
                "own",
                own,
            ),
            "extend": Step("extend", ("--trials", str(self.n_trials), *run), "own", own),
            "replicate": Step("replicate", ("--top", str(self.n_trials // 4), "--seeds", "3", *run), "own", own),
            "retry": Step("retry", run, "own", own),
            "evaluate": Step("evaluate", ("--top", "2", "--by", "a reader", *run), "networks", networks),
            "import-study": Step("import-study", (), "other"),
            "delete": Step("delete", ("--yes",), "other"),
        }
        return [steps[name] for name in names]

    def start(self, step: Step, group: Group) -> Command:
        return self.ground.runner.start(self.settings, self._words(step), group)

    def _words(self, step: Step) -> tuple[str, ...]:
        subject = {"launch": self.own.reference, "import-study": str(self.ground.file)}.get(step.name, step.study)
        return step.name, subject, *step.words

    def prepare(self, step: Step, *, waits: bool) -> None:
        if step.name == "retry":
            self.own.go()  # what failed ends well from now on
        step.make_room(0 if waits else None)

    def finish(self, step: Step) -> float:
        """Give the command until it ends well, and deliver what is left. Return how many seconds the command took."""
        step.make_room(None)
        for _ in range(3):
            began = time.monotonic()
            code, _, stderr = self.ground.runner.finish(self.settings, self._words(step))
            seconds = time.monotonic() - began
            if code == 0 or any(words in stderr for words in _NOTHING_LEFT):
                break
            assert "Ray did not start" in stderr, stderr  # what was killed may still be going down
        if step.name != "delete":
            code, _, stderr = called(self.settings, "sync", step.study)
            assert code == 0, stderr
        return seconds

    def seen(self, step: Step) -> Seen | None:
        return Seen.of(self.settings, step.study) if step.study in study_names(self.settings) else None

    def audit(self, step: Step, expected: Seen | None, before: StudyRecord | None) -> list[str]:
        """Return what is other than `expected`, a line each; `before` is the study that the step deletes."""
        if expected is not None:
            own = self.own if step.study == "own" else None
            return differences(self.settings, expected, step.study, own=own)
        assert before is not None
        names = (step.study, before.identity)
        left = [str(path) for path in self.settings.home.rglob("*") if any(name in path.name for name in names)]
        runs = logged(self.settings, before)
        left += [run.info.run_name for run in (*runs.parents, *runs.trials)]
        return [f"{one} is left of what was deleted" for one in left if not one.endswith(".lock")]

    def record(self, step: Step) -> StudyRecord | None:
        is_there = step.study in study_names(self.settings)
        return Study.open(step.study, self.settings).record() if is_there else None


@dataclass
class Undisturbed:
    """What each command leaves that nobody kills, and how long it takes."""

    course: Course
    seen: dict[str, Seen | None] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)

    def run(self, names: Sequence[str]) -> None:
        for step in self.course.steps(names):
            self.course.prepare(step, waits=False)
            self.seconds[step.name] = max(LEAST_S, self.course.finish(step))
            self.seen[step.name] = self.course.seen(step)


@dataclass
class CommandKiller:
    """Kills commands of a course at random moments, each victim in turn."""

    undisturbed: Undisturbed
    rng: random.Random
    tell: Callable[[str], None] = lambda _: None
    killed: Counter[tuple[str, Victim]] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)

    def run(self, course: Course, plan: Mapping[str, Sequence[Group]]) -> None:
        """Run the commands of the plan, kill these processes of each, and audit what each leaves."""
        for step in course.steps(plan):
            course.prepare(step, waits=True)
            before = course.record(step)
            for group in plan[step.name]:
                self._disturb(course, step, group)
            course.finish(step)
            lines = course.audit(step, self.undisturbed.seen[step.name], before)
            self.faults += [f"{course.folder.name}, {step.name}: {line}" for line in lines]
            self.tell(f"{course.folder.name}, {step.name}: " + ("as undisturbed" if not lines else "; ".join(lines)))

    def _disturb(self, course: Course, step: Step, group: Group) -> None:
        """Run a command once, and kill these processes of it at random moments."""
        step.make_room(0)
        process = course.start(step, group)
        try:
            for victim in group:
                self._wait(process, step, victim, self._ray(group))
                if process.poll() is None and kill(process, victim, self.rng, self._ray(group)):
                    self.killed[step.name, victim] += 1
                    self.tell(f"kill {self.killed.total()}: {victim} of {step.name}")
            if step.own is None:
                ended(process, PATIENCE_S)
        finally:
            kill_family(process)

    @staticmethod
    def _ray(group: Group) -> psutil.Process | None:
        """Return the process whose Ray a command of this group shares: this one, unless it has its own."""
        return None if has_own_ray(group) else psutil.Process()

    def _wait(self, process: Command, step: Step, victim: Victim, ray: psutil.Process | None) -> None:
        """Wait for a moment at which the victim is there; trials are given some room just before."""
        longest = self.undisturbed.seconds[step.name]
        if victim != "driver":
            until(
                lambda: process.poll() is not None or is_there(process, victim, ray),
                f"a {victim} of {step.name}",
                patience_s=PATIENCE_S,
            )
            longest = min(longest, 3.0)
        deadline = time.monotonic() + self.rng.uniform(0, longest)
        while time.monotonic() < deadline and process.poll() is None:
            time.sleep(0.02)
        if step.own is not None:
            step.make_room(self.rng.randint(0, 2))
            time.sleep(self.rng.uniform(0, 0.3))
