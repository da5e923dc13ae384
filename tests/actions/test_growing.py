"""A study goes on with another space, and as a new version where its scores come to mean something else."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.support.sweeping import (
    Own,
    SharedRay,
    called,
    data_of,
    finished_study,
    kill_family,
    own_task,
    refusal,
    until,
)
from tune_jobs import exports
from tune_jobs.actions import portable, rehearsal
from tune_jobs.actions.launch import LaunchRequest
from tune_jobs.errors import StudyError
from tune_jobs.exports.best import best_row
from tune_jobs.records.trials import TrialResult
from tune_jobs.search.candidates import Candidate
from tune_jobs.search_spaces.one_factor import space_from_json
from tune_jobs.settings import Settings
from tune_jobs.study import file
from tune_jobs.study.study import Study
from tune_jobs.training.runs import run_trial

Resolve = Callable[[LaunchRequest], Any]


@pytest.fixture
def own(tmp_path: Path, settings: Settings) -> Own:
    return own_task(tmp_path / "task", "level")


def begin(own: Own, settings: Settings) -> None:
    """Begin the study by a launch, and give it the trials of the task's grid."""
    task = own.task
    data = data_of(task)
    with Study.hold("own", settings) as study:
        for params in task.space.grid():
            trial = study.start(study.add(task.space, params, 0))
            study.finish(trial, run_trial(task, params, data, seed=0), cpus=1.0)


def add(settings: Settings, params: dict[str, Any], score: float = 0.9) -> None:
    """Add a trial as a driver would, in the space that the study has now."""
    history = ({"val_accuracy": score},)
    with Study.hold("own", settings) as study:
        trial = study.start(study.add(space_from_json(study.terms.space), params, 0))
        study.finish(trial, TrialResult("complete", score, 1, history[0], history), cpus=1.0)


def edited(own: Own, *, old: str, new: str) -> None:
    text = own.file.read_text()
    assert old in text
    own.file.write_text(text.replace(old, new))


def asked(sweep: Any, n: int) -> list[Any]:
    candidates = [sweep.plan.sampler.ask() for _ in range(n)]
    return [None if one is None else one.params for one in candidates]


def test_a_study_that_opens_a_parameter_goes_on_and_knows_what_it_has(
    own: Own, settings: Settings, resolved: Resolve
) -> None:
    resolved(LaunchRequest(own.reference, search="grid"))
    begin(own, settings)
    sweep = resolved(LaunchRequest(own.reference, opened=("depth",)))
    assert (
        "study own goes on, and the space of depth has changed: 4 of its 4 trials fit and teach the search"
        in sweep.said
    )
    assert sweep.plan.total == 12
    left = asked(sweep, 9)
    assert left.pop() is None
    assert all(params["depth"] > 1 for params in left)
    again = resolved(LaunchRequest(own.reference))  # it is the study's space from now on
    assert again.space.names() == ("act", "width", "depth")
    assert not any("goes on" in line for line in again.said)
    assert len(Study.open("own", settings).record().changes) == 1


def test_what_is_outside_of_a_narrower_space_stays_on_the_leaderboard_and_is_marked(
    own: Own, settings: Settings, resolved: Resolve
) -> None:
    resolved(LaunchRequest(own.reference, search="random", trials=9))
    begin(own, settings)
    sweep = resolved(LaunchRequest(own.reference, narrowed={"width": "1,2"}, opened=("depth",)))
    assert "study own goes on, and the space of depth, width has changed: 2 of its 4 trials fit" in "".join(sweep.said)
    record = Study.open("own", settings).record()
    best = best_row(record)
    assert best is not None
    assert best.params["width"] == 4  # it is no worse for being outside
    table = exports.render(record, "table")
    assert "the space of depth, width changed on " in table
    assert "; 2 of 4 configurations are outside of it now" in table
    assert sum(" outside " in line for line in table.splitlines()) == 3  # two rows and the note
    rows = json.loads(exports.render(record, "json"))
    assert [(row["params"]["width"], row["outside"]) for row in rows] == [
        (4, True),
        (3, True),
        (2, False),
        (1, False),
    ]
    assert [row["outside"] for row in csv.DictReader(exports.render(record, "csv").splitlines())] == [
        "true",
        "true",
        "false",
        "false",
    ]


@pytest.mark.parametrize("search", ["random", "tpe", "gp", "grid"])
def test_a_search_learns_from_what_fits_alone(own: Own, settings: Settings, resolved: Resolve, search: Any) -> None:
    resolved(LaunchRequest(own.reference, search=search, trials=9))
    begin(own, settings)
    sweep = resolved(LaunchRequest(own.reference, narrowed={"width": "3,4"}, opened=("depth",)))
    proposed = asked(sweep, 5)
    assert all(params is None or (params["width"] in (3, 4) and params["depth"] > 1) for params in proposed)
    assert proposed.count(None) == 1


def test_a_task_whose_space_was_edited_goes_on_with_what_was_set_of_it(
    own: Own, settings: Settings, resolved: Resolve
) -> None:
    resolved(LaunchRequest(own.reference, search="random", trials=30, opened=("depth",)))
    begin(own, settings)
    edited(own, old="width=Choice(1, 2, 3, 4)", new="width=Choice(1, 2, 3, 4, 5)")
    sweep = resolved(LaunchRequest(own.reference))
    assert "study own goes on, and the space of width has changed: 4 of its 4 trials fit" in "".join(sweep.said)
    assert sweep.space.size == 15  # depth is open still
    edited(own, old="Choice(1, 2, 3, 4, 5)", new="Choice(1, 3)")
    assert resolved(LaunchRequest(own.reference)).space.size == 6


def test_a_resumed_study_does_not_mind_an_edited_space(own: Own, settings: Settings, resolved: Resolve) -> None:
    resolved(LaunchRequest(own.reference, search="grid"))
    begin(own, settings)
    edited(own, old="width=Choice(1, 2, 3, 4)", new="width=Choice(1, 2, 3)")
    code, _, stderr = called(settings, "retry", "own")
    assert code == 2
    assert "has nothing to retry: none of its trials failed" in refusal(stderr)
    assert Study.open("own", settings).record().changes == ()


def test_another_protocol_needs_a_reason_and_then_is_a_new_version(
    own: Own, settings: Settings, resolved: Resolve
) -> None:
    resolved(LaunchRequest(own.reference, search="random", trials=3))
    begin(own, settings)
    code, _, stderr = called(settings, "launch", own.reference, "--epochs", "5")
    assert code == 2
    line = refusal(stderr)
    assert "was begun with the protocol " in line
    assert line.endswith("start another with --study NAME, or launch it with --accept-change 'why'")

    sweep = resolved(LaunchRequest(own.reference, epochs=5, accept_change="longer"))
    assert "study own goes on as version 2 (longer): it was with the protocol " in "".join(sweep.said)
    first = asked(sweep, 6)
    assert first[0] == own.task.baseline  # what an earlier version tried is tried again
    assert [params["width"] for params in first[1:4]] == [4, 3, 2]
    record = Study.open("own", settings).record()
    assert (record.version, record.trials, record.terms.protocol.epochs) == (2, (), 5)
    add(settings, own.task.baseline | {"width": 2}, score=0.1)
    record = Study.open("own", settings).record()
    assert [trial.number for trial in record.trials] == [4]
    assert [trial.number for trial in Study.open("own", settings).history().trials] == [0, 1, 2, 3, 4]
    table = exports.render(record, "table")
    assert "version 2, since " in table
    assert " (longer): it was with the protocol " in table
    assert "this is version 2 alone; others' scores mean something else (--version)" in table
    assert len(json.loads(exports.render(record, "json"))) == 1
    assert "version   2 (longer)" in called(settings, "status", "own")[1]


def test_a_new_version_is_rehearsed_as_a_new_study_is_and_nothing_else(
    own: Own, settings: Settings, resolved: Resolve, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int | None] = []
    monkeypatch.setattr(rehearsal, "check", lambda task, *rest: seen.append(task.protocol.epochs))
    resolved(LaunchRequest(own.reference, search="random", trials=3))
    assert seen == [3]
    resolved(LaunchRequest(own.reference, opened=("depth",)))
    resolved(LaunchRequest(own.reference, opened=("depth",), accept_change="nothing changed"))
    assert seen == [3]
    resolved(LaunchRequest(own.reference, epochs=5, accept_change="longer"))
    resolved(LaunchRequest(own.reference))
    assert seen == [3, 5]


def test_a_task_whose_protocol_was_edited_goes_on_with_that(own: Own, settings: Settings, resolved: Resolve) -> None:
    resolved(LaunchRequest(own.reference, search="random", trials=3))
    begin(own, settings)
    edited(own, old="Protocol(epochs=3", new="Protocol(epochs=4")
    with pytest.raises(StudyError, match="was begun on version"):
        resolved(LaunchRequest(own.reference))
    sweep = resolved(LaunchRequest(own.reference, accept_change="one more epoch"))
    assert sweep.task.protocol.epochs == 4
    assert resolved(LaunchRequest(own.reference)).task.protocol.epochs == 4
    assert [change.why for change in Study.open("own", settings).record().changes] == ["one more epoch"]


def test_what_was_enqueued_for_an_earlier_version_is_not_tried_again_unless_asked_for(
    own: Own, settings: Settings, resolved: Resolve
) -> None:
    resolved(LaunchRequest(own.reference, search="random", trials=3))
    begin(own, settings)
    tried, untried = own.task.baseline | {"width": 2}, own.task.baseline | {"depth": 3}
    Study.open("own", settings).enqueue([tried, untried])
    assert Study.open("own", settings).enqueued() == (untried,)
    resolved(LaunchRequest(own.reference, epochs=5, accept_change="longer"))
    assert Study.open("own", settings).enqueued() == (untried,)
    Study.open("own", settings).enqueue([tried])
    assert Study.open("own", settings).enqueued() == (untried, tried)


@pytest.mark.slow
def test_optuna_and_the_report_show_one_version(own: Own, settings: Settings, resolved: Resolve) -> None:
    from optuna.visualization import plot_optimization_history

    from tune_jobs.actions import report
    from tune_jobs.study.optuna_view import optuna_study

    resolved(LaunchRequest(own.reference, search="random", trials=3))
    begin(own, settings)
    resolved(LaunchRequest(own.reference, opened=("depth",), epochs=5, accept_change="longer"))
    for depth in (1, 2, 3):
        add(settings, own.task.baseline | {"depth": depth}, score=depth / 10)
    study = optuna_study("own", settings)
    assert [trial.state.name for trial in study.trials] == ["FAIL"] * 4 + ["COMPLETE"] * 3
    assert study.trials[0].user_attrs == {"version": 1}
    assert study.best_params == {"act": "level", "width": 1, "depth": 3}
    plot_optimization_history(study)
    page = report.write("own", settings, None).read_text(encoding="utf-8")
    assert "this is version 2 alone" in page


def test_each_version_has_a_leaderboard_of_its_own(own: Own, settings: Settings, resolved: Resolve) -> None:
    resolved(LaunchRequest(own.reference, search="random", trials=3))
    begin(own, settings)
    resolved(LaunchRequest(own.reference, epochs=5, accept_change="longer"))
    add(settings, own.task.baseline, score=0.1)
    rows = [
        len(json.loads(called(settings, "leaderboard", "own", "--json", *words)[1]))
        for words in ((), ("--version", "1"), ("--version", "2"))
    ]
    assert rows == [1, 4, 1]
    code, _, stderr = called(settings, "leaderboard", "own", "--version", "3")
    assert (code, refusal(stderr)) == (2, "tune-jobs: study 'own' has 2 versions; there is no version 3")


def test_another_task_or_seed_is_another_study_whatever_the_reason(
    own: Own, settings: Settings, resolved: Resolve
) -> None:
    resolved(LaunchRequest(own.reference, search="grid"))
    with pytest.raises(StudyError, match=r"with --seed 0, and this asks for 3: start another with --study NAME$"):
        resolved(LaunchRequest(own.reference, seed=3, accept_change="why not"))


def test_a_study_with_versions_and_spaces_is_imported_as_it_was(
    own: Own, settings: Settings, resolved: Resolve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolved(LaunchRequest(own.reference, search="random", trials=3))
    begin(own, settings)
    resolved(LaunchRequest(own.reference, opened=("depth",)))
    add(settings, own.task.baseline | {"depth": 3})
    resolved(LaunchRequest(own.reference, epochs=5, accept_change="longer"))
    add(settings, own.task.baseline | {"depth": 2}, score=0.2)
    portable.export_study("own", tmp_path / "own.study", settings, print)
    monkeypatch.setattr(portable, "_deliver", lambda *_: True)
    elsewhere = replace(settings, home=tmp_path / "elsewhere")
    portable.import_study(tmp_path / "own.study", None, elsewhere, print)
    assert Study.open("own", elsewhere).history() == Study.open("own", settings).history()
    assert Study.open("own", elsewhere).record() == Study.open("own", settings).record()
    assert file.read(tmp_path / "own.study") == Study.open("own", elsewhere).content()


def test_an_interrupted_trial_goes_on_in_the_new_version(own: Own, settings: Settings, resolved: Resolve) -> None:
    resolved(LaunchRequest(own.reference, search="random", trials=3))
    with Study.hold("own", settings) as study:
        study.start(study.add(own.task.space, own.task.baseline, 0))
    resolved(LaunchRequest(own.reference, epochs=5, accept_change="longer"))
    record = Study.open("own", settings).history()
    assert record.changes[0].unfinished == (0,)
    assert [trial.number for trial in record.of_version(2).trials] == [0]
    assert record.of_version(1).trials == ()


@pytest.mark.parametrize("storage", ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def test_a_database_takes_trials_of_other_options(
    own: Own, settings: Settings, tmp_path: Path, request: pytest.FixtureRequest, storage: str
) -> None:
    url = f"sqlite:///{tmp_path / 's.db'}" if storage == "sqlite" else request.getfixturevalue("postgres_url")
    settings = replace(settings, storage=url)
    finished_study(own, settings, candidates=[Candidate(own.task.baseline, 0)])
    edited(own, old="width=Choice(1, 2, 3, 4)", new="width=Choice(1, 2, 5)")
    space = own.task.space
    with Study.hold("own", settings) as study:
        change = study.begin(replace(study.terms, space=space.to_json()))
        assert change is not None
        study.add(space, own.task.baseline | {"width": 5}, 0)
    assert Study.open("own", settings).record().trials[1].params["width"] == 5


@pytest.mark.parametrize("storage", ["journal", pytest.param("postgres", marks=pytest.mark.postgres)])
def test_a_study_grows_twice_and_becomes_another_version_with_a_kill_at_each_turn(
    ray: SharedRay, tmp_path: Path, settings: Settings, request: pytest.FixtureRequest, storage: str
) -> None:
    if storage == "postgres":
        settings = replace(settings, storage=request.getfixturevalue("postgres_url"))
    settings.prepare()
    own = own_task(tmp_path / "task", "level")
    begun = "launch", own.reference, "--search", "grid", "--max-concurrent", "1"

    def killed_after(n: int, *words: str) -> None:
        own.make_room(n - 1)
        driver = ray.command_line(settings, *begun, *words)
        try:
            until(lambda: len(own.trained) >= n, f"trial {n} begins", driver)
        finally:
            kill_family(driver)

    killed_after(3)  # the third trial is interrupted each time
    killed_after(5, "--open", "depth")
    killed_after(7, "--open", "depth", "--set", "width=1,2")
    own.make_room(None)
    code, _, stderr = called(settings, *begun, "--epochs", "2", "--accept-change", "shorter")
    assert code == 0, stderr
    history = Study.open("own", settings).history()
    assert [change.what.split(" ")[0:4:3] for change in history.changes][:2] == [["the", "depth"], ["the", "width"]]
    assert [change.is_version for change in history.changes] == [False, False, True]
    first, second = history.of_version(1).trials, history.of_version(2).trials
    assert all(trial.state == "complete" for trial in (*first, *second))
    assert [len(trial.history) for trial in first] == [3] * len(first)
    assert [len(trial.history) for trial in second] == [2] * len(second)
    assert sorted(trial.number for trial in (*first, *second)) == list(range(len(history.trials)))
    points = [(trial.params["width"], trial.params["depth"]) for trial in second]
    assert len(set(points)) == len(points)
    assert set(points) >= {(width, depth) for width in (1, 2) for depth in (1, 2, 3)}
    assert len({trial.params_id for trial in first}) == len(first)
