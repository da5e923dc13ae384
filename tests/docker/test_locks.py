"""The locks that the image is installed from."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[2]
LOCKS = ("cpu", "gpu", "build")


def locked(name: str) -> dict[str, tuple[Version, set[str]]]:
    """A lock's packages, each with its version and hashes; every line of it is one of these, or a comment."""
    text = (ROOT / "docker" / f"requirements-{name}.txt").read_text().replace("\\\n", " ")
    packages = {}
    for line in text.splitlines():
        if line.lstrip().startswith("#") or not line.strip():
            continue
        found = re.fullmatch(r"([A-Za-z0-9._-]+)==(\S+)((?:\s+--hash=sha256:[0-9a-f]{64})+)\s*", line)
        assert found, f"{name}: neither an exact version with hashes nor a comment: {line[:120]}"
        packages[canonicalize_name(found[1])] = Version(found[2]), set(found[3].split())
    return packages


def required(*extras: str) -> list[Requirement]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    lines = [*project["project"]["dependencies"]]
    for extra in extras:
        lines += project["project"]["optional-dependencies"][extra]
    return [Requirement(line) for line in lines]


@pytest.mark.parametrize("name", LOCKS)
def test_every_package_has_hashes_and_no_address_is_recorded(name: str) -> None:
    packages = locked(name)
    assert packages
    assert not re.search(r"://|^\s*--(?!hash)|@\s", (ROOT / "docker" / f"requirements-{name}.txt").read_text(), re.M)


@pytest.mark.parametrize(("name", "extras"), [("cpu", ("server",)), ("gpu", ("server", "gpu"))])
def test_the_lock_has_what_the_project_requires(name: str, extras: tuple[str, ...]) -> None:
    packages = locked(name)
    for requirement in required(*extras):
        version = packages.get(canonicalize_name(requirement.name), (None,))[0]
        assert version is not None, f"{requirement.name} is not locked: run docker/lock.sh"
        assert requirement.specifier.contains(version), f"{requirement} is locked at {version}: run docker/lock.sh"


def test_what_extras_bring_is_locked_too() -> None:
    assert {"aiohttp-cors", "opencensus", "flask-wtf", "psycopg-binary"} <= locked("cpu").keys()
    assert {"nvidia-cudnn-cu12", "nvidia-cublas-cu12"} <= locked("gpu").keys()


def test_the_build_has_what_it_requires() -> None:
    build = tomllib.loads((ROOT / "pyproject.toml").read_text())["build-system"]["requires"]
    packages = locked("build")
    assert all(Requirement(line).specifier.contains(packages[Requirement(line).name][0]) for line in build)


def test_the_cpu_image_has_no_cuda() -> None:
    assert not [package for package in locked("cpu") if re.search(r"nvidia|cuda|cudnn|nccl|triton", package)]


def test_head_and_workers_have_the_same_versions() -> None:
    cpu, gpu = locked("cpu"), locked("gpu")
    assert cpu.items() <= gpu.items()
    assert all(re.search(r"nvidia|cuda", package) for package in gpu.keys() - cpu.keys())
