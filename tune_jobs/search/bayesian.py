"""Bayesian optimization: model the scores by a Gaussian process, and propose the point of most expected improvement.

J. Snoek, H. Larochelle and R. P. Adams, Practical Bayesian Optimization of Machine Learning Algorithms, 2012. The first
trials are points of a Sobol sequence. Trials that still run count as if they had the score that the model expects
(kriging believer: D. Ginsbourger, R. Le Riche and L. Carraro, Kriging Is Well-Suited to Parallelize Optimization,
2010), so that workers that ask at the same time get different proposals. Limits are modelled beside the scores
(`acquisition.py`). With trials of another study these take the place of the first trials (`prior_model.py`).
"""

from __future__ import annotations

import functools
import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tune_jobs.records.constraints import Constraint, excess, excesses, is_untrained
from tune_jobs.records.trials import TrialRecord
from tune_jobs.search import acquisition, sobol, unit_cube
from tune_jobs.search.acquisition import Acquisition
from tune_jobs.search.candidates import Candidate
from tune_jobs.search.columns import Columns
from tune_jobs.search.prior_model import Ensemble, PriorModel
from tune_jobs.search.untried import draw_untried
from tune_jobs.search_spaces.one_factor import AnySpace
from tune_jobs.search_spaces.protocol import Objective
from tune_jobs.search_spaces.scalars import Choice, Params, params_id

if TYPE_CHECKING:
    from tune_jobs.search.gaussian_process import Posterior

Array = NDArray[np.float64]

N_INITIAL = 10  # quasi-random trials before the model is used
_MIN_SCORES = 3  # complete trials that the model needs
_MAX_FITTED = 100  # trials that the length scales are fitted to, which is what takes long
MAX_MODELLED = 400  # trials that the model knows: its time grows with their third power
_MAX_LISTED = 2000  # points of a finite space, if all of them are to be compared
_N_DRAWN = 400  # candidates drawn anywhere in the space
_N_LEADERS = 5  # of the trials, and of the candidates, around which further candidates are drawn
_N_NEIGHBOURS = 40  # candidates drawn around each leader
_EXPLORE_EVERY = 5  # trials; then one must take another option than the best trial
_SPREADS = (0.2, 0.05, 0.02, 0.005)  # standard deviations of the neighbours, round by round, in sides of the cube


class GaussianProcessSampler:
    """Proposes the point of most expected improvement.

    It is a function of the seed, and of the trials in the order in which they were begun. `prior` are trials of another
    study, whose scores may be of another scale.
    """

    def __init__(
        self,
        space: AnySpace,
        objective: Objective,
        seed: int,
        trials: Iterable[TrialRecord],
        constraints: Sequence[Constraint] = (),
        prior: Sequence[TrialRecord] = (),
    ) -> None:
        self._space, self._objective, self._seed = space, objective, seed
        self._prior_trials = tuple(prior)
        self._constraints, self._limits = tuple(constraints), tuple(map(str, constraints))
        self._dimensions = unit_cube.dimensions(space)
        questions = unit_cube.questions(space).values()
        self._is_category = np.array([isinstance(question.domain, Choice) for question in questions])
        self._categories = [  # that every point has: the index of the dimension, and the number of options
            (index, question.domain.size)
            for index, question in enumerate(questions)
            if isinstance(question.domain, Choice) and not question.under
        ]
        self._columns = Columns(space)
        self._trials: dict[str, TrialRecord] = {}  # the first trial of each params
        self._row_of: dict[str, Array] = {}
        self._sequence = sobol.points(space, seed)
        self._fits: dict[str, tuple[Any, Any]] = {}  # the rows and values that each covariance was fitted to, and it
        for trial in trials:
            self.tell(trial)

    def ask(self) -> Candidate | None:
        params = self._propose()
        if params is None:
            return None
        self.tell(TrialRecord(number=len(self._trials), params=params, seed=self._seed, state="waiting"))
        return Candidate(params, self._seed)

    def tell(self, trial: TrialRecord) -> None:
        earlier = self._trials.get(trial.params_id)
        if earlier is None or not earlier.is_finished:
            self._trials[trial.params_id] = trial

    def prior_weight(self) -> float:
        """Return how far the prior is trusted, from 0 to 1: wholly until some trials of this study have scores."""
        trained = self._trained()
        if self._prior is None:
            return 0.0
        return self._weight(*self._own(trained)) if _n_scores(trained) >= _MIN_SCORES else 1.0

    def _propose(self) -> Params | None:
        if self._is_initial() or not self._dimensions or (promise := self._model()) is None:
            return next((params for params in self._sequence if self._is_untried(params)), None)
        random = np.random.default_rng((self._seed, len(self._trials)))
        if self._space.size is not None and self._space.size <= _MAX_LISTED:
            params = self._best_listed(promise)
        else:
            params = self._best_drawn(promise, random)
        if params is not None:
            return params
        return draw_untried(self._space, {key: trial.params for key, trial in self._trials.items()}, random)

    def _is_initial(self) -> bool:
        """Return True if the next trial is one of the first, which no model proposes; with a prior, the less often the
        more that is trusted."""
        if len(self._trials) >= N_INITIAL:
            return False
        return float(np.random.default_rng((self._seed, len(self._trials), 2)).random()) >= self.prior_weight()

    def _is_untried(self, params: Params) -> bool:
        return params_id(params) not in self._trials

    def _model(self) -> Acquisition | None:
        """Return what the trials so far make one expect of others; None if they are too few."""
        trained = self._trained()
        limits = tuple(limit for name in self._limits if (limit := self._limit(name)) is not None)
        if _n_scores(trained) < _MIN_SCORES:
            return self._model_of_prior(trained, limits)
        own, x, losses = self._own(trained)
        kept = np.array([not self._excess(trial) for trial in self._modelled(trained)[0]])
        loss, expected = self._loss(own, x, losses)
        return Acquisition(loss, float(expected[kept].min()) if kept.any() else None, limits)

    def _model_of_prior(self, trained: Sequence[TrialRecord], limits: tuple[Posterior, ...]) -> Acquisition | None:
        """Return what other trials make one expect while this study has next to no scores; None without a prior."""
        if self._prior is None:
            return Acquisition(None, None, limits) if limits else None
        loss = self._prior.posterior(self._rows(list(self._trials.values())))
        kept = [trial for trial in trained if not self._excess(trial)]
        best = float(loss.mean(self._rows(kept)).min()) if kept else 0.0
        return Acquisition(loss, best if kept or not trained else None, limits)

    def _own(self, trained: Sequence[TrialRecord]) -> tuple[Posterior, Array, Array]:
        """Return the model of this study's losses, the rows that it knows and the losses there."""
        from tune_jobs.search import gaussian_process

        modelled, losses = self._modelled(trained)
        x = self._rows(modelled)
        return gaussian_process.Posterior(x, losses, self._covariance(trained)), x, losses

    def _modelled(self, trained: Sequence[TrialRecord]) -> tuple[list[TrialRecord], Array]:
        """Return the trials that the model knows, and their losses."""
        losses = _standardized_losses(trained, self._objective)
        chosen = _most_informative(losses, MAX_MODELLED)
        return [trained[index] for index in chosen], losses[chosen]

    def _loss(self, own: Posterior, x: Array, losses: Array) -> tuple[Posterior | Ensemble, Array]:
        """Return the model to search by, and the loss that it expects at each of the rows `x`."""
        from tune_jobs.search import gaussian_process

        expected, posterior = own.mean(x), own
        running = [trial for trial in self._trials.values() if not trial.is_finished]
        if running:
            rows = self._rows(running)
            believed = np.concatenate([losses, own.mean(rows)])
            posterior = gaussian_process.Posterior(np.concatenate([x, rows]), believed, own.kernel)
        if self._prior is None or not (weight := self._weight(own, x, losses)):
            return posterior, expected
        ensemble = Ensemble(posterior, self._prior.posterior(self._rows(list(self._trials.values()))), weight)
        return ensemble, ensemble.mean(x)

    def _weight(self, own: Posterior, x: Array, losses: Array) -> float:
        assert self._prior is not None
        return self._prior.weight(own, x, losses, np.random.default_rng((self._seed, len(losses), 1)))

    @functools.cached_property
    def _prior(self) -> PriorModel | None:
        """The model of another study's trials; None if there are none, or too few."""
        trials = self._prior_trials
        if _n_scores(trials) < _MIN_SCORES or not self._dimensions:
            return None
        losses, rows = _standardized_losses(trials, self._objective), self._columns.encode([t.params for t in trials])
        chosen, fitted = _most_informative(losses, MAX_MODELLED), _most_informative(losses, _MAX_FITTED)
        kernel = self._kernel("prior", rows[fitted], losses[fitted])
        best = [trials[index].params for index in np.argsort(losses, kind="stable")[:_N_LEADERS]]
        return PriorModel(rows[chosen], losses[chosen], kernel, best)

    def _limit(self, name: str) -> Posterior | None:
        """Return the model of by how much trials break a limit; None if too few are known."""
        from tune_jobs.search import gaussian_process

        known = [trial for trial in self._trials.values() if name in self._excesses(trial)]
        if len(known) < _MIN_SCORES:
            return None
        broken = acquisition.damped([self._excesses(trial)[name] for trial in known])
        chosen = _most_informative(np.abs(broken), MAX_MODELLED)
        n_fitted = len(known) - len(known) % max(1, len(known) // 10)  # as for the losses
        fitted = _most_informative(np.abs(broken[:n_fitted]), _MAX_FITTED)
        kernel = self._kernel(name, self._rows([known[index] for index in fitted]), broken[fitted])
        return gaussian_process.Posterior(self._rows([known[index] for index in chosen]), broken[chosen], kernel)

    def _excesses(self, trial: TrialRecord) -> Mapping[str, float]:
        return excesses(trial, self._constraints) if trial.is_finished else {}

    def _excess(self, trial: TrialRecord) -> float:
        """Return by how much a trial breaks its limits, all together."""
        return excess(trial, self._constraints) if trial.is_finished else 0.0

    def _trained(self) -> list[TrialRecord]:
        return [trial for trial in self._trials.values() if trial.is_finished and not is_untrained(trial)]

    def _covariance(self, trained: Sequence[TrialRecord]) -> Any:
        """Fit the covariance anew whenever a tenth more trials have ended; until then return the last one."""
        first = trained[: len(trained) - len(trained) % max(1, len(trained) // 10)]
        trained = first if any(trial.state == "complete" for trial in first) else trained
        losses = _standardized_losses(trained, self._objective)
        chosen = _most_informative(losses, _MAX_FITTED)
        return self._kernel("", self._rows([trained[index] for index in chosen]), losses[chosen])

    def _kernel(self, name: str, x: Array, y: Array) -> Any:
        """Return the covariance fitted to `y` at the rows `x`, of the loss ("") or of a limit."""
        from tune_jobs.search import gaussian_process

        key = x.tobytes(), y.tobytes()
        if self._fits.get(name, (None, None))[0] != key:
            self._fits[name] = key, gaussian_process.fit_kernel(x, y, self._columns.groups)
        return self._fits[name][1]

    def _rows(self, trials: Sequence[TrialRecord]) -> Array:
        new = {trial.params_id: trial.params for trial in trials if trial.params_id not in self._row_of}
        self._row_of |= zip(new, self._columns.encode(list(new.values())), strict=True)
        return np.array([self._row_of[trial.params_id] for trial in trials])

    def _best_listed(self, promise: Acquisition) -> Params | None:
        """Return the best of all untried points of a small space; None if all were tried."""
        untried = [(params, row) for identity, (params, row) in self._grid.items() if identity not in self._trials]
        if not untried:
            return None
        rows = np.array([row for _, row in untried])
        return untried[int(promise(rows).argmax())][0]

    @functools.cached_property
    def _grid(self) -> dict[str, tuple[Params, Array]]:
        points = list(self._space.grid())
        rows = self._columns.encode(points)
        return {params_id(params): (params, row) for params, row in zip(points, rows, strict=True)}

    def _best_drawn(self, promise: Acquisition, random: np.random.Generator) -> Params | None:
        """Return the best of points drawn everywhere and around the best trials, and then, round by round, closer and
        closer around the best of those; None if all were tried."""
        leaders = self._leaders(random)
        anywhere = random.random((_N_DRAWN, len(self._dimensions)))
        drawn = np.concatenate([anywhere, self._neighbours(leaders, _SPREADS[0], random)])
        points, improvements = drawn[:0], np.empty(0)
        for spread in (*_SPREADS[1:], 0.0):
            points = np.concatenate([points, drawn])
            expected = promise(self._columns.encode_cube(drawn))
            allowed = np.where(self._is_allowed(drawn, leaders[0]), expected, -np.inf)
            improvements = np.append(improvements, allowed)
            order = np.argsort(-improvements, kind="stable")
            drawn = self._neighbours(points[order[:_N_LEADERS]], spread, random)
        candidates = (unit_cube.params_at(self._space, points[index].tolist()) for index in order)
        return next((params for params in candidates if self._is_untried(params)), None)

    def _is_allowed(self, points: Array, leader: Array) -> NDArray[np.bool_]:
        """Return which points may be proposed now, `(points,)`.

        Every fifth trial has to take another option than the best one, of one category after the other. Otherwise the
        best point under an option whose first trials did badly would be found late or never.
        """
        turn, position = divmod(len(self._trials), _EXPLORE_EVERY)
        if position or not self._categories:
            return np.ones(len(points), dtype=bool)
        index, n_options = self._categories[turn % len(self._categories)]
        is_other: NDArray[np.bool_] = np.floor(points[:, index] * n_options) != np.floor(leader[index] * n_options)
        return is_other

    def _leaders(self, random: np.random.Generator) -> Array:
        """Return the best trials as points of the cube, with random coordinates along dimensions they do not have;
        after them those of the prior."""
        leaders = [trial.params for trial in self._in_order()[:_N_LEADERS]]
        leaders += [] if self._prior is None else self._prior.best
        points = random.random((len(leaders), len(self._dimensions)))
        for row, leader in zip(points, leaders, strict=True):
            for dimension, coordinate in unit_cube.coordinates(self._space, leader).items():
                row[self._dimensions.index(dimension)] = coordinate
        return points

    def _in_order(self) -> list[TrialRecord]:
        """Return the trials that ended, the best first; those that break limits are last, the nearest to them first."""
        trained = self._trained()
        losses = _standardized_losses(trained, self._objective) if _n_scores(trained) else np.zeros(len(trained))
        loss_of = {trial.params_id: loss for trial, loss in zip(trained, losses.tolist(), strict=True)}
        ended = [trial for trial in self._trials.values() if trial.is_finished]
        return sorted(ended, key=lambda trial: (self._excess(trial), loss_of.get(trial.params_id, 0.0)))

    def _neighbours(self, points: Array, spread: float, random: np.random.Generator) -> Array:
        """Draw points around each of these: about half of the numbers move, and now and then an option changes."""
        around = np.repeat(points, _N_NEIGHBOURS, axis=0)
        steps = random.normal(0.0, spread, around.shape) * (random.random(around.shape) < 0.5)
        moved = np.clip(around + np.where(self._is_category, 0.0, steps), 0.0, 1.0)
        is_other = self._is_category & (random.random(around.shape) < 1 / len(self._dimensions))
        return np.where(is_other, random.random(around.shape), moved)


def _n_scores(trials: Iterable[TrialRecord]) -> int:
    """Return how many trials are complete, with a score."""
    return sum(trial.state == "complete" and trial.score is not None for trial in trials)


def _standardized_losses(ended: Sequence[TrialRecord], objective: Objective) -> Array:
    """Return the values to minimize, `(trials,)`, with a median of 0 and a standard deviation of 1.

    A failed trial counts as the worst complete one. A stopped trial lies between that and the median, because it was
    stopped as one of the poorer ones. How poor the poor are does not matter: none counts as further from the median
    than the best is.
    """
    sign = -1.0 if objective.direction == "maximize" else 1.0
    known = [sign * trial.score for trial in ended if trial.state == "complete" and trial.score is not None]
    best, median = min(known), statistics.median(known)
    worst = min(max(known), 2 * median - best) if median > best else max(known)
    losses = np.full(len(ended), worst)
    for index, trial in enumerate(ended):
        if trial.score is not None and trial.state != "failed":
            losses[index] = min(max(sign * trial.score, median if trial.state == "stopped" else best), worst)
    deviation = float(losses.std())
    standardized: Array = (losses - median) / (deviation or 1.0)
    return standardized


def _most_informative(losses: Array, n: int) -> NDArray[np.intp]:
    """Return the indices of at most `n` losses: if there are more, half of them the best and half the latest."""
    if len(losses) <= n:
        return np.arange(len(losses))
    latest = np.arange(len(losses) - n // 2, len(losses))
    best = [index for index in np.argsort(losses, kind="stable") if index < latest[0]][: n - n // 2]
    return np.sort(np.concatenate([best, latest]))
