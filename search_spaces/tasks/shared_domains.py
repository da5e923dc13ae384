"""Domains that several tasks share: optimizers with their own parameters, regularization, initialization."""

from __future__ import annotations

from tune_jobs.models.hidden_layers import DEFAULT_FACTOR
from tune_jobs.search_spaces import Choice, Fixed, Float, Int, Space, Variants

# Learning rates extend a factor of ten to each side of Keras' default.
OPTIMIZERS = Variants(
    sgd=Space(
        learning_rate=Float(1e-3, 1e-1, log=True),
        momentum=Choice(0.5, 0.9, 0.95),  # not 0.0: with it both values of nesterov train alike
        nesterov=Fixed(True, Choice(False, True)),  # free, and seldom worse
    ),
    rmsprop=Space(learning_rate=Float(1e-4, 1e-2, log=True)),
    adam=Space(learning_rate=Float(1e-4, 1e-2, log=True)),
    adamw=Space(
        learning_rate=Float(1e-4, 1e-2, log=True),
        weight_decay=Fixed(0.004, Float(1e-4, 1e-1, log=True)),  # Keras' own default
    ),
)
SCHEDULES = Choice("constant", "cosine")
WARMUP_EPOCHS = Fixed(0, Int(0, 5))

DROPOUT = Variants({"without": Space(), "with": Space(dropout_rate=Float(0.1, 0.5, step=0.1))})
CNN_DROPOUT = Variants(  # after each stage of convolutions, and after each dense layer
    {
        "without": Space(),
        "with": Space(dropout_rate=Choice(0.0, 0.1, 0.25, 0.4), dense_dropout_rate=Choice(0.1, 0.3, 0.5)),
    }
)
AUGMENTATIONS = Choice("none", "flip", "shift", "flip-shift")
INITIALIZERS = Choice("random_normal", "glorot_normal", "glorot_uniform", "he_normal", "he_uniform")

_FACTOR = Fixed(DEFAULT_FACTOR, Float(1e-6, 1e-1, log=True))
REGULARIZERS = Variants(none=Space(), l1=Space(factor=_FACTOR), l2=Space(factor=_FACTOR))
