"""Plots of clocks: errors over the time shown, the images read worst, and learning curves of the encodings."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, MaxNLocator, NullLocator

from tune_jobs.exports.board import printable
from tune_jobs.exports.curves import spread
from tune_jobs.exports.plots import COLOURS, FAINT, INK, LETTER, add_axes, new_figure, styled
from tune_jobs.leaderboard.factors import Curve
from tune_jobs.models.clock_encodings import DIAL
from tune_jobs.records.readings import Picture, Readings, time_text, unpack, unpack_pictures
from tune_jobs.records.trials import TrialRecord
from tune_jobs.reproduction.clock_studies import Entry

_STYLES: tuple[str | tuple[int, tuple[float, float]], ...] = ("-", (0, (5, 1.5)), (0, (1.5, 1.5)))
_MINUTES = (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 60, 180, 360)
_SHARPNESS = 200  # dots an inch of what is drawn as pixels inside an SVG
_COLUMNS = 4
_LABEL = 0.165  # inches from one label to the next


def plots_of_test(study: str, trial: TrialRecord) -> dict[str, Figure]:
    """`errors` and `worst` of a trial, by these names, as far as its evaluation kept what they show."""
    tested, found = trial.tested, {}
    if tested is not None and tested.readings is not None:
        readings = unpack(tested.readings)
        head = f"{study}, trial {trial.number}, test split"
        found["errors"] = errors_plot(readings, head)
        if tested.worst is not None:
            found["worst"] = worst_plot(unpack_pictures(tested.worst), readings, head)
    return found


def errors_plot(readings: Readings, head: str) -> Figure:
    """The error of each image over the time that it shows: linear up to a minute, then logarithmic."""
    errors, slips = readings.errors, readings.is_hour_slip
    below = (
        f"a dot: an image; orange: wrong by whole hours, to within ten minutes ({slips.sum()} of {len(errors)})"
        f"\nbar: the median of each hour; in all: mean {errors.mean():.2f}, median {np.median(errors):.2f} minutes"
    )
    with styled():
        figure = new_figure(8.2, 4.6, f"{head}: error over the true time", below, left=0.2)
        figure.set_dpi(_SHARPNESS)
        axes = add_axes(figure, 0.75, 0.55, 7.2, 3.1)
        for which, colour, size in ((~slips, COLOURS[0], 5.0), (slips, COLOURS[1], 9.0)):
            axes.scatter(
                readings.true[which] / 60, errors[which], s=size, c=colour, alpha=0.45, linewidths=0, rasterized=True
            )
        _draw_medians(axes, readings)
        axes.set_yscale("symlog", linthresh=1.0, linscale=0.6)
        axes.set_ylim(-0.06, DIAL / 2 * 1.15)
        axes.yaxis.set_major_locator(FixedLocator([0, *(tick for tick in _MINUTES if tick >= 1)]))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
        axes.set_xlim(0, 12)
        axes.set_xticks(range(13), [time_text(60 * hour) for hour in range(12)] + ["12:00"])
        axes.grid(axis="y", color=FAINT, linewidth=0.6)
        axes.set_ylabel("error, minutes", color=INK)
        axes.set_xlabel("true time", color=INK)
    return figure


def _draw_medians(axes: Axes, readings: Readings) -> None:
    hours = (readings.true // 60).astype(int)
    for hour in np.unique(hours):
        median = float(np.median(readings.errors[hours == hour]))
        for colour, width in (("white", 4.5), (INK, 2.2)):  # seen on dots too
            axes.plot([hour + 0.06, hour + 0.94], [median, median], color=colour, linewidth=width)


def worst_plot(pictures: Sequence[Picture], readings: Readings, head: str) -> Figure:
    """The pictures in rows of four, the worst first, each with the time it shows and the one that was read."""
    side, gap, words, top = 1.75, 0.3, 0.42, 0.75
    rows = math.ceil(len(pictures) / _COLUMNS)
    height = top + rows * (side + words) + 0.15
    with styled():
        figure = new_figure(
            0.2 + _COLUMNS * (side + gap), height, f"{head}: read worst", "from the largest error on", left=0.2
        )
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
    true, read = (time_text(times[picture.index]) for times in (readings.true, readings.read))
    off = f"{readings.errors[picture.index]:.0f}"
    words = f"{true}, read as {read}\n{off} minute{'' if off == '1' else 's'} off"
    axes.set_title(words, loc="left", fontsize=8.5, color=INK, pad=3, linespacing=1.15)


def encodings_plot(study: str, entries: Sequence[Entry]) -> Figure:
    """The learning curve of each encoding's best configuration, on a logarithmic axis, with its name at its end."""
    drawn = [(entry, entry.curve) for entry in entries if entry.curve is not None]
    low, high = _limits([curve for _, curve in drawn])
    epochs = max(len(curve.mean) for _, curve in drawn)
    labels = [f"{printable(entry.name)}  {entry.row.score:.2f}" for entry, _ in drawn]
    height, across = max(3.2, _LABEL * len(drawn)), 5.0
    below = (
        "each encoding's best configuration; line: mean over seeds, as far as all were trained; band: lowest to highest"
        "\nat the end: the error in minutes that counts, at the best epoch"
    )
    with styled():
        figure = new_figure(
            1.25 + across + LETTER * max(map(len, labels)), height + 1.45, f"{study}: error by epoch", below, left=0.2
        )
        axes = add_axes(figure, 0.75, 0.5, across, height)
        axes.set_yscale("log")
        axes.set_ylim(low, high)
        axes.set_xlim(1, max(epochs, 2))
        axes.xaxis.set_major_locator(MaxNLocator(8, integer=True))
        axes.yaxis.set_major_locator(FixedLocator([tick for tick in _MINUTES if low <= tick <= high]))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
        axes.grid(axis="y", color=FAINT, linewidth=0.6)
        axes.set_xlabel("epoch", color=INK)
        axes.set_ylabel("validation error, minutes", color=INK)
        ends = [math.log(_end(curve, low, high) / low) / math.log(high / low) * height for _, curve in drawn]
        order = sorted(range(len(drawn)), key=ends.__getitem__)
        places = dict(zip(order, spread([ends[at] for at in order], _LABEL, 0.0, height), strict=True))
        for at, (_, curve) in enumerate(drawn):
            _draw_curve(axes, curve, at, ends[at] / height, places[at] / height, labels[at], epochs)
    return figure


def _limits(curves: Sequence[Curve]) -> tuple[float, float]:
    """Round ends of the axis around all seeds; an error of nothing has no place on it."""
    values = [max(value, _MINUTES[0]) for curve in curves for value in (*curve.low, *curve.high)]
    low = max((tick for tick in _MINUTES if tick <= min(values)), default=_MINUTES[0])
    high = min((tick for tick in _MINUTES if tick >= max(values)), default=_MINUTES[-1])
    return (low, high) if low < high else (low / 2, high * 2)


def _end(curve: Curve, low: float, high: float) -> float:
    return min(max(curve.mean[-1], low), high)


def _draw_curve(axes: Axes, curve: Curve, at: int, end: float, place: float, label: str, epochs: int) -> None:
    """A line, its band, and a lead from its end to its label in the margin."""
    colour, style = COLOURS[at % len(COLOURS)], _STYLES[at // len(COLOURS) % len(_STYLES)]
    along = range(1, len(curve.mean) + 1)
    if curve.n > 1:
        axes.fill_between(along, curve.low, curve.high, color=colour, alpha=0.15, linewidth=0)
    axes.plot(along, curve.mean, color=colour, linestyle=style, linewidth=1.5)
    last = (len(curve.mean) - 1) / max(epochs - 1, 1)
    margin = {"transform": axes.transAxes, "clip_on": False, "color": colour}
    axes.plot([last, 1], [end, end], linestyle=":", linewidth=0.8, **margin)  # type: ignore[arg-type]
    axes.plot([1, 1.04], [end, place], linewidth=0.8, **margin)  # type: ignore[arg-type]
    axes.plot([last], [end], marker="o", markersize=3, **margin)  # type: ignore[arg-type]
    axes.text(1.05, place, label, transform=axes.transAxes, va="center", fontsize=8.5, color=INK)
