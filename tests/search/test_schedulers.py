"""Schedulers: who is stopped where, the same after a restart, and never by a trial that failed."""

from __future__ import annotations

import math
import random
import statistics
from collections import Counter
from typing import Any

import pytest

from tests.support.trials import changed, trial_record
from tune_jobs.errors import UserError
from tune_jobs.records.studies import Scheduling
from tune_jobs.records.trials import Rung, State, TrialRecord
from tune_jobs.search.schedulers import Scheduler, image_rungs, make_scheduler
from tune_jobs.search_spaces import Objective, Protocol

MAXIMIZE = Objective("val_accuracy", "maximize")
MINIMIZE = Objective("val_loss", "minimize")
STOPPING: tuple[Any, ...] = ("asha", "hyperband", "median")


def scheduler_of(
    name: Any, *trials: TrialRecord, objective: Objective = MAXIMIZE, epochs: int = 27, eta: int = 3
) -> Scheduler:
    found = make_scheduler(Scheduling(name, 1, eta), objective, Protocol(epochs=epochs), trials)
    assert found is not None
    return found


def ended_trial(
    number: int, scores: list[float], state: State = "complete", objective: Objective = MAXIMIZE
) -> TrialRecord:
    history = tuple({objective.metric: score} for score in scores)
    return trial_record(number, {"x": number}, 0, state, score=objective.best(scores), history=history)


def run(judge: Scheduler, number: int, scores: list[float], objective: Objective = MAXIMIZE) -> TrialRecord:
    """A trial that is asked about at each milestone, and told of when it ends."""
    for epoch in judge.milestones(number):
        if judge.should_stop(number, scores[:epoch]):
            trial = ended_trial(number, scores[:epoch], "stopped", objective)
            break
    else:
        trial = ended_trial(number, scores, "complete", objective)
    judge.tell(trial)
    return trial


def with_rungs(number: int, scores: list[float], images: tuple[int, ...], state: State = "stopped") -> TrialRecord:
    rungs = tuple(Rung(n, score, 5) for n, score in zip(images, scores, strict=False))
    return changed(ended_trial(number, scores[-1:], state), rungs=rungs)


def halving(*trials: TrialRecord, images: int | None = 900, grace: int = 100, **protocol: Any) -> Scheduler:
    scheduling = Scheduling("asha", grace, 3, "images")
    found = make_scheduler(scheduling, MAXIMIZE, Protocol(epochs=5, **protocol), trials, images=images)
    assert found is not None
    return found


def test_halving_on_images_judges_trials_by_their_scores_on_as_many_images() -> None:
    assert image_rungs(Scheduling("asha", 100, 3, "images"), 901) == (100, 300, 900)
    assert image_rungs(Scheduling("asha", 100, 3, "images"), 900) == (100, 300)
    assert image_rungs(Scheduling("asha", 1, 3), 900) == ()
    judge = halving(*(with_rungs(number, [0.1 * number], (100, 300)) for number in range(3)))
    assert judge.milestones(3) == (1, 2)
    assert judge.should_stop(3, [0.05])
    assert not judge.should_stop(4, [0.5])
    assert not judge.should_stop(4, [0.5, 0.1])  # the first one on so many
    judge.tell(with_rungs(5, [0.5, 0.9], (100, 300), "complete"))
    assert judge.should_stop(6, [0.6, 0.5])


def test_halving_on_images_learns_nothing_of_trials_that_had_other_rungs_or_none() -> None:
    others = [with_rungs(number, [0.9], (200, 600)) for number in range(3)] + [ended_trial(3, [0.9] * 5)]
    assert not halving(*others).should_stop(4, [0.1])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"images": None}, "needs data that are in memory"),
        ({"grace": 900}, "--grace 900 is all of the 900 images that there are to train on"),
        ({"folds": 3}, "leave out --resource images, or --folds"),
    ],
)
def test_images_that_cannot_be_halved_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        halving(**options)
    with pytest.raises(UserError, match="--resource images is for --scheduler asha; got median"):
        make_scheduler(Scheduling("median", 1, 3, "images"), MAXIMIZE, Protocol(epochs=5), (), images=900)


def curves(count: int, epochs: int = 27, seed: int = 0) -> list[list[float]]:
    """Learning curves that rise towards a level of their own, with a little noise."""
    rng = random.Random(seed)
    levels = [rng.random() for _ in range(count)]
    return [
        [level * (1 - 0.5 ** (epoch / 2)) + rng.gauss(0, 0.01) for epoch in range(1, epochs + 1)] for level in levels
    ]


def test_no_scheduler_is_none() -> None:
    assert make_scheduler(Scheduling(), MAXIMIZE, Protocol(epochs=27), ()) is None


def test_a_grace_of_all_epochs_is_refused() -> None:
    with pytest.raises(UserError, match="--scheduler asha has nothing to decide: --grace 5 is all of the 5 epochs"):
        make_scheduler(Scheduling("asha", 5), MAXIMIZE, Protocol(epochs=5), ())


def test_asha_alone_can_do_without_knowing_how_many_epochs_there_are() -> None:
    scheduler = make_scheduler(Scheduling("asha", 2), MAXIMIZE, Protocol(), ())
    assert scheduler is not None
    assert scheduler.milestones(0)[:5] == (2, 6, 18, 54, 162)
    for name in ("hyperband", "median", "pbt"):
        with pytest.raises(
            UserError, match=f"--scheduler {name} needs to know how many steps a trial has at most: say"
        ):
            make_scheduler(Scheduling(name, 2), MAXIMIZE, Protocol(), ())


def test_asha_lets_a_third_pass_each_rung() -> None:
    judge = scheduler_of("asha")
    assert judge.milestones(0) == (1, 3, 9)
    for number in range(6):  # each worse than the one before: the first alone goes on, then the best third
        trial = run(judge, number, [1.0 - number / 10] * 27)
        assert trial.state == ("complete" if number == 0 else "stopped")
    assert [run(judge, 6, [0.95] * 27).state, run(judge, 7, [0.85] * 27).state] == ["stopped", "stopped"]
    assert run(judge, 8, [1.1] * 27).state == "complete"


def test_a_rung_counts_the_best_so_far_and_not_the_last_epoch() -> None:
    judge = scheduler_of("asha", *(ended_trial(number, [0.5] * 27) for number in range(3)))
    assert not judge.should_stop(3, [0.1, 0.9, 0.2])
    assert judge.should_stop(4, [0.1, 0.4, 0.4])


@pytest.mark.parametrize("name", ["asha", "median"])
def test_epochs_that_were_not_scored_count_for_nothing(name: Any) -> None:
    """Others score every second epoch; what is behind them at a milestone ends, what is ahead goes on."""
    others = [
        trial_record(number, {"x": number}, 0, "complete", score=0.5, history=({}, {"val_accuracy": 0.5}) * 13 + ({},))
        for number in range(3)
    ]
    judge = scheduler_of(name, *others)
    epoch = next(epoch for epoch in judge.milestones(3) if epoch >= 3)
    assert judge.should_stop(3, ([math.nan, 0.1] * epoch)[:epoch])
    judge = scheduler_of(name, *others)
    assert not judge.should_stop(3, ([math.nan, 0.9] * epoch)[:epoch])


def test_hyperband_has_brackets_that_look_later_and_one_that_never_does() -> None:
    judge = scheduler_of("hyperband")
    brackets = Counter(judge.milestones(number) for number in range(100))
    assert set(brackets) == {(1, 3, 9), (3, 9), (9,), ()}
    counts = [brackets[rungs] for rungs in ((1, 3, 9), (3, 9), (9,), ())]
    assert counts == sorted(counts, reverse=True)
    assert counts[0] == pytest.approx(27 / (27 + 12 + 6 + 4) * 100, abs=2)  # n of each bracket, Li et al., Table 1


def test_the_median_rule_stops_what_is_behind_the_middle_of_three_others() -> None:
    judge = scheduler_of("median", ended_trial(0, [0.2] * 27), ended_trial(1, [0.4] * 27))
    assert not judge.should_stop(5, [0.1])
    judge.tell(ended_trial(2, [0.6] * 27))
    assert judge.should_stop(5, [0.39])
    assert not judge.should_stop(5, [0.4])
    assert not judge.should_stop(5, [0.5, 0.1, 0.1])


@pytest.mark.parametrize("name", STOPPING)
def test_what_failed_stops_nobody(name: Any) -> None:
    judge = scheduler_of(name, *(ended_trial(number, [0.9] * 9, "failed") for number in range(9)))
    assert not judge.should_stop(10, [0.1])


@pytest.mark.parametrize("name", STOPPING)
@pytest.mark.parametrize("objective", [MAXIMIZE, MINIMIZE])
def test_a_scheduler_made_from_the_record_judges_as_the_one_that_lived_through_it(
    name: Any, objective: Objective
) -> None:
    original, trials = scheduler_of(name, objective=objective), []
    for number, scores in enumerate(curves(30)):
        rebuilt = scheduler_of(name, *trials, objective=objective)
        assert [rebuilt.should_stop(number, scores[:epoch]) for epoch in rebuilt.milestones(number)[:1]] == [
            original.should_stop(number, scores[:epoch]) for epoch in original.milestones(number)[:1]
        ]
        trials.append(run(original, number, scores, objective))
    assert {trial.state for trial in trials} == {"complete", "stopped"}


@pytest.mark.parametrize(("name", "share"), [("asha", 0.35), ("hyperband", 0.6), ("median", 0.75)])
def test_epochs_are_saved_and_the_best_is_seldom_lost(name: Any, share: float) -> None:
    """Over 20 studies of 60 trials: the epochs trained, and how far the best that completed is behind the best."""
    spent, missing = [], []
    for seed in range(20):
        found = curves(60, seed=seed)
        judge = scheduler_of(name)
        trials = [run(judge, number, scores) for number, scores in enumerate(found)]
        spent.append(sum(len(trial.history) for trial in trials) / (60 * 27))
        best = max(trial.score or 0.0 for trial in trials if trial.state == "complete")
        missing.append(max(max(scores) for scores in found) - best)
    assert statistics.mean(spent) < share
    assert statistics.median(missing) < 0.01
