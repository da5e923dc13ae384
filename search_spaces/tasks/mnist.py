"""MNIST, 28 x 28 handwritten digits: open spaces around two well-known examples of Keras."""

from __future__ import annotations

from collections.abc import Mapping

from tune_jobs.models import cnn, mlp
from tune_jobs.models.label_encodings import Classes
from tune_jobs.search_spaces import Choice, Fixed, Float, Objective, Protocol, Reported, Space, Task, Value, Variants
from tune_jobs.search_spaces.tasks.shared_domains import (
    AUGMENTATIONS,
    CNN_DROPOUT,
    DROPOUT,
    INITIALIZERS,
    OPTIMIZERS,
    REGULARIZERS,
    SCHEDULES,
    WARMUP_EPOCHS,
)

OBJECTIVE = Objective("val_accuracy", "maximize")

_EXAMPLE_MLP: Mapping[str, Value] = {
    "units": "512-512",
    "activation": "relu",
    "batch_norm": False,
    "dropout": "with",
    "dropout_rate": 0.2,
    "optimizer": "rmsprop",
    "learning_rate": 0.001,
    "schedule": "constant",
    "augmentation": "none",
    "batch_size": 128,
    "warmup_epochs": 0,
    "initializer": "glorot_uniform",
    "regularizer": "none",
}
_EXAMPLE_CNN: Mapping[str, Value] = {
    "filters": "32-64",
    "units": "128",
    "activation": "relu",
    "batch_norm": False,
    "dropout": "with",
    "dropout_rate": 0.25,
    "dense_dropout_rate": 0.5,
    "optimizer": "adadelta",
    "learning_rate": 0.001,
    "schedule": "constant",
    "augmentation": "none",
    "batch_size": 128,
    "kernel_size": 3,
    "pooling": "max",
    "pool_every": 2,
    "padding": "valid",
    "warmup_epochs": 0,
    "initializer": "glorot_uniform",
    "regularizer": "none",
}

MNIST_MLP = Task(
    name="mnist-mlp",
    summary="dense layers on MNIST",
    dataset="mnist",
    space=Space(
        units=Choice("128", "256", "512", "256-128", "512-512"),
        activation=Choice("relu", "gelu", "sigmoid", "tanh"),
        batch_norm=Choice(False, True),
        dropout=DROPOUT,
        optimizer=OPTIMIZERS,
        schedule=SCHEDULES,
        batch_size=Choice(64, 128, 256),
        augmentation=Fixed("none", AUGMENTATIONS),
        warmup_epochs=WARMUP_EPOCHS,
        initializer=Fixed("glorot_uniform", INITIALIZERS),
        regularizer=Fixed("none", REGULARIZERS),
    ),
    objective=OBJECTIVE,
    protocol=Protocol(epochs=20, patience=5),
    baseline=_EXAMPLE_MLP,
    build=mlp.build,
    encoding=Classes(10),
    source="report A, Table 1; baseline: Keras' example mnist_mlp.py, 98.37 % on the test split there",
    assumptions="patience 5, while the example trains all epochs; the best epoch counts",
    reported=(
        Reported("report A, Table 1", "official example mnist_mlp.py, 20 epochs", 0.9837, _EXAMPLE_MLP),
        Reported("report A, Table 1", "official example mnist_mlp.py, 20 epochs", 0.1206, _EXAMPLE_MLP, "test_loss"),
    ),
)

MNIST_CNN = Task(
    name="mnist-cnn",
    summary="convolutions on MNIST, small enough for two CPU cores",
    dataset="mnist",
    space=Space(
        filters=Choice("8-16", "16-32", "32-64", "32-64-128"),
        units=Choice("none", "64", "128"),
        activation=Choice("relu", "gelu"),
        batch_norm=Choice(False, True),
        dropout=CNN_DROPOUT,
        optimizer=Variants(
            {
                **dict(OPTIMIZERS.options),
                # 1.0 as published (Zeiler 2012); Keras' default of 0.001 explains the accuracy of the report's CNN
                "adadelta": Space(learning_rate=Fixed(1.0, Float(1e-3, 1.0, log=True))),
            }
        ),
        schedule=SCHEDULES,
        augmentation=Choice("none", "shift"),
        batch_size=Fixed(128, Choice(64, 128, 256)),
        kernel_size=Fixed(3, Choice(3, 5, 7)),
        pooling=Fixed("max", Choice("max", "average")),
        pool_every=Fixed(1, Choice(1, 2)),
        padding=Fixed("same", Choice("same", "valid")),
        warmup_epochs=WARMUP_EPOCHS,
        initializer=Fixed("glorot_uniform", INITIALIZERS),
        regularizer=Fixed("none", REGULARIZERS),
    ),
    objective=OBJECTIVE,
    protocol=Protocol(epochs=15, patience=5),
    baseline=_EXAMPLE_CNN,
    build=cnn.build,
    encoding=Classes(10),
    source="report A, Table 1; baseline: Keras' example mnist_cnn.py, 88.91 % on the test split there",
    assumptions="patience 5 and at most 15 epochs, while the example trains 12; Keras' Adadelta with its present "
    "default rate, 0.001",
    reported=(
        Reported("report A, Table 1", "official example mnist_cnn.py, 12 epochs", 0.8891, _EXAMPLE_CNN),
        Reported("report A, Table 1", "official example mnist_cnn.py, 12 epochs", 0.4189, _EXAMPLE_CNN, "test_loss"),
    ),
)
