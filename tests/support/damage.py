"""Random bit flips and cuts of a study's file: each is without effect, repaired, or refused in one line.

`python -m tests.support.damage` damages a file 1,000 times, or `--times N`, and prints what came of it. It exits with 1
if one damage changed what the study says, or was told in another way than by one line.
"""

from __future__ import annotations

import argparse
import random
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from tests.support.sweeping import Own, data_of, finished_study, own_task
from tune_jobs.actions import doctor_study
from tune_jobs.errors import StudyError
from tune_jobs.records.studies import Evaluation, Replication, StudyRecord
from tune_jobs.records.trials import LOST, TestResult, TrialRecord
from tune_jobs.settings import Settings
from tune_jobs.study.study import Study
from tune_jobs.training.runs import run_trial

_NOT_BEGUN = "cut to before the study had begun"
KINDS = ("bit", "bit", "bit", "byte", "cut", "hole", "zeros", "gap")


@dataclass(frozen=True)
class Damaged:
    """A file's content after a damage, and what that was."""

    content: bytes
    what: str


def damaged(whole: bytes, chance: random.Random) -> Damaged:
    kind, place = chance.choice(KINDS), chance.randrange(len(whole))
    length = min(chance.randrange(1, 400), len(whole) - place)
    content = bytearray(whole)
    if kind == "bit":
        content[place] ^= 1 << chance.randrange(8)
    elif kind == "byte":
        content[place] = chance.randrange(256)
    elif kind == "cut":
        del content[place:]
    elif kind == "hole":
        del content[place : place + length]
    elif kind == "gap":  # as where a disk has lost a sector
        content[place : place + length] = bytes(length)
    else:
        content[place:] = bytes(len(whole) - place)
    return Damaged(bytes(content), f"{kind} at {place} of {len(whole)}, length {length}")


class Victim:
    """A study of some trials in a home of its own, whose file is damaged again and again."""

    def __init__(self, folder: Path, trials: int = 4) -> None:
        home = folder / "home"
        self.settings = Settings(home, home / "data", None, f"sqlite:///{home / 'mlflow.db'}")
        self.file = self.settings.studies_dir / "own.journal"
        self._own, self._trials = own_task(folder / "task"), trials
        self.make()
        self.whole = self.file.read_bytes()
        self.record = Study.open("own", self.settings).record()

    def make(self) -> None:
        """Make the study in its file."""
        finished_study(self._own, self.settings, "own", search="grid", trials=self._trials)
        _continue(self.settings, self._own)

    def outcome(self, damage: Damaged) -> str:
        """Say in a few words what comes of a damage. Starts with "WRONG" if that is not as it should be."""
        self.file.write_bytes(damage.content)
        seen = self._read()
        held = self._hold()
        if isinstance(seen, str) != isinstance(held, str):
            return f"WRONG: status says {seen}, and launch {held} ({damage.what})"
        if not isinstance(held, str):
            return self._compared(held, "read") or f"WRONG: other values are read ({damage.what})"
        if held == _NOT_BEGUN:
            return held if self.whole.startswith(damage.content.rstrip(b"\0")) else f"WRONG: deleted ({damage.what})"
        if "\n" in held or not held:
            return f"WRONG: {held!r} ({damage.what})"
        if self.file.read_bytes() != damage.content:
            return f"WRONG: refused, and changed ({damage.what})"
        return self._repaired(damage)

    def _read(self) -> StudyRecord | str:
        try:
            return Study.open("own", self.settings).record()
        except StudyError as error:
            return str(error)

    def _hold(self) -> StudyRecord | str:
        try:
            with Study.hold("own", self.settings) as study:
                if not study.has_begun:
                    return _NOT_BEGUN
                study.unfinished()
                study.note_transfers(())  # something is appended
            return Study.open("own", self.settings).record()
        except StudyError as error:
            return str(error)

    def _repaired(self, damage: Damaged) -> str:
        try:
            told = " ".join(doctor_study.repair_file("own", self.settings))
        except StudyError as error:
            return "refused" if "\n" not in str(error) else f"WRONG: {error} ({damage.what})"
        finally:
            for copy in self.file.parent.glob("own.journal.damaged-*"):
                copy.unlink()
        record = self._read()
        if isinstance(record, str):
            return f"WRONG: after a repair {record} ({damage.what})"
        return self._compared(record, "repaired", told) or f"WRONG: other values after a repair ({damage.what}): {told}"

    def _compared(self, record: StudyRecord, verb: str, told: str | None = None) -> str | None:
        """Say what became of the trials; None if a value is another, or one is gone without a word."""
        if record.terms != self.record.terms or record.identity != self.record.identity:
            return None
        changed = [trial for trial, was in zip(record.trials, self.record.trials, strict=False) if trial != was]
        gone = self.record.trials[len(record.trials) :]
        if not changed and not gone:
            return f"{verb}, nothing lost"
        if any(trial.is_finished and not _is_same(trial, self.record.trials[trial.number]) for trial in changed):
            return None
        if told is not None and not all(self._is_named(trial, told) for trial in (*changed, *gone)):
            return None
        return f"{verb}, what is lost is {'cut off and runs again' if told is None else 'named'}"

    def _is_named(self, trial: TrialRecord, told: str) -> bool:
        """Return True if it was told that a trial may have lost something."""
        was = self.record.trials[trial.number]
        may_be_untold = replace(was, tested=None) == trial and "a result on the test split" in told
        return may_be_untold or re.search(rf"\btrial {trial.number}\b", told) is not None


def _continue(settings: Settings, own: Own) -> None:
    """Replicate the first trial, evaluate the second, and leave a replicate of the third running."""
    with Study.hold("own", settings) as study:
        trials = study.record().trials
        study.note_replication(
            Replication(2, 2, False, None, tuple(trial.params_id for trial in trials[:2]), len(trials))
        )
        again = study.start(study.add(own.task.space, trials[0].params, 1))
        study.note_epoch(again.number, 1, 0.25)
        study.finish(again, run_trial(own.task, again.params, data_of(own.task), seed=1), cpus=1.0)
        study.note_evaluation(Evaluation(time.time(), "a reader", (1,)))
        study.note_test(1, TestResult({"test_accuracy": 0.5}, reading=1))
        running = study.start(study.add(own.task.space, trials[2].params, 1))
        study.note_epoch(running.number, 1, 0.25)
        study.note_epoch(running.number, 2, 0.5)


def _is_same(trial: TrialRecord, was: TrialRecord) -> bool:
    """Return True if all that counts is the same, or all is lost: epochs for those who watch and starts may be."""
    if trial.reason == LOST and trial.params == {}:
        return True
    return (trial.params, trial.seed, trial.result) == (was.params, was.seed, was.result)


def outcomes(folder: Path, times: int, seed: int) -> Iterator[str]:
    victim, chance = Victim(folder), random.Random(seed)
    for _ in range(times):
        yield victim.outcome(damaged(victim.whole, chance))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    counts: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        for outcome in outcomes(Path(folder), options.times, options.seed):
            counts[outcome.split(":")[0]] += 1
            if outcome.startswith("WRONG"):
                print(outcome, flush=True)
    for outcome, count in counts.most_common():
        print(f"{count:6}  {outcome}")
    return int("WRONG" in counts)


if __name__ == "__main__":
    sys.exit(main())
