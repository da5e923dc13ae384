"""What a study begins with: its task's baseline, and the search that was asked for or picked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.support.sweeping import finished_study, own_task
from tune_jobs.actions.launch import LaunchRequest
from tune_jobs.errors import UserError
from tune_jobs.search import auto, samplers
from tune_jobs.search.candidates import Candidate
from tune_jobs.search_spaces import Choice, Float, Space
from tune_jobs.settings import Settings

ENDLESS = "Float(1.0, 100.0, log=True)"
MIXED = Space(x=Float(0.0, 1.0), kind=Choice("a", "b"))


def asked(plan: Any, n: int) -> list[Any]:
    return [one.params["width"] for _ in range(n) if (one := plan.sampler.ask())]


@pytest.mark.parametrize("search", ["random", "qmc", "tpe", "gp"])
def test_a_study_begins_with_the_baseline_unless_that_is_refused(
    search: Any, tmp_path: Path, resolved: Callable[[LaunchRequest], Any]
) -> None:
    own = own_task(tmp_path, width=ENDLESS)
    plain = samplers.make_sampler(search, own.task.space, own.task.objective, 0, ())
    proposed = [one.params["width"] for _ in range(3) if (one := plain.ask())]
    begun = resolved(LaunchRequest(own.reference, search=search, trials=4))
    assert (begun.plan.trials, begun.said) == (4, [])
    first, *rest = asked(begun.plan, 4)
    assert (first, len(rest), 1.0 in rest) == (1.0, 3, False)
    without = resolved(LaunchRequest(own.reference, study="without", search=search, no_baseline=True))
    assert asked(without.plan, 3) == proposed


def test_a_grid_begins_with_the_baseline_and_has_it_once(
    tmp_path: Path, resolved: Callable[[LaunchRequest], Any]
) -> None:
    own = own_task(tmp_path, more_baseline={"depth": 1}, width="Choice(4, 3, 2, 1)")
    begun = resolved(LaunchRequest(own.reference, search="grid"))
    assert (begun.plan.total, asked(begun.plan, 9)) == (4, [1, 4, 3, 2])


@pytest.mark.parametrize("search", ["grid", "random"])
def test_a_baseline_outside_the_space_is_left_out_with_a_word(
    search: Any, tmp_path: Path, resolved: Callable[[LaunchRequest], Any]
) -> None:
    own = own_task(tmp_path)
    begun = resolved(LaunchRequest(own.reference, search=search, narrowed={"width": "3,2"}))
    assert begun.said == ["without the task's baseline, which is outside this space: width is 1; allowed: 2, 3"]
    assert sorted(asked(begun.plan, 9)) == [2, 3]


def test_a_baseline_that_differs_in_what_is_held_begins_every_search_but_a_grid(
    tmp_path: Path, resolved: Callable[[LaunchRequest], Any]
) -> None:
    own = own_task(tmp_path, more_baseline={"depth": 2})
    random, grid = (
        resolved(LaunchRequest(own.reference, study=search, search=search, trials=5)) for search in ("random", "grid")
    )
    assert random.plan.sampler.ask() == Candidate(own.task.baseline, 0)
    assert sorted(asked(random.plan, 9)) == [1, 2, 3, 4]
    assert (asked(grid.plan, 9), len(grid.said)) == ([1, 2, 3, 4], 1)
    assert "depth is 2 and held at 1" in grid.said[0]


def test_the_baseline_comes_before_what_a_user_gives_and_that_before_another_study(
    tmp_path: Path, resolved: Callable[[LaunchRequest], Any], settings: Settings
) -> None:
    own = own_task(tmp_path, "level")
    finished_study(own, settings, "other")
    file = tmp_path / "mine.yaml"
    file.write_text("- width: 2\n- width: 1\n")
    request = LaunchRequest(own.reference, search="random", tried=file, seed_from="other")
    assert asked(resolved(request).plan, 9) == [1, 2, 4, 3]
    assert asked(resolved(replace(request, study="without", no_baseline=True)).plan, 9) == [2, 1, 4, 3]


def test_a_study_that_was_begun_without_its_baseline_goes_on_as_it_would_have(
    tmp_path: Path, resolved: Callable[[LaunchRequest], Any], settings: Settings
) -> None:
    own = own_task(tmp_path, width=ENDLESS)
    search = samplers.make_sampler("tpe", own.task.space, own.task.objective, 0, ())
    searched = [one for _ in range(5) if (one := search.ask())]
    finished_study(own, settings, search="tpe", candidates=searched[:3])
    again = resolved(LaunchRequest(own.reference))
    assert [again.plan.sampler.ask() for _ in range(2)] == searched[3:]
    assert not [said for said in again.said if "baseline" in said]


@pytest.mark.parametrize("search", ["baseline", "reported"])
def test_a_list_begins_with_nothing_else(search: Any, tmp_path: Path, resolved: Callable[[LaunchRequest], Any]) -> None:
    with pytest.raises(UserError, match=f"--no-baseline are about .* --search {search} has a list of its own"):
        resolved(LaunchRequest(own_task(tmp_path).reference, search=search, no_baseline=True))


def test_auto_says_what_it_picks_and_why_and_the_study_goes_on_with_that(
    tmp_path: Path, resolved: Callable[[LaunchRequest], Any]
) -> None:
    own = own_task(tmp_path)
    begun = resolved(LaunchRequest(own.reference, search="auto", trials=100))
    assert (begun.search, begun.trials) == ("grid", 100)
    assert begun.said == ["search: grid, for the space has 4 configurations and 100 trials were allowed"]
    assert resolved(LaunchRequest(own.reference, trials=3)).search == "grid"
    again = resolved(LaunchRequest(own.reference, search="auto", trials=3))
    assert (again.search, again.said) == ("grid", ["search: grid, for the study was begun with it"])


@pytest.mark.parametrize(
    ("space", "trials", "search"),
    [
        (Space(kind=Choice("a", "b")), 2, "grid"),
        (Space(**{f"x{at}": Choice(1, 2, 3) for at in range(4)}), 80, "gp"),
        (Space(**{f"x{at}": Choice(1, 2, 3) for at in range(4)}), 81, "grid"),
        (MIXED, 10, "random"),
        (MIXED, 11, "gp"),
        (MIXED, 300, "gp"),
        (MIXED, 301, "tpe"),
    ],
)
def test_auto_picks_by_the_space_and_the_number_of_trials(space: Space, trials: int, search: str) -> None:
    picked, why = auto.pick_search(space, trials)
    assert picked == search
    assert str(trials) in why
    samplers.check_search(picked, space)


def test_auto_of_several_objectives_is_tpe_for_few_trials_and_nsga2_for_many() -> None:
    assert [auto.pick_search(MIXED, trials, multi_objective=True)[0] for trials in (11, 100, 101)] == [
        "tpe",
        "tpe",
        "nsga2",
    ]
