"""Params of an older space as a point of a new one."""

from __future__ import annotations

from typing import Any

import pytest

from tune_jobs.search_spaces import Choice, Fixed, Float, Int, OneFactor, Params, Space, Variants, fitting, narrow
from tune_jobs.search_spaces.narrowing import open_parameters

HELD = Space(
    rate=Float(1e-4, 1e-1, log=True),
    units=Choice(32, 64, None),
    depth=Fixed(2, Int(1, 4)),
    optimizer=Variants(sgd=Space(momentum=Float(0.0, 0.9)), adam=Space()),
)
POINT: Params = {"rate": 1e-3, "units": 32, "depth": 2, "optimizer": "sgd", "momentum": 0.5}


@pytest.mark.parametrize(
    ("space", "change", "fits"),
    [
        (HELD, {}, True),
        (open_parameters(HELD, ("depth",)), {}, True),
        (HELD, {"depth": 3}, False),
        (open_parameters(HELD, ("depth",)), {"depth": 3}, True),
        (narrow(HELD, {"rate": "1e-3..1e-2"}), {}, True),
        (narrow(HELD, {"rate": "1e-3..1e-2"}), {"rate": 1e-1}, False),
        (narrow(HELD, {"optimizer": "adam"}), {}, False),
        (narrow(HELD, {"units": "64"}), {}, False),
        (HELD, {"units": True}, False),
        (HELD, {"gone": 1}, False),
    ],
)
def test_params_fit_if_each_value_is_one_of_the_space(space: Space, change: dict[str, Any], fits: bool) -> None:
    params = {**POINT, **change}
    assert fitting.fitted(space, params, {}) == (params if fits else None)
    assert fitting.is_inside(space, params) == fits


def test_a_parameter_that_is_new_has_the_value_that_it_is_held_at_or_its_default() -> None:
    older = {name: value for name, value in POINT.items() if name not in ("depth", "units")}
    assert fitting.fitted(HELD, older, {"units": 64}) == {**POINT, "units": 64}
    assert fitting.fitted(HELD, older, {}) is None
    assert fitting.fitted(HELD, older, {"units": 7}) is None
    assert fitting.is_inside(HELD, older)


def test_a_point_of_factors_fits_as_it_is() -> None:
    space = OneFactor({"a": 1, "b": 2}, {"a": {"more": {"a": 3}}})
    assert fitting.fitted(space, {"a": 3, "b": 2}, {}) == {"a": 3, "b": 2}
    assert fitting.fitted(space, {"a": 3, "b": 4}, {}) is None


def test_the_defaults_are_those_of_a_tasks_own_functions() -> None:
    from dataclasses import replace

    from tune_jobs.search_spaces.catalog import find

    def build(*, input_shape: Any, head: Any, units: int = 64, dropout: float = 0.25, kind: object = object()) -> Any:
        """Nothing is built here."""

    task = replace(find("digits-mlp"), build=build, space=Space(units=Choice(64)), baseline={"units": 64})
    assert fitting.defaults(task) == {"units": 64, "dropout": 0.25}
