"""The order of configurations: means over seeds, shared ranks, and who is no row at all."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from tests.support.trials import changed, trial_record
from tune_jobs.leaderboard import ranking
from tune_jobs.leaderboard.ranking import Row, Summary
from tune_jobs.records.constraints import Constraint
from tune_jobs.records.per_image import pack
from tune_jobs.records.trials import State, TrialRecord
from tune_jobs.search_spaces import Objective

HIGHER = Objective("val_accuracy", "maximize")
LOWER = Objective("val_loss", "minimize")


def trial(number: int, units: int, score: float | None, *, seed: int = 0, state: State = "complete") -> TrialRecord:
    return trial_record(number, {"units": units}, seed, state, score=score, best_epoch=3, train_seconds=2.0, weights=10)


def order(rows: tuple[Row, ...]) -> list[object]:
    return [row.params["units"] for row in rows]


def test_a_row_says_what_its_trial_was() -> None:
    only = trial(7, 128, 0.75, seed=3)
    (row,) = ranking.rank([only], HIGHER)
    assert row == Row(1, False, "complete", only.params_id, {"units": 128}, 0.75, None, (7,), (3,), (3,), 2.0, 10)
    assert row.n == 1


def test_what_breaks_a_limit_comes_after_all_that_keeps_to_it_whatever_its_score() -> None:
    limits = (Constraint("parameters", "<=", 10.0),)
    trials = [trial(0, 1, 0.9), trial(1, 2, 0.5), trial(2, 3, 0.7, state="stopped"), trial(3, 4, 0.8)]
    trials = [changed(each, weights=11) if each.number in (0, 3) else each for each in trials]
    rows = ranking.with_uncertainty(ranking.rank(trials, HIGHER, limits), trials, HIGHER)
    assert [(row.params["units"], row.broken) for row in rows] == [
        (2, ()),
        (3, ()),
        (1, ("parameters 11",)),
        (4, ("parameters 11",)),
    ]
    assert order(ranking.finalists(rows, 4)) == [2]
    assert [row.may_be_best for row in rows] == [True, True, False, False]
    assert ranking.best(ranking.rank(trials, HIGHER, (Constraint("parameters", "<=", 9.0),))) is None


def test_what_was_not_trained_is_counted_apart() -> None:
    untrained = trial_record(1, {"units": 2}, 0, "failed", reason="infeasible", message="too large")
    counts = ranking.summary([trial(0, 1, 0.5), untrained])
    assert (counts.total, counts.untrained) == (1, 1)
    assert counts.words() == "1 trial: 1 complete; 1 more not trained, for they break a limit"
    assert ranking.summary([untrained]).words() == "1 more not trained, for they break a limit"


@pytest.mark.parametrize(("objective", "expected"), [(HIGHER, [2, 3, 1]), (LOWER, [1, 3, 2])])
def test_the_objective_gives_the_direction(objective: Objective, expected: list[int]) -> None:
    assert order(ranking.rank([trial(0, 1, 0.1), trial(1, 2, 0.9), trial(2, 3, 0.5)], objective)) == expected


def test_replicates_are_one_row_with_mean_and_sample_deviation() -> None:
    scores = [0.5, 0.75, 0.25, 0.625]
    trials = [trial(number, 1, score, seed=10 + number) for number, score in enumerate(scores)]
    (row,) = ranking.rank(trials, HIGHER)
    assert (row.n, row.trials, row.seeds) == (4, (0, 1, 2, 3), (10, 11, 12, 13))
    assert row.score == np.mean(scores)
    assert row.std == pytest.approx(np.std(scores, ddof=1))


def test_equal_scores_share_a_rank_and_the_next_one_counts_them() -> None:
    rows = ranking.rank([trial(0, 1, 0.5), trial(1, 2, 0.9), trial(2, 3, 0.9), trial(3, 4, 0.7)], HIGHER)
    assert [(row.params["units"], row.rank, row.tied) for row in rows] == [
        (2, 1, True),
        (3, 1, True),
        (4, 3, False),
        (1, 4, False),
    ]


def test_the_order_of_seeds_cannot_part_equal_configurations() -> None:
    scores = [0.1, 0.2, 0.3, 0.7]  # whose plain sum depends on the order
    trials = [trial(number, 1, score, seed=number) for number, score in enumerate(scores)]
    trials += [trial(4 + number, 2, score, seed=number) for number, score in enumerate(reversed(scores))]
    assert [row.tied for row in ranking.rank(trials, HIGHER)] == [True, True]


def test_a_stopped_configuration_never_outranks_a_complete_one() -> None:
    rows = ranking.rank([trial(0, 1, 0.99, state="stopped"), trial(1, 2, 0.1), trial(2, 3, 0.99)], HIGHER)
    assert [(row.params["units"], row.state, row.rank, row.tied) for row in rows] == [
        (3, "complete", 1, False),
        (2, "complete", 2, False),
        (1, "stopped", 3, False),
    ]


def test_a_stopped_seed_is_left_out_where_another_completed() -> None:
    (row,) = ranking.rank([trial(0, 1, 0.9, seed=0, state="stopped"), trial(1, 1, 0.5, seed=1)], HIGHER)
    assert (row.state, row.trials, row.score, row.std) == ("complete", (1,), 0.5, None)


@pytest.mark.parametrize("state", ["failed", "waiting", "running"])
def test_a_trial_that_has_not_ended_well_is_no_row(state: State) -> None:
    assert ranking.rank([trial(0, 1, 0.9, state=state)], HIGHER) == ()


@pytest.mark.parametrize("score", [None, float("nan"), float("inf")])
def test_a_score_that_is_no_number_is_no_row(score: float | None) -> None:
    assert ranking.rank([trial(0, 1, score)], HIGHER) == ()


def test_the_best_is_complete_and_among_equals_the_first_tried() -> None:
    trials = [trial(0, 1, 0.9, state="stopped"), trial(2, 2, 0.8), trial(1, 3, 0.8)]
    found = ranking.best(ranking.rank(trials, HIGHER))
    assert found is not None
    assert found.trials == (1,)
    assert ranking.best(ranking.rank(trials[:1], HIGHER)) is None


def test_the_summary_counts_states_and_reasons() -> None:
    failed = [
        changed(trial(number, number, None, state="failed"), reason=reason)
        for number, reason in enumerate(["out-of-memory", "diverged", "diverged", None])
    ]
    found = ranking.summary([*failed, trial(4, 4, 0.5), trial(5, 5, 0.5, state="stopped")])
    assert found.states == {"complete": 1, "stopped": 1, "failed": 4, "running": 0, "waiting": 0}
    assert list(found.reasons.items()) == [("diverged", 2), ("out-of-memory", 1), ("unknown", 1)]
    assert found.words() == ("6 trials: 1 complete, 1 stopped, 4 failed (2 diverged, 1 out-of-memory, 1 unknown)")


def test_the_words_of_nothing_and_of_one() -> None:
    assert ranking.summary([]).words() == "no trials"
    assert ranking.summary([trial(0, 1, None, state="running")]).words() == "1 trial: 1 running"
    assert ranking.summary([]) == Summary(dict.fromkeys(ranking.summary([]).states, 0), {})


TRIALS = st.lists(
    st.tuples(
        st.integers(0, 5),
        st.sampled_from([0.0, 0.25, 0.5, 0.75, 1e308, -1e308, None]) | st.floats(),
        st.sampled_from(["complete", "complete", "stopped", "failed", "running"]),
    ),
    max_size=20,
)


@pytest.mark.slow
@given(TRIALS, st.randoms(use_true_random=False), st.sampled_from([HIGHER, LOWER]))
def test_ranking_is_total_and_does_not_depend_on_the_order_of_trials(
    drawn: list[tuple[int, float | None, State]], shuffler: random.Random, objective: Objective
) -> None:
    trials = [
        trial(number, units, score, seed=number, state=state) for number, (units, score, state) in enumerate(drawn)
    ]
    rows = ranking.rank(trials, objective)
    shuffled = list(trials)
    shuffler.shuffle(shuffled)
    assert ranking.rank(shuffled, objective) == rows
    assert len({row.params_id for row in rows}) == len(rows)


@given(st.lists(st.sampled_from([0.1, 0.2, 0.3, 0.4]), max_size=12), st.sampled_from([HIGHER, LOWER]))
def test_ranks_are_those_of_scipys_competition_ranking(scores: list[float], objective: Objective) -> None:
    rows = ranking.rank([trial(number, number, score) for number, score in enumerate(scores)], objective)
    costs = [-row.score if objective is HIGHER else row.score for row in rows]
    assert [row.rank for row in rows] == list(stats.rankdata(costs, method="min"))
    assert [row.tied for row in rows] == [costs.count(cost) > 1 for cost in costs]


# --- what is known of the images ---


def with_errors(number: int, score: float, errors: list[float]) -> TrialRecord:
    return trial_record(number, {"units": number}, score=score, errors=pack(np.array(errors)), best_epoch=1)


def rows_of(*trials: TrialRecord, objective: Objective = HIGHER) -> tuple[Row, ...]:
    return ranking.with_uncertainty(ranking.rank(trials, objective), trials, objective)


def test_a_single_validation_image_has_no_interval_and_harms_no_leaderboard() -> None:
    rows = rows_of(with_errors(0, 1.0, [0.0]), with_errors(1, 0.0, [1.0]))
    assert [(row.score, row.interval) for row in rows] == [(1.0, None), (0.0, None)]


@pytest.mark.parametrize(
    ("score", "maximize", "expected"),
    [
        (0.75, True, [0, 1, 1, 1]),
        (0.75, False, [0, 1, 1, 1]),  # the worst accuracy may be asked for
        (0.25, False, [1, 0, 0, 0]),
        (0.25, True, [1, 0, 0, 0]),
    ],
)
def test_a_score_says_whether_it_is_the_mean_error_or_the_share_without(
    score: float, maximize: bool, expected: list[int]
) -> None:
    contributions = ranking._contributions(score, pack(np.array([1.0, 0.0, 0.0, 0.0])), maximize)
    assert contributions.tolist() == expected


def test_at_one_half_the_direction_says_it() -> None:
    errors = pack(np.array([1.0, 1.0, 0.0, 0.0]))
    assert ranking._contributions(0.5, errors, True).tolist() == [0, 0, 1, 1]
    assert ranking._contributions(0.5, errors, False).tolist() == [1, 1, 0, 0]


def test_small_errors_that_are_measured_are_no_shares_of_images() -> None:
    """Errors of a few hundredths vary by what they are, and not as a share of so many right images would."""
    rng = np.random.default_rng(0)
    small = rng.uniform(0.0, 0.04, 400)
    (row,) = rows_of(with_errors(0, float(small.mean()), small.tolist()), objective=LOWER)
    assert row.interval is not None
    half = float(stats.t.ppf(0.975, 399) * small.std(ddof=1) / 20)
    assert row.interval == pytest.approx((small.mean() - half, small.mean() + half), rel=1e-5)
    equal = rows_of(with_errors(0, 0.25, [0.25] * 400), objective=LOWER)
    assert equal[0].interval == pytest.approx((0.25, 0.25))  # a quarter each, which is no share of right images
