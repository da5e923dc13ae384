"""Every figure that the reports print on images, beside ours: a page made from studies alone, never by hand.

A configuration stands here by what the tasks of the catalogue say was reported for it (`Task.reported`). What was not
run, or ran with less than its task's protocol, says so in its row. Clocks have a page of their own: `clock_results.py`.
"""

from __future__ import annotations

import os
import platform
import statistics
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from tune_jobs.exports import factor_tables
from tune_jobs.leaderboard import ranking
from tune_jobs.leaderboard.factors import factor_study, is_one_factor
from tune_jobs.leaderboard.ranking import Row
from tune_jobs.records.studies import StudyRecord
from tune_jobs.records.trials import TrialRecord
from tune_jobs.reproduction.reported import (
    ABSENT,
    Figure,
    Found,
    beside_ours,
    budget,
    is_of_clocks,
    judged,
    params_text,
    piped,
    seeds,
    studies_table,
    task_of,
    times,
)
from tune_jobs.search_spaces.catalog import TASKS
from tune_jobs.search_spaces.task import Task


def figures(studies: Sequence[StudyRecord]) -> tuple[Figure, ...]:
    """All that the reports print for the catalogue's tasks on images, in its order."""
    tasks = [task for task in TASKS if not is_of_clocks(task.objective)]
    return beside_ours(tasks, [(study, judged(study)) for study in studies])


def winners(studies: Sequence[StudyRecord]) -> tuple[tuple[str, Found], ...]:
    """For each dataset and family of networks the winner with the best validation score, and how it was found.

    Only studies whose test split was read stand for election, for nothing is claimed of the others.
    """
    best: dict[str, Found] = {}
    for study in studies:
        task = task_of(study)
        row = ranking.best(judged(study))
        if task is None or task.build is None or row is None or row.tested is None:
            continue
        if study.terms.objective != task.objective:  # its scores are another thing
            continue
        kind = _kind(task)
        if kind not in best or study.terms.objective.is_better(row.score, best[kind].row.score):
            best[kind] = Found(study, row)
    return tuple(sorted(best.items()))


def page(studies: Sequence[StudyRecord], machine: str, at: float, plots: Mapping[str, str] | None = None) -> str:
    """The page in Markdown; `machine` is where it was run, `at` unix seconds, `plots` one-factor studies' pictures."""
    studies = [study for study in studies if not is_of_clocks(study.terms.objective)]
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
        *studies_table(studies),
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


def _winners_table(studies: Sequence[StudyRecord]) -> Iterator[str]:
    yield piped("data, family", "reported", "ours, test", "95 %", "validation", "seeds", "test split read", "study")
    yield piped(":--", "--:", "--:", "--:", "--:", "--:", "--:", ":--")
    for kind, found in winners(studies):
        row, tested = found.row, found.row.tested
        assert tested is not None
        yield piped(
            kind,
            _best_reported(kind),
            f"**{tested.score:.4f}**",
            _interval(tested.interval),
            f"{row.score:.4f}",
            str(row.n),
            times(len(found.study.readings)),
            found.study.name,
        )
    yield ""
    for kind, found in winners(studies):
        yield f"- {kind}: {params_text(found.row.params)}; {budget(found.study)}"


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
    return f"{max(values):.4f}" if values else ABSENT


def _figures_table(found: Sequence[Figure]) -> Iterator[str]:
    yield piped(
        "table", "data, family", "setting", "reported", "ours, test", "95 %", "validation", "95 %", "seeds", "budget"
    )
    yield piped(":--", ":--", ":--", "--:", "--:", "--:", "--:", "--:", "--:", ":--")
    for figure in found:
        yield piped(*_figure_cells(figure))


def _figure_cells(figure: Figure) -> tuple[str, ...]:
    reported = figure.reported
    setting = reported.setting if reported.metric == "test_accuracy" else f"{reported.setting}: {reported.metric}"
    head = (reported.table, _kind(figure.task), setting, f"{reported.value:.4f}")
    if figure.found is None:
        return (*head, *[ABSENT] * 5, "not run")
    row, study = figure.found.row, figure.found.study
    tested = _tested(row, study, reported.metric)
    return (
        *head,
        *tested,
        f"{row.score:.4f}",
        _interval(row.interval),
        seeds(row),
        budget(study),
    )


def _tested(row: Row, study: StudyRecord, metric: str) -> tuple[str, str]:
    """The test figure and its interval; of a metric that is not the objective's the mean and its range over seeds."""
    if row.tested is None:
        return "not read", ABSENT
    if metric == row.tested.metric:
        return f"{row.tested.score:.4f}", _interval(row.tested.interval)
    by_number: Mapping[int, TrialRecord] = {trial.number: trial for trial in study.trials}
    values = [
        tested.metrics[metric]
        for number in row.trials
        if (tested := by_number[number].tested) and metric in tested.metrics
    ]
    if not values:
        return ABSENT, ABSENT
    return f"{statistics.mean(values):.4f}", f"seeds {min(values):.4f} to {max(values):.4f}"


def _factors(studies: Sequence[StudyRecord], plots: Mapping[str, str]) -> Iterator[str]:
    for study in studies:
        if is_one_factor(study):
            yield factor_tables.markdown(factor_study(study), level=3)
            yield f"Budget: {budget(study)}."
            if study.name in plots:
                yield f"\n![learning curves of {study.name}]({plots[study.name]})"
            yield ""


def _interval(interval: tuple[float, float] | None) -> str:
    return ABSENT if interval is None else f"{interval[0]:.4f}-{interval[1]:.4f}"
