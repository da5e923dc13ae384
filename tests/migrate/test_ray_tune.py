"""A search space of Ray Tune becomes one of ours; Ray Tune itself says which values its domains hold."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
from ray import tune

from tune_jobs.migrate import from_ray_tune
from tune_jobs.search_spaces import Choice, Float, Int, Objective, Space, SpaceError, Task
from tune_jobs.training.runs import run_trial


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        (tune.choice(["b", "a"]), Choice("b", "a")),
        (tune.uniform(-1, 1), Float(-1, 1)),
        (tune.quniform(0.1, 1, 0.1), Float(0.1, 1.0, step=0.1)),
        (tune.loguniform(1e-4, 1e-1), Float(1e-4, 1e-1, log=True)),
        (tune.randint(2, 9), Int(2, 8)),
        (tune.qrandint(1, 10, 3), Int(3, 9, step=3)),
        (tune.qrandint(1, 10, 1), Int(1, 9)),
        (tune.lograndint(1, 100), Int(1, 99, log=True)),
        (tune.grid_search([1, 2]), Choice(1, 2)),
    ],
)
def test_a_domain_holds_what_ray_tune_draws(theirs: Any, ours: Any) -> None:
    assert from_ray_tune({"x": theirs}).space == Space(x=ours)
    if not isinstance(theirs, dict):
        random.seed(0)
        np.random.seed(0)
        drawn = [ours.snap(theirs.sample()) for _ in range(200)]
        assert {ours.why_not(value) for value in drawn} == {None}
        assert ours.size is None or ours.size > 20 or len(set(drawn)) == ours.size


SPACE = {
    "model": {"layers": tune.choice([[64, 64], [128]]), "dropout": tune.uniform(0, 0.5)},
    "optimizers": [{"rate": tune.loguniform(1e-4, 1e-1)}, "constant"],
    "double": tune.sample_from(lambda config: 2 * config["model"]["dropout"]),
    "one": tune.sample_from(lambda: 1),
    "noise": tune.randn(3, 1),
    "seeds": tune.grid_search([1, 2]),
    "rounded": tune.qloguniform(1e-3, 1.0, 1e-3),
    "epochs": 7,
}
PARAMS = {"model/layers": "[64, 64]", "model/dropout": 0.25, "optimizers/0/rate": 0.01, "seeds": 2, "rounded": 0.5}


def test_nested_dictionaries_have_flat_names_and_come_back_nested() -> None:
    found = from_ray_tune(SPACE)
    assert found.space.why_not(PARAMS) is None
    assert found.space.names() == tuple(PARAMS)
    assert found.run is not None
    assert found.run(PARAMS) == {
        "model": {"layers": [64, 64], "dropout": 0.25},
        "optimizers": [{"rate": 0.01}, "constant"],
        "double": 0.5,
        "one": 1,
        "noise": 3,
        "seeds": 2,
        "rounded": 0.5,
        "epochs": 7,
    }


def test_what_cannot_be_translated_is_said_in_a_line_each() -> None:
    assert from_ray_tune(SPACE).notes == (
        "double: sample_from is no parameter; it is called for each trial, and must not draw at random",
        "one: sample_from is no parameter; it is called for each trial, and must not draw at random",
        "noise: a normal distribution has no bounds; it is its mean, 3",
        "seeds: a choice; --search grid tries every value, as grid_search does",
        "rounded: not rounded to multiples of 0.001, for its scale is logarithmic",
    )


def test_bounds_that_no_space_has_are_refused() -> None:
    with pytest.raises(SpaceError, match="Float needs low <= high; got 2"):
        from_ray_tune({"x": tune.uniform(2, 1)})


def test_a_trainable_is_a_task_of_a_function() -> None:
    def trainable(config: dict[str, Any]) -> Any:
        for step in range(1, 3):
            yield {"loss": config["optimizer"]["rate"] / step}

    found = from_ray_tune({"optimizer": {"rate": tune.uniform(0.0, 1.0)}}, trainable)
    task = Task("nested", found.space, Objective("loss", "minimize"), run=found.run)
    result = run_trial(task, {"optimizer/rate": 0.5}, None, seed=0)
    assert (result.score, len(result.history)) == (0.25, 2)
    assert str(found) == "Space.of({\n    'optimizer/rate': Float(0.0, 1.0),\n})"
