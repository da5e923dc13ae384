"""Train the classifiers whose features judge drawn images, and write them to `models/generative/feature_weights`.

    python benchmarks/feature_networks.py --data-dir data digits mnist fashion-mnist butterflies

Each is trained on the training part of its data set, which has no validation images and no test images in it, from a
fixed seed. What is printed is its accuracy on the validation part. Another machine may come to other digits; the files
in the repository are those that count. Tasks name them by their digest, so a new file begins new studies.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from measuring import print_machine

from tune_jobs.environment import prepare_tensorflow
from tune_jobs.models.generative import features

EPOCHS = {"digits": 60, "mnist": 8, "fashion-mnist": 10, "butterflies": 40}
SIZES = {"butterflies": "@64"}  # of a folder of images
VALIDATION = {"digits": 0.2, "butterflies": 0.1}  # as their tasks have it; 5,000 images of the others
SEED = 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="+", choices=EPOCHS)
    parser.add_argument("--data-dir", type=Path, default=Path("data"))
    options = parser.parse_args()
    print_machine()
    prepare_tensorflow()
    for name in options.names:
        train(name, options.data_dir)


def train(name: str, data_dir: Path) -> None:
    """Train one classifier and write it."""
    import keras

    from tune_jobs import datasets

    keras.utils.set_random_seed(SEED)
    dataset, validation = name + SIZES.get(name, ""), VALIDATION.get(name, 5000)
    data = datasets.load(dataset, data_dir=data_dir, validation=validation).training
    x, shape = data.train.x.astype(np.float32) / 255, data.train.x.shape[1:]
    model = features.build(shape, len(np.unique(data.train.labels)))
    classifier = keras.Model(model.input, model.output[1])
    steps = -(-len(x) // 128) * EPOCHS[name]
    classifier.compile(
        keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(3e-3, steps)),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    classifier.fit(x, data.train.labels, batch_size=128, epochs=EPOCHS[name], verbose=0)
    scale(model, x)
    features.write(name, shape, model)
    features.name_of.cache_clear()
    _, classes = features.load(features.name_of(name)).see(data.validation.x.astype(np.float32) / 255)
    print(f"{features.name_of(name)}: {(classes == data.validation.labels).mean():.4f} on the validation part")


def scale(model: Any, x: np.ndarray) -> None:
    """Scale the features to a mean square of 1 over the training images, so that kernels of them are of one order."""
    seen, _ = features.FeatureNetwork(model).see(x)
    factor = float(np.sqrt(np.square(seen).mean()))
    layer, logits = model.get_layer("features"), model.get_layer("logits")
    for weight in layer.weights:
        weight.assign(weight / factor)
    logits.kernel.assign(logits.kernel * factor)


if __name__ == "__main__":
    main()
