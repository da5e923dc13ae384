"""The plots of what was read on the test split show it, keep their texts apart, and are the same each time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from tests.support.drawings import apart_and_inside
from tune_jobs.exports import plots, reading_plots
from tune_jobs.models.clock_encodings import SCALE
from tune_jobs.models.scales import Scale
from tune_jobs.records import readings
from tune_jobs.records.readings import Picture, Readings
from tune_jobs.records.trials import TestResult, TrialRecord

# An image at each minute of the dial: each hour is read as many minutes too late as its number, and 5:30 an hour.
TRUE = np.arange(720.0)
READ = np.where(TRUE == 330, TRUE + 60, TRUE + TRUE // 60) % 720
READINGS = Readings(TRUE, READ, SCALE)
PICTURES = tuple(Picture(at, np.full((8, 8, 1), 20 * (at % 12), np.uint8)) for at in range(330, 342))


# Temperatures without a period, some of them read far off.
DEGREES = Scale("temperature", "degrees Celsius", (-20.0, 0.0, 20.0, 40.0), decimals=1)
WARM = np.linspace(-20, 40, 61)
TEMPERATURES = Readings(WARM, WARM + np.where(WARM > 20, 90.0, 0.5), DEGREES)

ALL: dict[str, Callable[[], Figure]] = {
    "errors": lambda: reading_plots.errors_plot(READINGS, "a study, trial 3, test split"),
    "worst": lambda: reading_plots.worst_plot(PICTURES, READINGS, "a study, trial 3, test split"),
    "errors of temperatures": lambda: reading_plots.errors_plot(TEMPERATURES, "a study, trial 3, test split"),
    "worst temperatures": lambda: reading_plots.worst_plot(
        [replace(picture, index=at) for at, picture in enumerate(PICTURES)], TEMPERATURES, "a study"
    ),
}
every_plot = pytest.mark.parametrize("make", ALL.values(), ids=ALL)


def test_every_image_is_a_dot_and_slips_are_orange() -> None:
    (axes,) = ALL["errors"]().axes
    plain, slips = (np.asarray(dots.get_offsets()) for dots in axes.collections)
    assert (len(plain), len(slips)) == (719, 1)
    np.testing.assert_allclose(slips, [[330.0, 60.0]])
    assert to_hex(axes.collections[1].get_facecolor()[0]) == plots.COLOURS[1].lower()
    np.testing.assert_allclose(sorted(plain[:, 1]), sorted(READINGS.errors[TRUE != 330]))


def test_each_hour_has_its_median_as_a_bar() -> None:
    (axes,) = ALL["errors"]().axes
    bars = [line for line in axes.lines if to_hex(line.get_color()) == plots.INK.lower()]
    found = {int(np.asarray(bar.get_xdata())[0]) // 60: float(np.asarray(bar.get_ydata())[0]) for bar in bars}
    assert found == {hour: float(hour) for hour in range(12)}


def test_errors_of_nothing_and_of_half_the_dial_are_both_on_the_axis() -> None:
    extreme = Readings(np.array([0.0, 1.0, 2.0]), np.array([0.0, 1.0, 362.0]), SCALE)
    (axes,) = reading_plots.errors_plot(extreme, "a study").axes
    low, high = axes.get_ylim()
    assert low < 0
    assert high > 360
    assert axes.get_xlim() == (0, 720)
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
    (axes,) = reading_plots.worst_plot(coloured, READINGS, "a study").axes
    np.testing.assert_array_equal(np.asarray(axes.images[0].get_array())[0, 0], (255, 0, 17))


def test_a_scale_without_a_period_has_its_own_axes_and_words() -> None:
    figure = ALL["errors of temperatures"]()
    (axes,) = figure.axes
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("true temperature", "error, degrees Celsius")
    assert axes.get_xlim() == (-20, 40)
    assert [label.get_text() for label in axes.get_xticklabels()] == ["-20.0", "0.0", "20.0", "40.0"]
    assert axes.get_ylim()[1] > 90  # a value that was read beyond the ticks
    bars = [line for line in axes.lines if to_hex(line.get_color()) == plots.INK.lower()]
    assert [float(np.asarray(bar.get_ydata())[0]) for bar in bars] == [0.5, 0.5, 90.0]
    (words,) = (text.get_text() for text in figure.texts if "a dot" in text.get_text())
    assert words == (
        "a dot: an image\nbar: the median of each interval; in all: mean 29.844, median 0.500 degrees Celsius"
    )
    assert "error over the true temperature" in figure.texts[0].get_text()


def test_bad_readings_of_any_scale_have_their_values_and_unit() -> None:
    titles = [axes.get_title(loc="left") for axes in ALL["worst temperatures"]().axes]
    assert titles[0] == "-20.0, read as -19.5\n0.5 degrees Celsius off"


@pytest.mark.slow
@every_plot
def test_no_text_covers_another_or_leaves_the_figure(make: Callable[[], Figure]) -> None:
    apart_and_inside(make())


@pytest.mark.slow
@every_plot
def test_the_same_plot_is_the_same_small_file_without_a_date(make: Callable[[], Figure]) -> None:
    text = plots.svg_text(make())
    assert plots.svg_text(make()) == text
    assert "date" not in text
    assert len(text) < 300_000
    ElementTree.fromstring(text)


def test_a_name_in_a_scale_cannot_break_the_file() -> None:
    hostile = replace(DEGREES, axis="<b>$x$\x00\n", unit="&\x1b[0m")
    text = plots.svg_text(reading_plots.errors_plot(replace(TEMPERATURES, scale=hostile), "a study"))
    shown = [element.text for element in ElementTree.fromstring(text).iter("{http://www.w3.org/2000/svg}text")]
    assert "true <b>$x$  " in shown


def test_a_trial_has_the_plots_of_what_its_evaluation_kept() -> None:
    trial = TrialRecord(3, {}, 0, "complete")
    assert reading_plots.plots_of_test("a study", trial) == {}
    assert reading_plots.plots_of_test("a study", replace(trial, tested=TestResult({"test_accuracy": 0.9}))) == {}
    read = TestResult({"test_error_minutes": 5.0}, readings=readings.pack(READINGS))
    assert list(reading_plots.plots_of_test("a study", replace(trial, tested=read))) == ["errors"]
    both = replace(read, worst=readings.pack_pictures(list(PICTURES)))
    assert list(reading_plots.plots_of_test("a study", replace(trial, tested=both))) == ["errors", "worst"]
