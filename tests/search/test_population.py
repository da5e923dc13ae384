"""A population at its boundaries: who copies whom, what changes, and that it is the same after a restart."""

from __future__ import annotations

from collections import Counter

import numpy as np

from tune_jobs.records.trials import Segment, TrialRecord
from tune_jobs.search.population import Member, comparison_epochs, next_lineages, perturb
from tune_jobs.search_spaces import Choice, Fixed, Float, Int, Objective, Space, Variants

SPACE = Space(
    units=Int(8, 64),
    rate=Float(1e-4, 1e-1, log=True),
    dropout=Choice(0.0, 0.1, 0.2, 0.3),
    step=Float(0.1, 0.5, step=0.1),
    held=Fixed(0.5, Float(0.0, 1.0)),
    optimizer=Variants(sgd=Space(momentum=Float(0.5, 0.99)), adam=Space()),
)
PARAMS = {"units": 16, "rate": 0.01, "dropout": 0.1, "step": 0.3, "held": 0.5, "optimizer": "sgd", "momentum": 0.9}
MAXIMIZE, MINIMIZE = Objective("val_accuracy", "maximize"), Objective("val_loss", "minimize")


def members(scores: list[float]) -> list[Member]:
    return [
        Member(number, 0, (Segment(1, {**PARAMS, "rate": 0.001 * (number + 1)}, 0, number),), score)
        for number, score in enumerate(scores)
    ]


def test_members_are_compared_every_so_many_epochs_but_not_after_the_last() -> None:
    assert comparison_epochs(8, 2) == (2, 4, 6)
    assert comparison_epochs(9, 4) == (4, 8)
    assert comparison_epochs(3, 3) == ()


def test_the_worst_quarter_copies_the_best_and_the_others_go_on() -> None:
    lineages = next_lineages(members([0.8, 0.1, 0.5, 0.6, 0.9, 0.2, 0.7, 0.4]), 3, SPACE, MAXIMIZE, seed=0)
    copied = {number: lineage[-1].parent for number, lineage in lineages.items() if lineage[-1].parent != number}
    assert copied.keys() == {1, 5}
    assert set(copied.values()) <= {4, 0}
    for number, parent in copied.items():
        *before, last = lineages[number]
        assert [segment.parent for segment in before] == [parent]
        assert last.first == 4
        assert last.params["rate"] != before[0].params["rate"]
    assert all(lineage[-1].params == lineage[0].params for number, lineage in lineages.items() if number not in copied)


def test_the_smaller_is_the_better_where_the_objective_says_so() -> None:
    lineages = next_lineages(members([0.8, 0.1, 0.5, 0.6]), 3, SPACE, MINIMIZE, seed=0)
    assert {number for number, lineage in lineages.items() if lineage[-1].parent != number} == {0}
    assert lineages[0][-1].parent == 1


def test_one_alone_copies_nobody_and_of_two_one_does() -> None:
    assert next_lineages(members([0.1]), 3, SPACE, MAXIMIZE, 0)[0][-1].parent == 0
    assert [lineage[-1].parent for lineage in next_lineages(members([0.1, 0.2]), 3, SPACE, MAXIMIZE, 0).values()] == [
        1,
        1,
    ]


def test_what_is_drawn_depends_on_seed_epoch_and_member_alone() -> None:
    herd = members([0.8, 0.1, 0.5, 0.6])
    assert next_lineages(herd, 3, SPACE, MAXIMIZE, 5) == next_lineages(herd[::-1], 3, SPACE, MAXIMIZE, 5)
    drawn = {
        repr(next_lineages(herd, epoch, SPACE, MAXIMIZE, seed)[1][-1].params) for epoch in (3, 4) for seed in (5, 6)
    }
    assert len(drawn) == 4


def test_rates_change_and_what_shapes_the_network_stays() -> None:
    perturbed = [perturb(PARAMS, SPACE, np.random.default_rng(seed)) for seed in range(300)]
    assert all(SPACE.why_not(params) is None for params in perturbed)
    for name in ("units", "held", "optimizer"):
        assert {params[name] for params in perturbed} == {PARAMS[name]}
    factors = Counter(round(float(params["rate"]) / 0.01, 6) for params in perturbed)  # type: ignore[arg-type]
    assert abs(factors[0.8] + factors[1.2] - 225) < 5 * (300 * 0.25 * 0.75) ** 0.5  # the others are drawn anew
    assert {params["dropout"] for params in perturbed} == {0.1, 0.2, 0.3}  # never 0.0, another network
    assert {params["step"] for params in perturbed} == {0.1, 0.2, 0.3, 0.4, 0.5}


def test_a_rate_of_zero_stays() -> None:
    assert {
        perturb({**PARAMS, "dropout": 0.0}, SPACE, np.random.default_rng(seed))["dropout"] for seed in range(50)
    } == {0.0}


def test_a_lineage_is_shown_without_what_only_goes_on() -> None:
    def changes(*segments: Segment) -> list[int]:
        return [segment.first for segment in TrialRecord(3, PARAMS, 0, "complete", course=segments).changes]

    other = {**PARAMS, "rate": 0.5}
    assert changes(Segment(1, PARAMS, 0, 3), Segment(3, PARAMS, 0, 3), Segment(5, PARAMS, 0, 3)) == []
    assert changes(Segment(1, PARAMS, 0, 1), Segment(3, PARAMS, 0, 1), Segment(5, other, 0, 1)) == [1, 5]
    assert changes(Segment(1, PARAMS, 0, 1), Segment(3, PARAMS, 0, 1), Segment(5, other, 0, 2)) == [1, 3, 5]


def test_a_fine_step_is_perturbed_without_listing_its_values() -> None:
    space = Space(rate=Float(0.0, 1.0, step=1e-8))
    rates = [perturb({"rate": 0.5}, space, np.random.default_rng(seed))["rate"] for seed in range(12)]
    assert {0.49999999, 0.50000001} <= set(rates)
    assert all(space.why_not({"rate": rate}) is None for rate in rates)
