"""A data set larger than memory: its batches are drawn while the model trains on them, and are never kept."""

import keras

import tune_jobs as tj

SIZES = {"train": 20_000, "validation": 2_000, "test": 2_000}


def waves(*, part, batch_size, seed, params):
    """Return batches of noisy waves `(B, 64)` with their frequencies `(B,)`."""
    import tensorflow as tf

    place = list(SIZES).index(part)

    def draw(number):
        frequency = tf.random.stateless_uniform([], [number, place], 1.0, 5.0)
        noise = tf.random.stateless_normal([64], [number, place + 3])
        return tf.sin(frequency * tf.linspace(0.0, 6.0, 64)) + 0.1 * noise, frequency

    numbers = tf.data.Dataset.range(SIZES[part])
    numbers = numbers.shuffle(10_000, seed=seed) if part == "train" else numbers
    return numbers.map(draw, num_parallel_calls=tf.data.AUTOTUNE).batch(batch_size)


def build(*, input_shape, units):
    hidden = [keras.layers.Dense(units, activation="relu") for _ in range(2)]
    return keras.Sequential([keras.Input(input_shape), *hidden, keras.layers.Dense(1)])


TASK = tj.Task(
    name="waves",
    dataset=tj.streamed(waves, version="1"),
    space=tj.Space(units=tj.Choice(32, 64), learning_rate=tj.Float(1e-3, 1e-2, log=True)),
    objective=tj.Objective("val_mae", "minimize"),
    protocol=tj.Protocol(epochs=5),
    build=build,
    loss="mse",
    metrics=["mae"],
)
