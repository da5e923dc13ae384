"""The leaderboard of several objectives: the front first, in every format, as files that train again, and drawn."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tests.support.trials import changed, trial_record
from tune_jobs import exports
from tune_jobs.errors import StudyError
from tune_jobs.exports import front_plot, plots
from tune_jobs.leaderboard import fronts, ranking
from tune_jobs.leaderboard.ranking import Row
from tune_jobs.records.studies import Launch, StudyRecord, StudyTerms
from tune_jobs.records.trials import State, TrialRecord
from tune_jobs.search import warm_starts
from tune_jobs.search_spaces import Objective, Protocol, Value
from tune_jobs.search_spaces.catalog import find

AIMS = (Objective("val_accuracy", "maximize"), Objective("parameters", "minimize"), Objective("latency", "minimize"))


def trial(
    number: int, score: float, weights: int, latency: float = 1.0, state: State = "complete", **params: Value
) -> TrialRecord:
    metrics = {"val_accuracy": score, "latency": latency}
    return trial_record(
        number, params or {"units": number}, 0, state, score=score, best_epoch=2, metrics=metrics, weights=weights,
        train_seconds=1.5, cpus=1.0
    )  # fmt: skip


def rows_of(*trials: TrialRecord, aims: Sequence[Objective] = AIMS[:2]) -> tuple[Row, ...]:
    return fronts.by_front(ranking.rank(trials, aims[0]), trials, aims)


def study(*trials: TrialRecord, n_aims: int = 2, **terms: Any) -> StudyRecord:
    known: dict[str, Any] = {
        "task": "digits-mlp",
        "task_digest": "0123456789ab",
        "reference": "digits-mlp",
        "dataset": "digits",
        "data_digest": "1234567890123456",
        "space": {},
        "objective": AIMS[0],
        "further_objectives": AIMS[1:n_aims],
        "protocol": Protocol(epochs=20, patience=5, validation=0.2),
        "seed": 4,
    }
    launch = Launch("nsga2", 4, "host", 1.7e9, None, {"keras": "3.15"})
    return StudyRecord("first", "identity", StudyTerms(**known | terms), launch, 1.7e9, trials)


SMALL = study(
    trial(0, 0.5, 100, units="32", batch_size=32),
    trial(1, 0.9, 900, units="128", batch_size=32),
    trial(2, 0.8, 900, units="64", batch_size=32),
    trial(3, 0.95, 10, state="stopped", units="16", batch_size=32),
    trial(4, 0.5, 100, units="64", batch_size=16),
)


# --- the order ---


def dominates(one: Sequence[float], other: Sequence[float]) -> bool:
    return all(a <= b for a, b in zip(one, other, strict=True)) and any(a < b for a, b in zip(one, other, strict=True))


@given(st.integers(1, 3).flatmap(lambda k: st.lists(st.tuples(*[st.integers(0, 5)] * k), max_size=30)))
def test_fronts_are_those_of_the_definition(costs: list[tuple[int, ...]]) -> None:
    """What is left is peeled, point by point against point."""
    expected, front = [0] * len(costs), 0
    while 0 in expected:
        front += 1
        left = [at for at, number in enumerate(expected) if number == 0]
        for at in [at for at in left if not any(dominates(costs[other], costs[at]) for other in left)]:
            expected[at] = front
    assert list(fronts.numbers(costs)) == expected


def test_the_front_comes_first_and_within_a_front_the_best_in_the_first_objective() -> None:
    rows = rows_of(*SMALL.trials)
    assert [(row.rank, row.trials, row.values, row.tied) for row in rows] == [
        (1, (1,), (0.9, 900.0), False),
        (1, (0,), (0.5, 100.0), True),
        (1, (4,), (0.5, 100.0), True),
        (2, (2,), (0.8, 900.0), False),
        (3, (3,), (0.95, 10.0), False),
    ]
    assert [row.trials for row in fronts.first(rows)] == [(1,), (0,), (4,)]


def test_what_was_stopped_or_failed_is_never_on_the_front() -> None:
    failed = changed(trial(1, 0.9, 1), state="failed", score=None)
    assert [row.trials for row in fronts.first(rows_of(trial(0, 0.1, 999), failed, *SMALL.trials[3:4]))] == [(0,)]
    assert fronts.first(rows_of(SMALL.trials[3])) == ()
    assert fronts.best(rows_of(SMALL.trials[3])) is None


def test_the_front_is_of_means_over_seeds() -> None:
    lucky = [replace(trial(n, score, 10, latency, units=1), seed=n) for n, score, latency in ((0, 0.9, 1), (1, 0.5, 3))]
    rows = rows_of(*lucky, trial(2, 0.8, 10, 2.5, units=2), aims=(AIMS[0], AIMS[2]))
    assert [(row.rank, row.trials, row.values) for row in rows] == [
        (1, (2,), (0.8, 2.5)),
        (1, (0, 1), (pytest.approx(0.7), 2.0)),
    ]


def test_the_winner_is_on_the_front_even_where_another_has_its_score() -> None:
    trials = (trial(0, 0.9, 500), trial(1, 0.9, 100), trial(2, 0.8, 50))
    best = fronts.best(rows_of(*trials))
    assert best is not None
    assert best.trials == (1,)
    assert exports.best_config(study(*trials))["trial"] == 1


def test_a_replicated_configuration_of_the_front_wins_over_one_of_a_single_seed() -> None:
    trials = (trial(0, 0.9, 500), *(replace(trial(n, 0.8, 50, units=7), seed=n) for n in (1, 2)))
    assert exports.best_config(study(*trials))["trial"] == 1


def test_one_objective_is_ranked_and_shown_as_ever() -> None:
    ranked = ranking.rank(SMALL.trials, AIMS[0])
    assert fronts.by_front(ranked, SMALL.trials, AIMS[:1]) == ranked
    one = study(*SMALL.trials, n_aims=1)
    assert exports.render(one, "table").splitlines()[2].split()[:2] == ["rank", "val_accuracy"]
    assert "values" not in json.loads(exports.render(one, "json"))[0]
    assert "values" not in exports.best_config(one)


def test_a_value_that_is_not_there_is_the_worst() -> None:
    without = changed(trial(0, 0.5, 1), weights=None)
    assert [(row.rank, row.trials) for row in rows_of(without, trial(1, 0.6, 10))] == [(1, (1,)), (2, (0,))]


# --- as text ---


def test_the_table_as_a_whole() -> None:
    assert exports.render(SMALL, "table").splitlines() == [
        "study first: digits-mlp on digits, maximize val_accuracy, minimize parameters, seed 4",
        "",
        "front  val_accuracy  parameters  state     units  batch_size  epoch  train_s  trial",
        "   1         0.9000         900  complete  128    32              2      1.5      1",
        "   1=        0.5000         100  complete  32     32              2      1.5      0",
        "   1=        0.5000         100  complete  64     16              2      1.5      4",
        "   2         0.8000         900  complete  64     32              2      1.5      2",
        "   -         0.9500          10  stopped   16     32              2      1.5      3",
        "",
        "5 trials: 4 complete, 1 stopped",
        "= has the very same values as another",
        "3 configurations are on the first front: nothing tried is better in one objective and nowhere worse",
        "within a front by val_accuracy",
        "one seed each, small differences may be chance (`tune-jobs replicate` adds seeds)",
        "stopped configurations come last: how they would have ended is not known",
        "the test split was never read",
    ]


def test_every_objective_is_a_column_of_every_format() -> None:
    several = study(*SMALL.trials, n_aims=3)
    rows = json.loads(exports.render(several, "json"))
    assert rows[0]["values"] == {"val_accuracy": 0.9, "parameters": 900.0, "latency": 1.0}
    assert [row["rank"] for row in rows] == [1, 1, 1, 2, 3]
    (first, *_) = csv.DictReader(io.StringIO(exports.render(several, "csv")))
    assert (first["rank"], first["score"], first["parameters"], first["latency"]) == ("1", "0.9", "900.0", "1.0")
    assert "| front | val_accuracy | parameters | latency |" in exports.render(several, "md")
    page = exports.render(several, "html")
    assert re.findall(r'<th scope="col" class="score">(\w+)</th>', page) == [aim.metric for aim in AIMS]
    assert "<strong>0.9000</strong> best val_accuracy, 3 configurations on the first front" in page
    assert page.count('<tr class="first">') == 3


def test_a_parameter_called_like_an_objective_has_a_column_of_its_own() -> None:
    record = study(trial(0, 0.5, 100, parameters=7))
    (row,) = csv.DictReader(io.StringIO(exports.render(record, "csv")))
    assert (row["parameters"], row["params.parameters"]) == ("100.0", "7")


# --- as files ---


def test_the_front_is_written_as_configurations_that_train_and_that_a_search_begins_with(tmp_path: Path) -> None:
    written = {path.name for path in exports.write_all(SMALL, tmp_path)}
    assert {"front.yaml", "front.svg", "best.yaml"} <= written
    listed = yaml.safe_load((tmp_path / "front.yaml").read_text())
    assert [one["trial"] for one in listed] == [1, 0, 4]
    assert listed[0] == yaml.safe_load((tmp_path / "best.yaml").read_text())
    assert listed[1]["values"] == {"val_accuracy": 0.5, "parameters": 100.0}
    config = exports.load_best(tmp_path / "front.yaml", 4)
    assert (config.trial, config.params, config.objective) == (4, {"units": "64", "batch_size": 16}, AIMS[0])
    started = warm_starts.from_file(tmp_path / "front.yaml", find("digits-mlp"))
    assert [point["units"] for point in started] == ["128", "32", "64"]


@pytest.mark.parametrize(
    ("text", "asked", "said"),
    [
        (None, None, r"holds trials 1, 0, 4: say which one with --trial N; got None"),
        (None, 2, r"holds trials 1, 0, 4: say which one with --trial N; got 2"),
        ("[]", None, r"holds trials none: say which one with --trial N; got None"),
        ("- units: '64'", 3, r"needs to be a best.yaml, or a list of such as front.yaml is; got a list"),
        ("{format: 1, trial: 3}", 4, r"holds trial 3 alone, and --trial 4 was asked for"),
    ],
)
def test_a_file_of_several_needs_to_know_which(text: str | None, asked: int | None, said: str, tmp_path: Path) -> None:
    file = tmp_path / "front.yaml"
    file.write_text(exports.front_text(SMALL) if text is None else text)
    with pytest.raises(StudyError, match=said):
        exports.load_best(file, asked)


def test_without_a_complete_trial_there_is_no_front(tmp_path: Path) -> None:
    written = {path.name for path in exports.write_all(study(SMALL.trials[3]), tmp_path)}
    assert not written & {"front.yaml", "front.svg", "best.yaml"}


# --- drawn ---


def drawn(record: StudyRecord) -> str:
    aims = record.terms.objectives
    figure = front_plot.front_plot(record.name, rows_of(*record.trials, aims=aims), aims)
    text = plots.svg_text(figure)
    ElementTree.fromstring(text)
    return text


def test_two_objectives_are_one_panel_with_the_trials_of_the_front() -> None:
    text = drawn(SMALL)
    assert "first: 3 configurations on the Pareto front" in text
    assert {">1<", ">0<", ">4<"} <= set(re.findall(r">\d+<", text))
    assert text == drawn(SMALL)  # the same file each time


def test_three_objectives_are_a_panel_for_each_two() -> None:
    text = drawn(study(*SMALL.trials, n_aims=3))
    assert len(re.findall(r'id="axes_\d+"', text)) == 3
    assert "latency, ms" in text


def test_a_network_that_learned_nothing_does_not_squash_the_others() -> None:
    aims = AIMS[:2]
    good = [trial(n, 0.9 + n / 100, 100 + 50 * n) for n in range(4)]
    figure = front_plot.front_plot("s", rows_of(*good, trial(9, 0.1, 400)), aims)
    assert figure.axes[0].get_ylim()[0] > 0.8
    assert "hollow, at the edge: 1 further off" in plots.svg_text(figure)


@pytest.mark.parametrize("values", [(0.0, 0), (1e-9, 10**9), (0.5, 7)])
def test_a_single_point_has_a_place_on_its_axes(values: tuple[float, int]) -> None:
    figure = front_plot.front_plot("s", rows_of(trial(0, *values)), AIMS[:2])
    (low, high), (left, right) = figure.axes[0].get_ylim(), figure.axes[0].get_xlim()
    assert low < values[0] < high
    assert left < values[1] < right
