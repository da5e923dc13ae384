"""Adversarial networks: losses and updates against two networks that are trained apart by gradient tapes."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from tune_jobs.models.generative import gan
from tune_jobs.models.generative.gan_model import EVALUATION_SEED

SMALL: dict[str, Any] = {"input_shape": (8, 8, 1), "latent_dim": 3, "filters": 4, "depth": 2, "upsampling": 1}
IMAGES = np.random.default_rng(0).integers(0, 256, (6, 8, 8, 1), dtype=np.uint8)


def built(**arguments: Any) -> Any:
    keras.utils.set_random_seed(0)
    return gan.build(**(SMALL | arguments))


def softplus(x: Any) -> Any:
    return tf.math.log(1 + tf.exp(x))


def plain_losses(model: Any, loss: str, smoothing: float) -> tuple[Any, Any, Any]:
    """The critic's and the generator's loss as the papers write them, and the tape that saw them."""
    with tf.GradientTape(persistent=True) as tape:
        noise = keras.random.normal((6, 3), seed=EVALUATION_SEED)
        drawn, images = model.decode(noise), tf.cast(IMAGES, tf.float32) / 255
        real, fake = model.critic(images), model.critic(drawn)
        if loss == "hinge":
            critic, generator = tf.nn.relu(1 - real) + tf.nn.relu(1 + fake), -fake
        elif loss == "non-saturating":
            cross_entropy = keras.losses.BinaryCrossentropy(from_logits=True, reduction=None)
            targets = tf.ones_like(real)
            critic = cross_entropy((1 - smoothing) * targets, real) + cross_entropy(0 * targets, fake)
            generator = cross_entropy(targets, fake)
        else:
            share = keras.random.uniform((6, 1, 1, 1), seed=EVALUATION_SEED)
            between = share * images + (1 - share) * drawn
            with tf.GradientTape() as inner:
                inner.watch(between)
                rated = model.critic(between)
            slopes = tf.sqrt(tf.reduce_sum(inner.gradient(rated, between) ** 2, axis=(1, 2, 3)))
            critic, generator = tf.squeeze(fake - real, -1) + 10 * (slopes - 1) ** 2, -fake
        critic, generator = tf.reduce_mean(critic), tf.reduce_mean(generator)
    return critic, generator, tape


@pytest.mark.slow
@pytest.mark.parametrize(
    ("loss", "smoothing"), [("non-saturating", 0.0), ("non-saturating", 0.1), ("hinge", 0.0), ("wgan-gp", 0.0)]
)
def test_one_pass_has_the_gradients_of_both_losses(loss: str, smoothing: float) -> None:
    model = built(adversarial_loss=loss, label_smoothing=smoothing)
    for bias in model.critic.biases:
        bias.assign(np.random.default_rng(1).normal(size=bias.shape))
    of_critic, of_generator, plain = plain_losses(model, loss, smoothing)
    with tf.GradientTape(persistent=True) as tape:
        total = model.compute_loss(x=IMAGES, training=False)
    assert float(total) == pytest.approx(float(of_critic) + float(of_generator), rel=1e-5)
    for network, expected in ((model.critic, of_critic), (model.generator, of_generator)):
        weights = [weight.value for weight in network.trainable_weights]
        for found, own in zip(tape.gradient(total, weights), plain.gradient(expected, weights), strict=True):
            np.testing.assert_allclose(found, 0 if own is None else own, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("kernel_size", [2, 3, 4])
@pytest.mark.parametrize("shape", [(8, 8, 1), (7, 9, 3)])
def test_the_slope_in_closed_form_is_the_gradients_norm(kernel_size: int, shape: tuple[int, int, int]) -> None:
    critic = built(input_shape=shape, depth=3, kernel_size=kernel_size).critic
    images = tf.constant(np.random.default_rng(2).random((4, *shape), dtype=np.float32))
    with tf.GradientTape() as tape:
        tape.watch(images)
        rated = critic(images)
    norms = np.sqrt((tape.gradient(rated, images).numpy() ** 2).sum(axis=(1, 2, 3)))
    np.testing.assert_allclose(critic.slopes(images, critic.kernels_now(training=False)), norms, rtol=1e-4)


@pytest.mark.slow
def test_power_iteration_finds_the_largest_singular_value_of_each_kernel() -> None:
    critic = built(spectral_normalization=True).critic
    for _ in range(60):
        kernels = critic.kernels_now(training=True)
    for kernel, original in zip(kernels, critic.kernels, strict=True):
        matrix = np.asarray(original).reshape(-1, original.shape[-1])
        np.testing.assert_allclose(kernel, np.asarray(original) / np.linalg.norm(matrix, 2), rtol=1e-2)


def test_an_evaluation_leaves_the_singular_vectors_alone() -> None:
    critic = built(spectral_normalization=True).critic
    before = np.asarray(critic.singular_vectors[0])
    critic.kernels_now(training=False)
    np.testing.assert_array_equal(critic.singular_vectors[0], before)


def gradients_for(model: Any) -> list[Any]:
    return [0.1 * tf.ones(weight.shape) for weight in model.trainable_weights]


def changed(before: list[np.ndarray], weights: list[Any]) -> bool:
    return any((old != np.asarray(new)).any() for old, new in zip(before, weights, strict=True))


def test_the_generator_waits_for_the_critics_steps_and_each_has_its_own_rate() -> None:
    model = built(critic_steps=3, critic_rate=0.02, generator_rate=0.01)
    networks, turns = (model.generator, model.critic), []
    for _ in range(6):
        before = [[np.asarray(w) for w in net.trainable_weights] for net in networks]
        model.optimizer.apply(gradients_for(model), model.trainable_weights)
        turns.append([changed(old, net.trainable_weights) for old, net in zip(before, networks, strict=True)])
    assert turns == [[n in (2, 5), True] for n in range(6)]
    moved = np.abs(before[1][0] - np.asarray(model.critic.trainable_weights[0]))
    np.testing.assert_allclose(moved, 0.02, rtol=1e-3)  # Adam moves by its rate where the gradient is constant
    moved = np.abs(before[0][0] - np.asarray(model.generator.trainable_weights[0]))
    np.testing.assert_allclose(moved, 0.01, rtol=1e-3)


@pytest.mark.slow
def test_the_generator_ends_with_the_average_of_its_weights_and_the_critic_with_its_last() -> None:
    model = built(average=0.5, generator_rate=0.1)
    seen = []
    for _ in range(3):
        model.optimizer.apply(gradients_for(model), model.trainable_weights)
        seen.append([np.asarray(weight) for weight in model.generator.trainable_weights])
    critic = [np.asarray(weight) for weight in model.critic.trainable_weights]
    model.optimizer.finalize_variable_values(model.trainable_weights)
    for number, weight in enumerate(model.generator.trainable_weights):
        expected = 0.25 * seen[0][number] + 0.25 * seen[1][number] + 0.5 * seen[2][number]
        np.testing.assert_allclose(weight, expected, rtol=1e-5)
    assert not changed(critic, model.critic.trainable_weights)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"adversarial_loss": "least-squares"}, "adversarial_loss must be one of non-saturating, hinge, wgan-gp"),
        ({"adversarial_loss": "hinge", "label_smoothing": 0.1}, "label_smoothing is for the non-saturating loss"),
        ({"adversarial_loss": "wgan-gp", "spectral_normalization": True}, "leave out spectral_normalization"),
        ({"critic_steps": 0}, "critic_steps must be a whole number of at least 1; got 0"),
        ({"average": 1.0}, "average must be at least 0 and below 1; got 1.0"),
        ({"generator_rate": 0.0}, "learning_rate"),
    ],
)
def test_impossible_arguments_are_refused_in_one_line(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        built(**arguments)
