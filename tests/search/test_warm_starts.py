"""A search begins with what it was given, learns from it, and proposes none of it again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.trials import trial_record
from tune_jobs.errors import StudyError
from tune_jobs.records.trials import TrialRecord
from tune_jobs.search import samplers, warm_starts
from tune_jobs.search.candidates import Candidate
from tune_jobs.search.warm_starts import WarmStartSampler
from tune_jobs.search_spaces import (
    Choice,
    Float,
    Int,
    Objective,
    OneFactor,
    Params,
    Space,
    SpaceError,
    narrow,
    open_all,
    params_id,
)
from tune_jobs.search_spaces.catalog import find

MLP = find("digits-mlp")


def read(text: str, folder: Path) -> list[Params]:
    file = folder / "params.yaml"
    file.write_text(text)
    return warm_starts.from_file(file, MLP)


# --- a user's own -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["units: '128'", "- units: '128'", "{params: {units: '128'}, task: digits-mlp}"])
def test_a_file_says_what_is_not_as_in_the_baseline(text: str, tmp_path: Path) -> None:
    (point,) = read(text, tmp_path)
    assert point == {**MLP.baseline, "units": "128"}
    assert open_all(MLP.space).why_not(point) is None


def test_a_list_keeps_its_order(tmp_path: Path) -> None:
    assert [point["units"] for point in read("- units: '64'\n- units: 64-32\n- units: '32'\n", tmp_path)] == [
        "64",
        "64-32",
        "32",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("units: 128: 3", "is no YAML that can be read: mapping values are not allowed here in line 1"),
        ("", "number 1 needs to be params, such as `batch_size: 64`; got None"),
        ("[]", "is an empty list"),
        ("just words", "number 1 needs to be params, such as `batch_size: 64`; got 'just words'"),
        ("- units: 128\n- 7", "number 2 needs to be params, such as `batch_size: 64`; got 7"),
        ("1: 2", "number 1 has the key 1, which needs to be a text"),
        ("units: [1, 2]", "number 1: units needs a number, a text, true or false; got a list"),
        ("units: 128\nunits: 64", "the key 'units' is there twice"),
        ("units: !!python/object/apply:os.getcwd []", "is no YAML that can be read"),
    ],
)
def test_a_file_that_holds_something_else_is_refused(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(StudyError) as refused:
        read(text, tmp_path)
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("unitz: 128", "does not belong to task 'digits-mlp': it has no parameter unitz"),
        ("units: seven", "does not belong to task 'digits-mlp': units is 'seven'"),
        ("- units: 64-32\n- units: -1", "number 2, does not belong to task 'digits-mlp': units is -1"),
    ],
)
def test_a_configuration_that_does_not_belong_to_the_task_is_named(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(SpaceError, match=message):
        read(text, tmp_path)


WRITTEN = replace(
    MLP,
    space=Space(
        rate=Float(1e-4, 2.0),
        units=Int(1, 64),
        mode=Choice("off", "on"),
        regularizer=Choice("null", "l2"),
        flag=Choice(False, True),
        layers=Choice("64", "64-32"),
        when=Choice("2024-01-31", "12:30"),
    ),
    baseline={
        "rate": 0.5, "units": 8, "mode": "on", "regularizer": "l2", "flag": True, "layers": "64", "when": "12:30",
    },
    build=None,
    encoding=None,
    train=lambda params, data, *, seed, epochs: iter(()),
)  # fmt: skip


@pytest.mark.parametrize(
    ("text", "params"),
    [
        ("rate: 1e-3", {"rate": 0.001}),
        ("rate: 1E-3", {"rate": 0.001}),
        ("rate: '1e-3'", {"rate": 0.001}),
        ("rate: 1", {"rate": 1.0}),
        ("units: 8.0", {"units": 8}),
        ("units: 1e1", {"units": 10}),
        ("units: 010", {"units": 10}),
        ("mode: off", {"mode": "off"}),
        ("mode: false", {"mode": "off"}),
        ("regularizer: null", {"regularizer": "null"}),
        ("flag: off", {"flag": False}),
        ("flag: no", {"flag": False}),
        ("layers: 64", {"layers": "64"}),
        ("when: 2024-01-31", {"when": "2024-01-31"}),
        ("when: 12:30", {"when": "12:30"}),
    ],
)
def test_a_value_is_taken_for_what_it_means(text: str, params: Params, tmp_path: Path) -> None:
    file = tmp_path / "params.yaml"
    file.write_text(text)
    assert [repr(point) for point in warm_starts.from_file(file, WRITTEN)] == [repr({**WRITTEN.baseline, **params})]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("rate: fast", "rate is 'fast'; needed: a float, 0.0001 to 2.0"),
        ("rate: true", "rate is True; needed: a float"),
        ("units: 8.5", "units is 8.5; needed: a whole number, 1 to 64"),
        ("units: 12:30", "units is '12:30'; needed: a whole number"),
        ("mode: maybe", "mode is 'maybe'; allowed: off, on"),
        ("mode: null", "mode is None; allowed: off, on"),
        ("when: 750", "when is 750; allowed: 2024-01-31, 12:30"),
    ],
)
def test_a_value_that_means_nothing_here_is_one_line(text: str, message: str, tmp_path: Path) -> None:
    file = tmp_path / "params.yaml"
    file.write_text(text)
    with pytest.raises(SpaceError) as refused:
        warm_starts.from_file(file, WRITTEN)
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


def test_values_of_numpy_begin_a_search_as_plain_ones() -> None:
    (point,) = warm_starts.from_list(
        [{"rate": np.float64(0.25), "units": np.int64(4), "flag": np.bool_(False)}], WRITTEN
    )
    assert repr(point) == repr({**WRITTEN.baseline, "rate": 0.25, "units": 4, "flag": False})


def test_a_level_of_a_factor_is_taken_for_what_it_means(tmp_path: Path) -> None:
    space = OneFactor({"rate": 0.5, "units": 8}, {"rate": {"low": {"rate": 0.001}}})
    task = replace(WRITTEN, space=space, baseline={"rate": 0.5, "units": 8})
    file = tmp_path / "params.yaml"
    file.write_text("{rate: 1e-3, units: 8.0}")
    assert repr(warm_starts.from_file(file, task)) == repr([{"rate": 0.001, "units": 8}])


def test_a_file_that_is_not_there_says_what_it_is_to_hold(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match=r"there is no file .*; it is to hold params"):
        warm_starts.from_file(tmp_path / "none.yaml", MLP)


# --- and then the search ----------------------------------------------------------------------------------------------


def propose(search: Any, first: list[Params], n: int, trials: tuple[TrialRecord, ...] = ()) -> list[Params]:
    """The first n params of a study of a small space, each told before the next is asked for."""
    space = narrow(MLP.space, {"optimizer": "adam", "learning_rate": "0.001,0.01", "dropout": "without"})
    objective = Objective("val_accuracy", "maximize")
    then = samplers.make_sampler(search, space, objective, 0, trials)
    warm = WarmStartSampler([Candidate(params, 0) for params in first], then, trials)
    proposed: list[Params] = []
    while len(proposed) + len(trials) < n and (candidate := warm.ask()) is not None:
        proposed.append(candidate.params)
        warm.tell(_ended(len(trials) + len(proposed) - 1, candidate.params))
    return proposed


def _ended(number: int, params: Params) -> TrialRecord:
    return trial_record(number, params, 0, "complete", score=int(params_id(params)[:6], 16) / 16**6)


@pytest.mark.slow
@pytest.mark.parametrize("search", ["grid", "random", "qmc", "tpe", "gp"])
def test_what_was_given_is_first_and_nothing_comes_twice(search: Any, tmp_path: Path) -> None:
    plain = propose(search, [], 40)
    given = [plain[7], plain[3], plain[7]]
    proposed = propose(search, given, 40)
    assert proposed[:2] == given[:2]
    assert len({params_id(params) for params in proposed}) == len(proposed) == 40


@pytest.mark.slow
@pytest.mark.parametrize("search", ["grid", "random", "qmc", "tpe", "gp"])
def test_a_warm_search_that_was_killed_goes_on_as_it_would_have(search: Any) -> None:
    given = propose(search, [], 9)[5:8]
    whole = propose(search, given, 20)
    for cut in (1, 2, 3, 11):
        trials = tuple(_ended(number, params) for number, params in enumerate(whole[:cut]))
        assert propose(search, given, 20, trials) == whole[cut:]


@pytest.mark.slow
@pytest.mark.parametrize("search", ["random", "qmc", "tpe", "gp", "cmaes"])
def test_what_a_search_began_with_counts_the_same_while_it_runs_and_after_a_restart(search: Any) -> None:
    space = Space(x=Float(0.0, 1.0), y=Float(0.0, 1.0))
    objective = Objective("val_accuracy", "maximize")
    given = [Candidate({"x": 0.5, "y": 0.5}, 0), Candidate({"x": 0.25, "y": 0.75}, 0)]
    undisturbed = WarmStartSampler(given, samplers.make_sampler(search, space, objective, 0, ()), ())
    begun = [undisturbed.ask() for _ in range(4)]
    assert begun[:2] == given
    trials = tuple(TrialRecord(number, one.params, 0, "running") for number, one in enumerate(begun) if one)
    continued = WarmStartSampler(given, samplers.make_sampler(search, space, objective, 0, trials), trials)
    for number in range(4, 18):
        one = continued.ask()
        assert undisturbed.ask() == one
        if one is not None:
            trials += (TrialRecord(number, one.params, 0, "running"),)
        for warm in (undisturbed, continued):
            warm.tell(_ended(number - 4, trials[number - 4].params))
