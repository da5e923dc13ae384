"""Saved models read image files: the reading is the model's own, and how sure it is comes from changed views."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from PIL import Image

from tests.prediction.test_saved_models import ORIGIN
from tests.support.sweeping import called, command_line, ended
from tune_jobs import datasets
from tune_jobs.cli import run
from tune_jobs.datasets import image_files
from tune_jobs.datasets.clocks import drawing
from tune_jobs.datasets.image_files import Picture, PictureError
from tune_jobs.errors import DataError
from tune_jobs.exports.best import BestConfig
from tune_jobs.prediction import reader, saved_models
from tune_jobs.prediction.reader import Reader, Reading
from tune_jobs.search_spaces import Protocol, catalog
from tune_jobs.settings import Settings

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # of Keras, when it saves


@dataclass(frozen=True)
class Saved:
    """A model that `train` saved, and all that the command said."""

    path: Path
    config: BestConfig
    said: str

    @property
    def keras(self) -> Any:
        """The model as anybody loads it."""
        import keras

        return keras.saving.load_model(self.path)

    def decoded(self, picture: Picture) -> Any:
        """What the task's encoding makes of the model's output for a picture, `(H, W, C)`."""
        encoding = catalog.find(self.config.task).encoding_of(self.config.params)
        return encoding.decode(self.keras.predict(picture[np.newaxis], verbose=0))[0]


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Saved]:
    """Trains a task's baseline by the command, once a task."""
    folder = tmp_path_factory.mktemp("saved")
    home = folder / "home"
    settings = Settings(home, home / "data", storage=None, tracking_uri=f"sqlite:///{home / 'mlflow.db'}")
    known: dict[str, Saved] = {}

    def train(name: str, protocol: Protocol) -> Saved:
        if name not in known:
            config = best(name, protocol, settings)
            file, model = folder / f"{name}.yaml", folder / name / "model.keras"
            file.write_text(yaml.safe_dump({"format": 1, **asdict(config)}))
            code, _, said = called(settings, "train", str(file), "-o", str(model), "--no-mlflow")
            assert code == 0, said
            known[name] = Saved(model, config, said)
        return known[name]

    return train


def best(name: str, protocol: Protocol, settings: Settings) -> BestConfig:
    """The baseline as if a study had found it."""
    task = replace(catalog.find(name), protocol=protocol)
    return BestConfig(
        task=name,
        reference=name,
        study=name,
        trial=0,
        params=task.baseline,
        seed=0,
        score=1.0,
        metric=task.objective.metric,
        direction=task.objective.direction,
        protocol=protocol,
        dataset=str(task.dataset),
        data_digest=datasets.load_for_task(task, settings.data_dir).digest,
        task_digest=task.digest(),
        cpus=1.0,
        best_epoch=1,
        versions={"keras": "3.15"},
    )


@pytest.fixture
def clock(saved: Callable[..., Saved]) -> Saved:
    return saved("clock-quick", Protocol(epochs=1, validation=0.2))


@pytest.fixture
def digits(saved: Callable[..., Saved]) -> Saved:
    return saved("digits-mlp", Protocol(epochs=3, batch_size=32, validation=0.2))


@pytest.fixture
def ten_past_ten(tmp_path: Path) -> Path:
    words = np.random.PCG64(7)
    drawn = drawing.draw(10, 10, size=32, difficulty=drawing.UPRIGHT, words=words)
    path = tmp_path / "clock.png"
    Image.fromarray(drawn).save(path)
    return path


# --- the saved file ---------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_saved_model_says_where_it_is_from(clock: Saved) -> None:
    origin = saved_models.read(clock.path)
    task = catalog.find("clock-quick")
    assert origin.params == task.baseline
    assert (origin.reference, origin.encoding) == ("clock-quick", task.encoding_of(task.baseline).name)
    assert (origin.input_shape, origin.data_digest) == ((32, 32, 1), clock.config.data_digest)
    assert (origin.metric, origin.direction) == ("val_error_minutes", "minimize")
    assert 0 < origin.score <= 360
    assert "keras" in origin.versions
    assert [path.name for path in clock.path.parent.iterdir()] == ["model.keras"]


@pytest.mark.slow
def test_training_says_nothing_of_tensorflows_start(clock: Saved) -> None:
    said = clock.said.splitlines()
    assert said[0].startswith("epoch 1/1")
    assert said[-1] == f"model saved to {clock.path}"


# --- classes ----------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_class_that_has_a_name_is_read_by_it(digits: Saved, tmp_path: Path) -> None:
    names = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
    named = tmp_path / "model.keras"
    with zipfile.ZipFile(digits.path) as old, zipfile.ZipFile(named, "w") as new:
        for member in old.namelist():
            if member != saved_models.MEMBER:
                new.writestr(member, old.read(member))
    saved_models.add(named, replace(saved_models.read(digits.path), classes=names))
    picture = tmp_path / "digit.png"
    Image.effect_noise((8, 8), 90).save(picture)
    number, name = (Reader(path).read(picture) for path in (digits.path, named))
    assert name.text == names[int(number.text)]
    assert name.to_dict() == {**number.to_dict(), "class": name.text}


# --- times ------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_clock_is_read_as_the_model_decodes_it(clock: Saved, ten_past_ten: Path) -> None:
    hour, minute = clock.decoded(image_files.load(ten_past_ten, (32, 32, 1)))
    reading = Reader(clock.path).read(ten_past_ten)
    assert reading.facts == {"time": reading.text, "minutes": 60 * hour + minute}
    assert reading.text == f"{round(60 * hour + minute) // 60 % 12:02d}:{round(minute) % 60:02d}"


@pytest.mark.slow
def test_how_sure_it_is_comes_from_the_views(clock: Saved, ten_past_ten: Path) -> None:
    seen = reader.views(image_files.load(ten_past_ten, (32, 32, 1)))
    minutes = np.array([60 * hour + minute for hour, minute in map(clock.decoded, seen)])
    apart = np.abs((minutes[1:] - minutes[0] + 360) % 720 - 360)
    reading = Reader(clock.path).read(ten_past_ten)
    assert reading.agreement == np.mean(apart <= 5)
    assert reading.spread == pytest.approx(np.median(apart))


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA", "P", "I;16"])
def test_a_clock_is_read_the_same_in_any_colours(mode: str, clock: Saved, ten_past_ten: Path) -> None:
    grey = Image.open(ten_past_ten)
    other = ten_past_ten.with_name("other.png")
    deep = np.asarray(grey).astype(np.uint16) * 257
    (Image.fromarray(deep) if mode == "I;16" else grey.convert(mode)).save(other)
    reading = Reader(clock.path)
    assert reading.read(other) == reading.read(ten_past_ten)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["large.png", "large.jpg"])
def test_a_large_clock_is_read_too(name: str, clock: Saved, tmp_path: Path) -> None:
    words = np.random.PCG64(7)
    drawn = drawing.draw(10, 10, size=300, difficulty=drawing.UPRIGHT, words=words)
    Image.fromarray(drawn).convert("RGB").save(tmp_path / name)
    reading = Reader(clock.path).read(tmp_path / name)
    assert 0 <= reading.facts["minutes"] < 720


def test_few_views_that_agree_are_unsure() -> None:
    reading = Reading("3", {"label": 3}, 9 / 12, close=0.0, unit="", spread=None, probability=0.99)
    assert reading.is_sure
    assert not replace(reading, agreement=8 / 12).is_sure


# --- classes ----------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_class_is_read_with_its_mean_softmax(digits: Saved, tmp_path: Path) -> None:
    import keras

    task = catalog.find("digits-mlp")
    images = datasets.load("digits", data_dir=tmp_path, validation=task.protocol.validation).validation
    Image.fromarray(images.x[0, ..., 0]).save(tmp_path / "digit.png")
    reading = Reader(digits.path).read(tmp_path / "digit.png")
    logits = digits.keras.predict(reader.views(images.x[0]), verbose=0)
    label = digits.decoded(images.x[0])
    assert (reading.text, reading.facts) == (str(label), {"label": label})
    assert reading.agreement == np.mean(logits[1:].argmax(axis=1) == label)
    softmax = keras.ops.convert_to_numpy(keras.ops.softmax(logits))
    assert reading.probability == pytest.approx(softmax[:, label].mean(), rel=1e-5)


# --- views ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(75, 75, 1), (32, 32, 3), (8, 8, 1), (60, 90, 3)])
def test_views_are_the_picture_and_as_many_changed_ones(shape: tuple[int, int, int]) -> None:
    picture = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    seen = reader.views(picture)
    assert (seen.shape, seen.dtype) == ((1 + reader.N_VIEWS, *shape), np.uint8)
    np.testing.assert_array_equal(seen[0], picture)
    assert len(np.unique(seen.reshape(len(seen), -1), axis=0)) == len(seen)
    np.testing.assert_array_equal(seen, reader.views(picture))


def test_a_view_is_moved_by_a_pixel_of_75() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (75, 75, 1), dtype=np.uint8)
    right, left, down, up = reader.views(picture)[1:5]
    np.testing.assert_array_equal(right[:, :-1], picture[:, 1:])
    np.testing.assert_array_equal(right[:, -1], picture[:, -1])
    np.testing.assert_array_equal(left[:, 1:], picture[:, :-1])
    np.testing.assert_array_equal(down[:-1], picture[1:])
    np.testing.assert_array_equal(up[1:], picture[:-1])


def test_views_show_a_disc_smaller_larger_darker_and_lighter() -> None:
    rows, columns = np.mgrid[:75, :75] - 37.0
    picture = np.where(rows**2 + columns**2 < 25**2, 240, 0).astype(np.uint8)[..., np.newaxis]
    smaller, larger, darker, lighter = reader.views(picture)[-4:]
    assert smaller.sum() / picture.sum() == pytest.approx(0.96**2, rel=0.01)
    assert larger.sum() / picture.sum() == pytest.approx(1.04**2, rel=0.01)
    assert (darker.max(), lighter.max()) == (216, 255)


# --- what cannot be read with -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"reference": "clock-quack"}, "no task named 'clock-quack'; near it: clock-quick"),
        ({"reference": "/no/such/folder/own.py:OWN"}, "a task in /no/such/folder/own.py, which is missing"),
        ({"params": {"encoding": "sundial"}}, "which cannot be used: ValueError: encoding"),
        ({"params": {"encoding": "regression", "unit": 3}}, "nobody takes 'unit'"),
        ({"params": {}}, "which cannot be used"),
        (
            {"encoding": "hour-hand, tanh"},
            "with the label encoding hour-hand, tanh, and clock-quick now has regression",
        ),
        ({"input_shape": (32, 32, 4)}, "takes inputs of (32, 32, 4)"),
        ({"input_shape": (32,)}, "takes inputs of (32,)"),
        ({"input_shape": (100_000, 100_000, 1)}, "takes inputs of (100000, 100000, 1)"),
    ],
    ids=str,
)
def test_a_model_that_no_task_explains_is_one_line(change: dict[str, Any], says: str, tmp_path: Path) -> None:
    path = tmp_path / "model.keras"
    zipfile.ZipFile(path, "w").close()
    saved_models.add(path, replace(ORIGIN, **{"params": {"encoding": "regression"}, **change}))
    with pytest.raises(DataError) as caught:
        Reader(path)
    assert says in str(caught.value)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.slow
def test_a_file_without_weights_is_one_line(clock: Saved, ten_past_ten: Path, tmp_path: Path) -> None:
    hollow = tmp_path / "hollow.keras"
    with zipfile.ZipFile(clock.path) as whole, zipfile.ZipFile(hollow, "w") as rest:
        for name in set(whole.namelist()) - {"model.weights.h5"}:
            rest.writestr(name, whole.read(name))
    with pytest.raises(DataError, match="Keras cannot load") as caught:
        Reader(hollow).read(ten_past_ten)
    assert "\n" not in str(caught.value)


def test_code_in_a_model_file_is_not_run(tmp_path: Path, ten_past_ten: Path) -> None:
    import keras

    inputs = keras.Input((32, 32, 1), dtype="uint8")
    outputs = keras.layers.Dense(1)(keras.layers.Flatten()(keras.layers.Lambda(lambda x: x / 255)(inputs)))
    path = tmp_path / "model.keras"
    keras.Model(inputs, outputs).save(path)
    saved_models.add(path, replace(ORIGIN, params={"encoding": "regression"}))
    with pytest.raises(DataError, match=r"Keras cannot load .*[Ll]ambda"):
        Reader(path).read(ten_past_ten)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("units", "weight", "says"), [(2, 0.1, "do not fit its label encoding two-hands"), (4, np.nan, "not finite")]
)
def test_a_model_that_answers_otherwise_is_one_line(
    units: int, weight: float, says: str, clock: Saved, tmp_path: Path, ten_past_ten: Path
) -> None:
    import keras

    inputs = keras.Input((32, 32, 1), dtype="uint8")
    outputs = keras.layers.Dense(units, bias_initializer=keras.initializers.Constant(weight))
    path = tmp_path / "model.keras"
    keras.Model(inputs, outputs(keras.layers.Flatten()(inputs))).save(path)
    saved_models.add(path, saved_models.read(clock.path))
    with pytest.raises(DataError, match=says) as caught:
        Reader(path).read(ten_past_ten)
    assert "\n" not in str(caught.value)


@pytest.mark.slow
def test_a_picture_of_one_colour_is_not_read(clock: Saved, tmp_path: Path) -> None:
    Image.new("RGB", (200, 200), "white").save(tmp_path / "white.png")
    with pytest.raises(PictureError, match="there is nothing on it"):
        Reader(clock.path).read(tmp_path / "white.png")


# --- the command ------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_the_command_reads_what_it_can_and_says_what_it_cannot(
    clock: Saved, ten_past_ten: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (ten_past_ten.parent / "note.txt").write_text("a clock")
    files = [str(ten_past_ten), "absent.png", str(ten_past_ten.with_name("note.txt")), str(ten_past_ten)]
    assert run(["predict", str(clock.path), *files]) == 2
    out, err = capfd.readouterr()
    first, second = out.splitlines()
    reading = Reader(clock.path).read(ten_past_ten)
    sure = "sure" if reading.is_sure else "unsure"
    agreed = f"{sure}: {round(12 * reading.agreement)} of 12 views within 5 minutes"
    assert first.split("  ") == [
        files[0],
        reading.text,
        f"{agreed}, typically {reading.spread:.1f} minutes apart",
    ]
    assert second == first
    failures = err.splitlines()
    assert failures[0] == "tune-jobs: there is no file absent.png"
    assert failures[1].startswith(f"tune-jobs: {files[2]} is no image")
    assert len(failures) == 2


@pytest.mark.slow
def test_readings_for_programs(clock: Saved, ten_past_ten: Path, capsys: pytest.CaptureFixture[str]) -> None:
    reading = Reader(clock.path).read(ten_past_ten)
    assert run(["predict", str(clock.path), str(ten_past_ten), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == [
        {
            "file": str(ten_past_ten),
            "time": reading.text,
            "minutes": reading.facts["minutes"],
            "agreement": reading.agreement,
            "spread_minutes": reading.spread,
            "sure": reading.is_sure,
        }
    ]
    assert run(["predict", str(clock.path), "absent.png", str(ten_past_ten), "--json"]) == 2
    out, err = capsys.readouterr()
    failed, read = json.loads(out)
    assert failed == {"file": "absent.png", "error": "there is no file absent.png"}
    assert read["minutes"] == reading.facts["minutes"]
    assert err == ""


@pytest.mark.slow
def test_classes_for_people_and_programs(digits: Saved, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    x = datasets.load("digits", data_dir=tmp_path, validation=0.2).validation.x[0, ..., 0]
    file = tmp_path / "digit.png"
    Image.fromarray(x).save(file)
    reading = Reader(digits.path).read(file)
    assert run(["predict", str(digits.path), str(file)]) == 0
    agreed = f"{round(12 * reading.agreement)} of 12 views agree, mean softmax {reading.probability:.2f}"
    assert capsys.readouterr().out.endswith(f"digit.png  {reading.text}  sure: {agreed}\n")
    assert run(["predict", str(digits.path), str(file), "--json"]) == 0
    (answer,) = json.loads(capsys.readouterr().out)
    assert answer == {
        "file": str(file),
        "label": int(reading.text),
        "agreement": reading.agreement,
        "probability": reading.probability,
        "sure": True,
    }


def test_a_model_that_is_none_is_one_line(ten_past_ten: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["predict", "absent.keras", str(ten_past_ten)]) == 2
    out, err = capfd.readouterr()
    assert out == ""
    assert err.startswith("tune-jobs: there is no file absent.keras")
    assert err.count("\n") == 1


@pytest.mark.slow
def test_a_fresh_process_prints_the_reading_and_nothing_else(
    clock: Saved, ten_past_ten: Path, settings: Settings
) -> None:
    code, out, err = ended(command_line(settings, "predict", str(clock.path), str(ten_past_ten)))
    reading = Reader(clock.path).read(ten_past_ten)
    assert (code, err) == (0, "")
    assert out.startswith(f"{ten_past_ten}  {reading.text}  ")


@pytest.mark.slow
def test_without_a_picture_neither_keras_nor_the_model_is_loaded(clock: Saved, settings: Settings) -> None:
    import subprocess
    import sys

    program = (
        "import sys\nfrom tune_jobs.cli import run\n"
        f"run(['predict', {str(clock.path)!r}, 'absent.png'])\n"
        "print([name for name in ('tensorflow', 'keras') if name in sys.modules])"
    )
    asked = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert asked.stdout.strip() == "[]"
