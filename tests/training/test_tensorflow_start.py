"""TensorFlow's start is silent where it succeeds, and says what it said where it does not."""

from __future__ import annotations

import importlib
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.house import ROOT
from tests.support.sweeping import own_task
from tune_jobs.training import tensorflow_start
from tune_jobs.training.tensorflow_start import _native_stderr_held_back, quiet

# A package of TensorFlow's name that writes what its libraries do, and logs as its Python does.
NATIVE = "WARNING: All log messages before absl::InitializeLog() is called are written to STDERR"
LOGGED = "5 out of the last 5 calls triggered tf.function retracing"
TENSORFLOW = f"""
import logging, os
os.write(2, b"{NATIVE}\\n")
logging.getLogger("tensorflow").addHandler(logging.StreamHandler())
logging.getLogger("tensorflow").warning("{LOGGED}")
logging.getLogger("tensorflow").error("an error")
"""
BEFORE = "import os, sys\nimport tensorflow\nprint('their own', file=sys.stderr)\nos.write(2, b'their native\\n')\n"


@pytest.fixture
def loud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The file of a `tensorflow` that writes messages, on the import path."""
    file = tmp_path / "site" / "tensorflow" / "__init__.py"
    file.parent.mkdir(parents=True)
    file.write_text(TENSORFLOW)
    monkeypatch.syspath_prepend(tmp_path / "site")
    for name in [name for name in sys.modules if name == "tensorflow"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.delenv("TF_CPP_MIN_LOG_LEVEL", raising=False)
    logger = logging.getLogger("tensorflow")
    monkeypatch.setattr(logger, "handlers", [])
    monkeypatch.setattr(logger, "filters", [])
    monkeypatch.setattr(logger, "level", logging.NOTSET)
    yield file
    sys.modules.pop("tensorflow", None)


def test_an_import_in_the_block_is_quiet_and_as_ever_after_it(loud: Path, capfd: pytest.CaptureFixture[str]) -> None:
    before = list(sys.meta_path)
    with quiet():
        importlib.import_module("tensorflow")
        assert capfd.readouterr().err == "an error\n"
    assert (sys.meta_path, os.environ["TF_CPP_MIN_LOG_LEVEL"]) == (before, "3")
    del sys.modules["tensorflow"]
    importlib.import_module("tensorflow")
    assert NATIVE in capfd.readouterr().err


@pytest.mark.parametrize("level", ["0", "1", "2"])
def test_a_user_who_asks_for_messages_gets_them(
    level: str, loud: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", level)
    with quiet():
        importlib.import_module("tensorflow")
    with _native_stderr_held_back():
        os.write(2, b"at its start\n")
    said = capfd.readouterr().err
    assert all(line in said for line in (NATIVE, LOGGED, "at its start"))
    assert os.environ["TF_CPP_MIN_LOG_LEVEL"] == level


def test_an_import_in_the_block_that_fails_says_why(loud: Path, capfd: pytest.CaptureFixture[str]) -> None:
    loud.write_text(f"{TENSORFLOW}raise ImportError('a library is missing')\n")
    with quiet(), pytest.raises(ImportError, match="a library is missing"):
        importlib.import_module("tensorflow")
    assert NATIVE in capfd.readouterr().err


def test_a_task_file_that_imports_tensorflow_shows_its_own_lines_alone(loud: Path, tmp_path: Path) -> None:
    own = own_task(tmp_path / "task", before=BEFORE)
    environment = os.environ | {"PYTHONPATH": f"{loud.parents[1]}:{ROOT}"}
    command = [sys.executable, "-m", "tune_jobs", "show", own.reference]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    assert sorted(done.stderr.splitlines()) == ["their native", "their own"]


def test_native_messages_of_a_start_are_not_shown(capfd: pytest.CaptureFixture[str]) -> None:
    with _native_stderr_held_back():
        os.write(2, b"could not find a driver\n")
    os.write(2, b"afterwards\n")
    assert capfd.readouterr().err == "afterwards\n"


def test_native_messages_of_a_start_that_fails_are_shown(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ImportError):
        failing_start()
    os.write(2, b"afterwards\n")
    assert capfd.readouterr().err == "a library is missing\nafterwards\n"


def failing_start() -> None:
    with _native_stderr_held_back():
        os.write(2, b"a library is missing\n")
        raise ImportError


PROGRAM = """
import importlib.util
import sys
from tune_jobs.training import tensorflow_start

with tensorflow_start.prepared({cpus}):
    importlib.util.find_spec("tensorflow")  # a look before the import changes nothing
    import keras
    import numpy as np
    layer = keras.layers.Normalization()
    layer.adapt(np.ones((4, 2), "float32"))
assert not any(type(finder) is tensorflow_start._Finder for finder in sys.meta_path)
tensorflow_start.start(2)  # as before the first op
import tensorflow as tf
from tensorflow.python.framework import config
print(tf.config.threading.get_intra_op_parallelism_threads(), config.is_op_determinism_enabled())
"""


@pytest.mark.slow
def test_devices_are_prepared_before_code_that_imports_tensorflow_can_use_it() -> None:
    program = [sys.executable, "-c", PROGRAM.format(cpus=2)]
    answer = subprocess.run(program, capture_output=True, text=True, check=False)
    assert (answer.stdout, answer.returncode) == ("2 True\n", 0), answer.stderr


def test_nothing_is_imported_where_the_code_does_not_import_tensorflow() -> None:
    before, finders = "tensorflow" in sys.modules, list(sys.meta_path)
    with tensorflow_start.prepared(None):
        assert sys.meta_path[1:] == finders
    assert (before, finders) == ("tensorflow" in sys.modules, sys.meta_path)
