"""Measure a study in a journal file against one in SQLite: the time of writes and of a load, and what faults destroy.

    python benchmarks/storage.py

Both are written through `Study`. A trial is added, started, reports nine epochs, and ends with the history of ten; the
sampling of its params is not in the times. There are two faults: a writer to either store is killed (SIGKILL) at a
random moment, and a journal is cut at a random byte, as a machine that loses power may leave it. A store survives a
fault if it opens again, has every acknowledged trial with its score and history, and keeps a further one.
"""

from __future__ import annotations

import argparse
import random
import signal
import statistics
import subprocess
import sys
import time
from pathlib import Path

from measuring import (
    HERE,
    json_from,
    make_sweep_parser,
    plain_environment,
    print_machine,
    print_table,
    say,
    work_folder,
)
from study_writer import EPOCHS, STORES, TASK, TERMS, result_of, settings_of, written

from tune_jobs.settings import Settings
from tune_jobs.study.study import Study


def main() -> None:
    options = _options()
    print_machine()
    with work_folder(options.keep) as folder:
        _print_writes(options.trials, folder / "writes")
        _print_loads(options.load_trials, folder / "loads")
        _print_faults(options, folder / "faults")


def _options() -> argparse.Namespace:
    parser = make_sweep_parser(__doc__)
    parser.add_argument("--trials", type=int, default=1000, help="to write, timed in tenths (default: 1000)")
    parser.add_argument("--load-trials", type=int, default=5000, help="in the study that is loaded")
    parser.add_argument("--kills", type=int, default=20, help="of a writer, for each store")
    parser.add_argument("--cuts", type=int, default=200, help="of a journal file, each at a random byte")
    parser.add_argument("--seed", type=int, default=0, help="of the moments and the places")
    return parser.parse_args()


def _writer_command(action: str, store: str, home: Path, trials: int) -> list[str]:
    return [sys.executable, str(HERE / "study_writer.py"), action, store, str(home), str(trials)]


def _print_writes(trials: int, folder: Path) -> None:
    times = {}
    for store in STORES:
        say(f"{trials} trials written to {store}")
        times[store] = json_from(_writer_command("time", store, folder / store, trials), plain_environment())
    tenth = max(1, trials // 10)
    rows = [
        _row(
            f"trials {start + 1}..{min(start + tenth, trials)}", *(_ms(times[s][start : start + tenth]) for s in STORES)
        )
        for start in range(0, trials, tenth)
    ]
    print_table([f"ms a trial of {EPOCHS} epochs", *STORES, "ratio"], rows)


def _ms(seconds: list[float]) -> float:
    return 1000 * statistics.mean(seconds)


def _row(title: str, journal: float, sqlite: float) -> list[str]:
    return [title, f"{journal:.2f}", f"{sqlite:.2f}", f"{sqlite / journal:.2f}x"]


def _print_loads(trials: int, folder: Path) -> None:
    seconds, megabytes = {}, {}
    for store in STORES:
        say(f"{trials} trials for a load from {store}")
        json_from(_writer_command("time", store, folder / store, trials), plain_environment())
        seconds[store] = json_from(_writer_command("load", store, folder / store, trials), plain_environment())
        megabytes[store] = sum(path.stat().st_size for path in (folder / store).rglob("*") if path.is_file()) / 2**20
    rows = [
        _row(f"load of {trials} trials, seconds", *(seconds[store] for store in STORES)),
        _row("size, MiB", *(megabytes[store] for store in STORES)),
    ]
    print_table(["", *STORES, "ratio"], rows)


def _print_faults(options: argparse.Namespace, folder: Path) -> None:
    moments = random.Random(options.seed)
    rows = []
    for store in STORES:
        say(f"{options.kills} writers to {store} killed")
        faults = [
            _kill_writer(store, folder / f"{store}-{kill}", moments.uniform(0.0, 1.0)) for kill in range(options.kills)
        ]
        rows.append([f"{store}: writer killed", *_tally(faults)])
    say(f"a journal cut at {options.cuts} places")
    rows.append(["journal: cut at a random byte", *_tally(_cut_journal(folder / "cut", options.cuts, moments))])
    print_table(["fault", "times", "survived"], rows)


def _tally(faults: list[str | None]) -> list[str]:
    """Print each kind of damage, and return the number of faults and of those that did none."""
    for fault in sorted({fault for fault in faults if fault is not None}):
        print(f"did not survive, {faults.count(fault)} times: {fault}")
    return [str(len(faults)), str(faults.count(None))]


def _kill_writer(store: str, home: Path, after_s: float) -> str | None:
    """Kill a writer some time after its first trial, and return what is wrong with the study that it left."""
    process = subprocess.Popen(
        _writer_command("write", store, home, 10**6), env=plain_environment(), stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    acknowledged = [int(process.stdout.readline())]
    time.sleep(after_s)
    process.send_signal(signal.SIGKILL)
    acknowledged += [int(line) for line in process.stdout if line.endswith("\n")]
    process.wait()
    return _damage(settings_of(store, home), acknowledged)


def _cut_journal(folder: Path, cuts: int, places: random.Random) -> list[str | None]:
    whole = settings_of("journal", folder / "whole").studies_dir / "study.journal"
    lengths = [(whole.stat().st_size, number) for number, _ in written(settings_of("journal", folder / "whole"), 40)]
    content, faults = whole.read_bytes(), []
    for cut in range(cuts):
        place = places.randrange(len(content))
        settings = settings_of("journal", folder / str(cut))
        (settings.studies_dir / "study.journal").write_bytes(content[:place])
        faults.append(_damage(settings, [number for length, number in lengths if length <= place]))
    return faults


def _damage(settings: Settings, acknowledged: list[int]) -> str | None:
    """Return why a study cannot be continued, in one line; None if it can be."""
    try:
        with Study.hold("study", settings) as study:
            study.begin(TERMS)
            _check(study, acknowledged)
            trial = study.start(study.add(TASK.space, TASK.baseline, 1))
            study.finish(trial, result_of(trial.number), 1.0)
        _check(Study.open("study", settings), [*acknowledged, trial.number])
    except Exception as error:
        return f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"
    return None


def _check(study: Study, acknowledged: list[int]) -> None:
    """Check that every acknowledged trial is there as it was written.

    Raises:
        LookupError: one is not.
    """
    trials = {trial.number: trial for trial in study.record().trials}
    for number in acknowledged:
        trial, expected = trials.get(number), result_of(number)
        if trial is None or (trial.state, trial.score, trial.history) != ("complete", expected.score, expected.history):
            raise LookupError("an acknowledged trial is lost or changed")


if __name__ == "__main__":
    main()
