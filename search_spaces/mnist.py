"""MNIST, 28 x 28 handwritten digits: open spaces around the two examples that everybody has run."""

from __future__ import annotations

from models import cnn, mlp
from models.label_encodings import Classes
from search_spaces.domains import Choice, Fixed, Space
from search_spaces.shared_domains import DROPOUT, INITIALIZERS, OPTIMIZERS, REGULARIZERS, SCHEDULES, WARMUP_EPOCHS
from search_spaces.task import Objective, Protocol, Task

OBJECTIVE = Objective("val_accuracy", "maximize")

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
        warmup_epochs=WARMUP_EPOCHS,
        initializer=Fixed("glorot_uniform", INITIALIZERS),
        regularizer=Fixed("none", REGULARIZERS),
    ),
    objective=OBJECTIVE,
    protocol=Protocol(epochs=20, patience=5),
    baseline={
        "units": "512-512",
        "activation": "relu",
        "batch_norm": False,
        "dropout": "with",
        "dropout_rate": 0.2,
        "optimizer": "rmsprop",
        "learning_rate": 0.001,
        "schedule": "constant",
        "batch_size": 128,
        "warmup_epochs": 0,
        "initializer": "glorot_uniform",
        "regularizer": "none",
    },
    build=mlp.build,
    encoding=Classes(10),
    source="baseline: Keras' example mnist_mlp.py, 98.37 % on the test split in report A, Table 1",
)

MNIST_CNN = Task(
    name="mnist-cnn",
    summary="convolutions on MNIST, small enough for two CPU cores",
    dataset="mnist",
    space=Space(
        filters=Choice("8-16", "16-32", "32-64"),
        units=Choice("none", "64", "128"),
        activation=Choice("relu", "gelu"),
        batch_norm=Choice(False, True),
        dropout=DROPOUT,
        optimizer=OPTIMIZERS,
        schedule=SCHEDULES,
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
    baseline={
        "filters": "32-64",
        "units": "none",
        "activation": "relu",
        "batch_norm": False,
        "dropout": "with",
        "dropout_rate": 0.5,
        "optimizer": "adam",
        "learning_rate": 0.001,
        "schedule": "constant",
        "batch_size": 128,
        "kernel_size": 3,
        "pooling": "max",
        "pool_every": 1,
        "padding": "valid",
        "warmup_epochs": 0,
        "initializer": "glorot_uniform",
        "regularizer": "none",
    },
    build=cnn.build,
    encoding=Classes(10),
    source="baseline: after Keras' example mnist_convnet, with dropout after each pooling, not before the head alone",
)
