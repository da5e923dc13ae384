"""Code that TensorFlow generates is compiled in the process alone, whoever owns `__pycache__` among temporary files."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import pytest
import tensorflow as tf

from tune_jobs.training import autograph_files


@pytest.mark.slow
def test_code_that_tensorflow_generates_is_neither_read_nor_left_in_compiled_form(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    autograph_files.keep_private()
    autograph_files.keep_private()

    @tf.function
    def total(n: tf.Tensor) -> tf.Tensor:
        result = tf.constant(0)
        for each in tf.range(n):
            result += each
        return result

    assert int(total(tf.constant(4))) == 6
    files = list(tmp_path.rglob("*"))
    assert files
    assert {file.suffix for file in files} == {".py"}
    assert (sys.pycache_prefix, sys.dont_write_bytecode) == (None, False)
