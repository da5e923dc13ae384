"""CIFAR-10, 32 x 32 colour images of ten classes: the textbook's networks, report A's transfers and open searches.

The spaces contain the configurations that report A transferred from Fashion-MNIST (Tables 4 and 7), so that
`tune-jobs transfer` accepts them.
"""

from __future__ import annotations

from collections.abc import Mapping

from tune_jobs.models import cnn, mlp
from tune_jobs.models.label_encodings import Classes
from tune_jobs.search_spaces import Choice, Fixed, Float, Objective, Protocol, Reported, Space, Task, Value, Variants
from tune_jobs.search_spaces.reported import with_losses
from tune_jobs.search_spaces.tasks import textbook
from tune_jobs.search_spaces.tasks.shared_domains import (
    CNN_DROPOUT,
    DROPOUT,
    INITIALIZERS,
    REGULARIZERS,
    SCHEDULES,
    WARMUP_EPOCHS,
)
from tune_jobs.search_spaces.tasks.shared_domains import OPTIMIZERS as SHARED_OPTIMIZERS

OBJECTIVE = Objective("val_accuracy", "maximize")
BATCH_SIZES = Choice(32, 64, 128, 256)
OPTIMIZERS = Variants(
    {
        **dict(SHARED_OPTIMIZERS.options),
        "sgd": Space(
            learning_rate=Float(1e-3, 1e-1, log=True),
            momentum=Choice(0.0, 0.5, 0.9, 0.95),
            nesterov=Fixed(False, Choice(False, True)),
        ),
        "nadam": Space(learning_rate=Float(1e-4, 1e-2, log=True)),
    }
)

_PLAIN: Mapping[str, Value] = {  # neither the textbook nor the report varies these
    "batch_norm": False,
    "schedule": "constant",
    "augmentation": "none",
    "warmup_epochs": 0,
    "initializer": "glorot_uniform",
    "regularizer": "none",
    "batch_size": 128,
}
_MLP_BASELINE: Mapping[str, Value] = {
    **textbook.MLP,
    **_PLAIN,
    "momentum": 0.0,
    "nesterov": False,
    "dropout": "without",
}
_MLP_BEST: Mapping[str, Value] = {  # its optimizer is not reported: that of the report's other best rows
    **_PLAIN,
    "units": "512-128-32",
    "activation": "relu",
    "dropout": "with",
    "dropout_rate": 0.1,
    "optimizer": "rmsprop",
    "learning_rate": 0.001,
}
_CNN_BASELINE: Mapping[str, Value] = {**textbook.CNN, **_PLAIN, "pooling": "max"}
_CNN_BEST: Mapping[str, Value] = {
    **_CNN_BASELINE,
    "kernel_size": 3,
    "dense_dropout_rate": 0.1,
    "optimizer": "adam",
    "learning_rate": 0.001,
}
CIFAR10_MLP = Task(
    name="cifar10-mlp",
    summary="dense layers on CIFAR-10",
    dataset="cifar10",
    space=Space(
        units=Choice("128", "512", "300-100", "512-128-32", "512-256", "1024-512", "1024-512-256"),
        activation=Choice("relu", "gelu"),
        batch_norm=Choice(False, True),
        dropout=DROPOUT,
        optimizer=OPTIMIZERS,
        schedule=SCHEDULES,
        augmentation=Choice("none", "flip"),
        batch_size=Fixed(128, BATCH_SIZES),
        warmup_epochs=WARMUP_EPOCHS,
        initializer=Fixed("glorot_uniform", INITIALIZERS),
        regularizer=Fixed("none", REGULARIZERS),
    ),
    objective=OBJECTIVE,
    protocol=Protocol(epochs=50, patience=5),
    baseline=_MLP_BASELINE,
    build=mlp.build,
    encoding=Classes(10),
    source="report A, Table 8; baseline: the textbook's network of chapter 10",
    assumptions="batch size 128 and patience 5, which the report does not say; RMSprop for its best new settings",
    reported=with_losses(
        (
            Reported("report A, Table 8", "baseline", 0.4977, _MLP_BASELINE),
            Reported("report A, Table 8", "top 1 in fashion-mnist", 0.4559, None, place=1),
            Reported("report A, Table 8", "top 2 in fashion-mnist", 0.4735, None, place=2),
            Reported("report A, Table 8", "top 3 in fashion-mnist", 0.4304, None, place=3),
            Reported(
                "report A, Table 8", "best new: units (512, 128, 32, 10), dropout (0.1, 0.1, 0.1)", 0.4985, _MLP_BEST
            ),
        ),
        (1.4616, 1.5321, 1.4960, 1.5921, 1.4300),
    ),
)

CIFAR10_CNN = Task(
    name="cifar10-cnn",
    summary="convolutions on CIFAR-10",
    dataset="cifar10",
    space=Space(
        filters=Choice("16-32-64", "32-64-128", "32/64-64", "32/64-64/128-128", "64/128-128/256-256"),
        units=Choice("none", "64", "128", "128-64"),
        activation=Choice("relu", "gelu"),
        batch_norm=Choice(False, True),
        dropout=CNN_DROPOUT,
        optimizer=OPTIMIZERS,
        schedule=SCHEDULES,
        augmentation=Choice("none", "flip", "flip-shift"),
        batch_size=Fixed(128, BATCH_SIZES),
        kernel_size=Fixed(3, Choice(3, 5, "7-3")),
        pooling=Fixed("max", Choice("max", "average")),
        warmup_epochs=WARMUP_EPOCHS,
        initializer=Fixed("glorot_uniform", INITIALIZERS),
        regularizer=Fixed("none", REGULARIZERS),
    ),
    objective=OBJECTIVE,
    protocol=Protocol(epochs=50, patience=5),
    baseline=_CNN_BASELINE,
    build=cnn.build,
    encoding=Classes(10),
    source="report A, Table 8; baseline: the textbook's network of chapter 14",
    assumptions="batch size 128 and patience 5, which the report does not say; dropout after the dense layers alone",
    reported=with_losses(
        (
            Reported("report A, Table 8", "baseline", 0.6478, _CNN_BASELINE),
            Reported("report A, Table 8", "top 1 in fashion-mnist", 0.6969, None, place=1),
            Reported("report A, Table 8", "top 2 in fashion-mnist", 0.7004, None, place=2),
            Reported("report A, Table 8", "top 3 in fashion-mnist", 0.6802, None, place=3),
            Reported(
                "report A, Table 8",
                "best new: filters (64, 128, 128, 256, 256), dropout (0.1, 0.1), Adam(0.001)",
                0.7024,
                _CNN_BEST,
            ),
        ),
        (1.5516, 0.9998, 1.0246, 0.9959, 1.1895),
    ),
)
