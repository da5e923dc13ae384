"""The Ray cluster that a sweep runs on: one that it starts itself on this machine, or one that is running."""

from __future__ import annotations

import importlib
import logging
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import ray
from ray._private import ray_constants

from tune_jobs.errors import SettingsError
from tune_jobs.execution import reachability, services, tokens
from tune_jobs.execution.packing import Slots
from tune_jobs.execution.watch import watched


@contextmanager
def connection(address: str | None) -> Iterator[None]:
    """A connection to Ray until the block ends.

    A cluster of our own serves this sweep alone: it listens on loopback (`settings.prepare_ray`), asks for a token
    (`tokens.own`) and has no dashboard.

    Where Ray ends on this machine meanwhile, so does this process: with one line and exit code 2.

    Raises:
        SettingsError: if no cluster that would have us answers at `address`, or Ray does not start.
    """
    _quiet()
    ray_constants.ENABLE_RAY_CLUSTER = False  # as `prepare_ray` says, also where a task's file had imported Ray before
    if address is not None:
        address = reachability.check_reachable(address)
    try:
        # most of Ray's start is waiting for its processes; importing Tune takes a second of it
        threading.Thread(target=importlib.import_module, args=("ray.tune",), daemon=True).start()
        with _own_signals():
            _connect(address)
    except Exception as error:  # Ray raises plain ones too, such as when an overloaded machine starts it too slowly
        ray.shutdown()
        where = f"no Ray cluster answers at {address}" if address else "Ray did not start on this machine"
        raise SettingsError(f"{where}: {str(error).splitlines()[0]}") from error
    try:
        with watched():
            yield
    finally:
        ray.shutdown()


def _connect(address: str | None) -> None:
    if address is None:
        # without "local" Ray joins whatever cluster `ray start` left a note of on this machine
        with tokens.own() as folder, services.without_unused_services():
            ray.init(
                "local", include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR, _temp_dir=folder
            )
    else:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)


@contextmanager
def _own_signals() -> Iterator[None]:
    """Ray takes SIGTERM for itself when it starts, and would abort the process: who had the signals gets them back."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            for number, handler in before.items():
                signal.signal(number, handler)


def slots(cpus: float, gpus: float | None, max_concurrent: int | None) -> Slots:
    """How many trials of this size the cluster runs at once; `gpus` None is one where there are any.

    Raises:
        SettingsError: if no node could ever run a single one.
    """
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    if gpus is None:
        gpus = float(any(node.get("GPU", 0) >= 1 for node in nodes))
    fits = [_fitting(node, cpus, gpus) for node in nodes]
    if not sum(fits):
        most = ", ".join(f"{node.get('CPU', 0):g} CPUs and {node.get('GPU', 0):g} GPUs" for node in nodes)
        raise SettingsError(
            f"a trial asks for {cpus:g} CPUs and {gpus:g} GPUs, more than any node has ({most}): "
            "ask for less with --cpus-per-trial or --gpus-per-trial"
        )
    if max_concurrent is not None and max_concurrent < sum(fits):
        return Slots(cpus, gpus, count=max_concurrent, held=max_concurrent)
    return Slots(cpus, gpus, count=sum(fits), held=sum(fits) + 1)


def _fitting(node: dict[str, float], cpus: float, gpus: float) -> int:
    by_cpu = node.get("CPU", 0) / cpus if cpus else float("inf")
    most = min(by_cpu, _by_gpu(node.get("GPU", 0), gpus))
    return 0 if most == float("inf") else int(most + 1e-9)


def _by_gpu(there: float, asked: float) -> float:
    """A share is one of a single GPU: three of 0.3 fit on each."""
    if not asked:
        return float("inf")
    return there * int(1 / asked + 1e-9) if asked < 1 else there / asked


def _quiet() -> None:
    """Ray speaks through this program's own messages, and Tune writes no files of its own for each trial."""
    for name, value in {
        "RAY_AIR_NEW_OUTPUT": "0",
        "RAY_USAGE_STATS_ENABLED": "0",
        "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
        "TUNE_DISABLE_SIGINT_HANDLER": "1",
        "TUNE_GLOBAL_CHECKPOINT_S": str(10**9),
        "TUNE_WARN_THRESHOLD_S": "60",
        "TUNE_WARN_INSUFFICENT_RESOURCE_THRESHOLD_S": str(10**9),
    }.items():
        os.environ.setdefault(name, value)
    for name in ("ray", "ray.tune", "ray.data"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
