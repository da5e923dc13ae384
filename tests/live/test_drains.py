"""What a study is kept off: the file beside it, and the commands that write it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.sweeping import finished_study, own_task
from tune_jobs.actions import steer
from tune_jobs.errors import StudyError
from tune_jobs.execution.messages import Assignment, Place
from tune_jobs.execution.packing import Packing, Slots
from tune_jobs.execution.placement import Placement
from tune_jobs.live import activity, drains
from tune_jobs.live.activity import Activity, Device, Node
from tune_jobs.live.drains import Drained
from tune_jobs.settings import Settings
from tune_jobs.study.study import Study

pytestmark = pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning")  # of MLflow's own tables

NODES = (Node("a" * 56, "one", "10.0.0.1", 4), Node("b" * 56, "two", "10.0.0.2", 2))
SLOTS = Slots(1.0, 0.5, 12, 13)
TURN = Assignment({}, 0, 0, cpus=1.0, gpus=0.5)


@pytest.mark.parametrize(
    ("spot", "covered"),
    [
        ((None, "2"), True),
        ((None, "1"), False),
        (("one", None), True),
        (("10.0.0.1", "2"), True),
        (("aaaaaaaa", "2"), True),
        (("two", "2"), False),
        (("two", None), False),
    ],
)
def test_a_spot_covers_a_device_by_any_name_of_its_node(spot: drains.Spot, covered: bool) -> None:
    assert Drained(frozenset({spot})).covers(NODES[0].names, ("2",)) is covered


def test_drains_add_up_and_are_given_back_one_by_one(tmp_path: Path) -> None:
    file = tmp_path / "own.drained"
    watch = drains.Watch(file, pytest.fail)
    assert not watch().spots
    drains.drain(file, drains.spots(None, ("2", "3")))
    drains.drain(file, drains.spots("two", ()))
    assert watch().spots == {(None, "2"), (None, "3"), ("two", None)}
    assert str(watch()) == "node two, GPU 2, GPU 3"
    with pytest.raises(StudyError, match=r"^GPU 0 of node two is not drained; drained are: node two, GPU 2, GPU 3$"):
        drains.undrain(file, drains.spots("two", ("0",)))
    drains.undrain(file, drains.spots(None, ("3",)))
    assert watch().spots == {(None, "2"), ("two", None)}
    drains.undrain(file, ())
    assert not watch().spots
    assert not file.exists()
    with pytest.raises(StudyError, match=r"^nothing is drained$"):
        drains.undrain(file, ())


@pytest.mark.parametrize("text", ["", "{}x", '{"a": 1}', "[[1, 2]]", "[3]", '[["a"]]'])
def test_a_damaged_file_is_one_line_and_the_driver_goes_on_with_what_it_knew(tmp_path: Path, text: str) -> None:
    file, said = tmp_path / "own.drained", list[str]()
    drains.drain(file, drains.spots(None, ("2",)))
    watch = drains.Watch(file, said.append)
    assert watch().spots == {(None, "2")}
    file.write_text(text)
    with pytest.raises(StudyError, match=r"own.drained should list what is drained \(.*\): delete it") as caught:
        drains.read(file)
    assert "\n" not in str(caught.value)
    assert watch().spots == watch().spots == {(None, "2")}
    assert len(said) == 1


def test_a_worker_on_a_drained_device_is_parked_until_it_is_given_back() -> None:
    now = [Drained(frozenset({(None, "1")}))]
    placement = Placement(Packing.fixed(SLOTS), lambda: now[0])
    free, drained = (Place("a" * 56, "one", "10.0.0.1", (gpu,)) for gpu in "01")
    assert placement.instruct("t0", TURN, free, is_ready=False) == "train"
    assert placement.instruct("t1", TURN, drained, is_ready=True) == "leave"  # it has trained: it is to end
    assert not placement.is_parked("t1")
    assert placement.instruct("t2", TURN, drained, is_ready=False) == "leave"
    assert placement.is_parked("t2")
    assert (placement.count, placement.has_parked) == (11, True)
    assert not placement.unpark("t2")
    now[0] = Drained()
    assert placement.unpark("t2")
    assert (placement.count, placement.has_parked) == (12, False)


def test_a_worker_on_several_gpus_is_parked_if_one_of_them_is_drained() -> None:
    placement = Placement(Packing.fixed(Slots(1.0, 2.0, 3, 4)), lambda: Drained(frozenset({(None, "1")})))
    pair = Assignment({}, 0, 0, cpus=1.0, gpus=2.0)
    places = (Place("a" * 56, "one", "10.0.0.1", gpus) for gpus in (("0", "1"), ("2", "3")))
    instructions = [placement.instruct(f"t{n}", pair, place, is_ready=False) for n, place in enumerate(places)]
    assert (instructions, placement.count) == (["leave", "train"], 2)


def test_a_worker_of_another_share_leaves() -> None:
    placement = Placement(Packing.fixed(SLOTS))
    place = Place("a" * 56, "one", "10.0.0.1", ("0",))
    assert placement.instruct("t0", Assignment({}, 0, 0, cpus=1.0, gpus=0.25), place, is_ready=False) == "leave"
    assert not placement.is_parked("t0")


def test_devices_are_told_with_their_trials() -> None:
    placement = Placement(Packing.fixed(SLOTS), lambda: Drained(frozenset({("two", None)})))
    placement.trial_started(7, Place("a" * 56, "one", "10.0.0.1", ("1",)))
    placement.trial_started(9, Place("a" * 56, "one", "10.0.0.1", ("1",)))
    placement.trial_started(3, Place("b" * 56, "two", "10.0.0.2", ("0", "1")))
    placement.trial_ended(9)
    told = placement.devices(NODES)
    assert [(one.node, one.gpu, one.trials, one.is_drained) for one in told] == [
        ("one", "0", (), False),
        ("one", "1", (7,), False),
        ("one", "2", (), False),
        ("one", "3", (), False),
        ("two", "0", (3,), True),
        ("two", "1", (3,), True),
    ]
    seen = Activity(devices=told)
    assert (seen.place(7), seen.place(3), seen.place(8)) == ("one, GPU 1", "two, GPU 0, 1", None)


def test_gpus_are_called_as_their_workers_call_them() -> None:
    placement = Placement(Packing.fixed(SLOTS))
    placement.instruct("t0", TURN, Place("b" * 56, "two", "10.0.0.2", ("GPU-f00",)), is_ready=True)
    placement.instruct("t1", TURN, Place("a" * 56, "one", "10.0.0.1", ("3",)), is_ready=True)
    assert [one.gpu for one in placement.devices(NODES)] == ["0", "1", "2", "3", "GPU-f00"]


def test_a_node_without_gpus_is_one_device() -> None:
    placement = Placement(Packing.fixed(SLOTS))
    placement.trial_started(7, Place("c" * 56, "three", "10.0.0.3"))
    assert placement.devices([Node("c" * 56, "three", "10.0.0.3", 0)]) == (Device("three", None, (7,)),)


def test_what_a_driver_tells_is_read_again(tmp_path: Path) -> None:
    import os

    told = Activity({3: "no free slot"}, "2 at once", NODES, (Device("one", "0", (1, 2), False, 1.0, 2.0, 0.5),))
    file = tmp_path / "own.activity"
    activity.write(file, told)
    assert activity.read(file, os.getpid()) == told
    assert activity.read(file, 1) == Activity()
    file.write_text('{"pid": 1, "waiting": [[1]]}')
    assert activity.read(file, 1) == Activity()


def test_a_drain_is_checked_against_the_nodes_of_the_running_driver(tmp_path: Path, settings: Settings) -> None:
    finished_study(own_task(tmp_path / "task"), settings)
    drained, busy = steer.drain("own", settings, "anything", ("9",))  # nobody runs it: for the next launch
    assert (str(drained), busy) == ("GPU 9 of node anything", ())
    with Study.hold("own", settings):
        devices = tuple(Device("one", str(gpu), (5, 4) * (gpu == 2)) for gpu in range(4))
        devices += tuple(Device("two", f"GPU-{gpu}") for gpu in "ab")
        activity.write(settings.activity_file("own"), Activity(nodes=NODES, devices=devices))
        with pytest.raises(StudyError, match=r"^no node 'three' is in the cluster; there are one, two$"):
            steer.drain("own", settings, "three", ())
        with pytest.raises(StudyError, match=r"^there is no GPU 2: two has GPU-a, GPU-b$"):
            steer.drain("own", settings, "10.0.0.2", ("GPU-a", "2"))
        assert steer.drain("own", settings, "one", ("2",))[1] == (4, 5)
    assert steer.undrain("own", settings, "one", ("2",)) == Drained(frozenset({("anything", "9")}))
    assert steer.undrain("own", settings, None, ()) is None
    with pytest.raises(StudyError, match=r"^no study named 'another'"):
        steer.drain("another", settings, None, ("0",))


@pytest.mark.slow
def test_deleting_a_study_forgets_its_drains(tmp_path: Path, settings: Settings) -> None:
    finished_study(own_task(tmp_path / "task"), settings)
    steer.drain("own", settings, None, ("0",))
    steer.delete("own", settings)
    assert not settings.drained_file("own").exists()
