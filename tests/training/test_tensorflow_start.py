"""TensorFlow's start is silent where it succeeds, and says what it said where it does not."""

from __future__ import annotations

import os

import pytest

from tune_jobs.training.tensorflow_start import _native_stderr_held_back


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
