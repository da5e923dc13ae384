"""The winners of studies beside each other: paired tests as R has them, and reasons where there is none."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.sweeping import finished_study, own_task
from tests.support.trials import changed, trial_record
from tune_jobs.cli import run
from tune_jobs.errors import UserError
from tune_jobs.leaderboard import comparison
from tune_jobs.records.studies import StudyRecord, StudyTerms
from tune_jobs.records.trials import TestResult
from tune_jobs.search_spaces import Objective, Protocol
from tune_jobs.settings import Settings

HIGHER = Objective("val_accuracy", "maximize")
LOWER = Objective("val_loss", "minimize")


def study(name: str, scores: Mapping[int, float], **terms: Any) -> StudyRecord:
    """One configuration with these scores by seed, beside a worse one."""
    known = {"task": f"task-of-{name}", "task_digest": "d", "reference": "r", "dataset": "digits", "data_digest": "da"}
    known |= {"space": {}, "objective": HIGHER, "protocol": Protocol(epochs=2), "seed": 0}
    made = StudyTerms(**known | terms)
    worse = -1e3 if made.objective.direction == "maximize" else 1e3
    trials = [
        trial_record(number, {"units": 8}, seed, "complete", score=score)
        for number, (seed, score) in enumerate(scores.items())
    ]
    trials.append(trial_record(len(trials), {"units": 4}, 0, "complete", score=worse))
    return StudyRecord(name, "identity", made, None, 0.0, tuple(trials))


def pair(first: StudyRecord, second: StudyRecord) -> comparison.Pair:
    (found,) = comparison.compare([first, second]).pairs
    return found


# Student (1908), the extra hours of sleep of ten patients under two drugs, and what R 4.3 prints for them:
# t.test(extra[group == 2], extra[group == 1], paired = TRUE)
FIRST_DRUG = [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0]
SECOND_DRUG = [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4]


def test_the_paired_test_is_that_of_students_sleep_data() -> None:
    found = pair(study("first", dict(enumerate(FIRST_DRUG))), study("second", dict(enumerate(SECOND_DRUG))))
    assert (found.first, found.second, found.seeds) == ("second", "first", tuple(range(10)))  # the better one first
    assert found.difference == pytest.approx(1.58)
    assert found.interval == pytest.approx((0.7001142, 2.4598858), abs=1e-7)
    assert found.p == pytest.approx(0.002833, abs=1e-6)
    assert found.p_holm == found.p
    assert found.why_not is None


def test_only_shared_seeds_are_compared_whatever_their_order() -> None:
    first = study("first", {7: 0.99, 2: 0.9, 0: 0.8, 1: 0.85})
    second = study("second", {0: 0.7, 1: 0.8, 2: 0.7, 9: 0.5})
    found = pair(first, second)
    assert found.seeds == (0, 1, 2)
    assert found.difference == pytest.approx(np.mean([0.1, 0.05, 0.2]))


def test_a_seed_that_was_trained_twice_counts_once() -> None:
    first = study("first", {0: 0.8, 1: 0.9})
    again = trial_record(9, {"units": 8}, 0, "complete", score=0.9)
    (winner,) = comparison.compare([replace(first, trials=(*first.trials, again))]).winners
    assert winner.scores == pytest.approx({0: 0.85, 1: 0.9})


def test_equal_scores_at_every_seed_are_no_difference_at_all() -> None:
    scores = {0: 0.9, 1: 0.8, 2: 0.85}
    found = pair(study("first", scores), study("second", scores))
    assert (found.difference, found.p, found.p_holm, found.interval) == (0.0, 1.0, 1.0, None)


def test_the_same_difference_at_every_seed_is_not_tested_however_it_was_rounded() -> None:
    first = {seed: float(np.float32(score)) for seed, score in enumerate([0.9, 0.51, 0.26])}
    second = {seed: float(np.float32(score)) for seed, score in enumerate([0.88, 0.49, 0.24])}
    found = pair(study("first", first), study("second", second))
    assert found.difference == pytest.approx(0.02, abs=1e-7)
    assert (found.p, found.p_holm, found.interval, found.why_not) == (None, None, None, None)


@pytest.mark.parametrize(
    ("scores", "terms", "says"),
    [
        ({3: 0.9, 4: 0.8}, {}, "no shared seeds: 0, 1 against 3, 4"),
        ({0: 0.8, 4: 0.8}, {}, "one shared seed, 0, and a paired test needs two: `tune-jobs replicate` adds seeds"),
        ({0: 0.9, 1: 0.8}, {"objective": LOWER}, "another objective: maximize val_accuracy against minimize val_loss"),
        ({0: 0.8, 1: 0.8}, {"dataset": "mnist", "data_digest": "db"}, "other data: digits against mnist"),
        ({0: 0.8, 1: 0.8}, {"data_digest": "db"}, "other data: digits da against db"),
    ],
    ids=["no seed", "one seed", "objective", "data", "split"],
)
def test_a_pair_that_cannot_be_tested_says_why(scores: dict[int, float], terms: dict[str, Any], says: str) -> None:
    found = pair(study("first", {0: 0.95, 1: 0.9}), study("second", scores, **terms))
    assert found.why_not == says
    assert (found.difference, found.interval, found.p, found.p_holm) == (None, None, None, None)


def test_winners_stand_best_first_within_each_objective() -> None:
    studies = [
        study("low", {0: 0.7}),
        study("loss", {0: 0.3}, objective=LOWER),
        study("high", {0: 0.9}),
        study("less", {0: 0.2}, objective=LOWER),
    ]
    found = comparison.compare(studies)
    assert [winner.study for winner in found.winners] == ["high", "low", "less", "loss"]
    assert len(found.pairs) == 6


def test_the_winner_is_the_leaderboards_with_its_test_score() -> None:
    record = study("first", {0: 0.9, 1: 0.7})
    lucky = trial_record(7, {"units": 16}, 0, "complete", score=0.95)  # one seed: not before those that have two
    tested = TestResult({"test_accuracy": 0.75}, None, 0.9)
    trials = (replace(record.trials[0], tested=tested), *record.trials[1:], lucky)
    (winner,) = comparison.compare([replace(record, trials=trials)]).winners
    assert winner.row.params == {"units": 8}
    assert winner.row.score == pytest.approx(0.8)
    assert winner.row.interval is not None
    assert winner.row.tested is not None
    assert (winner.row.tested.score, winner.row.tested.n) == (0.75, 1)


def test_only_tests_that_were_made_count_for_holm() -> None:
    seeds = range(4)
    records = [
        study("a", dict(zip(seeds, [0.90, 0.92, 0.91, 0.93], strict=True))),
        study("b", dict(zip(seeds, [0.88, 0.91, 0.90, 0.90], strict=True))),
        study("c", dict(zip(seeds, [0.85, 0.84, 0.86, 0.88], strict=True))),
        study("d", {9: 0.5, 10: 0.5}),
    ]
    found = comparison.compare(records).pairs
    raw = [each.p for each in found if each.p is not None]
    assert len(found) == 6
    assert len(raw) == 3
    smallest = min(found, key=lambda each: each.p if each.p is not None else 2)
    assert smallest.p_holm == pytest.approx(3 * min(raw))


@given(st.lists(st.floats(0, 1), min_size=1, max_size=6))
def test_holm_is_the_closed_test_of_all_bonferroni_tests(p_values: Sequence[float]) -> None:
    """Marcus, Peritz and Gabriel (1976): a hypothesis falls with every intersection that it is in."""
    everyone = range(len(p_values))
    sets = [chosen for n in everyone for chosen in itertools.combinations(everyone, n + 1)]
    expected = [
        max(min(1.0, len(chosen) * min(p_values[at] for at in chosen)) for chosen in sets if one in chosen)
        for one in everyone
    ]
    assert comparison.holm(p_values) == pytest.approx(expected)


def test_a_study_without_a_winner_or_named_twice_is_refused() -> None:
    first = study("first", {0: 0.9})
    with pytest.raises(UserError, match="'first' is named 2 times"):
        comparison.compare([first, study("second", {0: 0.9}), first])
    failed = changed(first.trials[0], state="failed", reason="diverged")
    with pytest.raises(UserError, match=r"'first' has no winner .* has 1 trial: 1 failed \(1 diverged\)"):
        comparison.compare([replace(first, trials=(failed,))])


@pytest.fixture
def studies(settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("TUNE_JOBS_STORAGE", "TUNE_JOBS_DATA", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TUNE_JOBS_HOME", str(settings.home))
    monkeypatch.chdir(tmp_path)
    for name in ("own", "other"):
        finished_study(own_task(tmp_path / name, width="Choice(1, 2)"), settings, name)


@pytest.mark.usefixtures("studies")
def test_the_command_prints_the_table_and_why_a_pair_is_not_tested(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["compare", "own", "other", "-o", "winners.svg"]) == 0
    out, err = capsys.readouterr()
    heading, *lines = out.splitlines()
    assert heading.split() == ["study", "task", "metric", "n", "mean", "std", "95", "%", "test", "test", "95", "%"]
    assert [line.split()[0] for line in lines[:2]] == ["own", "other"]
    assert lines[-1].startswith("  own - other: one shared seed, 0")
    assert err == "wrote winners.svg\n"
    assert "<svg" in Path("winners.svg").read_text(encoding="utf-8")


@pytest.mark.usefixtures("studies")
def test_the_command_has_every_figure_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["compare", "own", "--json"]) == 0
    (winner,) = json.loads(capsys.readouterr().out)["winners"]
    assert (winner["study"], winner["row"]["n"], list(winner["scores"])) == ("own", 1, ["0"])


@pytest.mark.usefixtures("studies")
@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["own", "owm"], "no study named 'owm'"),
        ([], "STUDY"),
        (["own", "-o", "winners.pdf"], "ends in .svg or .png; got winners.pdf"),
    ],
)
def test_what_cannot_be_compared_is_one_line(words: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["compare", *words]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert says in err
    assert err.count("\n") == 1
