"""A study as a file: nothing is lost on the way, whatever it is stored in, and nothing wrong gets in."""

from __future__ import annotations

import copy
import gzip
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.sweeping import (
    PROGRAMS,
    Logged,
    Own,
    called,
    data_of,
    deliver_here,
    finished_study,
    logged,
    own_task,
    terms_of,
)
from tune_jobs import exports
from tune_jobs.actions import portable
from tune_jobs.actions.portable import export_study, import_study
from tune_jobs.cli import run
from tune_jobs.decoding import ContentError
from tune_jobs.errors import StudyError, UserError
from tune_jobs.models import known_scales
from tune_jobs.records import readings
from tune_jobs.records.per_image import pack
from tune_jobs.records.studies import Evaluation, Launch, Replication, StudyRecord, Transfer
from tune_jobs.records.trials import TestResult, TrialResult
from tune_jobs.search.candidates import Candidate
from tune_jobs.search_spaces import params_id
from tune_jobs.settings import Settings
from tune_jobs.study import file as study_file
from tune_jobs.study.storage import study_names
from tune_jobs.study.study import Study
from tune_jobs.tracking.delivery import deliver_once

pytestmark = pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning")  # of MLflow's own tables

ERRORS = pack((np.arange(300) % 7 == 0).astype(float))
MINUTES = pack(np.linspace(0, 9, 40))
TIMES = readings.pack(readings.Readings(np.arange(40.0), np.arange(40.0) + 0.5, known_scales.LETTERS["t"]))
PICTURE = readings.pack_pictures([readings.Picture(39, np.zeros((4, 4, 1), np.uint8))])
HISTORY = ({"loss": 0.5, "val_accuracy": 0.25}, {"loss": 0.1 + 0.2, "val_accuracy": 1 / 3})
COMPLETE = TrialResult("complete", 1 / 3, 2, HISTORY[1], HISTORY, train_seconds=1.5, weights=99, errors=ERRORS)
STOPPED = TrialResult("stopped", 0.25, 1, HISTORY[0], HISTORY[:1], train_seconds=0.5, weights=99)
FAILED = TrialResult("failed", history=HISTORY[:1], reason="diverged", message="loss was nan in epoch 2 ∞")


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TUNE_JOBS_HOME", "TUNE_JOBS_DATA", "TUNE_JOBS_STORAGE", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def own(tmp_path: Path) -> Own:
    return own_task(tmp_path / "task", "fine", "raise")


@pytest.fixture
def full(own: Own, settings: Settings) -> StudyRecord:
    """A study with a trial in every state and everything else that a study may have."""
    settings.prepare()
    task = own.task

    def params(width: int, depth: int = 1) -> dict[str, Any]:
        return {"act": "fine", "width": width, "depth": depth}

    with Study.hold("own", settings) as study:
        study.begin(terms_of(task, own.reference, data_of(task)))
        study.note_launch(Launch("grid", None, "host", time.time(), "c0ffee", {"keras": "3.15"}))
        study.note_transfers([Transfer("other", 1, params_id(params(2, 2)))])
        for width, result in ((1, COMPLETE), (2, STOPPED), (3, FAILED)):
            trial = study.start(study.add(task.space, params(width), seed=0))
            for epoch, metrics in enumerate(result.history, start=1):
                study.note_epoch(trial.number, epoch, metrics["val_accuracy"])
            study.finish(trial, result, cpus=1.0)
        study.finish(study.start(study.add(task.space, params(2, 2), seed=0)), COMPLETE, cpus=1.0)  # transferred
        study.note_replication(Replication(1, 2, False, None, (params_id(params(1)),), begun_at=4))
        study.finish(study.start(study.add(task.space, params(1), seed=1)), COMPLETE, cpus=2.0)
        study.note_evaluation(Evaluation(time.time(), "ada", (0, 4)))
        metrics = {"test_accuracy": 0.75, "test_loss": float("inf")}
        study.note_test(0, TestResult(metrics, MINUTES, 1 / 3, readings=TIMES, worst=PICTURE))
        study.note_test(4, TestResult(failure="crashed (no)"))
        interrupted = study.start(study.start(study.add(task.space, params(4), seed=0)))
        study.note_epoch(interrupted.number, 1, 0.125)
        study.add(task.space, {**params(4), "act": "raise"}, seed=0)
        return study.record()


@pytest.fixture
def file(full: StudyRecord, settings: Settings, tmp_path: Path) -> Path:
    return exported(settings, tmp_path / "own.study")


@pytest.fixture
def there(tmp_path: Path) -> Settings:
    """Another home, in which nothing is yet."""
    home = tmp_path / "there"
    return Settings(home, home / "data", storage=None, tracking_uri=f"sqlite:///{home / 'mlflow.db'}")


@pytest.fixture(params=["journal", "sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def anywhere(
    request: pytest.FixtureRequest, there: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Settings:
    """That home with each kind of storage."""
    if request.param == "journal":
        return there
    postgres = request.param == "postgres"
    url = request.getfixturevalue("postgres_url") if postgres else f"sqlite:///{tmp_path / 'studies.db'}"
    monkeypatch.setenv("TUNE_JOBS_STORAGE", url)
    return replace(there, storage=url)


@pytest.fixture
def undelivered(monkeypatch: pytest.MonkeyPatch) -> None:
    """MLflow is left alone, for the tests that are about something else."""
    monkeypatch.setattr(portable, "_deliver", lambda *_: False)


def exported(settings: Settings, file: Path, name: str = "own") -> Path:
    export_study(name, file, settings, lambda _: None)
    return file


def imported(file: Path, settings: Settings, name: str | None = None) -> portable.Imported:
    return import_study(file, name, settings, lambda _: None)


# The way there and back


@pytest.mark.slow
@pytest.mark.usefixtures("undelivered")
def test_an_imported_study_has_an_equal_record_and_exports_to_the_same_bytes(
    full: StudyRecord, file: Path, anywhere: Settings, tmp_path: Path
) -> None:
    states = ["complete", "stopped", "failed", "complete", "complete", "running", "waiting"]
    assert [trial.state for trial in full.trials] == states
    found = imported(file, anywhere)
    assert (found.study, found.is_new) == (full, True)
    assert Study.open("own", anywhere).record() == full
    for here, was in zip(found.study.trials, full.trials, strict=True):
        assert list(here.params.items()) == list(was.params.items())
        assert [list(epoch) for epoch in here.history] == [list(epoch) for epoch in was.history]
    assert exported(anywhere, tmp_path / "again.study").read_bytes() == file.read_bytes()
    assert (found.exports_dir / "leaderboard.csv").exists()
    assert (found.exports_dir / "best.yaml").exists()


@pytest.mark.parametrize("name", ["clock/clock-final", "images/cifar10-cnn", "images/mnist-mlp-factors"])
def test_a_published_study_exports_to_the_same_bytes_as_ever(name: str, there: Settings) -> None:
    """They were written by earlier versions."""
    published = Path(__file__).parents[2] / "docs" / "studies" / f"{name}.study"
    content = study_file.read(published)
    there.prepare()
    with Study.hold(content.name, there) as study:
        study.import_content(content)
    assert study_file.encoded(Study.open(content.name, there).content()) == published.read_bytes()


def test_the_same_study_exports_to_the_same_bytes_at_any_time(
    file: Path, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(time, "time", lambda: 2e9)
    assert exported(settings, tmp_path / "later.study").read_bytes() == file.read_bytes()


@pytest.mark.usefixtures("undelivered")
def test_optuna_has_the_trials_as_a_sweep_would_have_left_them(file: Path, settings: Settings, there: Settings) -> None:
    imported(file, there)
    trials = []
    for where in (settings, there):
        study = Study.open("own", where)
        trials.append(study._storage.get_all_trials(study._begun_id))
    for was, here in zip(*trials, strict=True):
        for name in ("number", "state", "values", "params", "distributions", "user_attrs", "intermediate_values"):
            assert getattr(here, name) == getattr(was, name), name
        assert (here.datetime_complete is None) == (was.datetime_complete is None)


@pytest.mark.slow
@pytest.mark.usefixtures("undelivered")
def test_importing_again_changes_nothing(full: StudyRecord, file: Path, anywhere: Settings) -> None:
    imported(file, anywhere)
    again = imported(file, anywhere)
    assert (again.study, again.is_new) == (full, False)
    assert study_names(anywhere) == ("own",)


@pytest.mark.slow
@pytest.mark.usefixtures("undelivered")
def test_a_study_may_have_another_name_there_but_not_two(full: StudyRecord, file: Path, anywhere: Settings) -> None:
    assert imported(file, anywhere, "moved").study == replace(full, name="moved")
    assert not imported(file, anywhere, "moved").is_new
    with pytest.raises(StudyError, match="this study is here already, as 'moved': it would be counted twice"):
        imported(file, anywhere)
    assert study_names(anywhere) == ("moved",)


@pytest.mark.usefixtures("undelivered")
def test_another_study_of_that_name_stays(own: Own, file: Path, there: Settings) -> None:
    other = finished_study(own, there, candidates=[Candidate({"act": "fine", "width": 1, "depth": 1}, 0)])
    with pytest.raises(StudyError, match="there is another study 'own' already: import this one with --study NAME"):
        imported(file, there)
    assert Study.open("own", there).record() == other


@pytest.mark.usefixtures("undelivered")
def test_a_study_that_went_on_stays(own: Own, file: Path, there: Settings) -> None:
    imported(file, there)
    with Study.hold("own", there) as study:
        study.add(own.task.space, {"act": "raise", "width": 3, "depth": 1}, seed=0)
        record = study.record()
    with pytest.raises(StudyError, match=r"not as in the file \(8 trials here, 7 there\): it stays as it is"):
        imported(file, there)
    assert Study.open("own", there).record() == record


@pytest.mark.usefixtures("undelivered")
def test_a_trial_that_only_lacks_its_state_is_settled_where_it_is_imported(
    own: Own, settings: Settings, there: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    params = {"act": "fine", "width": 1, "depth": 1}
    finished_study(own, settings, candidates=[])
    with monkeypatch.context() as patch, Study.hold("own", settings) as study:
        patch.setattr(study, "_settle", lambda _: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            study.finish(study.start(study.add(own.task.space, params, seed=0)), COMPLETE, cpus=1.0)
    record = imported(exported(settings, tmp_path / "own.study"), there).study
    assert record == Study.open("own", settings).record()
    with Study.hold("own", there) as study:
        assert study.unfinished() == ()
        assert [trial.state for trial in study.record().trials] == ["complete"]


def test_a_study_that_is_being_run_is_exported_as_it_is_now(
    full: StudyRecord, settings: Settings, tmp_path: Path
) -> None:
    said: list[str] = []
    with Study.hold("own", settings):
        export_study("own", tmp_path / "own.study", settings, said.append)
    assert said[0].startswith("study own is being run by process ")
    assert said[1] == "1 of its 7 trials have not ended, and run again where it is imported"


@pytest.mark.usefixtures("undelivered")
def test_nothing_is_imported_into_a_study_that_is_being_run(file: Path, there: Settings) -> None:
    there.prepare()
    with Study.hold("own", there), pytest.raises(StudyError, match="is being run by process"):
        imported(file, there)


def test_a_file_that_cannot_be_written_leaves_what_was_there(full: StudyRecord, settings: Settings) -> None:
    (settings.home / "taken").touch()
    with pytest.raises(UserError, match="cannot be written, for its folder cannot be made"):
        exported(settings, settings.home / "taken" / "own.study")


# Killed


@pytest.fixture(scope="module")
def killed_imports() -> Iterator[subprocess.Popen[str]]:
    pipe = subprocess.PIPE
    program = [sys.executable, str(PROGRAMS / "killed_imports.py")]
    with subprocess.Popen(program, stdin=pipe, stdout=pipe, text=True) as process:
        yield process


@pytest.fixture
def kill_after(killed_imports: subprocess.Popen[str]) -> Callable[[int, Path, Settings], None]:
    """Import a file in another process that ends after so many writes."""

    def call(writes: int, file: Path, settings: Settings) -> None:
        assert killed_imports.stdin is not None
        assert killed_imports.stdout is not None
        print(
            json.dumps([str(file), str(settings.home), settings.storage, writes]), file=killed_imports.stdin, flush=True
        )
        assert killed_imports.stdout.readline() == "9\n"

    return call


@pytest.mark.slow
@pytest.mark.usefixtures("undelivered")
@pytest.mark.parametrize("calls", [1, 4, 8, 14])
def test_a_killed_import_leaves_no_study_and_the_same_command_makes_it(
    calls: int, full: StudyRecord, file: Path, anywhere: Settings, kill_after: Callable[[int, Path, Settings], None]
) -> None:
    kill_after(calls, file, anywhere)  # of 1 + 7 trials + 9 notes, the last of which makes it a study
    with pytest.raises(StudyError, match=r"no study named 'own'|its import was killed: import it again"):
        Study.open("own", anywhere)
    found = imported(file, anywhere)
    assert (found.study, found.is_new) == (full, True)
    assert Study.open("own", anywhere).record() == full


@pytest.mark.usefixtures("undelivered")
def test_a_study_launched_over_a_killed_import_has_nothing_of_it(
    own: Own, file: Path, anywhere: Settings, kill_after: Callable[[int, Path, Settings], None]
) -> None:
    kill_after(6, file, anywhere)
    record = finished_study(own, anywhere, candidates=[])
    assert record.trials == ()
    assert Study.open("own", anywhere).record() == record
    with pytest.raises(StudyError, match="there is another study 'own' already"):
        imported(file, anywhere)


@pytest.mark.slow
@pytest.mark.usefixtures("undelivered")
def test_an_import_that_fails_leaves_nothing(
    file: Path, anywhere: Settings, full: StudyRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(Study, "_make_trial", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            imported(file, anywhere)
    assert study_names(anywhere) == ()
    assert imported(file, anywhere).study == full


# What is wrong


@pytest.fixture
def form(file: Path) -> dict[str, Any]:
    form: dict[str, Any] = json.loads(gzip.decompress(file.read_bytes()))
    return form


@pytest.fixture
def refused(tmp_path: Path, there: Settings, capfd: pytest.CaptureFixture[str]) -> Callable[[bytes], str]:
    """The one line that an import of these bytes ends in, after which nothing is there."""

    def call(data: bytes) -> str:
        wrong = tmp_path / "wrong.study"
        wrong.write_bytes(data)
        assert run(["import-study", str(wrong), "--home", str(there.home)]) == 2
        out, err = capfd.readouterr()
        assert (out, err.count("\n")) == ("", 1)
        assert "Traceback" not in err
        assert len(err) < 600
        assert not there.home.exists()
        return err

    return call


def zipped(form: Any) -> bytes:
    return gzip.compress(json.dumps(form).encode())


def test_damage_is_one_line_and_nothing_is_written(file: Path, refused: Callable[[bytes], str]) -> None:
    whole = file.read_bytes()
    broken = bytearray(whole)
    broken[len(whole) // 2] ^= 0xFF
    for data in (b"", b"no gzip", whole[10:], bytes(broken), bytes(whole[:-4]) + b"\0\0\0\0"):
        assert "no study that can be imported" in refused(data)
    for length in (5, 100, len(whole) - 1):
        assert "it is cut off" in refused(whole[:length])
    assert "something follows after its end" in refused(whole + b"\n")
    for text in (b"", b"{", b"\xff", b"nan", b"[" * 100_000, b"1" * 5000):
        assert "it holds no JSON" in refused(gzip.compress(text))


def test_more_than_an_import_takes_is_not_unzipped(
    file: Path, refused: Callable[[bytes], str], settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(study_file, "MOST_BYTES", 2**20)
    assert "it is more than 1 MiB" in refused(gzip.compress(bytes(2**20 + 1)))
    monkeypatch.setattr(study_file, "MOST_BYTES", 2**10)
    with pytest.raises(StudyError, match="at most 0 MiB go"):
        exported(settings, file.with_name("large.study"))
    assert not file.with_name("large.study").exists()


def at(*path: Any, to: Any) -> Callable[[dict[str, Any]], None]:
    def change(form: Any) -> None:
        for key in path[:-1]:
            form = form[key]
        form[path[-1]] = to

    return change


def without(*path: Any) -> Callable[[dict[str, Any]], None]:
    def change(form: Any) -> None:
        for key in path[:-1]:
            form = form[key]
        del form[path[-1]]

    return change


BOMB = "b9999999:" + pack(np.zeros(1000)).partition(":")[2]
WRONG: dict[str, tuple[Callable[[dict[str, Any]], None], str]] = {
    "no format": (without("format"), "has no 'format'"),
    "later format": (at("format", to=2), "it is of format 2, and this version reads 1"),
    "no such format": (at("format", to=True), "it is of format True"),
    "no trials": (without("trials"), "it has no 'trials'"),
    "unknown key": (at("note", to=1), "it has 'note', which nothing here knows; near it: notes"),
    "name": (at("name", to="../own"), "a study's name is letters"),
    "name type": (at("name", to=3), "it: name needs a text; got 3"),
    "notes type": (at("notes", to=[]), "it: notes needs a mapping; got a list"),
    "trials type": (at("trials", to={}), "it: trials needs a list; got a mapping"),
    "trial type": (at("trials", 0, to=7), "trial 0 needs a mapping; got 7"),
    "no identity": (without("notes", "identity"), "the study has no 'identity'"),
    "identity": (at("notes", "identity", to="../../x"), "identity needs 32 digits of 0-9a-f; got '../../x'"),
    "created": (at("notes", "created", to=1e308), "created needs a time in unix seconds"),
    "infinite": (at("notes", "created", to=float("inf")), "the study: created needs a number; got inf"),
    "unknown note": (at("notes", "reading", to=[]), "the study has 'reading', which nothing here knows; near it"),
    "task": (at("notes", "terms", "task", to="/etc"), "terms.task needs a task's name; got '/etc'"),
    "terms": (without("notes", "terms", "dataset"), "the study: terms has no 'dataset'"),
    "unknown term": (at("notes", "terms", "speed", to=1), "the study: terms has 'speed', which nothing here knows"),
    "direction": (
        at("notes", "terms", "objective", "direction", to="up"),
        "the study: terms.objective.direction needs 'maximize' or 'minimize'; got 'up'",
    ),
    "protocol": (
        at("notes", "terms", "protocol", "epochs", to=0),
        "terms.protocol: Protocol needs epochs of 1 or more; got 0",
    ),
    "space": (at("notes", "terms", "space", to={}), "terms.space: not a space in JSON form"),
    "domain": (
        at("notes", "terms", "space", "parameters", 1, to={"name": "width", "type": "float", "low": 1, "high": 0}),
        "terms.space: not a space in JSON form",
    ),
    "epochs": (
        at("notes", "terms", "protocol", "epochs", to=2**62),
        "terms.protocol.epochs needs a number from 0 to 1000000000; got 4611686018427387904",
    ),
    "launched trials": (at("notes", "launch", "trials", to=-5), "launch.trials needs a number from 0 to"),
    "budget": (at("notes", "launch", "budget", "epochs", to=-1), "launch.budget.epochs needs a number from 0 to"),
    "replicated": (at("notes", "replication", "seeds", to=-2), "replication.seeds needs a number from 0 to"),
    "transferred": (at("notes", "transfers", 0, "place", to=-1), "transfers[0].place needs a number from 0 to"),
    "cpus": (at("trials", 0, "result", "cpus", to=-1), "trial 0: result.cpus needs a number from 0 to"),
    "weights": (at("trials", 0, "result", "weights", to=2**62), "trial 0: result.weights needs a number from 0 to"),
    "train seconds": (at("trials", 0, "result", "train_seconds", to=-1), "result.train_seconds needs a time in sec"),
    "finished": (at("trials", 0, "attempt", "started", to=9e10), "trial 0 ended before it began"),
    "attempts": (at("trials", 0, "attempt", "number", to=2**62), "trial 0: attempt.number counts from one; got 46"),
    "launch": (at("notes", "launch", "search", to="luck"), "launch.search needs 'grid', 'random', 'qmc', 'tpe'"),
    "versions": (at("notes", "launch", "versions", to={"keras": 3}), "launch.versions.keras needs a text; got 3"),
    "reading": (at("notes", "readings", 0, "trials", to=[9]), "readings[0] is about a trial that is not there"),
    "replication": (
        at("notes", "replication", "params_ids", to=["0" * 12]),
        "replication is about '000000000000', which no trial has",
    ),
    "test of none": (at("notes", "test:7", to={"metrics": {}}), "test:7 is about no complete trial"),
    "test of failed": (at("notes", "test:2", to={"metrics": {}}), "test:2 is about no complete trial"),
    "test type": (at("notes", "test:0", "metrics", to={"a": "b"}), "test:0: metrics.a needs a number; got 'b'"),
    "test number": (at("notes", "test:00", to={}), "the study has 'test:00', which nothing here knows"),
    "state": (
        at("trials", 0, "state", to="done"),
        "trial 0: state needs 'waiting', 'running', 'complete', 'stopped' or 'failed'; got 'done'",
    ),
    "no seed": (without("trials", 1, "seed"), "trial 1 has no 'seed'"),
    "seed": (at("trials", 1, "seed", to=True), "trial 1: seed needs a whole number; got True"),
    "negative seed": (at("trials", 1, "seed", to=-1), "trial 1: seed needs to be 0 or more; got -1"),
    "large seed": (at("trials", 1, "seed", to=2**63), "trial 1: seed needs a whole number; got 9223372036854775808"),
    "params": (at("trials", 0, "params", "width", to=9), "trial 0 lies outside the study's space: width is 9"),
    "params kind": (
        at("trials", 0, "params", "width", to=[1]),
        "trial 0: params.width needs a number, a text, true or false; got a list",
    ),
    "params less": (without("trials", 0, "params", "width"), "trial 0 lies outside the study's space: width is miss"),
    "params more": (at("trials", 0, "params", "x", to=1), "trial 0 lies outside the study's space: no parameter 'x'"),
    "params name": (at("trials", 3, "params", "a\udfff", to=1), "trial 3 has a parameter with the name"),
    "not outside": (at("trials", 0, "outside", to=True), "trial 0 is said to lie outside the study's space"),
    "outside": (without("trials", 3, "outside"), "trial 3 lies outside the study's space: depth is 2 and held at 1"),
    "waiting": (at("trials", 0, "state", to="waiting"), "trial 0 is waiting, and has a result"),
    "never started": (without("trials", 5, "attempt"), "trial 5 is running, and was never started"),
    "no result": (without("trials", 1, "result"), "trial 1 is stopped, and has no result"),
    "other result": (at("trials", 0, "state", to="failed"), "trial 0 is failed, and its result complete"),
    "no score": (at("trials", 0, "result", "score", to=None), "trial 0 is complete, and has no score"),
    "other score": (at("trials", 0, "result", "score", to=0.9), "the score 0.9, which is not that of its epoch 2"),
    "failed score": (at("trials", 2, "result", "score", to=0.9), "trial 2 failed, and has a score"),
    "best epoch": (at("trials", 0, "result", "best_epoch", to=3), "trial 0 is complete, and has no score at one"),
    "metric": (without("trials", 0, "result", "history", 1, "val_accuracy"), "which is not that of its epoch 2"),
    "nan": (
        at("trials", 0, "result", "history", 0, "loss", to=float("nan")),
        "trial 0: result.history[0].loss needs a number; got nan",
    ),
    "attempt": (at("trials", 0, "attempt", "number", to=0), "trial 0: attempt.number counts from one; got 0"),
    "started": (at("trials", 0, "attempt", "started", to=-1), "trial 0: attempt.started needs a time"),
    "epoch": (at("trials", 0, "intermediate", to={"0": 1.0}), "intermediate needs epochs, counted from one; got '0'"),
    "errors": (at("trials", 0, "result", "errors", to="x"), "trial 0: errors: no packed errors"),
    "errors of others": (
        at("trials", 0, "result", "errors", to=pack(np.zeros(3))),
        "trial 3: errors of 300 images; the validation split has 3",
    ),
    "test errors": (at("notes", "test:0", "errors", to=ERRORS), "test:0.readings of 40 images; the test split has 300"),
    "test readings": (at("notes", "test:0", "readings", to="t40:"), "test:0.readings: no packed readings"),
    "test picture": (
        at(
            "notes", "test:0", "worst", to=readings.pack_pictures([readings.Picture(40, np.zeros((4, 4, 1), np.uint8))])
        ),
        "test:0.worst has an image that the test split has not",
    ),
    "test pictures": (at("notes", "test:0", "worst", to="p" + "0" * 2**20), "test:0.worst needs at most 1048576 char"),
    "test score": (
        at("notes", "test:0", "metrics", "test_accuracy", to=float("nan")),
        "test:0: metrics.'test_accuracy' needs a number; got nan",
    ),
    "errors that are less": (at("trials", 0, "result", "errors", to=BOMB), "trial 0: errors: no packed errors"),
    "errors of too many": (
        at("trials", 0, "result", "errors", to=BOMB.replace("b9999999", "b99999999")),
        "trial 0: errors of 99999999 images",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_cannot_be_is_one_line_and_nothing_is_written(
    case: str, form: dict[str, Any], refused: Callable[[bytes], str]
) -> None:
    change, says = WRONG[case]
    change(form)
    assert says in refused(zipped(form))


@pytest.mark.slow
def test_a_part_of_another_type_is_refused_in_one_line_or_does_no_harm(form: dict[str, Any]) -> None:
    """Each value of the file in turn becomes something else."""
    for path in paths(form):
        for value in (None, True, -1, 1e400, "x\0", [], {}, [[]], {"": {}}):
            changed = copy.deepcopy(form)
            at(*path, to=value)(changed)
            why = why_refused(changed)
            if why is None:
                leaderboard = exports.render(study_file.decoded(zipped(changed)).record, "json")
                assert json.loads(leaderboard), path
            else:
                assert "\n" not in why, path
                assert len(why) < 500, path


def why_refused(form: dict[str, Any]) -> str | None:
    try:
        study_file.decoded(zipped(form))
    except ContentError as error:
        return str(error)
    return None


def paths(form: Any) -> Iterator[tuple[Any, ...]]:
    items = form.items() if isinstance(form, dict) else enumerate(form) if isinstance(form, list) else ()
    for key, value in items:
        yield (key,)
        yield from ((key, *rest) for rest in paths(value))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["export-study", "nothing"], "no study named 'nothing'"),
        (["export-study", "own", "-o", "/proc/no/such/folder/x"], "cannot be written"),
        (["export-study", "own", "-o", "."], "is a directory"),
        (["import-study", "no.study"], "the file no.study cannot be read: No such file or directory"),
        (["import-study", "."], "cannot be read: Is a directory"),
        (["import-study", "own.study", "--study", "a/b"], "a study's name is letters"),
        (["import-study", "own.study", "--home", "/proc/nothing"], "name another home with --home"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_is_asked_wrongly_is_one_line(
    words: list[str],
    says: str,
    file: Path,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(file.parent)
    monkeypatch.setenv("TUNE_JOBS_HOME", str(settings.home))
    assert run(words) == 2
    out, err = capfd.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert says in err


# MLflow, and going on


@pytest.mark.slow
def test_mlflow_has_the_same_runs(
    own: Own, settings: Settings, there: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deliver_here(monkeypatch)
    record = finished_study(own, settings)
    with Study.hold("own", settings) as study:
        study.note_test(0, TestResult({"test_accuracy": 0.75}))
    deliver_once("own", settings)
    found = imported(exported(settings, tmp_path / "own.study"), there)
    assert found.is_delivered
    here, was = (logged(where, record) for where in (there, settings))
    assert said_of(here) == said_of(was)
    assert len(here.trials) == len(record.trials)
    assert here.parents[0].data.metrics == was.parents[0].data.metrics
    assert not imported(tmp_path / "own.study", there).is_new
    assert said_of(logged(there, record)) == said_of(was)
    assert len(logged(there, record).parents) == 1


def said_of(found: Logged) -> Any:
    """All facts but the parent's id, which MLflow makes up."""
    parent = {"mlflow.parentRunId": found.parents[0].info.run_id}
    assert all(fact["tags"].items() >= parent.items() for fact in found.facts)
    return [fact | {"tags": fact["tags"] | {"mlflow.parentRunId": ""}} for fact in found.facts]


@pytest.mark.slow
def test_an_mlflow_that_is_away_does_not_lose_the_import(
    full: StudyRecord, file: Path, there: Settings, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:1")
    assert run(["import-study", str(file), "--home", str(there.home)]) == 0
    out, err = capfd.readouterr()
    assert out == "study own, 7 trials, imported\n"
    assert "no MLflow server answers at http://127.0.0.1:1" in err
    assert "Some trials are not in MLflow yet; nothing is lost. Run `tune-jobs sync own`." in err
    assert Study.open("own", there).record() == full
    assert run(["import-study", str(file), "--home", str(there.home)]) == 0
    assert capfd.readouterr().out == "study own, 7 trials, is already here as in the file\n"


@pytest.mark.usefixtures("ray")
@pytest.mark.parametrize("storage", ["", "sqlite"])
def test_an_imported_study_is_continued_and_only_what_is_missing_runs(
    storage: str, settings: Settings, there: Settings, tmp_path: Path
) -> None:
    own = own_task(tmp_path / "task", "fine")
    points = list(own.task.space.grid())
    finished_study(own, settings, candidates=[Candidate(params, 0) for params in points[:2]])
    with Study.hold("own", settings) as study:
        study.start(study.add(own.task.space, points[2], seed=0))
        record = study.record()
    variables = {"TUNE_JOBS_STORAGE": f"sqlite:///{tmp_path / 'studies.db'}"} if storage else {}
    file = exported(settings, tmp_path / "own.study")
    code, out, err = called(there, "import-study", str(file), **variables)
    assert (code, out) == (0, "study own, 3 trials, imported\n"), err
    (own.file.parent / "events").unlink()
    code, out, err = called(there, "launch", own.reference, "--max-concurrent", "1", **variables)
    assert code == 0, err
    assert "1 of 3 trials did not finish and run again" in err
    assert own.trained == [(3, 0), (4, 0)]
    where = replace(there, storage=variables.get("TUNE_JOBS_STORAGE"))
    deliver_once("own", where)
    continued = Study.open("own", where).record()
    assert continued.trials[:2] == record.trials[:2]
    assert [trial.state for trial in continued.trials] == ["complete"] * 4
    assert [trial.attempts for trial in continued.trials] == [1, 1, 2, 1]
    assert sorted(run.info.run_name for run in logged(where, continued).trials) == [f"own-000{n}" for n in range(4)]
