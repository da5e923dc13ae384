"""What a task's files define of its networks is found again in a saved model, and nothing else is."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from tune_jobs.actions import train
from tune_jobs.datasets import TrainingData
from tune_jobs.datasets.dataset import Split
from tune_jobs.models import optimizers
from tune_jobs.prediction import keras_files
from tune_jobs.prediction.keras_files import UnsavableModelError
from tune_jobs.prediction.own_objects import own_objects
from tune_jobs.search_spaces import Task, catalog

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # of Keras, when it saves

HEAD = """
import keras
import numpy as np
from os import system
from tune_jobs.models.label_encodings import Classes
from tune_jobs.search_spaces import Choice, Objective, Protocol, Space, Task
"""

TASK = """
def load_data():
    raise AssertionError

OWN = Task(name="own", summary="own parts", dataset=load_data, space=Space(width=Choice(3, 4)),
           objective=Objective("val_accuracy", "maximize"), protocol=Protocol(epochs=1), baseline={"width": 3},
           build=build, encoding=Classes(2))
"""

LAYER = """
class Scale(keras.layers.Layer):
    def __init__(self, factor, **more):
        super().__init__(**more)
        self.factor = factor

    def call(self, x):
        return keras.ops.cast(x, "float32") * self.factor

    def get_config(self):
        return {**super().get_config(), "factor": self.factor}

def bump(x):
    return keras.ops.exp(-keras.ops.square(x))
"""

BUILD = """
def build(*, input_shape, head, width):
    inputs = keras.Input(input_shape, dtype="uint8")
    x = keras.layers.Flatten()(Scale(1 / 255)(inputs))
    return keras.Model(inputs, head(keras.layers.Dense(width, activation=bump)(x)))
"""

LOCAL = """
def build(*, input_shape, head, width):
    class Hidden(keras.layers.Layer):
        def call(self, x):
            return keras.ops.cast(x, "float32")

    inputs = keras.Input(input_shape, dtype="uint8")
    return keras.Model(inputs, head(keras.layers.Flatten()(Hidden()(inputs))))
"""

SUBCLASS = """
class Network(keras.Model):
    def __init__(self, head, **more):
        super().__init__(**more)
        self.flatten, self.head = keras.layers.Flatten(), head
        self.dense = keras.layers.Dense(2)

    def call(self, x):
        return self.dense(keras.ops.cast(self.flatten(x), "float32"))

def build(*, input_shape, head, width):
    return Network(head)
"""

SAVED_SUBCLASS = """
class Network(keras.Model):
    def __init__(self, width, **more):
        super().__init__(**more)
        self.width, self.flatten, self.dense = width, keras.layers.Flatten(), keras.layers.Dense(width)

    def get_config(self):
        return {"width": self.width}

    def call(self, x):
        return self.dense(keras.ops.cast(self.flatten(x), "float32"))

def build(*, input_shape, head, width):
    return Network(width)
"""


@pytest.fixture
def task(tmp_path: Path) -> Callable[..., Task]:
    def make(*code: str, **beside: str) -> Task:
        for name, content in beside.items():
            (tmp_path / f"{name}.py").write_text(content)
        (tmp_path / "own.py").write_text("".join([HEAD, *code, TASK]))
        return catalog.find(f"{tmp_path / 'own.py'}:OWN")

    return make


def built(task: Task) -> Any:
    assert task.build is not None
    assert task.encoding is not None
    model = task.build(input_shape=(4, 2, 1), head=task.encoding.head, width=3)
    model(np.zeros((1, 4, 2, 1), np.uint8))
    return model


def read_again(model: Any, task: Task, folder: Path) -> Any:
    keras_files.bare(model).save(folder / "model.keras")
    return keras_files.load(folder / "model.keras", task)


@pytest.mark.parametrize("where", ["file", "module", "imported-names"])
def test_a_layer_and_a_function_of_ones_own_are_found_again(
    where: str, task: Callable[..., Task], tmp_path: Path
) -> None:
    if where == "file":
        own = task(LAYER, BUILD)
    elif where == "module":
        build = BUILD.replace("Scale(", "own_parts.Scale(").replace("=bump", "=own_parts.bump")
        own = task("import own_parts\n", build, own_parts="import keras\n" + LAYER)
    else:
        own = task("from own_names import Scale, bump\n", BUILD, own_names="import keras\n" + LAYER)
    model = built(own)
    x = np.random.default_rng(0).integers(0, 255, (5, 4, 2, 1)).astype(np.uint8)
    np.testing.assert_allclose(read_again(model, own, tmp_path)(x), model(x), rtol=1e-6)


def test_a_model_of_ones_own_class_is_found_again(task: Callable[..., Task], tmp_path: Path) -> None:
    own = task(SAVED_SUBCLASS)
    model = built(own)
    x = np.ones((1, 4, 2, 1), np.uint8)
    np.testing.assert_allclose(read_again(model, own, tmp_path)(x), model(x), rtol=1e-6)


SEQUENTIAL = """
def far(targets, outputs):
    return keras.ops.mean(keras.ops.abs(keras.ops.cast(targets, "float32") - outputs))

def build(*, input_shape, head, width):
    return keras.Sequential([keras.Input(input_shape, dtype="uint8"), Scale(1 / 255), keras.layers.Flatten(),
                             keras.layers.Dense(width, activation=bump)])
"""

PLAIN_KERAS = """
import sys
import keras
import numpy as np
sys.path.insert(0, sys.argv[1])
import own
own_parts = {name: value for name, value in vars(own).items() if name in ("Scale", "bump", "Network")}
model = keras.models.load_model(sys.argv[2], custom_objects=own_parts)
print(model.predict(np.ones((2, 4, 2, 1), np.uint8), verbose=0).tolist())
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    "code", [(LAYER, BUILD), (LAYER, SEQUENTIAL), (SAVED_SUBCLASS,)], ids=["graph", "list", "class"]
)
def test_a_saved_model_loads_with_plain_keras_and_the_tasks_file(
    code: tuple[str, ...], task: Callable[..., Task], tmp_path: Path
) -> None:
    own = task(*code)
    model = built(own)
    rate = optimizers.from_params({"schedule": "cosine"}, steps_per_epoch=3, epochs=2)  # a schedule of ours
    model.compile(rate, getattr(sys.modules[own.build.__module__], "far", "mse"))  # type: ignore[union-attr]
    keras_files.bare(model).save(tmp_path / "model.keras")
    program = [sys.executable, "-c", PLAIN_KERAS, str(tmp_path), str(tmp_path / "model.keras")]
    done = subprocess.run(program, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    expected = model.predict(np.ones((2, 4, 2, 1), np.uint8), verbose=0)
    np.testing.assert_allclose(json.loads(done.stdout), expected, rtol=1e-5)


def test_what_is_defined_elsewhere_is_not_offered_to_a_model_file(task: Callable[..., Task]) -> None:
    assert sorted(own_objects(task(LAYER, BUILD))) == ["Scale", "build", "bump", "load_data"]
    assert own_objects(catalog.find("digits-mlp")) == {}


def test_what_can_be_read_has_nothing_against_it(task: Callable[..., Task]) -> None:
    own = task(LAYER, BUILD)
    assert keras_files.why_not_read(built(own), own) is None


def test_a_layer_that_is_defined_in_a_function_is_not_read_again(task: Callable[..., Task]) -> None:
    own = task(LOCAL)
    why_not = keras_files.why_not_read(built(own), own)
    assert why_not is not None
    assert "Hidden" in why_not
    assert "\n" not in why_not


def test_a_model_without_a_configuration_cannot_be_saved(task: Callable[..., Task]) -> None:
    own = task(SUBCLASS)
    with pytest.raises(UnsavableModelError, match=r"Keras cannot save the model of task 'own'.*get_config") as caught:
        keras_files.why_not_read(built(own), own)
    assert "\n" not in str(caught.value)


@pytest.mark.slow
@pytest.mark.parametrize("output", [None, Path("model.keras")])
def test_before_training_it_is_said_that_a_model_cannot_be_saved(
    output: Path | None, task: Callable[..., Task]
) -> None:
    own, said = task(SUBCLASS), list[str]()
    split = Split(np.zeros((4, 4, 2, 1), np.uint8), np.arange(4) % 2)
    config: Any = SimpleNamespace(params={"width": 3}, seed=0)
    arguments = (config, own, TrainingData("own", split, split, "own"), output, True, said.append)
    if output is None:
        assert not train._can_be_saved(*arguments)
        assert said[0].startswith("MLflow will not have the model: Keras cannot save")
    else:
        with pytest.raises(UnsavableModelError):
            train._can_be_saved(*arguments)
