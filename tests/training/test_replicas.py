"""Several devices that train a trial together come to what one device comes to, and to what `fit` on them comes to."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def answer() -> dict[str, Any]:
    """What came out on one, two and four devices, all in one process: devices are divided before its first op."""
    program = [sys.executable, "-m", "tests.support.programs.several_devices"]
    return dict(json.loads(subprocess.run(program, capture_output=True, text=True, check=True).stdout))


def assert_same(one: dict[str, Any], other: dict[str, Any], tolerance: float = 1e-4) -> None:
    for ours, theirs in zip(one["history"], other["history"], strict=True):
        assert ours == pytest.approx(theirs, abs=tolerance)
    for ours, theirs in zip(one["weights"], other["weights"], strict=True):
        np.testing.assert_allclose(ours, theirs, atol=tolerance)


@pytest.mark.parametrize("n", ["two", "four"])
def test_scores_and_weights_are_those_of_one_device_whatever_a_batch_leaves_over(
    n: str, answer: dict[str, Any]
) -> None:
    assert_same(answer[n], answer["one"])
    assert answer[n]["score"] == pytest.approx(answer["one"]["score"], abs=1e-4)
    assert answer[n]["errors"] == answer["one"]["errors"]


def test_a_trial_repeats_to_the_last_digit(answer: dict[str, Any]) -> None:
    assert answer["two again"] == answer["two"]
    assert answer["own step again"] == answer["own step"]


def test_a_checkpoint_is_gone_on_from_on_as_many_devices_or_others(answer: dict[str, Any]) -> None:
    assert_same(answer["two resumed"], answer["two"], tolerance=0)
    assert_same(answer["four resumed from one"], answer["one"])


def test_half_precision_scales_the_loss_as_on_one_device(answer: dict[str, Any]) -> None:
    assert_same(answer["half, two"], answer["half, one"], tolerance=5e-3)


def test_streamed_batches_are_divided_too(answer: dict[str, Any]) -> None:
    assert_same(answer["streamed, two"], answer["streamed, one"])


def test_two_optimizers_in_one_each_get_the_gradient_of_the_whole_batch(answer: dict[str, Any]) -> None:
    assert_same(answer["two optimizers, two"], answer["two optimizers, one"])


def test_a_step_of_its_own_with_batch_normalization_is_trained_as_by_fit(answer: dict[str, Any]) -> None:
    ours, by_fit = answer["own step"], answer["own step by fit"]
    for epoch, expected in zip(ours["logs"], by_fit["logs"], strict=True):
        assert epoch == pytest.approx(expected, rel=1e-5)
    for weights, expected in zip(ours["weights"], by_fit["weights"], strict=True):
        np.testing.assert_allclose(weights, expected, atol=1e-6)


def test_an_optimizer_that_keras_cannot_divide_is_refused_in_a_line(answer: dict[str, Any]) -> None:
    for name, refusal in zip(
        ("gradient_accumulation_steps", "ema_overwrite_frequency"), answer["refused"], strict=True
    ):
        assert refusal == (
            f"an optimizer with {name} cannot train on 2 devices, in Keras: leave it out, or give a trial one GPU "
            "(--gpus-per-trial 1)"
        )


@pytest.mark.gpu
@pytest.mark.skipif(len(tf.config.list_physical_devices("GPU")) < 2, reason="there are no two GPUs")
def test_two_real_gpus_come_to_what_one_comes_to() -> None:
    def trained(n: int) -> dict[str, Any]:
        program = [sys.executable, "-m", "tests.support.programs.real_gpus", str(n)]
        return dict(json.loads(subprocess.run(program, capture_output=True, text=True, check=True).stdout))

    one, two = trained(1), trained(2)
    assert (one["devices"], two["devices"]) == (1, 2)
    assert two["score"] == pytest.approx(one["score"], abs=1e-3)
