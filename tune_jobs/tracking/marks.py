"""The tags by which our experiments and runs are found again, whatever people do to their names.

MLflow's pages hide tags with its own prefix, so nobody changes these by accident.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tune_jobs.records.trials import TrialRecord
from tune_jobs.tracking.names import LONGEST_TAG, cut

if TYPE_CHECKING:
    from mlflow.entities import Run

PARENT = "mlflow.parentRunId"
NOTE = "mlflow.note.content"
_PREFIX = "mlflow.tune_jobs."

TASK = f"{_PREFIX}task"  # of an experiment: the task whose studies it holds
STUDY = f"{_PREFIX}study"  # of a parent run: the identity of its study
TRIAL_OF = f"{_PREFIX}trial_of"  # of a trial's run: the identity of its study
TRIAL = f"{_PREFIX}trial"  # its number, configuration and seed
END = f"{_PREFIX}end"  # when the trial ended, in unix ms; written last of all
METRICS = f"{_PREFIX}metrics"  # the names of its metrics
TESTED = f"{_PREFIX}tested"  # a digest of its results on the test split
FILES = f"{_PREFIX}files"  # a digest of the files that it reports
LEFT_OUT = f"{_PREFIX}left_out"  # what MLflow refused
OUR_NOTE = f"{_PREFIX}note"  # a digest of the description that we wrote
SET_ASIDE = f"{_PREFIX}set_aside"  # the identity of a study that does not have this run's trial, to which people added

_NOTE_OF_A_TRIAL = re.compile(r"trial (\d+) of study ")
_NAME_OF_A_TRIAL = re.compile(r".*-(\d{4,})")


@dataclass(frozen=True)
class Mark:
    """Which trial a run shows. `configuration` is None for a run of a version that did not mark them."""

    number: int
    configuration: str | None = None

    @classmethod
    def of(cls, trial: TrialRecord) -> Mark:
        return cls(trial.number, f"{trial.params_id}/{trial.seed}")

    @classmethod
    def read(cls, run: Run) -> Mark | None:
        """Return a run's mark; None if it is not a trial's run."""
        tags = run.data.tags
        number, _, configuration = tags.get(TRIAL, "").partition("/")
        if number.isdecimal():
            return cls(int(number), configuration)
        if tags.get("mlflow.source.name") != "tune-jobs" or "seed" not in tags:
            return None
        found = _NOTE_OF_A_TRIAL.match(tags.get(NOTE, "")) or _NAME_OF_A_TRIAL.fullmatch(run.info.run_name or "")
        return None if found is None else cls(int(found[1]))

    def __str__(self) -> str:
        return f"{self.number}/{self.configuration}"


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def has_our_note(tags: Mapping[str, str], legacy: str) -> bool:
    """Return True if people left a run's description as we wrote it.

    That of a version without marks begins with `legacy`.
    """
    note = tags.get(NOTE, "")
    return tags[OUR_NOTE] == digest(note) if OUR_NOTE in tags else not note or note.startswith(legacy)


def note(text: str) -> dict[str, str]:
    """Return the tags of a description."""
    kept = cut(text, LONGEST_TAG)
    return {NOTE: kept, OUR_NOTE: digest(kept)}
