"""The figures that reports print, found in studies, and the tables that the pages of results have in common.

A configuration is found by what the tasks of the catalogue say was reported for it (`Task.reported`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from tune_jobs.leaderboard import ranking
from tune_jobs.leaderboard.ranking import Row
from tune_jobs.records.studies import StudyRecord
from tune_jobs.search_spaces.catalog import TASKS
from tune_jobs.search_spaces.protocol import Protocol
from tune_jobs.search_spaces.scalars import Params, params_id, text
from tune_jobs.search_spaces.task import Reported, Task
from tune_jobs.words import duration

ABSENT = "-"


@dataclass(frozen=True)
class Found:
    """A configuration in a study of its task."""

    study: StudyRecord
    row: Row


@dataclass(frozen=True)
class Figure:
    """A reported figure and where we have it, if anywhere."""

    task: Task
    reported: Reported
    found: Found | None


def beside_ours(tasks: Sequence[Task], studies: Sequence[tuple[StudyRecord, Sequence[Row]]]) -> tuple[Figure, ...]:
    """All that the reports print for these tasks, in their order, each in the study that trained it longest.

    `studies` are with their rows, as these are to be shown.
    """
    return tuple(Figure(task, reported, _find(task, reported, studies)) for task in tasks for reported in task.reported)


def ranked_rows(study: StudyRecord) -> tuple[Row, ...]:
    """Return the study's configurations in order, each with its uncertainty beside all others."""
    objective = study.terms.objective
    return ranking.with_uncertainty(ranking.rank(study.trials, objective), study.trials, objective)


def elected(candidates: Iterable[tuple[str, StudyRecord, Row | None]]) -> tuple[tuple[str, Found], ...]:
    """Return the winner of each kind: the best validation score of the studies whose test split was read.

    Candidates are kinds, each with a study and its best configuration. Nothing is claimed of a study whose test split
    was not read.
    """
    best: dict[str, Found] = {}
    for kind, study, row in candidates:
        if row is None or row.tested is None:
            continue
        if kind not in best or study.terms.objective.is_better(row.score, best[kind].row.score):
            best[kind] = Found(study, row)
    return tuple(sorted(best.items()))


def task_of(study: StudyRecord) -> Task | None:
    """The task of the catalogue that the study is of; None for a user's own."""
    return next((task for task in TASKS if task.name == study.terms.task), None)


def effort(protocol: Protocol) -> tuple[float, int]:
    """What orders budgets: images to train on, then epochs."""
    return (float("inf") if protocol.images is None else protocol.images, protocol.epochs)


def budget(study: StudyRecord) -> str:
    """`full`, or what of the task's protocol was cut."""
    task = task_of(study)
    own, had = (task.protocol if task else study.terms.protocol), study.terms.protocol
    cuts = []
    if had.epochs != own.epochs:
        cuts.append(f"{had.epochs} epochs of {own.epochs}")
    if had.images != own.images:
        cuts.append(f"{had.images:,} images")
    if had.precision != own.precision:
        cuts.append(had.precision)
    return ", ".join(cuts) or "full"


def params_text(params: Params) -> str:
    """`units=64, activation=relu`."""
    return ", ".join(f"{name}={text(value)}" for name, value in params.items())


def times(count: int) -> str:
    """`once`, `2 times`."""
    return "once" if count == 1 else f"{count} times"


def seeds(row: Row) -> str:
    """How many, and of how many the test split was read where not of all."""
    return str(row.n) if row.tested is None or row.tested.n == row.n else f"{row.n}, test {row.tested.n}"


def studies_table(studies: Sequence[StudyRecord], decimals: int = 4) -> Iterator[str]:
    """The studies in alphabetical order, with what they cost."""
    yield piped("study", "task", "trials", "best validation", "training", "budget", "test split read", "for")
    yield piped(":--", ":--", "--:", "--:", "--:", ":--", "--:", ":--")
    for study in sorted(studies, key=lambda study: study.name):
        best = ranking.best(ranking.rank(study.trials, study.terms.objective))
        seconds = sum(trial.train_seconds or 0.0 for trial in study.trials)
        yield piped(
            study.name,
            study.terms.task,
            str(len(study.trials)),
            ABSENT if best is None else f"{best.score:.{decimals}f}",
            duration(seconds),
            budget(study),
            str(len(study.readings)),
            ", ".join(dict.fromkeys(reading.by for reading in study.readings)) or ABSENT,
        )


def piped(*cells: str) -> str:
    """A row of a table in Markdown."""
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _find(task: Task, reported: Reported, studies: Sequence[tuple[StudyRecord, Sequence[Row]]]) -> Found | None:
    hits = [
        Found(study, row)
        for study, rows in studies
        if study.terms.task == task.name
        and study.terms.objective == task.objective  # else its scores are another thing
        for row in rows
        if row.state == "complete" and row.params_id == _wanted(reported, study)
    ]
    return max(hits, key=lambda found: effort(found.study.terms.protocol), default=None)


def _wanted(reported: Reported, study: StudyRecord) -> str | None:
    if reported.params is not None:
        return params_id(reported.params)
    moved = sorted(study.transfers, key=lambda transfer: transfer.place)
    return moved[reported.place - 1].params_id if reported.place and len(moved) >= reported.place else None
