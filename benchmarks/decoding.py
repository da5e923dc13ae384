"""Measure how long it takes to read a trial of a study: its stored JSON, with every type checked, as a record.

    python benchmarks/decoding.py [STUDY_FILE …]

The table has the microseconds a trial for each study file, from the fastest of several rounds over all of its trials.
The last line is over all trials. Without a file it reads those in `docs/studies`.
"""

from __future__ import annotations

import gc
import time
from pathlib import Path

import measuring  # (it puts this checkout on the path)

from tune_jobs.study import file
from tune_jobs.study.contents import StudyContent, trial_record

STUDIES = measuring.ROOT / "docs" / "studies"
ROUNDS = 20


def main() -> None:
    parser = measuring.make_parser(__doc__)
    parser.add_argument("files", type=Path, nargs="*", metavar="STUDY_FILE", help="default: all of docs/studies")
    files = parser.parse_args().files or sorted(STUDIES.rglob("*.study"))
    studies = [file.read(path) for path in files]
    print(f"{'study':40}{'trials':>8}{'epochs':>8}{'us a trial':>12}")
    for study in studies:
        _print_row(study.name, [study])
    _print_row("all", studies)


def _print_row(name: str, studies: list[StudyContent]) -> None:
    trials = [trial for study in studies for trial in study.trials]
    epochs = sum(len((trial.result or {}).get("history", ())) for trial in trials) / len(trials)
    print(f"{name:40}{len(trials):8}{epochs:8.1f}{_seconds(studies) / len(trials) * 1e6:12.1f}")


def _seconds(studies: list[StudyContent]) -> float:
    """Return the shortest time that one reading of all trials took."""
    gc.disable()
    rounds = []
    for _ in range(ROUNDS):
        started = time.process_time()
        for study in studies:
            for number, trial in enumerate(study.trials):
                trial_record(number, trial)
        rounds.append(time.process_time() - started)
    gc.enable()
    return min(rounds)


if __name__ == "__main__":
    main()
