"""A sweep of two objectives by the command line: what it finds, shows, tells MLflow, and trains again."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.sweeping import Logged, SharedRay, called, logged
from tune_jobs.leaderboard import fronts, ranking
from tune_jobs.records import objectives
from tune_jobs.records.studies import StudyRecord
from tune_jobs.settings import Settings
from tune_jobs.study.study import Study
from tune_jobs.tracking import delivery

pytestmark = pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning")  # of MLflow's own tables

LAUNCH = ("launch", "digits-mlp", "--trials", "4", "--epochs", "2", "--search", "nsga2", "--objective", "val_accuracy")
LAUNCH += ("--max-concurrent", "1")


@dataclass(frozen=True)
class Sweep:
    settings: Settings
    launch: tuple[int, str, str]  # exit code, standard output, standard error
    record: StudyRecord
    logged: Logged

    @property
    def folder(self) -> Path:
        return self.settings.exports_dir("digits-mlp")

    @property
    def front(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = yaml.safe_load((self.folder / "front.yaml").read_text())
        return found


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory, ray: SharedRay) -> Sweep:
    home = tmp_path_factory.mktemp("front") / "home"
    settings = Settings(home, home / "data", storage=None, tracking_uri=f"sqlite:///{home / 'mlflow.db'}")
    launch = called(settings, *LAUNCH, "--objective", "parameters", "--objective", "latency")
    delivery.deliver_once("digits-mlp", settings)
    record = Study.open("digits-mlp", settings).record()
    return Sweep(settings, launch, record, logged(settings, record))


def test_every_trial_has_a_value_in_each_objective(sweep: Sweep) -> None:
    code, stdout, stderr = sweep.launch
    assert code == 0, stderr
    assert " ".join(stdout.split()).startswith(
        "study digits-mlp: digits-mlp on digits, maximize val_accuracy, minimize parameters, minimize"
    )
    assert sweep.record.launch is not None
    assert sweep.record.launch.search == "nsga2"
    assert [trial.state for trial in sweep.record.trials] == ["complete"] * 4
    for trial in sweep.record.trials:
        found = [objectives.value(trial, aim) for aim in sweep.record.terms.objectives]
        assert found[:2] == [trial.score, trial.weights]
        assert found[2] is not None
        assert found[2] > 0


def test_the_exports_have_the_front_of_the_study(sweep: Sweep) -> None:
    terms = sweep.record.terms
    rows = fronts.by_front(ranking.rank(sweep.record.trials, terms.objective), sweep.record.trials, terms.objectives)
    assert [one["trial"] for one in sweep.front] == [row.trials[0] for row in fronts.first(rows)]
    shown = json.loads((sweep.folder / "leaderboard.json").read_text())
    assert [(row["rank"], row["trials"]) for row in shown] == [(row.rank, list(row.trials)) for row in rows]
    assert (sweep.folder / "front.svg").read_text().startswith("<?xml")


def test_mlflow_has_what_each_trial_came_to(sweep: Sweep) -> None:
    (parent,) = sweep.logged.parents
    assert parent.data.metrics["front_size"] == len(sweep.front)
    assert "maximize val_accuracy, minimize parameters, minimize latency" in parent.data.tags["mlflow.note.content"]
    for trial in sweep.record.trials:
        metrics = sweep.logged.run(trial.number).data.metrics
        assert metrics["best_val_accuracy"] == trial.score
        assert (metrics["parameters"], metrics["latency"]) == (trial.weights, trial.metrics["latency"])


def test_one_of_the_front_trains_again_to_its_score(sweep: Sweep) -> None:
    one = sweep.front[-1]
    words = ("train", str(sweep.folder / "front.yaml"), "--trial", str(one["trial"]), "--no-mlflow", "--json")
    code, stdout, stderr = called(sweep.settings, *words)
    assert code == 0, stderr
    assert json.loads(stdout)["score"] == one["score"]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--objective", "parameters"), "and it is now maximize val_accuracy and minimize parameters: start another"),
        (("--objective", "val_f1"), "say max:val_f1 or min:val_f1"),
        (("--objective", "latency", "--search", "cmaes"), "this study has 2: take nsga2 or tpe"),
    ],
)
def test_what_the_study_cannot_do_is_refused_in_a_line(more: tuple[str, ...], said: str, sweep: Sweep) -> None:
    code, stdout, stderr = called(sweep.settings, *LAUNCH, *more)
    assert (code, stdout) == (2, "")
    assert said in stderr
    assert stderr.count("\n") == 1
