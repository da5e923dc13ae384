"""The plot of `factors`: learning curves, a panel a factor, with a label at the end of each line."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from tune_jobs.errors import UserError
from tune_jobs.exports import numbers
from tune_jobs.exports.plots import COLOURS, FAINT, GREY, INK, LETTER, add_axes, new_figure, styled
from tune_jobs.leaderboard.factors import Curve, Factor, FactorStudy, ScoredLevel
from tune_jobs.search_spaces.protocol import Objective
from tune_jobs.words import printable

_Dashes = str | tuple[int, tuple[float, float]]
_STYLES: tuple[_Dashes, ...] = ("-", (0, (5, 1.5)), (0, (1.5, 1.5)))  # for more levels than colours
_FAR = 8.0  # median absolute deviations: a curve that ends further from the others does not decide the axis
_LONGEST = 30  # letters of a name

# inches
_PANEL = 2.9  # wide
_LOWEST = 1.9  # high, at least
_LABEL = 0.165  # from one label to the next

_HOW_TO_READ = "line: mean over seeds, as far as all were trained; band: lowest to highest; grey: the baseline"
_SCALE = "one axis for all panels, which may leave first epochs out; ↓ ↑: a line that ends outside it, and where"


def curves_plot(study: FactorStudy) -> Figure:
    """Draw the objective after each epoch, a panel a factor: the mean over seeds as a line, all seeds as a band.

    Raises:
        UserError: no trial has a curve yet.
    """
    curves = {level.params_id: level.curve for level in study.levels if level.curve is not None}
    if not curves:
        raise UserError(f"study {study.study!r} has no learning curve yet: it needs a complete trial")
    scale = _Scale(
        limits=fenced(tuple(curves.values()), study.objective),
        epochs=max(len(curve.mean) for curve in curves.values()),
        worst=0.0 if study.objective.direction == "maximize" else 1.0,
    )
    panels = [_Panel(printable(factor.name), _lines(factor, study.baseline, scale)) for factor in study.factors]
    with styled():
        return _figure(f"{study.study}: {study.objective.metric} by epoch", panels, scale)


def fenced(curves: Sequence[Curve], objective: Objective) -> tuple[float, float]:
    """Return the ends of a y axis on which curves that fail to learn do not flatten the others.

    The axis has the best value of all seeds, and each curve from a fifth of its epochs on. It leaves out curves that
    end worse than the median end by more than eight median absolute deviations.
    """
    sign = 1.0 if objective.direction == "maximize" else -1.0
    ends = np.array([sign * curve.mean[-1] for curve in curves])
    deviation = float(np.median(np.abs(ends - np.median(ends))))
    least = float(np.median(ends)) - _FAR * deviation
    learning = [curve for curve, end in zip(curves, ends, strict=True) if end >= least]
    worst = min(sign * value for curve in learning for value in curve.mean[len(curve.mean) // 5 :])
    best = max(sign * value for curve in curves for value in (*curve.low, *curve.high))
    room = 0.04 * (best - worst) or 0.01 * abs(best) or 0.01
    low, high = sorted((sign * (worst - room), sign * (best + room)))
    return low, high


def spread(wanted: Sequence[float], gap: float, low: float, high: float) -> tuple[float, ...]:
    """Return ascending places that are `gap` or more apart, and between `low` and `high` if there is room.

    They are as close to the ascending `wanted` places as possible, in least squares: isotonic regression, by pooling
    adjacent violators.
    """
    pools: list[tuple[float, int]] = []  # a mean, and the number of places in it
    for index, place in enumerate(wanted):
        mean, n = place - index * gap, 1
        while pools and pools[-1][0] > mean:
            earlier, m = pools.pop()
            mean, n = (earlier * m + mean * n) / (m + n), m + n
        pools.append((mean, n))
    last = max(low, high - (len(wanted) - 1) * gap)
    clear = [min(max(mean, low), last) for mean, n in pools for _ in range(n)]
    return tuple(place + index * gap for index, place in enumerate(clear))


@dataclass(frozen=True)
class _Scale:
    """The scale of all panels: the ends of the y axis, the last epoch, and the end that is worse (0: the foot)."""

    limits: tuple[float, float]
    epochs: int
    worst: float


@dataclass(frozen=True)
class _Line:
    """A level as it is drawn; one that failed has only its label."""

    label: str
    curve: Curve | None
    end: float  # from 0 at the panel's foot to 1 at its top
    colour: str
    style: _Dashes = "-"


@dataclass(frozen=True)
class _Panel:
    """A factor with its lines."""

    name: str
    lines: tuple[_Line, ...]

    @property
    def letters(self) -> int:
        return max([*(len(line.label) for line in self.lines), len(self.name) - int(_PANEL / LETTER)], default=0)


def _lines(factor: Factor, baseline: ScoredLevel, scale: _Scale) -> tuple[_Line, ...]:
    """Return the baseline in grey, below the levels; if a level of the factor is the baseline, it stands for it."""
    own = [level for level in factor.levels if level.is_baseline]
    others = [level for level in factor.levels if not level.is_baseline]
    below = [_line(level, " (baseline)", GREY, "-", scale) for level in own] or [_line(baseline, "", GREY, "-", scale)]
    above = [
        _line(level, "", COLOURS[index % len(COLOURS)], _STYLES[index // len(COLOURS) % len(_STYLES)], scale)
        for index, level in enumerate(others)
    ]
    return tuple(line for line in (*below, *above) if line is not None)


def _line(level: ScoredLevel, after: str, colour: str, style: _Dashes, scale: _Scale) -> _Line | None:
    """Return a level's line; None if the level was not run yet."""
    name = printable(level.name)
    name = f"{name if len(name) <= _LONGEST else name[: _LONGEST - 1] + '…'}{after}"
    if level.curve is None:
        failed = f"{name}: {', '.join(level.failed)}"
        return _Line(failed, None, scale.worst, colour) if level.failed else None
    low, high = scale.limits
    last = level.curve.mean[-1]
    if last < low or last > high:
        name = f"{name} {'↓' if last < low else '↑'} {numbers.score(last)}"
    return _Line(name, level.curve, min(max((last - low) / (high - low), 0.0), 1.0), colour, style)


def _figure(title: str, panels: Sequence[_Panel], scale: _Scale) -> Figure:
    columns = min(len(panels), 2)
    rows = math.ceil(len(panels) / columns)
    height = max(_LOWEST, _LABEL * (1 + max(len(panel.lines) for panel in panels)))
    # from a panel to the next; its labels stand between them
    steps = [
        _PANEL + 0.45 + LETTER * max(panel.letters for panel in panels[column::columns]) for column in range(columns)
    ]
    left, top, bottom, between = 0.75, 1.1, 0.5, 0.65
    total = top + rows * height + (rows - 1) * between + bottom
    figure = new_figure(left + sum(steps), total, title, f"{_HOW_TO_READ}\n{_SCALE}", left=0.2)
    for index, panel in enumerate(panels):
        row, column = divmod(index, columns)
        foot = total - top - row * (height + between) - height
        axes = add_axes(figure, left + sum(steps[:column]), foot, _PANEL, height)
        axes.set_xlim(1, max(scale.epochs, 2))
        axes.set_ylim(*scale.limits)
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        axes.yaxis.set_major_locator(MaxNLocator(6))
        axes.ticklabel_format(axis="y", useOffset=False)
        axes.grid(axis="y", color=FAINT, linewidth=0.6)
        axes.set_title(panel.name, loc="left", fontsize=9.5, fontweight="bold", color=INK)
        axes.tick_params(axis="y", labelleft=column == 0)
        if index + columns >= len(panels):
            axes.set_xlabel("epoch", color=INK)
        _draw(axes, panel.lines, scale, height)
    return figure


def _draw(axes: Axes, lines: Sequence[_Line], scale: _Scale, height: float) -> None:
    for line in lines:
        if line.curve is not None:
            epochs = range(1, len(line.curve.mean) + 1)
            if line.curve.n > 1:
                axes.fill_between(epochs, line.curve.low, line.curve.high, color=line.colour, alpha=0.15, linewidth=0)
            axes.plot(epochs, line.curve.mean, color=line.colour, linestyle=line.style, linewidth=1.5)
    ordered = sorted(lines, key=lambda line: line.end)
    places = spread([line.end * height for line in ordered], _LABEL, 0.0, height)
    for line, place in zip(ordered, places, strict=True):
        if line.curve is not None:
            _lead(axes, line, line.curve, place / height, scale.epochs)
        axes.text(1.06, place / height, line.label, transform=axes.transAxes, va="center", fontsize=8.5, color=INK)


def _lead(axes: Axes, line: _Line, curve: Curve, place: float, epochs: int) -> None:
    """Draw a lead from the curve's end, a dot, to its label; it is dotted inside the panel, unlike a curve."""
    last = (len(curve.mean) - 1) / max(epochs - 1, 1)
    outside = {"transform": axes.transAxes, "clip_on": False, "color": line.colour}
    axes.plot([last, 1], [line.end, line.end], linestyle=":", linewidth=0.8, **outside)  # type: ignore[arg-type]
    axes.plot([1, 1.05], [line.end, place], linewidth=0.8, **outside)  # type: ignore[arg-type]
    axes.plot([last], [line.end], marker="o", markersize=3, **outside)  # type: ignore[arg-type]
