"""Keyword options: what they may be, and what they become."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tune_jobs as tj
from tune_jobs.actions.evaluate import EvaluateRequest
from tune_jobs.actions.extend import ExtendRequest
from tune_jobs.actions.replicate import ReplicateRequest
from tune_jobs.actions.transfer import TransferRequest
from tune_jobs.api.options import RunOptions, expression, launch_request, take_resources
from tune_jobs.execution.plan import Resources


@pytest.mark.parametrize(
    ("kept", "text"),
    [
        ("adam", "adam"),
        ("1e-4..1e-2", "1e-4..1e-2"),
        (["adam", "sgd"], "adam,sgd"),
        ((32, 64), "32,64"),
        (True, "true"),
        (None, "none"),
        (0.001, "0.001"),
        (np.int64(3), "3"),
        ([np.float64(0.5), 1.5], "0.5,1.5"),
        (np.float32(0.1), "0.1"),
        (np.array([1, 2]), "1,2"),
    ],
)
def test_what_set_keeps_of_a_parameter_is_written_as_the_command_takes_it(kept: Any, text: str) -> None:
    assert expression(kept) == text


def test_a_launch_has_the_options_of_the_command() -> None:
    request = launch_request(
        "digits-mlp",
        {
            "study": "mine",
            "trials": 7,
            "set": {"optimizer": ["adam", "sgd"], "batch_size": 32},
            "open": ["initializer"],
            "objectives": ["val_accuracy", tj.Objective("parameters", "minimize")],
            "first": "tried.yaml",
            "time_limit": "1h30m",
            "trial_time_limit": 90,
            "max_concurrent": 2,
            "seed": None,
        },
    )
    assert (request.task, request.study, request.trials, request.seed) == ("digits-mlp", "mine", 7, None)
    assert request.narrowed == {"optimizer": "adam,sgd", "batch_size": "32"}
    assert request.opened == ("initializer",)
    assert request.objectives == ("val_accuracy", "min:parameters")
    assert request.tried == Path("tried.yaml")
    resources = request.resources
    assert (resources.time_limit_s, resources.trial_limit_s, resources.max_concurrent) == (5400.0, 90, 2)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"trails": 5}, TypeError, r"launch\(\) has no option 'trails'; near it: trials"),
        ({"trials": 0}, tj.UserError, "trials needs a whole number of 1 or more; got 0"),
        ({"trials": 2.5}, tj.UserError, "trials needs a whole number of 1 or more; got 2.5"),
        ({"seed": -1}, tj.UserError, "seed needs a whole number of 0 or more; got -1"),
        ({"eta": 1}, tj.UserError, "eta needs a whole number of 2 or more; got 1"),
        ({"search": "gird"}, tj.UserError, "no search named 'gird'; near it: grid; there are grid, random"),
        ({"scheduler": "ahsa"}, tj.UserError, "no scheduler named 'ahsa'; near it: asha; there are none, asha"),
        ({"time_limit": "soon"}, tj.UserError, "time_limit needs a time such as 90s, 30m or 2h; got 'soon'"),
        ({"time_limit": -1}, tj.UserError, "time_limit needs a number above 0; got -1"),
        ({"gpus_per_trial": 1.5}, tj.UserError, "gpus_per_trial needs a share such as 0.25, a whole number of GPUs"),
        ({"gpus_per_trial": 0.001}, tj.UserError, "gpus_per_trial needs 0.01 or more, or 0 for none; got 0.001"),
        ({"max_concurrent": 0}, tj.UserError, "max_concurrent needs a whole number of 1 or more; got 0"),
        ({"set": {"units": {}}}, tj.UserError, 'set needs a value, a list of values or "low..high"; got {}'),
    ],
)
def test_an_option_that_cannot_be_is_refused_in_one_line(
    options: dict[str, Any], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=f"^{message}") as caught:
        tj.launch("digits-mlp", **options)
    assert "\n" not in str(caught.value)


def test_numbers_of_numpy_are_the_numbers_that_they_show() -> None:
    two, share = np.int64(2), np.float32(0.1)
    places = {"max_concurrent": two, "gpus_per_trial": share, "time_limit": np.int32(90)}
    resources = take_resources("extend", places, RunOptions)
    assert repr(resources) == repr(Resources(time_limit_s=90, max_concurrent=2, gpus_per_trial=0.1))
    assert repr(launch_request("mnist-mlp", {"trials": two, "seed": np.uint8(3)})) == repr(
        launch_request("mnist-mlp", {"trials": 2, "seed": 3})
    )
    requests = [(ExtendRequest, "s"), (ReplicateRequest, "s", 2), (EvaluateRequest, "s"), (TransferRequest, "s", "to")]
    for kind, *names in requests:
        assert repr(kind(*names, two)) == repr(kind(*names, 2))


def test_a_number_that_is_auto_or_a_whole_gpu_is_taken() -> None:
    for gpus in ("auto", 0, 0.25, 1, 2):
        assert take_resources("extend", {"gpus_per_trial": gpus}, RunOptions).gpus_per_trial == gpus
