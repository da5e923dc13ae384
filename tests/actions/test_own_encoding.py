"""A task file with a label encoding of its own is swept, evaluated, exported and trained, and its model predicts."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from tests.support.sweeping import SharedRay, called
from tune_jobs import exports
from tune_jobs.exports.encodings import encoding_params
from tune_jobs.prediction.own_objects import own_objects
from tune_jobs.records import readings
from tune_jobs.records.per_image import unpack
from tune_jobs.records.studies import StudyRecord
from tune_jobs.search_spaces import catalog
from tune_jobs.settings import Settings
from tune_jobs.study import file
from tune_jobs.study.study import Study

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # of Keras, when it saves

PROGRAM = Path(__file__).parents[1] / "support" / "programs" / "brightness.py"


@dataclass(frozen=True)
class Swept:
    """A grid of two encodings, its best evaluated, exported and trained again."""

    settings: Settings
    folder: Path
    task: str

    @property
    def record(self) -> StudyRecord:
        return Study.open("brightness", self.settings).record()

    @property
    def encoding(self) -> Any:
        best = exports.best_row(self.record)
        assert best is not None
        return catalog.find(self.task).encoding_of(best.params)


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory, ray: SharedRay) -> Swept:
    folder = tmp_path_factory.mktemp("own")
    home = folder / "home"
    settings = Settings(home, home / "data", storage=None, tracking_uri=f"sqlite:///{home / 'mlflow.db'}")
    shutil.copy(PROGRAM.with_name("brightness_bins.txt"), folder)
    task = f"{shutil.copy(PROGRAM, folder)}:BRIGHTNESS"
    for words in (
        ("launch", task, "--search", "grid", "--max-concurrent", "1"),
        ("evaluate", "brightness", "--max-concurrent", "1"),
        ("export", "brightness", "-o", str(folder / "exports")),
        ("train", str(folder / "exports" / "best.yaml"), "-o", str(folder / "model.keras"), "--no-mlflow"),
        ("export-study", "brightness", "-o", str(folder / "brightness.study")),
    ):
        code, _, said = called(settings, *words)
        assert code == 0, said
        if words[0] == "launch":
            assert "study brightness: brightness.py takes along brightness_bins.txt (1 file, 0.0 MB)\n" in said
    return Swept(settings, folder, task)


def words_in(plot: Path) -> str:
    texts = ElementTree.parse(plot).iter("{http://www.w3.org/2000/svg}text")
    return "\n".join(element.text or "" for element in texts)


def test_the_study_knows_which_params_are_the_encodings(swept: Swept) -> None:
    record = swept.record
    assert record.launch is not None
    assert record.launch.encoding_params == ("bins",)
    assert encoding_params(record) == ("bins",)
    assert file.read(swept.folder / "brightness.study").record == record


def test_exports_have_the_plots_of_the_encoding_on_its_own_scale(swept: Swept) -> None:
    folder = swept.folder / "exports"
    encodings = words_in(folder / "encodings.svg")
    assert "val_error_lux (minimized)" in encodings
    assert {line.split("  ")[0] for line in encodings.splitlines() if line.startswith("bins=")} == {"bins=5", "bins=20"}
    errors = words_in(folder / "test-errors.svg")
    assert "true brightness" in errors
    assert "error, lux" in errors
    assert " lux off" in words_in(folder / "test-worst.svg")


def test_a_study_without_the_note_of_an_earlier_version_has_no_plot_of_encodings(swept: Swept, tmp_path: Path) -> None:
    record = swept.record
    assert record.launch is not None
    earlier = replace(record, launch=replace(record.launch, encoding_params=()))
    assert "encodings.svg" not in {path.name for path in exports.write_all(earlier, tmp_path)}


def test_what_was_read_of_each_test_image_is_kept_with_its_scale(swept: Swept) -> None:
    (tested,) = [trial.tested for trial in swept.record.trials if trial.tested is not None]
    assert tested.readings is not None
    assert tested.errors is not None  # the objective is declared to be their mean
    kept = readings.unpack(tested.readings)
    assert kept.scale == swept.encoding.scale
    np.testing.assert_allclose(kept.errors, unpack(tested.errors), atol=1e-5)
    assert kept.errors.mean() == pytest.approx(tested.metrics["test_error_lux"], rel=1e-4)


def test_its_model_reads_image_files(swept: Swept) -> None:
    import keras

    pixels = np.random.default_rng(1).integers(120, 126, (8, 8)).astype(np.uint8)
    image, model = swept.folder / "grey.png", swept.folder / "model.keras"
    Image.fromarray(pixels).save(image)
    own = keras.saving.load_model(model, own_objects(catalog.find(swept.task)))
    label = swept.encoding.decode(own.predict(pixels[None, ..., None], verbose=0))[0]
    code, out, said = called(swept.settings, "predict", str(model), str(image))
    assert code == 0, said
    assert out.startswith(f"{image}  {label:.1f} lx  ")
    assert "of 12 views within 2 lux, typically " in out
    assert out.endswith(" lux apart\n")
    code, out, _ = called(swept.settings, "predict", str(model), str(image), "--json")
    (answer,) = json.loads(out)
    assert list(answer) == ["file", "lux", "agreement", "spread_lux", "sure"]
    assert answer["lux"] == label
