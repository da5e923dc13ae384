"""Bayesian optimization: a Gaussian process of the scores so far, and next what promises most beyond the best.

J. Snoek, H. Larochelle and R. P. Adams, Practical Bayesian Optimization of Machine Learning Algorithms, 2012. The first
trials are points of a Sobol sequence. Trials that still run count as if they came out as the model expects (kriging
believer: D. Ginsbourger, R. Le Riche and L. Carraro, Kriging Is Well-Suited to Parallelize Optimization, 2010), so that
workers asking at the same time get different answers.
"""

from __future__ import annotations

import functools
import itertools
import statistics
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tune_jobs.records.trials import TrialRecord
from tune_jobs.search import sobol, unit_cube
from tune_jobs.search.candidates import Candidate
from tune_jobs.search.columns import Columns
from tune_jobs.search_spaces.one_factor import AnySpace
from tune_jobs.search_spaces.protocol import Objective
from tune_jobs.search_spaces.scalars import Choice, Params, params_id

if TYPE_CHECKING:
    from tune_jobs.search.gaussian_process import Posterior

Array = NDArray[np.float64]

FIRST = 10  # trials, before the model is asked
_LEAST = 3  # scores, without which there is nothing to model
_FITTED = 100  # trials at most that the length scales are fitted to, which is what takes long
KNOWN = 400  # trials at most that the model knows: its time grows with their third power
_LISTED = 2000  # the largest finite space of which all points are looked at
_LEFT = 100_000  # the largest whose last points are looked for
_DRAWN = 400  # candidates anywhere in the space
_LEADERS = 5  # of the tried and of the candidates, around which further ones are drawn
_AROUND = 40  # of each of them
_SWITCH = 5  # every so many trials the best one's options are not all taken
_SPREADS = (0.2, 0.05, 0.02, 0.005)  # of these, round by round, in sides of the cube


class Bayesian:
    """Proposes what promises most; a function of the seed and of the trials in the order they were begun."""

    def __init__(self, space: AnySpace, objective: Objective, seed: int, trials: Iterable[TrialRecord]) -> None:
        self._space, self._objective, self._seed = space, objective, seed
        self._sides = unit_cube.sides(space)
        asked = unit_cube.questions(space).values()
        self._is_category = np.array([isinstance(one.domain, Choice) for one in asked])
        self._switches = [
            (at, one.domain.size) for at, one in enumerate(asked) if isinstance(one.domain, Choice) and not one.under
        ]  # the categories that every point has, and how many options they have
        self._columns = Columns(space)
        self._trials: dict[str, TrialRecord] = {}  # of each params the first
        self._known: dict[str, Array] = {}  # the rows of these
        self._sequence = sobol.points(space, seed)
        self._fit: tuple[Any, Any] = (None, None)  # what the covariance was fitted to, and the covariance
        for trial in trials:
            self.tell(trial)

    def ask(self) -> Candidate | None:
        params = self._proposed()
        if params is None:
            return None
        self.tell(TrialRecord(number=len(self._trials), params=params, seed=self._seed, state="waiting"))
        return Candidate(params, self._seed)

    def tell(self, trial: TrialRecord) -> None:
        known = self._trials.get(trial.params_id)
        if known is None or not known.is_finished:
            self._trials[trial.params_id] = trial

    def _proposed(self) -> Params | None:
        scored = sum(trial.state == "complete" and trial.score is not None for trial in self._trials.values())
        if len(self._trials) < FIRST or scored < _LEAST or not self._sides:
            return next((params for params in self._sequence if params_id(params) not in self._trials), None)
        random = np.random.default_rng((self._seed, len(self._trials)))
        posterior, best = self._model()
        found = self._best_of_grid(posterior, best) if self._is_listed else self._best_drawn(posterior, best, random)
        return self._left(random) if found is None else found

    @property
    def _is_listed(self) -> bool:
        return self._space.size is not None and self._space.size <= _LISTED

    def _model(self) -> tuple[Posterior, float]:
        """What the trials so far say of the space, and what the best of them is expected to come to."""
        from tune_jobs.search import gaussian_process

        ended = [trial for trial in self._trials.values() if trial.is_finished]
        losses = _losses(ended, self._objective)
        kept = _most_telling(losses, KNOWN)
        x = self._rows([ended[at] for at in kept])
        posterior = gaussian_process.Posterior(x, losses[kept], kernel := self._covariance(ended))
        expected = posterior.mean(x)
        running = [trial for trial in self._trials.values() if not trial.is_finished]
        if running:
            rows = self._rows(running)
            believed = np.concatenate([losses[kept], posterior.mean(rows)])
            posterior = gaussian_process.Posterior(np.concatenate([x, rows]), believed, kernel)
        return posterior, float(expected.min())

    def _covariance(self, ended: Sequence[TrialRecord]) -> Any:
        """Fitted to what had ended when a tenth fewer had, and only once to that."""
        from tune_jobs.search import gaussian_process

        first = ended[: len(ended) - len(ended) % max(1, len(ended) // 10)]
        ended = first if any(trial.state == "complete" for trial in first) else ended
        losses = _losses(ended, self._objective)
        kept = _most_telling(losses, _FITTED)
        x = self._rows([ended[at] for at in kept])
        seen = x.tobytes(), losses[kept].tobytes()
        if self._fit[0] != seen:
            self._fit = seen, gaussian_process.fitted(x, losses[kept], self._columns.groups)
        return self._fit[1]

    def _rows(self, trials: Sequence[TrialRecord]) -> Array:
        new = {trial.params_id: trial.params for trial in trials if trial.params_id not in self._known}
        self._known |= zip(new, self._columns.of_points(list(new.values())), strict=True)
        return np.array([self._known[trial.params_id] for trial in trials])

    def _best_of_grid(self, posterior: Posterior, best: float) -> Params | None:
        rows = np.array([row for identity, (_, row) in self._grid.items() if identity not in self._trials])
        left = [params for identity, (params, _) in self._grid.items() if identity not in self._trials]
        return left[int(posterior.log_improvement(rows, best).argmax())] if left else None

    @functools.cached_property
    def _grid(self) -> dict[str, tuple[Params, Array]]:
        points = list(self._space.grid())
        rows = self._columns.of_points(points)
        return {params_id(params): (params, row) for params, row in zip(points, rows, strict=True)}

    def _best_drawn(self, posterior: Posterior, best: float, random: np.random.Generator) -> Params | None:
        """Of points drawn everywhere and around the best trials, then closer and closer around the most promising."""
        leaders = self._leaders(random)
        drawn = np.concatenate([random.random((_DRAWN, len(self._sides))), self._moved(leaders, _SPREADS[0], random)])
        shares, promises = drawn[:0], np.empty(0)
        for spread in (*_SPREADS[1:], 0.0):
            shares = np.concatenate([shares, drawn])
            promise = posterior.log_improvement(self._columns.of_shares(drawn), best)
            promises = np.append(promises, np.where(self._is_allowed(drawn, leaders[0]), promise, -np.inf))
            order = np.argsort(-promises, kind="stable")
            drawn = self._moved(shares[order[:_LEADERS]], spread, random)
        points = (unit_cube.point(self._space, shares[at].tolist()) for at in order)
        return next((params for params in points if params_id(params) not in self._trials), None)

    def _is_allowed(self, shares: Array, leader: Array) -> NDArray[np.bool_]:
        """Every fifth trial has to take another option than the best one, of one category after the other: what is best
        under an option that did badly at first would else be looked for late or never."""
        turn, place = divmod(len(self._trials), _SWITCH)
        if place or not self._switches:
            return np.ones(len(shares), dtype=bool)
        at, options = self._switches[turn % len(self._switches)]
        is_other: NDArray[np.bool_] = np.floor(shares[:, at] * options) != np.floor(leader[at] * options)
        return is_other

    def _leaders(self, random: np.random.Generator) -> Array:
        """The best trials as points of the cube; sides that they do not have are anywhere."""
        ended = [trial for trial in self._trials.values() if trial.is_finished]
        order = np.argsort(_losses(ended, self._objective), kind="stable")[:_LEADERS]
        shares = random.random((len(order), len(self._sides)))
        for row, at in zip(shares, order, strict=True):
            for side, share in unit_cube.shares(self._space, ended[at].params).items():
                row[self._sides.index(side)] = share
        return shares

    def _moved(self, points: Array, spread: float, random: np.random.Generator) -> Array:
        """Points around each of these: half of the numbers moved, and now and then another option."""
        around = np.repeat(points, _AROUND, axis=0)
        steps = random.normal(0.0, spread, around.shape) * (random.random(around.shape) < 0.5)
        moved = np.clip(around + np.where(self._is_category, 0.0, steps), 0.0, 1.0)
        is_other = self._is_category & (random.random(around.shape) < 1 / len(self._sides))
        return np.where(is_other, random.random(around.shape), moved)

    def _left(self, random: np.random.Generator) -> Params | None:
        """Any point not tried yet, where what was drawn has none: the space is nearly used up."""
        points: Iterator[Params]
        if self._space.size is None:
            points = (unit_cube.point(self._space, row.tolist()) for row in random.random((1000, len(self._sides))))
            return next((params for params in points if params_id(params) not in self._trials), None)
        points = itertools.islice(self._space.grid(), _LEFT)
        left = [params for params in points if params_id(params) not in self._trials]
        return left[int(random.integers(len(left)))] if left else None


def _losses(ended: Sequence[TrialRecord], objective: Objective) -> Array:
    """What is minimized, with a median of 0 and a deviation of 1.

    A failed trial is as poor as the worst that came to its end; one that was stopped lies between that and the median,
    for it was stopped as one of the poorer ones. How poor the poor are does not matter: none counts as further from the
    median than the best is.
    """
    sign = -1.0 if objective.direction == "maximize" else 1.0
    known = [sign * trial.score for trial in ended if trial.state == "complete" and trial.score is not None]
    best, median = min(known), statistics.median(known)
    worst = min(max(known), 2 * median - best) if median > best else max(known)
    losses = np.full(len(ended), worst)
    for at, trial in enumerate(ended):
        if trial.score is not None and trial.state != "failed":
            losses[at] = min(max(sign * trial.score, median if trial.state == "stopped" else best), worst)
    deviation = float(losses.std())
    found: Array = (losses - median) / (deviation or 1.0)
    return found


def _most_telling(losses: Array, n: int) -> NDArray[np.intp]:
    """The places of the best and of the latest, half of each, where there are more than `n`."""
    if len(losses) <= n:
        return np.arange(len(losses))
    latest = np.arange(len(losses) - n // 2, len(losses))
    best = [at for at in np.argsort(losses, kind="stable") if at < latest[0]][: n - n // 2]
    return np.sort(np.concatenate([best, latest]))
