"""Every figure that the reports print, beside ours: a page made from studies alone, never by hand.

A configuration stands here by what the tasks of the catalogue say was reported for it (`Task.reported`). What was not
run, or ran with less than its task's protocol, says so in its row.
"""

from __future__ import annotations

import os
import platform
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from search_spaces.catalog import TASKS
from search_spaces.domains import params_id
from search_spaces.scalars import text
from search_spaces.task import Protocol, Reported, Task
from tune_jobs import leaderboard
from tune_jobs.exports import factor_tables
from tune_jobs.factors import factor_study, is_one_factor
from tune_jobs.leaderboard import Row
from tune_jobs.progress import duration
from tune_jobs.records import StudyRecord, TrialRecord

_ABSENT = "-"


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


def figures(studies: Sequence[StudyRecord]) -> tuple[Figure, ...]:
    """All that the reports print for the catalogue's tasks, in its order, each in the study that trained it longest."""
    judged = [(study, _judged(study)) for study in studies]
    return tuple(Figure(task, reported, _find(task, reported, judged)) for task in TASKS for reported in task.reported)


def winners(studies: Sequence[StudyRecord]) -> tuple[tuple[str, Found], ...]:
    """For each dataset and family of networks the winner with the best validation score, and how it was found.

    Only studies whose test split was read stand for election, for nothing is claimed of the others.
    """
    best: dict[str, Found] = {}
    for study in studies:
        task = next((task for task in TASKS if task.name == study.terms.task), None)
        row = leaderboard.best(_judged(study))
        if task is None or task.build is None or row is None or row.tested is None:
            continue
        kind = _kind(task)
        if kind not in best or study.terms.objective.is_better(row.score, best[kind].row.score):
            best[kind] = Found(study, row)
    return tuple(sorted(best.items()))


def page(studies: Sequence[StudyRecord], machine: str, at: float, plots: Mapping[str, str] | None = None) -> str:
    """The page in Markdown; `machine` is where it was run, `at` unix seconds, `plots` one-factor studies' pictures."""
    found = figures(studies)
    had = sum(figure.found is not None for figure in found)
    day = datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d")
    lines = [
        "# Results",
        "",
        f"Made by `tune-jobs results` on {day} from {len(studies)} studies run on {machine}.",
        "Everything is chosen on the validation split; test figures are those that `tune-jobs evaluate` read.",
        "Intervals are at 95 %, over seeds and images ([how](leaderboard.md)); with one seed, over the images alone.",
        "",
        "## The best of each kind",
        "",
        "Chosen by its validation score among all studies of the kind that were evaluated.",
        "`reported` is the best figure of the reports for that data and family.",
        "",
        *_winners_table(studies),
        "",
        "## Every figure of the reports on images",
        "",
        f"{had} of {len(found)} were run. A budget that is not `full` is what this machine had time for:",
        "such a row says how the settings compare, not what they can reach.",
        "",
        *_figures_table(found),
        "",
        "## The studies",
        "",
        *_studies_table(studies),
        "",
        "## One factor at a time",
        "",
        *_factors(studies, plots or {}),
    ]
    return "\n".join(lines).rstrip("\n") + "\n"


def this_machine() -> str:
    """What this machine is, in a few words."""
    cores = os.cpu_count() or 0
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{cores} cores of {_processor()}, {memory:.0f} GiB"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    named = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.machine()


def _judged(study: StudyRecord) -> tuple[Row, ...]:
    objective = study.terms.objective
    return leaderboard.judged(leaderboard.rank(study.trials, objective), study.trials, objective)


def _find(task: Task, reported: Reported, judged: Sequence[tuple[StudyRecord, tuple[Row, ...]]]) -> Found | None:
    hits = [
        Found(study, row)
        for study, rows in judged
        if study.terms.task == task.name
        for row in rows
        if row.state == "complete" and row.params_id == _wanted(reported, study)
    ]
    return max(hits, key=lambda found: _effort(found.study.terms.protocol), default=None)


def _wanted(reported: Reported, study: StudyRecord) -> str | None:
    if reported.params is not None:
        return params_id(reported.params)
    moved = sorted(study.transfers, key=lambda transfer: transfer.place)
    return moved[reported.place - 1].params_id if reported.place and len(moved) >= reported.place else None


def _effort(protocol: Protocol) -> tuple[float, int]:
    return (float("inf") if protocol.images is None else protocol.images, protocol.epochs)


def _winners_table(studies: Sequence[StudyRecord]) -> Iterator[str]:
    yield _row("data, family", "reported", "ours, test", "95 %", "validation", "seeds", "test split read", "study")
    yield _row(":--", "--:", "--:", "--:", "--:", "--:", "--:", ":--")
    for kind, found in winners(studies):
        row, tested = found.row, found.row.tested
        assert tested is not None
        times = len(found.study.readings)
        yield _row(
            kind,
            _best_reported(kind),
            f"**{tested.score:.4f}**",
            _interval(tested.interval),
            f"{row.score:.4f}",
            str(row.n),
            "once" if times == 1 else f"{times} times",
            found.study.name,
        )
    yield ""
    for kind, found in winners(studies):
        params = ", ".join(f"{name}={text(value)}" for name, value in found.row.params.items())
        yield f"- {kind}: {params}; {_budget(found.study)}"


def _kind(task: Task) -> str:
    """`mnist, MLP`: the data with the family of networks."""
    family = "" if task.build is None else f", {task.build.__module__.rsplit('.', 1)[-1].upper()}"
    return f"{task.dataset_name}{family}"


def _best_reported(kind: str) -> str:
    values = [
        reported.value
        for task in TASKS
        if _kind(task) == kind
        for reported in task.reported
        if reported.metric == "test_accuracy"
    ]
    return f"{max(values):.4f}" if values else _ABSENT


def _figures_table(found: Sequence[Figure]) -> Iterator[str]:
    yield _row(
        "table", "data, family", "setting", "reported", "ours, test", "95 %", "validation", "95 %", "seeds", "budget"
    )
    yield _row(":--", ":--", ":--", "--:", "--:", "--:", "--:", "--:", "--:", ":--")
    for figure in found:
        yield _row(*_figure_cells(figure))


def _figure_cells(figure: Figure) -> tuple[str, ...]:
    reported = figure.reported
    setting = reported.setting if reported.metric == "test_accuracy" else f"{reported.setting}: {reported.metric}"
    head = (reported.table, _kind(figure.task), setting, f"{reported.value:.4f}")
    if figure.found is None:
        return (*head, *[_ABSENT] * 5, "not run")
    row, study = figure.found.row, figure.found.study
    tested = _tested(row, study, reported.metric)
    return (
        *head,
        *tested,
        f"{row.score:.4f}",
        _interval(row.interval),
        str(row.n) if row.tested is None or row.tested.n == row.n else f"{row.n}, test {row.tested.n}",
        _budget(study),
    )


def _tested(row: Row, study: StudyRecord, metric: str) -> tuple[str, str]:
    """The test figure and its interval; of a metric that is not the objective's the mean and its range over seeds."""
    if row.tested is None:
        return "not read", _ABSENT
    if metric == row.tested.metric:
        return f"{row.tested.score:.4f}", _interval(row.tested.interval)
    by_number: Mapping[int, TrialRecord] = {trial.number: trial for trial in study.trials}
    values = [
        tested.metrics[metric]
        for number in row.trials
        if (tested := by_number[number].tested) and metric in tested.metrics
    ]
    if not values:
        return _ABSENT, _ABSENT
    return f"{statistics.mean(values):.4f}", f"seeds {min(values):.4f} to {max(values):.4f}"


def _budget(study: StudyRecord) -> str:
    """`full`, or what of the task's protocol was cut."""
    task = next((task for task in TASKS if task.name == study.terms.task), None)
    own, had = (task.protocol if task else study.terms.protocol), study.terms.protocol
    cuts = []
    if had.epochs != own.epochs:
        cuts.append(f"{had.epochs} epochs of {own.epochs}")
    if had.images != own.images:
        cuts.append(f"{had.images:,} images")
    return ", ".join(cuts) or "full"


def _studies_table(studies: Sequence[StudyRecord]) -> Iterator[str]:
    yield _row("study", "task", "trials", "best validation", "training", "budget", "test split read", "for")
    yield _row(":--", ":--", "--:", "--:", "--:", ":--", "--:", ":--")
    for study in sorted(studies, key=lambda study: study.name):
        best = leaderboard.best(_judged(study))
        seconds = sum(trial.train_seconds or 0.0 for trial in study.trials)
        yield _row(
            study.name,
            study.terms.task,
            str(len(study.trials)),
            _ABSENT if best is None else f"{best.score:.4f}",
            duration(seconds),
            _budget(study),
            str(len(study.readings)),
            ", ".join(dict.fromkeys(reading.by for reading in study.readings)) or _ABSENT,
        )


def _factors(studies: Sequence[StudyRecord], plots: Mapping[str, str]) -> Iterator[str]:
    for study in studies:
        if is_one_factor(study):
            yield factor_tables.markdown(factor_study(study), level=3)
            yield f"Budget: {_budget(study)}."
            if study.name in plots:
                yield f"\n![learning curves of {study.name}]({plots[study.name]})"
            yield ""


def _interval(interval: tuple[float, float] | None) -> str:
    return _ABSENT if interval is None else f"{interval[0]:.4f}-{interval[1]:.4f}"


def _row(*cells: str) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"
