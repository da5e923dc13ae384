"""A portable process computes as one on a lesser processor would, also where TensorFlow was imported before it said so.

One machine stands in for two: a processor that is told to use AVX2 alone.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from tests.support.sweeping import finished_study, own_task, plain_environment
from tune_jobs import exports
from tune_jobs.actions.launch import LaunchRequest
from tune_jobs.cli.tasks import show
from tune_jobs.errors import StudyError
from tune_jobs.search_spaces import Protocol, TaskError
from tune_jobs.search_spaces.catalog import find
from tune_jobs.settings import Settings
from tune_jobs.study import provenance
from tune_jobs.study.study import Study

PRODUCTS = """
import json
import os
import sys
import tensorflow as tf
from tune_jobs.training import tensorflow_start
tensorflow_start.preload()
for how, variables in json.loads(sys.argv[1]):
    if child := os.fork():
        os.waitpid(child, 0)
        continue
    os.environ |= variables
    tensorflow_start.start(1, portable=how == "portable")
    images = tf.random.stateless_normal((8, 14, 14, 32), (1, 2))
    convolved = tf.nn.conv2d(images, tf.random.stateless_normal((3, 3, 32, 64), (3, 4)), 1, "SAME")
    product = tf.matmul(tf.reshape(images, (8, -1)), tf.random.stateless_normal((6272, 64), (5, 6)))
    print(hash(convolved.numpy().tobytes()), hash(product.numpy().tobytes()), flush=True)
    os._exit(0)
"""


def computed(*processes: tuple[str, dict[str, str]]) -> list[str]:
    """What processes compute with these variables. Each is a fork of one that has imported TensorFlow."""
    done = subprocess.run(
        [sys.executable, "-c", PRODUCTS, json.dumps(processes)],
        env=plain_environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.splitlines()


@pytest.mark.slow
def test_a_portable_process_computes_as_a_lesser_processor_does() -> None:
    lesser_one, greater_one = ({"ONEDNN_MAX_CPU_ISA": instructions} for instructions in ("AVX2", "AVX512_CORE"))
    here, lesser, *portable = computed(
        ("as it is", {}), ("as it is", lesser_one), ("portable", {}), ("portable", greater_one)
    )
    assert portable == [lesser, lesser]
    if "avx512f" in provenance.numerics()["instructions"]:
        assert here != lesser  # or the rest shows nothing


def test_it_is_a_setting_of_the_protocol_that_a_study_keeps(
    resolved: Callable[[LaunchRequest], Any], settings: Settings
) -> None:
    assert Protocol(epochs=3, portable=True).numerics == ("portable",)
    assert "portable" not in Protocol(epochs=3).to_dict()
    with pytest.raises(TaskError, match="needs portable True or False; got 1"):
        Protocol(epochs=3, portable=1)  # type: ignore[arg-type]
    resolved(LaunchRequest("digits-mlp", portable=True))
    record = Study.open("digits-mlp", settings).record()
    assert record.terms.protocol == replace(find("digits-mlp").protocol, portable=True)
    with pytest.raises(StudyError, match="portable True, and it is now"):
        resolved(LaunchRequest("digits-mlp", portable=False))
    assert "portable" not in CliRunner().invoke(show, ["digits-mlp"]).output


# --- what a study and its best.yaml say of the machine ----------------------------------------------------------------


def test_a_study_records_what_numbers_depend_on_and_best_yaml_has_it(
    resolved: Callable[[LaunchRequest], Any], settings: Settings, tmp_path: Path
) -> None:
    resolved(LaunchRequest("digits-mlp"))
    launch = Study.open("digits-mlp", settings).record().launch
    assert launch is not None
    assert launch.numerics == provenance.numerics()
    assert {"processor", "instructions"} <= launch.numerics.keys()
    finished = finished_study(own_task(tmp_path / "task"), settings)
    assert "numerics" not in exports.best_config(finished)  # launched by an earlier version
    known = replace(finished, launch=replace(launch, numerics={"processor": "a fast one"}))
    (tmp_path / "best.yaml").write_text(exports.best_text(known))
    assert exports.load_best(tmp_path / "best.yaml").numerics == {"processor": "a fast one"}


def test_another_machine_is_told_before_with_how_far_scores_move() -> None:
    here, plain, portable = provenance.numerics(), Protocol(epochs=1), Protocol(epochs=1, portable=True)
    assert provenance.other_machine(here, plain) is None
    assert provenance.other_machine({}, plain) is None  # of a study from before
    line = provenance.other_machine(here | {"instructions": "sse4_1 avx"}, plain)
    assert line is not None
    assert line.startswith("this machine computes in another way than the study's (instructions sse4_1 avx, and here ")
    assert "scores may differ" in line
    assert "--portable is held against that" in line
    assert provenance.other_machine(here | {"instructions": "sse4_1 avx", "processor": "x"}, portable) is None
    builds = [name for name in here if name.endswith(" build")]
    if builds:
        line = provenance.other_machine(here | {builds[0]: "0"}, portable)
        assert line is not None
        assert f"(another {builds[0]})" in line
    assert os.cpu_count()
