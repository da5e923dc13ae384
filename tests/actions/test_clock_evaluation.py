"""A small study of clocks, evaluated: what was read is in the study, and everything shown of it is made from there."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import pytest

from tests.support.sweeping import Logged, SharedRay, called, logged, terms_of
from tune_jobs import datasets, exports
from tune_jobs.cli import run
from tune_jobs.datasets import TrainingData
from tune_jobs.datasets.dataset import Dataset
from tune_jobs.records import readings
from tune_jobs.records.per_image import unpack
from tune_jobs.records.studies import Launch, StudyRecord
from tune_jobs.records.trials import TestResult, TrialResult
from tune_jobs.search_spaces import Task, open_all
from tune_jobs.search_spaces.catalog import find
from tune_jobs.settings import Settings
from tune_jobs.study.study import Study
from tune_jobs.tracking import delivery
from tune_jobs.training.runs import run_trial
from tune_jobs.training.trial import TrialRun

pytestmark = pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning")  # of MLflow's own tables

CUT = replace(find("clock-quick"), protocol=replace(find("clock-quick").protocol, epochs=2, images=300))
HANDS = dict(CUT.baseline)
SHARED = {name: value for name, value in HANDS.items() if name not in CUT.route(HANDS).encoding}


@dataclass
class Evaluated:
    settings: Settings
    data: Dataset
    record: StudyRecord
    said: str

    @property
    def result(self) -> TestResult:
        (found,) = [trial.tested for trial in self.record.trials if trial.tested is not None]
        return found

    @property
    def logged(self) -> Logged:
        return logged(self.settings, self.record)


@pytest.fixture(scope="module")
def evaluated(tmp_path_factory: pytest.TempPathFactory, ray: SharedRay) -> Evaluated:
    """Two encodings trained for two epochs on 300 images, the better one evaluated by the command."""
    settings = Settings.read(home=tmp_path_factory.mktemp("clocks") / "home")
    settings.prepare()
    data = datasets.load_for_task(CUT, settings.data_dir)
    with Study.hold("clocks", settings) as study:
        study.begin(replace(terms_of(CUT, CUT.name, data.training), task_digest=find(CUT.name).digest()))
        study.note_launch(Launch("reported", None, "host", time.time(), None, {"keras": "3.15"}))
        for params in (HANDS, {**SHARED, "encoding": "regression"}):
            trial = study.start(study.add(open_all(CUT.space), params, 0))
            study.finish(trial, run_trial(CUT, params, data.training, seed=0), cpus=1.0)
    code, _, said = called(settings, "evaluate", "clocks", "--max-concurrent", "1")
    assert code == 0, said
    delivery.deliver_once("clocks", settings)
    return Evaluated(settings, data, Study.open("clocks", settings).record(), said)


def retrained(task: Task, params: Any, data: TrainingData) -> Any:
    trial = TrialRun(task, params, data, seed=0)
    for _ in trial:
        pass
    assert trial.model is not None
    return trial.model


def test_what_was_read_of_each_test_image_is_in_the_study(evaluated: Evaluated) -> None:
    """The winner trained here again, its outputs decoded."""
    (winner,) = [trial for trial in evaluated.record.trials if trial.tested is not None]
    model = retrained(CUT, winner.params, evaluated.data.training)
    encoding, split = CUT.encoding_of(winner.params), evaluated.data.test
    times = encoding.decode(model.predict(split.x, verbose=0))
    assert evaluated.result.readings is not None
    found = readings.unpack(evaluated.result.readings)
    np.testing.assert_array_equal(found.true, 60 * split.labels[:, 0] + split.labels[:, 1])
    np.testing.assert_allclose(found.read, 60 * times[:, 0] + times[:, 1], atol=0.5)
    assert found.errors.mean() == pytest.approx(evaluated.result.metrics["test_error_minutes"], abs=0.02)
    assert evaluated.result.errors is not None
    np.testing.assert_allclose(found.errors, unpack(evaluated.result.errors), atol=0.02)


def test_the_images_that_were_read_worst_are_there_with_their_pixels(evaluated: Evaluated) -> None:
    assert evaluated.result.readings is not None
    assert evaluated.result.worst is not None
    errors = readings.unpack(evaluated.result.readings).errors
    pictures = readings.unpack_pictures(evaluated.result.worst)
    assert len(pictures) == readings.WORST
    assert min(errors[picture.index] for picture in pictures) >= np.sort(errors)[-readings.WORST] - 0.05
    for picture in pictures:
        pixels = evaluated.data.test.x[picture.index].astype(int)
        np.testing.assert_allclose(picture.pixels.astype(int), pixels, atol=8.5)


def test_its_plots_are_in_the_exports_and_in_mlflow(evaluated: Evaluated) -> None:
    from mlflow import MlflowClient

    folder = evaluated.settings.exports_dir("clocks")
    expected = {"encodings.svg", "test-errors.svg", "test-worst.svg"}
    assert expected <= {path.name for path in folder.iterdir()}
    client = MlflowClient(tracking_uri=evaluated.settings.tracking_uri)
    (parent,) = evaluated.logged.parents
    of_study = {item.path for item in client.list_artifacts(parent.info.run_id, "leaderboard")}
    assert {f"leaderboard/{name}" for name in expected} <= of_study
    for trial in evaluated.record.trials:
        run_id = evaluated.logged.run(trial.number).info.run_id
        of_trial = {item.path for item in client.list_artifacts(run_id, "test")}
        assert of_trial == ({"test/errors.svg", "test/worst.svg"} if trial.tested is not None else set())


@pytest.fixture
def without_data(evaluated: Evaluated, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The data folder is gone, no data set can be loaded, and nobody may take a test split."""

    def refused(*_: object, **__: object) -> None:
        raise AssertionError("data were loaded")

    def attribute(self: Dataset, name: str) -> Any:
        assert name != "test", "the test split was taken"
        return object.__getattribute__(self, name)

    monkeypatch.setattr(datasets, "load", refused)
    monkeypatch.setattr(Dataset, "__getattribute__", attribute)
    away = evaluated.settings.data_dir.with_name("away")
    shutil.move(evaluated.settings.data_dir, away)
    yield
    shutil.move(away, evaluated.settings.data_dir)


@pytest.mark.usefixtures("without_data")
def test_page_plots_and_exports_need_no_data(evaluated: Evaluated) -> None:
    home = evaluated.settings.home
    output = home / "page" / "clock.md"
    output.parent.mkdir()
    assert run(["results", "--page", "clock", "-o", str(output), "--home", str(home)]) == 0
    assert len(list(output.parent.glob("clock-*.svg"))) == 3
    assert "| test, read once |" in output.read_text(encoding="utf-8")
    exports.write_all(evaluated.record, home / "again")
    for name in ("test-errors.svg", "test-worst.svg"):
        assert (home / "again" / name).read_bytes() == (evaluated.settings.exports_dir("clocks") / name).read_bytes()


def test_the_test_split_was_read_once_and_is_not_read_again(evaluated: Evaluated) -> None:
    code, _, said = called(evaluated.settings, "evaluate", "clocks")
    assert code == 0
    assert "the test split is not read again" in said
    assert Study.open("clocks", evaluated.settings).record() == evaluated.record
    assert len(evaluated.record.readings) == 1


def evaluated_result(evaluated: Evaluated) -> TrialResult:
    """The result of a trial that is complete."""
    recorded = next(trial.result for trial in evaluated.record.trials if trial.state == "complete")
    assert recorded is not None
    return TrialResult(**{field.name: getattr(recorded, field.name) for field in fields(TrialResult)})


def test_a_note_of_before_there_were_readings_is_still_read(evaluated: Evaluated, settings: Settings) -> None:
    settings.prepare()
    with Study.hold("old", settings) as study:
        study.begin(replace(evaluated.record.terms, task="old"))
        trial = study.start(study.add(open_all(CUT.space), HANDS, 0))
        study.finish(trial, evaluated_result(evaluated), cpus=1.0)
        study._note(f"test:{trial.number}", {"metrics": {"test_error_minutes": 3.0}, "errors": None, "val_score": 4.0})
    (found,) = Study.open("old", settings).record().trials
    assert found.tested == TestResult({"test_error_minutes": 3.0}, None, 4.0)
