"""Fashion-MNIST, 28 x 28 pictures of clothes: the searches of report A, step by step as they were made there.

What the report settled in an earlier table is held at a value here, and opens.
"""

from __future__ import annotations

from models import cnn, mlp
from models.label_encodings import Classes
from search_spaces.domains import Choice, Fixed, Int, Space, Variants
from search_spaces.shared_domains import INITIALIZERS, REGULARIZERS
from search_spaces.task import Objective, Protocol, Task

OBJECTIVE = Objective("val_accuracy", "maximize")
PROTOCOL = Protocol(epochs=50, patience=5)  # report A, section 1.2; its patience and batch size are not reported

OPTIMIZERS = Variants(  # report A, Tables 3 and 6: three settings, not a product
    rmsprop=Space(learning_rate=Choice(0.001)),
    adam=Space(learning_rate=Choice(0.001, 0.01)),
)
DROPOUT = Variants({"without": Space(), "with": Space(dropout_rate=Choice(0.1, 0.3, 0.5))})
BATCH_SIZES = Choice(32, 64, 128, 256)

FASHION_MNIST_MLP = Task(
    name="fashion-mnist-mlp",
    summary="report A's grid of 81 perceptrons with one hidden layer",
    dataset="fashion-mnist",
    space=Space(
        initializer=Choice("random_normal", "glorot_normal", "glorot_uniform"),
        activation=Choice("relu", "sigmoid", "tanh"),
        optimizer=OPTIMIZERS,
        regularizer=REGULARIZERS,
        units=Fixed(128, Choice(128, 256, 512)),
        layers=Fixed(1, Int(1, 3)),  # the report counts the output layer too, so that its 2 to 4 are 1 to 3 here
        dropout=Fixed("without", DROPOUT),
        batch_size=Fixed(128, BATCH_SIZES),
    ),
    objective=OBJECTIVE,
    protocol=PROTOCOL,
    baseline={
        "initializer": "glorot_uniform",
        "activation": "relu",
        "optimizer": "adam",
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
)

FASHION_MNIST_CNN = Task(
    name="fashion-mnist-cnn",
    summary="report A's grid of 9 convolutional networks, held at filters for two CPU cores",
    dataset="fashion-mnist",
    space=Space(
        dropout=Fixed("with", DROPOUT),
        optimizer=OPTIMIZERS,
        filters=Fixed(
            "16-32-32",
            Choice(
                "8-16-16",
                "16-32-32",
                "16-32-32-64-64",
                "32-64-64",
                "32-64-64-128-128",
                "64-128-128-256-256",
                "128-256-256-512-512",
            ),
        ),
        pool_every=Fixed(2, Choice(2, 3)),  # 28 pixels halve four times, so that five convolutions cannot pool each
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
    baseline={
        "dropout": "with",
        "dropout_rate": 0.1,
        "optimizer": "rmsprop",
        "learning_rate": 0.001,
        "filters": "32-64-64-128-128",
        "pool_every": 2,
        "kernel_size": 3,
        "pooling": "max",
        "units": "128-64",
        "activation": "relu",
        "batch_norm": False,
        "initializer": "glorot_uniform",
        "regularizer": "none",
        "batch_size": 128,
    },
    build=cnn.build,
    encoding=Classes(10),
    source="report A, Table 6; filters of Table 5; baseline: the best of Table 7, 91.83 % on the test split there",
)
