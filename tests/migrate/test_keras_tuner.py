"""A `build(hp)` of KerasTuner becomes a space with its conditions, and a builder that gives the same models.

KerasTuner is not installed. What its domains hold is told by its documentation of `HyperParameters`.
"""

from __future__ import annotations

from typing import Any

import pytest

from tune_jobs.migrate import from_keras_tuner
from tune_jobs.search_spaces import Choice, Float, Int, Objective, Protocol, Space, Task, TaskError, Variants
from tune_jobs.search_spaces.scalars import Scalar


def domain_of(ask: Any) -> Scalar:
    ((_, domain),) = from_keras_tuner(ask).space.domains
    assert isinstance(domain, Float | Int | Choice)
    return domain


@pytest.mark.parametrize(
    ("ask", "domain"),
    [
        (lambda hp: hp.Int("n", 6, 12), Int(6, 12)),
        (lambda hp: hp.Int("n", 6, 13, step=3), Int(6, 12, step=3)),  # [6, 9, 12], its documentation says
        (lambda hp: hp.Int("n", 2, 32, step=2, sampling="log"), Choice(2, 4, 8, 16, 32)),
        (lambda hp: hp.Int("n", 2, 32, sampling="log"), Int(2, 32, log=True)),
        (lambda hp: hp.Float("f", 0, 1), Float(0.0, 1.0)),
        (lambda hp: hp.Float("f", 0, 1, step=0.2), Float(0.0, 1.0, step=0.2)),
        (lambda hp: hp.Float("f", 0.001, 10, step=10, sampling="log"), Choice(0.001, 0.01, 0.1, 1.0, 10.0)),
        (lambda hp: hp.Float("f", 1, 8, step=2, sampling="reverse_log"), Choice(1.0, 5.0, 7.0, 8.0)),
        (lambda hp: hp.Float("f", 1e-4, 1e-2, sampling="LOG"), Float(1e-4, 1e-2, log=True)),
        (lambda hp: hp.Choice("c", ["b", "a"]), Choice("b", "a")),
        (lambda hp: hp.Boolean("b"), Choice(False, True)),
        (lambda hp: hp.Fixed("x", 3), Choice(3)),
    ],
)
def test_a_domain_holds_the_values_that_its_documentation_names(ask: Any, domain: Scalar) -> None:
    assert domain_of(ask) == domain


def test_a_reverse_scale_is_said_to_be_lost() -> None:
    found = from_keras_tuner(lambda hp: hp.Float("rate", 0.1, 1.0, sampling="reverse_log"))
    assert found.notes == ("rate: its range is on a plain scale now, and not reverse_log",)


def layers(hp: Any) -> Any:
    """Units for each layer, as in its README; one parameter in a scope; a choice with conditions of both kinds."""
    units = [hp.Int(f"units_{i}", 32, 64, step=32) for i in range(hp.Int("layers", 1, 3, default=2))]
    kind = hp.Choice("kind", ["sgd", "adam"], default="adam")
    with hp.name_scope("opt"):
        rate = hp.Float("rate", 1e-4, 1e-2, sampling="log", default=1e-3)
    momentum = hp.Float("momentum", 0.0, 0.9, parent_name="kind", parent_values=["sgd"])
    with hp.conditional_scope("kind", "adam"):
        beta = hp.Float("beta", 0.9, 0.99)
    nesterov = hp.Boolean("nesterov") if kind == "sgd" else None
    assert ("momentum" in hp) == (kind == "sgd")
    assert hp.get("kind") == hp["kind"] == kind
    return units, kind, rate, momentum, beta, nesterov


FOUND = from_keras_tuner(layers)


def test_conditions_become_options() -> None:
    unit = Int(32, 64, step=32)
    assert FOUND.space == Space(
        layers=Variants({"1": Space(), "2": Space(units_1=unit), "3": Space(units_1=unit, units_2=unit)}),
        units_0=unit,
        kind=Variants(
            sgd=Space(momentum=Float(0.0, 0.9), nesterov=Choice(False, True)), adam=Space(beta=Float(0.9, 0.99))
        ),
        opt_rate=Float(1e-4, 1e-2, log=True),
    )
    assert FOUND.notes == ("layers: a choice of 3 options, for other parameters depend on it",)


def test_its_own_values_are_the_baseline() -> None:
    units = {"units_0": 32, "units_1": 32}
    assert FOUND.baseline == {"layers": "2", "kind": "adam", "opt_rate": 1e-3, "beta": 0.9} | units
    assert FOUND.space.why_not(FOUND.baseline) is None


def test_the_builder_gets_the_values_of_the_params() -> None:
    assert FOUND.build is not None
    built = FOUND.build(layers="1", units_0=64, kind="sgd", opt_rate=0.002, momentum=0.5, nesterov=True)
    assert built == ([64], "sgd", 0.002, 0.5, None, True)
    with pytest.raises(ValueError, match="the function asks for 'units_1', which its space does not have for these"):
        FOUND.build(layers="2", units_0=64, kind="adam", opt_rate=0.002, beta=0.9)


def test_a_space_that_was_found_before_spares_the_calls() -> None:
    calls: list[Any] = []

    def counted(hp: Any) -> Any:
        calls.append(hp)
        return hp.Int("n", 1, 9)

    found = from_keras_tuner(counted)
    n_calls, again = len(calls), from_keras_tuner(counted, found.space)
    assert (len(calls), again.space) == (n_calls, found.space)
    assert again.build is not None
    assert again.build(n=3) == 3


def test_every_point_of_the_space_is_built_without_a_question_more() -> None:
    assert FOUND.build is not None
    narrowed = Space.of({name: domain for name, domain in FOUND.space.domains if name != "opt_rate"})
    for share in (0.0, 0.3, 0.7, 0.99):
        point = narrowed.walk(lambda name, domain, under, share=share: domain.at(share))
        assert FOUND.build(**point, opt_rate=0.001)[1] == point["kind"]


def test_it_is_a_task() -> None:
    class Hyper:
        def build(self, hp: Any) -> Any:
            return layers(hp)

        def fit(self, hp: Any, model: Any, *args: Any) -> Any:
            raise NotImplementedError

    found = from_keras_tuner(Hyper())
    assert found.notes[0].startswith("fit: that of the HyperModel is not used")
    task = Task(
        "migrated",
        found.space,
        Objective("val_loss", "minimize"),
        dataset="digits",
        protocol=Protocol(epochs=1),
        baseline=found.baseline,
        build=found.build,
    )
    assert task.route(task.baseline).builder == found.baseline
    assert task.digest() == Task(**{**vars(task), "build": found.build}).digest()


def test_what_depends_on_too_many_values_is_always_searched_and_said() -> None:
    def build(hp: Any) -> None:
        if hp.Float("rate", 0.0, 1.0) > 0.5:
            hp.Int("extra", 1, 2)

    found = from_keras_tuner(build)
    assert found.space == Space(rate=Float(0.0, 1.0), extra=Int(1, 2))
    assert found.notes == ("rate: has too many values for others to depend on it; these are always searched",)
    assert found.build is not None
    found.build(rate=0.2, extra=1)


def test_what_only_a_combination_asks_for_keeps_its_default_and_is_said() -> None:
    def build(hp: Any) -> Any:
        if hp.Boolean("a") and hp.Boolean("b", default=False):
            return hp.Int("rare", 1, 9)
        return [hp.Boolean("c"), hp.Boolean("d")] == [True, True] and hp.Int("rarer", 3, 5)

    found = from_keras_tuner(build)
    assert "rare" in found.space.names()  # b is found under a, and rare under b
    assert found.notes == ("rarer: asked for only with some values of several others: it keeps its default",)
    assert found.build is not None
    assert found.build(a=False, c=True, d=True) == 3


def test_what_cannot_be_built_is_said_with_its_values() -> None:
    def build(hp: Any) -> Any:
        return 1 / hp.Int("n", 0, 1, default=1)

    assert from_keras_tuner(build).notes == ("with n=0 it raises ZeroDivisionError: division by zero",)
    with pytest.raises(TaskError, match="asks for no parameter: with its own values it raises ZeroDivisionError"):
        from_keras_tuner(lambda hp: 1 / 0)


def test_the_space_is_printed_as_python_that_makes_it() -> None:
    text = str(FOUND)
    assert text.endswith("# layers: a choice of 3 options, for other parameters depend on it")
    names = {"Space": Space, "Variants": Variants, "Int": Int, "Float": Float, "Choice": Choice}
    assert eval(text, names) == FOUND.space
