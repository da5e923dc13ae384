"""The plot of searches of one task: the best score so far over the epochs that were spent, and every trial as a dot."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from tune_jobs.exports import numbers
from tune_jobs.exports.curves import spread
from tune_jobs.exports.plots import COLOURS, FAINT, GREY, INK, LETTER, add_axes, new_figure, styled
from tune_jobs.leaderboard.histories import Step
from tune_jobs.search_spaces.protocol import Objective
from tune_jobs.words import printable

_PANEL = (5.4, 3.0)  # inches
_LABEL = 0.17  # inches, from one label to the next
_HOW_TO_READ = (
    "line: the best of the trials that ran in full; dot: such a trial; hollow: one that was stopped early;\n"
    "at the edge: further off; grey: the task's baseline"
)

Histories = Sequence[tuple[str, Sequence[Step]]]


def history_plot(title: str, objective: Objective, histories: Histories, baseline: float | None) -> Figure:
    """Draw the histories of searches, each with its name at the end of its line; `baseline` is a score.

    One of them, at least, has a trial that ran in full.
    """
    low, high = _limits(histories, objective, baseline)
    width, height = _PANEL
    left, top, bottom = 0.85, 1.0, 0.55
    across = left + width + 0.4 + LETTER * max(len(name) for name, _ in histories)
    with styled():
        figure = new_figure(across, top + height + bottom, title, _HOW_TO_READ, left=0.2)
        axes = add_axes(figure, left, bottom, width, height)
        axes.set_xlim(0, 1.02 * max(steps[-1].epochs for _, steps in histories))
        axes.set_ylim(low, high)
        axes.yaxis.set_major_locator(MaxNLocator(6))
        axes.ticklabel_format(axis="y", useOffset=False)
        axes.grid(axis="y", color=FAINT, linewidth=0.6)
        axes.set_xlabel("epochs in all trials", color=INK)
        axes.set_ylabel(printable(objective.metric), color=INK)
        if baseline is not None:
            axes.axhline(baseline, color=GREY, linewidth=1.0, linestyle=(0, (5, 1.5)))
        for (_, steps), colour in zip(histories, COLOURS, strict=False):
            _draw(axes, steps, colour, (low, high))
        _name(axes, histories, (low, high))
    return figure


def _limits(histories: Histories, objective: Objective, baseline: float | None) -> tuple[float, float]:
    """Return the ends of the y axis: it has the trials that ran in full and are not far behind the best."""
    scores = [step.score for _, steps in histories for step in steps if step.best is not None and _is_full(step)]
    shown = numbers.within_reach([score for score in scores if score is not None], objective)
    shown += [] if baseline is None else [baseline]
    room = 0.06 * (max(shown) - min(shown)) or 0.01 * abs(max(shown)) or 0.01
    return min(shown) - room, max(shown) + room


def _is_full(step: Step) -> bool:
    return step.state == "complete"


def _draw(axes: Axes, steps: Sequence[Step], colour: str, limits: tuple[float, float]) -> None:
    low, high = limits
    ahead = [(step.epochs, step.best) for step in steps if step.best is not None]
    axes.plot(*zip(*ahead, strict=True), drawstyle="steps-post", color=colour, linewidth=1.6, zorder=3)
    for is_full, face in ((True, colour), (False, "none")):
        at = [(step.epochs, step.score) for step in steps if step.score is not None and _is_full(step) == is_full]
        xs, ys = [x for x, _ in at], [min(max(y, low), high) for _, y in at]
        axes.plot(xs, ys, "o", markersize=4, markeredgecolor=colour, markerfacecolor=face, alpha=0.7, clip_on=False)


def _name(axes: Axes, histories: Histories, limits: tuple[float, float]) -> None:
    """Write the name of each history beside the end of its line, in its colour."""
    (low, high), height = limits, _PANEL[1]
    ends = [(steps[-1].best or low, name, colour) for (name, steps), colour in zip(histories, COLOURS, strict=False)]
    ends.sort()
    places = spread([(end - low) / (high - low) * height for end, _, _ in ends], _LABEL, 0.0, height)
    for (_, name, colour), place in zip(ends, places, strict=True):
        axes.text(
            1.02,
            place / height,
            printable(name),
            transform=axes.transAxes,
            va="center",
            fontsize=8.5,
            color=colour,
        )
