"""A folder of images as a data set, with a folder for each class: here of circles and squares, drawn on the spot."""

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

import tune_jobs as tj
from tune_jobs.models import cnn


def draw_shapes(folder, n=100):
    """Draw images of several sizes into `folder/circle` and `folder/square`."""
    rng = np.random.default_rng(0)
    for name, draw in (("circle", ImageDraw.ImageDraw.ellipse), ("square", ImageDraw.ImageDraw.rectangle)):
        (folder / name).mkdir(parents=True, exist_ok=True)
        for k in range(n):
            image = Image.new("RGB", (int(rng.integers(30, 60)), 40), "white")
            x, y, side = rng.integers((2, 2, 12), (8, 12, 22))
            draw(ImageDraw.Draw(image), (x, y, x + side, y + side), fill=tuple(map(int, rng.integers(0, 200, 3))))
            image.save(folder / name / f"{k}.png")


TASK = tj.Task(
    name="shapes",
    summary="circles and squares",
    dataset=tj.image_folder("shapes", size=16),
    space=tj.Space(filters=tj.Choice("8-8", "8-16"), learning_rate=tj.Float(1e-3, 1e-1, log=True)),
    objective=tj.Objective("val_accuracy", "maximize"),
    protocol=tj.Protocol(epochs=8, batch_size=16, validation=0.25),
    baseline={"filters": "8-16", "learning_rate": 0.01},
    build=cnn.build,
    encoding=tj.Classes(2),
)

if __name__ == "__main__":
    draw_shapes(Path("shapes"))
    print(tj.run_trial(TASK).score)
