"""Measure whether a webhook that never answers slows a launch: the same sweep with one and without, in turn.

    python benchmarks/notified.py

Both sides run no-op trials of ten reports, from the start of the process to its exit, with MLflow on SQLite. One side
notifies a server of this process that takes connections and never answers, and a port at which nobody listens. Each
pair begins with the other side, and the sides of a pair follow each other at once, so compare within pairs. A second
figure is what a launch itself does for it: start the process that speaks to the webhooks, hand it 20 messages, and ask
what became of them.
"""

from __future__ import annotations

import os
import socket
import statistics
import sys
import time
from pathlib import Path

from measuring import (
    HERE,
    make_parser,
    plain_environment,
    print_machine,
    print_table,
    say,
    time_command,
    warm_disk,
    work_folder,
)

from tune_jobs.live import notifications

PLAIN, NOTIFYING = "nobody notified", "two dead webhooks"


def main() -> None:
    parser = make_parser(__doc__)
    parser.add_argument("--pairs", type=int, default=5, help="of one launch on each side (default: 5)")
    parser.add_argument("--trials", type=int, default=30, help="of each launch (default: 30)")
    options = parser.parse_args()
    print_machine()
    seconds: dict[str, list[float]] = {PLAIN: [], NOTIFYING: []}
    with work_folder(None) as folder, socket.create_server(("127.0.0.1", 0)) as silent:
        warm_disk()
        dead = f"http://127.0.0.1:{silent.getsockname()[1]}/\nhttp://127.0.0.1:1/"
        own = sorted(_own_part(dead, folder / "log") for _ in range(20))
        for pair in range(options.pairs):
            for side in (PLAIN, NOTIFYING) if pair % 2 else (NOTIFYING, PLAIN):
                seconds[side].append(_launch(folder / f"{pair}-{len(side)}", options.trials, dead, side))
                say(f"pair {pair + 1}, {side}: {seconds[side][-1]:.1f} s, load {os.getloadavg()[0]:.1f}")
    _print(seconds)
    print(f"what the launch itself does for it, 20 times: median {statistics.median(own):.3f} s, most {own[-1]:.3f} s")


def _own_part(dead: str, log: Path) -> float:
    """Return the seconds that a launch spends on notifying."""
    targets = notifications.read(dead.splitlines())
    started = time.perf_counter()
    told = notifications.Notifications(targets, {"event": "failure"}, log)
    for number in range(20):
        told.send({"event": "best", "text": "x" * 300, "trial": number})
    told.send({"event": "end"})
    told.close()
    _ = told.problems
    passed = time.perf_counter() - started
    told._process.kill()
    return passed


def _launch(home: Path, trials: int, dead: str, side: str) -> float:
    """Run a sweep, which has to end well, and return the seconds of its process."""
    words = ["launch", f"{HERE / 'noop_task.py'}:NOOP", "--search", "random", "--trials", str(trials)]
    env = plain_environment(TUNE_JOBS_REPORT="no", **({"TUNE_JOBS_NOTIFY": dead} if side == NOTIFYING else {}))
    command = [sys.executable, "-m", "tune_jobs", *words, "--home", str(home)]
    log = home.with_suffix(".log")
    passed = time_command(command, env, log)
    if ("Notifications did not all arrive" in log.read_text()) != (side == NOTIFYING):
        raise SystemExit(f"{side}: the last lines do not say what became of the notifications:\n{log.read_text()}")
    return passed


def _print(seconds: dict[str, list[float]]) -> None:
    rows = [[side, f"{statistics.median(times):.1f}", f"{min(times):.1f}"] for side, times in seconds.items()]
    print_table(("launch", "median s", "least s"), rows)
    ratios = [with_it / plain for with_it, plain in zip(seconds[NOTIFYING], seconds[PLAIN], strict=True)]
    print(f"{NOTIFYING} against {PLAIN}, within pairs: {', '.join(f'{ratio:.2f}' for ratio in ratios)}")
    print(f"median {statistics.median(ratios):.2f}")


if __name__ == "__main__":
    main()
