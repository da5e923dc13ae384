"""The plots show what the tables say, keep their labels apart and inside, and are the same file each time."""

from __future__ import annotations

import itertools
import math
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import matplotlib as mpl
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from scipy.optimize import isotonic_regression

from tune_jobs.errors import UserError
from tune_jobs.exports import curves, plots
from tune_jobs.leaderboard.comparison import Comparison, Winner
from tune_jobs.leaderboard.factors import Curve, Factor, FactorStudy, ScoredLevel
from tune_jobs.leaderboard.ranking import Row, TestScore
from tune_jobs.search_spaces import Objective

HIGHER = Objective("val_accuracy", "maximize")
LOWER = Objective("val_error", "minimize")
HOSTILE = "a $b_1$ <i>&amp; \x1b[31m漢"


def rising(to: float, epochs: int = 10, seeds: int = 3) -> Curve:
    """A learning curve that ends at `to`."""
    mean = [to - 0.5 * math.exp(-epoch) + 0.5 * math.exp(-epochs) for epoch in range(1, epochs + 1)]
    return Curve(tuple(mean), tuple(value - 0.01 for value in mean), tuple(value + 0.01 for value in mean), seeds)


def level(name: str, curve: Curve | None, *, is_baseline: bool = False, failed: tuple[str, ...] = ()) -> ScoredLevel:
    return ScoredLevel(name, f"id-{name}", is_baseline, None, None, None, failed, curve)


def one_factor(*factors: Factor, baseline: Curve | None = None, objective: Objective = HIGHER) -> FactorStudy:
    base = level("baseline", baseline or rising(0.9), is_baseline=True)
    return FactorStudy("first", "own", "digits", objective, base, factors)


ACTIVATION = Factor(
    "activation", (level("ReLU", rising(0.9), is_baseline=True), level("tanh", rising(0.902)), level("elu", None))
)
OPTIMIZER = Factor(
    "optimizer",
    (level("Adam", rising(0.91, 7)), level("lost", rising(0.1)), level("bad", None, failed=("2 diverged", "crashed"))),
)
STUDY = one_factor(ACTIVATION, OPTIMIZER)


def labels(axes: Axes) -> list[str]:
    return [text.get_text() for text in axes.texts]


def drawn(axes: Axes) -> dict[str, list[float]]:
    """The curves in a panel by their colour: the lines that are in its data, not in its margins."""
    return {
        to_hex(line.get_color()): [float(value) for value in np.asarray(line.get_ydata())]
        for line in axes.lines
        if line.get_transform() == axes.transData and len(np.asarray(line.get_xdata())) > 1
    }


def test_each_panel_has_its_levels_and_the_baseline_in_grey() -> None:
    activation, optimizer = curves.curves_plot(STUDY).axes
    assert [axes.get_title(loc="left") for axes in (activation, optimizer)] == ["activation", "optimizer"]
    assert sorted(labels(activation)) == ["ReLU (baseline)", "tanh"]  # what was not run yet is not there
    assert sorted(labels(optimizer)) == ["Adam", "bad: 2 diverged, crashed", "baseline", "lost ↓ 0.1000"]
    assert drawn(activation)[plots.GREY.lower()] == pytest.approx(rising(0.9).mean)
    assert drawn(optimizer)[plots.GREY.lower()] == pytest.approx(rising(0.9).mean)
    assert drawn(activation)[plots.COLOURS[0].lower()] == pytest.approx(rising(0.902).mean)
    assert drawn(optimizer)[plots.COLOURS[0].lower()] == pytest.approx(rising(0.91, 7).mean)


def test_a_band_is_drawn_over_several_seeds_only() -> None:
    (axes,) = curves.curves_plot(one_factor(Factor("one", (level("a", rising(0.8, seeds=1)),)))).axes
    (band,) = axes.collections  # the baseline's
    assert to_hex(band.get_facecolor()[0]) == plots.GREY.lower()
    vertices = np.asarray(band.get_paths()[0].vertices)
    assert vertices[:, 1].min() == pytest.approx(min(rising(0.9).low))
    assert vertices[:, 1].max() == pytest.approx(max(rising(0.9).high))


def test_all_panels_share_one_axis() -> None:
    first, second = curves.curves_plot(STUDY).axes
    assert first.get_ylim() == second.get_ylim()
    assert first.get_xlim() == second.get_xlim() == (1, 10)


def test_a_curve_that_fails_to_learn_does_not_move_the_axis() -> None:
    good = [rising(to) for to in (0.90, 0.91, 0.92)]
    assert curves.fenced([*good, rising(0.1)], HIGHER) == curves.fenced(good, HIGHER)


def test_the_axis_holds_all_seeds_best_and_the_others_from_a_fifth_of_the_epochs_on() -> None:
    good = [rising(to) for to in (0.90, 0.91, 0.92)]
    low, high = curves.fenced(good, HIGHER)
    assert high > max(max(curve.high) for curve in good)
    assert low < min(min(curve.mean[2:]) for curve in good)
    assert low > min(curve.mean[0] for curve in good)
    assert curves.fenced([*good, rising(0.99)], HIGHER)[1] > 1.0  # a better one is never left out


@given(st.lists(st.floats(0.0, 1.0), min_size=1, max_size=8), st.integers(1, 12))
def test_an_axis_of_errors_is_that_of_accuracies_upside_down(ends: Sequence[float], epochs: int) -> None:
    good = [rising(to, epochs) for to in ends]
    turned = [
        Curve(tuple(-v for v in curve.mean), tuple(-v for v in curve.high), tuple(-v for v in curve.low), curve.n)
        for curve in good
    ]
    low, high = curves.fenced(good, HIGHER)
    assert low < high
    assert curves.fenced(turned, LOWER) == pytest.approx((-high, -low))


@pytest.mark.parametrize(("objective", "worst"), [(HIGHER, min), (LOWER, max)])
def test_a_failed_level_stands_at_the_worse_end(objective: Objective, worst: Callable[..., float]) -> None:
    learned = Factor("optimizer", (level("Adam", rising(0.91)), OPTIMIZER.levels[2]))
    (axes,) = curves.curves_plot(one_factor(learned, objective=objective)).axes
    places = {text.get_text(): text.get_position()[1] for text in axes.texts}
    assert places["bad: 2 diverged, crashed"] == worst(places.values())


@given(st.lists(st.floats(0, 2), min_size=1, max_size=12).map(sorted))
def test_labels_are_spread_as_little_as_isotonic_regression_allows(wanted: list[float]) -> None:
    gap = 0.1
    found = curves.spread(wanted, gap, 0.0, 2.0)
    free = isotonic_regression([place - at * gap for at, place in enumerate(wanted)]).x
    last = 2.0 - (len(wanted) - 1) * gap
    assert found == pytest.approx([np.clip(place, 0.0, last) + at * gap for at, place in enumerate(free)])
    assert all(later - earlier >= gap - 1e-9 for earlier, later in itertools.pairwise(found))
    assert found[0] >= -1e-9
    assert found[-1] <= 2.0 + 1e-9


def test_labels_that_are_apart_stay_where_they_are() -> None:
    assert curves.spread([0.1, 0.5, 1.9], 0.2, 0.0, 2.0) == pytest.approx((0.1, 0.5, 1.9))


def test_no_text_covers_another_or_leaves_the_figure() -> None:
    """Ten levels with equal ends and names as long as they get, in one panel beside another."""
    names = [f"{at} {'initial weights ' * 3}" for at in range(10)]
    crowded = Factor("crowded", tuple(level(name, rising(0.9)) for name in names))
    figure = curves.curves_plot(one_factor(crowded, OPTIMIZER, ACTIVATION))
    boxes = extents(figure)
    for (one, box), (other, beside) in itertools.combinations(boxes, 2):
        assert not box.overlaps(beside), (one, other)
    for text, box in boxes:
        assert figure.bbox.x0 <= box.x0, text
        assert box.x1 <= figure.bbox.x1, text
        assert figure.bbox.y0 <= box.y0, text
        assert box.y1 <= figure.bbox.y1, text


def extents(figure: Figure) -> list[tuple[str, mpl.transforms.Bbox]]:
    """Every text that is drawn, with its box, a little smaller than the line it stands in."""
    canvas = figure.canvas
    assert isinstance(canvas, FigureCanvasAgg)
    canvas.draw()
    found = [*figure.texts]
    for axes in figure.axes:
        found += [*axes.texts, axes.title, axes._left_title, axes.xaxis.label, *axes.get_xticklabels()]  # type: ignore[attr-defined]
        found += [label for label in axes.get_yticklabels() if min(axes.get_ylim()) <= label.get_position()[1]]
    return [
        (text.get_text(), text.get_window_extent().padded(-1.5))
        for text in found
        if text.get_text() and text.get_visible()
    ]


def test_without_a_curve_there_is_nothing_to_draw() -> None:
    empty = replace(STUDY, baseline=level("baseline", None), factors=(Factor("one", (level("a", None),)),))
    with pytest.raises(UserError, match="'first' has no learning curve yet"):
        curves.curves_plot(empty)


def winner(study: str, score: float, *, objective: Objective = HIGHER, tested: TestScore | None = None) -> Winner:
    row = Row(1, False, "complete", "id", {}, score, 0.01, (0, 1), (0, 1), (1, 1), 1.0, 10)
    row = replace(row, interval=(score - 0.02, score + 0.01), tested=tested)
    return Winner(study, "task", objective, "digits", "da", row, {0: score})


TESTED = TestScore("test_accuracy", 0.85, 0.01, 2, (0.84, 0.87))
WINNERS = Comparison((winner("best", 0.9, tested=TESTED), winner("second", 0.8)), ())


def test_the_best_winner_stands_at_the_top_with_its_interval_and_a_hollow_dot_for_the_test() -> None:
    (axes,) = plots.winners_plot(WINNERS).axes
    names = [label.get_text() for label in axes.get_yticklabels()]
    heights = [axes.transData.transform((0.9, place))[1] for place in axes.get_yticks()]
    assert names == ["best", "second"]
    assert heights[0] > heights[1]
    bars = [tuple(map(float, np.asarray(line.get_xdata()))) for line in axes.lines if line.get_marker() == "None"]
    assert bars == [pytest.approx((0.88, 0.91)), (0.84, 0.87), pytest.approx((0.78, 0.81))]
    dots = [(float(np.asarray(line.get_xdata())[0]), line.get_markerfacecolor()) for line in axes.lines]
    assert [dot for dot in dots if dot[1] == "white"] == [(0.85, "white")]
    assert labels(axes) == ["0.9000  2 seeds", "0.8500  test", "0.8000  2 seeds"]


def test_winners_stay_inside_the_figure_and_apart() -> None:
    long = Comparison((winner("fashion-mnist-mlp-dropout-search-" * 3, 0.9, tested=TESTED), winner("second", 0.8)), ())
    figure = plots.winners_plot(long)
    boxes = extents(figure)
    assert all(figure.bbox.x0 <= box.x0 and box.x1 <= figure.bbox.x1 for _, box in boxes)
    assert not any(one.overlaps(other) for (_, one), (_, other) in itertools.combinations(boxes, 2))


def test_winners_of_different_objectives_have_no_common_axis() -> None:
    mixed = Comparison((*WINNERS.winners, winner("third", 0.1, objective=LOWER)), ())
    with pytest.raises(UserError, match=re.escape("maximize val_accuracy (best, second); minimize val_error (third)")):
        plots.winners_plot(mixed)


@pytest.mark.parametrize("make", [lambda: curves.curves_plot(STUDY), lambda: plots.winners_plot(WINNERS)])
def test_the_same_figures_are_the_same_file_without_a_date(make: type[Figure]) -> None:
    text = plots.svg_text(make())
    assert plots.svg_text(make()) == text
    assert "date" not in text
    assert "<text" in text
    ElementTree.fromstring(text)


def test_names_are_shown_as_they_are_whatever_is_in_them() -> None:
    hostile = one_factor(Factor(HOSTILE, (level(HOSTILE, rising(0.8)),)))
    text = plots.svg_text(curves.curves_plot(replace(hostile, study=HOSTILE)))
    shown = [element.text for element in ElementTree.fromstring(text).iter("{http://www.w3.org/2000/svg}text")]
    assert shown.count("a $b_1$ <i>&amp;  [31m漢") == 2  # the panel's title and the label


def test_nothing_global_is_left_behind(tmp_path: Path) -> None:
    before = dict(mpl.rcParams)
    plots.save(curves.curves_plot(STUDY), tmp_path / "curves.svg")
    assert dict(mpl.rcParams) == before


def test_a_file_is_what_its_name_says(tmp_path: Path) -> None:
    figure = plots.winners_plot(WINNERS)
    plots.save(figure, tmp_path / "a.PNG")
    plots.save(figure, tmp_path / "a.svg")
    assert (tmp_path / "a.PNG").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "a.svg").read_text(encoding="utf-8").startswith("<?xml")


@pytest.mark.parametrize("name", ["plot.pdf", "plot", "missing/plot.png", "missing/plot.svg"])
def test_a_file_that_cannot_be_written_is_refused_by_name(name: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=re.escape(str(tmp_path / name))):
        plots.save(plots.winners_plot(WINNERS), tmp_path / name)


def test_commands_that_draw_nothing_do_not_import_matplotlib() -> None:
    code = (
        "import sys, tune_jobs.exports\nfrom tune_jobs.cli import run\n"
        "codes = [run([command, '--help']) for command in ('compare', 'factors', 'export')]\n"
        "print(codes, 'matplotlib' in sys.modules, file=sys.stderr)"
    )
    asked = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert asked.stderr.strip() == "[0, 0, 0] False"
