"""A table to a number: ten measurements of a patient to the progression of diabetes after a year (scikit-learn's)."""

import keras
from sklearn.datasets import load_diabetes

import tune_jobs as tj


def load_data():
    x, y = load_diabetes(return_X_y=True, as_frame=True)  # pandas' frames are taken as they are
    return tj.Data((x, y), test=0.2)


def build(*, input_shape, x_train, head, width, dropout):
    scale = keras.layers.Normalization()
    scale.adapt(x_train)
    inputs = keras.Input(input_shape)
    x = keras.layers.Dense(width, activation="relu")(scale(inputs))
    return keras.Model(inputs, head(keras.layers.Dropout(dropout)(x)))


TASK = tj.Task(
    "diabetes",
    tj.Space(
        width=tj.Int(8, 64, log=True),
        dropout=tj.Float(0.0, 0.5),
        optimizer=tj.Variants(
            adam=tj.Space(learning_rate=tj.Float(1e-3, 1e-1, log=True)),
            Lion=tj.Space(learning_rate=tj.Float(1e-4, 1e-2, log=True), weight_decay=tj.Choice(0.01, 0.1)),
        ),
    ),
    tj.Objective("val_mae", "minimize"),
    summary="the progression of diabetes",
    dataset=load_data,
    protocol=tj.Protocol(epochs=60, patience=10, batch_size=32, validation=0.25),
    build=build,
    encoding=tj.Regression("points"),
)
