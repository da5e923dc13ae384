"""The precision that a model computes in: Keras' dtype policy, set while a model is built.

Layers keep the policy that they were made under. The policy is therefore reset afterwards, and does not reach the next
model of a worker, or a saved model that is loaded. Variables are float32 under every policy.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tune_jobs.models.lazy_keras import keras
from tune_jobs.models.several_outputs import Heads
from tune_jobs.search_spaces.protocol import Precision

if TYPE_CHECKING:
    from tune_jobs.models.label_encodings import Head


@contextmanager
def dtype_policy(precision: Precision) -> Iterator[None]:
    """Make layers and models that are created in the block compute in `precision`.

    Under mixed_float16 Keras scales the loss of a model that is compiled with an optimizer, because small gradients
    would vanish otherwise.
    """
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(precision)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def float32_head(head: Head) -> Head:
    """Return the head with its layers in float32. In half precision a loss or a time would have three digits only."""
    if isinstance(head, Heads):
        return head.wrapped(float32_head)

    def in_float32(features: keras.KerasTensor) -> keras.KerasTensor:
        with dtype_policy("float32"):
            return head(features)

    return in_float32
