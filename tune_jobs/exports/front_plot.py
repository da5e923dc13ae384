"""The plot of several objectives: every configuration as a dot, the Pareto front in colour; a panel for each two."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullFormatter, ScalarFormatter

from tune_jobs.exports.plots import COLOURS, FAINT, GREY, INK, add_axes, new_figure, styled
from tune_jobs.leaderboard import fronts
from tune_jobs.leaderboard.ranking import Row
from tune_jobs.records.objectives import LATENCY
from tune_jobs.search_spaces.protocol import Objective
from tune_jobs.words import counted, printable

_PANEL = (5.2, 3.4)  # inches, of the one panel of two objectives
_SMALL = (2.9, 2.4)  # of each of several
_ACROSS = 3  # panels
_DECADES = 1.3  # from the least to the largest value, from which on an axis is logarithmic
_FAR = 1.5  # of the front's own extent: what lies further beyond it does not decide the axis
_NAMED = 12  # points of a front, at most, that have room for their trials

_Point = tuple[float, float]


@dataclass(frozen=True)
class _Scale:
    """The axis of an objective: its ends, and whether it is logarithmic."""

    objective: Objective
    low: float
    high: float
    is_log: bool

    @classmethod
    def of(cls, objective: Objective, front: Sequence[float | None], others: Sequence[float | None]) -> _Scale:
        """Return an axis for the whole front and for values that are not much worse.

        A network that learned nothing would flatten the rest.
        """
        best = [value for value in front if value is not None]
        known = [*best, *(value for value in others if value is not None)]
        is_log = min(known) > 0 and math.log10(max(known) / min(known)) > _DECADES
        to_place, to_value = (math.log10, lambda place: 10**place) if is_log else (float, float)
        low, high = to_place(min(best)), to_place(max(best))
        reach = _FAR * (high - low) or math.inf
        within_reach = [place for place in map(to_place, known) if low - reach <= place <= high + reach]
        room = 0.06 * (max(within_reach) - min(within_reach)) or 0.05 * abs(max(within_reach)) or 0.05
        return cls(objective, to_value(min(within_reach) - room), to_value(max(within_reach) + room), is_log)

    @property
    def name(self) -> str:
        return printable(self.objective.metric) + (", ms" if self.objective.metric == LATENCY else "")

    def leaves_out(self, value: float | None) -> bool:
        return value is not None and not self.low <= value <= self.high


def front_plot(study: str, rows: Sequence[Row], objectives: Sequence[Objective]) -> Figure:
    """Draw complete configurations in each pair of objectives; an arrow on each axis points to the better side.

    With two objectives, the front also has a step line and the numbers of its trials.
    """
    front = fronts.first(rows)
    others = [row for row in rows if row.is_result and row.rank > 1 and None not in row.values]
    pairs = list(itertools.combinations(range(len(objectives)), 2))
    with styled():
        return _figure(study, front, others, objectives, pairs)


def _figure(
    study: str,
    front: Sequence[Row],
    others: Sequence[Row],
    objectives: Sequence[Objective],
    pairs: list[tuple[int, int]],
) -> Figure:
    width, height = _PANEL if len(pairs) == 1 else _SMALL
    columns = min(len(pairs), _ACROSS)
    n_rows = math.ceil(len(pairs) / columns)
    left, right, top, bottom, gap = 1.0, 0.35, 0.85, 0.6, (1.05, 0.75)
    n = len(front)
    title = f"{study}: {counted(n, 'configuration')} on the Pareto front"
    scales = [
        _Scale.of(objective, [row.values[index] for row in front], [row.values[index] for row in others])
        for index, objective in enumerate(objectives)
    ]
    below = "blue: the front, grey: other configurations that completed"
    if len(pairs) == 1 and n <= _NAMED:
        below += ", numbers: trials"
    outside = sum(
        any(scale.leaves_out(value) for scale, value in zip(scales, row.values, strict=True)) for row in others
    )
    below += f"; hollow, at the edge: {outside} further off" if outside else ""
    total = top + n_rows * height + (n_rows - 1) * gap[1] + bottom
    figure = new_figure(left + columns * width + (columns - 1) * gap[0] + right, total, title, below, left=0.2)
    for index, (up, across) in enumerate(pairs):
        line, column = divmod(index, columns)
        foot = total - top - line * (height + gap[1]) - height
        axes = add_axes(figure, left + column * (width + gap[0]), foot, width, height)
        dominated = [_point(row, across, up) for row in others]
        best = [_point(row, across, up) for row in front]
        inside = [point for point in dominated if point == _clipped(point, scales[across], scales[up])]
        edge = [_clipped(point, scales[across], scales[up]) for point in dominated if point not in inside]
        axes.plot(*_unzipped(inside), "o", color=GREY, markersize=4, markeredgewidth=0, alpha=0.55)
        axes.plot(*_unzipped(edge), "o", markersize=4, markerfacecolor="none", markeredgecolor=GREY, clip_on=False)
        axes.plot(*_unzipped(best), "o", color=COLOURS[0], markersize=6, markeredgecolor="white", zorder=3)
        _prepare(axes, scales[across], scales[up])
        if len(pairs) == 1:
            _draw_steps(axes, best, objectives[across], objectives[up])
            if n <= _NAMED:
                _name(axes, front, best, objectives[across], objectives[up])
    return figure


def _point(row: Row, across: int, up: int) -> _Point:
    x, y = row.values[across], row.values[up]
    return (math.nan if x is None else x, math.nan if y is None else y)


def _clipped(point: _Point, across: _Scale, up: _Scale) -> _Point:
    """Return a point that is outside the axes at their edge."""
    x, y = point
    return min(max(x, across.low), across.high), min(max(y, up.low), up.high)


def _unzipped(points: Sequence[_Point]) -> tuple[list[float], list[float]]:
    return [x for x, _ in points], [y for _, y in points]


def _prepare(axes: Axes, across: _Scale, up: _Scale) -> None:
    """Set scales, grid and names; an arrow beside each name points to the better side."""
    for axis, scale, set_scale, set_limits in (
        (axes.xaxis, across, axes.set_xscale, axes.set_xlim),
        (axes.yaxis, up, axes.set_yscale, axes.set_ylim),
    ):
        axis.set_label_text(
            f"{scale.name}  {'→' if scale.objective.direction == 'maximize' else '←'} better", color=INK
        )
        set_scale("log" if scale.is_log else "linear")
        set_limits(scale.low, scale.high)
        if scale.is_log:
            axis.set_minor_formatter(NullFormatter())
            axis.set_major_formatter(lambda x, _: f"{x:,.0f}" if x >= 1 else f"{x:g}")
        else:
            axis.set_major_locator(MaxNLocator(5))
            axis.set_major_formatter(ScalarFormatter(useOffset=False))
    axes.grid(color=FAINT, linewidth=0.6)


def _draw_steps(axes: Axes, best: Sequence[_Point], across: Objective, up: Objective) -> None:
    """Draw the border of the dominated area: from each point level to the worse side, as far as the next."""
    minimized = across.direction == "minimize"
    ordered = sorted(best, key=lambda point: (point[0] if minimized else -point[0], point[1]))
    xs, ys = _unzipped(ordered)
    limits_x, limits_y = axes.get_xlim(), axes.get_ylim()
    worst_x = limits_x[1] if minimized else limits_x[0]
    worst_y = limits_y[0] if up.direction == "maximize" else limits_y[1]
    axes.plot(
        [xs[0], *xs, worst_x],
        [worst_y, *ys, ys[-1]],
        drawstyle="steps-post",
        color=COLOURS[0],
        linewidth=1.2,
        zorder=2,
    )
    axes.set_xlim(limits_x)
    axes.set_ylim(limits_y)


def _name(axes: Axes, front: Sequence[Row], best: Sequence[_Point], across: Objective, up: Objective) -> None:
    """Write the first trial of each point of the front on the side where no other point can be."""
    right, high = across.direction == "maximize", up.direction == "maximize"
    for row, point in zip(front, best, strict=True):
        axes.annotate(
            str(row.trials[0]),
            point,
            xytext=(5 if right else -5, 4 if high else -4),
            textcoords="offset points",
            ha="left" if right else "right",
            va="bottom" if high else "top",
            fontsize=7.5,
            color="#555555",
        )
