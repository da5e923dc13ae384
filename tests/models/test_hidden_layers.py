from __future__ import annotations

import math
from typing import Any

import keras
import numpy as np
import pytest

from tune_jobs.models import hidden_layers
from tune_jobs.models.hidden_layers import HiddenLayers

KNOBS: dict[str, Any] = {
    "initializer": "glorot_uniform",
    "initializer_scale": 1.0,
    "activation": "relu",
    "regularizer": "none",
    "factor": 0.01,
    "dropout": "without",
    "dropout_rate": 0.0,
    "batch_norm": False,
}
FAN_IN, FAN_OUT = 200, 100

# Standard deviations after Glorot and Bengio 2010, He et al. 2015 and LeCun et al. 1998; 0.05 is Keras' own for the
# plain ones (a bound, so divided by the root of 3, for the uniform); an orthogonal (200, 100) has columns of norm 1.
STDDEV = {
    "random_normal": 0.05,
    "random_uniform": 0.05 / math.sqrt(3),
    "glorot_normal": math.sqrt(2 / (FAN_IN + FAN_OUT)),
    "glorot_uniform": math.sqrt(2 / (FAN_IN + FAN_OUT)),
    "he_normal": math.sqrt(2 / FAN_IN),
    "he_uniform": math.sqrt(2 / FAN_IN),
    "lecun_normal": math.sqrt(1 / FAN_IN),
    "lecun_uniform": math.sqrt(1 / FAN_IN),
    "orthogonal": math.sqrt(1 / FAN_IN),
}


def drawn(name: str, scale: float) -> np.ndarray:
    keras.utils.set_random_seed(3)
    return keras.ops.convert_to_numpy(hidden_layers.initializer(name, scale)((FAN_IN, FAN_OUT)))


@pytest.mark.parametrize("name", hidden_layers.INITIALIZERS)
def test_an_initializer_has_the_spread_its_paper_gives_it(name: str) -> None:
    assert np.std(drawn(name, 1.0)) == pytest.approx(STDDEV[name], rel=0.03)


@pytest.mark.parametrize("name", hidden_layers.INITIALIZERS)
@pytest.mark.parametrize("scale", [0.1, 3.0])
def test_the_scale_multiplies_every_value_an_initializer_draws(name: str, scale: float) -> None:
    np.testing.assert_allclose(drawn(name, scale), scale * drawn(name, 1.0), rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize(("name", "penalty"), [("l1", 0.1 * (1 + 2 + 3)), ("l2", 0.1 * (1 + 4 + 9))])
def test_a_regularizer_is_its_factor_times_the_sum(name: str, penalty: float) -> None:
    made = hidden_layers.regularizer(name, 0.1)
    assert float(made(keras.ops.array([1.0, -2.0, 3.0]))) == pytest.approx(penalty)


@pytest.mark.parametrize("name", ["l1", "l2"])
def test_the_default_factor_is_that_of_keras(name: str) -> None:
    weights = keras.ops.array([1.0, -2.0])
    ours = hidden_layers.regularizer(name, hidden_layers.DEFAULT_FACTOR)
    assert float(ours(weights)) == pytest.approx(float(keras.regularizers.get(name)(weights)))


@pytest.mark.parametrize("name", hidden_layers.ACTIVATIONS)
def test_every_activation_is_known_to_keras(name: str) -> None:
    hidden = HiddenLayers(**{**KNOBS, "activation": name})
    assert hidden.dense(keras.Input((4,)), 3, number=1).shape == (None, 3)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"initializer": "xavier"}, "initializer must be one of random_normal, .*orthogonal; got 'xavier'"),
        ({"initializer_scale": 0.0}, "initializer_scale must be a finite number above 0; got 0.0"),
        ({"activation": "RELU"}, "activation must be one of relu, .*tanh; got 'RELU'"),
        ({"regularizer": "l3"}, "regularizer must be one of none, l1, l2; got 'l3'"),
        ({"regularizer": "l1", "factor": -1.0}, "factor must be a finite number above 0; got -1.0"),
        ({"factor": 0.1}, "factor=0.1 needs a regularizer, l1 or l2; got 'none'"),
        ({"dropout": "yes"}, "dropout must be one of without, with; got 'yes'"),
        ({"dropout": "with"}, "got dropout='with' with 0.0"),
        ({"dropout_rate": 0.3}, "got dropout='without' with 0.3"),
        ({"dropout": "with", "dropout_rate": 1.0}, "dropout_rate must be at least 0 and below 1; got 1.0"),
        ({"dense_dropout_rate": 0.3}, "got dropout='without' with 0.0 and 0.3"),
        ({"dropout": "with", "dense_dropout_rate": 0.0}, "got dropout='with' with 0.0 and 0.0"),
        (
            {"dropout": "with", "dense_dropout_rate": -0.1},
            "dense_dropout_rate must be at least 0 and below 1; got -0.1",
        ),
        ({"batch_norm": 1}, "batch_norm must be True or False; got 1"),
    ],
)
def test_a_wrong_or_idle_knob_is_refused_in_one_line(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message) as refusal:
        HiddenLayers(**{**KNOBS, **changed})
    assert "\n" not in str(refusal.value)


def test_layers_of_one_shape_start_from_different_kernels() -> None:
    hidden = HiddenLayers(**KNOBS)
    inputs = keras.Input((6,))
    first = hidden.dense(inputs, 6, number=1)
    model = keras.Model(inputs, hidden.dense(first, 6, number=2))
    kernels = [model.get_layer(f"dense_{number}").get_weights()[0] for number in (1, 2)]
    assert not np.array_equal(*kernels)
