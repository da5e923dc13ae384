"""People at work in MLflow: they rename, delete, restore and annotate runs and experiments of a study, log to them, and
move and copy the home. Whatever they do, the next delivery leaves the study there once and whole, and theirs as it was.

`python -m tests.support.people --times 200` does so at random.
"""

from __future__ import annotations

import argparse
import io
import itertools
import random
import shutil
import tempfile
import time
import warnings
from collections.abc import Callable, Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.sweeping import logged
from tests.support.trials import trial_record
from tune_jobs.records.studies import Launch, StudyRecord, StudyTerms
from tune_jobs.records.trials import TrialRecord
from tune_jobs.search_spaces import Choice, Float, Objective, Protocol, Space
from tune_jobs.settings import Settings
from tune_jobs.tracking import marks, store
from tune_jobs.tracking.tracker import Tracker

SPACE = Space(rate=Float(1e-4, 1.0, log=True), kind=Choice("a", "b"))
_identities = (f"{n:032x}" for n in itertools.count(1))


def settings_of(home: Path) -> Settings:
    settings = Settings(home, home / "data", storage=None, tracking_uri=f"sqlite:///{home / 'mlflow.db'}")
    settings.prepare()
    return settings


def trial(number: int, **changes: Any) -> TrialRecord:
    """A complete trial of two epochs."""
    history = ({"loss": 0.5, "val_accuracy": 0.1 * number}, {"loss": 0.4, "val_accuracy": 0.1 * number + 0.05})
    known: dict[str, Any] = {
        "number": number,
        "params": {"rate": 0.01 * (number + 1), "kind": "a"},
        "seed": 7,
        "state": "complete",
        "attempts": 1,
        "score": 0.1 * number + 0.05,
        "best_epoch": 2,
        "metrics": history[1],
        "history": history,
        "started": 1.7e9 + number,
        "finished": 1.7e9 + number + 60,
    }
    return trial_record(**known | changes)


TRIALS = (
    trial(0),
    trial(1, state="failed", score=None, best_epoch=None, metrics={}, reason="diverged", message="loss was nan"),
    trial(2, state="stopped"),
)


def study(*trials: TrialRecord, task: str = "rows", **terms: Any) -> StudyRecord:
    known: dict[str, Any] = {
        "task": task,
        "task_digest": "0123456789ab",
        "reference": task,
        "dataset": "digits",
        "data_digest": "1234567890abcdef",
        "space": SPACE.to_json(),
        "objective": Objective("val_accuracy", "maximize"),
        "protocol": Protocol(epochs=2),
        "seed": 7,
    }
    launch = Launch("grid", 5, "host", 1.7e9, "abc123", {"keras": "3.15"})
    return StudyRecord("first", next(_identities), StudyTerms(**known | terms), launch, 1.7e9, trials)


def sync(settings: Settings, record: StudyRecord) -> Tracker:
    """Deliver as `tune-jobs sync` does."""
    tracker = Tracker(settings)
    tracker.deliver(record)
    tracker.close(record)
    return tracker


@dataclass
class People:
    """People who do as they like with a study in MLflow; `theirs` is what has to stay."""

    folder: Path
    record: StudyRecord = field(default_factory=lambda: study(*TRIALS))
    chance: random.Random = field(default_factory=lambda: random.Random(1))
    theirs: dict[tuple[str, str, str], Any] = field(default_factory=dict)  # of a run: what, its name, its value
    namesakes: list[str] = field(default_factory=list)  # experiments of theirs that are called as our task
    settings: Settings = field(init=False)
    _n: int = 0

    def __post_init__(self) -> None:
        self.settings = settings_of(self.folder / "home-0")
        sync(self.settings, self.record)
        fresh = settings_of(self.folder / "fresh")
        sync(fresh, self.record)
        self.expected = facts(fresh, self.record)

    def act(self, what: str | None = None) -> str:
        """Do something; by chance if it is not named."""
        self._n += 1
        what = what or self.chance.choice(sorted(ACTIONS))
        ACTIONS[what](self)
        return what

    def differences(self) -> list[str]:
        """What is other than it has to be after a delivery."""
        now = facts(self.settings, self.record)
        found = [f"trial {n} is {now.get(n)} and not {fact}" for n, fact in self.expected.items() if now.get(n) != fact]
        parents = logged(self.settings, self.record).parents
        found += [] if [run.info.status for run in parents] == ["FINISHED"] else [f"parents {parents}"]
        found += [f"experiment {name} is not as it was" for name in self.namesakes if not self._is_theirs(name)]
        return found + [f"{key} is not {value!r}" for key, value in self.theirs.items() if self._has(*key) != value]

    def _is_theirs(self, experiment: str) -> bool:
        """Whether an experiment has the one run that they logged to it, and is marked by nobody."""
        is_marked = marks.TASK in self.client.get_experiment(experiment).tags
        return not is_marked and len(self.client.search_runs([experiment])) == 1

    def _has(self, run_id: str, what: str, name: str) -> Any:
        run = self.client.get_run(run_id)
        kept: Mapping[str, Any] = {
            "tag": run.data.tags,
            "param": run.data.params,
            "metric": run.data.metrics,
            "model": {model.model_id: True for model in run.outputs.model_outputs} if run.outputs else {},
            "file": {file.path: True for file in self.client.list_artifacts(run_id, "notes")},
            "stage": {"": run.info.lifecycle_stage},
        }[what]
        return kept.get(name)

    @property
    def client(self) -> Any:
        return store.client(self.settings)

    def run(self) -> Any:
        """One of the study's runs."""
        found = logged(self.settings, self.record)
        return self.chance.choice([*found.parents, *found.trials])

    def experiment(self) -> str:
        return str(logged(self.settings, self.record).parents[0].info.experiment_id)

    def add(self, run: Any, what: str, name: str, value: Any) -> None:
        self.theirs[run.info.run_id, what, name] = value

    def rename_run(self) -> None:
        run, name = self.run(), f"theirs {self._n}"
        self.client.update_run(run.info.run_id, name=name)
        self.add(run, "tag", "mlflow.runName", name)

    def delete_run(self) -> None:
        self.client.delete_run(self.run().info.run_id)

    def delete_and_restore_run(self) -> None:
        run = self.run()
        self.client.delete_run(run.info.run_id)
        self.client.restore_run(run.info.run_id)

    def delete_for_good(self) -> None:
        run = self.run()
        self.client.delete_run(run.info.run_id)
        gc(self.settings, "run-ids", run.info.run_id)
        self.theirs = {key: value for key, value in self.theirs.items() if key[0] != run.info.run_id}

    def describe(self) -> None:
        run, note = self.run(), f"what we think of it: {self._n}"
        self.client.set_tag(run.info.run_id, marks.NOTE, note)
        self.add(run, "tag", marks.NOTE, note)

    def tag(self) -> None:
        run, name = self.run(), f"verdict-{self._n}"
        self.client.set_tag(run.info.run_id, name, "ship it")
        self.add(run, "tag", name, "ship it")

    def change_our_tags(self) -> None:
        run = self.run()
        if marks.PARENT in run.data.tags:
            self.client.set_tag(run.info.run_id, self.chance.choice(["seed", "state"]), "theirs")

    def log_param(self) -> None:
        run, name = self.run(), f"reviewed-{self._n}"
        self.client.log_param(run.info.run_id, name, "me")
        self.add(run, "param", name, "me")

    def log_metric(self) -> None:
        run, name = self.run(), f"f1-{self._n}"
        self.client.log_metric(run.info.run_id, name, 0.5)
        self.add(run, "metric", name, 0.5)

    def log_file(self) -> None:
        run = self.run()
        file = self.folder / f"note-{self._n}.txt"
        file.write_text("theirs")
        self.client.log_artifact(run.info.run_id, str(file), "notes")
        self.add(run, "file", f"notes/{file.name}", True)

    def log_model(self) -> None:
        """As `with mlflow.start_run(run_id=…)` does, which begins and ends the run again."""
        from mlflow.entities import LoggedModelOutput

        run = self.run()
        self.client.update_run(run.info.run_id, status="RUNNING")
        model = self.client.create_logged_model(run.info.experiment_id, source_run_id=run.info.run_id)
        self.client.log_outputs(run.info.run_id, [LoggedModelOutput(model.model_id, 0)])
        self.client.set_terminated(run.info.run_id)
        self.add(run, "model", model.model_id, True)

    def nest_run(self) -> None:
        run, name = self.run(), self.chance.choice(["error analysis", "confusion-1", "first-0001"])
        tags = {marks.PARENT: run.info.run_id, "seed": "7"}
        child = self.client.create_run(run.info.experiment_id, run_name=name, tags=tags)
        self.add(child, "stage", "", "active")
        self.add(child, "tag", "mlflow.runName", name)

    def rename_experiment(self) -> None:
        self.client.rename_experiment(self.experiment(), f"for the paper {self._n}")

    def take_the_name_of_our_experiment(self) -> None:
        """Make an experiment that is called as our task, and log a run to it."""
        name = self.record.terms.task
        named = self.client.get_experiment_by_name(name)
        if named is not None and named.experiment_id in self.namesakes:
            return
        if named is not None:
            self.rename_experiment()
        namesake = self.client.create_experiment(name, artifact_location=(self.folder / "theirs").as_uri())
        self.namesakes.append(namesake)
        self.add(self.client.create_run(namesake), "stage", "", "active")

    def delete_experiment(self) -> None:
        self.client.delete_experiment(self.experiment())

    def delete_and_restore_experiment(self) -> None:
        experiment = self.experiment()
        self.client.delete_experiment(experiment)
        self.client.restore_experiment(experiment)

    def move_home(self) -> None:
        home = self.folder / f"home-{self._n}"
        self.settings.home.rename(home)
        self.settings = settings_of(home)

    def copy_home(self) -> None:
        home = self.folder / f"home-{self._n}"
        shutil.copytree(self.settings.home, home)
        shutil.rmtree(self.settings.home)
        self.settings = settings_of(home)


ACTIONS: Mapping[str, Callable[[People], None]] = {
    name: action
    for name, action in vars(People).items()
    if callable(action) and not name.startswith("_") and name not in ("act", "differences", "run", "experiment", "add")
}


def gc(settings: Settings, what: str, ids: str) -> None:
    """`mlflow gc` of these runs or experiments."""
    address = store.address(settings)
    words = ["--backend-store-uri", address, "--tracking-uri", address, f"--{what}", ids]
    with redirect_stdout(io.StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # MLflow's own
        from mlflow.cli import gc as command

        command.main([*words, "--artifacts-destination", settings.artifacts_dir.as_uri()], standalone_mode=False)


def facts(settings: Settings, record: StudyRecord) -> dict[int, Any]:
    """What MLflow has of each trial that we wrote; a list where it has a trial twice."""
    found = logged(settings, record)
    of_trials: dict[int, Any] = {}
    for run in found.trials:
        number = int(run.data.tags[marks.TRIAL].partition("/")[0])
        tags = {name: run.data.tags.get(name) for name in ("state", "reason", "seed", marks.END)}
        params = {name: value for name, value in run.data.params.items() if name in SPACE.varied()}
        ours = run.data.tags[marks.METRICS].split("\n")
        points = {name: found.points[run.info.run_id][name] for name in ours}
        fact = (tags, params, points, run.info.status, run.info.end_time, run.info.lifecycle_stage)
        of_trials[number] = [of_trials[number], fact] if number in of_trials else fact
    return of_trials


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        people, began = People(Path(folder), chance=random.Random(options.seed)), time.monotonic()
        for n in range(options.times):
            what = people.act()
            sync(people.settings, people.record)
            if n % 10 == 9:
                print(f"{n + 1} of {options.times}, {time.monotonic() - began:.0f} s", flush=True)
            if differences := people.differences():
                raise SystemExit("\n".join([f"after {what} ({n}):", *differences]))
    print(
        f"{options.times} times: the study is there once and whole, and {len(people.theirs)} additions are as they were"
    )


if __name__ == "__main__":
    main()
