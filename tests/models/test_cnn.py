from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from tune_jobs.models import cnn
from tune_jobs.models.label_encodings import Classes

TEN = Classes(10)


def built(**knobs: Any) -> keras.Model:
    return cnn.build(**{"input_shape": (8, 8, 1), "head": TEN.head, "filters": "3-4", "units": 6, **knobs})


def kinds(model: keras.Model) -> list[str]:
    return [type(layer).__name__ for layer in model.layers]


def test_a_padded_and_pooled_network_has_the_weights_its_shapes_ask_for() -> None:
    convolutions = (3 * 3 * 1 * 3 + 3) + (3 * 3 * 3 * 4 + 4)
    features = (8 // 2 // 2) ** 2 * 4
    assert built().count_params() == convolutions + (features * 6 + 6) + (6 * 10 + 10)


def test_valid_padding_takes_kernel_size_less_one_from_each_side() -> None:
    model = built(padding="valid", input_shape=(12, 13, 2), kernel_size=2)
    convolutions = (2 * 2 * 2 * 3 + 3) + (2 * 2 * 3 * 4 + 4)
    features = ((12 - 1) // 2 - 1) // 2 * (((13 - 1) // 2 - 1) // 2) * 4
    assert model.count_params() == convolutions + (features * 6 + 6) + (6 * 10 + 10)


def test_a_stage_runs_convolution_batch_norm_activation_then_pooling_then_dropout() -> None:
    model = built(batch_norm=True, dropout="with", dropout_rate=0.2)
    inner = ["BatchNormalization", "Activation"]
    stage = ["Conv2D", *inner, "MaxPooling2D", "Dropout"]
    dense = ["Dense", *inner, "Dropout"]
    assert kinds(model) == ["InputLayer", "Rescaling", *stage, *stage, "Flatten", *dense, "Dense"]
    assert [layer.rate for layer in model.layers if isinstance(layer, keras.layers.Dropout)] == [0.2] * 3


def test_stages_hold_pool_every_convolutions_and_the_last_may_be_shorter() -> None:
    model = built(filters="2-3-4-5-6", pool_every=2, pooling="average", dropout="with", dropout_rate=0.2, units="none")
    two = ["Conv2D", "Activation", "Conv2D", "Activation", "AveragePooling2D", "Dropout"]
    one = ["Conv2D", "Activation", "AveragePooling2D", "Dropout"]
    assert kinds(model) == ["InputLayer", "Rescaling", *two, *two, *one, "Flatten", "Dense"]
    assert [layer.filters for layer in model.layers if isinstance(layer, keras.layers.Conv2D)] == [2, 3, 4, 5, 6]


def test_strides_are_those_of_the_first_convolution_alone() -> None:
    model = built(filters="2-3/4", strides=2, input_shape=(15, 16, 1))
    assert [layer.strides for layer in model.layers if isinstance(layer, keras.layers.Conv2D)] == [
        (2, 2),
        (1, 1),
        (1, 1),
    ]
    assert model.get_layer("stage_1_pooling").output.shape == (None, 4, 4, 3)  # 15 and 16 both become 8, then halve


@pytest.mark.parametrize("kind", ["batch", "layer"])
def test_dense_layers_may_have_a_dropout_before_and_a_normalization_after_the_first(kind: str) -> None:
    model = built(units="6-5", flatten_dropout_rate=0.4, dense_normalization=kind, activation="leaky_relu")
    normalization = {"batch": "BatchNormalization", "layer": "LayerNormalization"}[kind]
    first, second = ["Dense", "Activation", normalization], ["Dense", "Activation"]
    after_flatten = kinds(model)[kinds(model).index("Flatten") + 1 :]
    assert after_flatten == ["Dropout", *first, *second, "Dense"]
    assert model.get_layer("flatten_dropout").rate == 0.4


def test_slashes_say_where_stages_of_unequal_length_end() -> None:
    model = built(filters="2/3-4", dropout="with", dropout_rate=0.2, units="none")
    one = ["Conv2D", "Activation", "MaxPooling2D", "Dropout"]
    two = ["Conv2D", "Activation", *one]
    assert kinds(model) == ["InputLayer", "Rescaling", *one, *two, "Flatten", "Dense"]
    assert [layer.filters for layer in model.layers if isinstance(layer, keras.layers.Conv2D)] == [2, 3, 4]


@pytest.mark.parametrize(
    ("filters", "pool_every", "slashed"), [("2-3-4-5", 2, "2-3/4-5"), ("2-3-4", 1, "2/3/4"), ("2-3-4", 2, "2-3/4")]
)
def test_stages_may_be_counted_or_written_with_slashes(filters: str, pool_every: int, slashed: str) -> None:
    counted, written = built(filters=filters, pool_every=pool_every), built(filters=slashed)
    assert [layer.name for layer in written.layers] == [layer.name for layer in counted.layers]
    assert [weight.shape for weight in written.weights] == [weight.shape for weight in counted.weights]


@pytest.mark.parametrize(
    ("kernel_size", "sides"), [("5-1-2", (5, 1, 2)), ("5-2", (5, 2, 2)), ("4", (4, 4, 4)), (3, (3, 3, 3))]
)
def test_kernel_sizes_are_those_of_the_first_convolutions_and_the_last_of_all_others(
    kernel_size: int | str, sides: tuple[int, ...]
) -> None:
    model = built(filters="2/3-4", kernel_size=kernel_size, units="none")
    kernels = [layer.kernel.shape for layer in model.layers if isinstance(layer, keras.layers.Conv2D)]
    assert kernels == [(side, side, *widths) for side, widths in zip(sides, ((1, 2), (2, 3), (3, 4)), strict=True)]


@pytest.mark.parametrize("side", range(1, 14))
@pytest.mark.parametrize("kernel_size", ["5-1-2", "1-2-5", "3-3-3"])
def test_convolutions_of_their_own_sizes_are_followed_through_the_stages(kernel_size: str, side: int) -> None:
    first, second, third = (int(kernel) for kernel in kernel_size.split("-"))
    size = max(0, side - first + 1) // 2
    size = max(0, size - second + 1 - third + 1) // 2
    knobs = {"filters": "2/3-4", "kernel_size": kernel_size, "padding": "valid", "input_shape": (side, side + 1, 1)}
    if size:
        assert built(**knobs).get_layer("flatten").output.shape[1] >= size * size * 4
    else:
        with pytest.raises(ValueError, match="images are too small"):
            built(**knobs)


@pytest.mark.parametrize(
    ("knobs", "rates"),
    [
        ({"dropout_rate": 0.2}, [0.2, 0.2, 0.2, 0.2]),
        ({"dropout_rate": 0.2, "dense_dropout_rate": 0.5}, [0.2, 0.2, 0.5, 0.5]),
        ({"dropout_rate": 0.0, "dense_dropout_rate": 0.5}, [0.5, 0.5]),
        ({"dropout_rate": 0.2, "dense_dropout_rate": 0.0}, [0.2, 0.2]),
    ],
)
def test_dense_layers_may_drop_at_a_rate_of_their_own(knobs: dict[str, float], rates: list[float]) -> None:
    model = built(units="7-6", dropout="with", **knobs)
    assert [layer.rate for layer in model.layers if isinstance(layer, keras.layers.Dropout)] == rates


def test_without_pooling_images_keep_their_size_and_stages_still_end_in_dropout() -> None:
    model = built(pooling="none", dropout="with", dropout_rate=0.2, units="none")
    assert kinds(model)[2:-2] == ["Conv2D", "Activation", "Dropout"] * 2
    assert model.get_layer("flatten").output.shape == (None, 8 * 8 * 4)


def test_units_are_a_label_of_dense_widths() -> None:
    model = built(units="7-6")
    assert [model.get_layer(name).units for name in ("dense_1", "dense_2", "logits")] == [7, 6, 10]


def test_layers_under_batch_norm_have_no_bias() -> None:
    model = built(batch_norm=True)
    assert [model.get_layer(name).use_bias for name in ("convolution_1", "convolution_2", "dense_1")] == [False] * 3
    assert model.get_layer("logits").use_bias


def test_a_regularizer_penalizes_the_hidden_kernels_and_nothing_else() -> None:
    model = built(regularizer="l1", factor=0.5)
    for weight in model.weights:
        weight.assign(keras.ops.ones_like(weight))
    kernels = 3 * 3 * 1 * 3 + 3 * 3 * 3 * 4 + 2 * 2 * 4 * 6
    assert sum(float(loss) for loss in model.losses) == pytest.approx(0.5 * kernels)


def test_two_builds_after_the_same_seed_have_equal_weights() -> None:
    def weights() -> list[np.ndarray]:
        keras.utils.set_random_seed(7)
        return built(initializer="orthogonal").get_weights()

    assert all(np.array_equal(first, second) for first, second in zip(weights(), weights(), strict=True))


def test_as_many_poolings_as_the_image_can_be_halved_are_built() -> None:
    assert built(filters="2-2-2").get_layer("flatten").output.shape == (None, 1 * 1 * 2)


@pytest.mark.parametrize(
    ("knobs", "message"),
    [
        ({"filters": "2-2-2-2"}, "8 x 8 images are too small for 4 poolings, 3 leave nothing to halve"),
        ({"input_shape": (8, 3, 1)}, "8 x 3 images are too small for 2 poolings, 1 leave nothing to halve"),
        ({"padding": "valid", "kernel_size": 9}, "8 x 8 images are too small for the convolutions up to stage 1 of 2"),
        ({"padding": "valid", "kernel_size": 5}, "8 x 8 images are too small for the convolutions up to stage 2 of 2"),
        ({"filters": "2-2-2", "strides": 2}, "8 x 8 images are too small for 3 poolings, 2 leave nothing to halve"),
        ({"strides": 0}, "strides must be a whole number of at least 1; got 0"),
        ({"flatten_dropout_rate": 1.0}, "flatten_dropout_rate must be"),
        ({"dense_normalization": "group"}, "dense_normalization must be one of none, batch, layer; got 'group'"),
        ({"dense_normalization": "batch", "units": "none"}, "dense_normalization='batch' needs a dense layer"),
        ({"pooling": "min"}, "pooling must be one of max, average, none; got 'min'"),
        ({"padding": "full"}, "padding must be one of same, valid; got 'full'"),
        ({"pool_every": 0}, "pool_every must be a whole number of at least 1; got 0"),
        ({"kernel_size": 0}, "kernel_size must be a width of at least 1 or a label of widths such as '64-128'; got 0"),
        ({"kernel_size": "3-3-3"}, "kernel_size='3-3-3' has 3 sizes for 2 convolutions"),
        ({"padding": "valid", "kernel_size": "2-7"}, "up to stage 2 of 2, each taking 6 pixels"),
        ({"filters": "2/3", "pool_every": 2}, "filters='2/3' says where stages end: leave out pool_every; got 2"),
        ({"filters": "2//3"}, "filters must be a width"),
        ({"filters": "2/3/"}, "filters must be a width"),
        ({"filters": "2/2/2-2/2"}, "8 x 8 images are too small for 4 poolings, 3 leave nothing to halve"),
        ({"dense_dropout_rate": 0.5}, "got dropout='without' with 0.0 and 0.5"),
        ({"augmentation": "rotate"}, "augmentation must be none, or some of flip, .*; got 'rotate'"),
        ({"pixels": "shuffled"}, "pixels must be one of original, permuted; got 'shuffled'"),
        ({"filters": "none"}, "filters must be a width"),
        ({"input_shape": (8, 8)}, "input_shape must be 3 sizes"),
        ({"dropout_rate": 0.5}, "dropout='without' needs 0"),
    ],
)
def test_a_wrong_argument_is_refused_in_one_line(knobs: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message) as refusal:
        built(**knobs)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize("pooling", ["max", "none"])
@pytest.mark.parametrize("kernel_size", [1, 2, 4])
@pytest.mark.parametrize("side", [1, 2, 5, 7, 10])
def test_what_is_too_small_for_keras_is_refused_here_and_nothing_else(
    padding: str, pooling: str, kernel_size: int, side: int
) -> None:
    size = side
    for _ in range(2):
        size = size - kernel_size + 1 if padding == "valid" else size
        size = size // 2 if pooling == "max" and size > 0 else size
        fits = size > 0
        if not fits:
            break
    knobs = {"padding": padding, "pooling": pooling, "kernel_size": kernel_size, "input_shape": (side, side, 1)}
    if fits:
        assert built(**knobs).get_layer("flatten").output.shape == (None, size * size * 4)
    else:
        with pytest.raises(ValueError, match="images are too small"):
            built(**knobs)
