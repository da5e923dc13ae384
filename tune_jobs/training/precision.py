"""The numbers that a model computes in: Keras' dtype policy, held for as long as a model is built.

Layers keep the policy that they were made under, so nothing of it is needed afterwards, in a worker that goes on to
another model or where a saved one is loaded. Variables are float32 under every policy.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tune_jobs.models.lazy_keras import keras
from tune_jobs.search_spaces.protocol import Precision

if TYPE_CHECKING:
    from tune_jobs.models.label_encodings import Head


@contextmanager
def policy(precision: Precision) -> Iterator[None]:
    """Layers and models made in the block compute in `precision`. Under mixed_float16 Keras scales the loss of a model
    that is compiled with an optimizer, since small gradients would vanish."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(precision)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def exact(head: Head) -> Head:
    """The head with its layers in float32: a loss or a time read from outputs of three digits would be as coarse."""

    def in_float32(features: keras.KerasTensor) -> keras.KerasTensor:
        with policy("float32"):
            return head(features)

    return in_float32
