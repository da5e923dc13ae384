"""A task of one's own from a sweep to predictions: search, more seeds for the best, the test split, the best model.

Run it with `python examples/own_task.py`. It takes about a minute on two cores and leaves the study in `./sweeps`; run
again, it trains nothing twice.
"""

import numpy as np

import tune_jobs as tj


def load_data():
    """Return ((x, labels), (x_test, labels_test)), as `keras.datasets` do: bars of 8 x 8 pixels in four directions."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 4, 1000)
    images = rng.integers(0, 90, (1000, 8, 8, 1))  # noise
    for image, label, place in zip(images, labels, rng.integers(1, 7, 1000), strict=True):
        column = np.tile(np.arange(8) == place, (8, 1))
        diagonal = np.eye(8, k=place - 4, dtype=bool)
        bars = (column, column.T, diagonal, diagonal[:, ::-1])
        image[bars[label]] += 110
    images = images.astype(np.uint8)
    return (images[:800], labels[:800]), (images[800:], labels[800:])


def build(*, input_shape, head, filters, units):
    """Return a small network; `head` adds the outputs that the encoding needs."""
    import keras

    inputs = keras.Input(input_shape, dtype="uint8")
    x = keras.layers.Rescaling(1 / 255)(inputs)
    x = keras.layers.Conv2D(filters, 3, activation="relu")(x)
    x = keras.layers.Flatten()(x)
    x = keras.layers.Dense(units, activation="relu")(x)
    return keras.Model(inputs, head(x))


TASK = tj.Task(
    name="bars",
    summary="the direction of a bar in a noisy image",
    dataset=load_data,
    space=tj.Space(
        filters=tj.Choice(4, 8),
        units=tj.Int(8, 32),
        optimizer=tj.Variants(
            adam=tj.Space(learning_rate=tj.Float(1e-4, 1e-1, log=True)),
            sgd=tj.Space(learning_rate=tj.Float(1e-3, 1.0, log=True), momentum=tj.Choice(0.0, 0.9)),
        ),
    ),
    objective=tj.Objective("val_accuracy", "maximize"),
    protocol=tj.Protocol(epochs=8, patience=3, batch_size=32, validation=0.25),
    baseline={"filters": 4, "units": 16, "optimizer": "adam", "learning_rate": 0.001},
    build=build,
    encoding=tj.Classes(4),
)


def main():
    study = tj.launch(TASK, trials=8, max_concurrent=2, keep_weights=True, home="sweeps")
    study.replicate(top=2, seeds=2)
    study.evaluate(top=1)
    print(study.leaderboard(top=3))

    model = study.best_model()
    images, labels = load_data()[1]
    read = TASK.encoding.decode(model.predict(images[:10], verbose=0))
    print("true ", *labels[:10])
    print("read ", *read)


if __name__ == "__main__":
    main()
