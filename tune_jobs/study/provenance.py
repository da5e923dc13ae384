"""How a study is run: its launch with the machine, the versions and the commit."""

from __future__ import annotations

import hashlib
import platform
import shutil
import socket
import subprocess
import time
from collections.abc import Mapping
from contextlib import suppress
from importlib.metadata import PackageNotFoundError, distribution, version
from pathlib import Path

from tune_jobs.records.studies import Launch, Search
from tune_jobs.search_spaces.protocol import Protocol

# What TensorFlow, oneDNN, NumPy and the C library choose their kernels by.
_INSTRUCTIONS = ("sse4_1", "avx", "avx2", "fma", "avx512f", "avx512_vnni", "avx512_bf16", "avx512_fp16", "amx_bf16")
_BUILDS = ("tensorflow", "numpy")  # with compiled kernels
# Measured by benchmarks/portability.py.
_MOVES = "scores may differ; measured, an accuracy by 0.002 at most where seeds scatter by 0.006 to 0.02"
_PACKAGES = ("tune-jobs", "ray", "tensorflow", "keras", "optuna", "mlflow", "numpy")


def note(search: Search, trials: int | None, encoding_params: tuple[str, ...] = ()) -> Launch:
    """Return a launch from this machine, now, without a scheduler and without a budget other than the trials."""
    here = socket.gethostname(), time.time(), _commit(), versions()
    return Launch(search, trials, *here, encoding_params=encoding_params, numerics=numerics())


def versions() -> dict[str, str]:
    """Return the installed versions of the packages that a score depends on."""
    installed = {}
    for package in _PACKAGES:
        with suppress(PackageNotFoundError):  # a checkout that was not installed
            installed[package] = version(package)
    return installed


def changed_versions(last: Launch | None) -> str:
    """Return in words the packages whose versions have changed since the last launch."""
    before, now = {} if last is None else last.versions, versions()
    return ", ".join(
        f"{package} {old}, which is now {now[package]}"
        for package, old in before.items()
        if package in now and now[package] != old
    )


def numerics() -> dict[str, str]:
    """Return what the last digits of scores depend on here beside versions, threads and seeds: the processor, those of
    its instructions by which kernels are chosen, and a digest of the files of each library that computes."""
    builds = {f"{package} build": build for package in _BUILDS if (build := _build(package))}
    return {"processor": processor(), "instructions": " ".join(_instructions()), **builds}


def changed_numerics(before: Mapping[str, str]) -> str:
    """Return in words what of these differs here; nothing where it is not known."""
    now = numerics()
    return ", ".join(
        f"another {name}" if name.endswith(" build") else f"{name} {old or 'none'}, and here {now[name] or 'none'}"
        for name, old in before.items()
        if name in now and now[name] != old
    )


def other_machine(before: Mapping[str, str], protocol: Protocol) -> str | None:
    """Return in a line by what this machine differs from the one on which a study was launched, and how far scores move
    by that; None where nothing is known to.

    With `portable` the instructions beyond those that it uses do not count, nor does the processor's name.
    """
    counted = {name: value for name, value in before.items() if not protocol.portable or name.endswith(" build")}
    changed = changed_numerics(counted)
    if not changed:
        return None
    held = "" if protocol.portable else "; a study launched with --portable is held against that"
    return f"this machine computes in another way than the study's ({changed}): {_MOVES}{held}"


def processor() -> str:
    """Return the name of this machine's processor."""
    return next(iter(_cpuinfo("model name")), "") or platform.machine()


def _instructions() -> list[str]:
    flags = set(" ".join(_cpuinfo("flags")[:1]).split())
    return [name for name in _INSTRUCTIONS if name in flags]


def _cpuinfo(name: str) -> list[str]:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return []
    return [line.split(":", 1)[1].strip() for line in lines if line.partition(":")[0].strip() == name]


def _build(package: str) -> str | None:
    """Return a digest of a package's compiled files, from their hashes in its list; None if it has no such list."""
    try:
        listed = distribution(package).read_text("RECORD") or ""
    except PackageNotFoundError:
        return None
    compiled = sorted(line for line in listed.splitlines() if ".so" in line.partition(",")[0])
    return hashlib.sha256("\n".join(compiled).encode()).hexdigest()[:8] if compiled else None


def _commit() -> str | None:
    """Return the commit of the working folder; None if git has none."""
    git = shutil.which("git")
    if git is None:
        return None
    answer = subprocess.run([git, "rev-parse", "HEAD"], capture_output=True, text=True, check=False)
    return answer.stdout.strip() or None
