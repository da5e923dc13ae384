"""Optuna's TPE for studies of thousands of trials: what is the same for all parameters of a proposal, or from one
proposal to the next, is computed once.

Its proposals are Optuna's own, to the last bit.
"""

from __future__ import annotations

import functools
import itertools
import math
import sys
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import optuna
from numpy.typing import NDArray
from optuna.distributions import BaseDistribution
from optuna.samplers._tpe import _truncnorm, sampler
from optuna.search_space.group_decomposed import _GroupDecomposedSearchSpace, _SearchSpaceGroup
from optuna.trial import FrozenTrial, TrialState

Floats = NDArray[np.float64]

_COUNTED = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.RUNNING)
_FAR_LEFT, _FAR_RIGHT = -20, 6  # beyond which Optuna computes the logarithm in other ways


class _Trials(list[FrozenTrial]):
    """Trials with their numbers, `(n,)`."""

    @functools.cached_property
    def numbers(self) -> NDArray[np.intp]:
        return np.fromiter((trial.number for trial in self), np.intp, len(self))


class Observations:
    """The params of a study's trials as Optuna's estimators take them: a row a trial, NaN where it has no value.

    `distributions` has all parameters that a trial may have. A trial's params do not change.
    """

    def __init__(self, distributions: Mapping[str, BaseDistribution]) -> None:
        self._distributions = dict(distributions)
        self._columns = {name: column for column, name in enumerate(distributions)}
        self._values = np.empty((0, len(distributions)))
        self._is_known = np.empty(0, dtype=bool)

    def of(self, trials: _Trials, names: Sequence[str]) -> dict[str, Floats]:
        """Return the values `(n,)` of each of these parameters, of the trials that have all of them."""
        self._make_room(int(trials.numbers.max(initial=-1)) + 1)
        for index in np.flatnonzero(~self._is_known[trials.numbers]):
            self._learn(trials[index])
        rows = self._values[trials.numbers][:, [self._columns[name] for name in names]]
        rows = rows[~np.isnan(rows).any(axis=1)]
        return dict(zip(names, rows.T, strict=True))

    def _make_room(self, n: int) -> None:
        if n > len(self._values):
            more = max(n, 2 * len(self._values)) - len(self._values)
            self._values = np.concatenate([self._values, np.full((more, len(self._columns)), np.nan)])
            self._is_known = np.concatenate([self._is_known, np.zeros(more, dtype=bool)])

    def _learn(self, trial: FrozenTrial) -> None:
        for name, value in trial.params.items():
            self._values[trial.number, self._columns[name]] = self._distributions[name].to_internal_repr(value)
        self._is_known[trial.number] = True


class QuickTPE(optuna.samplers.TPESampler):
    """TPE that estimates parameters together, apart for each set of active ones, with running trials as poor ones.

    It makes a single proposal, after all trials that the study has then.
    """

    def __init__(self, seed: int, observations: Observations) -> None:
        with warnings.catch_warnings():  # groups are called experimental, and have been since 2021
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            super().__init__(seed=seed, multivariate=True, group=True, constant_liar=True)
        self._group_decomposed_search_space = _Groups()
        self._observations = observations
        self._divided: tuple[_Trials, _Trials] | None = None  # the good ones, and the others

    def _sample(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Do as Optuna does, but divide the trials once for all groups of parameters."""
        self._divided = self._divided or _divided(study, trial)
        good, others = (
            self._build_parzen_estimator(study, search_space, trials, handle_below=is_good)
            for trials, is_good in zip(self._divided, (True, False), strict=True)
        )
        samples = good.sample(self._rng.rng, self._n_ei_candidates)
        best = self._compare(samples, self._compute_acquisition_func(samples, good, others))
        return {name: domain.to_external_repr(best[name]) for name, domain in search_space.items()}

    def _get_internal_repr(
        self, trials: list[FrozenTrial], search_space: dict[str, BaseDistribution], study: optuna.Study
    ) -> dict[str, Floats]:
        assert isinstance(trials, _Trials)
        return self._observations.of(trials, tuple(search_space))


def _divided(study: optuna.Study, asked: FrozenTrial) -> tuple[_Trials, _Trials]:
    """Return the good trials and the others, without the one that is asked for."""
    trials = [trial for trial in study.get_trials(deepcopy=False, states=_COUNTED) if trial.number != asked.number]
    n_ended = sum(trial.state != TrialState.RUNNING for trial in trials)
    share = sampler.default_gamma if len(study.directions) == 1 else sampler.default_gamma_multiobjective
    good, others = sampler._split_trials(study, trials, share(n_ended))
    return _Trials(good), _Trials(others)


class _Groups(_GroupDecomposedSearchSpace):
    """Looks at one trial of each set of parameters: a further one of the same set divides nothing any more."""

    def calculate(self, study: optuna.Study, use_cache: bool = False) -> _SearchSpaceGroup:
        sets: dict[frozenset[str], dict[str, BaseDistribution]] = {}
        for trial in study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)):
            sets.setdefault(frozenset(trial.distributions), trial.distributions)
        groups = _SearchSpaceGroup()
        for distributions in sets.values():
            groups.add_distributions(distributions)
        return groups


def _log_ndtr(a: Floats) -> Floats:
    """Return the logarithms of the normal distribution's values, the same as Optuna's `_log_ndtr_single` of each.

    Optuna calls a function of Python's 40,000 times for a proposal after 5,000 trials.
    """
    a = np.asarray(a, dtype=np.float64)
    result, middle, right = np.empty(a.shape), (a > _FAR_LEFT) & (a <= _FAR_RIGHT), a > _FAR_RIGHT
    result[middle] = _each(math.log, _ndtr(a[middle] / 2**0.5))
    result[right] = -0.5 * _each(math.erfc, a[right] / 2**0.5)
    left = ~(middle | right)
    result[left] = _log_ndtr_far_left(a[left])
    return result


def _log_ndtr_far_left(a: Floats) -> Floats:
    """Return the asymptotic series of each, summed until a term changes nothing any more."""
    squares = _each(lambda value: math.pow(value, 2.0), a)
    total, last, numerator, denominator, sign = np.ones(a.shape), np.zeros(a.shape), 1.0, np.ones(a.shape), 1
    for i in itertools.count(1):
        is_open = np.abs(last - total) > sys.float_info.epsilon
        if not is_open.any():
            break
        sign, numerator, denominator = -sign, numerator * (2 * i - 1), denominator * (1 / squares)
        last, total = np.where(is_open, (total, total + sign * numerator * denominator), (last, total))
    first = -0.5 * squares - _each(math.log, -a) - 0.5 * math.log(2 * math.pi)
    return np.asarray(first + _each(math.log, total))


def _ndtr(x: Floats) -> Floats:
    """Return the normal distribution's values, of `x` over the root of two; of each by the function that is exact."""
    values, left, right = np.empty(x.shape), x < -1 / 2**0.5, x >= 1 / 2**0.5
    between = ~(left | right)
    values[left] = 0.5 * _each(math.erfc, -x[left])
    values[between] = 0.5 + 0.5 * _each(math.erf, x[between])
    values[right] = 1.0 - 0.5 * _each(math.erfc, x[right])
    return values


def _each(function: Callable[[float], float], values: Floats) -> Floats:
    """Return what a function of Python's makes of each value."""
    return np.asarray(np.frompyfunc(function, 1, 1)(values), dtype=np.float64)


_truncnorm._log_ndtr = _log_ndtr
