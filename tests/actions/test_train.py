"""A sweep's best configuration trained again: the same score to the last digit, and a model that others can open."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from tests.support.sweeping import SharedRay, called, ended, finished_study, kill_family, own_task, until
from tune_jobs import datasets, exports
from tune_jobs.actions import train as train_action
from tune_jobs.errors import DataError, SettingsError, UserError
from tune_jobs.records.studies import StudyRecord
from tune_jobs.search_spaces import SpaceError
from tune_jobs.search_spaces.catalog import find
from tune_jobs.settings import Settings
from tune_jobs.study.study import Study
from tune_jobs.training.devices import FewGpusError

pytestmark = [
    pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning"),  # of MLflow's own tables
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),  # of Keras, when it saves
    pytest.mark.filterwarnings("ignore:.*hint is inferred as AnyType:UserWarning"),  # of MLflow, about its own code
]

LAUNCH = ("launch", "digits-mlp", "--search", "random", "--trials", "8", "--epochs", "2", "--seed", "3")
LAUNCH += ("--max-concurrent", "1")


def test_a_trial_of_several_gpus_is_trained_again_on_as_many_or_says_that_here_are_fewer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    started: list[tuple[Any, ...]] = []
    said: list[str] = []
    monkeypatch.setattr(train_action.tensorflow_start, "start", lambda *given, **_: started.append(given))
    train_action.start_tensorflow(1.0, said.append, 2)
    assert (started, said) == ([(1.0, 2)], [])

    def start(cpus: float, *gpus: int, portable: bool) -> None:
        if gpus:
            raise FewGpusError("a trial was given 2 GPUs, and TensorFlow sees 0 of them")
        started.append((cpus,))

    monkeypatch.setattr(train_action.tensorflow_start, "start", start)
    train_action.start_tensorflow(1.0, said.append, 2)
    assert started[1:] == [(1.0,)]
    assert said == ["the trial had 2 GPUs together, and here are fewer: the last digits of its score may differ"]


@dataclass(frozen=True)
class Retraining:
    """A sweep that SIGTERM ended after two trials, and its best configuration trained again."""

    folder: Path
    settings: Settings
    sweep: tuple[int, str]  # exit code, standard error
    record: StudyRecord
    train: tuple[int, str]
    answer: dict[str, Any]

    @property
    def model(self) -> Path:
        return self.folder / "models" / "model.keras"


@pytest.fixture(scope="module")
def retraining_of_digits(tmp_path_factory: pytest.TempPathFactory, ray: SharedRay) -> Retraining:
    folder = tmp_path_factory.mktemp("retraining")
    home = folder / "home"
    settings = Settings(home, home / "data", storage=None, tracking_uri=f"sqlite:///{home / 'mlflow.db'}")
    sweep = ray.command_line(settings, *LAUNCH)
    try:
        until(lambda: "\n[2/8]" in sweep.stderr, "two trials to end", sweep)
        sweep.send_signal(signal.SIGTERM)
        code, _, said = ended(sweep)
    finally:
        kill_family(sweep)
    best = settings.exports_dir("digits-mlp") / "best.yaml"
    output = folder / "models" / "model.keras"
    trained, answer, messages = called(
        settings, "train", str(best), "-o", str(output), "--register", "digits", "--json"
    )
    return Retraining(
        folder,
        settings,
        (code, said),
        Study.open("digits-mlp", settings).record(),
        (trained, messages),
        json.loads(answer) if answer else {},
    )


def test_sigterm_ends_a_sweep_cleanly_with_what_is_finished(retraining_of_digits: Retraining) -> None:
    code, said = retraining_of_digits.sweep
    assert code == 128 + signal.SIGTERM, said
    assert "Traceback" not in said
    record = retraining_of_digits.record
    assert 2 <= record.count("complete") < 8
    assert all(trial.weights for trial in record.trials if trial.is_finished)


def test_the_best_configuration_trains_to_the_same_score_exactly(retraining_of_digits: Retraining) -> None:
    code, said = retraining_of_digits.train
    assert code == 0, said
    scores = [trial.score for trial in retraining_of_digits.record.trials if trial.score is not None]
    answer = retraining_of_digits.answer
    assert (answer["score"], answer["is_same"]) == (max(scores), True)
    assert answer["recorded_score"] == max(scores)


def test_the_model_opens_in_a_fresh_process_and_has_that_score(retraining_of_digits: Retraining) -> None:
    program = (
        "import sys, keras, numpy as np\n"
        "model = keras.models.load_model(sys.argv[1])\n"
        "np.save(sys.argv[2], model.predict(np.load(sys.argv[3]), batch_size=500, verbose=0))\n"
    )
    folder = retraining_of_digits.folder
    task = find("digits-mlp")
    held_out = datasets.load("digits", data_dir=folder, validation=task.protocol.validation).training.validation
    np.save(folder / "images.npy", held_out.x)
    files = [str(folder / name) for name in ("models/model.keras", "outputs.npy", "images.npy")]
    subprocess.run([sys.executable, "-c", program, *files], check=True, capture_output=True)
    outputs = np.load(folder / "outputs.npy")
    assert task.encoding is not None
    accuracy = np.mean(task.encoding.decode(outputs) == held_out.labels)
    assert accuracy == pytest.approx(retraining_of_digits.answer["score"], abs=1e-6)


def test_a_model_is_written_whole_and_alone(retraining_of_digits: Retraining) -> None:
    assert [path.name for path in retraining_of_digits.model.parent.iterdir()] == ["model.keras"]


def test_mlflow_has_the_model_with_its_signature(retraining_of_digits: Retraining) -> None:
    import mlflow
    from mlflow import MlflowClient

    settings, answer = retraining_of_digits.settings, retraining_of_digits.answer
    mlflow.set_tracking_uri(settings.tracking_uri)
    info = mlflow.models.get_model_info(answer["mlflow_model"])
    signature = info.signature
    mlflow.set_tracking_uri(None)  # or the processes of later tests write there
    assert info.saved_input_example_info is not None
    (images,) = signature.inputs.inputs
    assert (images.shape, images.type) == ((-1, 8, 8, 1), np.dtype("uint8"))
    assert signature.outputs.inputs[0].shape == (-1, 10)
    client = MlflowClient(tracking_uri=settings.tracking_uri)
    experiment = client.get_experiment_by_name("digits-mlp")
    runs = client.search_runs([experiment.experiment_id], "attributes.run_name = 'digits-mlp-train'")
    assert [(run.info.status, run.data.metrics["best_val_accuracy"]) for run in runs] == [("FINISHED", answer["score"])]


def test_the_registry_has_the_model_with_tags_that_lead_back_to_its_trial(retraining_of_digits: Retraining) -> None:
    from mlflow import MlflowClient

    assert retraining_of_digits.answer["mlflow_model"] == "models:/digits/1"
    assert "models:/digits@champion" in retraining_of_digits.train[1]
    client = MlflowClient(tracking_uri=retraining_of_digits.settings.tracking_uri)
    version = client.get_model_version_by_alias("digits", "champion")
    record = retraining_of_digits.record
    best = max(record.trials, key=lambda trial: trial.score or 0.0)
    tags = {"study": "digits-mlp", "trial": str(best.number), "task": "digits-mlp", "data": record.terms.data_digest}
    assert version.tags == tags | {"val_accuracy": repr(best.score)}
    assert {name: client.get_run(version.run_id).data.tags[name] for name in tags} == tags


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--register", "a/b"), "a registered model needs a name without / and :"),
        (("--register", "a", "--no-mlflow"), "--register needs MLflow"),
        (("-o", "model.h5"), "FILE.keras, FILE.onnx, FILE.tflite or, as a SavedModel, in a new folder; got model.h5"),
    ],
)
def test_what_cannot_be_saved_is_refused_before_training(
    best: Path, settings: Settings, options: tuple[str, ...], words: str
) -> None:
    code, _, told = called(settings, "train", str(best), *options)
    assert code == 2
    assert words in told


@pytest.fixture
def best(tmp_path: Path, settings: Settings) -> Path:
    """The best configuration of a task without a model, in a file."""
    record = finished_study(own_task(tmp_path / "task"), settings)
    exports.write_all(record, tmp_path)
    return tmp_path / "best.yaml"


@pytest.fixture
def train(settings: Settings) -> Callable[..., train_action.Retrained]:
    def call(path: Path, output: Path | None = None) -> train_action.Retrained:
        return train_action.train(path, settings, output=output, with_mlflow=False, say=lambda message: None)

    return call


def test_a_task_with_a_loop_of_its_own_trains_again_from_any_folder(
    best: Path, train: Callable[..., train_action.Retrained], tmp_path_factory: pytest.TempPathFactory, monkeypatch: Any
) -> None:
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    again = train(best)
    assert (again.is_same, again.metric, again.model_uri) == (True, "val_accuracy", None)


def changed(path: Path, **values: Any) -> Path:
    content = yaml.safe_load(path.read_text()) | values
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return path


def test_values_that_were_written_by_hand_train_as_they_are_meant(
    best: Path, train: Callable[..., train_action.Retrained]
) -> None:
    params = yaml.safe_load(best.read_text())["params"]
    by_hand = {**params, "width": float(params["width"]), "depth": "1e0"}
    assert train(changed(best, params=by_hand)).is_same


def test_another_score_is_said_to_be_another(best: Path, train: Callable[..., train_action.Retrained]) -> None:
    again = train(changed(best, score=0.125))
    assert not again.is_same
    assert again.recorded == 0.125


@pytest.mark.parametrize(
    ("values", "output", "error", "words"),
    [
        ({"data_digest": "feedfeedfeedfeed"}, None, DataError, "was found on data feedfeedfeedfeed, and digits is now"),
        ({}, Path("model.h5"), SettingsError, "in a new folder; got model.h5"),
        ({}, Path("model.keras"), SettingsError, "a training loop of its own, which leaves no model to save to"),
        ({"reference": "gone.py:OWN", "study": "gone"}, None, ValueError, "gone.py"),
        ({"params": {"act": "raise", "width": 1, "depth": 1}}, None, UserError, "RuntimeError: no such thing"),
        (
            {"params": {"act": "fine", "width": "wide", "depth": 1}},
            None,
            SpaceError,
            "best.yaml: width is 'wide'; allowed: 1, 2, 3, 4",
        ),
    ],
    ids=["other-data", "no-keras-file", "no-model", "task-gone", "trial-fails", "text-for-a-number"],
)
def test_what_cannot_be_trained_again_is_refused_in_one_line(
    best: Path,
    train: Callable[..., train_action.Retrained],
    values: dict[str, Any],
    output: Path | None,
    error: type[Exception],
    words: str,
) -> None:
    with pytest.raises(error, match=words) as caught:
        train(changed(best, **values), output)
    assert "\n" not in str(caught.value)
