"""A study of clocks by its label encodings: which reads the time best, and whether the claims of the reports hold.

Pure functions over a record. The best configuration of an encoding stands for it.
"""

from __future__ import annotations

import inspect
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from tune_jobs.leaderboard import encodings
from tune_jobs.leaderboard.encodings import Entry
from tune_jobs.leaderboard.ranking import Row
from tune_jobs.models import clock_encodings
from tune_jobs.records.per_image import unpack
from tune_jobs.records.studies import StudyRecord
from tune_jobs.records.trials import TrialRecord
from tune_jobs.reproduction.claims import Claim, ClaimResult, Known, decide, has_complete, pairs_of
from tune_jobs.search_spaces.catalog import TASKS
from tune_jobs.search_spaces.scalars import Params, Value
from tune_jobs.search_spaces.tasks import clock

CLOCK_TASKS = tuple(task for task in TASKS if task.encoding is clock_encodings.build)

CHANCE = 180.0  # minutes: the error of any answer that has not looked at the picture

_MEASURES = ("error_minutes", "hour_slips")  # of two-hands networks, for both decodings


@dataclass(frozen=True)
class BothDecodings:
    """A configuration whose outputs were decoded plainly and jointly: means over its seeds, errors in minutes."""

    row: Row
    split: Literal["val", "test"]
    n: int
    errors: tuple[float, float]  # plain, joint
    slips: tuple[float, float]

    @property
    def is_at_chance(self) -> bool:
        """True if the 95 % interval of the validation error has that of an answer by chance in it."""
        return self.row.interval is not None and self.row.interval[0] <= CHANCE <= self.row.interval[1]


# The encodings for which the reports print an error, with the params that ask for each.
REPORTED_ENCODINGS: Mapping[str, Mapping[str, Value]] = {
    "regression": {"encoding": "regression"},
    "24 classes": {"encoding": "classes", "classes": 24},
    "72 classes": {"encoding": "classes", "classes": 72},
    "720 classes": {"encoding": "classes", "classes": 720},
    "multi-head": {"encoding": "multi-head"},
    "sine and cosine": {"encoding": "hour-hand"},
    "two circles": {"encoding": "two-hands"},
}


def _all_but(subject: str) -> tuple[str, ...]:
    return tuple(name for name in REPORTED_ENCODINGS if name != subject)


CLAIMS = (
    Claim("720 classes are the worst", "720 classes", "worse", _all_but("720 classes"), "report A, 2.2"),
    Claim(
        "regression is worse than the hour hand's sine and cosine",
        *("regression", "worse", ("sine and cosine",)),
        source="report A, 2.4",
    ),
    Claim(
        "the hour hand's sine and cosine are better than classes and the multi-head network",
        *("sine and cosine", "better"),
        ("24 classes", "72 classes", "720 classes", "multi-head"),
        "report A, 2.4",
    ),
    Claim("the two hands' circles are the best", "two circles", "better", _all_but("two circles"), "report B, 3.4.3"),
)


ENCODING_PARAMS = tuple(inspect.signature(clock_encodings.build).parameters)


def is_of_clocks(study: StudyRecord) -> bool:
    """Return True if a study's networks tell the time and its scores are errors in minutes.

    The encoding of a catalogue task is known. For a task file, the launch has the params that its encoding takes. A
    study without them may be of an earlier version: its objective decides.
    """
    if study.terms.objective != clock.OBJECTIVE:
        return False
    task = next((task for task in CLOCK_TASKS if task.name == study.terms.reference), None)
    noted = study.launch.encoding_params if study.launch else ()
    return task is not None or noted in ((), ENCODING_PARAMS)


def entries(study: StudyRecord) -> tuple[Entry, ...]:
    """Return the encodings that have a complete configuration, the one with the smallest error first."""
    return encodings.entries(study, ENCODING_PARAMS)


def ranked_rows(study: StudyRecord) -> tuple[Row, ...]:
    """Return the configurations in order, each with its uncertainty beside those of its own encoding."""
    return encodings.ranked_rows(study, ENCODING_PARAMS)


def encoding_name(params: Params) -> str:
    """Return an encoding's name: `classes 720`, `two-hands joint`."""
    return encodings.encoding_name(params, ENCODING_PARAMS)


def median(study: StudyRecord, row: Row) -> float | None:
    """Return the median error in minutes, as the mean over a configuration's seeds; None if no trial has it."""
    trials = [trial for trial in study.trials if trial.number in row.trials]
    medians = [median for trial in trials if (median := _median(trial)) is not None]
    return statistics.mean(medians) if medians else None


def claim_results(study: StudyRecord) -> tuple[ClaimResult, ...]:
    """Decide each claim by paired tests over the seeds that two encodings share."""
    of_each = {name: _part(study, params) for name, params in REPORTED_ENCODINGS.items()}
    run = [replace(part, name=name) for name, part in of_each.items() if has_complete(part)]
    known, names = pairs_of(run), {part.name for part in run}
    return tuple(_decided(claim, known, names) for claim in CLAIMS)


def _decided(claim: Claim, known: Known, run: set[str]) -> ClaimResult:
    missing = [name for name in (claim.subject, *claim.rivals) if name not in run]
    return decide(claim, known, missing, larger_is_better=False)


def can_decide(study: StudyRecord) -> bool:
    """Return True if the subject of a claim and one of its rivals were run."""
    run = {name for name, params in REPORTED_ENCODINGS.items() if has_complete(_part(study, params))}
    return any(claim.subject in run and run & set(claim.rivals) for claim in CLAIMS)


def both_decodings(study: StudyRecord) -> tuple[BothDecodings, ...]:
    """Return all configurations that were decoded both ways, best joint error first, on each split that was read."""
    numbers = {trial.number: trial for trial in study.trials}
    decoded = [
        both
        for row in ranked_rows(study)
        if row.state == "complete"
        for both in _both_decodings(row, [numbers[number] for number in row.trials])
    ]
    return tuple(sorted(decoded, key=lambda both: (both.split == "test", both.errors[1])))


def _median(trial: TrialRecord) -> float | None:
    """Return the median over the validation images; None for a trial that kept neither it nor each error."""
    if "val_median_minutes" in trial.metrics:
        return trial.metrics["val_median_minutes"]
    return None if trial.errors is None else float(np.median(unpack(trial.errors)))


def _part(study: StudyRecord, params: Mapping[str, Value]) -> StudyRecord:
    return replace(study, trials=tuple(trial for trial in study.trials if params.items() <= trial.params.items()))


def _both_decodings(row: Row, trials: Sequence[TrialRecord]) -> list[BothDecodings]:
    tested = [trial.tested.metrics for trial in trials if trial.tested is not None and trial.tested.metrics]
    splits: tuple[tuple[Literal["val", "test"], list[Mapping[str, float]]], ...] = (
        ("val", [trial.metrics for trial in trials]),
        ("test", tested),
    )
    decoded = []
    for split, measured in splits:
        mean = encodings.means(measured)
        names = [f"{split}_{decoding}_{measure}" for measure in _MEASURES for decoding in clock_encodings.DECODINGS]
        if all(name in mean for name in names):
            plain, joint, plain_slips, joint_slips = (mean[name] for name in names)
            decoded.append(BothDecodings(row, split, len(measured), (plain, joint), (plain_slips, joint_slips)))
    return decoded
