"""Search algorithms: make the sampler that proposes what to try next in a space.

Every sampler is a function of the study's seed and of the trials so far, and of nothing else: a sweep that was killed
and continued proposes what an undisturbed one would have. No sampler proposes the same params twice.
"""

from __future__ import annotations

from collections.abc import Sequence

from tune_jobs.errors import UserError
from tune_jobs.records.constraints import Constraint
from tune_jobs.records.studies import Search
from tune_jobs.records.trials import TrialRecord
from tune_jobs.search import cma_es, sobol
from tune_jobs.search.bayesian import GaussianProcessSampler
from tune_jobs.search.candidates import Candidate, ListSampler, Sampler
from tune_jobs.search.optuna_sampler import OptunaSampler
from tune_jobs.search.prior_tpe import PriorTPE
from tune_jobs.search_spaces.one_factor import AnySpace
from tune_jobs.search_spaces.protocol import Objective
from tune_jobs.search_spaces.scalars import params_id


def check_search(search: Search, space: AnySpace, further_objectives: Sequence[Objective] = ()) -> None:
    """Check that a search suits a space, and the number of objectives.

    Raises:
        SpaceError: the search is a grid and a domain of the space is not finite, or it is CMA-ES and the space has
            fewer than two numbers.
        UserError: CMA-ES or a Gaussian process got several objectives, or NSGA-II got one.
    """
    if search in ("cmaes", "gp") and further_objectives:
        raise UserError(
            f"--search {search} is for one objective, and this study has {1 + len(further_objectives)}: "
            "take nsga2 or tpe"
        )
    if search == "nsga2" and not further_objectives:
        raise UserError(
            "--search nsga2 weighs several objectives, and this study has one: take tpe, or begin another study with "
            "a second --objective"
        )
    if search == "grid":
        space.grid()
    elif search == "cmaes":
        cma_es.check_space(space)


def learns_from_prior(search: Search, further_objectives: Sequence[Objective] = ()) -> bool:
    """Return True if a search can learn from another study, whose scores are of another scale."""
    return search in ("tpe", "gp") and not further_objectives


def make_sampler(
    search: Search,
    space: AnySpace,
    objective: Objective,
    seed: int,
    trials: tuple[TrialRecord, ...],
    *,
    further_objectives: Sequence[Objective] = (),
    constraints: Sequence[Constraint] = (),
    prior: Sequence[TrialRecord] = (),
) -> Sampler:
    """Return the sampler of a search, as it is after `trials`. Where it learns, it learns to keep to the constraints.

    `prior` are trials of another study, as points of the space, for a search that `learns_from_prior`.

    Raises:
        SpaceError, UserError: as `check_search`.
    """
    check_search(search, space, further_objectives)
    if search in ("grid", "qmc"):
        points = space.grid() if search == "grid" else sobol.points(space, seed)
        tried = {trial.params_id for trial in trials}
        return ListSampler((Candidate(point, seed) for point in points if params_id(point) not in tried), ())
    if search == "cmaes":
        return cma_es.CmaEsSampler(space, objective, seed, trials, constraints)
    if search == "gp":
        return GaussianProcessSampler(space, objective, seed, trials, constraints, prior)
    if prior and learns_from_prior(search, further_objectives):
        return PriorTPE(space, objective, seed, trials, constraints, prior)
    return OptunaSampler(search, space, (objective, *further_objectives), seed, trials, constraints)
