"""Fashion-MNIST, 28 x 28 images of clothes: the searches of report A, table by table.

The report does not state its batch size, its patience and the textbook's networks; we assume 128, 5 and those of
`textbook.py`. We assume the other settings of each row such that rows with equal figures are equal networks.
"""

from __future__ import annotations

from collections.abc import Mapping

from tune_jobs.models import cnn, mlp
from tune_jobs.models.label_encodings import Classes
from tune_jobs.search_spaces import (
    Choice,
    Fixed,
    Int,
    Objective,
    OneFactor,
    Protocol,
    Reported,
    Space,
    Task,
    Value,
    Variants,
)
from tune_jobs.search_spaces.reported import with_losses
from tune_jobs.search_spaces.tasks import textbook
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
PROTOCOL = Protocol(epochs=50, patience=5)  # report A, section 1.2, which does not state the patience
BATCH_SIZES = Choice(32, 64, 128, 256)

TABLE_OPTIMIZERS = Variants(  # Tables 3 and 6: three settings, not a product
    rmsprop=Space(learning_rate=Choice(0.001)),
    adam=Space(learning_rate=Choice(0.001, 0.01)),
)

_OPEN = (
    "batch size 128, patience 5 and the networks of search_spaces/tasks/textbook.py, which the report does not state"
)
_ROW: Mapping[str, Value] = {"optimizer": "rmsprop", "learning_rate": 0.001}  # that of the best rows in Tables 4 and 7
_MLP_BASELINE: Mapping[str, Value] = {**textbook.MLP, "batch_size": 128}
_CNN_BASELINE: Mapping[str, Value] = {**textbook.CNN, "batch_size": 128}


def _mlp_row(units: str) -> Mapping[str, Value]:
    return {"units": units, **_ROW}


def _cnn_row(filters: str) -> Mapping[str, Value]:
    return {"filters": filters, "kernel_size": 3, **_ROW}


FASHION_MNIST_MLP_LAYERS = Task(
    name="fashion-mnist-mlp-layers",
    summary="how many layers, how many units",
    dataset="fashion-mnist",
    space=OneFactor(
        _MLP_BASELINE,
        {  # the report counts the output layer too; its row of 2 layers is that of 512 units in Table 4
            "layers": {"2": _mlp_row("512"), "3": _mlp_row("512-512"), "4": _mlp_row("512-512-512")},
            "units": {"128": _mlp_row("128"), "256": _mlp_row("256"), "512": _mlp_row("512")},
        },
    ),
    objective=OBJECTIVE,
    protocol=PROTOCOL,
    baseline=_MLP_BASELINE,
    build=mlp.build,
    encoding=Classes(10),
    source="report A, Table 2",
    assumptions=f"{_OPEN}; rows of layers have 512 units, rows of units one hidden layer, all of them RMSprop",
    reported=with_losses(
        (
            Reported("report A, Table 2", "layers=2", 0.8911, {**_MLP_BASELINE, **_mlp_row("512")}),
            Reported("report A, Table 2", "layers=3", 0.8843, {**_MLP_BASELINE, **_mlp_row("512-512")}),
            Reported("report A, Table 2", "layers=4", 0.8842, {**_MLP_BASELINE, **_mlp_row("512-512-512")}),
            Reported("report A, Table 2", "units=128", 0.8876, {**_MLP_BASELINE, **_mlp_row("128")}),
            Reported("report A, Table 2", "units=256", 0.8847, {**_MLP_BASELINE, **_mlp_row("256")}),
            Reported("report A, Table 2", "units=512", 0.8858, {**_MLP_BASELINE, **_mlp_row("512")}),
            Reported("report A, Table 2", "baseline", 0.8863, _MLP_BASELINE),
        ),
        (0.3679, 0.3622, 0.3583, 0.3659, 0.3302, 0.3539, 0.6186),
    ),
)

FASHION_MNIST_MLP = Task(
    name="fashion-mnist-mlp",
    summary="81 perceptrons with one hidden layer",
    dataset="fashion-mnist",
    space=Space(
        initializer=Choice("random_normal", "glorot_normal", "glorot_uniform"),
        activation=Choice("relu", "sigmoid", "tanh"),
        optimizer=TABLE_OPTIMIZERS,
        regularizer=REGULARIZERS,
        units=Fixed(128, Choice(128, 256, 512)),
        layers=Fixed(1, Int(1, 3)),  # the report counts the output layer too, so that its 2 to 4 are 1 to 3 here
        dropout=Fixed("without", Variants({"without": Space(), "with": Space(dropout_rate=Choice(0.1, 0.3, 0.5))})),
        batch_size=Fixed(128, BATCH_SIZES),
    ),
    objective=OBJECTIVE,
    protocol=PROTOCOL,
    baseline={  # the best without dropout according to the text; Table 4 has relu
        "initializer": "glorot_uniform",
        "activation": "sigmoid",
        "optimizer": "rmsprop",
        "learning_rate": 0.001,
        "regularizer": "none",
        "units": 128,
        "layers": 1,
        "dropout": "without",
        "batch_size": 128,
    },
    build=mlp.build,
    encoding=Classes(10),
    source="report A, Table 3; architectures of Table 2",
    assumptions=f"{_OPEN}; the baseline is the best without dropout as the text has it, with sigmoid",
)


def _dropout_row(units: str, rate: float | None) -> Mapping[str, Value]:
    dropout: Mapping[str, Value] = {"dropout": "without"} if rate is None else {"dropout": "with", "dropout_rate": rate}
    return {
        "units": units,
        **dropout,
        "initializer": "glorot_uniform",
        "activation": "relu",
        "optimizer": "rmsprop",
        "learning_rate": 0.001,
        "batch_size": 128,
    }


FASHION_MNIST_MLP_DROPOUT = Task(
    name="fashion-mnist-mlp-dropout",
    summary="dropout added to the best perceptrons",
    dataset="fashion-mnist",
    space=Space(
        units=Choice("128", "512"),
        dropout=Variants({"without": Space(), "with": Space(dropout_rate=Choice(0.1, 0.3, 0.5))}),
        initializer=Fixed("glorot_uniform", INITIALIZERS),
        activation=Fixed("relu", Choice("relu", "sigmoid", "tanh")),
        optimizer=Fixed("rmsprop", TABLE_OPTIMIZERS),
        batch_size=Fixed(128, BATCH_SIZES),
    ),
    objective=OBJECTIVE,
    protocol=PROTOCOL,
    baseline=_dropout_row("512", 0.3),
    build=mlp.build,
    encoding=Classes(10),
    source="report A, Table 4; baseline: its best, 89.19 % on the test split there",
    assumptions=_OPEN,
    reported=(
        Reported("report A, Table 4", "top 1: units (512, 10), dropout 0.3", 0.8919, _dropout_row("512", 0.3)),
        Reported("report A, Table 4", "top 2: units (512, 10), no dropout", 0.8911, _dropout_row("512", None)),
        Reported("report A, Table 4", "top 3: units (128, 10), dropout 0.1", 0.8891, _dropout_row("128", 0.1)),
    ),
)

FASHION_MNIST_MLP_OPEN = Task(
    name="fashion-mnist-mlp-open",
    summary="an open search",
    dataset="fashion-mnist",
    space=Space(
        units=Choice("256", "512", "1024", "512-256", "512-512", "1024-512"),
        activation=Choice("relu", "gelu"),
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
    protocol=Protocol(epochs=40, patience=10),
    baseline={
        "units": "512",
        "activation": "relu",
        "batch_norm": False,
        "dropout": "with",
        "dropout_rate": 0.3,
        "optimizer": "rmsprop",
        "learning_rate": 0.001,
        "schedule": "constant",
        "batch_size": 128,
        "augmentation": "none",
        "warmup_epochs": 0,
        "initializer": "glorot_uniform",
        "regularizer": "none",
    },
    build=mlp.build,
    encoding=Classes(10),
    source="baseline: the best of report A, Table 4",
)

FASHION_MNIST_CNN_LAYERS = Task(
    name="fashion-mnist-cnn-layers",
    summary="how many convolutions, how wide",
    dataset="fashion-mnist",
    space=OneFactor(
        _CNN_BASELINE,
        {  # Table 7's third row prints the figure of 5 layers for dropout 0.5 and RMSprop: assumed of all rows
            "Conv2D layers": {
                "3": _cnn_row("32/64/128"),
                "5": _cnn_row("32/64-64/128-128"),
                "6": _cnn_row("32-32/64-64/128-128"),
            },
            "filters": {
                "32, 64, 64, 128, 128": _cnn_row("32/64-64/128-128"),
                "64, 128, 128, 256, 256": _cnn_row("64/128-128/256-256"),
                "128, 256, 256, 512, 512": _cnn_row("128/256-256/512-512"),
            },
        },
    ),
    objective=OBJECTIVE,
    protocol=PROTOCOL,
    baseline=_CNN_BASELINE,
    build=cnn.build,
    encoding=Classes(10),
    source="report A, Table 5",
    assumptions=f"{_OPEN}; all rows but the baseline have RMSprop and dropout of 0.5, as Table 7's third",
    reported=with_losses(
        (
            Reported("report A, Table 5", "conv_layers=5", 0.9109, {**_CNN_BASELINE, **_cnn_row("32/64-64/128-128")}),
            Reported(
                "report A, Table 5", "conv_layers=6", 0.9060, {**_CNN_BASELINE, **_cnn_row("32-32/64-64/128-128")}
            ),
            Reported("report A, Table 5", "conv_layers=3", 0.9101, {**_CNN_BASELINE, **_cnn_row("32/64/128")}),
            Reported(
                "report A, Table 5",
                "filters=(64, 128, 128, 256, 256)",
                0.9094,
                {**_CNN_BASELINE, **_cnn_row("64/128-128/256-256")},
            ),
            Reported(
                "report A, Table 5",
                "filters=(32, 64, 64, 128, 128)",
                0.9094,
                {**_CNN_BASELINE, **_cnn_row("32/64-64/128-128")},
            ),
            Reported(
                "report A, Table 5",
                "filters=(128, 256, 256, 512, 512)",
                0.9042,
                {**_CNN_BASELINE, **_cnn_row("128/256-256/512-512")},
            ),
            Reported("report A, Table 5", "baseline", 0.8909, _CNN_BASELINE),
        ),
        (0.2642, 0.3105, 0.3360, 0.2767, 0.2916, 0.2907, 0.3330),
    ),
)


def _table_6(rate: float, optimizer: str, learning_rate: float) -> Mapping[str, Value]:
    return {
        "dropout": "with",
        "dropout_rate": 0.0,
        "dense_dropout_rate": rate,
        "optimizer": optimizer,
        "learning_rate": learning_rate,
        "filters": "32/64-64/128-128",
        "kernel_size": 3,
        "pooling": "max",
        "units": "128-64",
        "activation": "relu",
        "batch_norm": False,
        "initializer": "glorot_uniform",
        "regularizer": "none",
        "batch_size": 128,
    }


FASHION_MNIST_CNN = Task(
    name="fashion-mnist-cnn",
    summary="dropout and optimizer",
    dataset="fashion-mnist",
    space=Space(
        dropout=Fixed(
            "with",
            Variants(
                {
                    "without": Space(),
                    "with": Space(
                        dropout_rate=Fixed(0.0, Choice(0.0, 0.1, 0.25)),  # only after dense layers, as in the book
                        dense_dropout_rate=Choice(0.1, 0.3, 0.5),
                    ),
                }
            ),
        ),
        optimizer=TABLE_OPTIMIZERS,
        filters=Fixed(
            "32/64-64/128-128",  # Table 7: the best of Table 5; two CPU cores manage 8/16-16
            Choice("8/16-16", "16/32-32", "16/32-32/64-64", "32/64-64", "32/64-64/128-128", "64/128-128/256-256"),
        ),
        kernel_size=Fixed(3, Choice(3, 5, 7)),
        pooling=Fixed("max", Choice("max", "average")),
        units=Fixed("128-64", Choice("none", "64", "128", "128-64")),
        activation=Fixed("relu", Choice("relu", "gelu", "sigmoid", "tanh")),
        batch_norm=Fixed(False, Choice(False, True)),
        initializer=Fixed("glorot_uniform", INITIALIZERS),
        regularizer=Fixed("none", REGULARIZERS),
        batch_size=Fixed(128, BATCH_SIZES),
    ),
    objective=OBJECTIVE,
    protocol=PROTOCOL,
    baseline=_table_6(0.1, "rmsprop", 0.001),
    build=cnn.build,
    encoding=Classes(10),
    source="report A, Tables 6 and 7; baseline: the best of Table 7, 91.83 % on the test split there",
    assumptions=f"{_OPEN}; dropout after dense layers alone; rows of dropout have RMSprop, of optimizers dropout 0.1",
    reported=with_losses(
        (  # these settings of the other parameters agree with Table 7
            Reported("report A, Table 6", "dropout=0.1", 0.9183, _table_6(0.1, "rmsprop", 0.001)),
            Reported("report A, Table 6", "dropout=0.3", 0.9175, _table_6(0.3, "rmsprop", 0.001)),
            Reported("report A, Table 6", "dropout=0.5", 0.9105, _table_6(0.5, "rmsprop", 0.001)),
            Reported("report A, Table 6", "optimizer=RMSprop", 0.9111, _table_6(0.1, "rmsprop", 0.001)),
            Reported("report A, Table 6", "optimizer=Adam(0.001)", 0.9116, _table_6(0.1, "adam", 0.001)),
            Reported("report A, Table 6", "optimizer=Adam(0.01)", 0.8732, _table_6(0.1, "adam", 0.01)),
        ),
        (0.3279, 0.3613, 0.3713, 0.2768, 0.4071, 0.3658),
    ),
)

FASHION_MNIST_CNN_OPEN = Task(
    name="fashion-mnist-cnn-open",
    summary="an open search, of a size for CPUs",
    dataset="fashion-mnist",
    space=Space(
        filters=Choice("16-32", "32-64", "16-32-64", "32-64-128", "32/64-64"),
        units=Choice("none", "64", "128", "256"),
        activation=Choice("relu", "gelu"),
        batch_norm=Choice(False, True),
        dropout=CNN_DROPOUT,
        optimizer=OPTIMIZERS,
        schedule=SCHEDULES,
        augmentation=Choice("none", "flip", "flip-shift"),
        batch_size=Fixed(128, BATCH_SIZES),
        kernel_size=Fixed(3, Choice(3, 5)),
        warmup_epochs=WARMUP_EPOCHS,
        initializer=Fixed("glorot_uniform", INITIALIZERS),
        regularizer=Fixed("none", REGULARIZERS),
    ),
    objective=OBJECTIVE,
    protocol=Protocol(epochs=20, patience=5),
    baseline={
        "filters": "32-64",
        "units": "128",
        "activation": "relu",
        "batch_norm": False,
        "dropout": "with",
        "dropout_rate": 0.25,
        "dense_dropout_rate": 0.5,
        "optimizer": "adam",
        "learning_rate": 0.001,
        "schedule": "constant",
        "augmentation": "none",
        "batch_size": 128,
        "kernel_size": 3,
        "warmup_epochs": 0,
        "initializer": "glorot_uniform",
        "regularizer": "none",
    },
    build=cnn.build,
    encoding=Classes(10),
    source="around Keras' example of a small convolutional network",
)
