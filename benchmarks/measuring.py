"""Helpers of all benchmarks: fresh processes and their clocks, the machine in words, and tables of figures.

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
_SETTINGS = ("TUNE_", "MLFLOW_", "RAY_", "TF_", "OMP_")  # prefixes of variables that would change the figures


def make_parser(docstring: str | None) -> argparse.ArgumentParser:
    """Return a parser whose help is the script's docstring."""
    return argparse.ArgumentParser(description=docstring, formatter_class=argparse.RawDescriptionHelpFormatter)


def make_sweep_parser(docstring: str | None) -> argparse.ArgumentParser:
    """Return a parser with the options of all benchmarks that run sweeps."""
    parser = make_parser(docstring)
    parser.add_argument(
        "--data-dir",
        type=Path,
        default=Path(os.environ.get("TUNE_JOBS_DATA") or "data"),
        help="the folder of fashion-mnist/*.gz (default: TUNE_JOBS_DATA, else ./data)",
    )
    parser.add_argument(
        "--keep", type=Path, help="a new folder for studies, stores and logs (default: removed at the end)"
    )
    return parser


@contextmanager
def work_folder(keep: Path | None) -> Iterator[Path]:
    """Yield an empty folder for one run of a benchmark."""
    if keep is not None:
        keep.mkdir(parents=True)
        yield keep.absolute()
        return
    with tempfile.TemporaryDirectory(prefix="tune-jobs-benchmark-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def plain_environment(**extra: str) -> dict[str, str]:
    """Return the environment of a user who has set nothing for any of the programs measured."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith(_SETTINGS)}
    return plain | {"PYTHONPATH": str(ROOT)} | extra


def time_command(command: Sequence[str], env: Mapping[str, str], log: Path, cwd: Path | None = None) -> float:
    """Run a command, and return the seconds from its start to its exit. If it fails, end the benchmark."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as file:
        started = time.perf_counter()
        process = subprocess.run(
            command, env=env, cwd=cwd, stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT, check=False
        )
        seconds = time.perf_counter() - started
    if process.returncode != 0:
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-30:])
        raise SystemExit(f"exit code {process.returncode} of {' '.join(command)}:\n{tail}")
    return seconds


def json_from(command: Sequence[str], env: Mapping[str, str]) -> Any:
    """Run a command, and return the JSON in the last line of its output. If it fails, end the benchmark."""
    process = subprocess.run(command, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if process.returncode != 0:
        raise SystemExit(f"exit code {process.returncode} of {' '.join(command)}:\n{process.stderr[-3000:]}")
    return json.loads(process.stdout.splitlines()[-1])


def warm_disk() -> None:
    """Read the programs of both sides from the disk once, so that the first one measured does not pay for it."""
    say("reading the programs from the disk once")
    script = "import tensorflow, mlflow, mlflow.store.tracking.sqlalchemy_store, ray.tune, optuna"
    subprocess.run([sys.executable, "-c", script], env=plain_environment(), capture_output=True, check=True)


def say(message: str) -> None:
    """Print progress on stderr, so that stdout has the benchmark's figures alone."""
    print(f"[{time.strftime('%H:%M:%S')}] {message}", file=sys.stderr, flush=True)


def print_machine() -> None:
    """Print the processor, its cores, the memory, and the versions of what is measured."""
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
    """Print a Markdown table whose columns are aligned: words in the first column, figures in the others."""
    cells = [tuple(str(cell) for cell in row) for row in (header, *rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(header))]
    lines = [
        "| " + " | ".join(cell.rjust(width) if column else cell.ljust(width) for column, (cell, width) in row) + " |"
        for row in (list(enumerate(zip(row, widths, strict=True))) for row in cells)
    ]
    rule = "|" + "|".join("-" * (width + 1) + (":" if column else "-") for column, width in enumerate(widths)) + "|"
    print("\n".join([lines[0], rule, *lines[1:]]) + "\n", flush=True)
