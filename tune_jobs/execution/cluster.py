"""The Ray cluster that a sweep runs on: its own on this machine, or a running one."""

from __future__ import annotations

import logging
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import ray
from ray._private import ray_constants
from ray.job_config import JobConfig

from tune_jobs.environment import safe_path
from tune_jobs.errors import SettingsError
from tune_jobs.execution import reachability, services, tokens, worker_forks
from tune_jobs.execution.packing import Slots
from tune_jobs.execution.watch import ends_with_ray, ends_with_starting_ray
from tune_jobs.execution.worker_forks import PLAIN, WorkerKind
from tune_jobs.words import counted


@contextmanager
def connection(address: str | None, workers: WorkerKind = PLAIN) -> Iterator[None]:
    """Connect to Ray for the block: to the cluster at `address`, or to one that is started for this sweep.

    On a cluster of ours, workers of this kind start in a moment (`worker_forks`).

    The sweep's own cluster listens on loopback (`prepare_ray`), requires a token (`tokens.private_ray`) and
    has no dashboard. If Ray ends within the block, this process ends with one line and exit code 2; so does a command
    whose own Ray ends while it starts.
    A process that is connected already, as a notebook may be, keeps its connection and uses that cluster.

    Raises:
        SettingsError: if no cluster that accepts this process answers at `address`, or Ray does not start.
    """
    _silence_ray()
    if ray.is_initialized():
        _refuse_another(address)
        worker_forks.expect(workers)
        yield
        return
    if address is None:
        worker_forks.prepare(workers)
    # Private to Ray, and the only way to what `prepare_ray` asks for if a task's file has imported Ray before.
    ray_constants.ENABLE_RAY_CLUSTER = False
    if address is not None:
        address = reachability.check_reachable(address)
    try:
        with _signal_handlers_kept():
            _connect(address)
    except Exception as error:  # a plain one too: for instance when an overloaded machine starts Ray too slowly
        ray.shutdown()
        worker_forks.end()
        where = f"no Ray cluster answers at {address}" if address else "Ray did not start on this machine"
        raise SettingsError(f"{where}: {str(error).splitlines()[0]}") from error
    try:
        with ends_with_ray():
            yield
    finally:
        ray.shutdown()
        worker_forks.end()


def _refuse_another(address: str | None) -> None:
    if address is not None:
        raise SettingsError(
            f"this process is connected to a Ray cluster already: leave out the address {address}, or call "
            "ray.shutdown() first"
        )


def _connect(address: str | None) -> None:
    if address is None:
        # Without "local" Ray joins any cluster that `ray start` has noted on this machine. `_temp_dir` is private to
        # Ray: no public option keeps its files out of a folder in which other users may write.
        with (
            tokens.private_ray() as folder,
            services.without_unused_services(),
            worker_forks.used(),
            safe_path(),
            ends_with_starting_ray(),
        ):
            ray.init(
                "local",
                include_dashboard=False,
                log_to_driver=False,
                logging_level=logging.ERROR,
                job_config=_JobConfig(),
                _temp_dir=folder,
            )
    else:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, job_config=_JobConfig())


class _JobConfig(JobConfig):  # type: ignore[misc]
    """Ray's settings of a job, without the folders of this process that Ray puts first on its workers' import path.

    They are the working folder and that of the script. Private to Ray: no option leaves them out.
    """

    def _serialize(self) -> bytes:
        self._py_driver_sys_path.clear()
        serialized: bytes = super()._serialize()
        return serialized


@contextmanager
def _signal_handlers_kept() -> Iterator[None]:
    """Restore the handlers of signals after the block: Ray takes SIGTERM when it starts, to abort the process."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            for number, handler in before.items():
                signal.signal(number, handler)


def totals() -> dict[str, float]:
    """Return the CPUs and GPUs of all nodes, whoever uses them."""
    resources = ray.cluster_resources()
    return {name: resources.get(name, 0.0) for name in ("CPU", "GPU")}


def slots(cpus: float, gpus: float | None, max_concurrent: int | None) -> Slots:
    """Return how many trials of this size the cluster can run at once.

    With `gpus` None a trial gets one GPU if any node has GPUs. `max_concurrent` is the user's own limit.

    Raises:
        SettingsError: if no node could ever run one trial.
    """
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    if gpus is None:
        gpus = float(any(node.get("GPU", 0) >= 1 for node in nodes))
    count = sum(_fitting(node, cpus, gpus) for node in nodes)
    if not count:
        available = ", ".join(
            f"{counted(node.get('CPU', 0), 'CPU')} and {counted(node.get('GPU', 0), 'GPU')}" for node in nodes
        )
        raise SettingsError(
            f"a trial asks for {counted(cpus, 'CPU')} and {counted(gpus, 'GPU')}, more than any node has "
            f"({available}): ask for less with --cpus-per-trial or --gpus-per-trial"
        )
    if max_concurrent is not None and max_concurrent < count:
        return Slots(cpus, gpus, count=max_concurrent, submitted=max_concurrent)
    return Slots(cpus, gpus, count=count, submitted=count + 1)


def _fitting(node: dict[str, float], cpus: float, gpus: float) -> int:
    """Return how many trials of this size fit on a node, given its resources by Ray's names."""
    by_cpu = node.get("CPU", 0) / cpus if cpus else float("inf")
    count = min(by_cpu, _fitting_on_gpus(node.get("GPU", 0), gpus))
    return 0 if count == float("inf") else int(count + 1e-9)


def _fitting_on_gpus(n_gpus: float, per_trial: float) -> float:
    """Return how many trials fit on so many GPUs. A share lies on a single GPU: three of 0.3 fit on each."""
    if not per_trial:
        return float("inf")
    return n_gpus * int(1 / per_trial + 1e-9) if per_trial < 1 else n_gpus / per_trial


def _silence_ray() -> None:
    """Leave all messages to this program, and keep Tune from writing files for each trial."""
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
