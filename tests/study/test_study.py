"""A study loses nothing, runs nothing twice and refuses to be continued on other terms, whatever it is stored in."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import optuna
import pytest

from tests.support.sweeping import PROGRAMS
from tune_jobs.errors import Reason, StudyError
from tune_jobs.masking import without_password
from tune_jobs.records.studies import Evaluation, Launch, Replication, StudyRecord, StudyTerms, Transfer
from tune_jobs.records.trials import TestResult, TrialRecord, TrialResult
from tune_jobs.search_spaces import Choice, Fixed, Float, Int, Objective, Protocol, Space, Variants, narrow, params_id
from tune_jobs.settings import Settings
from tune_jobs.study.storage import study_names
from tune_jobs.study.study import Study

SPACE = Space(
    units=Choice(64, 128, None, "wide"),
    optimizer=Variants(sgd=Space(momentum=Float(0.1, 0.9, step=0.1)), adam=Space(rate=Float(1e-4, 1e-2, log=True))),
    depth=Fixed(1, Int(1, 3)),
    flag=Choice(True, False),
)
TERMS = StudyTerms(
    task="clock",
    task_digest="0123456789ab",
    reference="clock",
    dataset="clock-faces",
    data_digest="5f1c",
    space=SPACE.to_json(),
    objective=Objective("val_accuracy", "maximize"),
    protocol=Protocol(epochs=3, patience=2, validation=0.1),
    seed=7,
)
PARAMS = (
    {"units": 64, "optimizer": "sgd", "momentum": 0.3, "depth": 1, "flag": True},
    {"units": None, "optimizer": "adam", "rate": 1e-3, "depth": 1, "flag": False},
    {"units": "wide", "optimizer": "sgd", "momentum": 0.1, "depth": 1, "flag": False},
    {"units": 128, "optimizer": "adam", "rate": 0.0001, "depth": 1, "flag": True},
)
HISTORY = ({"loss": 0.5, "val_accuracy": 0.25}, {"loss": 0.1 + 0.2, "val_accuracy": 1 / 3})
COMPLETE = TrialResult("complete", 1 / 3, 2, HISTORY[1], HISTORY, train_seconds=1.5, weights=99)
STOPPED = TrialResult("stopped", 0.25, 1, HISTORY[0], HISTORY[:1], train_seconds=0.5, weights=99)
FAILED = TrialResult("failed", history=HISTORY[:1], reason=str(Reason.DIVERGED), message="loss was nan in epoch 2")


@pytest.fixture(params=["journal", "sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def stored(request: pytest.FixtureRequest, settings: Settings, tmp_path: Path) -> Settings:
    """Settings for each kind of storage that is supported."""
    match request.param:
        case "journal":
            return settings
        case "sqlite":
            return replace(settings, storage=f"sqlite:///{tmp_path / 'studies.db'}")
        case _:
            return replace(settings, storage=request.getfixturevalue("postgres_url"))


@contextmanager
def held(settings: Settings, name: str = "clock", terms: StudyTerms = TERMS) -> Iterator[Study]:
    with Study.hold(name, settings) as study:
        study.begin(terms)
        yield study


def begun(study: Study, number: int) -> TrialRecord:
    return study.start(study.add(SPACE, PARAMS[number], seed=number))


def filled(settings: Settings) -> StudyRecord:
    """A study with a trial in every state."""
    with held(settings) as study:
        for number, result in enumerate((COMPLETE, STOPPED, FAILED)):
            study.finish(begun(study, number), result, cpus=2.0)
        study.note_epoch(begun(study, 3).number, 1, 0.125)
        study.add(SPACE, {**PARAMS[3], "units": 64}, seed=4)
        return study.record()


# What holds for every storage


@pytest.mark.slow
def test_a_study_opened_again_has_equal_records(stored: Settings) -> None:
    record = filled(stored)
    assert Study.open("clock", stored).record() == record
    assert record.terms == TERMS
    assert [trial.state for trial in record.trials] == ["complete", "stopped", "failed", "running", "waiting"]
    complete, stopped, failed, running, waiting = record.trials
    assert complete.history == HISTORY
    assert (complete.score, complete.best_epoch, complete.metrics, complete.weights) == (1 / 3, 2, HISTORY[1], 99)
    assert (complete.cpus, complete.train_seconds, complete.attempts, complete.seed) == (2.0, 1.5, 1, 0)
    assert (stopped.score, stopped.best_epoch) == (0.25, 1)
    assert (failed.reason, failed.message, failed.score) == ("diverged", "loss was nan in epoch 2", None)
    assert running.history == ({"score": 0.125},)
    assert (waiting.attempts, waiting.started, waiting.seconds) == (0, None, None)
    for trial, params in zip(record.trials, PARAMS, strict=False):
        assert trial.params == params
        assert [type(value) for value in trial.params.values()] == [type(value) for value in params.values()]
        assert SPACE.why_not(trial.params) is None


def test_what_a_call_returns_is_what_the_record_holds(stored: Settings) -> None:
    with held(stored) as study:
        waiting = study.add(SPACE, PARAMS[0], seed=5)
        assert study.record().trials == (waiting,)
        running = study.start(waiting)
        assert study.record().trials == (running,)
        ended = study.finish(running, COMPLETE, cpus=1.0)
        assert study.record().trials == (ended,)
    assert ended.seconds is not None
    assert ended.seconds >= 0


def test_how_many_gpus_trained_a_trial_is_recorded_where_they_were_several(stored: Settings) -> None:
    with held(stored) as study:
        assert study.finish(begun(study, 0), COMPLETE, cpus=1.0).gpus is None
        assert study.finish(begun(study, 1), COMPLETE, cpus=1.0, gpus=4).gpus == 4
    assert [trial.gpus for trial in Study.open("clock", stored).record().trials] == [None, 4]


def test_a_result_is_stored_in_the_form_that_earlier_versions_read(stored: Settings) -> None:
    with held(stored) as study:
        study.finish(begun(study, 0), COMPLETE, cpus=1.0)
        (trial,) = study.content().trials
    assert trial.result is not None
    assert list(trial.result.items())[:-2] == [
        ("state", "complete"),
        ("score", 1 / 3),
        ("best_epoch", 2),
        ("metrics", HISTORY[1]),
        ("history", list(HISTORY)),
        ("train_seconds", 1.5),
        ("weights", 99),
        ("errors", None),
        ("reason", None),
        ("message", None),
    ]
    assert list(trial.result)[-2:] == ["finished", "cpus"]


def test_interrupted_trials_are_run_again_and_ended_ones_are_not(stored: Settings) -> None:
    filled(stored)
    with held(stored) as study:
        again = study.unfinished()
        assert [trial.number for trial in again] == [3, 4]
        for trial in again:
            study.finish(study.start(trial), COMPLETE, cpus=1.0)
        assert study.unfinished() == ()
        assert [trial.attempts for trial in study.record().trials] == [1, 1, 1, 2, 1]
        assert len(study.record().trials) == 5


@pytest.mark.slow
@pytest.mark.parametrize("result", [COMPLETE, STOPPED, FAILED])
def test_a_trial_killed_between_its_result_and_its_state_is_settled_not_run_again(
    result: TrialResult, stored: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with held(stored) as study:
        trial = begun(study, 0)
        monkeypatch.setattr(study, "_settle", interrupted)
        with pytest.raises(KeyboardInterrupt):
            study.finish(trial, result, cpus=1.0)
    assert Study.open("clock", stored).record().trials[0].state == "running"
    with held(stored) as study:
        assert study.unfinished() == ()
        (settled,) = study.record().trials
    assert (settled.state, settled.score, settled.attempts) == (result.state, result.score, 1)


def interrupted(*_: object) -> None:
    raise KeyboardInterrupt


def test_a_launch_is_noted_and_replaced_by_the_next(stored: Settings) -> None:
    launch = Launch("tpe", 40, "node", 1.5, None, {"keras": "3"})
    with held(stored) as study:
        assert study.record().launch is None
        study.note_launch(launch)
        study.note_launch(replace(launch, trials=None))
    assert Study.open("clock", stored).record().launch == replace(launch, trials=None)


@pytest.mark.slow
def test_what_is_noted_of_the_protocol_comes_back(stored: Settings) -> None:
    """Replications, readings of the test split with what came of them, and transfers with the places they have last."""
    replication = Replication(2, 3, True, None, (params_id(PARAMS[0]), params_id(PARAMS[1])), begun_at=5)
    readings = (Evaluation(1.5, "ada", (0,)), Evaluation(2.5, "bob", (0, 5)))
    results = {0: TestResult({"test_accuracy": 0.75}, "b4:eJw=", 0.5), 5: TestResult(failure="crashed (no)")}
    filled(stored)
    with held(stored) as study:
        study.finish(begun(study, 3), COMPLETE, cpus=1.0)
        study.note_replication(replication)
        for reading in readings:
            study.note_evaluation(reading)
        for number, result in results.items():
            study.note_test(number, result)
        study.note_transfers([Transfer("other", 1, "a"), Transfer("other", 2, "b")])
        study.note_transfers([Transfer("other", 1, "b"), Transfer("third", 1, "a")])
    record = Study.open("clock", stored).record()
    assert record.replication == replication
    assert record.readings == readings
    assert {trial.number: trial.tested for trial in record.trials if trial.tested is not None} == results
    assert record.transfers == (Transfer("other", 1, "a"), Transfer("other", 1, "b"), Transfer("third", 1, "a"))


@pytest.mark.slow
def test_studies_are_listed_by_name_and_kept_apart(stored: Settings) -> None:
    assert study_names(stored) == ()
    for name in ("b", "a.1", "C_2"):
        with held(stored, name) as study:
            begun(study, 0)
    assert study_names(stored) == ("C_2", "a.1", "b")
    assert len(Study.open("b", stored).record().trials) == 1
    assert Study.open("b", stored).record().identity != Study.open("a.1", stored).record().identity


def test_an_unknown_study_is_refused_with_the_names_near_it(stored: Settings) -> None:
    with held(stored, "clock-mlp"):
        pass
    with pytest.raises(StudyError, match=r"^no study named 'clok-mlp'; near it: clock-mlp\. `tune-jobs studies` lists"):
        Study.open("clok-mlp", stored)


def test_a_study_goes_on_in_another_space_and_its_first_terms_stay(stored: Settings) -> None:
    filled(stored)
    narrower = replace(TERMS, space=narrow(SPACE, {"units": "64,128"}).to_json())
    with Study.hold("clock", stored) as study:
        assert study.begin(TERMS) is None
        change = study.begin(narrower)
        assert change is not None
        assert (change.what, change.first, change.is_version) == ("the space of units", 5, False)
        assert study.begin(narrower) is None
        study.add(narrow(SPACE, {"units": "64,128"}), PARAMS[0] | {"momentum": 0.9}, 0)
    record = Study.open("clock", stored).record()
    assert (record.terms, record.begun, record.version, len(record.trials)) == (narrower, TERMS, 1, 6)


DIFFERENCES: dict[str, Any] = {
    "task": ("other", r"for task clock, and this is other"),
    "dataset": ("mnist", r"on dataset clock-faces, and this task's is mnist"),
    "data_digest": ("88ab", r"on data 5f1c, and they are now 88ab"),
    "objective": (
        Objective("val_loss", "minimize"),
        r"objective maximize val_accuracy, and it is now minimize val_loss",
    ),
    "protocol": (Protocol(epochs=9), r"epochs 3, patience 2, .* now epochs 9, patience None, .*"),
    "task_digest": ("ba98", r"on version 0123456789ab of its task, which is now ba98"),
    "seed": (8, r"with --seed 7, and this asks for 8"),
}


@pytest.mark.parametrize("field", DIFFERENCES)
def test_a_study_is_not_continued_on_other_terms(field: str, settings: Settings) -> None:
    filled(settings)
    value, words = DIFFERENCES[field]
    go_on = "" if field in ("task", "seed") else ", or launch it with --accept-change 'why'"
    message = f"^study 'clock' was begun .*{words}: start another with --study NAME{go_on}$"
    with Study.hold("clock", settings) as study, pytest.raises(StudyError, match=message) as refused:
        study.begin(replace(TERMS, **{field: value}))
    assert "\n" not in str(refused.value)
    assert Study.open("clock", settings).record().terms == TERMS


def test_the_same_task_may_be_referred_to_in_another_way(stored: Settings) -> None:
    filled(stored)
    with held(stored, terms=replace(TERMS, reference="./clock.py:CLOCK")) as study:
        assert study.terms.reference == "clock"


@pytest.mark.parametrize("name", ["", "../clock", "a/b", ".hidden", "-x", "a b", "é", "a" * 101, "a\n"])
def test_a_name_that_cannot_be_a_files_is_refused(name: str, settings: Settings) -> None:
    with pytest.raises(StudyError, match="a study's name is letters, digits"), Study.hold(name, settings):
        pytest.fail("it cannot be held")
    with pytest.raises(StudyError, match="no study named"):
        Study.open(name, settings)


def test_a_study_that_was_refused_before_it_began_leaves_nothing(stored: Settings) -> None:
    with Study.hold("clock", stored) as study:
        assert not study.has_begun
        assert study_names(stored) == ()
    assert study_names(stored) == ()


def test_a_study_can_be_read_while_it_is_written(stored: Settings) -> None:
    with held(stored) as study:
        reader = Study.open("clock", stored)
        trial = begun(study, 0)
        assert [one.state for one in reader.record().trials] == ["running"]
        study.finish(trial, COMPLETE, cpus=1.0)
        assert reader.record() == study.record()
        holder = reader.holder()
        assert holder is not None
        assert holder.pid == os.getpid()
    assert reader.holder() is None


@pytest.mark.slow
def test_a_writer_killed_at_any_moment_keeps_every_trial_it_acknowledged(stored: Settings) -> None:
    arguments = [sys.executable, str(PROGRAMS / "writer.py"), str(stored.home), stored.storage or ""]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        lines = [writer.stdout.readline() for _ in range(20)]
        writer.send_signal(signal.SIGKILL)
        lines += writer.stdout.readlines()
    acknowledged = [int(line) for line in lines if line.endswith("\n")]
    trials = Study.open("clock", stored).record().trials
    assert [trial.score for trial in trials if trial.state == "complete"][: len(acknowledged)] == [
        number / 2 for number in acknowledged
    ]
    wait_until_free("clock", stored)
    with Study.hold("clock", stored) as study:
        unfinished = study.unfinished()
        assert len(unfinished) <= 1
        assert len(study.record().trials) - len(acknowledged) <= 1 + len(unfinished)


def wait_until_free(name: str, settings: Settings) -> None:
    """A server notices within moments that the process at the other end is dead."""
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        try:
            with Study.hold(name, settings):
                return
        except StudyError:
            time.sleep(0.02)


# Journal files

SMALL = Space(units=Int(0, 9))  # short lines, for there is something to be done at each of their bytes
SHORT = TrialResult("complete", 0.5, 1, {"val_accuracy": 0.5}, ({"val_accuracy": 0.5},))


def written(settings: Settings) -> tuple[bytes, list[tuple[int, TrialRecord]]]:
    """A journal, and which trial was acknowledged as ended when the file was how long."""
    journal = settings.studies_dir / "clock.journal"
    acknowledged = []
    with held(settings) as study:
        last = study.add(SMALL, {"units": 9}, seed=9)
        for number, result in enumerate((COMPLETE, FAILED, STOPPED, SHORT)):
            trial = study.start(study.add(SMALL, {"units": number}, seed=number))
            acknowledged.append((study.finish(trial, result, cpus=1.0), journal.stat().st_size))
        study.start(last)
    return journal.read_bytes(), [(size, trial) for trial, size in acknowledged]


@pytest.mark.slow
def test_a_journal_cut_at_any_byte_keeps_what_was_acknowledged_and_goes_on(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every byte of the last four lines, some of the others."""
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)  # no power is lost here, and thousands of syncs take long
    whole, acknowledged = written(settings)
    journal = settings.studies_dir / "clock.journal"
    starts = [0, *(at + 1 for at, byte in enumerate(whole) if byte == ord("\n"))]
    last_lines = range(starts[-5], len(whole) + 1)  # a trial's result and its state, another's attempt and its state
    for cut in (*last_lines, *random.Random(0).sample(range(starts[-5]), 60)):
        journal.write_bytes(whole[:cut])
        kept = [trial for size, trial in acknowledged if size <= cut]
        with held(settings) as study:
            again = study.unfinished()
            ended = [trial for trial in study.record().trials if trial.is_finished]
            assert ended[: len(kept)] == kept, cut
            assert len(again) + len(ended) == len(study.record().trials), cut
            assert not {trial.number for trial in again} & {trial.number for trial in ended}, cut
            added = study.add(SMALL, {"units": 5}, seed=5)
            for trial in (*again, added) if cut % 10 == 0 else ():
                study.finish(study.start(trial), COMPLETE, cpus=1.0)
            record = study.record()
        if cut % 3 == 0:
            assert Study.open("clock", settings).record() == record, cut
        assert record.trials[added.number].params == {"units": 5}


def test_a_half_written_line_does_not_keep_readers_out(settings: Settings) -> None:
    whole, acknowledged = written(settings)
    (settings.studies_dir / "clock.journal").write_bytes(whole[:-20])
    assert Study.open("clock", settings).record().trials[1:] == tuple(trial for _, trial in acknowledged)


@pytest.mark.parametrize(
    "damage", [b"", b"\0\0\0", b'{"op_code":4}', b"17", b"[]", b'{"op_code":99}', b"\xff\xfe", b'"x"']
)
@pytest.mark.parametrize("line", [0, 3, 9])
def test_a_damaged_line_in_the_middle_is_an_error_in_one_line(damage: bytes, line: int, settings: Settings) -> None:
    whole, _ = written(settings)
    lines = whole.splitlines(keepends=True)
    lines[line] = damage + b"\n"
    journal = settings.studies_dir / "clock.journal"
    journal.write_bytes(b"".join(lines))
    with pytest.raises(StudyError, match=r"study file .*clock\.journal is damaged .*: restore it") as error:
        Study.open("clock", settings)
    assert "\n" not in str(error.value)
    with pytest.raises(StudyError, match="is damaged"), Study.hold("clock", settings):
        pytest.fail("it must not be written to")
    assert journal.read_bytes() == b"".join(lines)


def test_a_study_file_under_another_name_is_refused_and_left_as_it_is(settings: Settings) -> None:
    whole, _ = written(settings)
    renamed = settings.studies_dir / "watch.journal"
    (settings.studies_dir / "clock.journal").rename(renamed)
    for use in (lambda: Study.open("watch", settings), lambda: Study.hold("watch", settings).__enter__()):
        with pytest.raises(StudyError, match=r"watch\.journal is that of study 'clock': give it that name again"):
            use()
    assert renamed.read_bytes() == whole


def test_a_study_killed_before_it_began_says_so_and_can_be_launched_again(settings: Settings) -> None:
    whole, _ = written(settings)
    journal = settings.studies_dir / "clock.journal"
    for lines in (1, 2, 3):
        journal.write_bytes(b"".join(whole.splitlines(keepends=True)[:lines]))
        with pytest.raises(StudyError, match="was killed before it began: launch it again"):
            Study.open("clock", settings)
        with held(settings) as study:
            assert study.record().trials == ()


def test_a_journal_that_may_not_be_read_is_an_error_in_one_line(settings: Settings) -> None:
    settings.studies_dir.mkdir(parents=True)
    (settings.studies_dir / "clock.journal").mkdir()  # root may read any file, and no folder as one
    with pytest.raises(StudyError, match="cannot be read: Is a directory"):
        Study.open("clock", settings)


# Databases


def test_a_database_may_hold_studies_of_others(settings: Settings, tmp_path: Path) -> None:
    shared = replace(settings, storage=f"sqlite:///{tmp_path / 'shared.db'}")
    optuna.create_study(study_name="theirs", storage=shared.storage)
    assert study_names(shared) == ()
    with pytest.raises(StudyError, match="no study named 'theirs'"):
        Study.open("theirs", shared)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql+psycopg://ada:secret@127.0.0.1:1/studies",
        "postgresql+psycopg://:secret@127.0.0.1:1/studies",
        "postgresql+psycopg://127.0.0.1:1/studies?user=ada&password=secret",
        "oracle+none://ada:secret@db/studies",
        "no url with secret in it"[:6],
        "sqlite:////no/such/folder/studies.db",
    ],
)
def test_a_storage_that_does_not_answer_is_an_error_in_one_line_without_its_password(
    url: str, settings: Settings
) -> None:
    away = replace(settings, storage=url)
    for use in (lambda: study_names(away), lambda: Study.open("a", away), lambda: Study.hold("a", away).__enter__()):
        with pytest.raises(StudyError, match=r"^the storage .* does not answer: ") as error:
            use()
        assert "\n" not in str(error.value)
        assert "secret" not in str(error.value)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://ada:se@c:ret@db:5432/studies", "postgresql://ada:***@db:5432/studies"),
        ("postgresql://ada@db/studies", "postgresql://ada@db/studies"),
        ("postgresql://db/s?password=x&sslmode=require", "postgresql://db/s?password=***&sslmode=require"),
        ("sqlite:////home/ada/studies.db", "sqlite:////home/ada/studies.db"),
    ],
)
def test_a_url_is_shown_without_its_password(url: str, shown: str) -> None:
    assert without_password(url) == shown
