"""What a trial took of its devices: readings in, seconds and joules out."""

from __future__ import annotations

import pytest

from tune_jobs.execution.metering import Meter
from tune_jobs.records.trials import Spent
from tune_jobs.training.devices import DeviceFigures


class Time:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def figures(index: str, load: float, joules: float | None = None) -> DeviceFigures:
    return DeviceFigures(index, 1.0, 10.0, load, joules)


def metered(cpus: float, gpus: float, *readings: tuple[DeviceFigures, ...]) -> Spent:
    """What is spent in ten seconds, with four seconds of processor time."""
    clock, processor = Time(), Time()
    meter = Meter(cpus, gpus, clock, processor)
    for reading in readings:
        meter.record(reading)
    clock.now, processor.now = 110.0, 104.0
    return meter.spent


def test_on_cpus_alone_time_is_held_by_each_and_used_by_the_process() -> None:
    assert metered(2.0, 0.0) == Spent(cpu_held=20.0, gpu_held=0.0, cpu_used=4.0)


def test_two_gpus_of_one_trial_are_busy_as_their_loads_say_and_add_their_energy() -> None:
    first, last = (figures("0", 0.5, 1000), figures("1", 0.5, 0)), (figures("0", 1.0, 1500), figures("1", 0.0, 40))
    spent = metered(1.0, 2.0, first, last)
    assert (spent.gpu_held, spent.gpu_used, spent.joules) == (20.0, 10.0, 540.0)


def test_a_share_of_a_gpu_has_that_share_of_its_energy_and_the_load_of_the_whole() -> None:
    spent = metered(1.0, 0.25, (figures("0", 0.8, 1000),), (figures("0", 0.8, 1400),))
    assert (spent.gpu_held, spent.gpu_used, spent.joules) == (2.5, pytest.approx(2.0), 100.0)


def test_what_a_gpu_does_not_report_is_not_known() -> None:
    spent = metered(1.0, 1.0, (figures("0", 0.0),), (figures("0", 0.0),))
    assert (spent.gpu_held, spent.gpu_used, spent.joules) == (10.0, None, None)
    restarted = metered(1.0, 1.0, (figures("0", 0.5, 900),), (figures("0", 0.5, 10),))
    assert restarted.joules == 0.0  # the driver was loaded anew


def test_sums_have_what_was_measured() -> None:
    assert Spent(1.0, 2.0, 3.0).plus(Spent(10.0, 20.0, None, 5.0, None)) == Spent(11.0, 22.0, 3.0, 5.0, None)
