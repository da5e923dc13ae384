"""Plots as files, and the plot of `compare`: the winners of several studies as dots with their intervals.

Plots use matplotlib's objects without pyplot, which would leave global state behind. The same figure gives the same
file. Import this module only to make a plot: matplotlib takes half a second.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.text import Text
from matplotlib.ticker import MaxNLocator

from tune_jobs.errors import UserError
from tune_jobs.exports import numbers
from tune_jobs.files import write, write_bytes
from tune_jobs.leaderboard.comparison import Comparison, Winner
from tune_jobs.search_spaces.protocol import Objective
from tune_jobs.words import counted, printable, printable_lines

# Okabe and Ito (2008), distinct with any colour vision; without their yellow, which is too faint on white
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
GREY, FAINT, INK = "#8A8A8A", "#E4E4E4", "#222222"
LETTER = 0.068  # inches of width, at most, on average

_STYLE: dict[Any, Any] = {
    "font.family": "sans-serif",
    "font.size": 9.0,
    "svg.fonttype": "none",  # texts stay texts, for search and screen readers
    "svg.hashsalt": "tune-jobs",  # the same ids each time
    "text.parse_math": False,  # two dollar signs in a name are not a formula
}
_PNG_DPI = 144
_WINNER = 0.5  # inches of height
_NARROWEST = 6.4  # inches, in which a figure's head has room


class Picture(AxesImage):
    """An image that an SVG has as the file from which it was read: a photograph's JPEG is a tenth of its PNG."""

    source = ""  # the file as a data URI


def save(figure: Figure, path: Path) -> None:
    """Write a figure in the format of the file's name.

    Raises:
        UserError: the name ends neither in .svg nor in .png, or the file cannot be written.
    """
    if path.suffix.lower() not in (".svg", ".png"):
        raise UserError(f"a plot is written to a file that ends in .svg or .png; got {path}")
    if path.suffix.lower() == ".svg":
        write(path, svg_text(figure))
        return
    content = io.BytesIO()
    with styled():
        _make_printable(figure)
        figure.savefig(content, format="png", dpi=_PNG_DPI, metadata={"Software": None})
    write_bytes(path, content.getvalue())


def svg_text(figure: Figure) -> str:
    """Return a figure as SVG; it has no date in it, so that it is the same each time."""
    content = io.StringIO()
    with styled():
        _make_printable(figure)
        figure.savefig(content, format="svg", metadata={"Date": None})
    return _with_own_files(content.getvalue(), figure)


def _with_own_files(svg: str, figure: Figure) -> str:
    """Put the files of pictures into an SVG, where matplotlib has its own PNGs of them, in the order of the axes.

    A figure has either pictures or other images.
    """
    pictures = iter([image for axes in figure.axes for image in axes.get_images() if isinstance(image, Picture)])

    def own(uri: re.Match[str]) -> str:
        picture = next(pictures, None)
        return uri[0] if picture is None else picture.source

    return re.sub(r"data:image/png;base64,[\w+/=\s]+", own, svg)


def _make_printable(figure: Figure) -> None:
    """Take out of all texts what no font has, and what would make an SVG that is no XML."""
    for text in figure.findobj(Text):
        assert isinstance(text, Text)
        text.set_text(printable_lines(text.get_text()))


def winners_plot(comparison: Comparison) -> Figure:
    """Draw a line a study, the best at the top: a dot with its 95 % interval, and a hollow one for the test split.

    Raises:
        UserError: the studies have different objectives, which have no common axis.
    """
    studies: dict[Objective, list[str]] = {}
    for winner in comparison.winners:
        studies.setdefault(winner.objective, []).append(winner.study)
    if len(studies) > 1:
        each = (
            f"{objective.direction} {objective.metric} ({', '.join(names)})" for objective, names in studies.items()
        )
        raise UserError(f"a plot needs studies of one objective; these have {'; '.join(each)}")
    (objective,) = studies
    with styled():
        return _winners_figure(comparison.winners, objective)


@contextmanager
def styled() -> Iterator[None]:
    """Set matplotlib's global settings while a figure is drawn, whatever the user's are, and restore them after it."""
    with mpl.rc_context(), warnings.catch_warnings():
        mpl.rcdefaults()
        mpl.rcParams.update(_STYLE)
        warnings.filterwarnings("ignore", "Glyph .* missing from font")  # in a name; who views the SVG may have it
        yield


def new_figure(width: float, height: float, title: str, below: str, *, left: float) -> Figure:
    """Return a white figure, sizes in inches, with a title and a line below it that begin `left` from its edge."""
    figure = Figure(figsize=(max(width, _NARROWEST), height), facecolor="white")
    FigureCanvasAgg(figure)
    across, up = figure.get_size_inches()
    figure.text(left / across, 1 - 0.18 / up, printable(title), va="top", fontsize=11, fontweight="bold", color=INK)
    figure.text(left / across, 1 - 0.4 / up, below, va="top", fontsize=8.5, color="#555555")
    return figure


def add_axes(figure: Figure, x: float, y: float, width: float, height: float) -> Axes:
    """Add axes at a place in inches from the figure's lower left corner."""
    across, up = figure.get_size_inches()
    axes = figure.add_axes((x / across, y / up, width / across, height / up))
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(GREY)
    axes.tick_params(colors=INK, labelsize=8.5, length=3)
    axes.set_axisbelow(True)
    return axes


def _winners_figure(winners: Sequence[Winner], objective: Objective) -> Figure:
    left = 0.35 + LETTER * max(len(winner.study) for winner in winners)
    across, right, top, bottom = 4.2, 1.5, 0.75, 0.55
    height = _WINNER * len(winners)
    below = "dot: mean over seeds, bar: 95 % interval, on the validation split; hollow: on the test split"
    title = f"Winners by {objective.metric}"
    figure = new_figure(left + across + right, top + height + bottom, title, below, left=0.2)
    axes = add_axes(figure, left, bottom, across, height)
    for place, winner in enumerate(winners):
        _draw_winner(axes, place, winner)
    axes.set_ylim(len(winners) - 0.5, -0.5)
    axes.set_yticks(range(len(winners)), [winner.study for winner in winners])
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", color=FAINT, linewidth=0.6)
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.ticklabel_format(axis="x", useOffset=False)
    axes.set_xlabel(f"{objective.metric} ({objective.direction}d)", color=INK)
    return figure


def _draw_winner(axes: Axes, place: int, winner: Winner) -> None:
    row, tested = winner.row, winner.row.tested
    above, beneath = (place, place) if tested is None else (place - 0.16, place + 0.16)
    if row.interval is not None:
        axes.plot(row.interval, [above, above], color=COLOURS[0], linewidth=2, solid_capstyle="butt")
    axes.plot(row.score, above, "o", color=COLOURS[0], markersize=7)
    words = f"{numbers.score(row.score)}  {counted(row.n, 'seed')}"
    _write_beside(axes, above, words)
    if tested is None:
        return
    if tested.interval is not None:
        axes.plot(tested.interval, [beneath, beneath], color=COLOURS[0], linewidth=1, solid_capstyle="butt")
    axes.plot(tested.score, beneath, "o", markersize=6, markerfacecolor="white", markeredgecolor=COLOURS[0])
    _write_beside(axes, beneath, f"{numbers.score(tested.score)}  test")


def _write_beside(axes: Axes, y: float, words: str) -> None:
    """Write text to the right of the axes, at the height `y` of their data."""
    transform = axes.get_yaxis_transform()  # x in axes, y in data
    axes.text(1.03, y, words, transform=transform, va="center", fontsize=8.5, color=INK)
