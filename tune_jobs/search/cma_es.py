"""CMA-ES over the numbers that every point of a space has; all other parameters are drawn at random.

N. Hansen and A. Ostermeier, Completely Derandomized Self-Adaptation in Evolution Strategies, 2001, by the package
cmaes. Once it has converged it starts again with twice the population (A. Auger and N. Hansen, A Restart CMA Evolution
Strategy with Increasing Population Size, 2005).

Each generation is drawn from the seed and from the scores of the generations before it. A search that was killed
therefore draws the same generation again, in whatever order its trials had ended.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tune_jobs.records.constraints import Constraint, excess
from tune_jobs.records.trials import TrialRecord
from tune_jobs.search import unit_cube
from tune_jobs.search.candidates import Candidate
from tune_jobs.search_spaces.one_factor import AnySpace
from tune_jobs.search_spaces.protocol import Objective
from tune_jobs.search_spaces.scalars import Params, SpaceError, params_id

if TYPE_CHECKING:
    from cmaes import CMA

_FIRST_SPREAD = 1 / 6  # of each dimension: three standard deviations cover it in the first generation
_MAX_REPEATS = 50  # generations in a row with nothing new; then the rest of a small space comes in grid order


def check_space(space: AnySpace) -> None:
    """Check that a space has numbers that CMA-ES can adapt.

    Raises:
        SpaceError: fewer than two numbers are in every point.
    """
    names = [name for name, _ in unit_cube.numeric_dimensions(space)]
    if len(names) < 2:
        actual = f"{names[0]} alone" if names else "none"
        raise SpaceError(
            f"cmaes adapts numbers that every point has, two or more of them, and this space has {actual}: "
            "take another search, or open some with --open"
        )


@dataclass(frozen=True)
class _Individual:
    """A position along the numeric dimensions, and the params that were made of it."""

    position: np.ndarray
    params: Params

    @property
    def params_id(self) -> str:
        return params_id(self.params)


class CmaEsSampler:
    """Proposes one generation after another; the next one once all trials of the last have ended.

    Raises:
        SpaceError: as `check_space`.
    """

    def __init__(
        self,
        space: AnySpace,
        objective: Objective,
        seed: int,
        trials: tuple[TrialRecord, ...],
        constraints: Sequence[Constraint] = (),
    ) -> None:
        check_space(space)
        self._constraints = tuple(constraints)
        self._space, self._objective, self._seed = space, objective, seed
        self._numeric = unit_cube.numeric_dimensions(space)
        self._others = [each for each in unit_cube.dimensions(space) if each not in self._numeric]
        self._trials = {trial.params_id: trial for trial in trials}
        self._proposed = set(self._trials)
        self._drawn: set[str] = set()  # the params of every generation
        self._repeats = 0
        self._generations = 0
        self._restarts = 0
        self._optimizer = self._new_optimizer(population=None)
        self._generation = self._draw_generation()

    def ask(self) -> Candidate | None:
        while self._repeats < _MAX_REPEATS:
            for individual in self._generation:
                if individual.params_id not in self._proposed:
                    return self._candidate(individual.params)
            if not all(self._has_ended(individual) for individual in self._generation):
                return None
            self._evolve()
        points = () if self._space.size is None else self._space.grid()
        untried = next((params for params in points if params_id(params) not in self._proposed), None)
        return None if untried is None else self._candidate(untried)

    def tell(self, trial: TrialRecord) -> None:
        self._trials[trial.params_id] = trial
        self._proposed.add(trial.params_id)

    def _candidate(self, params: Params) -> Candidate:
        self._proposed.add(params_id(params))
        return Candidate(params, self._seed)

    def _has_ended(self, individual: _Individual) -> bool:
        trial = self._trials.get(individual.params_id)
        return trial is not None and trial.is_finished

    def _evolve(self) -> None:
        """Make the next generation from the scores of this one, all of whose trials have ended."""
        losses = [self._loss(individual) for individual in self._generation]
        worst = max((loss for loss in losses if math.isfinite(loss)), default=0.0)
        solutions = [
            (individual.position, loss if math.isfinite(loss) else worst + abs(worst) + 1 + self._excess(individual))
            for individual, loss in zip(self._generation, losses, strict=True)
        ]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            self._optimizer.tell(solutions)
        self._generations += 1
        if self._optimizer.should_stop():
            self._restarts += 1
            self._optimizer = self._new_optimizer(population=2 * self._optimizer.population_size)
        self._generation = self._draw_generation()

    def _loss(self, individual: _Individual) -> float:
        """Return the value to minimize; infinity for a trial that is not complete, or that breaks a limit."""
        trial = self._trials[individual.params_id]
        if trial.state != "complete" or trial.score is None or self._excess(individual):
            return math.inf
        return -trial.score if self._objective.direction == "maximize" else trial.score

    def _excess(self, individual: _Individual) -> float:
        """Return by how much a trial breaks its limits, all together."""
        return excess(self._trials[individual.params_id], self._constraints)

    def _new_optimizer(self, population: int | None) -> CMA:
        from cmaes import CMA  # it imports scipy.stats: a second that no other search needs

        n_dimensions = len(self._numeric)
        return CMA(
            mean=np.full(n_dimensions, 0.5),
            sigma=_FIRST_SPREAD,
            bounds=np.tile([0.0, 1.0], (n_dimensions, 1)),
            seed=self._derived_seed(0),
            population_size=population,
        )

    def _draw_generation(self) -> list[_Individual]:
        random = np.random.default_rng(self._derived_seed(1, self._generations))
        generation = []
        for _ in range(self._optimizer.population_size):
            position = self._optimizer.ask()
            coordinates = dict(zip(self._numeric, position.tolist(), strict=True))
            coordinates |= dict(zip(self._others, random.random(len(self._others)).tolist(), strict=True))
            generation.append(_Individual(position, unit_cube.params_at(self._space, coordinates)))
        ids = {individual.params_id for individual in generation}
        self._repeats = self._repeats + 1 if ids <= self._drawn else 0
        self._drawn |= ids
        return generation

    def _derived_seed(self, *parts: int) -> int:
        return int(np.random.SeedSequence((self._seed, self._restarts, *parts)).generate_state(1)[0])
