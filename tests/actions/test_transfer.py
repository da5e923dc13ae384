"""One task's best on another: what is moved, what is refused, and what it is compared with."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support.sweeping import Own, SharedRay, finished_study, own_task
from tune_jobs.actions import launch, transfer
from tune_jobs.actions.launch import LaunchRequest
from tune_jobs.actions.transfer import Line, TransferRequest, compared
from tune_jobs.cli import run
from tune_jobs.execution.plan import Resources
from tune_jobs.records.studies import StudyRecord, Transfer
from tune_jobs.search_spaces import (
    Choice,
    Fixed,
    Float,
    Int,
    Objective,
    OneFactor,
    Params,
    Protocol,
    Space,
    SpaceError,
    Task,
    Variants,
    open_all,
)
from tune_jobs.search_spaces.moving import transfer_params
from tune_jobs.settings import Settings
from tune_jobs.study.storage import study_names
from tune_jobs.study.study import Study

ONE = Resources(max_concurrent=1)


def task_of(baseline: Params, space: Any = None, **domains: Any) -> Task:
    """A task over these domains, which nobody trains."""
    return Task(
        name="other",
        summary="",
        dataset="digits",
        space=space or Space(**domains),
        objective=Objective("val_accuracy", "maximize"),
        protocol=Protocol(epochs=1),
        baseline=baseline,
        train=lambda params, data, *, seed, epochs: iter(()),
    )


OPTIMIZER = Variants(sgd=Space(momentum=Float(0.0, 0.9)), adam=Space())
OTHER = task_of(
    {"optimizer": "adam", "units": 8, "depth": 1, "rate": 0.5},
    optimizer=OPTIMIZER,
    units=Choice(8, 16),
    depth=Fixed(1, Int(1, 3)),
    rate=Float(0.0, 1.0),
)


def test_what_is_missing_comes_from_the_baseline_and_what_is_held_may_move() -> None:
    assert transfer_params(OTHER, {"units": 16}, "it") == {"optimizer": "adam", "units": 16, "depth": 1, "rate": 0.5}
    moved = transfer_params(OTHER, {"optimizer": "sgd", "momentum": 0.9, "depth": 3, "rate": 0.25}, "it")
    assert moved == {"optimizer": "sgd", "momentum": 0.9, "units": 8, "depth": 3, "rate": 0.25}
    assert open_all(OTHER.space).why_not(moved) is None


@pytest.mark.parametrize(
    ("params", "says"),
    [
        ({"units": 16, "filters": 3, "width": 1}, "it has no parameter filters, width"),
        ({"units": 32}, "units .*32"),
        ({"depth": 4}, "depth .*4"),
        ({"optimizer": "adam", "momentum": 0.5}, "nothing there takes momentum"),
        ({"optimizer": "sgd"}, "momentum is missing"),
    ],
    ids=["unknown", "outside", "held-outside", "inactive", "missing"],
)
def test_what_does_not_belong_there_is_named(params: Params, says: str) -> None:
    with pytest.raises(SpaceError, match=f"place 1 does not belong to task 'other': {says}") as caught:
        transfer_params(OTHER, params, "place 1")
    assert "\n" not in str(caught.value)


def test_where_one_factor_leaves_the_baseline_only_such_a_point_belongs() -> None:
    baseline = {"units": 8, "depth": 1}
    task = task_of(baseline, OneFactor(baseline, {"units": {"16": {"units": 16}}, "depth": {"2": {"depth": 2}}}))
    assert transfer_params(task, {"units": 16, "depth": 1}, "it") == {"units": 16, "depth": 1}
    with pytest.raises(SpaceError):
        transfer_params(task, {"units": 16, "depth": 2}, "it")


@dataclass
class Moved:
    """The best two of `own` on the task `other`, and what was said when that was asked for twice."""

    settings: Settings
    other: Own
    first: StudyRecord
    second: StudyRecord
    said: list[str]
    extended: StudyRecord  # by a search there


@pytest.fixture(scope="module")
def moved(tmp_path_factory: pytest.TempPathFactory, ray: SharedRay) -> Moved:
    folder = tmp_path_factory.mktemp("moved")
    settings = Settings.read(home=folder / "home")
    finished_study(own_task(folder / "own", "level"), settings)
    more = {"depth": 1, "extra": 6}
    other = own_task(
        folder / "other",
        "level",
        width="Choice(1, 2, 3, 4, 9)",
        name="other",
        more="depth=Fixed(1, Int(1, 3)), extra=Fixed(6, Choice(5, 6))",
        more_baseline=more,
    )
    said: list[str] = []
    request = TransferRequest("own", other.reference, top=2, resources=ONE)
    first = transfer.transfer(request, settings, said.append).study
    second = transfer.transfer(request, settings, said.append).study
    search = LaunchRequest(other.reference, search="grid", resources=ONE)
    return Moved(settings, other, first, second, said, launch.launch(search, settings, said.append).study)


def test_the_baseline_and_the_best_run_once_and_the_same_command_again_runs_nothing(moved: Moved) -> None:
    assert [(trial.params["width"], trial.seed, trial.state) for trial in moved.first.trials] == [
        (1, 0, "complete"),
        (4, 0, "complete"),
        (3, 0, "complete"),
    ]
    assert {trial.params["extra"] for trial in moved.first.trials} == {6}
    assert moved.second.trials == moved.first.trials
    assert moved.other.trained[:3] == [(1, 0), (4, 0), (3, 0)]
    assert "study other has run all of these; --seeds asks for more" in moved.said


def test_where_each_came_from_is_noted_once(moved: Moved) -> None:
    ids = [trial.params_id for trial in moved.first.trials]
    assert moved.second.transfers == (Transfer("own", 1, ids[1]), Transfer("own", 2, ids[2]))


def test_a_search_of_its_own_goes_on_beside_what_was_transferred(moved: Moved) -> None:
    assert moved.other.trained[3:] == [(2, 0), (9, 0)]
    assert moved.extended.transfers == moved.second.transfers


def test_the_comparison_has_the_baseline_the_moved_and_the_best_of_its_own(moved: Moved) -> None:
    def widths(record: StudyRecord) -> list[tuple[str, Any]]:
        lines = compared(record, moved.other.task)
        return [(line.origin, line.row and line.row.params["width"]) for line in lines]

    three = [("baseline", 1), ("own, place 1", 4), ("own, place 2", 3)]
    assert widths(moved.first) == [*three, ("best of its own", None)]
    assert widths(moved.extended) == [*three, ("best of its own", 9)]
    assert compared(moved.first, moved.other.task)[-1] == Line("best of its own", None)


def test_what_lies_outside_a_narrowed_space_takes_no_place_of_its_grid(tmp_path: Path, ray: SharedRay) -> None:
    """The grid has two points, and two trials are there before it begins: the baseline, and a depth that was held."""
    settings = Settings.read(home=tmp_path / "home")
    source = own_task(tmp_path / "own", "level", more="depth=Int(1, 3)", more_baseline={"depth": 1})
    finished_study(source, settings, candidates=[_point(width=4, depth=3)])
    other = own_task(tmp_path / "other", "level", name="other")
    search = LaunchRequest(other.reference, search="grid", narrowed={"width": "2,3"}, resources=ONE)
    with Study.hold("other", settings) as study:
        study.begin(launch.resolve(other.task, search, None, settings).terms)
    transfer.transfer(TransferRequest("own", other.reference, top=1, resources=ONE), settings, lambda message: None)
    record = launch.launch(search, settings, lambda message: None).study
    points = [(trial.params["width"], trial.params["depth"]) for trial in record.trials]
    assert points == [(1, 1), (4, 3), (2, 1), (3, 1)]


def _point(**params: Any) -> Any:
    from tune_jobs.search.candidates import Candidate

    return Candidate({"act": "level", **params}, 0)


@pytest.mark.parametrize(
    ("width", "words", "says"),
    [
        ("Choice(1, 2)", [], "place 1 of study 'own' does not belong to task 'other': width"),
        ("Choice(1, 2, 3, 4)", ["--study", "own"], "study 'own' cannot be transferred into itself"),
        ("Choice(1, 2, 3, 4)", ["--top", "0"], "--top"),
    ],
    ids=["outside", "itself", "none"],
)
def test_what_cannot_be_transferred_is_one_line_and_leaves_nothing(
    tmp_path: Path, settings: Settings, width: str, words: list[str], says: str, capfd: pytest.CaptureFixture[str]
) -> None:
    finished_study(own_task(tmp_path / "own", "level"), settings)
    other = own_task(tmp_path / "other", "level", width=width, name="other")
    assert run(["transfer", "own", "--to", other.reference, *words, "--home", str(settings.home)]) == 2
    out, err = capfd.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert says in err
    assert study_names(settings) == ("own",)


def test_a_study_without_a_complete_trial_has_nothing_to_transfer(
    tmp_path: Path, settings: Settings, capfd: pytest.CaptureFixture[str]
) -> None:
    finished_study(own_task(tmp_path, "raise"), settings)
    assert run(["transfer", "own", "--to", "digits-mlp", "--home", str(settings.home)]) == 2
    assert "study 'own' has nothing to transfer: none of its trials is complete" in capfd.readouterr().err
