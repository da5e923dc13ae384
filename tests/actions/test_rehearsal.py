"""A new study whose objective nothing measures, or whose params nothing takes, is refused before Ray starts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.sweeping import called
from tune_jobs.actions import rehearsal
from tune_jobs.datasets import TrainingData
from tune_jobs.datasets.dataset import Split, StreamedData
from tune_jobs.execution import rehearsing
from tune_jobs.execution.task_source import TaskSource
from tune_jobs.models.lazy_keras import keras
from tune_jobs.search_spaces import Choice, Float, Objective, Protocol, Space, Task, TaskError
from tune_jobs.search_spaces.streamed import streamed
from tune_jobs.search_spaces.task_files import TaskFiles
from tune_jobs.settings import Settings
from tune_jobs.training.rehearsal import Rehearsal, few_rows, rehearse

X = np.random.default_rng(0).normal(size=(90, 3))
DATA = TrainingData("own", Split(X, X[:, :1]), Split(X[:30], X[:30, :1]), "none")
MAE = Objective("val_mae", "minimize")
NO_RATES = Space(width=Choice(2, 4), batch_size=Choice(32))
RATES = Space(width=Choice(2, 4), learning_rate=Float(1e-3, 1e-1, log=True), batch_size=Choice(32))

TASK_FILE = """
import keras
import numpy as np
from tune_jobs.search_spaces import Choice, Float, Objective, Protocol, Space, Task

X = np.random.default_rng(0).normal(size=(90, 3))


def load():
    return (X[:60], X[:60, :1]), (X[60:], X[60:, :1])


def build(*, input_shape, width):
    inputs = keras.Input(input_shape)
    model = keras.Model(inputs, keras.layers.Dense(1)(keras.layers.Dense(width)(inputs)))
    model.compile("adam", "mse", metrics=["mae"])
    return model


OWN = Task("own", Space(width=Choice(2, 4), momentum=Choice(0.0, 0.9)), Objective("val_maee", "minimize"),
           dataset=load, build=build, protocol=Protocol(epochs=1, validation=0.5))
"""


def load() -> Any:
    raise AssertionError("tests hand data over themselves")


def plain(*, input_shape: Any, width: int) -> Any:
    inputs = keras.Input(input_shape)
    return keras.Model(inputs, keras.layers.Dense(1)(keras.layers.Dense(width)(inputs)))


def compiled(*, input_shape: Any, width: int) -> Any:
    model = plain(input_shape=input_shape, width=width)
    model.compile("adam", "mse", metrics=["mae"])
    return model


def task(**changes: Any) -> Task:
    given = {"build": plain, "loss": "mse", "metrics": ["mae"], "dataset": load} | changes
    return Task("t", RATES, changes.pop("objective", MAE), protocol=Protocol(epochs=2, validation=0.5), **given)


def looked(task: Task, *further: Objective, data: Any = DATA) -> list[str]:
    """Check a task; return what the user is told meanwhile."""
    said: list[str] = []
    rehearsal.check(task, task.space, further, data, lambda: TaskSource("t"), said.append)
    return said


@pytest.fixture
def _here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rehearse in this process."""
    monkeypatch.setattr(rehearsing, "rehearse", lambda source, task, data: rehearse(task, few_rows(data)))


def test_a_task_that_says_enough_is_not_rehearsed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rehearsal, "_code", lambda *_: "ending = re.compile('x')")
    enough = replace(task(), space=NO_RATES, baseline={})
    assert looked(enough) == []
    assert looked(enough, Objective("parameters", "minimize"), Objective("val_loss", "minimize")) == []


@pytest.mark.slow
@pytest.mark.usefixtures("_here")
def test_an_objective_that_nothing_measures_is_refused_with_the_nearest() -> None:
    wrong = replace(task(), objective=Objective("val_mea", "minimize"))
    with pytest.raises(
        TaskError, match=r"no metric is named 'val_mea'; near it: val_mae; an epoch has loss, mae, val_"
    ):
        looked(wrong)
    with pytest.raises(TaskError, match="no metric is named 'val_maee'"):
        looked(task(), Objective("val_maee", "minimize"))


@pytest.mark.slow
@pytest.mark.usefixtures("_here")
def test_params_of_an_optimizer_that_the_builder_makes_itself_are_refused() -> None:
    own = replace(task(), build=compiled, loss=None, metrics=None)
    with pytest.raises(
        TaskError, match="its build compiles the model, so that nobody takes learning_rate, which is in"
    ):
        looked(own)
    for fine in (replace(own, space=NO_RATES, baseline={}), task()):  # whose file compiles models, and it does not
        assert looked(fine) == ["looking at a model of the task …"]


RARE = np.arange(90) % 3
RARE[17] = 3  # none of the rows that are taken from all over the data
CLASSES = TrainingData("own", Split(X, RARE), Split(X[:30], RARE[30:60]), "none")


def of_classes(*, input_shape: Any, width: int) -> Any:
    inputs = keras.Input(input_shape)
    return keras.Model(inputs, keras.layers.Dense(width + 1, activation="softmax")(inputs))  # 3 or 5 classes


class OwnFit(keras.Model):  # type: ignore[misc]
    def fit(self, *words: Any, **more: Any) -> Any:
        return super().fit(*words, **more)


def with_own_fit(*, input_shape: Any, width: int) -> Any:
    inputs = keras.Input(input_shape)
    return OwnFit(inputs, keras.layers.Dense(1)(inputs))


class OfBatches(keras.callbacks.Callback):  # type: ignore[misc]
    def on_train_batch_end(self, batch: int, logs: Any = None) -> None: ...


@pytest.mark.slow
@pytest.mark.usefixtures("_here")
@pytest.mark.parametrize(
    ("changes", "data", "message"),
    [
        (
            {
                "build": of_classes,
                "loss": "sparse_categorical_crossentropy",
                "objective": Objective("val_loss", "minimize"),
            },
            CLASSES,
            "the output has 3 units, for labels from 0 to 2, and a label is 3",
        ),
        ({"callbacks": lambda: [OfBatches()]}, DATA, "the callback OfBatches asks to be called at every batch"),
        ({"callbacks": lambda: ["early"]}, DATA, "callbacks needs to return a list of keras.callbacks; one is 'early'"),
        ({"build": with_own_fit}, DATA, "the class OwnFit writes its own fit, which nothing calls here"),
        ({"build": compiled}, DATA, "build compiles the model, and the task names a loss too"),
    ],
)
def test_what_no_trial_could_honour_is_refused(changes: Any, data: TrainingData, message: str) -> None:
    with pytest.raises(TaskError) as refused:
        looked(replace(task(), space=NO_RATES, baseline={}, **changes), data=data)
    assert str(refused.value).startswith("task 't': ")
    assert message in str(refused.value)


@pytest.mark.slow
@pytest.mark.usefixtures("_here")
def test_a_model_that_nobody_gives_a_loss_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rehearsal, "_code", lambda *_: "nothing of it compiles a model")
    with pytest.raises(
        TaskError, match="task 't': build returns a model that is not compiled, and the task has no enc"
    ):
        looked(replace(task(), space=NO_RATES, baseline={}, loss=None, metrics=None))


@pytest.mark.slow
@pytest.mark.usefixtures("_here")
def test_labels_that_fit_the_baseline_are_taken() -> None:
    fits = replace(task(), build=of_classes, loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    fits = replace(
        fits, space=NO_RATES, baseline={"width": 4, "batch_size": 32}, objective=Objective("val_accuracy", "maximize")
    )
    assert looked(fits, data=CLASSES) == ["looking at a model of the task …"]


def test_what_cannot_be_told_is_not_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = replace(task(), objective=Objective("val_mea", "minimize"))
    for answer in (None, Rehearsal()):
        monkeypatch.setattr(rehearsing, "rehearse", lambda *_, answer=answer: answer)
        assert looked(wrong) == ["looking at a model of the task …"]
    monkeypatch.setattr(rehearsing, "rehearse", lambda *_: pytest.fail("batches are not read"))
    assert looked(replace(wrong, dataset=streamed(_open)), data=StreamedData("s", "")) == []


def _open(*, part: Any, batch_size: int, seed: int, params: Any) -> Any:
    raise AssertionError("nothing is opened")


def test_a_few_rows_are_from_all_over_the_data_with_the_least_and_the_largest_label() -> None:
    few = few_rows(DATA)
    assert (len(few.train), len(few.validation)) == (64, 30)
    assert np.array_equal(few.train.x[[0, -1]], DATA.train.x[[0, -1]])
    assert (few_rows(CLASSES).train.labels == 3).sum() == 1


def test_a_builder_of_a_module_beside_the_task_is_looked_through_too(tmp_path: Path) -> None:
    (tmp_path / "nets.py").write_text("def made(width):\n    model.compile('adam')\n")
    (tmp_path / "own.py").write_text("from nets import made\n")
    source = TaskSource("own", None, TaskFiles.gather(tmp_path / "own.py"))
    assert "model.compile(" in rehearsal._code(replace(task(), build=plain), lambda: source)


@pytest.mark.slow
def test_a_launch_is_refused_in_one_line_and_leaves_nothing(tmp_path: Path) -> None:
    settings, file = Settings.read(home=tmp_path / "home"), tmp_path / "own.py"
    file.write_text(TASK_FILE)
    code, _, stderr = called(settings, "launch", f"{file}:OWN")
    assert code == 2
    assert "nobody takes momentum, which is in the space: let build take it" in stderr.splitlines()[-1]
    file.write_text(TASK_FILE.replace(", momentum=Choice(0.0, 0.9)", ""))
    code, _, stderr = called(settings, "launch", f"{file}:OWN")
    assert code == 2
    assert "no metric is named 'val_maee'; near it: val_mae" in stderr.splitlines()[-1]
    text = TASK_FILE.replace(", momentum=Choice(0.0, 0.9)", "").replace("val_maee", "val_mae")
    file.write_text(text.replace('"mse"', '"sparse_categorical_crossentropy"').replace("X[60:, :1]", "labels[60:]"))
    file.write_text(
        file.read_text()
        .replace("X[:60, :1]", "labels[:60]")
        .replace("def load", "labels = np.ones(90, int)\n\n\ndef load")
    )
    code, _, stderr = called(settings, "launch", f"{file}:OWN")
    assert code == 2
    assert "the output has 1 units, for labels from 0 to 0, and a label is 1" in stderr.splitlines()[-1]
    assert "Ray" not in stderr
    assert not (settings.home / "studies").is_dir() or not list((settings.home / "studies").glob("*.jsonl"))
