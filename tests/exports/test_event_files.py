"""Event files of a study: what TensorBoard reads from them."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.support.sweeping import called, finished_study, own_task
from tests.support.trials import trial_record
from tune_jobs.actions import tensorboard
from tune_jobs.actions.local_page import LocalPage
from tune_jobs.errors import SettingsError
from tune_jobs.exports.event_files import EventFiles
from tune_jobs.records.studies import StudyRecord, StudyTerms
from tune_jobs.records.trials import TrialRecord
from tune_jobs.search_spaces import Choice, Objective, Protocol, Space
from tune_jobs.settings import Settings

TERMS = StudyTerms(
    task="rows",
    task_digest="0",
    reference="rows",
    dataset="digits",
    data_digest="0",
    space=Space(units=Choice(8, 16)).to_json(),
    objective=Objective("val_accuracy", "maximize"),
    protocol=Protocol(epochs=3),
    seed=7,
)
HISTORY = ({"loss": 2.0, "val_accuracy": 0.5}, {"loss": 1.0, "val_accuracy": 0.75})


def ended(number: int, state: str, **params: Any) -> TrialRecord:
    known: dict[str, Any] = {"score": 0.75, "best_epoch": 2, "history": HISTORY} if state != "failed" else {}
    return trial_record(number, params, state=state, started=100.0, finished=110.0, **known)  # type: ignore[arg-type]


def running(epochs: int) -> TrialRecord:
    scores = tuple(epoch["val_accuracy"] for epoch in HISTORY[:epochs])
    return TrialRecord(1, {"units": 16, "momentum": "none"}, 7, "running", started=100.0, scores=scores)


def study(*trials: TrialRecord) -> StudyRecord:
    return StudyRecord("first", "identity", TERMS, None, 0.0, trials)


def events(folder: Path) -> list[Any]:
    """All events of a run, of all its files."""
    loading = pytest.importorskip("tensorboard.backend.event_processing.event_file_loader")
    files = sorted(folder.glob("events.out.tfevents.*"))
    return [event for file in files for event in loading.EventFileLoader(str(file)).Load()]


def scalars(folder: Path) -> list[tuple[str, int, float, float]]:
    """The name, step, value and time of each scalar."""
    values = [(event, value) for event in events(folder) for value in event.summary.value]
    return [
        (value.tag, event.step, value.tensor.float_val[0], event.wall_time)
        for event, value in values
        if value.metadata.plugin_data.plugin_name == "scalars"
    ]


def page(folder: Path) -> dict[str, Any]:
    """What the page HParams reads, by its tags."""
    metadata = pytest.importorskip("tensorboard.plugins.hparams.metadata")
    data = pytest.importorskip("tensorboard.plugins.hparams.plugin_data_pb2")
    values = [value for event in events(folder) for value in event.summary.value]
    own = [value for value in values if value.metadata.plugin_data.plugin_name == metadata.PLUGIN_NAME]
    parsed = {}
    for value in own:
        parsed[value.tag] = data.HParamsPluginData.FromString(value.metadata.plugin_data.content)
    return parsed


@pytest.mark.slow
def test_every_epoch_is_a_scalar_at_its_time(tmp_path: Path) -> None:
    assert EventFiles(tmp_path).write(study(ended(0, "complete", units=8))) == 1
    assert scalars(tmp_path / "0000") == [
        ("loss", 1, 2.0, 105.0),
        ("val_accuracy", 1, 0.5, 105.0),
        ("loss", 2, 1.0, 110.0),
        ("val_accuracy", 2, 0.75, 110.0),
        ("best_val_accuracy", 0, 0.75, 110.0),
        ("best_epoch", 0, 2.0, 110.0),
    ]


@pytest.mark.slow
def test_the_page_of_hyperparameters_has_every_param_and_how_trials_ended(tmp_path: Path) -> None:
    failed = ended(1, "failed", units=16, nesterov=True, momentum=0.5)
    EventFiles(tmp_path).write(study(ended(0, "complete", units=8, momentum="none"), failed))
    experiment = page(tmp_path)["_hparams_/experiment"].experiment
    kinds = {info.name: info.type for info in experiment.hparam_infos}
    assert kinds == {"units": 3, "momentum": 1, "nesterov": 2}  # number, text, bool
    assert [info.name.tag for info in experiment.metric_infos] == ["best_val_accuracy", "best_epoch"]
    first, second = page(tmp_path / "0000"), page(tmp_path / "0001")
    params = first["_hparams_/session_start_info"].session_start_info.hparams
    assert (params["units"].number_value, params["momentum"].string_value) == (8.0, "none")
    params = second["_hparams_/session_start_info"].session_start_info.hparams
    assert (params["nesterov"].bool_value, params["momentum"].string_value) == (True, "0.5")
    status = [each["_hparams_/session_end_info"].session_end_info.status for each in (first, second)]
    assert status == [1, 2]  # success, failure


@pytest.mark.slow
def test_a_trial_that_goes_on_has_each_epoch_once(tmp_path: Path) -> None:
    files = EventFiles(tmp_path)
    last = replace(ended(1, "complete", units=16, momentum="none"), attempts=1)
    for trial, news in ((running(0), 0), (running(1), 1), (running(1), 0), (last, 1), (last, 0)):
        assert files.write(study(trial)) == news
    steps = [(name, step) for name, step, _, _ in scalars(tmp_path / "0001") if name == "val_accuracy"]
    assert steps == [("val_accuracy", 1), ("val_accuracy", 2)]


@pytest.mark.slow
def test_writing_again_replaces_our_files_and_no_others(tmp_path: Path) -> None:
    theirs = tmp_path / "0000" / "events.out.tfevents.1.theirs"
    theirs.parent.mkdir()
    theirs.touch()
    for _ in range(2):
        EventFiles(tmp_path).write(study(ended(0, "complete", units=8)))
    assert len(list((tmp_path / "0000").iterdir())) == 2
    assert theirs.exists()
    EventFiles(tmp_path, is_alone=False).write(study(ended(0, "complete", units=8)))
    assert not list(tmp_path.glob("events.*"))  # the page finds the params of several studies by itself


def test_studies_are_written_to_a_folder_without_tensorboard(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    own = own_task(tmp_path / "task")
    finished_study(own, settings, "a")
    finished_study(own, settings, "b")
    out = tmp_path / "events"
    code, printed, told = called(settings, "tensorboard", "--all", "-o", str(out))
    assert (code, printed) == (0, f"{out}\n"), told
    assert "event files of 8 trials" in told
    assert sorted(path.name for path in out.iterdir()) == ["a", "b"]
    code, _, told = called(settings, "tensorboard", "a")
    assert code == 2
    assert "`pip install 'tune-jobs[tensorboard]'`, or have the event files written to a folder by -o" in told
    for words in ((), ("a", "--all")):
        code, _, told = called(settings, "tensorboard", *words)
        assert code == 2
        assert "one or more studies, or --all" in told


@pytest.mark.slow
def test_a_taken_port_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    program = pytest.importorskip("tensorboard.program")

    def launch(board: object) -> None:
        raise program.TensorBoardServerException("port 6006 is in use")

    monkeypatch.setattr(program.TensorBoard, "launch", launch)
    with pytest.raises(SettingsError, match=r"port 6006 of 127\.0\.0\.1 cannot be used \(port 6006 is in use\)"):
        tensorboard.serve(tensorboard.Logs(tmp_path, ()), LocalPage(6006, None), lambda: None, live=False)
