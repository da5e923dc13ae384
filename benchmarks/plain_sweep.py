"""The plain side of `sweep.py`: a sweep as the documentation of Ray Tune, Keras and MLflow shows how to write one.

It is a function trainable that reports each epoch of `model.fit`, with its data from `tune.with_parameters`, a grid
search, two trials at a time with one CPU each, and `MLflowLoggerCallback` on SQLite. It uses nothing of this project.
With `--expert` it has what an expert turns on: workers that are used again, 50 steps in one call, one thread a trial.
"""

import argparse
from pathlib import Path

import numpy as np
from ray import tune
from ray.air.integrations.mlflow import MLflowLoggerCallback

EXPERT_STEPS = 50  # in one call


def train(config, data, epochs, batch_size, is_expert):
    import keras

    if is_expert:
        import tensorflow as tf

        tf.config.threading.set_intra_op_parallelism_threads(1)
        tf.config.threading.set_inter_op_parallelism_threads(1)

    class ReportEachEpoch(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            tune.report(dict(logs))

    model = keras.Sequential(
        [
            keras.Input((28, 28)),
            keras.layers.Flatten(),
            keras.layers.Dense(128, activation=config["activation"], kernel_initializer=config["initializer"]),
            keras.layers.Dense(10, activation="softmax"),
        ]
    )
    optimizer = {"rmsprop": keras.optimizers.RMSprop, "adam": keras.optimizers.Adam}[config["optimizer"]["name"]]
    model.compile(
        optimizer=optimizer(learning_rate=config["optimizer"]["learning_rate"]),
        loss="sparse_categorical_crossentropy",
        metrics=["accuracy"],
        steps_per_execution=EXPERT_STEPS if is_expert else 1,
    )
    model.fit(
        data["x_train"],
        data["y_train"],
        epochs=epochs,
        batch_size=batch_size,
        validation_data=(data["x_val"], data["y_val"]),
        callbacks=[ReportEachEpoch()],
        verbose=0,
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="x_train, y_train, x_val and y_val in an .npz")
    parser.add_argument("--folder", type=Path, required=True, help="for Ray's results and MLflow's database")
    parser.add_argument("--activations", required=True, help="with commas between them")
    parser.add_argument("--initializers", required=True, help="with commas between them")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--max-concurrent", type=int, default=2)
    parser.add_argument("--expert", action="store_true", help="turn on what an expert turns on")
    options = parser.parse_args()

    with np.load(options.data) as arrays:
        data = {name: arrays[name] for name in arrays}
    for name in ("x_train", "x_val"):
        data[name] = data[name].astype("float32") / 255

    trainable = tune.with_parameters(
        train, data=data, epochs=options.epochs, batch_size=options.batch_size, is_expert=options.expert
    )
    tuner = tune.Tuner(
        tune.with_resources(trainable, {"cpu": 1}),
        param_space={
            "activation": tune.grid_search(options.activations.split(",")),
            "initializer": tune.grid_search(options.initializers.split(",")),
            "optimizer": tune.grid_search(
                [
                    {"name": "rmsprop", "learning_rate": 0.001},
                    {"name": "adam", "learning_rate": 0.001},
                    {"name": "adam", "learning_rate": 0.01},
                ]
            ),
        },
        tune_config=tune.TuneConfig(
            metric="val_accuracy",
            mode="max",
            max_concurrent_trials=options.max_concurrent,
            reuse_actors=options.expert,
        ),
        run_config=tune.RunConfig(
            name="plain",
            storage_path=str(options.folder / "ray_results"),
            callbacks=[
                MLflowLoggerCallback(tracking_uri=f"sqlite:///{options.folder / 'mlflow.db'}", experiment_name="plain")
            ],
        ),
    )
    best = tuner.fit().get_best_result()
    print(best.config, best.metrics["val_accuracy"])


if __name__ == "__main__":
    main()
