"""NSGA-II as a steady-state search: the parents of each child are the best of all trials that have ended.

No worker therefore waits for a generation to end. Deb et al., A Fast and Elitist Multiobjective Genetic Algorithm:
NSGA-II, 2002, with their crossover and mutation; the steady state: Durillo et al., On the Effect of the Steady-State
Selection Scheme in Multi-Objective Genetic Algorithms, 2009.
"""

from __future__ import annotations

from collections.abc import Mapping

import optuna
from optuna.distributions import BaseDistribution
from optuna.trial import FrozenTrial

from tune_jobs.search_spaces.scalars import Scalar
from tune_jobs.study.optuna_form import distribution

_POPULATION = 10  # parents, and random trials before the first child: few, for studies of a hundred trials
_CROSSOVER_ETA, _MUTATION_ETA = 2.0, 5.0  # the smaller, the bolder; the paper's values are for 25,000 trials


class SteadyStateNSGA2(optuna.samplers.NSGAIISampler):
    """Optuna's NSGA-II with other generations: Optuna counts them in its own trials, and a study's record has none.

    `domains` has the domain of every parameter that the space may have, by its name in Optuna.
    """

    def __init__(self, seed: int, domains: Mapping[str, Scalar]) -> None:
        self._distributions = {name: distribution(domain) for name, domain in domains.items() if domain.size != 1}
        super().__init__(
            population_size=_POPULATION,
            crossover=optuna.samplers.nsgaii.SBXCrossover(_CROSSOVER_ETA),
            mutation=optuna.samplers.nsgaii.PolynomialMutation(_MUTATION_ETA),
            seed=seed,
        )

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        return self._distributions

    def get_trial_generation(self, study: optuna.Study, trial: FrozenTrial) -> int:
        """Return 0, the random generation, until enough trials are complete; then 1, the children of all of them."""
        return int(len(_complete_trials(study)) >= _POPULATION)

    def get_population(self, study: optuna.Study, generation: int) -> list[FrozenTrial]:
        """Return all complete trials, in an order that does not depend on which of them ended first."""
        return sorted(_complete_trials(study), key=lambda trial: (trial.values, str(trial.params)))

    def get_parent_population(self, study: optuna.Study, generation: int) -> list[FrozenTrial]:
        return self.select_parent(study, generation) if generation else []

    def select_parent(self, study: optuna.Study, generation: int) -> list[FrozenTrial]:
        return self._elite_population_selection_strategy(study, self.get_population(study, generation))


def _complete_trials(study: optuna.Study) -> list[FrozenTrial]:
    return study.get_trials(deepcopy=False, states=[optuna.trial.TrialState.COMPLETE])
