"""Limits on configurations: how they are written, and who breaks one."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.trials import trial_record
from tune_jobs.errors import UserError
from tune_jobs.records import constraints
from tune_jobs.records.constraints import Constraint
from tune_jobs.records.trials import TrialRecord

SMALL, FAST = Constraint("parameters", "<=", 1000.0), Constraint("latency", "<=", 2.0)


def trial(number: int = 0, weights: int | None = 500, latency: float | None = None, **known: Any) -> TrialRecord:
    metrics = {} if latency is None else {"latency": latency}
    return trial_record(number, {"units": number}, weights=weights, metrics=metrics, **known)


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        ("parameters<=100000", Constraint("parameters", "<=", 100_000.0)),
        ("parameters <= 100_000", Constraint("parameters", "<=", 100_000.0)),
        ("parameters<=100k", Constraint("parameters", "<=", 100_000.0)),
        ("parameters<=1.5M", Constraint("parameters", "<=", 1_500_000.0)),
        ("latency<=2ms", Constraint("latency", "<=", 2.0)),
        ("latency<=0.5", Constraint("latency", "<=", 0.5)),
        ("latency<=0.002s", Constraint("latency", "<=", 2.0)),
        ("train_seconds<=5m", Constraint("train_seconds", "<=", 300.0)),
        ("val_accuracy>=90%", Constraint("val_accuracy", ">=", 0.9)),
        ("val_loss>=-1e-3", Constraint("val_loss", ">=", -0.001)),
    ],
)
def test_a_limit_is_a_name_a_sign_and_a_number_with_its_unit(text: str, limit: Constraint) -> None:
    assert constraints.parse([text]) == (limit,)


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (
            ["parameters<1000"],
            "needs NAME<=NUMBER or NAME>=NUMBER, such as 'parameters<=100000'; got 'parameters<1000'",
        ),
        (["parameters=10"], "needs NAME<=NUMBER"),
        (["<=10"], "needs NAME<=NUMBER"),
        (["latency<=2mm"], "latency<=2mm: no unit 'mm'; latency takes ms, us, s or none"),
        (["parameters<=2ms"], "no unit 'ms'; "),
        (["parameters<=1..2"], "1..2 is no number"),
        (["parameters<=1e999"], "1e999 is no number"),
        (["x<=1", "x<=2"], "--constraint x<= is there 2 times: once is enough"),
        (["none", "x<=1"], "got 'none'"),
    ],
)
def test_what_is_no_limit_is_one_line(texts: list[str], message: str) -> None:
    with pytest.raises(UserError) as refused:
        constraints.parse(texts)
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


def test_none_is_no_limit_and_two_sides_are_two() -> None:
    assert constraints.parse(["none"]) == ()
    assert len(constraints.parse(["x<=2", "x>=1"])) == 2


def test_a_limit_is_read_again_as_it_is_written() -> None:
    texts = ["parameters<=100,000", "latency<=2.5ms", "train_seconds<=300s", "val_loss>=-0.001"]
    limits = constraints.parse(["parameters<=100k", "latency<=2.5", "train_seconds<=5m", "val_loss>=-1e-3"])
    assert [str(limit) for limit in limits] == texts
    assert constraints.parse([text.replace(",", "_") for text in texts]) == limits


def test_what_breaks_a_limit_does_so_by_a_share_of_it() -> None:
    assert SMALL.excess(1500) == 0.5
    assert SMALL.excess(1000) == 0.0
    assert SMALL.excess(500) == -0.5
    assert Constraint("x", ">=", 4.0).excess(3.0) == 0.25
    assert Constraint("x", "<=", 0.0).excess(3.0) == 3.0
    assert constraints.excess(trial(weights=1500, latency=1.0), (SMALL, FAST)) == 0.5
    assert constraints.excess(trial(weights=None), (SMALL, FAST)) == 0.0


def test_a_configuration_is_measured_by_the_mean_over_its_trials() -> None:
    assert constraints.broken([trial(latency=1.0), trial(latency=2.5)], (FAST,)) == ()
    assert constraints.broken([trial(latency=2.0), trial(latency=3.0)], (SMALL, FAST)) == ("latency 2.5ms",)
    assert constraints.broken([trial(weights=12345)], (SMALL, FAST)) == ("parameters 12,345", "latency is not known")


def test_what_was_not_trained_counts_as_long_as_it_breaks_a_limit() -> None:
    untrained = trial(weights=1500, state="failed", reason="infeasible")
    assert constraints.is_untrained(untrained)
    assert constraints.still_counts(untrained, (SMALL,))
    assert not constraints.still_counts(untrained, (Constraint("parameters", "<=", 2000.0),))
    assert not constraints.still_counts(untrained, ())
    assert constraints.still_counts(trial(state="failed", reason="crashed"), ())
