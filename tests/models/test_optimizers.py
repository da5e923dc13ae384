from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from tune_jobs.models import mlp, optimizers
from tune_jobs.models.label_encodings import Classes

TEN = Classes(10)


def built(**knobs: Any) -> keras.optimizers.Optimizer:
    return optimizers.build(**{"steps_per_epoch": 4, "epochs": 5, **knobs})


def stepped(optimizer: keras.optimizers.Optimizer, gradients: list[float], *, start: float = 1.0) -> float:
    """Where a lone weight is after one step for each gradient."""
    weight = keras.Variable([start], name="kernel")
    for gradient in gradients:
        optimizer.apply([keras.ops.array([gradient])], [weight])
    return float(weight.numpy()[0])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("knobs", "kind"),
    [
        ({"optimizer": "sgd"}, "SGD"),
        ({"optimizer": "rmsprop"}, "RMSprop"),
        ({"optimizer": "adam"}, "Adam"),
        ({"optimizer": "adamw", "weight_decay": 0.01}, "AdamW"),
        ({"optimizer": "nadam"}, "Nadam"),
        ({"optimizer": "adadelta"}, "Adadelta"),
    ],
)
def test_every_optimizer_lowers_the_loss_of_a_small_network(knobs: dict[str, Any], kind: str) -> None:
    keras.utils.set_random_seed(1)
    model = mlp.build(input_shape=(4, 4, 1), head=TEN.head, units=8)
    made = built(learning_rate=0.01, schedule="cosine", warmup_epochs=1, clip_norm=1.0, **knobs)
    model.compile(optimizer=made, loss=TEN.loss(), metrics=TEN.metrics())
    images = np.random.default_rng(0).integers(0, 256, (32, 4, 4, 1), dtype=np.uint8)
    history = model.fit(images, TEN.targets(np.arange(32) % 10), batch_size=8, epochs=5, verbose=0).history
    assert type(made).__name__ == kind
    assert history["loss"][-1] < history["loss"][0]


def test_plain_gradient_descent_goes_down_by_rate_times_gradient() -> None:
    assert stepped(built(optimizer="sgd", learning_rate=0.1), [2.0]) == pytest.approx(1.0 - 0.1 * 2.0)


def test_momentum_carries_part_of_the_last_step() -> None:
    moved = stepped(built(optimizer="sgd", learning_rate=0.1, momentum=0.5), [2.0, 2.0])
    assert moved == pytest.approx(1.0 - 0.2 - (0.5 * 0.2 + 0.2))


def test_nesterov_looks_one_step_ahead() -> None:
    # Sutskever et al. 2013 in the form Keras documents: v = m v - r g; w = w + m v - r g.
    moved = stepped(built(optimizer="sgd", learning_rate=0.1, momentum=0.5, nesterov=True), [2.0])
    assert moved == pytest.approx(1.0 + 0.5 * -0.2 - 0.2)


def test_nesterov_without_momentum_is_plain_gradient_descent() -> None:
    assert stepped(built(optimizer="sgd", learning_rate=0.1, nesterov=True), [2.0]) == pytest.approx(0.8)


def test_weight_decay_shrinks_a_kernel_that_has_no_gradient() -> None:
    made = built(optimizer="adamw", learning_rate=0.1, weight_decay=0.02)
    assert stepped(made, [0.0], start=5.0) == pytest.approx(5.0 * (1 - 0.1 * 0.02))


@pytest.mark.parametrize("name", ["bias", "gamma", "beta"])
def test_weight_decay_leaves_biases_and_normalizations_alone(name: str) -> None:
    weight = keras.Variable([5.0], name=name)
    built(optimizer="adamw", learning_rate=0.1, weight_decay=0.02).apply([keras.ops.array([0.0])], [weight])
    assert float(weight.numpy()[0]) == 5.0


def test_clip_norm_bounds_the_norm_of_all_gradients_together() -> None:
    weights = [keras.Variable([0.0], name="kernel"), keras.Variable([0.0], name="kernel")]
    gradients = [keras.ops.array([3.0]), keras.ops.array([4.0])]
    built(optimizer="sgd", learning_rate=1.0, clip_norm=1.0).apply(gradients, weights)
    assert [float(weight.numpy()[0]) for weight in weights] == pytest.approx([-3 / 5, -4 / 5])


def test_the_schedule_reaches_the_optimizer_and_follows_its_steps() -> None:
    made = built(optimizer="sgd", learning_rate=0.4, warmup_epochs=1)
    assert stepped(made, [1.0] * 5, start=0.0) == pytest.approx(-0.4 * (1 / 4 + 2 / 4 + 3 / 4 + 1 + 1))


def test_rho_and_betas_reach_their_optimizers() -> None:
    assert built(optimizer="rmsprop", rho=0.8, momentum=0.1).get_config()["rho"] == 0.8
    config = built(optimizer="adam", beta_1=0.8, beta_2=0.9).get_config()
    assert (config["beta_1"], config["beta_2"]) == (0.8, 0.9)
    config = built(optimizer="nadam", beta_1=0.8, beta_2=0.9).get_config()
    assert (config["beta_1"], config["beta_2"]) == (0.8, 0.9)


def test_nadam_takes_the_step_of_dozat_2016() -> None:
    # Algorithm 2 with the warming momentum of section 3.2, mu_t = b1 (1 - 0.96^t / 2); t = 1 from moments of zero.
    first, second = (0.9 * (1 - 0.96**t / 2) for t in (1, 2))
    gradient, squared = 2.0, 2.0**2  # the second moment without its bias is the square itself
    momentum = second * 0.1 * gradient / (1 - first * second) + (1 - first) * gradient / (1 - first)
    moved = stepped(built(optimizer="nadam", learning_rate=0.1), [gradient])
    assert moved == pytest.approx(1.0 - 0.1 * momentum / squared**0.5, rel=1e-5)


def test_adadelta_takes_the_step_of_zeiler_2012_times_the_learning_rate() -> None:
    # Algorithm 1 with rho 0.95 and an epsilon of 1e-7, Keras' own: no update has been seen before the first.
    rate = 0.5 * (1e-7) ** 0.5 / (0.05 * 2.0**2 + 1e-7) ** 0.5
    moved = stepped(built(optimizer="adadelta", learning_rate=0.5), [2.0], start=0.0)
    assert moved == pytest.approx(-rate * 2.0, rel=1e-4)


@pytest.mark.parametrize(
    ("knobs", "message"),
    [
        ({"optimizer": "lion"}, "optimizer must be one of sgd, rmsprop, adam, adamw, nadam, adadelta; got 'lion'"),
        ({"optimizer": "adam", "momentum": 0.9}, "momentum is for sgd and rmsprop; got 0.9 with adam"),
        ({"optimizer": "rmsprop", "nesterov": True}, "nesterov is for sgd; got True with rmsprop"),
        ({"optimizer": "sgd", "rho": 0.8}, "rho is for rmsprop; got 0.8 with sgd"),
        ({"optimizer": "sgd", "beta_1": 0.8}, "beta_1 is for adam and adamw and nadam; got 0.8 with sgd"),
        ({"optimizer": "sgd", "beta_2": 0.8}, "beta_2 is for adam and adamw and nadam; got 0.8 with sgd"),
        ({"optimizer": "nadam", "momentum": 0.9}, "momentum is for sgd and rmsprop; got 0.9 with nadam"),
        ({"optimizer": "adadelta", "rho": 0.8}, "rho is for rmsprop; got 0.8 with adadelta"),
        ({"optimizer": "adam", "weight_decay": 0.1}, "weight_decay is for adamw; got 0.1 with adam"),
        ({"optimizer": "adamw"}, "adamw needs weight_decay above 0, or it is adam; got 0.0"),
        ({"optimizer": "sgd", "momentum": 1.0}, "momentum must be at least 0 and below 1; got 1.0"),
        ({"optimizer": "sgd", "nesterov": "no"}, "nesterov must be True or False; got 'no'"),
        ({"clip_norm": 0.0}, "clip_norm must be a finite number above 0; got 0.0"),
        ({"epochs": 0}, "epochs must be a whole number of at least 1; got 0"),
        ({"steps_per_epoch": 0}, "steps_per_epoch must be a whole number of at least 1; got 0"),
        ({"schedule": "linear"}, "schedule must be one of constant"),
    ],
)
def test_a_wrong_or_idle_knob_is_refused_in_one_line(knobs: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message) as refusal:
        built(**knobs)
    assert "\n" not in str(refusal.value)
