"""Checks of drawings that tests of several plots share."""

from __future__ import annotations

import itertools

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex
from matplotlib.figure import Figure


def apart_and_inside(figure: Figure) -> None:
    canvas = figure.canvas
    assert isinstance(canvas, FigureCanvasAgg)
    canvas.draw()
    found = [*figure.texts]
    for axes in figure.axes:
        if not axes.axison:
            found += [axes._left_title]  # type: ignore[attr-defined]
            continue
        low, high = sorted(axes.get_ylim())
        found += [*axes.texts, axes.xaxis.label, axes.yaxis.label, *axes.get_xticklabels()]
        found += [label for label in axes.get_yticklabels() if low <= label.get_position()[1] <= high]
    boxes: list[tuple[str, mpl.transforms.Bbox]] = [
        (text.get_text(), text.get_window_extent().padded(-1.5)) for text in found if text.get_text()
    ]
    assert len(boxes) > 4
    for (one, box), (other, beside) in itertools.combinations(boxes, 2):
        assert not box.overlaps(beside), (one, other)
    for text, box in boxes:
        assert figure.bbox.x0 <= box.x0, text
        assert box.x1 <= figure.bbox.x1, text
        assert figure.bbox.y0 <= box.y0, text
        assert box.y1 <= figure.bbox.y1, text


def curves_of(axes: Axes) -> dict[str, list[float]]:
    """Lines in the data of the axes, not in their margin, by colour."""
    return {
        to_hex(line.get_color()): [float(value) for value in np.asarray(line.get_ydata())]
        for line in axes.lines
        if line.get_transform() == axes.transData
    }
