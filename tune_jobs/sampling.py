"""Search algorithms: a space and what was tried in, the next params out. Never the same params twice.

Every algorithm is a function of the study's seed and of the trials so far, nothing else: a sweep that was killed and
continued proposes what an undisturbed one would have proposed. The search itself is Optuna's, run on a copy of the
record in memory; the durable record is `study.py`'s.
"""

from __future__ import annotations

import functools
import itertools
import warnings
from dataclasses import dataclass

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution

from search_spaces.domains import Float, Int, Params, Value, params_id
from search_spaces.one_factor import AnySpace
from search_spaces.scalars import Scalar
from search_spaces.task import Objective
from tune_jobs import bayesian, evolution, quasi_random
from tune_jobs.candidates import Candidate, Listed, Sampler
from tune_jobs.records import Search, TrialRecord

_DRAWS = 10  # of params already tried, before one is picked among those left; of TPE each costs milliseconds
_RANDOM_DRAWS = 1000  # further ones where what is left cannot be listed: TPE may have settled on a point for good
_LISTED = 100_000  # the largest finite space whose untried points are listed; beyond it a draw is as good as new


def check(search: Search, space: AnySpace) -> None:
    """Whether `search` can walk `space`.

    Raises:
        SpaceError: for a grid over a space that is not finite; it names the domain. For CMA-ES over a space with fewer
            than two numbers.
    """
    if search == "grid":
        space.grid()
    elif search == "cmaes":
        evolution.check(space)


def sampler(
    search: Search, space: AnySpace, objective: Objective, seed: int, trials: tuple[TrialRecord, ...]
) -> Sampler:
    """The algorithm `search`, continued after `trials`.

    Raises:
        SpaceError: as `check`.
    """
    if search in ("grid", "qmc"):
        points = space.grid() if search == "grid" else quasi_random.points(space, seed)
        tried = {trial.params_id for trial in trials}
        return Listed((Candidate(point, seed) for point in points if params_id(point) not in tried), ())
    if search == "cmaes":
        return evolution.Evolution(space, objective, seed, trials)
    if search == "gp":
        return bayesian.Bayesian(space, objective, seed, trials)
    return _OptunaSampler(search, space, objective, seed, trials)


@dataclass(frozen=True)
class OptunaForm:
    """Params as Optuna keeps them: a parameter that lives under an option carries that option in its name, since
    one name may have another domain under another option, which Optuna refuses within a study."""

    params: dict[str, Value]
    distributions: dict[str, BaseDistribution]


def optuna_form(space: AnySpace, params: Params) -> OptunaForm:
    """The active, variable parameters of `params` with their distributions."""
    chosen = {_path(choice.name, choice.under): choice for choice in space.decisions(params)}
    return OptunaForm(
        {path: choice.value for path, choice in chosen.items()},
        {path: _distribution(choice.domain) for path, choice in chosen.items()},
    )


def _path(name: str, under: str) -> str:
    return f"{under}/{name}" if under else name


def _distribution(domain: Scalar) -> BaseDistribution:
    """The one translation of a domain to Optuna; bounds are inclusive on both sides."""
    if isinstance(domain, Float):
        return FloatDistribution(domain.low, domain.high, log=domain.log, step=domain.step)
    if isinstance(domain, Int):
        return IntDistribution(domain.low, domain.high, log=domain.log, step=domain.step)
    return CategoricalDistribution(domain.options)


class _OptunaSampler:
    """Random search or TPE (multivariate, one group per set of active parameters), without repeats.

    TPE: Bergstra et al., Algorithms for Hyper-Parameter Optimization, 2011; the multivariate form with groups as in
    Falkner et al., BOHB, 2018. Trials that still run count as poor ones, so that workers asking at the same time get
    different answers.
    """

    def __init__(
        self, search: Search, space: AnySpace, objective: Objective, seed: int, trials: tuple[TrialRecord, ...]
    ) -> None:
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._search, self._space, self._objective, self._seed = search, space, objective, seed
        self._study = optuna.create_study(direction=objective.direction)
        self._tried: set[str] = set()
        self._inside = 0  # of those tried: what came from another task may lie outside the space
        self._asked: dict[str, optuna.Trial] = {}
        for trial in trials:
            self._remember(trial)

    def ask(self) -> Candidate | None:
        params = self._proposed()
        return None if params is None else Candidate(params, self._seed)

    def _proposed(self) -> Params | None:
        if self._space.size is not None and self._inside >= self._space.size:
            return None
        number = len(self._tried)
        draws = _DRAWS if self._space.size is not None else _DRAWS + _RANDOM_DRAWS
        for draw in range(draws):
            params = self._drawn(number, draw)
            if params_id(params) not in self._tried:
                return self._begun(params)
        return None if self._space.size is None else self._untried(number)

    def tell(self, trial: TrialRecord) -> None:
        asked = self._asked.pop(trial.params_id, None)
        if asked is None:
            self._remember(trial)
            return
        state, score = _outcome(trial)
        for step, value in _curve(trial, self._objective).items():
            asked.report(value, step)
        self._study.tell(asked, values=score, state=state)

    def _drawn(self, number: int, draw: int) -> Params:
        """What the algorithm proposes now. Optuna's own trial is given up at once, for its values are not always those
        of the record (0.30000000000000004 where the space counts 0.3), and TPE would go on differently from those."""
        self._study.sampler = self._algorithm(number, draw)
        trial = self._study.ask()
        params = self._space.walk(functools.partial(_suggest, trial))
        self._study.tell(trial, state=optuna.trial.TrialState.FAIL)
        return params

    def _begun(self, params: Params) -> Params:
        self._remember(TrialRecord(number=len(self._tried), params=params, seed=self._seed, state="waiting"))
        return params

    def _algorithm(self, number: int, draw: int) -> optuna.samplers.BaseSampler:
        seed = int(np.random.SeedSequence((self._seed, number, draw)).generate_state(1)[0])
        if self._search == "random" or draw >= _DRAWS:
            return optuna.samplers.RandomSampler(seed=seed)
        with warnings.catch_warnings():  # groups are called experimental, and have been since 2021
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            return optuna.samplers.TPESampler(seed=seed, multivariate=True, group=True, constant_liar=True)

    def _untried(self, number: int) -> Params | None:
        """Any point not tried yet, where drawing finds none: the space is nearly used up."""
        left = [point for point in itertools.islice(self._space.grid(), _LISTED) if params_id(point) not in self._tried]
        if not left:
            return None
        return self._begun(left[int(np.random.default_rng((self._seed, number)).integers(len(left)))])

    def _remember(self, trial: TrialRecord) -> None:
        if trial.params_id not in self._tried:
            self._inside += self._space.why_not(trial.params) is None
        self._tried.add(trial.params_id)
        if self._search == "random":  # which learns nothing
            return
        form = optuna_form(self._space, trial.params)
        state, score = _outcome(trial)
        self._study.add_trial(
            optuna.trial.create_trial(
                params=form.params,
                distributions=form.distributions,
                state=state,
                value=score,
                intermediate_values=_curve(trial, self._objective),
            )
        )
        if not trial.is_finished:
            kept = self._study.get_trials(deepcopy=False)[-1]
            self._asked[trial.params_id] = optuna.Trial(self._study, kept._trial_id)


def _outcome(trial: TrialRecord) -> tuple[optuna.trial.TrialState, float | None]:
    """A trial that was stopped early is pruned, never complete: its last value is no measure of a whole training."""
    states = optuna.trial.TrialState
    match trial.state:
        case "complete":
            return states.COMPLETE, trial.score
        case "stopped":
            return states.PRUNED, None
        case "failed":
            return states.FAIL, None
        case "waiting" | "running":
            return states.RUNNING, None


def _curve(trial: TrialRecord, objective: Objective) -> dict[int, float]:
    """The objective after each epoch of a trial that was stopped; nobody learns from another's, which may lack it."""
    if trial.state != "stopped":
        return {}
    return {epoch: metrics[objective.metric] for epoch, metrics in enumerate(trial.history, start=1)}


def _suggest(trial: optuna.Trial, name: str, domain: Scalar, under: str) -> Value:
    path = _path(name, under)
    if isinstance(domain, Float):
        return trial.suggest_float(path, domain.low, domain.high, log=domain.log, step=domain.step)
    if isinstance(domain, Int):
        return trial.suggest_int(path, domain.low, domain.high, log=domain.log, step=domain.step)
    value: Value = trial.suggest_categorical(path, domain.options)
    return value
