"""Measure what studies of many trials cost, beside what they may cost: exports, commands, a search, a driver, MLflow.

    python benchmarks/scale.py

Each figure is of a fresh process, without its imports; the studies are written to a journal, epoch by epoch, as a sweep
writes them. Trials have ten epochs and what they scored on each of 5,000 validation images. The driver runs trials of
workers that are not there: all of it but Ray. Seconds are of the processor, which other work disturbs little; a second
column has those of the wall clock.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import resource
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
from measuring import json_from, make_parser, plain_environment, print_machine, print_table, say, work_folder
from study_writer import TASK, TERMS, settings_of

from tune_jobs import exports
from tune_jobs.actions import status
from tune_jobs.execution.messages import Assignment, Place, StepReport
from tune_jobs.execution.packing import Packing, Slots
from tune_jobs.execution.placement import Placement
from tune_jobs.execution.sweep import Sweep, SweepLimits
from tune_jobs.execution.trial_ledger import TrialLedger
from tune_jobs.execution.trial_queue import SearchStrategy
from tune_jobs.leaderboard import inference  # noqa: F401 (its import of SciPy is not measured)
from tune_jobs.live.progress import Progress, SweepOutline
from tune_jobs.live.signals import Interruption
from tune_jobs.records import per_image
from tune_jobs.records.trials import RecordedResult, TrialRecord, TrialResult
from tune_jobs.search.enqueued import EnqueuedSampler
from tune_jobs.search.samplers import make_sampler
from tune_jobs.settings import Settings
from tune_jobs.study.study import Study
from tune_jobs.tracking import delivery
from tune_jobs.training import devices

NAME = "study"
EPOCHS, IMAGES = 10, 5000
ASKS = 5  # of a search
AT_ONCE = 2  # trials of the driver


def main() -> None:
    if sys.argv[1:2] == ["--one"]:
        action, home, trials = sys.argv[2:]
        print(json.dumps(ACTIONS[action](settings_of("journal", Path(home)), int(trials))))
        return
    options = _options()
    print_machine()
    with work_folder(options.keep) as folder:
        rows = [*_of_study(folder / "study", options.trials), *_of_search(folder / "tpe", options.trials)]
        rows += [*_of_driver(folder / "driver", options.driver_trials), *_of_delivery(folder, options.delivered)]
    print_table(["", "processor", "wall clock", "target"], rows)


def _options() -> argparse.Namespace:
    parser = make_parser(__doc__)
    parser.add_argument("--trials", type=int, default=5000, help="of the study that is read (default: 5000)")
    parser.add_argument("--driver-trials", type=int, default=20_000, help="that a driver runs (default: 20000)")
    parser.add_argument("--delivered", type=int, default=1000, help="trials that MLflow gets (default: 1000)")
    parser.add_argument("--keep", type=Path, help="a new folder for the studies (default: removed at the end)")
    return parser.parse_args()


def _of_study(home: Path, trials: int) -> Iterator[list[str]]:
    _run("write", home, trials)
    targets = {"load": "", "exports": "3 s", "status": "1 s", "leaderboard": "1 s"}
    for action, target in targets.items():
        processor, wall = _run(action, home, trials)
        yield [f"{action} of {trials:,} trials, s", f"{processor:.2f}", f"{wall:.2f}", target]


def _of_search(home: Path, trials: int) -> Iterator[list[str]]:
    processor, wall = _run("ask", home, trials)
    yield [f"an ask of TPE after {trials:,} trials, ms", f"{1000 * processor:.0f}", f"{1000 * wall:.0f}", "50 ms"]


def _of_driver(home: Path, trials: int) -> Iterator[list[str]]:
    tenths = _run("drive", home, trials)
    for name, tenth in (("first", tenths[0]), ("last", tenths[-1])):
        processor, wall = (f"{1000 * seconds:.2f}" for seconds in tenth[:2])
        yield [f"a driver's ms a trial, {name} tenth of {trials:,}", processor, wall, "flat"]
    grown_kb = 1024 * (tenths[-1][2] - tenths[0][2]) / (trials * 0.9)
    yield [f"a driver's memory, KiB a trial of {trials:,}", f"{grown_kb:.1f}", "", "flat"]


def _of_delivery(folder: Path, trials: int) -> Iterator[list[str]]:
    _run("write", folder / "delivered", trials)
    processor, wall, peak_mb = _run("deliver", folder / "delivered", trials)
    yield [f"trials a second to MLflow, of {trials:,}", f"{trials / processor:.0f}", f"{trials / wall:.0f}", "50"]
    yield ["memory of the process that delivers, MiB", f"{peak_mb:.0f}", "", "bounded"]


def _run(action: str, home: Path, trials: int) -> Any:
    say(f"{action}: {trials:,} trials")
    return json_from([sys.executable, __file__, "--one", action, str(home), str(trials)], plain_environment())


def _timed(act: Callable[[], object]) -> tuple[float, float]:
    """Return the seconds of the processor and of the wall clock."""
    processor, wall = time.process_time(), time.perf_counter()
    act()
    return time.process_time() - processor, time.perf_counter() - wall


def result_of(number: int) -> TrialResult:
    """Return a plausible result that depends on the number alone."""
    numbers = np.random.default_rng(number)
    right = numbers.random(IMAGES) < 0.8 + 0.15 * numbers.random()
    score = float(right.mean())
    history = [
        {
            "loss": 1 - score * (1 - math.exp(-epoch)),
            "accuracy": score * (1 - math.exp(-epoch)) + float(numbers.random()) / 100,
            "val_loss": 1 - score * (1 - math.exp(-epoch)) + float(numbers.random()) / 100,
            "val_accuracy": score * (1 - math.exp(-epoch)),
        }
        for epoch in range(1, EPOCHS + 1)
    ]
    history[-1]["val_accuracy"] = score
    errors = per_image.pack(1 - right.astype(np.uint8))
    return TrialResult("complete", score, EPOCHS, history[-1], tuple(history), 1.0, 100_000, errors)


@contextmanager
def _quick_disk() -> Iterator[None]:
    """Wait for no disk in the block: what is measured is what this program does."""
    fsync = os.fsync
    os.fsync = lambda descriptor: None
    try:
        yield
    finally:
        os.fsync = fsync


def _write(settings: Settings, trials: int) -> None:
    sampler = make_sampler("random", TASK.space, TASK.objective, 0, ())
    with _quick_disk(), Study.hold(NAME, settings) as study:
        study.begin(TERMS)
        for _ in range(trials):
            candidate = sampler.ask()
            assert candidate is not None
            trial = study.start(study.add(TASK.space, candidate.params, 0), "here")
            result = result_of(trial.number)
            for epoch, metrics in enumerate(result.history[:-1], start=1):
                study.note_epoch(trial.number, epoch, metrics["val_accuracy"])
            study.finish(trial, result, 1.0)


def _load(settings: Settings, trials: int) -> tuple[float, float]:
    return _timed(lambda: Study.open(NAME, settings).record())


def _exports(settings: Settings, trials: int) -> tuple[float, float]:
    record = Study.open(NAME, settings).record()
    return _timed(lambda: exports.write_all(record, settings.exports_dir(NAME)))


def _status(settings: Settings, trials: int) -> tuple[float, float]:
    return _timed(lambda: "\n".join(status.status(NAME, settings).lines()))


def _leaderboard(settings: Settings, trials: int) -> tuple[float, float]:
    return _timed(lambda: exports.render(Study.open(NAME, settings).history().of_version(None), "table"))


def _ask(settings: Settings, trials: int) -> tuple[float, float]:
    """Return the medians of a few asks of TPE, each after the trial before it has ended."""
    from resume_task import NOTHING

    drawn = make_sampler("random", NOTHING.space, NOTHING.objective, 0, ())
    records = []
    for number in range(trials):
        candidate = drawn.ask()
        assert candidate is not None
        records.append(_ended(TrialRecord(number, candidate.params, 0, "waiting")))
    sampler = make_sampler("tpe", NOTHING.space, NOTHING.objective, 0, tuple(records))
    times = []
    for number in range(trials, trials + ASKS):
        asked: list[Any] = []
        times.append(_timed(lambda asked=asked: asked.append(sampler.ask())))
        sampler.tell(_ended(TrialRecord(number, asked[0].params, 0, "waiting")))
    processor, wall = zip(*times, strict=True)
    return statistics.median(processor), statistics.median(wall)


def _ended(trial: TrialRecord) -> TrialRecord:
    score = float(np.random.default_rng(trial.number).random())
    result = RecordedResult("complete", score, 1, {"val_accuracy": score}, finished=1.0)
    return replace(trial, state="complete", attempts=1, started=0.0, result=result)


def _drive(settings: Settings, trials: int) -> list[tuple[float, float, float]]:
    """Run a sweep without Ray. Return, for each tenth, the seconds a trial by both clocks and the MiB at its end."""
    with _quick_disk(), Study.hold(NAME, settings) as study:
        study.begin(TERMS)
        sampler = make_sampler("random", TASK.space, TASK.objective, 0, ())
        enqueued = EnqueuedSampler(lambda: study.handed, sampler, 0, ())
        strategy = SearchStrategy(TASK.space, enqueued, enqueued=enqueued)
        outline = SweepOutline(NAME, TASK.objective, EPOCHS, TASK.space.varied(), trials)
        progress = Progress(outline, Interruption(), settings.activity_file(NAME))
        placement = Placement(Packing.fixed(Slots(1.0, 0.0, AT_ONCE, AT_ONCE + 1)))
        sweep = Sweep(TrialLedger(study), strategy, SweepLimits(trials), placement, progress, Interruption())
        run, tenths = _trials(sweep), []
        for _ in range(10):
            n = trials // 10
            processor, wall = _timed(lambda n=n: [next(run) for _ in range(n)])
            tenths.append((processor / n, wall / n, devices.resident_mb()))
        return tenths


def _trials(sweep: Sweep) -> Iterator[None]:
    """Run a trial for each that is asked for, as workers would that report twice."""
    place = Place("0" * 56, "here", "127.0.0.1")
    waiting: list[tuple[str, Assignment]] = []
    for number in count():
        while (assignment := sweep.next_assignment(f"{number}-{len(waiting)}")) is not None:
            waiting.append((f"{number}-{len(waiting)}", assignment))
        tune_id, assignment = waiting.pop(0)
        sweep.worker_ready(tune_id, StepReport(place=place, is_ready=True))
        result = result_of(assignment.number)
        epochs = tuple(enumerate(result.history, start=1))
        for report in (StepReport(epochs[:-1]), StepReport(epochs[-1:], result)):
            sweep.take_report(tune_id, StepReport.from_result(report.to_result()))
            sweep.report_activity(tuple)
        yield


def _deliver(settings: Settings, trials: int) -> tuple[float, float, float]:
    from tune_jobs import tracking

    tracking.check(settings)
    processor, wall = _timed(lambda: delivery.deliver_once(NAME, settings))
    return processor, wall, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


ACTIONS: dict[str, Callable[[Settings, int], Any]] = {
    "write": _write,
    "load": _load,
    "exports": _exports,
    "status": _status,
    "leaderboard": _leaderboard,
    "ask": _ask,
    "drive": _drive,
    "deliver": _deliver,
}


if __name__ == "__main__":
    main()
