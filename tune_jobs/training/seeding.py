"""The random generators that all code of a process shares, seeded before each trial of a task's own code.

Without that, a loop that draws from them would come to another score after another trial of its worker.
"""

from __future__ import annotations

import random
import sys

import numpy as np


def seed_generators(seed: int) -> None:
    """Seed the generators of Python, NumPy and of each framework that this process has imported.

    Keras draws its seeds from Python's generator. On another backend than TensorFlow its own call would import
    TensorFlow.
    """
    seed %= 2**32
    random.seed(seed)
    np.random.seed(seed)
    keras = sys.modules.get("keras")
    if keras is not None and keras.backend.backend() == "tensorflow":
        keras.utils.set_random_seed(seed)
    elif (tensorflow := sys.modules.get("tensorflow")) is not None:
        tensorflow.random.set_seed(seed)
    if (torch := sys.modules.get("torch")) is not None:
        torch.manual_seed(seed)
