"""An objective of Optuna becomes a space with its branches; Optuna itself says which values its domains hold."""

from __future__ import annotations

from typing import Any

import optuna
import pytest

from tune_jobs.migrate import from_optuna
from tune_jobs.search_spaces import Choice, Float, Int, Objective, Space, Task, Variants
from tune_jobs.training.runs import run_trial


def objective(trial: Any) -> float:
    """Branches as in Optuna's guide to define-by-run spaces."""
    kind = trial.suggest_categorical("classifier", ["svc", "forest"])
    if kind == "svc":
        return float(trial.suggest_float("c", 1e-10, 1e10, log=True))
    depths = [trial.suggest_int(f"depth_{tree}", 2, 32, log=True) for tree in range(trial.suggest_int("trees", 1, 2))]
    return float(sum(depths)) + trial.suggest_float("share", 0.0, 1.0, step=0.25) + trial.params["trees"]


FOUND = from_optuna(objective)


def test_branches_become_options() -> None:
    depth = Int(2, 32, log=True)
    forest = Space(
        trees=Variants({"1": Space(), "2": Space(depth_1=depth)}), depth_0=depth, share=Float(0.0, 1.0, step=0.25)
    )
    assert FOUND.space == Space(classifier=Variants(svc=Space(c=Float(1e-10, 1e10, log=True)), forest=forest))
    assert FOUND.baseline == {"classifier": "svc", "c": pytest.approx(1.0)}


def test_what_optuna_suggests_is_in_the_space_and_runs_to_the_same_value() -> None:
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    study.optimize(objective, n_trials=20)
    for trial in study.trials:
        params = {name: str(value) if name == "trees" else value for name, value in trial.params.items()}
        assert FOUND.space.why_not(params) is None
        assert FOUND.run is not None
        assert FOUND.run(params) == trial.value


def test_it_is_a_task_of_a_function() -> None:
    task = Task("forest", FOUND.space, Objective("loss", "minimize"), baseline=FOUND.baseline, run=FOUND.run)
    params = {"classifier": "forest", "trees": "2", "depth_0": 2, "depth_1": 3, "share": 0.25}
    assert run_trial(task, params, None, seed=0).score == 5 + 0.25 + 2


@pytest.mark.parametrize(
    ("kind", "arguments", "domain"),
    [
        ("int", {"low": 1, "high": 10, "step": 4}, Int(1, 9, step=4)),
        ("int", {"low": -3, "high": 3}, Int(-3, 3)),
        ("float", {"low": 0.1, "high": 0.75, "step": 0.2}, Float(0.1, 0.7, step=0.2)),
        ("float", {"low": 1.0, "high": 2.0}, Float(1.0, 2.0)),
        ("categorical", {"choices": [None, 1, "x"]}, Choice(None, 1, "x")),
    ],
)
@pytest.mark.filterwarnings("ignore:The distribution is specified by")
def test_a_domain_holds_what_optuna_draws(kind: str, arguments: dict[str, Any], domain: Any) -> None:
    def suggest(trial: Any) -> float:
        getattr(trial, f"suggest_{kind}")("x", **arguments)
        return 0.0

    assert from_optuna(suggest).space == Space(x=domain)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    study.optimize(suggest, n_trials=15)
    assert [domain.why_not(domain.snap(trial.params["x"])) for trial in study.trials] == [None] * 15


def test_values_of_any_kind_are_named_by_their_text() -> None:
    found = from_optuna(lambda trial: len(trial.suggest_categorical("layers", [(64, 64), (128,)])))
    assert found.space == Space(layers=Choice("(64, 64)", "(128,)"))
    assert found.run is not None
    assert (found.run({"layers": "(64, 64)"}), found.run({"layers": "(128,)"})) == (2, 1)


def test_training_is_not_traced_and_what_it_reports_is_said_to_be_lost() -> None:
    epochs: list[float] = []

    def trained(trial: Any) -> float:
        rate = trial.suggest_float("rate", 0.1, 1.0)
        for step in range(2):
            trial.report(rate, step)
            trial.set_user_attr("step", step)
            epochs.append(rate)
            if trial.should_prune():
                raise optuna.TrialPruned
        return float(rate)

    found = from_optuna(trained)
    assert epochs == []
    assert found.notes == (
        "report: steps are not seen, for the function returns once; let it yield them, and schedulers judge them",
    )
    assert found.run is not None
    assert (found.run({"rate": 0.5}), epochs) == (0.5, [0.5, 0.5])
