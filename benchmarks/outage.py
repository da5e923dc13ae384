"""Measure a sweep whose MLflow server goes away in its middle and comes back, against the same sweep without that.

    python benchmarks/outage.py

A real `mlflow server` on loopback is killed when a quarter of the trials have ended, and started again when three
quarters have. Meanwhile trials must not train more slowly (each is compared with the same trial of the other sweep),
and in the end nothing may be missing in MLflow. The sweep is a random search on digits-mlp. The server shares the cores
with the sweep, unlike a real one: it runs at the lowest priority, and trials that its start may slow have a row of
their own.
"""

from __future__ import annotations

import argparse
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from auditing import print_audit
from measuring import (
    make_sweep_parser,
    plain_environment,
    print_machine,
    print_table,
    say,
    time_command,
    warm_disk,
    work_folder,
)
from sweeps import Sweep, kill_tree

from tune_jobs.records.trials import TrialRecord

Window = tuple[float, float]  # unix seconds

_TIMEOUT_S = 3600
_POLL_S = 0.5


def main() -> None:
    options = _options()
    print_machine()
    with work_folder(options.keep) as folder:
        warm_disk()
        server = _Server(folder / "server", _free_port())
        server.start()
        try:
            steady = _sweep(folder / "there", options, server.url)
            interrupted = _sweep(folder / "away", options, server.url)
            say("a sweep with the server there")
            _run_with(steady, {})
            say("a sweep with the server away from its middle")
            windows = _run_with(interrupted, {options.trials // 4: server.stop, options.trials * 3 // 4: server.start})
            _print_times(steady, interrupted, *windows)
            is_same = print_audit(steady, interrupted) or _audit_after_sync(steady, interrupted)
        finally:
            server.stop()
    if not is_same:
        raise SystemExit("something is missing in MLflow, or is not as it should be")


def _options() -> argparse.Namespace:
    parser = make_sweep_parser(__doc__)
    parser.add_argument("--trials", type=int, default=32)
    parser.add_argument("--epochs", type=int, default=20)
    return parser.parse_args()


def _sweep(home: Path, options: argparse.Namespace, tracking_uri: str) -> Sweep:
    return Sweep(
        home,
        "digits-mlp",
        options.trials,
        epochs=options.epochs,
        max_concurrent=2,
        data_dir=options.data_dir,
        tracking_uri=tracking_uri,
    )


@dataclass
class _Server:
    """A real MLflow server on loopback, which can be stopped and started again on the same store."""

    folder: Path
    port: int
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        self.folder.mkdir(exist_ok=True)
        flags = {
            "--backend-store-uri": f"sqlite:///{self.folder / 'server.db'}",
            "--artifacts-destination": str(self.folder / "artifacts"),
            "--host": "127.0.0.1",
            "--port": str(self.port),
            "--workers": "1",
        }
        command = [
            "nice",
            "-n",
            "19",
            sys.executable,
            "-m",
            "mlflow",
            "server",
            *(word for flag in flags.items() for word in flag),
        ]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                command, env=plain_environment(), stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
            )
        _wait_for(self._answers, f"the MLflow server to answer; its log is {log.name}", timeout_s=180)
        say("the MLflow server answers")

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            kill_tree(self.process)
            say("the MLflow server is gone")

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/health", timeout=2):
                return True
        except OSError:
            return False


def _audit_after_sync(steady: Sweep, interrupted: Sweep) -> bool:
    """Deliver the rest and audit again: the server may have come back too late for the sweep itself to deliver."""
    print("MLflow did not have all of it when the sweep ended; after `tune-jobs sync`:\n")
    command = [sys.executable, "-m", "tune_jobs", "sync", interrupted.record().name, "--home", str(interrupted.home)]
    time_command(command, interrupted.env, interrupted.log)
    return print_audit(steady, interrupted)


def _run_with(sweep: Sweep, actions: dict[int, Callable[[], None]]) -> list[Window]:
    """Run a sweep to its exit, and call each action once so many trials have ended.

    Return when each action began and ended.
    """
    process = sweep.start()
    windows = []
    for n_trials, act in actions.items():
        _wait_for(lambda n=n_trials: sweep.n_finished() >= n or process.poll() is not None, f"{n_trials} trials to end")
        began = time.time()
        act()
        windows.append((began, time.time()))
    _wait_for(lambda: sweep.n_finished() >= sweep.trials or process.poll() is not None, "all trials to end")
    if process.wait(_TIMEOUT_S) != 0:
        raise SystemExit(f"exit code {process.returncode} of a sweep; see {sweep.log}")
    return windows


def _print_times(steady: Sweep, interrupted: Sweep, stop: Window, start: Window) -> None:
    before = {(trial.params_id, trial.seed): trial for trial in steady.record().trials}
    groups: dict[str, list[tuple[TrialRecord, TrialRecord]]] = {
        "while the server was away": [],
        "while it was starting again": [],
        "before and after that": [],
    }
    for trial in interrupted.record().trials:
        when = 1 if _overlaps(trial, start) else 0 if _overlaps(trial, (stop[0], start[0])) else 2
        list(groups.values())[when].append((before[trial.params_id, trial.seed], trial))
    print(f"the server was away for {start[1] - stop[1]:.1f} s\n")
    print_table(
        ["seconds inside epochs of trials", "trials", "server there", "server stopped", "ratio", "median of ratios"],
        [_row(title, pairs) for title, pairs in groups.items()],
    )


def _overlaps(trial: TrialRecord, window: Window) -> bool:
    return (trial.started or 0.0) < window[1] and (trial.finished or 0.0) > window[0]


def _row(title: str, pairs: list[tuple[TrialRecord, TrialRecord]]) -> list[str]:
    times = [(before.train_seconds or 0.0, after.train_seconds or 0.0) for before, after in pairs]
    if not times:
        return [title, "0", "", "", "", ""]
    steady, interrupted = (sum(side) for side in zip(*times, strict=True))
    ratios = [after / before for before, after in times]
    ratio = interrupted / steady
    return [title, str(len(times)), f"{steady:.1f}", f"{interrupted:.1f}", f"{ratio:.2f}x", f"{median(ratios):.2f}x"]


def _wait_for(condition: Callable[[], bool], description: str, timeout_s: float = _TIMEOUT_S) -> None:
    until = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > until:
            raise SystemExit(f"waited {timeout_s:.0f} s for {description}")
        time.sleep(_POLL_S)


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


if __name__ == "__main__":
    main()
