"""The page on images: every figure of the reports beside ours, computed from studies alone.

The tasks of the catalogue say what was reported for which configuration (`Task.reported`). A row says if its
configuration was not run, or ran with less than its task's protocol. Clocks have a page of their own: `clocks.py`.
"""

from __future__ import annotations

import os
import statistics
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from tune_jobs.exports import factor_tables
from tune_jobs.leaderboard import ranking
from tune_jobs.leaderboard.factors import factor_study, is_one_factor
from tune_jobs.leaderboard.ranking import Row
from tune_jobs.records.studies import StudyRecord
from tune_jobs.records.trials import TrialRecord
from tune_jobs.reproduction import claims, image_claims, image_summary, searches
from tune_jobs.reproduction.clock_studies import CLOCK_TASKS, is_of_clocks
from tune_jobs.reproduction.generative_studies import is_generative
from tune_jobs.reproduction.image_summary import Evidence
from tune_jobs.reproduction.page import Origin, Section, coverage, rendered
from tune_jobs.reproduction.reported import (
    ABSENT,
    Figure,
    Match,
    beside_ours,
    budget,
    elected,
    params_text,
    piped,
    ranked_rows,
    says_something,
    seeds,
    split_readings,
    studies_table,
    task_of,
)
from tune_jobs.search_spaces.catalog import TASKS
from tune_jobs.search_spaces.task import Task
from tune_jobs.study import provenance

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing


def of_images(studies: Sequence[StudyRecord]) -> list[StudyRecord]:
    """Return all studies but those of clocks and of networks that make pictures."""
    return [study for study in studies if not (is_of_clocks(study) or is_generative(study))]


def figures(studies: Sequence[StudyRecord]) -> tuple[Figure, ...]:
    """Return all that the reports print for the catalogue's tasks on images, in its order, beside ours on the same
    data."""
    tasks = [task for task in TASKS if task not in CLOCK_TASKS]
    return beside_ours(tasks, [(study, ranked_rows(study)) for study in studies if not study.terms.data_given])


def winners(studies: Sequence[StudyRecord]) -> tuple[tuple[str, Match], ...]:
    """Return the winner of each data set and family of networks: the best validation score of the studies whose test
    split was read."""
    on_own_data = [study for study in studies if not study.terms.data_given]
    of_tasks = [(task, study) for study in on_own_data if (task := task_of(study)) is not None]
    return elected(
        (_kind(task), study, ranking.best(ranked_rows(study)))
        for task, study in of_tasks
        if task.build is not None and study.terms.objective == task.objective  # else its scores are another thing
    )


def drawings(studies: Sequence[StudyRecord]) -> dict[str, Drawing]:
    """Draw the learning curves of each one-factor study that says something, by its name, and each search's history."""
    from tune_jobs.exports import curves

    own = of_images(studies)
    factors = {study.name: factor_study(study) for study in own if is_one_factor(study) and says_something(study)}
    drawn = {name: curves.curves_plot(study) for name, study in factors.items() if study.has_curves}
    return drawn | searches.drawings(searches.searches(own))


def page(studies: Sequence[StudyRecord], machine: str, made_at: float, plots: Mapping[str, str] | None = None) -> str:
    """Return the page in Markdown; `machine` is where it is made, `plots` has the files of the drawings."""
    studies = of_images(studies)
    ranked = [(study, ranked_rows(study)) for study in studies if not study.terms.data_given]
    reported, best, searched = figures(studies), winners(studies), searches.searches(studies)
    run, decided = sum(figure.match is not None for figure in reported), image_claims.claim_results(ranked)
    evidence = Evidence(
        ranked,
        reported,
        [(kind, match, _best_value(kind)) for kind, match in best],
        [result for result, _ in decided],
        searched,
    )
    kinds = {task.name: _kind(task) for task in TASKS}
    sections = (
        Section("Summary", image_summary.lines(evidence)),
        Section("The best of each kind", (*_ABOUT_WINNERS, *_winners_table(best, studies))),
        Section("Searches", searches.lines(searched, kinds, plots or {})),
        Section(
            "Every figure of the reports on images",
            (*coverage(run, len(reported)), *_ABOUT_FIGURES, *_figures_table(reported)),
        ),
        Section("What the reports conclude", (*_ABOUT_CLAIMS, *claims.table(decided, 4))),
        Section("The studies", studies_table(studies)),
        Section("One factor at a time", _factors(studies, plots or {})),
    )
    return rendered("Results", "tune-jobs results", Origin(len(studies), machine, made_at), _ABOUT, sections)


_ABOUT = (
    "Everything is chosen on the validation split; test figures are those that `tune-jobs evaluate` read.",
    "Intervals are at 95 %, over seeds and images ([how](leaderboard.md)); with one seed, over the images alone.",
)
_ABOUT_WINNERS = (
    "Chosen by its validation score among all studies of the kind that were evaluated.",
    "`reported` is the best figure of the reports for that data and family; `tried` is how many configurations the",
    "study had to choose from.",
    "",
)
_ABOUT_FIGURES = (
    "`verdict` is on the test split, at 95 %: our interval, and the printed figure as one run on 10,000 images. How",
    "far the seeds of the reports scatter is not known, so that a verdict near the edge may be by chance.",
    "",
)
_ABOUT_CLAIMS = (
    "By paired tests over the seeds that two configurations share, on the same validation images, at 95 %. A claim",
    "about several is confirmed if it holds beside each of them, and refuted if it is wrong beside one. Almost as well",
    f"is within {claims.EQUAL_WITHIN:g}. `difference` is the first's accuracy less that of the one named: the clearest",
    "that speaks against the claim, or else the one closest to it. What the reports say of overfitting, of cost and of",
    "tuning in general compares nothing and was not tested.",
    "",
)


def this_machine() -> str:
    """Describe this machine in a few words."""
    cores = os.cpu_count() or 0
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{cores} cores of {provenance.processor()}, {memory:.0f} GiB"


def _winners_table(best: Sequence[tuple[str, Match]], studies: Sequence[StudyRecord]) -> Iterator[str]:
    head = ("data, family", "reported", "ours, test", "95 %", "validation", "seeds", "tried", "test split read")
    yield piped(*head, "study")
    yield piped(":--", *["--:"] * 7, ":--")
    for kind, match in best:
        row, tested, value = match.row, match.row.tested, _best_value(kind)
        assert tested is not None
        yield piped(
            kind,
            ABSENT if value is None else f"{value:.4f}",
            f"**{tested.score:.4f}**",
            _interval(tested.interval),
            f"{row.score:.4f}",
            str(row.n),
            str(len(match.study.searched)),
            split_readings(match.study, studies),
            match.study.name,
        )
    yield ""
    for kind, match in best:
        yield f"- {kind}: {params_text(match.row.params)}; {budget(match.study)}"


def _kind(task: Task) -> str:
    """Return the data with the family of networks: `mnist, MLP`."""
    family = "" if task.build is None else f", {task.build.__module__.rsplit('.', 1)[-1].upper()}"
    return f"{task.dataset_name}{family}"


def _best_value(kind: str) -> float | None:
    """Return the best figure of the reports for a kind; None if they print none."""
    values = [
        reported.value
        for task in TASKS
        if _kind(task) == kind
        for reported in task.reported
        if reported.metric == "test_accuracy"
    ]
    return max(values, default=None)


def _figures_table(reported: Sequence[Figure]) -> Iterator[str]:
    head = ("table", "data, family", "setting", "reported", "ours, test", "95 %", "validation", "95 %", "seeds")
    yield piped(*head, "verdict", "budget")
    yield piped(":--", ":--", ":--", *["--:"] * 6, ":--", ":--")
    for figure in reported:
        yield piped(*_figure_cells(figure))


def _figure_cells(figure: Figure) -> tuple[str, ...]:
    reported = figure.reported
    setting = reported.setting if reported.metric == "test_accuracy" else f"{reported.setting}: {reported.metric}"
    head = (reported.table, _kind(figure.task), setting, f"{reported.value:.4f}")
    if figure.match is None:
        return (*head, *[ABSENT] * 6, figure.not_run)
    row, study = figure.match.row, figure.match.study
    return (
        *head,
        *_tested(row, study, reported.metric),
        f"{row.score:.4f}",
        _interval(row.interval),
        seeds(row),
        image_summary.standing(figure) or ABSENT,
        budget(study, reported),
    )


def _tested(row: Row, study: StudyRecord, metric: str) -> tuple[str, str]:
    """Return the test figure and its interval; for another metric than the objective, its mean and range over seeds."""
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
    of_factors = [study for study in studies if is_one_factor(study)]
    for study in of_factors:
        if says_something(study):
            yield factor_tables.markdown(factor_study(study), level=3)
            yield f"Budget: {budget(study)}."
            if study.name in plots:
                yield f"\n![learning curves of {study.name}]({plots[study.name]})"
            yield ""
    without = [f"{study.name} ({budget(study)})" for study in of_factors if not says_something(study)]
    if without:
        yield f"Not run with enough to say something of their factors: {', '.join(without)}."


def _interval(interval: tuple[float, float] | None) -> str:
    return ABSENT if interval is None else f"{interval[0]:.4f}-{interval[1]:.4f}"
