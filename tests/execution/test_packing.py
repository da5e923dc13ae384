"""How many trials share a device: by what was measured, and by what ran out of memory."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tune_jobs.execution.packing import PROBES, Gauge, Packing, Slots, Usage, device_share, trials_per_device
from tune_jobs.training.devices import DeviceFigures

shares = st.floats(0.001, 1.0)


def slots(n: int) -> Slots:
    """Of two GPUs."""
    return Slots(1.0, device_share(n), 2 * n, 2 * n + 1)


@pytest.mark.slow
@given(st.lists(st.builds(Usage, shares, shares), min_size=1, max_size=5))
def test_as_many_trials_fit_as_their_memory_and_time_allow(usages: list[Usage]) -> None:
    n = trials_per_device(usages)
    assert 1 <= n <= 16
    if n > 1:
        assert n * max(one.memory for one in usages) <= 1
        assert n * sum(one.load for one in usages) / len(usages) <= 1.1 + 1e-9


@pytest.mark.parametrize(
    ("memory", "load", "sharing", "n"),
    [
        (0.2, 0.1, 1, 4),  # memory decides, with a quarter to spare
        (0.01, 0.3, 1, 3),
        (0.9, 0.05, 1, 1),
        (0.0, 0.0, 1, 16),
        (0.1, 0.25, 2, 4),  # two devices with one memory
    ],
)
def test_examples_of_how_many_fit(memory: float, load: float, sharing: int, n: int) -> None:
    assert trials_per_device([Usage(memory, load)], sharing) == n


@given(st.integers(1, 100))
def test_shares_of_a_device_add_up_to_it_at_most(n: int) -> None:
    assert n * device_share(n) <= 1.0
    assert int(1 / device_share(n) + 1e-9) == n


def test_the_first_trials_have_a_device_each_and_the_others_what_these_showed_to_fit() -> None:
    packing = Packing(slots, measures=True)
    assert (packing.slots.gpus, packing.slots.count) == (1.0, 2)
    assert packing.max_slots == 32
    for measured in range(PROBES):
        assert str(packing) == f"measuring: {measured} of 3 trials, each alone on its GPU"
        packing.record_usage(Usage(0.1, 0.2 + measured / 10))
    assert (packing.slots.gpus, packing.slots.count) == (0.3333, 6)
    assert (
        str(packing)
        == "3 trials per GPU, 6 at once: 3 measured trials took up to 10% of the memory and 40% of the time"
    )
    packing.record_usage(Usage(0.9, 0.9))  # later ones share their device: what they read is not theirs
    assert packing.per_device == 3


def test_shares_are_no_smaller_than_the_cpus_allow_for() -> None:
    packing = Packing(lambda n: Slots(1.0, device_share(n), min(2 * n, 5), 6), measures=True)  # five CPUs
    for _ in range(PROBES):
        packing.record_usage(Usage(0.01, 0.01))
    assert (packing.per_device, packing.slots.count) == (3, 5)


def test_what_cannot_be_measured_is_not_packed() -> None:
    packing = Packing(slots, measures=True)
    packing.record_usage(None)
    assert packing.slots.gpus == 1.0
    assert str(packing) == "1 trial per GPU, 2 at once: usage cannot be measured here"


def test_a_trial_that_runs_out_of_memory_halves_what_shares_a_device() -> None:
    packing = Packing(slots, 4)
    before = packing.slots
    assert packing.make_room(before.cpus, before.gpus)
    assert str(packing) == "2 trials per GPU, 4 at once: a trial ran out of memory beside 3 others"
    assert packing.make_room(before.cpus, before.gpus)  # another of the four: runs again on the larger share
    assert packing.per_device == 2
    assert packing.make_room(packing.slots.cpus, packing.slots.gpus)
    assert packing.per_device == 1
    assert not packing.make_room(packing.slots.cpus, packing.slots.gpus)  # it was alone already


def test_slots_that_are_fixed_stay() -> None:
    one = Slots(2.0, 0.0, 3, 4)
    packing = Packing.fixed(one)
    assert not packing.make_room(one.cpus, one.gpus)
    packing.record_usage(Usage(0.1, 0.1))
    assert packing.slots == one
    assert str(packing) == "3 at once, 2 CPUs each"


def test_a_gauge_keeps_the_peak_of_memory_and_the_mean_of_load() -> None:
    gauge = Gauge()
    assert gauge.usage is None
    gauge.record([DeviceFigures("0", 100.0, 1000.0, 0.2)])
    gauge.record([DeviceFigures("0", 400.0, 1000.0, 0.6)])
    gauge.record([DeviceFigures("0", 300.0, 1000.0, 0.1)])
    assert gauge.usage == Usage(0.4, pytest.approx(0.3))
    alone = Gauge()
    alone.record([DeviceFigures("0", 900.0, 1000.0, 0.5)], own_memory_mb=250.0)  # 650 are of others
    assert alone.usage == Usage(0.25, 0.5)
    unknown = Gauge()
    unknown.record([DeviceFigures("0", 1.0, 0.0, 0.5)])
    assert unknown.usage is None
