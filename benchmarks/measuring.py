"""What every benchmark shares: fresh processes and their clocks, the machine in words, and a table of the figures.

A benchmark is run as `python benchmarks/NAME.py`; it measures this checkout, whatever else is installed.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ROOT = HERE.parent
sys.path.insert(0, str(ROOT))

PACKAGES = ("ray", "tensorflow", "keras", "optuna", "mlflow", "numpy")
_SETTINGS = ("TUNE_", "MLFLOW_", "RAY_", "TF_", "OMP_")  # what would make one user's figures not another's


def parser(docstring: str | None) -> argparse.ArgumentParser:
    """Flags that every benchmark has; what it measures is its docstring."""
    made = argparse.ArgumentParser(description=docstring, formatter_class=argparse.RawDescriptionHelpFormatter)
    made.add_argument(
        "--data-dir",
        type=Path,
        default=Path(os.environ.get("TUNE_JOBS_DATA") or "data"),
        help="where fashion-mnist/*.gz lie (default: TUNE_JOBS_DATA, else ./data)",
    )
    made.add_argument(
        "--keep", type=Path, help="a new folder for studies, stores and logs (default: removed at the end)"
    )
    return made


@contextmanager
def workplace(keep: Path | None) -> Iterator[Path]:
    """An empty folder for one run of a benchmark."""
    if keep is not None:
        keep.mkdir(parents=True)
        yield keep.absolute()
        return
    with tempfile.TemporaryDirectory(prefix="tune-jobs-benchmark-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def environment(**extra: str) -> dict[str, str]:
    """The environment of a user who has set nothing for any of the programs measured."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith(_SETTINGS)}
    return plain | {"PYTHONPATH": str(ROOT)} | extra


def seconds_of(command: Sequence[str], env: Mapping[str, str], log: Path, cwd: Path | None = None) -> float:
    """Runs a command; seconds from its start to its exit. Ends the benchmark where the command fails."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as file:
        started = time.perf_counter()
        done = subprocess.run(
            command, env=env, cwd=cwd, stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT, check=False
        )
        seconds = time.perf_counter() - started
    if done.returncode != 0:
        end = "\n".join(log.read_text(errors="replace").splitlines()[-30:])
        raise SystemExit(f"exit code {done.returncode} of {' '.join(command)}:\n{end}")
    return seconds


def answer_of(command: Sequence[str], env: Mapping[str, str]) -> Any:
    """Runs a process of a benchmark's own; what the last line of its output says, as JSON."""
    done = subprocess.run(command, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"exit code {done.returncode} of {' '.join(command)}:\n{done.stderr[-3000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def warm_disk() -> None:
    """Reads the programs of both sides from the disk once, so that the first one measured does not pay for it."""
    say("reading the programs from the disk once")
    script = "import tensorflow, mlflow, mlflow.store.tracking.sqlalchemy_store, ray.tune, optuna"
    subprocess.run([sys.executable, "-c", script], env=environment(), capture_output=True, check=True)


def say(what: str) -> None:
    """Progress, on stderr: a benchmark's figures stand alone on stdout."""
    print(f"[{time.strftime('%H:%M:%S')}] {what}", file=sys.stderr, flush=True)


def print_machine() -> None:
    """The processor, its cores, the memory and the versions of what is measured."""
    memory_gb = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    versions = ", ".join(f"{package} {metadata.version(package)}" for package in PACKAGES)
    print(f"{_processor()}, {len(os.sched_getaffinity(0))} cores, {memory_gb:.0f} GiB, {platform.system()}")
    print(f"Python {platform.python_version()}, {versions}; {time.strftime('%Y-%m-%d')}\n", flush=True)


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def print_table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """A Markdown table that also reads well as it is printed; the first column is words, the others figures."""
    cells = [tuple(str(cell) for cell in row) for row in (header, *rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(header))]
    lines = [
        "| " + " | ".join(cell.rjust(width) if column else cell.ljust(width) for column, (cell, width) in row) + " |"
        for row in (list(enumerate(zip(row, widths, strict=True))) for row in cells)
    ]
    rule = "|" + "|".join("-" * (width + 1) + (":" if column else "-") for column, width in enumerate(widths)) + "|"
    print("\n".join([lines[0], rule, *lines[1:]]) + "\n", flush=True)
