"""The memory and load of the devices that a process may use, behind one small interface.

It needs neither TensorFlow nor Ray: a worker reads its devices before its first op, and a driver has no ops at all. The
callers decide what to make of the figures.
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
from tune_jobs.environment import visible_devices
from tune_jobs.errors import SettingsError
from tune_jobs.settings import device_figures_file

HOST = "host"  # the index of the machine itself, where it has no other device

_MB = 2**20


class FewGpusError(SettingsError):
    """A trial is to train on several GPUs, and TensorFlow sees fewer."""


@dataclass(frozen=True)
class DeviceFigures:
    """What a device reports about itself; 0 for what it does not report."""

    index: str  # the machine's number for it, or its name in CUDA_VISIBLE_DEVICES
    memory_used_mb: float  # MiB, by all processes
    memory_total_mb: float  # MiB
    utilisation: float  # 0 to 1
    joules: float | None = None  # since some moment in the past; None where it is not reported


class DeviceReader(Protocol):
    """Reads the devices that this process may use."""

    def read(self) -> tuple[DeviceFigures, ...]:
        """Return the figures of each device, in the order of CUDA_VISIBLE_DEVICES if that is set."""


def device_reader(file: Path | None = None, cpus: float = 1.0) -> DeviceReader:
    """Return the reader that suits this machine.

    It reads `file`, or the file that TUNE_JOBS_DEVICE_FIGURES names. If there is neither, it reads NVIDIA's GPUs; if
    there are none of these, this process, which is allotted `cpus` CPUs.
    """
    file = file or device_figures_file()
    if file is not None:
        return FileReader(file)
    return NvmlReader() if NvmlReader().read() else HostReader(cpus)


def least_memory_mb() -> float:
    """Return the MiB that the smallest device of this process has, whoever uses them; 0 if it does not report it."""
    return min((figures.memory_total_mb for figures in device_reader().read()), default=0.0)


@dataclass(frozen=True)
class NvmlReader:
    """Reads NVIDIA's GPUs from its driver; without the driver or its Python package there are none."""

    def read(self) -> tuple[DeviceFigures, ...]:
        nvml = _nvml()
        return () if nvml is None else tuple(_gpu_figures(nvml, *gpu) for gpu in _visible_gpus(nvml))


@functools.cache
def _nvml() -> Any | None:
    """Return NVIDIA's library, opened once in a process; None if it is missing."""
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
    """Yield indices with their handles. As in CUDA, the first name of no device ends the list."""
    visible = visible_devices()
    names = map(str, range(nvml.nvmlDeviceGetCount())) if visible is None else visible
    for name in names:
        try:
            yield name, _handle(nvml, name)
        except nvml.NVMLError:
            return


def _handle(nvml: Any, name: str) -> Any:
    """Return the device of this number, or with a UUID that begins so."""
    if name.isdecimal():
        return nvml.nvmlDeviceGetHandleByIndex(int(name))
    for index in range(nvml.nvmlDeviceGetCount()):
        handle = nvml.nvmlDeviceGetHandleByIndex(index)
        if nvml.nvmlDeviceGetUUID(handle).startswith(name):
            return handle
    return nvml.nvmlDeviceGetHandleByUUID(name)  # a part of a divided GPU (MIG)


def _gpu_figures(nvml: Any, index: str, handle: Any) -> DeviceFigures:
    used = total = load = 0.0
    try:
        memory = nvml.nvmlDeviceGetMemoryInfo(handle)
        used, total = memory.used / _MB, memory.total / _MB
        load = nvml.nvmlDeviceGetUtilizationRates(handle).gpu / 100
    except nvml.NVMLError:
        pass  # a part of a divided GPU reports no load; a GPU that shares the machine's memory reports no memory
    return DeviceFigures(index, used, total, load, _joules(nvml, handle))


def _joules(nvml: Any, handle: Any) -> float | None:
    """Return the energy that a GPU has used since its driver was loaded. GPUs before Volta do not report it."""
    try:
        return float(nvml.nvmlDeviceGetTotalEnergyConsumption(handle)) / 1000
    except nvml.NVMLError:
        return None


@dataclass(frozen=True)
class FileReader:
    """Reads a JSON file that another accelerator's tool writes: a list of objects with the fields of `DeviceFigures`.

    The tool must replace the file whole. If it writes in place, a read may meet half of it.
    """

    path: Path

    def read(self) -> tuple[DeviceFigures, ...]:
        """Return the figures of each visible device.

        Raises:
            SettingsError: the file is missing, or has another content.
        """
        place = f"the device figures {self.path}"
        try:
            devices = decode_json(tuple[DeviceFigures, ...], self.path.read_bytes(), place)
        except OSError as error:
            raise SettingsError(f"{place} cannot be read: {error.strerror}") from error
        except ContentError as error:
            raise SettingsError(str(error)) from error
        for device in devices:
            _check(device, place)
        by_index = {device.index: device for device in devices}
        visible = visible_devices()
        return tuple(by_index.values() if visible is None else (by_index[name] for name in visible if name in by_index))


def _check(device: DeviceFigures, place: str) -> None:
    if min(device.memory_used_mb, device.memory_total_mb) < 0:
        used, total = device.memory_used_mb, device.memory_total_mb
        raise SettingsError(f"{place} need megabytes of 0 or more; got {used:g} of {total:g}")
    if not 0 <= device.utilisation <= 1:
        raise SettingsError(f"{place} need utilisation as a share from 0 to 1; got {device.utilisation:g}")
    if device.joules is not None and not 0 <= device.joules < float("inf"):
        raise SettingsError(f"{place} need joules of 0 or more; got {device.joules:g}")


class HostReader:
    """Reads this process, for a machine whose only devices are its processors.

    Memory is what this process alone holds, of what the machine or its container has. Load is the processor time that
    it used since the last read, of the time of the `cpus` CPUs allotted to it. After pickling, a reader reads the
    process that it is in then.
    """

    def __init__(self, cpus: float = 1.0) -> None:
        self._cpus = cpus
        self._last = _wall_and_cpu()

    def __reduce__(self) -> tuple[Any, ...]:
        return HostReader, (self._cpus,)

    def read(self) -> tuple[DeviceFigures, ...]:
        before, self._last = self._last, _wall_and_cpu()
        wall_s, processor_s = self._last[0] - before[0], self._last[1] - before[1]
        load = min(1.0, processor_s / (wall_s * self._cpus)) if wall_s > 0 else 0.0
        return (DeviceFigures(HOST, resident_mb(), host_memory_mb(), load),)


def _wall_and_cpu() -> tuple[float, float]:
    """Return the time, and the processor time of this process, in seconds."""
    return time.monotonic(), time.process_time()


def resident_mb(proc: Path = Path("/proc/self")) -> float:
    """Return the MiB that this process alone holds, without libraries and Ray's object store, which processes share.

    0 if the system does not report it; Linux does.
    """
    try:
        _, resident, shared, *_ = (proc / "statm").read_text().split()
    except OSError:
        return 0.0
    return (int(resident) - int(shared)) * os.sysconf("SC_PAGE_SIZE") / _MB


def host_memory_mb(proc: Path = Path("/proc"), cgroups: Path = Path("/sys/fs/cgroup")) -> float:
    """Return the MiB that this process could hold: the machine's memory, or the limit of its container or service.

    0 if the system does not report it.
    """
    try:
        lines = (proc / "meminfo").read_text().splitlines()
        total = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemTotal:"))
    except (OSError, StopIteration):
        return 0.0
    return min([total, *_limits(proc / "self" / "cgroup", cgroups)]) / _MB


def _limits(membership: Path, cgroups: Path) -> Iterator[int]:
    """Yield the memory limits in bytes of the process' control groups (versions 1 and 2), and of those above."""
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
    return int(text) if text.isdecimal() else None  # the word "max" means no limit
