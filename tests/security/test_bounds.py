"""A small file of somebody's takes little memory and no time before it is refused."""

from __future__ import annotations

import gzip
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tune_jobs import plain_yaml
from tune_jobs.errors import StudyError
from tune_jobs.study import file as study_file

MOST = 100 * 2**20  # bytes of memory


@contextmanager
def bounded() -> Iterator[None]:
    tracemalloc.start()
    start = time.process_time()
    try:
        yield
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < MOST
    assert time.process_time() - start < 20


@pytest.mark.parametrize("content", ["[],", "{},", "1.5,", '"",', "[[]],", '{"a":[{}]},', " "])
def test_a_study_file_of_14_kb_takes_little_memory(content: str, tmp_path: Path) -> None:
    """It would take 522 MiB."""
    file = tmp_path / "x.study"
    text = b'{"format": 1, "trials": [' + content.encode() * (13_000_000 // len(content)) + b"0]}"
    file.write_bytes(gzip.compress(text))
    assert len(file.read_bytes()) < 70_000
    with bounded(), pytest.raises(StudyError, match=r"it is more than \d+ MiB"):
        study_file.read(file)


@pytest.mark.parametrize("content", ["[],", "{},", '"",', '{"a":[{}]},'])
def test_one_that_is_not_packed_so_well_does_not_either(content: str, tmp_path: Path) -> None:
    file = tmp_path / "x.study"
    text = b'{"format": 1, "trials": [' + content.encode() * (3_900_000 // len(content)) + b"0]}"
    file.write_bytes(gzip.compress(text))
    with bounded(), pytest.raises(StudyError, match="it has more lists and mappings than a study of its size"):
        study_file.read(file)


def base_60() -> str:
    return "seed: !!int 1" + ":1" * 200_000


def base_60_float() -> str:
    return "seed: !!float 1" + ":59" * 1_000 + ".5"


@pytest.mark.parametrize(
    ("content", "why"),
    [(base_60, "to base 60"), (base_60_float, "to base 60")],
)
def test_a_yaml_file_is_refused_before_it_takes_long(content: Callable[[], str], why: str, tmp_path: Path) -> None:
    file = tmp_path / "best.yaml"
    file.write_text(content())
    with pytest.raises(StudyError, match=why) as refused:
        plain_yaml.read(file, "")
    assert "\n" not in str(refused.value)


def test_a_yaml_file_has_so_many_values_and_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """PyYAML takes 0.7 kB for each."""
    assert plain_yaml._MOST_NODES <= 100_000
    monkeypatch.setattr(plain_yaml, "_MOST_NODES", 1_000)
    (tmp_path / "x.yaml").write_text("[" + "x," * 998 + "x]")
    assert len(plain_yaml.read(tmp_path / "x.yaml", "")) == 999
    (tmp_path / "x.yaml").write_text("[" + "x," * 999 + "x]")
    with pytest.raises(StudyError, match="there are more than 1000 keys and values in line 1"):
        plain_yaml.read(tmp_path / "x.yaml", "")


MEASURED = """
import resource, sys
from pathlib import Path
from tune_jobs import plain_yaml
from tune_jobs.errors import StudyError
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
try:
    plain_yaml.read(Path(sys.argv[1]), "")
except StudyError as error:
    print(error, file=sys.stderr)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("content", "why"),
    [
        ("[" + "x," * 500_000 + "x]", "there are more than 100000 keys and values"),
        ("".join(f"{n:x}: {{}}\n" for n in range(100_000)), "there are more than 100000 keys and values"),
        ("- - -\n" * 170_000, "there are more than 100000 keys and values"),
        ("x" * 1_000_000, ""),
    ],
    ids=["values", "keys", "lists", "a text"],
)
def test_a_yaml_file_takes_little_memory(content: str, why: str, tmp_path: Path) -> None:
    """By the system's account of a process of its own: tracing each of PyYAML's objects takes minutes."""
    file = tmp_path / "best.yaml"
    file.write_text(content)
    assert 900_000 < file.stat().st_size <= 2**20
    command = [sys.executable, "-P", "-c", MEASURED, str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert why in done.stderr
    assert int(done.stdout) * 1024 < MOST


@pytest.mark.parametrize("tag", ["timestamp", "binary", "set", "omap", "pairs"])
def test_no_other_kind_of_value_is_made(tag: str, tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text(f"seed: !!{tag} 1")
    with pytest.raises(StudyError, match="could not determine a constructor"):
        plain_yaml.read(tmp_path / "x.yaml", "")
