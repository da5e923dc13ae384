"""Figures of devices: read in the order that a process sees them in, whoever tells of them."""

from __future__ import annotations

import json
import pickle
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pynvml
import pytest

from tune_jobs.errors import SettingsError
from tune_jobs.training import devices, malloc
from tune_jobs.training.devices import HOST, DeviceFigures, FileReader, HostReader, NvmlReader

MB = 2**20
UUIDS = ("GPU-aaaa1111", "GPU-bbbb2222", "GPU-cccc3333")
MIG = "MIG-dddd4444"
FOUR = tuple(DeviceFigures(str(index), 100.0 * index, 8000.0, index / 4) for index in range(4))


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in ("CUDA_VISIBLE_DEVICES", "TUNE_JOBS_DEVICE_FIGURES"):
        monkeypatch.delenv(name, raising=False)
    devices._nvml.cache_clear()
    yield
    devices._nvml.cache_clear()


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> None:
    """What NVIDIA's library would answer on a machine with three GPUs, the last one divided."""
    answers: dict[str, Any] = {
        "nvmlInit": lambda: None,
        "nvmlDeviceGetCount": lambda: 3,
        "nvmlDeviceGetHandleByIndex": by_index,
        "nvmlDeviceGetHandleByUUID": by_uuid,
        "nvmlDeviceGetUUID": lambda handle: UUIDS[handle],
        "nvmlDeviceGetMemoryInfo": lambda handle: SimpleNamespace(used=(handle + 1) * 1000 * MB, total=16000 * MB),
        "nvmlDeviceGetUtilizationRates": load,
    }
    for name, answer in answers.items():
        assert hasattr(pynvml, name)
        monkeypatch.setattr(pynvml, name, answer)


def by_index(index: int) -> int:
    if index >= 3:
        raise pynvml.NVMLError(pynvml.NVML_ERROR_INVALID_ARGUMENT)
    return index


def by_uuid(uuid: str) -> int:
    if uuid != MIG:
        raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_FOUND)
    return 7


def load(handle: int) -> SimpleNamespace:
    if handle == 7:
        raise pynvml.NVMLError(pynvml.NVML_ERROR_NOT_SUPPORTED)
    return SimpleNamespace(gpu=10 * handle, memory=5)


@pytest.mark.usefixtures("driver")
@pytest.mark.parametrize(
    ("visible", "indices"),
    [
        (None, ["0", "1", "2"]),
        ("2,0", ["2", "0"]),
        ("", []),
        ("1,-1,0", ["1"]),
        ("1,9,0", ["1"]),  # as CUDA: what follows a device that is not there is not seen
        ("GPU-bbbb,GPU-aaaa1111", ["GPU-bbbb", "GPU-aaaa1111"]),
        (f"{MIG},0", [MIG, "0"]),
    ],
)
def test_gpus_come_as_cuda_shows_them(visible: str | None, indices: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert [found.index for found in NvmlReader().read()] == indices


@pytest.mark.usefixtures("driver")
def test_figures_of_gpus_are_the_drivers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", f"GPU-bbbb,{MIG}")
    assert NvmlReader().read() == (
        DeviceFigures("GPU-bbbb", 2000.0, 16000.0, 0.1),
        DeviceFigures(MIG, 8000.0, 16000.0, 0.0),  # a part of a GPU does not tell its load
    )
    assert isinstance(devices.device_reader(), NvmlReader)


def test_without_a_driver_there_are_no_gpus_and_the_host_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_driver() -> None:
        raise pynvml.NVMLError(pynvml.NVML_ERROR_LIBRARY_NOT_FOUND)

    monkeypatch.setattr(pynvml, "nvmlInit", no_driver)
    assert NvmlReader().read() == ()
    assert isinstance(devices.device_reader(), HostReader)


def test_without_nvidias_package_there_are_no_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert NvmlReader().read() == ()


def test_a_file_is_read_as_a_driver_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "figures.json"
    file.write_text(json.dumps([asdict(one) for one in FOUR]))
    assert FileReader(file).read() == FOUR
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,1")
    monkeypatch.setenv("TUNE_JOBS_DEVICE_FIGURES", str(file))
    reader = pickle.loads(pickle.dumps(devices.device_reader()))
    assert reader == FileReader(file)
    assert reader.read() == (FOUR[3], FOUR[1])


@pytest.mark.parametrize(
    ("content", "needed"),
    [
        (None, "cannot be read: No such file"),
        ("[", "is not JSON"),
        ('{"index": "0"}', "needs a list; got a mapping"),
        ('[{"index": 0}]', ": [0].index needs a text; got 0"),
        (json.dumps([asdict(FOUR[0]) | {"utilisation": 70}]), "need utilisation as a share from 0 to 1; got 70"),
        (json.dumps([asdict(FOUR[0]) | {"memory_used_mb": -1}]), "need megabytes of 0 or more; got -1 of"),
        (json.dumps([asdict(FOUR[0]) | {"memory_total_mb": True}]), "got True"),
    ],
)
def test_a_file_that_is_none_is_refused_in_a_line(content: str | None, needed: str, tmp_path: Path) -> None:
    file = tmp_path / "figures.json"
    if content is not None:
        file.write_text(content)
    with pytest.raises(SettingsError) as refused:
        FileReader(file).read()
    assert needed in str(refused.value)
    assert str(file) in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.slow
def test_the_host_tells_of_this_process() -> None:
    reader = pickle.loads(pickle.dumps(HostReader(cpus=1.0)))
    held = b"x" * (200 * MB)
    until = time.process_time() + 0.2
    while time.process_time() < until:
        pass
    (busy,) = reader.read()
    time.sleep(0.3)
    (idle,) = reader.read()
    assert busy.index == HOST
    assert 0.1 < busy.utilisation <= 1.0
    assert idle.utilisation < 0.3
    assert len(held) / MB < busy.memory_used_mb <= psutil.Process().memory_info().rss / MB
    assert busy.memory_used_mb < busy.memory_total_mb <= psutil.virtual_memory().total / MB + 1


def test_what_was_given_back_is_not_held() -> None:
    malloc.give_back()  # what earlier tests left, or the next 300 MB may be of it
    before = devices.resident_mb()
    held = b"x" * (300 * MB)
    assert devices.resident_mb() - before > 250
    del held
    malloc.give_back()
    assert devices.resident_mb() - before < 50


@pytest.mark.parametrize(
    ("membership", "files", "expected"),
    [
        ("0::/", {"memory.max": "max"}, 4096),
        ("0::/", {"memory.max": str(512 * MB)}, 512),
        ("0::/a.slice/b", {"a.slice/memory.max": str(700 * MB), "a.slice/b/memory.max": "max"}, 700),
        ("0::/not/here", {"memory.max": str(600 * MB)}, 600),  # a container's own view has no such path
        ("4:memory:/one\n0::/", {"memory/one/memory.limit_in_bytes": str(300 * MB)}, 300),
        ("4:memory:/one\n0::/", {"memory/memory.limit_in_bytes": str(2**63 - 4096)}, 4096),
        ("3:cpu,cpuacct:/", {"memory.max": str(100 * MB)}, 4096),
    ],
)
def test_a_containers_limit_is_the_hosts_memory(
    membership: str, files: dict[str, str], expected: float, tmp_path: Path
) -> None:
    proc, groups = tmp_path / "proc", tmp_path / "cgroup"
    (proc / "self").mkdir(parents=True)
    (proc / "meminfo").write_text("MemTotal:        4194304 kB\nMemFree: 1 kB\n")
    (proc / "self" / "cgroup").write_text(membership + "\n")
    for name, text in files.items():
        (groups / name).parent.mkdir(parents=True, exist_ok=True)
        (groups / name).write_text(text + "\n")
    assert devices.host_memory_mb(proc, groups) == expected


def test_another_system_tells_nothing_and_nothing_fails(tmp_path: Path) -> None:
    assert (devices.resident_mb(tmp_path), devices.host_memory_mb(tmp_path, tmp_path)) == (0.0, 0.0)
