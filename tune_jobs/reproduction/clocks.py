"""The page on telling the time: the figures of the reports beside ours, computed from studies alone.

Tests decide the claims of the reports (`clock_studies.py`); every row has its budget.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from tune_jobs.datasets.clocks import faces
from tune_jobs.leaderboard import ranking
from tune_jobs.leaderboard.encodings import Entry, evaluated, means
from tune_jobs.models import clock_encodings
from tune_jobs.records.studies import StudyRecord
from tune_jobs.reproduction import claims, clock_studies, clock_summary
from tune_jobs.reproduction.clock_studies import CLOCK_TASKS, BothDecodings, claim_results, encoding_name, is_of_clocks
from tune_jobs.reproduction.page import Origin, Section, coverage, rendered
from tune_jobs.reproduction.reported import (
    ABSENT,
    Figure,
    Match,
    beside_ours,
    budget,
    effort,
    elected,
    params_text,
    piped,
    seeds,
    split_readings,
    studies_table,
)
from tune_jobs.search_spaces.reported import Reported

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing

# The metrics of the reports: the name of each, and the minutes in its unit. One that is not an error stands beside ours
# in minutes.
_METRICS: Mapping[str, tuple[str, float]] = {
    "common_sense_error_hours": ("common-sense error, hours", 60.0),
    "common_sense_error_minutes": ("common-sense error, minutes", 1.0),
    "mean_absolute_error_hours": ("mean absolute error, hours", 60.0),
    "hour_accuracy": ("hour accuracy", 1.0),
    "class_accuracy": ("class accuracy", 1.0),
}


def of_clocks(studies: Sequence[StudyRecord]) -> list[StudyRecord]:
    """Return the studies of clocks, the longest trained first."""
    own = [study for study in studies if is_of_clocks(study)]
    return sorted(own, key=lambda study: (effort(study.terms.protocol), len(study.trials)), reverse=True)


def figures(studies: Sequence[StudyRecord]) -> tuple[Figure, ...]:
    """Return all that the reports print for the catalogue's tasks of clocks, in its order.

    If several tasks have the same figure, it stands beside the first of them that was run. It stands there once more
    for each data set that somebody brought and it was run on, such as the reports' own.
    """
    same: dict[tuple[str, str], list[Figure]] = {}
    brought = sorted({study.terms.dataset for study in studies if study.terms.data_given})
    for data in (None, *brought):
        ranked = [(study, clock_studies.ranked_rows(study)) for study in studies if study.terms.given_data == data]
        for key, figure in _first_run(beside_ours(CLOCK_TASKS, ranked)).items():
            same.setdefault(key, []).append(figure)
    return tuple(figure for figures in same.values() for figure in _run(figures))


def _first_run(figures: Iterable[Figure]) -> dict[tuple[str, str], Figure]:
    """Return each reported figure with the first task that it was run for, by its table and setting."""
    same: dict[tuple[str, str], list[Figure]] = {}
    for figure in figures:
        same.setdefault(figure.name, []).append(figure)
    return {key: (_matched(figures) or figures)[0] for key, figures in same.items()}


def _run(figures: list[Figure]) -> list[Figure]:
    """Return a figure on each data set that it was run on; once, where it was not run."""
    return _matched(figures) or figures[:1]


def _matched(figures: list[Figure]) -> list[Figure]:
    return [figure for figure in figures if figure.match]


def winners(studies: Sequence[StudyRecord]) -> tuple[tuple[str, Match], ...]:
    """Return the winner of each data set: the smallest validation error of the studies whose test split was read."""
    rows = [(study, ranking.best(clock_studies.ranked_rows(study))) for study in studies]
    return elected((study.terms.dataset, study, row) for study, row in rows)


def drawings(studies: Sequence[StudyRecord]) -> dict[str, Drawing]:
    """Draw the plots of the page, by what they show: `curves-STUDY`, `errors-DATA` and `worst-DATA`."""
    from tune_jobs.exports import encodings_plot, reading_plots

    own, drawn = of_clocks(studies), {}
    for study in own:
        entries = clock_studies.entries(study)
        if len(entries) > 1 and any(entry.curve is not None for entry in entries):
            objective, scale = study.terms.objective, clock_encodings.SCALE
            drawn[f"curves-{study.name}"] = encodings_plot.encodings_plot(study.name, entries, objective, scale)
    for data, best in winners(own):
        trial = evaluated(best.study, best.row)
        figures = {} if trial is None else reading_plots.plots_of_test(best.study.name, trial)
        drawn |= {f"{kind}-{data}": figure for kind, figure in figures.items()}
    return drawn


def page(studies: Sequence[StudyRecord], machine: str, made_at: float, plots: Mapping[str, str] | None = None) -> str:
    """Return the page in Markdown; `machine` is where it is made, `plots` has the files of the drawings."""
    studies, plots = of_clocks(studies), plots or {}
    reported = figures(studies)
    run = {figure.name for figure in reported if figure.match}
    about = (*_ABOUT, "", *_about_the_data(studies))
    sections = (
        Section("Summary", clock_summary.lines(studies, reported, winners(studies))),
        Section(
            "Every figure of the reports on clocks",
            (
                *coverage(len(run), len({figure.name for figure in reported})),
                *_figures_table(reported),
            ),
        ),
        Section("The encodings", (*_ABOUT_ENCODINGS, *_encodings(studies, plots))),
        Section("The order of the reports", (*_ABOUT_ORDER, *_order(studies))),
        Section("Joint against plain reading", (*_ABOUT_READINGS, *_both_readings(studies))),
        Section("The best model", _best(studies, plots)),
        Section("The studies", studies_table(studies, decimals=2)),
    )
    origin = Origin(len(studies), machine, made_at)
    return rendered("Telling the time", "tune-jobs results --page clock", origin, about, sections)


_ABOUT = (
    "An error is the common-sense one: the shorter way round the dial, in minutes where no unit is named.",
    "Everything is chosen on the validation split; test figures are those that `tune-jobs evaluate` read.",
    "Intervals are at 95 %, over seeds and images ([how](leaderboard.md)), each encoding with a spread over seeds",
    "of its own; with one seed, over the images alone.",
)
_ABOUT_ENCODINGS = (
    "Each by the best of its configurations; `tried` is how many of them there were to choose from.",
    "",
)
_ABOUT_ORDER = (
    "What the reports say of their encodings, and whether it holds here: by paired tests over the seeds that two",
    "encodings share, on the same validation images, at 95 %. A claim about several is confirmed if it holds",
    "beside each of them, and refuted if it is wrong beside one.",
    "`difference` is the first's error less that of the one named: the clearest that speaks against the claim, or",
    "else the one closest to it.",
    "",
)
_ABOUT_READINGS = (
    "The same outputs of networks with two circles, read hand by hand, and as the time whose two hands are",
    "closest. Slips are images read wrong by whole hours, to within ten minutes.",
    "",
)


def _about_the_data(studies: Sequence[StudyRecord]) -> Iterator[str]:
    names = sorted({study.terms.dataset for study in studies})
    drawn = [name for name in names if name in faces.SETS]
    if drawn or not names:
        listed = f" (`{'`, `'.join(drawn)}`)" if drawn else ""
        yield f"The images are ours, not the reports': clocks rendered from a seed{listed}, since the reports' images"
        yield "cannot be downloaded. Figures of theirs and of ours are therefore of different pictures."
    others = [name for name in names if name not in drawn]
    if others:
        yield f"The images of `{'`, `'.join(others)}` were brought by whoever ran the studies."


def _figures_table(reported: Sequence[Figure]) -> Iterator[str]:
    head = ("table", "setting", "reported", "what is reported", "ours, test", "95 %", "validation", "95 %")
    yield piped(*head, "seeds", "images", "budget")
    yield piped(":--", ":--", "--:", ":--", *["--:"] * 5, ":--", ":--")
    for figure in reported:
        yield piped(*_figure_cells(figure))


def _figure_cells(figure: Figure) -> tuple[str, ...]:
    """Return a row in the unit of what is reported; ours is always the common-sense error, and the row says so."""
    reported = figure.reported
    metric, minutes = _METRICS[reported.metric]
    unit = "h" if minutes == 60.0 else "min"
    if not reported.metric.startswith("common_sense_error"):
        metric = f"{metric}; ours is the common-sense error"
    head = (reported.table, reported.setting, _reported(reported, unit), metric)
    if figure.match is None:
        return (*head, *[ABSENT] * 6, figure.not_run)
    row, study = figure.match.row, figure.match.study
    test = ("not read", ABSENT)
    if row.tested is not None:
        test = (_error(row.tested.score, minutes, unit), _interval(row.tested.interval, minutes))
    validation = (_error(row.score, minutes, unit), _interval(row.interval, minutes))
    return (*head, *test, *validation, seeds(row), study.terms.dataset, budget(study, reported))


def _reported(reported: Reported, unit: str) -> str:
    return f"{reported.value:g}" if reported.metric.endswith("accuracy") else f"{reported.value:g} {unit}"


def _encodings(studies: Sequence[StudyRecord], plots: Mapping[str, str]) -> Iterator[str]:
    compared = [study for study in studies if len(clock_studies.entries(study)) > 1]
    if not compared:
        yield from ("No study has two encodings to compare.", "")
    for study in compared:
        yield from (f"### {study.name}", "", f"{_place(study)}.", "")
        yield piped(
            *("encoding", "error", "95 %", "median", "within 1", "within 5", "within 10", "hour slips"),
            *("seeds", "tried", "test", "95 %"),
        )
        yield piped(":--", *["--:"] * 11)
        for entry in clock_studies.entries(study):
            yield piped(*_entry_cells(study, entry))
        yield ""
        if file := plots.get(f"curves-{study.name}"):
            yield from (f"![learning curves of {study.name}]({file})", "")


def _entry_cells(study: StudyRecord, entry: Entry) -> tuple[str, ...]:
    row, tested = entry.row, entry.row.tested
    median = clock_studies.median(study, row)
    shares = ("within_1_minute", "within_5_minutes", "within_10_minutes", "hour_slips")
    return (
        entry.name,
        f"{row.score:.2f}",
        _interval(row.interval),
        ABSENT if median is None else f"{median:.2f}",
        *(_share(entry.metrics.get(f"val_{name}")) for name in shares),
        seeds(row),
        str(entry.configurations),
        ABSENT if tested is None else f"{tested.score:.2f}",
        ABSENT if tested is None else _interval(tested.interval),
    )


def _order(studies: Sequence[StudyRecord]) -> Iterator[str]:
    compared = [study for study in studies if clock_studies.can_decide(study)]
    if not compared:
        yield from ("Nothing is decided: no study has two encodings that a claim is about.", "")
    for study in compared:
        yield from (f"### In {study.name}", "")
        yield from claims.table([(result, _place(study)) for result in claim_results(study)], 2)
        yield ""


def _both_readings(studies: Sequence[StudyRecord]) -> Iterator[str]:
    decoded = [(study, both) for study in studies for both in clock_studies.both_decodings(study)]
    if not decoded:
        yield "No network with two circles was run that was read both ways."
        return
    yield _count_of_joint([both for _, both in decoded if both.split == "val"])
    yield ""
    yield piped("study", "configuration", "split", "seeds", "plain", "joint", "change", "slips, plain", "slips, joint")
    yield piped(":--", ":--", ":--", *["--:"] * 6)
    for study, both in decoded:
        yield piped(study.name, *_both_cells(study, both))


def _count_of_joint(on_validation: Sequence[BothDecodings]) -> str:
    learned = [both for both in on_validation if not both.is_at_chance]
    lower = sum(both.errors[1] < both.errors[0] for both in learned)
    at_chance = len(on_validation) - len(learned)
    left_out = f" Not counted: {at_chance} that read no better than chance." if at_chance else ""
    return f"On the validation split {lower} of {len(learned)} configurations are read better jointly.{left_out}"


def _both_cells(study: StudyRecord, both: BothDecodings) -> tuple[str, ...]:
    plain, joint = both.errors
    varied = {name: value for name, value in both.row.params.items() if name in _varied(study)}
    return (
        params_text(varied) or encoding_name(both.row.params),
        "validation" if both.split == "val" else "test",
        str(both.n),
        f"{plain:.2f}",
        f"{joint:.2f}",
        f"{joint - plain:+.2f}",
        *(_share(slips) for slips in both.slips),
    )


def _varied(study: StudyRecord) -> set[str]:
    """Return the parameters with several values among the study's configurations with two circles."""
    rows = [both.row.params for both in clock_studies.both_decodings(study)]
    names = {name for params in rows for name in params}
    return {name for name in names if len({repr(params.get(name)) for params in rows}) > 1}


def _best(studies: Sequence[StudyRecord], plots: Mapping[str, str]) -> Iterator[str]:
    best_of_each = winners(studies)
    if not best_of_each:
        yield from ("The test split was not read for any study.", "")
    for data, best in best_of_each:
        study, row, tested = best.study, best.row, best.row.tested
        assert tested is not None
        yield from (f"### On {data}", "", "The smallest validation error of the studies whose test split was read.", "")
        yield piped("", "")
        yield piped(":--", ":--")
        yield piped("study", study.name)
        yield piped("configuration", params_text(row.params))
        yield piped("data", _place(study))
        yield piped("seeds", seeds(row))
        yield piped("validation", f"{row.score:.2f} minutes ({_interval(row.interval)})")
        yield piped(
            f"test, read {split_readings(study, studies)}",
            f"**{tested.score:.2f} minutes** ({_interval(tested.interval)})",
        )
        yield from _test_shares(best)
        yield ""
        for kind, words in (("errors", "error over the true time"), ("worst", "the images that were read worst")):
            if file := plots.get(f"{kind}-{data}"):
                yield from (f"![{words}, {data}]({file})", "")


def _test_shares(best: Match) -> Iterator[str]:
    measured = means(
        [trial.tested.metrics for trial in best.study.trials if trial.number in best.row.trials and trial.tested]
    )
    named = {
        "within 1 minute": "test_within_1_minute",
        "within 5 minutes": "test_within_5_minutes",
        "within 10 minutes": "test_within_10_minutes",
        "wrong by whole hours": "test_hour_slips",
    }
    for words, name in named.items():
        if name in measured:
            yield piped(f"test, {words}", _share(measured[name]))


def _place(study: StudyRecord) -> str:
    """Return the data of a study, and its budget: `clock-faces`, budget: 20 epochs of 60."""
    data = study.terms.dataset
    form = f" ({faces.SETS[data].words})" if data in faces.SETS else ""
    return f"`{data}`{form}, budget: {budget(study)}"


def _error(minutes: float, unit_minutes: float, unit: str) -> str:
    return f"{minutes / unit_minutes:.4f} {unit}" if unit_minutes != 1 else f"{minutes:.2f} {unit}"


def _interval(interval: tuple[float, float] | None, unit_minutes: float = 1.0) -> str:
    if interval is None:
        return ABSENT
    decimals = 2 if unit_minutes == 1 else 4
    return " to ".join(f"{max(end, 0.0) / unit_minutes:.{decimals}f}" for end in interval)


def _share(value: float | None) -> str:
    return ABSENT if value is None else f"{100 * value:.1f} %"
