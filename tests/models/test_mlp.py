from __future__ import annotations

import itertools
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from tune_jobs.models import mlp
from tune_jobs.models.label_encodings import Classes

TEN = Classes(10)


def built(**knobs: Any) -> keras.Model:
    return mlp.build(**{"input_shape": (4, 4, 1), "head": TEN.head, **knobs})


def kinds(model: keras.Model) -> list[str]:
    return [type(layer).__name__ for layer in model.layers]


@pytest.mark.parametrize(
    "module",
    ["mlp", "cnn", "pictures", "optimizers", "schedules", "label_encodings", "hidden_layers", "generative.gan"],
)
def test_importing_a_module_of_models_brings_neither_keras_nor_tensorflow(module: str) -> None:
    root = Path(__file__).parents[2]
    script = f"import sys, tune_jobs.models.{module}; print(sorted({{'keras', 'tensorflow'}} & set(sys.modules)))"
    ran = subprocess.run(
        [sys.executable, "-c", script],
        check=True,
        capture_output=True,
        text=True,
        cwd=root,
        env={**os.environ, "PYTHONPATH": str(root)},
    )
    assert ran.stdout == "[]\n"


def test_the_plain_network_of_fashion_mnist_has_the_weights_of_a_784_128_10_perceptron() -> None:
    model = built(input_shape=(28, 28, 1))
    assert model.count_params() == 784 * 128 + 128 + 128 * 10 + 10


def test_units_are_a_sequence_of_widths_that_is_repeated_layers_times() -> None:
    model = built(units="6-5", layers=2)
    widths = [16, 6, 5, 6, 5, 10]
    assert model.count_params() == sum(fan_in * out + out for fan_in, out in itertools.pairwise(widths))


def test_hidden_layers_run_dense_then_batch_norm_then_activation_then_dropout() -> None:
    model = built(units="6-5", batch_norm=True, dropout="with", dropout_rate=0.3)
    hidden = ["Dense", "BatchNormalization", "Activation", "Dropout"]
    assert kinds(model) == ["InputLayer", "Rescaling", "Flatten", *hidden, *hidden, "Dense"]
    assert [layer.rate for layer in model.layers if isinstance(layer, keras.layers.Dropout)] == [0.3, 0.3]


def test_dense_layers_under_batch_norm_have_no_bias_but_the_logits_have() -> None:
    model = built(units=6, batch_norm=True)
    assert not model.get_layer("dense_1").use_bias
    assert model.get_layer("logits").use_bias
    assert model.count_params() == 16 * 6 + 4 * 6 + 6 * 10 + 10


def test_a_regularizer_penalizes_the_hidden_kernels_and_nothing_else() -> None:
    model = built(units="6-5", regularizer="l2", factor=0.5)
    for weight in model.weights:
        weight.assign(keras.ops.ones_like(weight))
    assert sum(float(loss) for loss in model.losses) == pytest.approx(0.5 * (16 * 6 + 6 * 5))


def test_bytes_are_scaled_to_one_before_the_first_kernel() -> None:
    model = built(input_shape=(1,), units=1, activation="tanh", head=lambda features: features)
    model.set_weights([np.array([[2.0]]), np.array([0.25])])
    images = np.array([[0], [51], [255]], dtype=np.uint8)
    np.testing.assert_allclose(model(images), np.tanh(2.0 * images / 255 + 0.25), rtol=1e-6)


def test_the_input_is_bytes_named_images() -> None:
    (images,) = built().inputs
    assert (images.name, images.dtype, images.shape) == ("images", "uint8", (None, 4, 4, 1))


def test_two_builds_after_the_same_seed_have_equal_weights_and_another_seed_has_others() -> None:
    def weights(seed: int) -> list[np.ndarray]:
        keras.utils.set_random_seed(seed)
        return built(units="6-5", initializer="he_normal").get_weights()

    again = zip(weights(7), weights(7), strict=True)
    assert all(np.array_equal(first, second) for first, second in again)
    assert not np.array_equal(weights(7)[0], weights(8)[0])


def test_the_names_of_layers_do_not_depend_on_what_was_built_before() -> None:
    assert [layer.name for layer in built().layers] == [layer.name for layer in built().layers]


def test_small_and_large_normal_starts_are_reached_by_the_scale() -> None:
    for scale in (0.01, 10.0):
        kernel = built(input_shape=(28, 28, 1), initializer="random_normal", initializer_scale=scale).get_weights()[0]
        assert np.std(kernel) == pytest.approx(0.05 * scale, rel=0.02)


@pytest.mark.parametrize(
    ("knobs", "message"),
    [
        ({"units": "none"}, "units must be a width"),
        ({"layers": 0}, "layers must be a whole number of at least 1; got 0"),
        ({"input_shape": ()}, "input_shape must be one or more sizes"),
        ({"activation": "softmax"}, "activation must be one of relu"),
        ({"augmentation": "flips"}, r"augmentation must be none, or some of .*; got 'flips'"),
        ({"pixels": "none"}, "pixels must be one of original, permuted; got 'none'"),
    ],
)
def test_a_wrong_argument_is_refused_by_name(knobs: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        built(**knobs)
