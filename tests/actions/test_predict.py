"""The task of a saved model is found again where its file is now."""

from __future__ import annotations

import json
import zipfile
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import pytest

from tests.support.sweeping import Own, called, data_of, terms_of
from tune_jobs.actions.predict import open_reader
from tune_jobs.errors import DataError
from tune_jobs.prediction import saved_models
from tune_jobs.prediction.saved_models import MEMBER, Origin
from tune_jobs.records.studies import Launch
from tune_jobs.settings import Settings
from tune_jobs.study.study import Study


@dataclass(frozen=True)
class Moved:
    """A model of a task whose file was moved, and the place where it is now."""

    model: Path
    origin: Origin
    now: str


@pytest.fixture
def moved(tmp_path: Path, settings: Settings) -> Moved:
    own = Own.copy("dense_task.py", tmp_path / "a")
    terms = terms_of(own.task, own.reference, data_of(own.task))
    origin = Origin(
        **{name: getattr(terms, name) for name in ("task", "reference", "task_digest", "dataset", "data_digest")},
        params=dict(own.task.baseline),
        seed=0,
        encoding="classes-3",
        input_shape=(4, 4, 1),
        metric="val_accuracy",
        direction="maximize",
        score=0.9,
        versions={},
        study="own",
    )
    settings.prepare()
    with Study.hold("own", settings) as study:
        study.begin(terms)
    (tmp_path / "b").mkdir()
    now = own.file.rename(tmp_path / "b" / "renamed.py")
    model = tmp_path / "model.keras"
    with zipfile.ZipFile(model, "w") as archive:
        archive.writestr("config.json", "{}")
    saved_models.add(model, origin)
    return Moved(model, origin, f"{now}:OWN")


def launch_from(place: str, settings: Settings) -> None:
    with Study.hold("own", settings) as study:
        study.note_launch(Launch("tpe", 1, "host", 0.0, None, {}, reference=place))


def test_the_task_of_a_model_is_found_where_its_study_was_last_launched(moved: Moved, settings: Settings) -> None:
    with pytest.raises(DataError, match=r"a/dense_task\.py, which is missing: say where it is now with --task FILE"):
        open_reader(moved.model, settings)
    launch_from(moved.now, settings)
    assert open_reader(moved.model, settings)._saved.encoding.name == "classes-3"


def test_a_study_of_other_data_says_nothing_about_the_task(moved: Moved, settings: Settings, tmp_path: Path) -> None:
    launch_from(moved.now, settings)
    other = tmp_path / "other.keras"
    with zipfile.ZipFile(other, "w") as archive:
        archive.writestr("config.json", "{}")
    saved_models.add(other, replace(moved.origin, data_digest="0123456789abcdef"))
    with pytest.raises(DataError, match="which is missing"):
        open_reader(other, settings)


def test_a_user_says_where_the_task_is(moved: Moved, settings: Settings, tmp_path: Path) -> None:
    code, _, said = called(settings, "predict", str(moved.model), str(tmp_path / "no.png"))
    assert (code, said.count("\n")) == (2, 1)
    assert "say where it is now with --task FILE.py:NAME" in said
    code, _, said = called(settings, "predict", str(moved.model), str(tmp_path / "no.png"), "--task", moved.now)
    assert (code, "no.png" in said, "--task" in said) == (2, True, False), said


def test_a_model_of_an_earlier_version_names_no_study(moved: Moved, settings: Settings, tmp_path: Path) -> None:
    old = {name: value for name, value in asdict(moved.origin).items() if name != "study"}
    model = tmp_path / "old.keras"
    with zipfile.ZipFile(model, "w") as archive:
        archive.writestr(MEMBER, json.dumps({"format": 1, **old}))
    assert saved_models.read(model) == replace(moved.origin, study=None)
    assert open_reader(model, settings, moved.now)._saved.encoding.name == "classes-3"
