"""How long it takes to read a trial of a study: its stored JSON, with every type checked, as a record.

    python benchmarks/decoding.py [STUDY_FILE …]

Microseconds a trial of each file, the fastest of several rounds over all its trials; `docs/studies` where no file is
named. The last line is over all trials.
"""

from __future__ import annotations

import gc
import sys
import time
from pathlib import Path

from tune_jobs.study import file
from tune_jobs.study.contents import StudyContent, trial_record

STUDIES = Path(__file__).parents[1] / "docs" / "studies"
ROUNDS = 20


def main() -> None:
    files = [Path(word) for word in sys.argv[1:]] or sorted(STUDIES.rglob("*.study"))
    studies = [file.read(path) for path in files]
    print(f"{'study':40}{'trials':>8}{'epochs':>8}{'us a trial':>12}")
    for study in studies:
        _show(study.name, [study])
    _show("all", studies)


def _show(name: str, studies: list[StudyContent]) -> None:
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
