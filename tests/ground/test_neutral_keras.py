"""Keras has none of the user's settings, wherever they come from, and keeps those that a task's code chooses."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tune_jobs import environment
from tune_jobs.neutral_keras import other_settings

ROOT = Path(__file__).parents[2]
SHOW = "c = keras.config; print(c.floatx(), c.epsilon(), c.image_data_format(), c.backend())"
NEUTRAL = ["float32", "1e-07", "channels_last", "tensorflow"]

# Stands for Keras where only the order of things matters: it reads its settings while it is imported.
LIKENESS = """
import json, os
class config:
    values = json.load(open(os.environ["KERAS_HOME"] + "/keras.json"))
    if values["floatx"] == "float7":
        raise ValueError("Invalid `floatx` configuration")
    floatx = lambda: config.values["floatx"]
    epsilon = lambda: config.values["epsilon"]
    image_data_format = lambda: config.values["image_data_format"]
    backend = lambda: os.environ["KERAS_BACKEND"]
    set_floatx = lambda value: config.values.update(floatx=value)
    set_epsilon = lambda value: config.values.update(epsilon=value)
    set_image_data_format = lambda value: config.values.update(image_data_format=value)
    max_epochs = lambda: config.values.get("max_epochs", os.environ.get("KERAS_MAX_EPOCHS"))
    set_max_epochs = lambda value: config.values.update(max_epochs=value)
    set_max_steps_per_epoch = lambda value: None
"""


def run(code: str, folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONPATH": f"{folder}:{ROOT}"} | variables,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def settings_file(folder: Path, floatx: str = "float16") -> None:
    folder.mkdir(parents=True, exist_ok=True)
    values = {"floatx": floatx, "epsilon": 1e-3, "backend": "jax", "image_data_format": "channels_first"}
    (folder / "keras.json").write_text(json.dumps(values))


@pytest.fixture
def likeness(tmp_path: Path) -> Path:
    (tmp_path / "keras").mkdir()
    (tmp_path / "keras" / "__init__.py").write_text(LIKENESS)
    settings_file(tmp_path / "home")
    return tmp_path


PREPARE = "from tune_jobs.environment import prepare_keras; prepare_keras(); import keras; "


# Keras's own imports are the slow part of this file, so one process shows two things of them.
LATER = """
import sys
assert not any(name.startswith("scipy.stats.") for name in sys.modules)  # `later_imports`
import scipy.stats
assert scipy.stats.norm.cdf(0) == 0.5
"""


def test_what_the_users_file_says_is_reset_before_anybody_uses_it(likeness: Path) -> None:
    done = run(PREPARE + SHOW, likeness, KERAS_HOME=str(likeness / "home"), KERAS_BACKEND="nonesuch")
    assert done.stdout.split() == NEUTRAL, done.stderr


def test_what_a_tasks_own_code_chooses_stays(likeness: Path) -> None:
    code = PREPARE + 'keras.config.set_floatx("float64"); import keras as again; ' + SHOW
    done = run(code, likeness, KERAS_HOME=str(likeness / "home"), KERAS_BACKEND="")
    assert done.stdout.split() == ["float64", *NEUTRAL[1:]], done.stderr


def test_a_setting_that_keras_refuses_is_named(likeness: Path) -> None:
    settings_file(likeness / "home", floatx="float7")
    done = run(PREPARE, likeness, KERAS_HOME=str(likeness / "home"))
    assert "SettingsError: Keras refuses its settings, keras.json or variables KERAS_…: Invalid `floatx`" in done.stderr


def test_what_variables_say_is_reset_too(likeness: Path) -> None:
    code = PREPARE + "print(keras.config.max_epochs())"
    done = run(code, likeness, KERAS_HOME=str(likeness / "home"), KERAS_BACKEND="", KERAS_MAX_EPOCHS="1")
    assert done.stdout.split() == ["None"], done.stderr


@pytest.mark.parametrize(
    ("prepare", "is_installed", "expected"), [("keras", False, "0"), ("keras", True, "1"), ("tensorflow", True, "0")]
)
def test_an_older_keras_is_for_loops_of_the_tasks_own_alone(
    prepare: str, is_installed: bool, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(environment, "find_spec", lambda name: name if is_installed else None)
    monkeypatch.setattr(environment.neutral_keras, "install", lambda: None)
    monkeypatch.setattr(os, "environ", {"TF_USE_LEGACY_KERAS": "1"})
    getattr(environment, f"prepare_{prepare}")()
    assert os.environ["TF_USE_LEGACY_KERAS"] == expected


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_another_backend_stays_for_a_loop_of_the_tasks_own_if_it_is_installed(backend: str, likeness: Path) -> None:
    code = PREPARE + "print(keras.config.backend())"
    for is_installed in (False, True):
        (likeness / f"{backend}.py").unlink(missing_ok=True)
        if is_installed:
            (likeness / f"{backend}.py").write_text("")
        elif run(f"import {backend}", likeness).returncode == 0:
            continue  # it is installed on this machine
        done = run(code, likeness, KERAS_HOME=str(likeness / "home"), KERAS_BACKEND=backend)
        assert done.stdout.split() == [backend if is_installed else "tensorflow"], done.stderr


def test_what_trains_models_has_tensorflow_whatever_is_installed(likeness: Path) -> None:
    (likeness / "jax.py").write_text("")
    code = "from tune_jobs.environment import prepare_tensorflow; prepare_tensorflow(); import keras; " + SHOW
    done = run(code, likeness, KERAS_HOME=str(likeness / "home"), KERAS_BACKEND="jax")
    assert done.stdout.split() == NEUTRAL, done.stderr


@pytest.mark.slow
def test_keras_itself_has_no_settings_of_the_users(tmp_path: Path) -> None:
    settings_file(tmp_path / ".keras")
    done = run(PREPARE + SHOW + LATER, tmp_path, HOME=str(tmp_path), KERAS_BACKEND="jax")
    assert done.stdout.split() == NEUTRAL, done.stderr


def test_other_settings_are_named() -> None:
    class Config:
        floatx = staticmethod(lambda: "float16")
        epsilon = staticmethod(lambda: 1e-7)
        image_data_format = staticmethod(lambda: "channels_first")
        max_epochs = max_steps_per_epoch = staticmethod(lambda: None)

    assert other_settings(Config) == "floatx float16, image_data_format channels_first"
    Config.floatx, Config.image_data_format = staticmethod(lambda: "float32"), staticmethod(lambda: "channels_last")
    assert other_settings(Config) is None
