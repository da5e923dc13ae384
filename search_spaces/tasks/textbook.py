"""The two networks that both reports take "from the textbook" as their starting point.

Neither report prints them. These are from the course's book, A. Géron, Hands-On Machine Learning with Scikit-Learn,
Keras and TensorFlow, 2nd edition: chapter 10 (SGD) and chapter 14 (Nadam, in its notebook), both for Fashion-MNIST.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tune_jobs.search_spaces import Value

MLP: Final[Mapping[str, Value]] = {
    "units": "300-100",
    "activation": "relu",
    "initializer": "glorot_uniform",
    "optimizer": "sgd",
    "learning_rate": 0.01,
    "batch_size": 32,
}
CNN: Final[Mapping[str, Value]] = {
    "filters": "64/128-128/256-256",
    "kernel_size": "7-3",
    "units": "128-64",
    "activation": "relu",
    "initializer": "glorot_uniform",
    "dropout": "with",
    "dropout_rate": 0.0,
    "dense_dropout_rate": 0.5,
    "optimizer": "nadam",
    "learning_rate": 0.001,
    "batch_size": 32,
}
