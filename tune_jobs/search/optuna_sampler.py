"""The searches that Optuna does: random search, TPE and NSGA-II, on a copy of the study's record in memory.

The durable record is the business of `study/`.
"""

from __future__ import annotations

import functools
import warnings
from collections.abc import Sequence

import numpy as np
import optuna

from tune_jobs.records import objectives as objective_values
from tune_jobs.records.constraints import Constraint, excesses, is_untrained
from tune_jobs.records.studies import Search
from tune_jobs.records.trials import TrialRecord
from tune_jobs.search.candidates import Candidate
from tune_jobs.search.nsga2 import SteadyStateNSGA2
from tune_jobs.search.tpe import Observations, QuickTPE
from tune_jobs.search.untried import draw_untried
from tune_jobs.search_spaces.one_factor import AnySpace
from tune_jobs.search_spaces.protocol import Objective
from tune_jobs.search_spaces.scalars import Float, Int, Params, Scalar, Value, params_id
from tune_jobs.study.optuna_form import OptunaForm, distribution, optuna_form, optuna_name

_DRAWS = 10  # that may repeat tried params before an untried point is picked; each of TPE's costs milliseconds


class OptunaSampler:
    """Random search, TPE (multivariate, one group per set of active parameters) or NSGA-II, without repeats.

    TPE: Bergstra et al., Algorithms for Hyper-Parameter Optimization, 2011; the multivariate form with groups as in
    Falkner et al., BOHB, 2018. Trials that still run count as poor ones, so that workers that ask at the same time get
    different proposals. Several objectives: Ozaki et al., Multiobjective Tree-Structured Parzen Estimator, 2022.

    What breaks a limit is poor for TPE, the less the nearer it is to the limit; for NSGA-II it is dominated by all that
    keep to them (Deb et al., 2002). A configuration that was not trained because of a limit tells nothing of scores.

    `prior` are trials of another study, with scores of the same scale: the search learns from them and may propose
    their params.
    """

    def __init__(
        self,
        search: Search,
        space: AnySpace,
        objectives: tuple[Objective, ...],
        seed: int,
        trials: tuple[TrialRecord, ...],
        constraints: Sequence[Constraint] = (),
        prior: Sequence[TrialRecord] = (),
    ) -> None:
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._search, self._space, self._objectives, self._seed = search, space, objectives, seed
        self._constraints = tuple(constraints)
        self._study = optuna.create_study(directions=[objective.direction for objective in objectives])
        self._domains = {  # of all parameters that a point may have
            optuna_name(question.name, question.under): question.domain for question in space.questions()
        }
        self._observations = Observations({name: distribution(domain) for name, domain in self._domains.items()})
        self._tried: set[str] = set()
        self._inside: dict[str, Params] = {}  # of those tried; what came from another task may lie outside the space
        self._unfinished: dict[str, optuna.Trial] = {}
        for trial in prior:
            self._learn(trial)
        for trial in trials:
            self._add(trial)

    def ask(self) -> Candidate | None:
        params = self._propose()
        if params is None:
            return None
        self._add(TrialRecord(number=len(self._tried), params=params, seed=self._seed, state="waiting"))
        return Candidate(params, self._seed)

    def tell(self, trial: TrialRecord) -> None:
        unfinished = self._unfinished.pop(trial.params_id, None)
        if unfinished is None:
            self._add(trial)
            return
        state, values = _outcome(trial, self._objectives)
        for step, score in _curve(trial, self._objectives).items():
            unfinished.report(score, step)
        for limit, excess in excesses(trial, self._constraints).items():
            unfinished.set_constraint(limit, excess)
        self._study.tell(unfinished, values=values, state=state)

    def _propose(self) -> Params | None:
        if self._space.size is not None and len(self._inside) >= self._space.size:
            return None
        number = len(self._tried)
        for draw in range(_DRAWS):
            params = self._draw(number, draw)
            if params_id(params) not in self._tried:
                return params
        return draw_untried(self._space, self._inside, np.random.default_rng((self._seed, number)))

    def _draw(self, number: int, draw: int) -> Params:
        """Return what the algorithm proposes now.

        Optuna's own trial is given up at once, because its values are not always those of the record
        (0.30000000000000004 where the space counts 0.3), and TPE would continue differently from those.
        """
        self._study.sampler = self._algorithm(number, draw)
        trial = self._study.ask()
        params = self._space.walk(functools.partial(_suggest, trial))
        self._study.tell(trial, state=optuna.trial.TrialState.FAIL)
        return params

    def _algorithm(self, number: int, draw: int) -> optuna.samplers.BaseSampler:
        seed = int(np.random.SeedSequence((self._seed, number, draw)).generate_state(1)[0])
        if self._search == "random":
            return optuna.samplers.RandomSampler(seed=seed)
        if self._search == "nsga2":
            with warnings.catch_warnings():  # its crossover is called experimental, and has been since 2022
                warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
                return SteadyStateNSGA2(seed, self._domains)
        return QuickTPE(seed, self._observations)

    def _add(self, trial: TrialRecord) -> None:
        """Add a trial that is not proposed again."""
        if self._space.why_not(trial.params) is None:
            self._inside[trial.params_id] = trial.params
        self._tried.add(trial.params_id)
        self._learn(trial)

    def _learn(self, trial: TrialRecord) -> None:
        """Add a trial to Optuna's study, for the algorithm to learn from."""
        if self._search == "random":  # which learns nothing
            return
        form = optuna_form(self._space, trial.params)
        if self._search == "nsga2":
            if trial.params_id not in self._inside:  # no child of it would be
                return
            form = self._complete(form, trial.params_id)
        state, values = _outcome(trial, self._objectives)
        self._study.add_trial(
            optuna.trial.create_trial(
                params=form.params,
                distributions=form.distributions,
                state=state,
                values=values,
                intermediate_values=_curve(trial, self._objectives),
                constraints=excesses(trial, self._constraints),
            )
        )
        if not trial.is_finished:
            added = self._study.get_trials(deepcopy=False)[-1]
            self._unfinished[trial.params_id] = optuna.Trial(self._study, added._trial_id)

    def _complete(self, form: OptunaForm, params_id: str) -> OptunaForm:
        """Return the form with a value for every parameter that a point may have; missing ones are drawn.

        If a child takes an option that one of its parents lacks, it may then inherit what is under it from the other
        parent. The draw depends on the params alone.
        """
        random = np.random.default_rng((self._seed, int(params_id, 16)))
        shares = random.random(len(self._domains)).tolist()
        return OptunaForm(
            {
                name: form.params.get(name, domain.at(share))
                for (name, domain), share in zip(self._domains.items(), shares, strict=True)
            },
            {name: distribution(domain) for name, domain in self._domains.items()},
        )


def _outcome(trial: TrialRecord, objectives: Sequence[Objective]) -> tuple[optuna.trial.TrialState, list[float] | None]:
    """Return a trial's state and values for Optuna.

    A trial that was stopped early is pruned, never complete: its last value is no measure of a whole training.
    """
    states = optuna.trial.TrialState
    match trial.state:
        case "complete":
            return states.COMPLETE, _values(trial, objectives)
        case "stopped":
            return states.PRUNED, None
        case "failed" if is_untrained(trial):
            return states.COMPLETE, [objective.worst for objective in objectives]
        case "failed":
            return states.FAIL, None
        case "waiting" | "running":
            return states.RUNNING, None


def _values(trial: TrialRecord, objectives: Sequence[Objective]) -> list[float]:
    """Return a complete trial's value in each objective; the worst one where it is not known."""
    first, *others = objectives
    known = [trial.score, *(objective_values.value(trial, objective) for objective in others)]
    return [
        objective.worst if value is None else value for value, objective in zip(known, (first, *others), strict=True)
    ]


def _curve(trial: TrialRecord, objectives: Sequence[Objective]) -> dict[int, float]:
    """Return the objective after each scored epoch of a stopped trial, or on each number of images.

    Other trials need no curve, and may lack the objective. With several objectives, Optuna takes none.
    """
    if trial.state != "stopped" or len(objectives) > 1:
        return {}
    if trial.rungs:
        return {rung.images: rung.score for rung in trial.rungs}
    epochs, metric = enumerate(trial.history, start=1), objectives[0].metric
    return {epoch: metrics[metric] for epoch, metrics in epochs if metric in metrics}


def _suggest(trial: optuna.Trial, name: str, domain: Scalar, under: str) -> Value:
    optuna_parameter = optuna_name(name, under)
    if isinstance(domain, Float):
        return trial.suggest_float(optuna_parameter, domain.low, domain.high, log=domain.log, step=domain.step)
    if isinstance(domain, Int):
        return trial.suggest_int(optuna_parameter, domain.low, domain.high, log=domain.log, step=domain.step)
    value: Value = trial.suggest_categorical(optuna_parameter, domain.options)
    return value
