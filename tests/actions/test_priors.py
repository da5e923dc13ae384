"""A study takes over what another knows: all of its trials, or its best configurations."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.support.sweeping import Own, finished_study, own_task
from tune_jobs.actions import priors
from tune_jobs.actions.launch import LaunchRequest
from tune_jobs.errors import StudyError, UserError
from tune_jobs.search_spaces.protocol import Objective
from tune_jobs.settings import Settings
from tune_jobs.study import file as study_file
from tune_jobs.study.study import Study

WIDTHS = "Choice(1, 2, 3, 4, 5, 6, 7)"
Resolve = Callable[[LaunchRequest], Any]


@pytest.fixture
def own(tmp_path: Path, settings: Settings) -> Own:
    """A task of which there is a study `other`, whose best width is 7."""
    own = own_task(tmp_path / "task", "level", width=WIDTHS)
    finished_study(own, settings, "other")
    return own


def asked(plan: Any, n: int) -> list[Any]:
    return [one.params["width"] for _ in range(n) if (one := plan.sampler.ask())]


def request_of(own: Own, **options: Any) -> LaunchRequest:
    return replace(LaunchRequest(own.reference, "mine", 4, "gp", seed_from="other", no_baseline=True), **options)


def test_a_search_learns_from_all_trials_of_another_study(own: Own, resolved: Resolve, settings: Settings) -> None:
    begun = resolved(request_of(own))
    assert asked(begun.plan, 1) == [7]
    assert "7 of 7 trials of study other are points of this space and teach the search" in begun.said
    assert Study.open("mine", settings).record().trials == ()


@pytest.mark.slow
def test_a_study_keeps_what_it_took_over_when_the_other_is_gone(
    own: Own, resolved: Resolve, settings: Settings
) -> None:
    proposed = asked(resolved(request_of(own)).plan, 3)
    with Study.hold("other", settings) as other:
        other.delete()
    assert asked(resolved(request_of(own)).plan, 3) == proposed
    assert asked(resolved(LaunchRequest(own.reference, "mine", no_baseline=True)).plan, 3) == proposed
    mine = Study.open("mine", settings)
    assert study_file.decoded(study_file.encoded(mine.content())).record.prior == mine.record().prior is not None


@pytest.mark.slow
def test_what_was_taken_over_can_be_dropped_again(own: Own, resolved: Resolve, settings: Settings) -> None:
    taught, dropped = resolved(request_of(own)), resolved(request_of(own, seed_from="none"))
    never = resolved(request_of(own, study="never", seed_from=None))
    assert asked(dropped.plan, 3) == asked(never.plan, 3) != asked(taught.plan, 3)
    assert Study.open("mine", settings).record().prior is None


@pytest.mark.parametrize(
    ("options", "n", "said"),
    [
        ({"seed_from_best": 2}, 2, []),
        (
            {"search": "random"},
            5,
            ["--search random cannot learn from another study: its best 5 configurations come first"],
        ),
        ({"search": "tpe", "seed_from_best": 3}, 3, []),
    ],
)
def test_only_the_best_come_first_if_asked_or_if_the_search_cannot_learn(
    options: dict[str, Any], n: int, said: list[str], own: Own, resolved: Resolve, settings: Settings
) -> None:
    begun = resolved(request_of(own, trials=7, **options))
    assert asked(begun.plan, n) == [7, 6, 5, 4, 3][:n]
    assert begun.said == said
    with Study.hold("other", settings) as other:
        other.delete()
    assert asked(resolved(request_of(own, trials=7, **options)).plan, n) == [7, 6, 5, 4, 3][:n]


def test_a_score_of_which_less_is_better_teaches_the_same(own: Own, resolved: Resolve, settings: Settings) -> None:
    request = request_of(own, objectives=("min:val_accuracy",))
    assert asked(resolved(request).plan, 1) == [7]
    record = Study.open("other", settings).record()
    trials = priors.known(Study.open("mine", settings).record().prior, resolved(request))
    assert [-(trial.score or 0) for trial in trials] == [trial.score for trial in record.trials]
    assert record.terms.objective == Objective("val_accuracy", "maximize")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"seed_from": "another"}, "no study named 'another'"),
        ({"seed_from": None, "seed_from_best": 3}, "--seed-from-best N says how many of .* name the study"),
        (
            {"narrowed": {"width": "1,2"}},
            "study 'other' teaches nothing here: 2 of its 7 trials are complete and points",
        ),
        ({"seed_from_best": 0}, "seed_from_best"),
    ],
)
def test_what_cannot_help_is_refused_before_anything_is_written(
    options: dict[str, Any], message: str, own: Own, resolved: Resolve, settings: Settings
) -> None:
    with pytest.raises(UserError, match=message):
        resolved(request_of(own, **options))
    with pytest.raises(StudyError, match="no study named 'mine'"):
        Study.open("mine", settings)


def test_a_study_without_a_complete_trial_has_nothing_to_begin_with(
    tmp_path: Path, resolved: Resolve, settings: Settings
) -> None:
    own = own_task(tmp_path / "task", "raise", width=WIDTHS)
    finished_study(own, settings, "other")
    with pytest.raises(StudyError, match="study 'other' has nothing to begin with: none of its trials is complete"):
        resolved(request_of(own, seed_from_best=5))
    with pytest.raises(StudyError, match="study 'other' teaches nothing here: 0 of its 7 trials are complete"):
        resolved(request_of(own))
