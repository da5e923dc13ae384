"""The tables of a one-factor study: levels in order, beside the baseline and beside each other, failed or not."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.sweeping import data_of, own_task, terms_of
from tests.support.trials import changed, trial_record
from tune_jobs import exports
from tune_jobs.cli import run
from tune_jobs.errors import UserError
from tune_jobs.exports import factor_tables
from tune_jobs.leaderboard.factors import Curve, Factor, ScoredLevel, factor_study
from tune_jobs.records.studies import StudyRecord, StudyTerms
from tune_jobs.records.trials import TrialRecord
from tune_jobs.search_spaces import Objective, OneFactor, Params, Protocol
from tune_jobs.search_spaces.one_factor import Factors
from tune_jobs.settings import Settings
from tune_jobs.study.study import Study
from tune_jobs.training.runs import run_trial

HIGHER = Objective("val_accuracy", "maximize")
BASELINE: Params = {"activation": "relu", "optimizer": "sgd", "momentum": 0.5}
FACTORS: Factors = {
    "activation": {"ReLU": {}, "tanh": {"activation": "tanh"}, "sigmoid": {"activation": "sigmoid"}},
    "optimizer": {"Adam": {"optimizer": "adam", "momentum": None}, "RMSprop": {"optimizer": "rmsprop"}},
}
TANH: Params = {**BASELINE, "activation": "tanh"}
SIGMOID: Params = {**BASELINE, "activation": "sigmoid"}
ADAM: Params = {"activation": "relu", "optimizer": "adam"}  # a level takes a parameter away with None
RMSPROP: Params = {**BASELINE, "optimizer": "rmsprop"}

Runs = Sequence[tuple[Params, Sequence[float]]]


def study(runs: Runs, *others: TrialRecord, space: Mapping[str, Any] | None = None) -> StudyRecord:
    """Each configuration with its scores, a seed each, and then these further trials."""
    form = OneFactor({**BASELINE, "clip": None}, FACTORS).to_json() if space is None else space  # None: not there
    terms = StudyTerms("own", "d", "own", "digits", "da", form, HIGHER, Protocol(epochs=2), 0)
    trials = [
        trial_record(0, params, seed, "complete", score=score, history=({"val_accuracy": score},))
        for params, scores in runs
        for seed, score in enumerate(scores)
    ]
    numbered = tuple(replace(trial, number=number) for number, trial in enumerate((*trials, *others)))
    return StudyRecord("first", "identity", terms, None, 0.0, numbered)


def failed(params: Params, reason: str) -> TrialRecord:
    return trial_record(0, params, 9, "failed", reason=reason, message="it did")


def level(record: StudyRecord, factor: str, name: str) -> ScoredLevel:
    levels = {(each.name, one.name): one for each in factor_study(record).factors for one in each.levels}
    return levels[factor, name]


SEEDS = [0.90, 0.91, 0.92]
FULL: Runs = [
    (BASELINE, SEEDS),
    (TANH, [0.905, 0.915, 0.922]),
    (SIGMOID, [0.70, 0.71, 0.72]),
    (ADAM, [0.95, 0.96]),
    (RMSPROP, [0.5, 0.51, 0.49]),
]


def test_levels_stand_in_declared_order_with_their_distance_from_the_baseline() -> None:
    found = factor_study(study(FULL))
    assert [(factor.name, [each.name for each in factor.levels]) for factor in found.factors] == [
        ("activation", ["ReLU", "tanh", "sigmoid"]),
        ("optimizer", ["Adam", "RMSprop"]),
    ]
    differences = {each.name: each.difference for factor in found.factors for each in factor.levels}
    middle = np.mean(SEEDS)
    assert differences["ReLU"] is None
    assert differences["tanh"] == pytest.approx(np.mean([0.905, 0.915, 0.922]) - middle)
    assert differences["sigmoid"] == pytest.approx(0.71 - middle)
    assert differences["Adam"] == pytest.approx(0.955 - middle)  # though the baseline is no level of this factor
    assert [each.is_baseline for each in found.factors[0].levels] == [True, False, False]
    assert found.baseline.row is not None
    assert (found.baseline.row.score, found.baseline.row.n) == (pytest.approx(middle), 3)


def test_levels_are_judged_beside_those_of_their_factor_alone() -> None:
    found = factor_study(study(FULL))
    verdicts = {factor.name: [each.standing for each in factor.levels] for factor in found.factors}
    assert verdicts == {"activation": ["tied", "best", "worse"], "optimizer": ["best", "worse"]}
    alone = factor_study(study(FULL[:3]))  # without the other factor's trials
    assert alone.factors[0] == found.factors[0]


@pytest.mark.parametrize("runs", [[(params, scores[:1]) for params, scores in FULL], FULL[:1]], ids=["seed", "level"])
def test_with_one_seed_or_one_level_nothing_is_judged(runs: Runs) -> None:
    levels = factor_study(study(runs)).factors[0].levels
    assert levels[0].row is not None
    assert [each.standing for each in levels] == [None, None, None]


def test_what_failed_says_why_and_what_was_not_run_is_empty() -> None:
    record = study(FULL[:3], failed(TANH, "diverged"), *[failed(ADAM, reason) for reason in ("crashed", "diverged")])
    record = replace(record, trials=(*record.trials, replace(failed(ADAM, "diverged"), number=99)))
    adam, rmsprop = factor_study(record).factors[1].levels
    assert (adam.row, adam.failed, adam.difference, adam.standing) == (None, ("2 diverged", "crashed"), None, None)
    assert (rmsprop.row, rmsprop.failed, rmsprop.curve) == (None, (), None)
    tanh = level(record, "activation", "tanh")
    assert tanh.row is not None
    assert (tanh.row.n, tanh.failed) == (3, ("diverged",))


def test_a_stopped_level_is_neither_judged_nor_compared() -> None:
    stopped = trial_record(0, TANH, 0, "stopped", score=0.99)
    found = level(study([FULL[0], FULL[2]], stopped), "activation", "tanh")
    assert found.row is not None
    assert (found.row.state, found.difference, found.standing) == ("stopped", None, None)
    assert factor_tables.cells(Factor("activation", (found,)))[0][-1] == "stopped"


def test_a_curve_is_over_the_epochs_that_every_seed_was_trained() -> None:
    histories = [[0.1, 0.5, 0.8, 0.9], [0.3, 0.6, 0.7]]
    trials = [
        trial_record(0, TANH, seed, "complete", score=0.8, history=tuple({"val_accuracy": value} for value in history))
        for seed, history in enumerate(histories)
    ]
    stopped = changed(trials[0], seed=5, state="stopped", history=({"val_accuracy": 0.0},))  # not in the mean either
    table = np.array([history[:3] for history in histories])
    found = level(study([], *trials, stopped), "activation", "tanh").curve
    assert found == Curve(tuple(table.mean(axis=0)), tuple(table.min(axis=0)), tuple(table.max(axis=0)), 2)


@pytest.mark.parametrize("gap", [{"val_accuracy": float("nan")}, {"score": 0.7}], ids=["no number", "other metric"])
def test_a_curve_ends_where_its_values_do(gap: dict[str, float]) -> None:
    history = ({"val_accuracy": 0.5}, {"val_accuracy": 0.6}, gap, {"val_accuracy": 0.9})
    only = trial_record(0, TANH, 0, "complete", score=0.9, history=history)
    found = level(study([], only), "activation", "tanh").curve
    assert found is not None
    assert found.mean == (0.5, 0.6)
    assert level(study([], changed(only, history=(gap,))), "activation", "tanh").curve is None


def test_another_kind_of_space_is_refused_with_what_is_needed() -> None:
    with pytest.raises(
        UserError, match=r"needs a study whose space changes one factor of its baseline at a time.*'first'"
    ):
        factor_study(study(FULL, space={"domains": []}))


def test_the_markdown_as_a_whole() -> None:
    runs: Runs = [(BASELINE, [0.9]), (TANH, [0.905])]
    text = factor_tables.markdown(factor_study(study(runs, failed(SIGMOID, "diverged"))))
    assert text.splitlines() == [
        "# Factors of first",
        "",
        "study first: own on digits, maximize val_accuracy; baseline 0.9000, 1 seed",
        "",
        "## activation",
        "",
        "| level | n | mean | std | 95 % | from baseline | judged |",
        "| :-- | --: | --: | --: | --: | --: | :-- |",
        "| ReLU | 1 | 0.9000 | - | - | baseline | - |",
        "| tanh | 1 | 0.9050 | - | - | +0.0050 | - |",
        "| sigmoid | - | - | - | - | - | failed (diverged) |",
        "",
        "## optimizer",
        "",
        "| level | n | mean | std | 95 % | from baseline | judged |",
        "| :-- | --: | --: | --: | --: | --: | :-- |",
        "| Adam | - | - | - | - | - | - |",
        "| RMSprop | - | - | - | - | - | - |",
        "",
        "- from baseline: a level's mean less the baseline's",
        "- one seed each, small differences may be chance (`tune-jobs replicate` adds seeds)".replace("`", "\\`"),
    ]


def test_a_verdict_and_a_failure_stand_together() -> None:
    record = study(FULL, failed(TANH, "diverged"))
    cells = factor_tables.cells(factor_study(record).factors[0])
    assert [row[-1] for row in cells] == ["tied with the best", "the best, others failed (diverged)", "worse"]


def test_no_name_of_a_level_breaks_a_table() -> None:
    hostile = "a|b `c` <script>\n$x$ \x1b[31m"
    space = OneFactor(BASELINE, {hostile: {hostile: {"activation": "tanh"}}}).to_json()
    text = factor_tables.markdown(factor_study(study([(BASELINE, [0.9]), (TANH, [0.8])], space=space)))
    (row,) = (line for line in text.splitlines() if "script" in line and line.startswith("|"))
    assert len(re.findall(r"(?<!\\)\|", row)) == 8
    assert "<script" not in text.replace("\\<", "")
    assert "\x1b" not in text


def test_exports_of_a_one_factor_study_have_its_tables_and_curves(tmp_path: Path) -> None:
    written = {path.name for path in exports.write_all(study(FULL), tmp_path)}
    assert {"factors.md", "curves.svg", "leaderboard.md"} <= written
    assert (tmp_path / "factors.md").read_text() == factor_tables.markdown(factor_study(study(FULL)))
    assert (tmp_path / "curves.svg").read_text(encoding="utf-8").count("<svg") == 1


@pytest.mark.parametrize(
    ("record", "expected"),
    [(study([], failed(TANH, "diverged")), {"factors.md"}), (study(FULL[:1], space={}), set())],
    ids=["no curve yet", "another space"],
)
def test_exports_have_no_more_than_there_is(record: StudyRecord, expected: set[str], tmp_path: Path) -> None:
    written = {path.name for path in exports.write_all(record, tmp_path)}
    assert written & {"factors.md", "curves.svg"} == expected


@pytest.fixture
def home(settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A home with the one-factor study `own`, of which all points were trained, and one that has no trial."""
    for name in ("TUNE_JOBS_STORAGE", "TUNE_JOBS_DATA", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TUNE_JOBS_HOME", str(settings.home))
    monkeypatch.chdir(tmp_path)
    settings.prepare()
    own = own_task(tmp_path / "task", "fine", "diverge")
    space = OneFactor(own.task.baseline, {"width": {"1": {}, "4": {"width": 4}}, "act": {"bad": {"act": "diverge"}}})
    task = replace(own.task, space=space)
    data = data_of(task)
    for name, points in (("own", list(space.grid())), ("empty", [])):
        with Study.hold(name, settings) as held:
            held.begin(terms_of(task, own.reference, data))
            for params in points:
                trial = held.start(held.add(space, params, 0))
                held.finish(trial, run_trial(task, params, data, seed=0), cpus=1.0)


@pytest.mark.usefixtures("home")
def test_the_command_prints_a_table_a_factor_and_draws_the_curves(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["factors", "own", "-o", "curves.png"]) == 0
    out, err = capsys.readouterr()
    lines = out.splitlines()
    assert lines[0].startswith("study own: own on digits, maximize val_accuracy; baseline 0.")
    assert [line for line in lines if line in ("width", "act")] == ["width", "act"]
    (bad,) = (line for line in lines if line.startswith("bad"))
    assert bad.endswith("failed (diverged)")
    assert err == "wrote curves.png\n"
    assert Path("curves.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.usefixtures("home")
def test_the_command_has_every_figure_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["factors", "own", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    one, four = found["factors"][0]["levels"]
    assert (one["name"], one["is_baseline"], one["row"]["n"]) == ("1", True, 1)
    assert four["difference"] == four["row"]["score"] - one["row"]["score"]
    assert len(four["curve"]["mean"]) == 3
    keys = {"name", "params_id", "is_baseline", "row", "difference", "verdict", "failed", "curve"}
    assert set(four) == set(found["baseline"]) == keys


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["nothing"], "no study named 'nothing'"),
        (["empty", "-o", "curves.svg"], "study 'empty' has no learning curve yet: it needs a complete trial"),
        (["own", "-o", "curves.gif"], "ends in .svg or .png; got curves.gif"),
    ],
)
def test_what_is_asked_wrongly_is_one_line(words: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["factors", *words]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert says in err
    assert err.count("\n") == 1
