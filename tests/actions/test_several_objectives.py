"""Searches over several objectives: closer to a known front than chance, and the same again after a restart."""

from __future__ import annotations

import math
import statistics
from pathlib import Path
from typing import Any

import pytest

from tests.support.sweeping import SharedRay, called, kill_family, own_task, until
from tests.support.trials import trial_record
from tune_jobs.errors import UserError
from tune_jobs.records.trials import State, TrialRecord
from tune_jobs.search import samplers
from tune_jobs.search_spaces import Choice, Float, Int, Objective, Params, Space, Variants, params_id
from tune_jobs.settings import Settings
from tune_jobs.study.study import Study

FIRST, SECOND = Objective("near", "minimize"), Objective("far", "maximize")
SEARCHES = ("random", "qmc", "tpe", "nsga2")
SPACE = Space(
    x=Float(0.0, 1.0),
    kind=Variants(plain=Space(), deep=Space(y=Float(0.0, 1.0), z=Float(0.0, 1.0))),
    n=Int(1, 4),
)
FINITE = Space(a=Choice(1, 2), kind=Variants(p=Space(b=Choice(1, 2, 3)), q=Space()), n=Int(1, 2))


def problem(params: Params) -> tuple[float, float]:
    """The first problem of Zitzler, Deb and Thiele (2000), the second objective turned round: its front is
    far = sqrt(near) - 1, which needs the option deep, with y and z at 0, and n at 1."""
    x, y, z, n = (float(params.get(name, 0.5)) for name in ("x", "y", "z", "n"))  # type: ignore[arg-type]
    g = 1 + 3 * (y + z + (n - 1) / 3 + (params["kind"] == "plain"))
    return x, -g * (1 - math.sqrt(x / g))


def hypervolume(points: list[tuple[float, float]]) -> float:
    """The area between the points and (1, -4), which all that matters is better than."""
    area, above = 0.0, -4.0
    for near, far in sorted(points):
        if near < 1 and far > above:
            area += (1 - near) * (far - above)
            above = far
    return area


BEST = 4 - 1 / 3  # the area under the front itself: of sqrt(x) - 1 + 4 from 0 to 1


def record(number: int, params: Params, state: State = "complete") -> TrialRecord:
    near, far = problem(params) if "x" in params else (float(number % 5), float(number % 3))
    if state == "failed":
        return trial_record(number, params, 0, state, reason="crashed")
    metrics = {"near": near, "far": far}
    return trial_record(number, params, 0, state, score=near, metrics=metrics, history=(metrics,))


def by_number(number: int, params: Params) -> TrialRecord:
    """Every sort of end, in turn."""
    states: tuple[State, ...] = ("complete", "complete", "failed", "complete", "stopped")
    return record(number, params, states[number % 5])


def sampler(search: Any, space: Space = SPACE, seed: int = 0, trials: tuple[TrialRecord, ...] = ()) -> Any:
    return samplers.make_sampler(search, space, FIRST, seed, trials, further_objectives=(SECOND,))


def walk(
    search: Any, n: int, trials: tuple[TrialRecord, ...] = (), *, space: Space = SPACE, seed: int = 0
) -> list[Params]:
    found, one = [], sampler(search, space, seed, trials)
    for number in range(len(trials), len(trials) + n):
        candidate = one.ask()
        if candidate is None:
            break
        found.append(candidate.params)
        one.tell(by_number(number, candidate.params))
    return found


def area(search: Any, seed: int, n: int = 100) -> float:
    one, points = sampler(search, seed=seed), []
    for number in range(n):
        params = one.ask().params
        points.append(problem(params))
        one.tell(record(number, params))
    return hypervolume(points)


@pytest.mark.slow
def test_nsga2_and_tpe_come_closer_to_a_known_front_than_random_search() -> None:
    missing = {
        search: statistics.median(BEST - area(search, seed) for seed in range(5))
        for search in ("random", "tpe", "nsga2")
    }
    assert min(missing.values()) > 0  # nothing is beyond the front
    assert missing["nsga2"] < 0.6 * missing["random"]
    assert missing["tpe"] < 0.6 * missing["random"]


@pytest.mark.parametrize("search", SEARCHES)
def test_what_is_proposed_belongs_to_the_space_and_never_twice(search: Any) -> None:
    asked = walk(search, 40)
    assert [SPACE.why_not(params) for params in asked] == [None] * 40
    assert len({params_id(params) for params in asked}) == 40
    assert {params["kind"] for params in asked} == {"plain", "deep"}


@pytest.mark.parametrize("search", SEARCHES)
def test_a_finite_space_is_used_up(search: Any) -> None:
    asked = walk(search, 99, space=FINITE)
    assert sorted(map(params_id, asked)) == sorted(map(params_id, FINITE.grid()))


@pytest.mark.slow
@pytest.mark.parametrize("space", [SPACE, FINITE])
@pytest.mark.parametrize("search", SEARCHES)
def test_a_search_continued_from_the_record_proposes_what_an_undisturbed_one_would(search: Any, space: Space) -> None:
    whole = walk(search, 30, space=space, seed=3)
    for cut in range(1, len(whole), 6):
        told = tuple(by_number(number, params) for number, params in enumerate(whole[:cut]))
        assert walk(search, 30 - cut, told, space=space, seed=3) == whole[cut:]


@pytest.mark.parametrize("search", ["tpe", "nsga2"])
def test_trials_that_still_run_count_the_same_before_and_after_a_restart(search: Any) -> None:
    undisturbed = sampler(search)
    asked = [undisturbed.ask().params for _ in range(24)]
    told = [by_number(number, params) for number, params in enumerate(asked[:20])]
    for trial in told:
        undisturbed.tell(trial)
    running = [TrialRecord(number, asked[number], seed=0, state="running") for number in range(20, 24)]
    continued = sampler(search, trials=(*told, *running))
    for number in (21, 20, 23, 22):
        assert continued.ask() == undisturbed.ask()
        for one in (undisturbed, continued):
            one.tell(record(number, asked[number]))
    assert continued.ask() == undisturbed.ask()


def test_nsga2_does_not_mind_in_which_order_it_hears_of_what_others_asked_for() -> None:
    """Such as what a search is to begin with, which a continued one finds in the record."""
    trials = [record(number, params) for number, params in enumerate(walk("random", 24))]

    def after(order: list[TrialRecord]) -> list[Params]:
        one = sampler("nsga2")
        for trial in order:
            one.tell(trial)
        return [one.ask().params for _ in range(5)]

    assert after(trials) == after(trials[::-1])


def test_nsga2_inherits_what_is_under_an_option_that_both_parents_took() -> None:
    """All parents have one value there; a child that takes the option has it too, unless it mutates."""
    space = Space(kind=Variants(plain=Space(), deep=Space(y=Float(0.0, 1.0))), x=Float(0.0, 1.0))

    def parent(number: int) -> TrialRecord:
        near, far = number / 10, math.sqrt(number / 10)
        params = {"kind": "deep", "y": 0.75, "x": near}
        return trial_record(number, params, 0, "complete", score=near, metrics={"near": near, "far": far})

    def inheriting(search: Any) -> float:
        asked = [sampler(search, space, seed, tuple(map(parent, range(10)))).ask().params for seed in range(40)]
        deep = [params["y"] for params in asked if params["kind"] == "deep"]
        return sum(abs(y - 0.75) < 1e-9 for y in deep) / len(deep)

    assert inheriting("nsga2") > 1 / 3
    assert inheriting("random") == 0


def test_what_came_from_elsewhere_is_no_parent() -> None:
    """Until ten have ended that belong to the space, its proposals are random ones."""
    outside = tuple(record(n, {"x": 2.0 + n, "kind": "plain", "n": 1}) for n in range(12))
    assert walk("nsga2", 10, outside) == walk("random", 10, outside)
    inside = tuple(record(n, params) for n, params in enumerate(walk("random", 12)))
    assert walk("nsga2", 10, inside) != walk("random", 10, inside)


@pytest.mark.parametrize(
    ("search", "further", "said"),
    [
        ("cmaes", (SECOND,), "--search cmaes is for one objective, and this study has 2: take nsga2 or tpe"),
        ("gp", (SECOND,), "--search gp is for one objective, and this study has 2: take nsga2 or tpe"),
        ("nsga2", (), "--search nsga2 weighs several objectives, and this study has one: take tpe"),
    ],
)
def test_a_search_for_another_number_of_objectives_is_refused(search: Any, further: Any, said: str) -> None:
    with pytest.raises(UserError, match=said):
        samplers.check_search(search, SPACE, further)


def test_a_sweep_that_was_killed_goes_on_as_an_undisturbed_one_would(
    tmp_path: Path, settings: Settings, ray: SharedRay
) -> None:
    own = own_task(tmp_path / "task", width="Float(0.0, 4.0)", more="depth=Int(1, 3)")
    own.make_room(13)
    words = ("--objective", "val_accuracy", "--objective", "max:val_loss", "--max-concurrent", "1")
    process = ray.command_line(
        settings, "launch", own.reference, *words, "--trials", "17", "--search", "nsga2", "--no-baseline"
    )
    until(lambda: len(own.trained) == 14, "the fourteenth trial to begin", process)
    kill_family(process)
    own.make_room(None)
    code, _, stderr = called(settings, "launch", own.reference)
    assert code == 0, stderr
    study = Study.open("own", settings).record()
    assert study.launch is not None
    assert study.launch.search == "nsga2"
    assert [trial.state for trial in study.trials] == ["complete"] * 17
    assert [trial.attempts for trial in study.trials] == [*[1] * 13, 2, *[1] * 3]
    space = own.task.space
    undisturbed = samplers.make_sampler(
        "nsga2", space, study.terms.objective, 0, (), further_objectives=study.terms.further_objectives
    )
    for trial in study.trials:
        candidate = undisturbed.ask()
        assert candidate is not None
        assert candidate.params == trial.params
        undisturbed.tell(trial)
