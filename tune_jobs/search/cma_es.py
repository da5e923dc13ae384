"""CMA-ES over the numbers that every point of a space has; whatever else there is to choose is drawn at random.

N. Hansen and A. Ostermeier, Completely Derandomized Self-Adaptation in Evolution Strategies, 2001, by the package
cmaes; where it has converged it starts again with twice the population (A. Auger and N. Hansen, A Restart CMA
Evolution Strategy with Increasing Population Size, 2005).

A generation is drawn from the seed and the generations before it, whose scores are looked up among the trials: a search
that was killed comes to the same generation again, whichever of its trials had ended in which order.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass

import numpy as np
from cmaes import CMA

from tune_jobs.records.trials import TrialRecord
from tune_jobs.search import unit_cube
from tune_jobs.search.candidates import Candidate
from tune_jobs.search_spaces.one_factor import AnySpace
from tune_jobs.search_spaces.protocol import Objective
from tune_jobs.search_spaces.scalars import Params, SpaceError, params_id

_FIRST_SPREAD = 1 / 6  # of each side: the first generation covers it to three standard deviations
_WITHOUT_NEWS = 50  # generations in a row that were seen before; then the rest of a small space is taken in order


def check(space: AnySpace) -> None:
    """Whether there is anything to adapt.

    Raises:
        SpaceError: fewer than two numbers that every point has.
    """
    numbers = [name for name, _ in unit_cube.numeric_sides(space)]
    if len(numbers) < 2:
        came = f"{numbers[0]} alone" if numbers else "none"
        raise SpaceError(
            f"cmaes adapts numbers that every point has, two or more of them, and this space has {came}: "
            "take another search, or open some with --open"
        )


@dataclass(frozen=True)
class _Individual:
    """A point of the cube's numeric sides, and the params that were made of it."""

    position: np.ndarray
    params: Params


class Evolution:
    """Proposes generation after generation; the next one when the scores of all are there.

    Raises:
        SpaceError: as `check`.
    """

    def __init__(self, space: AnySpace, objective: Objective, seed: int, trials: tuple[TrialRecord, ...]) -> None:
        check(space)
        self._space, self._objective, self._seed = space, objective, seed
        self._numeric = unit_cube.numeric_sides(space)
        self._others = [side for side in unit_cube.sides(space) if side not in self._numeric]
        self._known = {trial.params_id: trial for trial in trials}
        self._asked = set(self._known)
        self._seen: set[str] = set()  # in any generation
        self._without_news = 0
        self._generations = 0
        self._restarts = 0
        self._optimizer = self._started(population=None)
        self._generation = self._drawn()

    def ask(self) -> Candidate | None:
        while self._without_news < _WITHOUT_NEWS:
            for one in self._generation:
                if params_id(one.params) not in self._asked:
                    return self._candidate(one.params)
            if not all(self._is_over(one) for one in self._generation):
                return None
            self._evolve()
        left = () if self._space.size is None else self._space.grid()
        untried = next((params for params in left if params_id(params) not in self._asked), None)
        return None if untried is None else self._candidate(untried)

    def _candidate(self, params: Params) -> Candidate:
        self._asked.add(params_id(params))
        return Candidate(params, self._seed)

    def tell(self, trial: TrialRecord) -> None:
        self._known[trial.params_id] = trial
        self._asked.add(trial.params_id)

    def _is_over(self, one: _Individual) -> bool:
        trial = self._known.get(params_id(one.params))
        return trial is not None and trial.is_finished

    def _evolve(self) -> None:
        """The scores of a generation that is over make the next one."""
        losses = [self._loss(one) for one in self._generation]
        worst = max((loss for loss in losses if math.isfinite(loss)), default=0.0)
        told = [
            (one.position, loss if math.isfinite(loss) else worst + abs(worst) + 1)
            for one, loss in zip(self._generation, losses, strict=True)
        ]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            self._optimizer.tell(told)
        self._generations += 1
        if self._optimizer.should_stop():
            self._restarts += 1
            self._optimizer = self._started(population=2 * self._optimizer.population_size)
        self._generation = self._drawn()

    def _loss(self, one: _Individual) -> float:
        """What is minimized; infinite for a trial that did not come to its end."""
        trial = self._known[params_id(one.params)]
        if trial.state != "complete" or trial.score is None:
            return math.inf
        return -trial.score if self._objective.direction == "maximize" else trial.score

    def _started(self, population: int | None) -> CMA:
        n_sides = len(self._numeric)
        return CMA(
            mean=np.full(n_sides, 0.5),
            sigma=_FIRST_SPREAD,
            bounds=np.tile([0.0, 1.0], (n_sides, 1)),
            seed=self._word(0),
            population_size=population,
        )

    def _drawn(self) -> list[_Individual]:
        others = np.random.default_rng(self._word(1, self._generations))
        drawn = []
        for _ in range(self._optimizer.population_size):
            position = self._optimizer.ask()
            shares = dict(zip(self._numeric, position.tolist(), strict=True))
            shares |= dict(zip(self._others, others.random(len(self._others)).tolist(), strict=True))
            drawn.append(_Individual(position, unit_cube.point(self._space, shares)))
        ids = {params_id(one.params) for one in drawn}
        self._without_news = self._without_news + 1 if ids <= self._seen else 0
        self._seen |= ids
        return drawn

    def _word(self, *parts: int) -> int:
        return int(np.random.SeedSequence((self._seed, self._restarts, *parts)).generate_state(1)[0])
