"""Plots of what trials draw: their pictures beside each other, and those of their training from left to right."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from tune_jobs.exports.plots import INK, Picture, add_axes, new_figure, styled
from tune_jobs.records import trial_pictures
from tune_jobs.records.trial_pictures import EpochPictures

_LEFT, _TOP, _WORDS, _GAP = 0.2, 0.75, 0.3, 0.3  # inches
_WIDE, _NARROW = 3.0, 1.35  # inches, of a picture and of one in training

Pixels = NDArray[np.uint8]


def pictures_plot(title: str, columns: Sequence[tuple[str, Mapping[str, str]]]) -> Figure:
    """Draw the packed pictures of trials: a column for each, with its heading, and a row for each name of a picture."""
    names = list(dict.fromkeys(name for _, pictures in columns for name in pictures))
    table = [[(name, pictures.get(name)) for _, pictures in columns] for name in names]
    below = ", ".join(f"{place}: {heading}" for place, (heading, _) in zip(("left", "right"), columns, strict=False))
    return _table(title, below, table, _WIDE)


def progress_plot(title: str, rows: Sequence[tuple[str, Sequence[EpochPictures]]]) -> Figure:
    """Draw the first picture of each kept epoch: a row for each trial, whose heading says which it is."""
    table = [
        [(f"{heading}, epoch {each.epoch}", next(iter(each.pictures.values()))) for each in progress]
        for heading, progress in rows
    ]
    return _table(title, "after epochs 1, 2, 4, 8, …: the same images and noise each time", table, _NARROW)


def _table(title: str, below: str, table: Sequence[Sequence[tuple[str, str | None]]], side: float) -> Figure:
    """Draw rows of packed pictures, each `side` inches wide, with its name above; None leaves a gap."""
    heights = [max(side * _ratio(packed) for _, packed in row if packed is not None) for row in table]
    width = _LEFT + max(map(len, table), default=0) * (side + _GAP)
    height = _TOP + sum(heights) + _WORDS * len(table) + 0.15
    with styled():
        figure = new_figure(width, height, title, below, left=_LEFT)
        foot = height - _TOP
        for row, high in zip(table, heights, strict=True):
            foot -= high + _WORDS
            for column, (name, packed) in enumerate(row):
                if packed is not None:
                    _draw(figure, name, packed, (_LEFT + column * (side + _GAP), foot + high, side))
    return figure


def _draw(figure: Figure, name: str, packed: str, place: tuple[float, float, float]) -> None:
    """Draw a packed picture, at a place in inches: its left and upper edge, and its width."""
    left, top, side = place
    tall = side * _ratio(packed)
    axes = add_axes(figure, left, top - tall, side, tall)
    picture = Picture(axes, cmap="gray", interpolation="none")
    picture.source = f"data:{trial_pictures.media_type(packed)};base64,{packed}"
    picture.set_data(_unpacked(packed))
    picture.set_clim(0, 255)
    picture.set_extent(picture.get_extent())
    axes.add_image(picture)
    axes.set_axis_off()
    axes.set_title(name, loc="left", fontsize=8.5, color=INK, pad=3)


def _unpacked(packed: str) -> Pixels:
    with Image.open(io.BytesIO(trial_pictures.content(packed))) as image:
        return np.asarray(image)


def _ratio(packed: str) -> float:
    """Return the height of a packed picture as a share of its width, which its file says before its pixels."""
    with Image.open(io.BytesIO(trial_pictures.content(packed))) as image:
        return image.height / image.width
