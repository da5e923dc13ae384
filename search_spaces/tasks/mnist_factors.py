"""Report B, section 1: variations of the textbook's networks on MNIST, one factor at a time.

The report repeats every training three times: `tune-jobs replicate STUDY --top 20 --seeds 3`. It does not state its
small and large initial values; we assume a tenth and ten times the default. We assume Keras' default batch size, 32.
"""

from __future__ import annotations

from tune_jobs.models import cnn, mlp
from tune_jobs.models.label_encodings import Classes
from tune_jobs.search_spaces import Objective, OneFactor, Protocol, Reported, Task
from tune_jobs.search_spaces.one_factor import Factors
from tune_jobs.search_spaces.tasks import textbook

OBJECTIVE = Objective("val_accuracy", "maximize")

CHOSEN = (
    "batch size 32; small and large initial values are a tenth and ten times the default's; networks of textbook.py"
)

INITIALIZATION: Factors = {
    "initial values": {
        "small normal": {"initializer": "random_normal", "initializer_scale": 0.1},
        "default normal": {"initializer": "random_normal"},
        "large normal": {"initializer": "random_normal", "initializer_scale": 10.0},
    },
    "initial distribution": {
        "normal": {"initializer": "random_normal"},
        "Xavier": {"initializer": "glorot_normal"},
        "He": {"initializer": "he_normal"},
    },
}
ACTIVATION: Factors = {
    "activation": {"ReLU": {}, "sigmoid": {"activation": "sigmoid"}, "tanh": {"activation": "tanh"}},
}

MNIST_MLP_FACTORS = Task(
    name="mnist-mlp-factors",
    summary="initialization, activation, optimizer, regularization",
    dataset="mnist",
    space=OneFactor(
        textbook.MLP,
        {
            **INITIALIZATION,
            **ACTIVATION,
            "optimizer": {
                "SGD": {},
                "momentum 0.9": {"momentum": 0.9},
                "Nesterov 0.9": {"momentum": 0.9, "nesterov": True},
                "RMSprop": {"optimizer": "rmsprop", "learning_rate": 0.001},
                "Adam": {"optimizer": "adam", "learning_rate": 0.001},
            },
            "regularization": {
                "none": {},
                "L1 0.01": {"regularizer": "l1"},
                "L2 0.01": {"regularizer": "l2"},
                "dropout 0.2": {"dropout": "with", "dropout_rate": 0.2},
            },
        },
    ),
    objective=OBJECTIVE,
    protocol=Protocol(epochs=30, batch_size=32),
    baseline=textbook.MLP,
    build=mlp.build,
    encoding=Classes(10),
    source="report B, section 1.1",
    assumptions=CHOSEN,
    reported=(
        Reported("report B, 1.1.1", "vanilla, best of three", 0.9733, textbook.MLP),
        Reported("report B, 1.1.5", "dropout 0.2", 0.9738, {**textbook.MLP, "dropout": "with", "dropout_rate": 0.2}),
    ),
)

MNIST_CNN_FACTORS = Task(
    name="mnist-cnn-factors",
    summary="initialization, activation, optimizer, regularization",
    dataset="mnist",
    space=OneFactor(
        textbook.CNN,
        {
            **INITIALIZATION,
            **ACTIVATION,
            "optimizer": {  # the report compares none for the CNN: those of the MLP, and the textbook's
                "Nadam": {},
                "SGD": {"optimizer": "sgd", "learning_rate": 0.01},
                "momentum 0.9": {"optimizer": "sgd", "learning_rate": 0.01, "momentum": 0.9},
                "Nesterov 0.9": {"optimizer": "sgd", "learning_rate": 0.01, "momentum": 0.9, "nesterov": True},
                "RMSprop": {"optimizer": "rmsprop"},
                "Adam": {"optimizer": "adam"},
            },
            "regularization": {  # the textbook's network has dropout 0.5
                "dropout 0.5": {},
                "none": {"dropout": "without", "dense_dropout_rate": None},
                "L1 0.01": {"dropout": "without", "dense_dropout_rate": None, "regularizer": "l1"},
                "L2 0.01": {"dropout": "without", "dense_dropout_rate": None, "regularizer": "l2"},
                "dropout 0.2": {"dense_dropout_rate": 0.2},
            },
        },
    ),
    objective=OBJECTIVE,
    protocol=Protocol(epochs=14, batch_size=32),
    baseline=textbook.CNN,
    build=cnn.build,
    encoding=Classes(10),
    source="report B, section 1.2",
    assumptions=f"{CHOSEN}; the optimizers are those of the perceptron, because the report compares none here",
    reported=(Reported("report B, 1.2.1", "vanilla, best", 0.9924, textbook.CNN),),
)
