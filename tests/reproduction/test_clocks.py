"""The page of clocks is made of studies alone: its rows, its order, and decisions that follow the numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.trials import trial_record
from tune_jobs import cli
from tune_jobs.models.clock_encodings import SCALE
from tune_jobs.records import readings
from tune_jobs.records.per_image import pack
from tune_jobs.records.readings import Picture, Readings
from tune_jobs.records.studies import Evaluation, Launch, StudyRecord, StudyTerms
from tune_jobs.records.trials import TestResult, TrialRecord, TrialResult
from tune_jobs.reproduction import clock_studies, clocks, pages
from tune_jobs.search_spaces import Protocol, open_all
from tune_jobs.search_spaces.catalog import find
from tune_jobs.settings import Settings
from tune_jobs.study.study import Study

CLOCKS = find("clock-encodings")
TRUNK = {name: value for name, value in CLOCKS.baseline.items() if name not in CLOCKS.route(CLOCKS.baseline).encoding}
MACHINE = "a machine"

ENCODINGS: dict[str, dict[str, Any]] = {
    "regression": {"encoding": "regression"},
    "classes 24": {"encoding": "classes", "classes": 24},
    "classes 72": {"encoding": "classes", "classes": 72},
    "classes 720": {"encoding": "classes", "classes": 720},
    "multi-head": {"encoding": "multi-head", "minute_weight": 1.0},
    "hour-hand tanh": {"encoding": "hour-hand", "output_activation": "tanh"},
    "two-hands joint": {
        "encoding": "two-hands",
        "decoding": "joint",
        "minute_weight": 1.0,
        "consistency_weight": 0.0,
    },
}
AS_REPORTED = {
    "regression": 42.0,
    "classes 24": 37.0,
    "classes 72": 57.0,
    "classes 720": 182.0,
    "multi-head": 36.0,
    "hour-hand tanh": 20.0,
    "two-hands joint": 3.0,
}


def terms(task_name: str = CLOCKS.name, protocol: Protocol | None = None, dataset: str | None = None) -> StudyTerms:
    task = find(task_name)
    return StudyTerms(
        task=task.name,
        task_digest=task.digest(),
        reference=task.name,
        dataset=dataset or task.dataset_name,
        data_digest="5f1c",
        space=task.space.to_json(),
        objective=task.objective,
        protocol=protocol or task.protocol,
        seed=0,
    )


def params(name: str, **more: Any) -> dict[str, Any]:
    return {**TRUNK, **ENCODINGS[name], **more}


def trial(number: int, chosen: Mapping[str, Any], error: float, seed: int = 0, **more: Any) -> TrialRecord:
    """One whose errors over 50 images have this mean."""
    per_image = error * np.random.default_rng(number).uniform(0.5, 1.5, 50)
    per_image *= error / per_image.mean()
    history = ({"val_error_minutes": 2 * error}, {"val_error_minutes": error})
    metrics = {"val_error_minutes": error, "val_within_5_minutes": 0.25, "val_hour_slips": 0.125} | more.pop("more", {})
    known: dict[str, Any] = {"metrics": metrics, "history": history, "errors": pack(per_image), "train_seconds": 30.0}
    return trial_record(number, chosen, seed, "complete", score=error, **known | more)


def evaluated(error: float, **more: Any) -> TestResult:
    read = Readings(np.arange(50.0), (np.arange(50.0) + error) % 720, SCALE)
    pictures = [Picture(at, np.full((8, 8, 1), 100, np.uint8)) for at in range(3)]
    metrics = {"test_error_minutes": error, "test_within_5_minutes": 0.75, **more}
    packed = readings.pack(read), readings.pack_pictures(pictures)
    return TestResult(metrics, pack(read.errors), error, readings=packed[0], worst=packed[1])


def study(name: str, trials: Sequence[TrialRecord], **changes: Any) -> StudyRecord:
    numbered = tuple(replace(trial, number=number) for number, trial in enumerate(trials))
    return replace(StudyRecord(name, name, terms(), None, 0.0, numbered), **changes)


def of_errors(errors: Mapping[str, float | Sequence[float]], name: str = "all") -> StudyRecord:
    """Each encoding with these errors by seed; a single number is that of three seeds, with a little noise."""
    trials = []
    for at, (encoding, error) in enumerate(errors.items()):
        by_seed = error if isinstance(error, Sequence) else [error * (1 + noise) for noise in (0.01, -0.01, 0.003 * at)]
        trials += [trial(len(trials) + seed, params(encoding), value, seed) for seed, value in enumerate(by_seed)]
    return study(name, trials)


def decisions(record: StudyRecord) -> dict[str, str]:
    return {result.claim.words: result.decision for result in clock_studies.claim_results(record)}


def rows_of(page: str, first: str) -> list[list[str]]:
    lines = [line for line in page.splitlines() if line.startswith(f"| {first} |")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


WORST, REGRESSION, SINE, BEST = (claim.words for claim in clock_studies.CLAIMS)


def test_every_reported_figure_has_a_row_run_or_not() -> None:
    page = clocks.page([study("one", [trial(0, params("regression"), 42.0)])], MACHINE, 0.0)
    figures = [row for row in page.splitlines() if row.startswith("| report ")]
    assert len(figures) == 12  # of the reports' table
    assert sum(row.endswith("not run |") for row in figures) == 10  # both reports have a regression
    assert f"2 of {len(figures)} were run" in page


def test_a_figure_stands_beside_upright_clocks_where_the_others_were_not_run() -> None:
    upright = terms("clock-encodings-upright")
    small = study("small", [trial(0, params("regression"), 12.0), trial(1, params("multi-head"), 6.0)], terms=upright)
    full = study("full", [trial(0, params("regression"), 42.0)])
    page = clocks.page([small, full], MACHINE, 0.0)
    shown = {row[1]: (row[6], row[9]) for row in rows_of(page, "report A, Table 9") if row[-1] != "not run"}
    assert shown == {
        "regression": ("0.7000 h", "clock-faces"),
        "multi-head": ("0.1000 h", "clock-faces-upright"),
    }


def test_a_figure_stands_there_once_for_drawn_clocks_and_once_for_those_that_somebody_brought() -> None:
    drawn = study("drawn", [trial(0, params("regression"), 42.0), trial(1, params("multi-head"), 6.0)])
    brought = replace(terms(dataset="clock-files"), data_given=True)
    own = study("own", [trial(0, params("regression"), 12.0)], terms=brought)
    page = clocks.page([own, drawn], MACHINE, 0.0)
    shown = [(row[1], row[6], row[9]) for row in rows_of(page, "report A, Table 9") if row[-1] != "not run"]
    assert shown == [
        ("regression", "0.7000 h", "clock-faces"),
        ("regression", "0.2000 h", "clock-files"),
        ("multi-head", "0.1000 h", "clock-faces"),
    ]
    assert "4 of 12 were run" in page
    assert "The images of `clock-files` were brought by whoever ran the studies." in page
    assert "clock-encodings on clock-files" in page


def test_a_figure_in_hours_stands_beside_ours_in_hours_and_another_measure_is_named() -> None:
    record = study(
        "one", [trial(0, params("regression"), 42.0, tested=evaluated(45.0))], readings=(Evaluation(0, "ada", (0,)),)
    )
    page = clocks.page([record], MACHINE, 0.0)
    (row,) = [row for row in rows_of(page, "report A, Table 9") if row[1] == "regression"]
    assert row[2:5] == ["0.7053 h", "common-sense error, hours", "0.7500 h"]
    assert (row[6], row[8], row[9], row[10]) == ("0.7000 h", "1", "clock-faces", "full")
    (row,) = rows_of(page, "report B, 3.2.2")
    assert row[3] == "mean absolute error, hours; ours is the common-sense error"
    (row,) = rows_of(page, "report B, 3.1.2")
    assert row[2:4] == ["0.85", "hour accuracy; ours is the common-sense error"]


def test_a_smaller_budget_and_other_data_are_said() -> None:
    cut = replace(CLOCKS.protocol, epochs=15, images=12_000)
    record = study("cut", [trial(0, params("multi-head"), 42.0)], terms=terms(protocol=cut, dataset="clock-faces-150"))
    page = clocks.page([record], MACHINE, 0.0)
    (row,) = [row for row in rows_of(page, "report A, Table 9") if row[1] == "multi-head"]
    assert row[-2:] == ["clock-faces-150", "15 epochs of 60, 12,000 images"]
    assert "The images are ours, not the reports'" in page
    theirs = clocks.page([replace(record, terms=terms(dataset="clock-files"))], MACHINE, 0.0)
    assert "The images are ours" not in theirs
    assert "`clock-files` were brought by whoever ran the studies" in theirs


def test_studies_of_other_things_are_not_on_the_page() -> None:
    other = study("digits", [], terms=replace(terms(), objective=find("digits-mlp").objective))
    page = clocks.page([other, of_errors(AS_REPORTED)], MACHINE, 0.0)
    assert "from 1 study" in page
    assert "digits" not in page


@pytest.mark.parametrize(
    ("reference", "noted", "page"),
    [
        (CLOCKS.name, (), "clock"),
        ("own.py:OWN", clock_studies.ENCODING_PARAMS, "clock"),
        ("own.py:OWN", ("bins",), "images"),
        ("own.py:OWN", (), "clock"),  # begun by an earlier version, which noted nothing of that
    ],
)
def test_a_study_is_of_clocks_if_its_encoding_takes_what_theirs_take(
    reference: str, noted: tuple[str, ...], page: str
) -> None:
    launch = Launch("random", 1, "host", 0.0, None, {}, encoding_params=noted)
    record = study("one", [], terms=replace(terms(), reference=reference), launch=launch)
    assert pages.page_of(record) == page
    other = replace(record.terms, objective=find("digits-mlp").objective)
    assert pages.page_of(replace(record, terms=other)) == "images"


def test_encodings_stand_in_the_order_of_their_best_configurations() -> None:
    """The second configuration of an encoding is better; one with more seeds comes before a lucky one."""
    weights = [params("multi-head", minute_weight=weight) for weight in (1.0, 3.0)]
    trials = [trial(0, weights[0], 36.0), trial(1, weights[1], 30.0), trial(2, params("regression"), 32.0)]
    trials += [trial(3, params("two-hands joint"), 6.0, 0), trial(4, params("two-hands joint"), 8.0, 1)]
    trials += [trial(5, params("two-hands joint", minute_weight=3.0), 1.0, 0)]
    found = clock_studies.entries(study("all", trials))
    assert [(entry.name, entry.row.score, entry.configurations) for entry in found] == [
        ("two-hands joint", 7.0, 2),
        ("multi-head", 30.0, 2),
        ("regression", 32.0, 1),
    ]
    page = clocks.page([study("all", trials)], MACHINE, 0.0)
    (row,) = rows_of(page, "two-hands joint")
    assert (row[1], row[5], row[7], row[8], row[9], row[10]) == ("7.00", "25.0 %", "12.5 %", "2", "2", "-")


def test_the_median_is_over_images_where_no_metric_says_it() -> None:
    one = trial(0, params("regression"), 42.0)
    errors = 42.0 * np.random.default_rng(0).uniform(0.5, 1.5, 50)
    assert median_of(one) == pytest.approx(np.median(errors * 42.0 / errors.mean()), rel=1e-5)
    assert median_of(trial(0, params("regression"), 42.0, more={"val_median_minutes": 7.0})) == 7.0
    assert median_of(replace(one, result=replace(one.result, errors=None))) is None


def median_of(one: TrialRecord) -> float | None:
    record = study("all", [one])
    (entry,) = clock_studies.entries(record)
    return clock_studies.median(record, entry.row)


def test_an_encoding_that_is_never_the_same_does_not_widen_the_interval_of_another() -> None:
    calm = {"two-hands joint": [3.0, 3.1, 2.9]}
    wild = calm | {"classes 720": [20.0, 100.0, 180.0]}
    intervals = [
        next(
            entry for entry in clock_studies.entries(of_errors(errors)) if entry.name == "two-hands joint"
        ).row.interval
        for errors in (calm, wild)
    ]
    assert intervals[0] == intervals[1]
    assert intervals[0] is not None
    assert intervals[0][0] < 3.0 < intervals[0][1] < 5.0


def test_what_the_reports_found_is_confirmed_by_their_own_order() -> None:
    record = of_errors(AS_REPORTED)
    assert set(decisions(record).values()) == {"confirmed"}
    worst = clock_studies.claim_results(record)[0]
    assert (worst.rival, worst.seeds) == ("72 classes", 3)  # the one that is nearly as bad
    assert worst.difference == pytest.approx(125.0, abs=2)
    assert worst.interval is not None
    assert 0 < worst.interval[0] < worst.difference < worst.interval[1]


def test_the_opposite_order_refutes_every_claim_and_names_the_clearest_against_it() -> None:
    turned = {name: 200.0 - error for name, error in AS_REPORTED.items()}
    record = of_errors(turned)
    assert set(decisions(record).values()) == {"refuted"}
    worst, regression, _, best = clock_studies.claim_results(record)
    assert worst.rival == "two circles"
    assert worst.difference is not None
    assert worst.difference < 0
    assert (regression.rival, best.rival) == ("sine and cosine", "720 classes")
    assert best.difference is not None
    assert best.difference > 0


def test_the_difference_and_its_interval_are_those_of_the_paired_test() -> None:
    """Student (1908), the extra hours of sleep of ten patients, and what R 4.3 prints for t.test(paired = TRUE)."""
    first = [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0]
    second = [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4]
    record = of_errors({"regression": [5 + x for x in second], "hour-hand tanh": [5 + x for x in first]})
    result = clock_studies.claim_results(record)[1]
    assert (result.decision, result.seeds) == ("confirmed", 10)
    assert result.difference == pytest.approx(1.58)
    assert result.interval == pytest.approx((0.7001142, 2.4598858), abs=1e-6)
    turned = of_errors({"regression": [5 + x for x in first], "hour-hand tanh": [5 + x for x in second]})
    result = clock_studies.claim_results(turned)[1]
    assert result.decision == "refuted"
    assert result.interval == pytest.approx((-2.4598858, -0.7001142), abs=1e-6)


def test_seeds_that_scatter_more_than_encodings_differ_decide_nothing() -> None:
    record = of_errors(AS_REPORTED | {"regression": [20.0, 40.0, 10.0], "hour-hand tanh": [25.0, 15.0, 22.0]})
    result = clock_studies.claim_results(record)[1]
    assert (result.decision, result.why) == ("not decided", "too close: sine and cosine")
    assert result.interval is not None
    assert result.interval[0] < 0 < result.interval[1]


def test_one_seed_decides_nothing_and_says_what_is_missing() -> None:
    record = of_errors({name: [error] for name, error in AS_REPORTED.items()})
    assert set(decisions(record).values()) == {"not decided"}
    assert all("one shared seed, 0" in result.why for result in clock_studies.claim_results(record))


def test_a_claim_about_encodings_that_were_not_run_is_not_confirmed_and_may_be_refuted() -> None:
    part = {name: AS_REPORTED[name] for name in ("classes 720", "regression", "hour-hand tanh", "multi-head")}
    found = {result.claim.words: result for result in clock_studies.claim_results(of_errors(part))}
    assert (found[WORST].decision, found[WORST].why) == ("not decided", "not run: 24 classes, 72 classes, two circles")
    assert found[REGRESSION].decision == "confirmed"
    assert found[SINE].decision == "not decided"
    assert (found[BEST].decision, found[BEST].rival) == ("not decided", None)
    other = of_errors({"classes 720": 10.0, "regression": 42.0})
    assert decisions(other)[WORST] == "refuted"


def test_one_of_six_rivals_that_is_a_little_better_is_not_enough_to_refute() -> None:
    """p is 0.03 beside that one: it refutes a claim about it alone, and not one about six that may be better."""
    close = {name: [3.4, 2.7, 3.1 + 0.1 * at] for at, name in enumerate(AS_REPORTED)}
    errors = close | {"two-hands joint": [3.0, 3.2, 2.9], "hour-hand tanh": [2.0, 2.0, 2.3]}
    difference = np.array(errors["two-hands joint"]) - np.array(errors["hour-hand tanh"])
    assert 4.303 < difference.mean() / (difference.std(ddof=1) / 3**0.5) < 6.2  # t of 5 % and of 2.5 %, two degrees
    found = {result.claim.words: result for result in clock_studies.claim_results(of_errors(errors))}
    assert (found[BEST].decision, found[BEST].interval is not None) == ("not decided", True)
    alone = {name: errors[name] for name in ("two-hands joint", "hour-hand tanh")}
    assert decisions(of_errors(alone))[BEST] == "refuted"


def test_decisions_stand_on_the_page_with_difference_and_interval() -> None:
    page = clocks.page([of_errors(AS_REPORTED)], MACHINE, 0.0)
    (row,) = rows_of(page, REGRESSION)
    assert row[1:4] == ["report A, 2.4", "**confirmed**", "sine and cosine"]
    low, high = (float(end) for end in row[5].split(" to "))
    assert low < float(row[4]) < high
    assert row[7] == "`clock-faces` (75x75, turned), budget: full"
    alone = clocks.page([study("one", [trial(0, params("regression"), 42.0)])], MACHINE, 0.0)
    assert "Nothing is decided: no study has two encodings that a claim is about." in alone


def test_a_study_that_can_decide_no_claim_is_not_asked() -> None:
    beside = of_errors({"multi-head": 36.0, "regression": 42.0}, name="beside")
    page = clocks.page([beside, of_errors(AS_REPORTED)], MACHINE, 0.0)
    assert "### In all" in page
    assert "### In beside" not in page
    assert "### beside" in page  # among the encodings


BOTH = ("plain_error_minutes", "joint_error_minutes", "plain_hour_slips", "joint_hour_slips")


def both(split: str, *values: float) -> dict[str, float]:
    return {f"{split}_{name}": value for name, value in zip(BOTH, values, strict=True)}


def test_joint_reading_stands_beside_plain_for_every_configuration_that_has_both() -> None:
    hands = [params("two-hands joint", minute_weight=weight) for weight in (1.0, 3.0)]
    trials = [
        trial(
            0,
            hands[0],
            3.0,
            0,
            more=both("val", 9.0, 3.0, 0.1, 0.01),
            tested=evaluated(4.0, **both("test", 8, 4, 0.2, 0)),
        ),
        trial(1, hands[0], 5.0, 1, more=both("val", 11.0, 5.0, 0.3, 0.03)),
        trial(2, hands[1], 7.0, 0, more=both("val", 6.0, 7.0, 0.0, 0.2)),
        trial(3, params("regression"), 40.0),
        trial(4, params("two-hands joint", consistency_weight=0.3), 2.0),  # of an older version: has none of it
    ]
    page = clocks.page([study("hands", trials)], MACHINE, 0.0)
    rows = [row for row in rows_of(page, "hands") if len(row) == 9]
    assert rows == [
        ["hands", "minute_weight=1.0", "validation", "2", "10.00", "4.00", "-6.00", "20.0 %", "2.0 %"],
        ["hands", "minute_weight=3.0", "validation", "1", "6.00", "7.00", "+1.00", "0.0 %", "20.0 %"],
        ["hands", "minute_weight=1.0", "test", "1", "8.00", "4.00", "-4.00", "20.0 %", "0.0 %"],
    ]
    assert "1 of 2 configurations are read better jointly" in page
    none = clocks.page([of_errors(AS_REPORTED)], MACHINE, 0.0)
    assert "No network with two circles was run that was read both ways." in none


def test_a_network_at_chance_does_not_count_among_those_read_better() -> None:
    lost, found = params("two-hands joint"), params("two-hands joint", minute_weight=3.0)
    trials = [
        trial(0, lost, 179.0, more=both("val", 179.5, 179.0, 0.3, 0.3)),
        trial(1, found, 3.0, more=both("val", 9.0, 3.0, 0.1, 0.0)),
    ]
    page = clocks.page([study("hands", trials)], MACHINE, 0.0)
    assert "1 of 1 configurations are read better jointly. Not counted: 1 that read no better than chance." in page
    assert len([row for row in rows_of(page, "hands") if len(row) == 9]) == 2


def test_the_summary_says_what_was_decided_on_which_pictures_and_what_was_not_run() -> None:
    upright = replace(of_errors(AS_REPORTED), terms=terms("clock-encodings-upright"))
    page = clocks.page([upright], MACHINE, 0.0)
    text = page.split("## Summary\n\n")[1].split("\n\n## ")[0]
    assert "- 9 of the 12 figures of the reports have one of ours beside them, on clock-faces-upright. None has" in text
    assert "- Not run: report B, 3.4.2, unit circle, two linear heads, 200 epochs; report A, Table 9, label" in text
    assert f"- Confirmed: {WORST} (clock-faces-upright); " in text
    assert "- Refuted: none." in text
    assert "never turned" in text
    assert "never turned" not in clocks.page([of_errors(AS_REPORTED)], MACHINE, 0.0)


def test_a_report_that_says_its_epochs_has_them_beside_ours() -> None:
    page = clocks.page([study("one", [trial(0, params("multi-head"), 36.0)])], MACHINE, 0.0)
    assert {row[0]: row[-1] for row in rows_of(page, "report B, 3.1.2")} == {"report B, 3.1.2": "60 epochs of 1,200"}
    assert next(row for row in rows_of(page, "report A, Table 9") if row[1] == "multi-head")[-1] == "full"


def test_the_best_of_each_data_set_is_chosen_on_validation_among_those_that_were_read() -> None:
    once = (Evaluation(0.0, "ada", (0,)),)
    lucky = study("lucky", [trial(0, params("multi-head"), 30.0, tested=evaluated(10.0))], readings=once)
    chosen = study("chosen", [trial(0, params("regression"), 20.0, tested=evaluated(25.0))], readings=once * 2)
    unread = study("unread", [trial(0, params("two-hands joint"), 1.0)])
    small = [trial(0, params("two-hands joint"), 2.0, tested=evaluated(2.0))]
    other = study("other", small, readings=once, terms=terms(dataset="clock-faces-small"))
    found = clocks.winners([lucky, chosen, unread, other])
    assert [(data, best.study.name) for data, best in found] == [
        ("clock-faces", "chosen"),
        ("clock-faces-small", "other"),
    ]
    plots = {"errors-clock-faces": "clock-errors-clock-faces.svg", "curves-chosen": "never shown"}
    page = clocks.page([lucky, chosen, unread], MACHINE, 0.0, plots)
    assert "| test, read 2 times, of 3 by 2 studies | **25.00 minutes**" in page
    assert "| test, within 5 minutes | 75.0 % |" in page
    assert "(clock-errors-clock-faces.svg)" in page
    assert "never shown" not in page
    assert "The test split was not read for any study." in clocks.page([unread], MACHINE, 0.0)


def saved(settings: Settings, record: StudyRecord) -> None:
    """The record as a study on disk."""
    settings.prepare()
    with Study.hold(record.name, settings) as held:
        held.begin(record.terms)
        for one in record.trials:
            begun = held.start(held.add(open_all(CLOCKS.space), one.params, one.seed))
            result = TrialResult(
                "complete", one.score, 2, one.metrics, one.history, train_seconds=30.0, errors=one.errors
            )
            ended = held.finish(begun, result, cpus=1.0)
            if one.tested is not None:
                held.note_evaluation(Evaluation(0.0, "ada", (ended.number,)))
                held.note_test(ended.number, one.tested)


@pytest.mark.slow
def test_the_command_writes_the_page_with_its_plots(settings: Settings, capfd: pytest.CaptureFixture[str]) -> None:
    record = of_errors(AS_REPORTED)
    first = replace(record.trials[-3], tested=evaluated(3.0))
    saved(settings, replace(record, trials=(*record.trials[:-3], first, *record.trials[-2:])))
    output: Path = settings.home / "clock.md"
    home = ["--home", str(settings.home)]
    assert cli.run(["results", "--page", "clock", "-o", str(output), "--machine", "a big one", *home]) == 0
    page = output.read_text(encoding="utf-8")
    names = ["clock-curves-all.svg", "clock-errors-clock-faces.svg", "clock-worst-clock-faces.svg"]
    assert [f"({name})" in page for name in names] == [True] * 3
    assert sorted(path.name for path in settings.home.glob("clock-*.svg")) == names
    assert all((settings.home / name).read_text(encoding="utf-8").startswith("<?xml") for name in names)
    assert "1 study, on a big one." in page
    assert f"wrote {output} and 3 plots beside it" in capfd.readouterr().err
    assert cli.run(["results", "--page", "clock", *home]) == 0
    assert "svg" not in capfd.readouterr().out
    assert cli.run(["results", "--page", "images", "all", *home]) == 2
    _, err = capfd.readouterr()
    assert (err.count("\n"), "study 'all' is for --page clock, and --page images was asked for" in err) == (1, True)
