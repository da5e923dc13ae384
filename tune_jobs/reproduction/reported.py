"""The figures of the reports with the configurations of ours that match them, and tables that both pages have.

The tasks of the catalogue say what was reported for which configuration (`Task.reported`).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from tune_jobs.leaderboard import ranking
from tune_jobs.leaderboard.ranking import Row
from tune_jobs.records.split_readings import readings_of
from tune_jobs.records.studies import StudyRecord
from tune_jobs.search_spaces.catalog import TASKS
from tune_jobs.search_spaces.protocol import Protocol
from tune_jobs.search_spaces.reported import Reported
from tune_jobs.search_spaces.scalars import Params, params_id, text
from tune_jobs.search_spaces.task import Task
from tune_jobs.words import duration, times

ABSENT = "-"
LEAST_IMAGES, LEAST_EPOCHS = 12_000, 15  # with which a row says something, where its task has more

Ranked = Sequence[tuple[StudyRecord, Sequence[Row]]]  # studies with their configurations in order


@dataclass(frozen=True)
class Match:
    """A configuration in one of our studies."""

    study: StudyRecord
    row: Row


@dataclass(frozen=True)
class Figure:
    """A reported figure, and the configuration of ours that it is for; None if that was not run.

    `tried` is the study in which it had too little to learn from to say anything, where there is only such a one.
    """

    task: Task
    reported: Reported
    match: Match | None
    tried: StudyRecord | None = None

    @property
    def name(self) -> tuple[str, str]:
        """Where it is printed, and for which setting; several tasks may have the same."""
        return self.reported.table, self.reported.setting

    @property
    def not_run(self) -> str:
        """Return `not run`, with the budget of what was tried."""
        return "not run" if self.tried is None else f"not run; tried: {budget(self.tried, self.reported)}"


def beside_ours(tasks: Sequence[Task], studies: Ranked) -> tuple[Figure, ...]:
    """Return all that the reports print for these tasks, in their order, each with the study that trained it longest.

    `studies` have their ranked rows with them. A study whose trials had too little to learn from counts as none.
    """
    enough = [(study, rows) for study, rows in studies if says_something(study)]
    return tuple(_figure(task, reported, enough, studies) for task in tasks for reported in task.reported)


def ranked_rows(study: StudyRecord) -> tuple[Row, ...]:
    """Return the study's configurations in order, each with its uncertainty beside all others."""
    objective = study.terms.objective
    return ranking.with_uncertainty(ranking.rank(study.trials, objective), study.trials, objective)


def elected(candidates: Iterable[tuple[str, StudyRecord, Row | None]]) -> tuple[tuple[str, Match], ...]:
    """Return the winner of each kind: the best validation score of the studies whose test split was read.

    Candidates are kinds, each with a study and its best configuration. Nothing is claimed of a study whose test split
    was not read.
    """
    best: dict[str, Match] = {}
    for kind, study, row in candidates:
        if row is None or row.tested is None:
            continue
        if kind not in best or study.terms.objective.is_better(row.score, best[kind].row.score):
            best[kind] = Match(study, row)
    return tuple(sorted(best.items()))


def task_of(study: StudyRecord) -> Task | None:
    """Return the study's task in the catalogue; None for a task file, whatever its task is called."""
    return next((task for task in TASKS if task.name == study.terms.task == study.reference), None)


def effort(protocol: Protocol) -> tuple[float, float]:
    """Return a key that orders protocols by their budget: images to train on, then epochs."""
    return (float("inf") if protocol.images is None else protocol.images, protocol.most_epochs)


def says_something(study: StudyRecord) -> bool:
    """Return True if a study's trials had enough images and epochs for what they say of a setting to be worth telling:
    those of its task or, if these are more, `LEAST_IMAGES` and `LEAST_EPOCHS`."""
    task, used = task_of(study), study.terms.protocol
    own = task.protocol if task else used
    images, most_images = used.images or math.inf, own.images or math.inf
    return images >= min(LEAST_IMAGES, most_images) and used.most_epochs >= min(LEAST_EPOCHS, own.most_epochs)


def budget(study: StudyRecord, reported: Reported | None = None) -> str:
    """Return `full`, or what was cut from the task's protocol; of a user's own task, which may have been cut too, what
    its trials had. Beside a figure for which a report says its epochs, these count in place of the task's."""
    task, used = task_of(study), study.terms.protocol
    if task is None:
        return _had(used)
    own, cuts = task.protocol, []
    epochs = own.epochs if reported is None or reported.epochs is None else reported.epochs
    if used.epochs != epochs:
        cuts.append(f"{used.epochs} epochs of {epochs:,}")
    if used.images != own.images:
        cuts.append(f"{used.images:,} images")
    if used.precision != own.precision:
        cuts.append(used.precision)
    return ", ".join(cuts) or "full"


def _had(used: Protocol) -> str:
    epochs = [] if used.epochs is None else [f"{used.epochs} epochs"]
    images = [] if used.images is None else [f"{used.images:,} images"]
    return ", ".join([*epochs, *images, *used.numerics]) or "until each trial ends"


def params_text(params: Params) -> str:
    """Return `units=64, activation=relu`."""
    return ", ".join(f"{name}={text(value)}" for name, value in params.items())


def split_readings(study: StudyRecord, studies: Sequence[StudyRecord]) -> str:
    """Return how often a study read its test split, and all these studies together: `once, of 8 by 5 studies`."""
    if not study.readings:
        return times(0)
    of_all = readings_of(study.readings[-1].split or "", study.terms, studies)
    readers = {reading.study for reading in of_all} - {study.name}
    others = f", of {len(of_all)} by {len(readers) + 1} studies" if readers else ""
    return f"{times(len(study.readings))}{others}"


def seeds(row: Row) -> str:
    """Return the number of seeds, and of those with a test score if they are fewer."""
    return str(row.n) if row.tested is None or row.tested.n == row.n else f"{row.n}, test {row.tested.n}"


def studies_table(studies: Sequence[StudyRecord], decimals: int = 4) -> Iterator[str]:
    """Return a table of the studies in alphabetical order, with their cost."""
    yield piped("study", "task", "trials", "best validation", "training", "budget", "test split read", "for")
    yield piped(":--", ":--", "--:", "--:", "--:", ":--", "--:", ":--")
    for study in sorted(studies, key=lambda study: study.name):
        best = ranking.best(ranking.rank(study.trials, study.terms.objective))
        seconds = sum(trial.train_seconds or 0.0 for trial in study.trials)
        yield piped(
            study.name,
            study.terms.task + (f" on {study.terms.dataset}" if study.terms.data_given else ""),
            str(len(study.trials)),
            ABSENT if best is None else f"{best.score:.{decimals}f}",
            duration(seconds),
            budget(study),
            split_readings(study, studies),
            ", ".join(dict.fromkeys(evaluation.by for evaluation in study.readings)) or ABSENT,
        )


def piped(*cells: str) -> str:
    """Return a row of a table in Markdown."""
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _figure(task: Task, reported: Reported, enough: Ranked, studies: Ranked) -> Figure:
    point = reported.params or reported.place or 0
    match = find(task, point, enough)
    tried = None if match is not None else find(task, point, studies)
    return Figure(task, reported, match, None if tried is None else tried.study)


def find(task: Task, point: Params | int, studies: Ranked) -> Match | None:
    """Return the row of a configuration of a task, from the study that trained it longest; None if it was not run.

    Of studies of the same budget, one whose test split was read comes first, then the one with the most seeds.

    `point` are its params or, of one that was transferred from another task, its place there.
    """
    matches = [
        Match(study, row)
        for study, rows in studies
        if study.terms.task == task.name
        and study.terms.objective == task.objective  # else its scores are another thing
        for row in rows
        if row.state == "complete" and row.params_id == _identity(point, study)
    ]
    return max(matches, key=_weight, default=None)


def _weight(match: Match) -> tuple[float, float, bool, int]:
    return (*effort(match.study.terms.protocol), match.row.tested is not None, match.row.n)


def _identity(point: Params | int, study: StudyRecord) -> str | None:
    if not isinstance(point, int):
        return params_id(point)
    moved = sorted(study.transfers, key=lambda transfer: transfer.place)
    return moved[point - 1].params_id if len(moved) >= point else None
