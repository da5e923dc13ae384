"""Search algorithms: a space and what was tried in, the next params out. Never the same params twice.

Every algorithm is a function of the study's seed and of the trials so far, nothing else: a sweep that was killed and
continued proposes what an undisturbed one would have proposed. The search itself is Optuna's, run on a copy of the
record in memory; the durable record is `study.py`'s.
"""

from __future__ import annotations

import functools
import itertools
import warnings
from collections.abc import Mapping, Sequence

import numpy as np
import optuna
from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial

from tune_jobs.errors import UserError
from tune_jobs.records.objectives import value
from tune_jobs.records.studies import Search
from tune_jobs.records.trials import TrialRecord
from tune_jobs.search import bayesian, cma_es, sobol
from tune_jobs.search.candidates import Candidate, ListSampler, Sampler
from tune_jobs.search_spaces.one_factor import AnySpace
from tune_jobs.search_spaces.protocol import Objective
from tune_jobs.search_spaces.scalars import Float, Int, Params, Scalar, Value, params_id
from tune_jobs.study.optuna_form import OptunaForm, distribution, optuna_form, optuna_name

_POPULATION = 10  # parents of NSGA-II, and random trials before its first child: few, for studies of a hundred trials
_CROSSOVER_ETA, _MUTATION_ETA = 2.0, 5.0  # the smaller, the bolder; those of the paper are for 25,000 trials
_DRAWS = 10  # of params already tried, before one is picked among those left; of TPE each costs milliseconds
_RANDOM_DRAWS = 1000  # further ones where what is left cannot be listed: TPE may have settled on a point for good
_LISTED = 100_000  # the largest finite space whose untried points are listed; beyond it a draw is as good as new


def check(search: Search, space: AnySpace, further: Sequence[Objective] = ()) -> None:
    """Whether `search` can walk `space`, and with so many objectives after the first.

    Raises:
        SpaceError: for a grid over a space that is not finite; it names the domain. For CMA-ES over a space with fewer
            than two numbers.
        UserError: CMA-ES or a Gaussian process is to weigh several objectives, or NSGA-II has one alone.
    """
    if search in ("cmaes", "gp") and further:
        raise UserError(
            f"--search {search} is for one objective, and this study has {1 + len(further)}: take nsga2 or tpe"
        )
    if search == "nsga2" and not further:
        raise UserError(
            "--search nsga2 weighs several objectives, and this study has one: take tpe, or begin another study with "
            "a second --objective"
        )
    if search == "grid":
        space.grid()
    elif search == "cmaes":
        cma_es.check(space)


def sampler(
    search: Search,
    space: AnySpace,
    objective: Objective,
    seed: int,
    trials: tuple[TrialRecord, ...],
    *,
    further: Sequence[Objective] = (),
) -> Sampler:
    """The algorithm `search`, continued after `trials`.

    Raises:
        SpaceError, UserError: as `check`.
    """
    check(search, space, further)
    if search in ("grid", "qmc"):
        points = space.grid() if search == "grid" else sobol.points(space, seed)
        tried = {trial.params_id for trial in trials}
        return ListSampler((Candidate(point, seed) for point in points if params_id(point) not in tried), ())
    if search == "cmaes":
        return cma_es.Evolution(space, objective, seed, trials)
    if search == "gp":
        return bayesian.Bayesian(space, objective, seed, trials)
    return _OptunaSampler(search, space, (objective, *further), seed, trials)


class _OptunaSampler:
    """Random search, TPE (multivariate, one group per set of active parameters) or NSGA-II, without repeats.

    TPE: Bergstra et al., Algorithms for Hyper-Parameter Optimization, 2011; the multivariate form with groups as in
    Falkner et al., BOHB, 2018. Trials that still run count as poor ones, so that workers asking at the same time get
    different answers. Several objectives: Ozaki et al., Multiobjective Tree-Structured Parzen Estimator, 2022.
    """

    def __init__(
        self,
        search: Search,
        space: AnySpace,
        objectives: tuple[Objective, ...],
        seed: int,
        trials: tuple[TrialRecord, ...],
    ) -> None:
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._search, self._space, self._objectives, self._seed = search, space, objectives, seed
        self._study = optuna.create_study(directions=[objective.direction for objective in objectives])
        self._all = {optuna_name(one.name, one.under): one.domain for one in space.questions()}  # that may be asked
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
        state, values = _outcome(trial, self._objectives)
        for step, score in _curve(trial, self._objectives).items():
            asked.report(score, step)
        self._study.tell(asked, values=values, state=state)

    def _whole(self, form: OptunaForm, params_id: str) -> OptunaForm:
        """The form with a value for whatever else the space may ask, drawn for these params: a child that takes an
        option which one parent has not may then inherit from the other, and two of a kind breed like any."""
        drawn = np.random.default_rng((self._seed, int(params_id, 16)))
        shares = drawn.random(len(self._all)).tolist()
        return OptunaForm(
            {
                path: form.params.get(path, domain.at(share))
                for (path, domain), share in zip(self._all.items(), shares, strict=True)
            },
            {path: distribution(domain) for path, domain in self._all.items()},
        )

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
            if self._search == "nsga2":
                return _SteadyNSGA2(seed, self._all)
            return optuna.samplers.TPESampler(seed=seed, multivariate=True, group=True, constant_liar=True)

    def _untried(self, number: int) -> Params | None:
        """Any point not tried yet, where drawing finds none: the space is nearly used up."""
        left = [point for point in itertools.islice(self._space.grid(), _LISTED) if params_id(point) not in self._tried]
        if not left:
            return None
        return self._begun(left[int(np.random.default_rng((self._seed, number)).integers(len(left)))])

    def _remember(self, trial: TrialRecord) -> None:
        is_inside = self._space.why_not(trial.params) is None
        if trial.params_id not in self._tried:
            self._inside += is_inside
        self._tried.add(trial.params_id)
        if self._search == "random":  # which learns nothing
            return
        form = optuna_form(self._space, trial.params)
        if self._search == "nsga2":
            if not is_inside:  # no child of it would be
                return
            form = self._whole(form, trial.params_id)
        state, values = _outcome(trial, self._objectives)
        self._study.add_trial(
            optuna.trial.create_trial(
                params=form.params,
                distributions=form.distributions,
                state=state,
                values=values,
                intermediate_values=_curve(trial, self._objectives),
            )
        )
        if not trial.is_finished:
            kept = self._study.get_trials(deepcopy=False)[-1]
            self._asked[trial.params_id] = optuna.Trial(self._study, kept._trial_id)


class _SteadyNSGA2(optuna.samplers.NSGAIISampler):
    """NSGA-II whose parents are the best of all that has ended, so that no worker waits for a generation to end.

    Deb et al., A Fast and Elitist Multiobjective Genetic Algorithm: NSGA-II, 2002, with their crossover and mutation;
    the steady state: Durillo et al., On the Effect of the Steady-State Selection Scheme in Multi-Objective Genetic
    Algorithms, 2009. Optuna counts generations in its own trials, which a record does not have.
    """

    def __init__(self, seed: int, domains: Mapping[str, Scalar]) -> None:
        self._distributions = {path: distribution(domain) for path, domain in domains.items() if domain.size != 1}
        super().__init__(
            population_size=_POPULATION,
            crossover=optuna.samplers.nsgaii.SBXCrossover(_CROSSOVER_ETA),
            mutation=optuna.samplers.nsgaii.PolynomialMutation(_MUTATION_ETA),
            seed=seed,
        )

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        return self._distributions

    def get_trial_generation(self, study: optuna.Study, trial: FrozenTrial) -> int:
        """The first, which is random, until there are as many as a generation has; then one after all that ended."""
        return int(len(_complete(study)) >= _POPULATION)

    def get_population(self, study: optuna.Study, generation: int) -> list[FrozenTrial]:
        """All that are complete, in an order that does not depend on which of them ended first."""
        return sorted(_complete(study), key=lambda trial: (trial.values, str(trial.params)))

    def get_parent_population(self, study: optuna.Study, generation: int) -> list[FrozenTrial]:
        return self.select_parent(study, generation) if generation else []

    def select_parent(self, study: optuna.Study, generation: int) -> list[FrozenTrial]:
        return self._elite_population_selection_strategy(study, self.get_population(study, generation))


def _complete(study: optuna.Study) -> list[FrozenTrial]:
    return study.get_trials(deepcopy=False, states=[optuna.trial.TrialState.COMPLETE])


def _outcome(trial: TrialRecord, objectives: Sequence[Objective]) -> tuple[optuna.trial.TrialState, list[float] | None]:
    """A trial that was stopped early is pruned, never complete: its last value is no measure of a whole training."""
    states = optuna.trial.TrialState
    match trial.state:
        case "complete":
            return states.COMPLETE, _values(trial, objectives)
        case "stopped":
            return states.PRUNED, None
        case "failed":
            return states.FAIL, None
        case "waiting" | "running":
            return states.RUNNING, None


def _values(trial: TrialRecord, objectives: Sequence[Objective]) -> list[float]:
    """What a complete trial came to in each objective."""
    first, *others = objectives
    found = [trial.score, *(value(trial, objective) for objective in others)]
    return [objective.worst if one is None else one for one, objective in zip(found, (first, *others), strict=True)]


def _curve(trial: TrialRecord, objectives: Sequence[Objective]) -> dict[int, float]:
    """The objective after each epoch of a trial that was stopped; nobody learns from another's, which may lack it, and
    of several objectives Optuna takes no curve."""
    if trial.state != "stopped" or len(objectives) > 1:
        return {}
    return {epoch: metrics[objectives[0].metric] for epoch, metrics in enumerate(trial.history, start=1)}


def _suggest(trial: optuna.Trial, name: str, domain: Scalar, under: str) -> Value:
    path = optuna_name(name, under)
    if isinstance(domain, Float):
        return trial.suggest_float(path, domain.low, domain.high, log=domain.log, step=domain.step)
    if isinstance(domain, Int):
        return trial.suggest_int(path, domain.low, domain.high, log=domain.log, step=domain.step)
    value: Value = trial.suggest_categorical(path, domain.options)
    return value
