"""Names and values become what MLflow takes, by MLflow's own checks."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mlflow.utils import validation

from tune_jobs.tracking import names

ODD = st.text(st.sampled_from("ab/.:@[]% \n\0é漢😀\ud800"), max_size=300) | st.text(max_size=20)


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("val_accuracy", "val_accuracy"),
        ("größe/精度: top 1", "größe/精度: top 1"),
        ("precision@1", "precision_1"),
        ("rate[0]", "rate_0_"),
        ("val_f1 (%)", "val_f1 ___"),
        ("/absolute//twice/", "absolute/twice"),
        ("a/../b", "a/__/b"),
        ("..", "__"),
        ("...", "__."),
        ("", "_"),
        ("line\n", "line_"),
    ],
)
def test_a_name_becomes_the_nearest_that_mlflow_takes(name: str, near: str) -> None:
    assert names.near(name) == near
    validation._validate_metric_name(near)


@pytest.mark.slow
@given(st.lists(ODD, unique=True, max_size=8), st.sets(ODD, max_size=3))
def test_any_names_are_taken_and_told_apart(given_names: list[str], used: set[str]) -> None:
    found = names.taken(given_names, used)
    assert list(found) == given_names
    assert len({*found.values()} - used) == len(given_names)
    for name, near in found.items():
        validation._validate_metric(near, 0.5, 1, 1)
        validation._validate_param(near, "value")
        validation._validate_tag(near, "value")
        assert near == name or name != names.near(name) or name in used


def test_names_that_would_become_one_are_told_apart_and_a_plain_one_stays() -> None:
    found = names.taken(["p@1", "p#1", "p_1", "q@1"])
    assert found["p_1"] == "p_1"
    assert found["q@1"] == "q_1"
    assert len({*found.values()}) == 4
    assert names.taken(["q@1", "p_1", "p#1", "p@1"]) == found  # in whatever order


def test_long_names_that_begin_alike_are_told_apart() -> None:
    found = names.taken(["a" * 300, "a" * 301, "a" * 250])
    assert {len(name) for name in found.values()} == {250}
    assert len({*found.values()}) == 3


@pytest.mark.slow
@given(st.text(max_size=50), st.integers(0, 40))
def test_a_value_that_was_cut_by_any_server_is_the_same_value(value: str, more: int) -> None:
    long = value + "x" * 6000 + "y" * more
    assert names.is_cut_of(names.cut(long, names.LONGEST_PARAM), long)
    assert names.is_cut_of(names.cut(long, 500), long)  # as older servers cut
    assert not names.is_cut_of(names.cut(long, 100), long)
    assert not names.is_cut_of("z" * 500, long)
    names.cut(long, 100).encode()
