"""Report B, section 2: images with their pixels in one fixed random order, compared with the originals.

The network permutes the pixels, in the same order for every image (`models/pictures.py`).
"""

from __future__ import annotations

from collections.abc import Mapping

from tune_jobs.models import cnn, mlp
from tune_jobs.models.label_encodings import Classes
from tune_jobs.search_spaces import Objective, OneFactor, Protocol, Reported, Task, Value
from tune_jobs.search_spaces.task import Builder
from tune_jobs.search_spaces.tasks import textbook


def _task(
    dataset: str, family: str, build: Builder, network: Mapping[str, Value], figures: tuple[float, float]
) -> Task:
    original = {**network, "pixels": "original"}
    permuted = {**network, "pixels": "permuted"}
    return Task(
        name=f"permuted-{dataset}-{family}",
        summary=f"original against permuted pixels, the textbook's {family.upper()}",
        dataset=dataset,
        space=OneFactor(original, {"pixels": {"original": {}, "permuted": {"pixels": "permuted"}}}),
        objective=Objective("val_accuracy", "maximize"),
        protocol=Protocol(epochs=15, batch_size=32),
        baseline=original,
        build=build,
        encoding=Classes(10),
        assumptions="batch size 32; the network of search_spaces/tasks/textbook.py; one permutation, from seed 0",
        source="report B, Table 1: section 2, after 15 epochs",
        reported=(
            Reported("report B, Table 1", f"{family.upper()}, original pixels", figures[0], original),
            Reported("report B, Table 1", f"{family.upper()}, permuted pixels", figures[1], permuted),
        ),
    )


PERMUTED_MNIST_MLP = _task("mnist", "mlp", mlp.build, textbook.MLP, (0.9694, 0.9382))
PERMUTED_MNIST_CNN = _task("mnist", "cnn", cnn.build, textbook.CNN, (0.9924, 0.5812))
PERMUTED_FASHION_MNIST_MLP = _task("fashion-mnist", "mlp", mlp.build, textbook.MLP, (0.8766, 0.8256))
PERMUTED_FASHION_MNIST_CNN = _task("fashion-mnist", "cnn", cnn.build, textbook.CNN, (0.9096, 0.3835))
