"""Whatever people do in MLflow: the study is there once and whole after a delivery, and what they added stays."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.support.people import ACTIONS, TRIALS, People, facts, gc, settings_of, study, sync, trial
from tests.support.sweeping import logged
from tune_jobs.environment import prepare_mlflow
from tune_jobs.tracking import experiments, marks, store
from tune_jobs.tracking.tracker import Tracker

prepare_mlflow()

pytestmark = pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning")  # of MLflow's own tables


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> People:
    return People(tmp_path_factory.mktemp("people"))


@pytest.mark.slow
@pytest.mark.parametrize("what", sorted(ACTIONS))
def test_what_people_do_in_mlflow_disturbs_nothing_and_stays(people: People, what: str) -> None:
    people.act(what)
    sync(people.settings, people.record)
    assert people.differences() == []


@pytest.mark.slow
def test_people_at_random_leave_the_study_whole_and_find_what_they_added(tmp_path: Path) -> None:
    people, done = People(tmp_path, chance=random.Random(3)), []
    for _ in range(10):
        done += [people.act("tag"), people.act()]
        Tracker(people.settings).deliver(people.record)
    sync(people.settings, people.record)
    assert people.differences() == [], done
    assert len(people.theirs) >= 10


@pytest.mark.slow
def test_delivering_again_changes_no_run_that_people_touched(people: People) -> None:
    people.act("tag")
    sync(people.settings, people.record)
    before = [run.to_dictionary() for run in logged(people.settings, people.record).trials]
    tracker = sync(people.settings, people.record)
    assert (tracker.news, tracker.failed, tracker.left_out) == ([], {}, {})
    assert [run.to_dictionary() for run in logged(people.settings, people.record).trials] == before


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return settings_of(tmp_path_factory.mktemp("store") / "home")


@pytest.mark.slow
def test_what_is_taken_out_of_the_trash_is_said(home: Any) -> None:
    record = study(*TRIALS, task="trash")
    sync(home, record)
    client, runs = store.client(home), logged(home, record)
    client.delete_run(runs.trials[0].info.run_id)
    client.delete_run(runs.parents[0].info.run_id)
    assert sync(home, record).news == [
        "the study's run was in MLflow's trash: it is restored",
        "1 of the trials' runs were in MLflow's trash: restored",
    ]
    client.delete_experiment(runs.parents[0].info.experiment_id)
    (line,) = sync(home, record).news
    assert line == "the experiment 'trash' was in MLflow's trash: it is restored, with all its runs"
    assert {run.info.run_id for run in logged(home, record).trials} == {run.info.run_id for run in runs.trials}


@pytest.mark.slow
def test_what_is_gone_for_good_is_made_again(home: Any) -> None:
    record = study(*TRIALS, task="gone")
    sync(home, record)
    client, expected = store.client(home), facts(home, record)
    parent = logged(home, record).parents[0]
    client.delete_run(parent.info.run_id)
    gc(home, "run-ids", parent.info.run_id)
    sync(home, record)
    assert facts(home, record) == expected  # under a new parent
    client.delete_experiment(parent.info.experiment_id)
    gc(home, "experiment-ids", parent.info.experiment_id)
    sync(home, record)
    assert facts(home, record) == expected


@pytest.mark.slow
def test_a_study_of_a_version_without_marks_is_taken_over_as_it_is(home: Any) -> None:
    record = study(*TRIALS, task="legacy")
    sync(home, record)
    client, runs = store.client(home), logged(home, record)
    client.rename_experiment(runs.parents[0].info.experiment_id, "renamed before")
    for run in (*runs.parents, *runs.trials):
        for name in [name for name in run.data.tags if name.startswith("mlflow.tune_jobs.") and name != marks.STUDY]:
            client.delete_tag(run.info.run_id, name)
    client.update_run(runs.trials[0].info.run_id, name="the best one")
    sync_again = sync(home, record)
    assert (sync_again.news, sync_again.left_out) == ([], {})
    now = logged(home, record)
    assert {run.info.run_id for run in now.trials} == {run.info.run_id for run in runs.trials}
    assert all(marks.END in run.data.tags for run in now.trials)


@pytest.mark.slow
def test_a_forgotten_run_to_which_people_added_stays_beside_the_study(home: Any) -> None:
    record = study(*TRIALS, task="forgotten")
    sync(home, record)
    client, before = store.client(home), {mark_of(run): run for run in logged(home, record).trials}
    client.log_param(before[0].info.run_id, "reviewed", "me")
    restored = replace(record, trials=(trial(0, finished=1.7e9 + 500), trial(1, finished=1.7e9 + 500), TRIALS[2]))
    tracker = sync(home, restored)
    assert len(tracker.news) == 1
    assert "the run 'first-0000' shows no trial of the study any more; it stays" in tracker.news[0]
    assert client.get_run(before[0].info.run_id).info.lifecycle_stage == "active"
    assert client.get_run(before[1].info.run_id).info.lifecycle_stage == "deleted"
    assert set(facts(home, restored)) == {0, 1, 2}
    assert sync(home, restored).news == []


def mark_of(run: Any) -> int:
    return int(run.data.tags[marks.TRIAL].partition("/")[0])


@pytest.mark.slow
def test_a_second_parent_with_a_note_of_somebodys_stays(home: Any) -> None:
    record = study(*TRIALS, task="second")
    sync(home, record)
    client, parent = store.client(home), logged(home, record).parents[0]
    tags = {marks.STUDY: record.identity, "verdict": "mine"}
    second = client.create_run(parent.info.experiment_id, run_name="copy", tags=tags)
    sync(home, record)
    assert [run.info.run_id for run in experiments.parents(client, record)] == [parent.info.run_id]
    assert client.get_run(second.info.run_id).info.lifecycle_stage == "active"


@pytest.mark.slow
def test_a_run_that_is_deleted_while_a_sweep_runs_gets_the_rest(home: Any) -> None:
    waiting = replace(TRIALS[1], state="running", result=None, scores=(0.1,))
    record = study(TRIALS[0], waiting, task="meanwhile")
    tracker = Tracker(home)
    tracker.deliver(record)
    client, runs = store.client(home), logged(home, record)
    client.delete_experiment(runs.parents[0].info.experiment_id)
    record = replace(record, trials=TRIALS)
    assert tracker.deliver(record) == 2
    tracker.close(record)
    assert tracker.failed == {}
    assert set(facts(home, record)) == {0, 1, 2}
