"""The task of `utilization.py`: Fashion-MNIST perceptrons that all train for the same number of epochs."""

from __future__ import annotations

from dataclasses import replace

from tune_jobs.search_spaces.tasks.fashion_mnist import FASHION_MNIST_MLP

STEADY = replace(
    FASHION_MNIST_MLP,
    name="steady",
    summary="perceptrons without early stopping",
    protocol=replace(FASHION_MNIST_MLP.protocol, epochs=30, patience=None),
)
