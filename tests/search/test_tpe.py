"""The quicker TPE proposes what Optuna's own does, whatever has ended and whatever runs."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable

import numpy as np
import optuna
import pytest
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, TPESampler
from optuna.samplers._tpe import _truncnorm
from optuna.trial import TrialState, create_trial

from tune_jobs.search.optuna_sampler import _suggest
from tune_jobs.search.tpe import Observations, QuickTPE, _log_ndtr
from tune_jobs.search_spaces import Choice, Float, Int, Space, Variants
from tune_jobs.study.optuna_form import distribution, optuna_form, optuna_name

SPACE = Space(
    units=Int(16, 512, log=True),
    activation=Choice("relu", "tanh", None),
    optimizer=Variants(
        sgd=Space(rate=Float(1e-4, 1e-1, log=True), momentum=Float(0.0, 0.9, step=0.1)),
        adam=Space(rate=Float(1e-4, 1e-1, log=True)),
        none=Space(),
    ),
)
DISTRIBUTIONS: dict[str, BaseDistribution] = {
    optuna_name(question.name, question.under): distribution(question.domain) for question in SPACE.questions()
}


def optunas_own(seed: int) -> TPESampler:
    """Return Optuna's sampler, with its own logarithms."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return TPESampler(seed=seed, multivariate=True, group=True, constant_liar=True)


def proposals(sampler_of: Callable[[int], BaseSampler], directions: list[str], n: int) -> list[str]:
    """Return what a search proposes whose trials end, fail, are stopped and run on in turn."""
    study = optuna.create_study(directions=directions)
    proposed = []
    for number in range(n):
        study.sampler = sampler_of(number)
        asked = study.ask()
        params = SPACE.walk(functools.partial(_suggest, asked))
        study.tell(asked, state=TrialState.FAIL)
        proposed.append(str(params))
        state = TrialState.RUNNING if number % 5 == 4 else TrialState.FAIL if number % 7 == 6 else TrialState.COMPLETE
        values = [float(params["units"]) / (1 + number), float(number % 3)][: len(directions)]  # type: ignore[arg-type]
        form = optuna_form(SPACE, params)
        trial = create_trial(
            params=form.params,
            distributions=form.distributions,
            state=state,
            values=values if state == TrialState.COMPLETE else None,
        )
        study.add_trial(trial)
    return proposed


@pytest.mark.slow
@pytest.mark.parametrize("directions", [["maximize"], ["minimize", "maximize"]])
def test_it_proposes_what_optunas_own_does(directions: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    observations = Observations(DISTRIBUTIONS)
    quick = proposals(lambda seed: QuickTPE(seed, observations), directions, 45)
    monkeypatch.setattr(_truncnorm, "_log_ndtr", scalar_log_ndtr)
    assert quick == proposals(optunas_own, directions, 45)
    assert len(set(quick)) > 30


def scalar_log_ndtr(a: np.ndarray) -> np.ndarray:
    return np.frompyfunc(_truncnorm._log_ndtr_single, 1, 1)(a).astype(float)


def test_its_logarithms_are_optunas_own_to_the_last_bit() -> None:
    random = np.random.default_rng(0)
    scales = np.array([0.1, 1.0, 5.0, 30.0])
    edges = np.array([[-20.0, 6.0, 0.0, np.inf, -np.inf] * 40])
    a = np.concatenate([random.normal(size=(4, 200)) * scales[:, None], edges])
    np.testing.assert_array_equal(_log_ndtr(a), scalar_log_ndtr(a))
    assert _log_ndtr(a).shape == a.shape
