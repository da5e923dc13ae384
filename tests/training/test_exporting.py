"""Models in the forms of other programs: each answers as the model does, or is not kept."""

from __future__ import annotations

import importlib.util
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.sweeping import own_task
from tune_jobs.actions import model_files
from tune_jobs.errors import SettingsError, UserError
from tune_jobs.models.lazy_keras import keras
from tune_jobs.prediction import saved_models
from tune_jobs.prediction.saved_models import Origin
from tune_jobs.training import exporting

ORIGIN = Origin(
    task="own",
    reference="own.py:OWN",
    task_digest="abc",
    params={"units": "äöü"},
    seed=0,
    encoding="classes",
    input_shape=(),
    dataset="people",
    data_digest="def",
    metric="val_accuracy",
    direction="maximize",
    score=0.5,
    versions={},
    study="mine",
)


def note_in(path: Path) -> str:
    """The text that an exported model keeps, as its form's own tools read it."""
    if path.suffix == ".onnx":
        import onnxruntime

        return str(onnxruntime.InferenceSession(path).get_modelmeta().custom_metadata_map[saved_models.MEMBER])
    if path.suffix == ".tflite":
        with zipfile.ZipFile(path) as archive:
            return archive.read(saved_models.MEMBER).decode()
    return (path / "assets.extra" / saved_models.MEMBER).read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def model() -> Any:
    """Two inputs of different types, and two outputs."""
    pixels, ages = keras.Input((4,), dtype="uint8", name="pixels"), keras.Input((2,), name="ages")
    both = keras.layers.Concatenate()([keras.layers.Rescaling(1 / 255)(pixels), ages])
    return keras.Model({"pixels": pixels, "ages": ages}, [keras.layers.Dense(3)(both), keras.layers.Dense(1)(both)])


@pytest.fixture
def inputs() -> Any:
    chance = np.random.default_rng(1)
    return {"pixels": chance.integers(0, 255, (5, 4), "uint8"), "ages": chance.random((5, 2), "float32")}


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of converters
@pytest.mark.parametrize("name", ["served", "model.tflite", "model.onnx"])
def test_a_model_is_saved_in_each_form_and_compared(model: Any, inputs: Any, name: str, tmp_path: Path) -> None:
    form = exporting.form_of(tmp_path / name)
    assert form is not None
    if any(importlib.util.find_spec(package) is None for package in form.packages):
        pytest.skip(f"{form.title} needs {form.packages}")
    told: list[str] = []
    model_files.save(model, tmp_path / name, ORIGIN, inputs, told.append)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert "on real inputs its outputs are those of the model" in told[0]
    assert note_in(tmp_path / name) == saved_models.text_of(ORIGIN)
    assert json.loads(saved_models.text_of(ORIGIN))["study"] == "mine"


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_form_with_other_outputs_is_not_kept(
    model: Any, inputs: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = exporting.Form(
        "a SavedModel",
        "tf_saved_model",
        (),
        lambda path, arrays: [np.zeros((5, 3)), np.zeros((5, 1))],
        lambda path, name, text: None,
    )
    monkeypatch.setitem(exporting._FORMS, "", wrong)
    with pytest.raises(UserError, match="other outputs than the model on the same inputs: it was not kept"):
        model_files.save(model, tmp_path / "served", ORIGIN, inputs, print)
    assert list(tmp_path.iterdir()) == []


def test_what_is_not_installed_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    task = own_task(tmp_path / "task").task
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "tf2onnx" else found(name))
    form = exporting.form_of(Path("model.onnx"))
    assert form is not None
    with pytest.raises(SettingsError, match=r"ONNX needs tf2onnx: run `pip install 'tune-jobs\[onnx\]'`"):
        exporting.check(form)
    with pytest.raises(SettingsError, match=r"saved as FILE\.keras, FILE\.onnx, FILE\.tflite or"):
        model_files.check(Path("model.h5"), task)
