"""The plot of label encodings shows each one's curve, keeps its texts apart and inside, and is the same each time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib.figure import Figure

from tests.support.drawings import apart_and_inside, curves_of
from tune_jobs.exports import plots
from tune_jobs.exports.encodings_plot import encodings_plot
from tune_jobs.leaderboard.encodings import Entry
from tune_jobs.leaderboard.factors import Curve
from tune_jobs.leaderboard.ranking import Row
from tune_jobs.models.clock_encodings import SCALE
from tune_jobs.search_spaces.protocol import Objective

MINUTES = Objective("val_error_minutes", "minimize")
ACCURACY = Objective("val_accuracy", "maximize")
LOSS = Objective("val_loss", "minimize")


def entry(name: str, ends: float, *, epochs: int = 10, seeds: int = 3) -> Entry:
    """An encoding whose error falls from 180 minutes."""
    mean = (
        tuple(float(value) for value in np.geomspace(180, ends, epochs)) if ends else (180.0,) * (epochs - 1) + (0.0,)
    )
    curve = Curve(mean, tuple(value * 0.9 for value in mean), tuple(value * 1.1 for value in mean), seeds)
    row = Row(1, False, "complete", "id", {}, ends, None, (0,), (0,), (1,), 1.0, 10)
    return Entry(name, row, 1, {}, curve)


ENTRIES = (entry("two-hands joint", 1.2), entry("regression", 40.0, epochs=6), entry("classes 720", 170.0, seeds=1))


def accurate(name: str, ends: float) -> Entry:
    """An encoding whose accuracy rises from a tenth."""
    mean = tuple(float(value) for value in np.linspace(0.1, ends, 10))
    return replace(entry(name, ends), curve=Curve(mean, mean, mean, 1))


ALL: dict[str, Callable[[], Figure]] = {
    "errors on a scale": lambda: encodings_plot("a study", ENTRIES, MINUTES, SCALE),
    "a share": lambda: encodings_plot("a study", [accurate("bins=20", 0.9), accurate("bins=5", 0.8)], ACCURACY, None),
    "a loss over decades": lambda: encodings_plot("a study", ENTRIES, LOSS, None),
    "a loss that hardly falls": lambda: encodings_plot("a study", [entry("bins=20", 90.0)], LOSS, None),
}
every_plot = pytest.mark.parametrize("make", ALL.values(), ids=ALL)


def test_each_encoding_has_its_curve_and_its_name_with_the_error_that_counts() -> None:
    (axes,) = ALL["errors on a scale"]().axes
    assert axes.get_yscale() == "log"
    drawn = curves_of(axes)
    for colour, one in zip(plots.COLOURS, ENTRIES, strict=False):
        assert one.curve is not None
        assert drawn[colour.lower()] == pytest.approx(one.curve.mean)
    labels = [text.get_text() for text in axes.texts]
    assert labels == ["two-hands joint  1.20", "regression  40.00", "classes 720  170.00"]
    assert len(axes.collections) == 2  # bands over several seeds only


def test_an_error_of_nothing_does_not_leave_the_logarithmic_axis() -> None:
    (axes,) = encodings_plot("a study", [entry("perfect", 0.0), ENTRIES[1]], MINUTES, SCALE).axes
    low, high = axes.get_ylim()
    assert 0 < low < high
    assert all(0 <= text.get_position()[1] <= 1 for text in axes.texts)


def test_curves_that_are_all_alike_still_have_an_axis() -> None:
    level = Curve((60.0, 60.0), (60.0, 60.0), (60.0, 60.0), 1)
    (axes,) = encodings_plot("a study", [replace(ENTRIES[0], curve=level)], MINUTES, SCALE).axes
    assert axes.get_ylim()[0] < 60 < axes.get_ylim()[1]


@pytest.mark.parametrize(
    ("name", "kind", "words", "labels"),
    [
        ("a share", "linear", "val_accuracy (maximized)", ["bins=20  0.9000", "bins=5  0.8000"]),
        ("a loss that hardly falls", "linear", "val_loss (minimized)", ["bins=20  90.0000"]),
        (
            "a loss over decades",
            "log",
            "val_loss (minimized)",
            ["two-hands joint  1.2000", "regression  40.0000", "classes 720  170.0000"],
        ),
    ],
)
def test_without_a_scale_the_axis_is_that_of_the_objective(name: str, kind: str, words: str, labels: list[str]) -> None:
    (axes,) = ALL[name]().axes
    assert (axes.get_yscale(), axes.get_ylabel()) == (kind, words)
    assert [text.get_text() for text in axes.texts] == labels
    low, high = axes.get_ylim()
    assert all(low <= values[-1] <= high for values in curves_of(axes).values())


def test_a_line_that_ends_outside_the_axis_has_its_label_at_its_end() -> None:
    lost = [accurate(f"bins={at}", 0.9 - at / 1000) for at in range(6)] + [accurate("lost", 0.11)]
    (axes,) = encodings_plot("a study", lost, ACCURACY, None).axes
    assert axes.get_ylim()[0] > 0.11
    assert axes.texts[-1].get_text() == "lost  0.1100"
    assert axes.texts[-1].get_position()[1] == pytest.approx(0.0)


def test_of_many_encodings_the_best_twenty_are_drawn() -> None:
    many = [entry(f"bins={at}", 1.0 + at) for at in range(30)]
    (axes,) = encodings_plot("a study", many, LOSS, None).axes
    assert len(axes.texts) == 20
    assert axes.texts[0].get_text().startswith("bins=0 ")


@every_plot
def test_no_text_covers_another_or_leaves_the_figure(make: Callable[[], Figure]) -> None:
    apart_and_inside(make())


def test_many_encodings_with_long_names_keep_their_labels_apart() -> None:
    crowd = [entry(f"{at} an encoding with a name", 30.0 + at / 10) for at in range(20)]
    apart_and_inside(encodings_plot("a study", crowd, MINUTES, SCALE))


@pytest.mark.slow
@every_plot
def test_the_same_plot_is_the_same_small_file_without_a_date(make: Callable[[], Figure]) -> None:
    text = plots.svg_text(make())
    assert plots.svg_text(make()) == text
    assert "date" not in text
    assert len(text) < 300_000
    ElementTree.fromstring(text)


def test_names_are_shown_as_they_are() -> None:
    text = plots.svg_text(encodings_plot("a $b_1$ <i>&amp;", [entry("$x$ <b>", 3.0)], MINUTES, SCALE))
    shown = [element.text for element in ElementTree.fromstring(text).iter("{http://www.w3.org/2000/svg}text")]
    assert "$x$ <b>  3.00" in shown
    assert "a $b_1$ <i>&amp;: error by epoch" in shown
