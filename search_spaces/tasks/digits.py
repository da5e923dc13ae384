"""The 1,797 handwritten digits of 8 x 8 pixels that come with scikit-learn: a sweep takes a minute."""

from __future__ import annotations

from tune_jobs.models import cnn, mlp
from tune_jobs.models.label_encodings import Classes
from tune_jobs.search_spaces import Choice, Fixed, Int, Objective, Protocol, Space, Task
from tune_jobs.search_spaces.tasks.shared_domains import (
    DROPOUT,
    INITIALIZERS,
    OPTIMIZERS,
    REGULARIZERS,
    SCHEDULES,
    WARMUP_EPOCHS,
)

OBJECTIVE = Objective("val_accuracy", "maximize")
PROTOCOL = Protocol(epochs=20, patience=5, batch_size=32, validation=0.2)
SOURCE = "Alpaydin and Kaynak 1998, UCI Optical Recognition of Handwritten Digits"

DIGITS_MLP = Task(
    name="digits-mlp",
    summary="dense layers on 8 x 8 digits; a trial takes seconds",
    dataset="digits",
    space=Space(
        units=Choice("32", "64", "128", "64-32", "128-64"),
        activation=Choice("relu", "gelu", "tanh"),
        batch_norm=Choice(False, True),
        dropout=DROPOUT,
        optimizer=OPTIMIZERS,
        schedule=SCHEDULES,
        batch_size=Choice(16, 32, 64),
        warmup_epochs=WARMUP_EPOCHS,
        initializer=Fixed("glorot_uniform", INITIALIZERS),
        regularizer=Fixed("none", REGULARIZERS),
    ),
    objective=OBJECTIVE,
    protocol=PROTOCOL,
    baseline={
        "units": "64",
        "activation": "relu",
        "batch_norm": False,
        "dropout": "without",
        "optimizer": "adam",
        "learning_rate": 0.001,
        "schedule": "constant",
        "batch_size": 32,
        "warmup_epochs": 0,
        "initializer": "glorot_uniform",
        "regularizer": "none",
    },
    build=mlp.build,
    encoding=Classes(10),
    source=SOURCE,
)

DIGITS_CNN = Task(
    name="digits-cnn",
    summary="convolutions on 8 x 8 digits; a trial takes seconds",
    dataset="digits",
    space=Space(
        filters=Choice("8-16", "16-32", "16-32-64"),  # pooling follows each, and 8 pixels can be halved three times
        units=Choice("none", "32", "64"),
        activation=Choice("relu", "gelu"),
        batch_norm=Choice(False, True),
        dropout=DROPOUT,
        optimizer=OPTIMIZERS,
        schedule=SCHEDULES,
        batch_size=Fixed(32, Choice(16, 32, 64)),
        kernel_size=Fixed(3, Int(2, 5)),
        pooling=Fixed("max", Choice("max", "average")),
        warmup_epochs=WARMUP_EPOCHS,
        initializer=Fixed("glorot_uniform", INITIALIZERS),
        regularizer=Fixed("none", REGULARIZERS),
    ),
    objective=OBJECTIVE,
    protocol=PROTOCOL,
    baseline={
        "filters": "16-32",
        "units": "64",
        "activation": "relu",
        "batch_norm": False,
        "dropout": "without",
        "optimizer": "adam",
        "learning_rate": 0.001,
        "schedule": "constant",
        "batch_size": 32,
        "kernel_size": 3,
        "pooling": "max",
        "warmup_epochs": 0,
        "initializer": "glorot_uniform",
        "regularizer": "none",
    },
    build=cnn.build,
    encoding=Classes(10),
    source=SOURCE,
)
