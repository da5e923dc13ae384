"""`--data`: a data set in place of a task's own is checked to fit, belongs to the study's terms, and stays with it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from tests.support.image_folders import draw, fill
from tests.support.sweeping import SharedRay, called, own_task, refusal
from tune_jobs.actions import extend, session, try_trial
from tune_jobs.actions.launch import LaunchRequest, launch
from tune_jobs.errors import DataError, StudyError
from tune_jobs.execution.plan import StudyInputs
from tune_jobs.records.studies import StudyRecord
from tune_jobs.search_spaces import catalog
from tune_jobs.settings import Settings
from tune_jobs.study.study import Study
from tune_jobs.study.terms import note_of_terms

Launched = Callable[..., StudyInputs]


@pytest.fixture
def launched(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Launched:
    """Launches a study up to the point where Ray would start; what would be trained."""
    ran: list[StudyInputs] = []
    monkeypatch.setattr(session.Session, "run", lambda held, inputs, plan, resources: ran.append(inputs))

    def run(task: str, data: str | None = None, say: Callable[[str], None] = print) -> StudyInputs:
        launch(LaunchRequest(task, "mine", 3, data=data), settings, say)
        return ran[-1]

    return run


@pytest.fixture
def folder(settings: Settings) -> Path:
    return fill(settings.data_dir / "colours", 20)


def record(settings: Settings) -> StudyRecord:
    return Study.open("mine", settings).record()


def test_it_stands_in_the_place_of_the_tasks_own(launched: Launched, folder: Path, settings: Settings) -> None:
    inputs = launched("digits-mlp", "colours@8")
    assert inputs.data.train.x.shape[1:] == (8, 8, 3)
    assert (inputs.data.name, inputs.task.dataset) == ("colours@8", "colours@8")
    terms = record(settings).terms
    assert (terms.dataset, terms.given_data, terms.data_digest) == ("colours@8", "colours@8", inputs.data.digest)
    assert terms.task_digest == catalog.find("digits-mlp").digest()


def test_a_study_stays_on_it(launched: Launched, folder: Path, settings: Settings) -> None:
    first = launched("digits-mlp", "colours@8")
    again = launched("digits-mlp")
    assert again.data.digest == first.data.digest
    extend.extend(extend.ExtendRequest("mine", 1, is_more=True), settings, print)
    assert record(settings).terms.given_data == "colours@8"


@pytest.mark.parametrize(
    ("first", "then", "says"),
    [
        ("colours@8", "colours@9", "was begun on dataset colours@8, and --data is colours@9"),
        (None, "colours@8", "was begun on dataset digits, and --data is colours@8"),
        ("colours@8", "digits", "was begun on dataset colours@8, and this task's is digits"),
    ],
)
def test_a_launch_with_other_data_is_refused(
    first: str | None, then: str, says: str, launched: Launched, folder: Path
) -> None:
    launched("digits-mlp", first)
    with pytest.raises(StudyError, match=says):
        launched("digits-mlp", then)


def test_other_images_under_the_same_name_are_refused(launched: Launched, folder: Path) -> None:
    launched("digits-mlp", "colours@8")
    draw(folder / "red" / "more.png", (250, 0, 0))
    with pytest.raises(StudyError, match=r"was begun on data .*, and they are now"):
        launched("digits-mlp")


def test_the_tasks_own_by_its_name_is_no_other(launched: Launched, settings: Settings) -> None:
    assert not launched("digits-mlp", "digits").data_given
    assert "data_given" not in note_of_terms(record(settings).terms)


@pytest.mark.parametrize(
    ("task", "data", "says"),
    [
        (
            "digits-mlp",
            "numbers",
            "numbers does not fit task 'digits-mlp': its input has floats on 2 axes, and the task's",
        ),
        ("digits-mlp", "many@8", r"many@8 cannot be used: y_train\[\d+\] is 10: labels must be from 0 to 9"),
        ("clock-quick", "colours@32", r"colours@32 cannot be used: y_train\[0\] is 0: labels must be .* \(N, 2\)"),
        ("digits-mlp", "colors", "no data set named 'colors'"),
    ],
)
def test_data_that_do_not_fit_are_refused_before_anything_is_written(
    task: str, data: str, says: str, launched: Launched, folder: Path, settings: Settings
) -> None:
    fill(settings.data_dir / "many", 5, {f"{number:02}": 20 * number for number in range(11)})
    rows = range(400)
    pd.DataFrame({"a": [row / 3 for row in rows], "target": [row % 3 for row in rows]}).to_csv(
        settings.data_dir / "numbers.csv", index=False
    )
    with pytest.raises(DataError, match=says) as caught:
        launched(task, data)
    assert "\n" not in str(caught.value)
    with pytest.raises(StudyError):
        record(settings)


@pytest.mark.parametrize("task", ["clock-final", "clock-encodings", "clock-quick"])
def test_a_task_of_clocks_is_launched_on_files_of_the_users(task: str, launched: Launched, settings: Settings) -> None:
    (folder := settings.data_dir / "clock-files").mkdir(parents=True)
    np.save(folder / "images.npy", np.random.default_rng(0).integers(0, 256, (144, 24, 24, 3), dtype=np.uint8))
    np.save(folder / "labels.npy", np.repeat([(hour, 5 * hour) for hour in range(12)], 12, axis=0))
    inputs = launched(task, "clock-files")
    assert (inputs.data.name, inputs.data_given, inputs.data.train.x.shape[1:]) == ("clock-files", True, (24, 24, 3))
    terms = record(settings).terms
    assert (terms.dataset, terms.given_data) == ("clock-files", "clock-files")


def test_own_data_that_cannot_be_had_are_not_compared(launched: Launched, folder: Path, tmp_path: Path) -> None:
    own = own_task(tmp_path / "own", dataset="lambda: open('gone')")
    said: list[str] = []
    assert launched(own.reference, "colours@8", said.append).data.name == "colours@8"
    assert "the data set colours@8 is not compared with that of task own: " in said[0]


def test_a_trial_in_this_process_takes_it_too(settings: Settings, folder: Path, tmp_path: Path) -> None:
    own = own_task(tmp_path / "own")
    request = try_trial.TryRequest(own.task, data="colours@8")
    assert try_trial.try_trial(request, settings, print).state == "complete"
    with pytest.raises(DataError, match="the size of images is written"):
        try_trial.try_trial(try_trial.TryRequest(own.task, data="colours@x"), settings, print)


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # of Keras, when it saves
@pytest.mark.slow
def test_the_best_configuration_trains_again_on_it_and_reads_the_names_of_its_classes(
    ray: SharedRay, settings: Settings, folder: Path, tmp_path: Path
) -> None:
    words = ("--data", "colours@8", "--trials", "1", "--set", "optimizer=adam", "--epochs", "15", "--search", "random")
    assert called(settings, "launch", "digits-mlp", *words, *ray.words)[0] == 0
    best = settings.exports_dir("digits-mlp") / "best.yaml"
    content: dict[str, Any] = yaml.safe_load(best.read_text())
    assert (content["dataset"], content["data_given"]) == ("colours@8", True)
    model = tmp_path / "model.keras"
    code, out, said = called(settings, "train", str(best), "-o", str(model), "--no-mlflow")
    assert code == 0, said
    images = [str(folder / name / "003.png") for name in ("blue", "red")]
    code, out, said = called(settings, "predict", str(model), *images, "--json")
    assert code == 0, said
    assert {reading["class"] for reading in json.loads(out)} <= {"blue", "red"}
    code, _, said = called(settings, "launch", "digits-mlp", "--data", "digits")
    assert code == 2
    assert "begun on dataset colours@8, and this task's is digits" in refusal(said)
