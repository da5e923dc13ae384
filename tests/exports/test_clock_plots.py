"""The plots of clocks show what was read, keep their texts apart and inside, and are the same file each time."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from xml.etree import ElementTree

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from tune_jobs.exports import clock_plots, plots
from tune_jobs.leaderboard.factors import Curve
from tune_jobs.leaderboard.ranking import Row
from tune_jobs.records import readings
from tune_jobs.records.readings import Picture, Readings
from tune_jobs.records.trials import TestResult, TrialRecord
from tune_jobs.reproduction.clock_studies import Entry

# An image at each minute of the dial: each hour is read as many minutes too late as its number, and 5:30 an hour.
TRUE = np.arange(720.0)
READ = np.where(TRUE == 330, TRUE + 60, TRUE + TRUE // 60) % 720
READINGS = Readings(TRUE, READ)
PICTURES = tuple(Picture(at, np.full((8, 8, 1), 20 * (at % 12), np.uint8)) for at in range(330, 342))


def entry(name: str, ends: float, *, epochs: int = 10, seeds: int = 3) -> Entry:
    """An encoding whose error falls from 180 minutes."""
    mean = (
        tuple(float(value) for value in np.geomspace(180, ends, epochs)) if ends else (180.0,) * (epochs - 1) + (0.0,)
    )
    curve = Curve(mean, tuple(value * 0.9 for value in mean), tuple(value * 1.1 for value in mean), seeds)
    row = Row(1, False, "complete", "id", {}, ends, None, (0,), (0,), (1,), 1.0, 10)
    return Entry(name, row, 1, {}, None, curve)


ENTRIES = (entry("two-hands joint", 1.2), entry("regression", 40.0, epochs=6), entry("classes 720", 170.0, seeds=1))

ALL: dict[str, Callable[[], Figure]] = {
    "errors": lambda: clock_plots.errors_plot(READINGS, "a study, trial 3, test split"),
    "worst": lambda: clock_plots.worst_plot(PICTURES, READINGS, "a study, trial 3, test split"),
    "encodings": lambda: clock_plots.encodings_plot("a study", ENTRIES),
}
every_plot = pytest.mark.parametrize("make", ALL.values(), ids=ALL)


def curves_of(axes: Axes) -> dict[str, list[float]]:
    """Lines in the data of the axes, not in their margin, by colour."""
    return {
        to_hex(line.get_color()): [float(value) for value in np.asarray(line.get_ydata())]
        for line in axes.lines
        if line.get_transform() == axes.transData
    }


def test_every_image_is_a_dot_and_slips_are_orange() -> None:
    (axes,) = ALL["errors"]().axes
    plain, slips = (np.asarray(dots.get_offsets()) for dots in axes.collections)
    assert (len(plain), len(slips)) == (719, 1)
    np.testing.assert_allclose(slips, [[5.5, 60.0]])
    assert to_hex(axes.collections[1].get_facecolor()[0]) == plots.COLOURS[1].lower()
    np.testing.assert_allclose(sorted(plain[:, 1]), sorted(READINGS.errors[TRUE != 330]))


def test_each_hour_has_its_median_as_a_bar() -> None:
    (axes,) = ALL["errors"]().axes
    bars = [line for line in axes.lines if to_hex(line.get_color()) == plots.INK.lower()]
    found = {int(np.asarray(bar.get_xdata())[0]): float(np.asarray(bar.get_ydata())[0]) for bar in bars}
    assert found == {hour: float(hour) for hour in range(12)}


def test_errors_of_nothing_and_of_half_the_dial_are_both_on_the_axis() -> None:
    extreme = Readings(np.array([0.0, 1.0, 2.0]), np.array([0.0, 1.0, 362.0]))
    (axes,) = clock_plots.errors_plot(extreme, "a study").axes
    low, high = axes.get_ylim()
    assert low < 0
    assert high > 360
    assert axes.get_xlim() == (0, 12)
    assert [label.get_text() for label in axes.get_xticklabels()][::6] == ["0:00", "6:00", "12:00"]


def test_each_bad_image_has_its_pixels_and_both_times() -> None:
    figure = ALL["worst"]()
    assert len(figure.axes) == 12
    for axes, picture in zip(figure.axes, PICTURES, strict=True):
        (image,) = axes.images
        np.testing.assert_array_equal(image.get_array(), picture.pixels[:, :, 0])
        assert image.get_clim() == (0, 255)
    assert figure.axes[0].get_title(loc="left") == "5:30, read as 6:30\n60 minutes off"
    assert figure.axes[1].get_title(loc="left") == "5:31, read as 5:36\n5 minutes off"


def test_coloured_images_keep_their_colours() -> None:
    coloured = [Picture(0, np.full((4, 4, 3), (255, 0, 17), np.uint8))]
    (axes,) = clock_plots.worst_plot(coloured, READINGS, "a study").axes
    np.testing.assert_array_equal(np.asarray(axes.images[0].get_array())[0, 0], (255, 0, 17))


def test_each_encoding_has_its_curve_and_its_name_with_the_error_that_counts() -> None:
    (axes,) = ALL["encodings"]().axes
    assert axes.get_yscale() == "log"
    drawn = curves_of(axes)
    for colour, one in zip(plots.COLOURS, ENTRIES, strict=False):
        assert one.curve is not None
        assert drawn[colour.lower()] == pytest.approx(one.curve.mean)
    labels = [text.get_text() for text in axes.texts]
    assert labels == ["two-hands joint  1.20", "regression  40.00", "classes 720  170.00"]
    assert len(axes.collections) == 2  # bands over several seeds only


def test_an_error_of_nothing_does_not_leave_the_logarithmic_axis() -> None:
    (axes,) = clock_plots.encodings_plot("a study", [entry("perfect", 0.0), ENTRIES[1]]).axes
    low, high = axes.get_ylim()
    assert 0 < low < high
    assert all(0 <= text.get_position()[1] <= 1 for text in axes.texts)


def test_curves_that_are_all_alike_still_have_an_axis() -> None:
    level = Curve((60.0, 60.0), (60.0, 60.0), (60.0, 60.0), 1)
    (axes,) = clock_plots.encodings_plot("a study", [replace(ENTRIES[0], curve=level)]).axes
    assert axes.get_ylim()[0] < 60 < axes.get_ylim()[1]


@every_plot
def test_no_text_covers_another_or_leaves_the_figure(make: Callable[[], Figure]) -> None:
    apart_and_inside(make())


def test_many_encodings_with_long_names_keep_their_labels_apart() -> None:
    crowd = [entry(f"{at} an encoding with a name", 30.0 + at / 10) for at in range(20)]
    apart_and_inside(clock_plots.encodings_plot("a study", crowd))


def apart_and_inside(figure: Figure) -> None:
    canvas = figure.canvas
    assert isinstance(canvas, FigureCanvasAgg)
    canvas.draw()
    found = [*figure.texts]
    for axes in figure.axes:
        if not axes.axison:
            found += [axes._left_title]  # type: ignore[attr-defined]
            continue
        low, high = sorted(axes.get_ylim())
        found += [*axes.texts, axes.xaxis.label, axes.yaxis.label, *axes.get_xticklabels()]
        found += [label for label in axes.get_yticklabels() if low <= label.get_position()[1] <= high]
    boxes: list[tuple[str, mpl.transforms.Bbox]] = [
        (text.get_text(), text.get_window_extent().padded(-1.5)) for text in found if text.get_text()
    ]
    assert len(boxes) > 4
    for (one, box), (other, beside) in itertools.combinations(boxes, 2):
        assert not box.overlaps(beside), (one, other)
    for text, box in boxes:
        assert figure.bbox.x0 <= box.x0, text
        assert box.x1 <= figure.bbox.x1, text
        assert figure.bbox.y0 <= box.y0, text
        assert box.y1 <= figure.bbox.y1, text


@every_plot
def test_the_same_plot_is_the_same_small_file_without_a_date(make: Callable[[], Figure]) -> None:
    text = plots.svg_text(make())
    assert plots.svg_text(make()) == text
    assert "date" not in text
    assert len(text) < 300_000
    ElementTree.fromstring(text)


def test_names_are_shown_as_they_are() -> None:
    text = plots.svg_text(clock_plots.encodings_plot("a $b_1$ <i>&amp;", [entry("$x$ <b>", 3.0)]))
    shown = [element.text for element in ElementTree.fromstring(text).iter("{http://www.w3.org/2000/svg}text")]
    assert "$x$ <b>  3.00" in shown
    assert "a $b_1$ <i>&amp;: error by epoch" in shown


def test_a_trial_has_the_plots_of_what_its_evaluation_kept() -> None:
    trial = TrialRecord(3, {}, 0, "complete")
    assert clock_plots.plots_of_test("a study", trial) == {}
    assert clock_plots.plots_of_test("a study", replace(trial, tested=TestResult({"test_accuracy": 0.9}))) == {}
    read = TestResult({"test_error_minutes": 5.0}, readings=readings.pack(READINGS))
    assert list(clock_plots.plots_of_test("a study", replace(trial, tested=read))) == ["errors"]
    both = replace(read, worst=readings.pack_pictures(list(PICTURES)))
    assert list(clock_plots.plots_of_test("a study", replace(trial, tested=both))) == ["errors", "worst"]
