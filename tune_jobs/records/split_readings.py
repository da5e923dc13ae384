"""How often the test split of some data was read, by all studies that are known here.

Every look at a test split makes the best figure on it a little luckier, whichever study looks. Studies of earlier
versions do not say which split they read: their readings count for every study on data of the same name.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from tune_jobs.records.studies import Evaluation, StudyRecord, StudyTerms
from tune_jobs.words import ordinal


@dataclass(frozen=True)
class SplitReading:
    """A reading of a test split, with the study and the task that it was for."""

    study: str
    task: str
    evaluation: Evaluation


def readings_of(split: str, terms: StudyTerms, studies: Iterable[StudyRecord]) -> tuple[SplitReading, ...]:
    """Return the readings of a test split, the first one first. `terms` are those of a study on it."""
    found = [
        SplitReading(study.name, study.terms.task, evaluation)
        for study in studies
        for evaluation in study.readings
        if evaluation.split == split or (evaluation.split is None and is_same_data(study.terms, terms))
    ]
    return tuple(sorted(found, key=lambda reading: reading.evaluation.at))


def place_among_all(evaluation: Evaluation) -> str:
    """Return a reading's place among all readings of its split, or nothing where that is not known."""
    return "" if evaluation.place is None else f"the {ordinal(evaluation.place)} reading of this split by any study"


def begun_since(at: float, terms: StudyTerms, studies: Iterable[StudyRecord]) -> int:
    """Return how many trials on the same data began after a moment, in unix seconds."""
    return sum(
        trial.started is not None and trial.started > at
        for study in studies
        if is_same_data(study.terms, terms)
        for trial in study.trials
    )


def is_same_data(one: StudyTerms, other: StudyTerms) -> bool:
    """Return True if two studies are on data of one digest or of one name."""
    return one.data_digest == other.data_digest or one.dataset == other.dataset
