"""Plots of what a network read on the test split: errors over the true values, and the images read worst."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, NullLocator

from tune_jobs.exports.plots import COLOURS, FAINT, INK, add_axes, new_figure, styled
from tune_jobs.models.scales import Scale
from tune_jobs.records.readings import Picture, Readings, unpack, unpack_pictures
from tune_jobs.records.trials import TrialRecord
from tune_jobs.words import printable, printable_lines

_LINEAR = 360  # of the largest possible error, the part up to which the axis of errors is linear
_SHARPNESS = 200  # dots an inch of what is drawn as pixels inside an SVG
_COLUMNS = 4


def plots_of_test(study: str, trial: TrialRecord) -> dict[str, Figure]:
    """Draw `errors` and `worst` of a trial, by these names, as far as its evaluation kept what they show."""
    tested = trial.tested
    if tested is None or tested.readings is None:
        return {}
    readings = unpack(tested.readings)
    head = f"{study}, trial {trial.number}, test split"
    figures = {"errors": errors_plot(readings, head)}
    if tested.worst is not None:
        figures["worst"] = worst_plot(unpack_pictures(tested.worst), readings, head)
    return figures


def errors_plot(readings: Readings, head: str) -> Figure:
    """Draw the error of each image over its true value: linear for small errors, then logarithmic."""
    scale, slips = readings.scale, readings.is_slip
    with styled():
        title = f"{head}: error over the true {scale.axis}"
        figure = new_figure(8.2, 4.6, title, printable_lines(_below(readings)), left=0.2)
        figure.set_dpi(_SHARPNESS)
        axes = add_axes(figure, 0.75, 0.55, 7.2, 3.1)
        for which, colour, size in ((~slips, COLOURS[0], 5.0), (slips, COLOURS[1], 9.0)):
            dots = readings.true[which], readings.errors[which]
            axes.scatter(*dots, s=size, c=colour, alpha=0.45, linewidths=0, rasterized=True)
        _draw_medians(axes, readings)
        _prepare(axes, scale, float(readings.errors.max(initial=scale.reach)))
    return figure


def _below(readings: Readings) -> str:
    scale, errors = readings.scale, readings.errors
    slips = f"; orange: wrong by {scale.slip.words} ({readings.is_slip.sum()} of {len(errors)})" if scale.slip else ""
    mean, median = (f"{value:.{scale.decimals + 2}f}" for value in (errors.mean(), np.median(errors)))
    bar = f"bar: the median of each {scale.between_ticks}"
    return f"a dot: an image{slips}\n{bar}; in all: mean {mean}, median {median} {scale.unit}"


def _draw_medians(axes: Axes, readings: Readings) -> None:
    """Draw the median error between each two ticks as a bar."""
    ticks = np.array(readings.scale.ticks)
    places = np.clip(np.searchsorted(ticks, readings.true, side="right") - 1, 0, len(ticks) - 2)
    for place in np.unique(places):
        median = float(np.median(readings.errors[places == place]))
        left, right = ticks[place], ticks[place + 1]
        room = 0.06 * (right - left)
        for colour, width in (("white", 4.5), (INK, 2.2)):  # seen on dots too
            axes.plot([left + room, right - room], [median, median], color=colour, linewidth=width)


def _prepare(axes: Axes, scale: Scale, largest: float) -> None:
    linear = scale.reach / _LINEAR
    axes.set_yscale("symlog", linthresh=linear, linscale=0.6)
    axes.set_ylim(-0.06 * linear, largest * 1.15)
    axes.yaxis.set_major_locator(FixedLocator([0, *(mark for mark in scale.error_marks if mark >= linear)]))
    axes.yaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.set_xlim(scale.ticks[0], scale.ticks[-1])
    axes.set_xticks(scale.ticks, scale.tick_texts())
    axes.grid(axis="y", color=FAINT, linewidth=0.6)
    axes.set_ylabel(printable(f"error, {scale.unit}"), color=INK)
    axes.set_xlabel(printable(f"true {scale.axis}"), color=INK)


def worst_plot(pictures: Sequence[Picture], readings: Readings, head: str) -> Figure:
    """Draw the pictures in rows of four, the worst first, each with its true value and the one that was read."""
    side, gap, words, top = 1.75, 0.3, 0.42, 0.75
    rows = math.ceil(len(pictures) / _COLUMNS)
    width, height = 0.2 + _COLUMNS * (side + gap), top + rows * (side + words) + 0.15
    with styled():
        figure = new_figure(width, height, f"{head}: read worst", "from the largest error on", left=0.2)
        for place, picture in enumerate(pictures):
            row, column = divmod(place, _COLUMNS)
            foot = height - top - (row + 1) * (side + words)
            axes = add_axes(figure, 0.2 + column * (side + gap), foot, side, side)
            _draw_picture(axes, picture, readings)
    return figure


def _draw_picture(axes: Axes, picture: Picture, readings: Readings) -> None:
    pixels = picture.pixels if picture.pixels.shape[2] == 3 else picture.pixels[:, :, 0]
    axes.imshow(pixels, cmap="gray", vmin=0, vmax=255, interpolation="none")
    axes.set_axis_off()
    scale, index = readings.scale, picture.index
    true, read = (scale.text(values[index]) for values in (readings.true, readings.read))
    words = f"{true}, read as {read}\n{scale.error_text(readings.errors[index])} off"
    axes.set_title(printable_lines(words), loc="left", fontsize=8.5, color=INK, pad=3, linespacing=1.15)
