"""The plot of a study's label encodings: the learning curve of each encoding's best configuration."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, MaxNLocator, NullLocator

from tune_jobs.exports import numbers
from tune_jobs.exports.curves import fenced, spread
from tune_jobs.exports.plots import COLOURS, FAINT, INK, LETTER, add_axes, new_figure, styled
from tune_jobs.leaderboard.encodings import Entry
from tune_jobs.leaderboard.factors import Curve
from tune_jobs.models.scales import Scale, one_two_five
from tune_jobs.search_spaces.protocol import Objective
from tune_jobs.words import printable

_STYLES: tuple[str | tuple[int, tuple[float, float]], ...] = ("-", (0, (5, 1.5)), (0, (1.5, 1.5)))
_MOST = 20  # encodings that are drawn
_LABEL = 0.165  # inches from one label to the next
_DECADES = 1.3  # from the lowest to the highest value, from which on an axis is logarithmic

_HOW_TO_READ = (
    "each encoding's best configuration; line: mean over seeds, as far as all were trained; band: lowest to highest"
)


def encodings_plot(study: str, entries: Sequence[Entry], objective: Objective, scale: Scale | None) -> Figure:
    """Draw the learning curve of each encoding's best configuration, with its name at its end; at most 20 of them.

    `scale` is that of the encodings if the objective is their mean error: the axis is then logarithmic and has the
    scale's ticks.
    """
    drawn = [(entry, entry.curve) for entry in entries if entry.curve is not None][:_MOST]
    curves = [curve for _, curve in drawn]
    axis = _objective_axis(curves, objective) if scale is None else _error_axis(curves, scale)
    epochs = max(len(curve.mean) for curve in curves)
    labels = [f"{printable(entry.name)}  {axis.score(entry.row.score)}" for entry, _ in drawn]
    height, across = max(3.2, _LABEL * len(drawn)), 5.0
    width = 1.25 + across + LETTER * max(map(len, labels))
    below = f"{_HOW_TO_READ}\nat the end: {printable(axis.what_counts)}, at the best epoch"
    with styled():
        figure = new_figure(width, height + 1.45, f"{study}: {axis.name} by epoch", below, left=0.2)
        axes = add_axes(figure, 0.75, 0.5, across, height)
        _prepare(axes, axis, epochs)
        ends = [axis.place(curve.mean[-1]) * height for curve in curves]
        order = sorted(range(len(curves)), key=ends.__getitem__)
        places = dict(zip(order, spread([ends[index] for index in order], _LABEL, 0.0, height), strict=True))
        for index, curve in enumerate(curves):
            end, place = ends[index] / height, places[index] / height
            _draw_curve(axes, curve, index, end, place, labels[index], epochs)
    return figure


@dataclass(frozen=True)
class _Axis:
    """The y axis: its ends, its words, and the ticks of a logarithmic one."""

    low: float
    high: float
    name: str  # "error"
    label: str  # "validation error, minutes"
    what_counts: str  # "the error in minutes that counts"
    ticks: tuple[float, ...] | None  # None: the axis is linear
    decimals: int | None = None  # of a score; None: as the leaderboard writes it

    def place(self, value: float) -> float:
        """Return where a value is, from 0 at the foot to 1 at the top; values outside are at an end."""
        inside = min(max(value, self.low), self.high)
        if self.ticks is None:
            return (inside - self.low) / (self.high - self.low)
        return math.log(inside / self.low) / math.log(self.high / self.low)

    def score(self, value: float) -> str:
        return numbers.score(value) if self.decimals is None else f"{value:.{self.decimals}f}"


def _error_axis(curves: Sequence[Curve], scale: Scale) -> _Axis:
    low, high = _round_ends(curves, scale.error_marks)
    label, what_counts = f"validation error, {scale.unit}", f"the error in {scale.unit} that counts"
    return _Axis(low, high, "error", label, what_counts, scale.error_marks, scale.decimals + 2)


def _objective_axis(curves: Sequence[Curve], objective: Objective) -> _Axis:
    """Return an axis for any objective, logarithmic for a small one that falls by more than a decade."""
    name = objective.metric
    words = name, f"{name} ({objective.direction}d)", f"the {name} that counts"
    lowest, highest = min(min(curve.low) for curve in curves), max(max(curve.high) for curve in curves)
    if objective.direction == "minimize" and lowest > 0 and math.log10(highest / lowest) > _DECADES:
        ticks = one_two_five(lowest / 10, highest * 10)
        return _Axis(*_round_ends(curves, ticks), *words, ticks)
    return _Axis(*fenced(curves, objective), *words, None)


def _round_ends(curves: Sequence[Curve], ticks: Sequence[float]) -> tuple[float, float]:
    """Return the ticks around all seeds; an error of nothing has no place on a logarithmic axis."""
    values = [max(value, ticks[0]) for curve in curves for value in (*curve.low, *curve.high)]
    low = max((tick for tick in ticks if tick <= min(values)), default=ticks[0])
    high = min((tick for tick in ticks if tick >= max(values)), default=ticks[-1])
    return (low, high) if low < high else (low / 2, high * 2)


def _prepare(axes: Axes, axis: _Axis, epochs: int) -> None:
    axes.set_yscale("linear" if axis.ticks is None else "log")
    axes.set_ylim(axis.low, axis.high)
    axes.set_xlim(1, max(epochs, 2))
    axes.xaxis.set_major_locator(MaxNLocator(8, integer=True))
    if axis.ticks is None:
        axes.yaxis.set_major_locator(MaxNLocator(6))
        axes.ticklabel_format(axis="y", useOffset=False)
    else:
        axes.yaxis.set_major_locator(FixedLocator([tick for tick in axis.ticks if axis.low <= tick <= axis.high]))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.grid(axis="y", color=FAINT, linewidth=0.6)
    axes.set_xlabel("epoch", color=INK)
    axes.set_ylabel(printable(axis.label), color=INK)


def _draw_curve(axes: Axes, curve: Curve, index: int, end: float, place: float, label: str, epochs: int) -> None:
    """Draw a line, its band, and a lead from its end to its label in the margin."""
    colour, style = COLOURS[index % len(COLOURS)], _STYLES[index // len(COLOURS) % len(_STYLES)]
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
