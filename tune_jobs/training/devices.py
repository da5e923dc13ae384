"""What the devices that a process may use have of memory and load, behind one small interface.

Neither TensorFlow nor Ray: a worker asks before its first op, a driver without ever having one. What is made of the
figures is left to those who ask.
"""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from tune_jobs.decoding import ContentError, decode_json
from tune_jobs.errors import SettingsError
from tune_jobs.settings import device_figures_file, visible_devices

HOST = "host"  # the index of the machine itself, where it has no other device

_MB = 2**20


@dataclass(frozen=True)
class DeviceFigures:
    """What a device says of itself; what it does not tell is 0."""

    index: str  # the machine's own, or what CUDA_VISIBLE_DEVICES calls it
    memory_used_mb: float  # by all processes
    memory_total_mb: float
    utilisation: float  # 0 to 1


class Reader(Protocol):
    """Whoever can tell of the devices that this process may use."""

    def read(self) -> tuple[DeviceFigures, ...]:
        """One for each device, in the order of CUDA_VISIBLE_DEVICES where that is set."""


def reader(file: Path | None = None, cpus: float = 1.0) -> Reader:
    """The reader of `file`, or of what TUNE_JOBS_DEVICE_FIGURES names; else that of NVIDIA's GPUs, where there are any;
    else that of this process, which is allotted so many CPUs."""
    file = file or device_figures_file()
    if file is not None:
        return FileReader(file)
    return NvmlReader() if NvmlReader().read() else HostReader(cpus)


@dataclass(frozen=True)
class NvmlReader:
    """NVIDIA's GPUs, as its driver tells of them; none where the driver or its Python package is missing."""

    def read(self) -> tuple[DeviceFigures, ...]:
        nvml = _nvml()
        return () if nvml is None else tuple(_of_gpu(nvml, *found) for found in _visible_gpus(nvml))


@functools.cache
def _nvml() -> Any | None:
    """NVIDIA's library, opened once in a process."""
    try:
        import pynvml
    except ImportError:
        return None
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        return None
    return pynvml


def _visible_gpus(nvml: Any) -> Iterator[tuple[str, Any]]:
    """Indices with their handles. As CUDA does, it ends at the first name that is no device's."""
    visible = visible_devices()
    names = map(str, range(nvml.nvmlDeviceGetCount())) if visible is None else visible
    for name in names:
        try:
            yield name, _handle(nvml, name)
        except nvml.NVMLError:
            return


def _handle(nvml: Any, name: str) -> Any:
    """The device of that number, or of the UUID that begins so."""
    if name.isdecimal():
        return nvml.nvmlDeviceGetHandleByIndex(int(name))
    for at in range(nvml.nvmlDeviceGetCount()):
        handle = nvml.nvmlDeviceGetHandleByIndex(at)
        if nvml.nvmlDeviceGetUUID(handle).startswith(name):
            return handle
    return nvml.nvmlDeviceGetHandleByUUID(name)  # a part of a GPU that was divided


def _of_gpu(nvml: Any, index: str, handle: Any) -> DeviceFigures:
    used = total = load = 0.0
    try:
        memory = nvml.nvmlDeviceGetMemoryInfo(handle)
        used, total = memory.used / _MB, memory.total / _MB
        load = nvml.nvmlDeviceGetUtilizationRates(handle).gpu / 100
    except nvml.NVMLError:
        pass  # a part of a divided GPU has no load of its own, one that shares the machine's memory no memory
    return DeviceFigures(index, used, total, load)


@dataclass(frozen=True)
class FileReader:
    """What another accelerator's tool writes into a JSON file: a list of objects with the fields of `DeviceFigures`.

    The file is replaced whole, not written in place, or a read may meet half of it.
    """

    path: Path

    def read(self) -> tuple[DeviceFigures, ...]:
        """Read the file.

        Raises:
            SettingsError: the file is missing, or holds something else.
        """
        place = f"the device figures {self.path}"
        try:
            listed = decode_json(tuple[DeviceFigures, ...], self.path.read_bytes(), place)
        except OSError as error:
            raise SettingsError(f"{place} cannot be read: {error.strerror}") from error
        except ContentError as error:
            raise SettingsError(str(error)) from error
        for device in listed:
            if min(device.memory_used_mb, device.memory_total_mb) < 0:
                used, total = device.memory_used_mb, device.memory_total_mb
                raise SettingsError(f"{place} need megabytes of 0 or more; got {used:g} of {total:g}")
            if not 0 <= device.utilisation <= 1:
                raise SettingsError(f"{place} need utilisation as a share from 0 to 1; got {device.utilisation:g}")
        figures = {device.index: device for device in listed}
        visible = visible_devices()
        return tuple(figures.values() if visible is None else (figures[name] for name in visible if name in figures))


class HostReader:
    """This process on the machine's processors: the memory that is its own, against what the machine or its container
    has; the time of processors that it used since the last read, against that of the CPUs allotted to it.

    One that travels to another process tells of that one.
    """

    def __init__(self, cpus: float = 1.0) -> None:
        self._cpus = cpus
        self._since = _wall_and_cpu()

    def __reduce__(self) -> tuple[Any, ...]:
        return HostReader, (self._cpus,)

    def read(self) -> tuple[DeviceFigures, ...]:
        (wall, used), self._since = self._since, _wall_and_cpu()
        passed, spent = self._since[0] - wall, self._since[1] - used
        load = min(1.0, spent / (passed * self._cpus)) if passed > 0 else 0.0
        return (DeviceFigures(HOST, resident_mb(), host_memory_mb(), load),)


def _wall_and_cpu() -> tuple[float, float]:
    return time.monotonic(), time.process_time()


def resident_mb(proc: Path = Path("/proc/self")) -> float:
    """The memory that this process alone holds: without libraries and Ray's object store, which it shares with others.
    0 where the system does not tell (it is Linux that does)."""
    try:
        _, resident, shared, *_ = (proc / "statm").read_text().split()
    except OSError:
        return 0.0
    return (int(resident) - int(shared)) * os.sysconf("SC_PAGE_SIZE") / _MB


def host_memory_mb(proc: Path = Path("/proc"), cgroups: Path = Path("/sys/fs/cgroup")) -> float:
    """What this process could hold: all of the machine's memory, or what its container or service is allowed. 0 where
    the system does not tell."""
    try:
        lines = (proc / "meminfo").read_text().splitlines()
        total = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemTotal:"))
    except (OSError, StopIteration):
        return 0.0
    return min([total, *_limits(proc / "self" / "cgroup", cgroups)]) / _MB


def _limits(membership: Path, cgroups: Path) -> Iterator[int]:
    """The limits of the control groups that the process is in, and of those above: of version 2, and of version 1."""
    try:
        lines = membership.read_text().splitlines()
    except OSError:
        return
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers and "memory" not in controllers.split(","):
            continue
        root, name = (cgroups / "memory", "memory.limit_in_bytes") if controllers else (cgroups, "memory.max")
        group = root / path.lstrip("/")
        for folder in (group, *group.parents):
            if folder.is_relative_to(root) and (limit := _limit(folder / name)) is not None:
                yield limit


def _limit(file: Path) -> int | None:
    try:
        text = file.read_text().strip()
    except OSError:
        return None
    return int(text) if text.isdecimal() else None  # "max" is no limit
