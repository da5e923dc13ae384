"""`--search auto`: pick the search that suits a space and a number of trials. docs/search.md has the measurements."""

from __future__ import annotations

from tune_jobs.records.studies import Search
from tune_jobs.search import unit_cube
from tune_jobs.search_spaces.one_factor import AnySpace

RANDOM_UP_TO = 10  # trials; a model cannot learn from fewer
TPE_UP_TO = 100  # trials of a study of several objectives; beyond it NSGA-II is ahead (docs/leaderboard.md)
GP_UP_TO = 300  # trials; beyond it a proposal by a Gaussian process takes as long as training a small network


def pick_search(space: AnySpace, trials: int, *, multi_objective: bool = False) -> tuple[Search, str]:
    """Return the search for a space if `trials` trials are allowed, and the reason as the rest of a sentence."""
    allowed = f"{trials} trial{'s' * (trials != 1)} {'were' if trials != 1 else 'was'} allowed"
    if space.size is not None and space.size <= trials:
        return "grid", f"the space has {space.size} configurations and {allowed}"
    if trials <= RANDOM_UP_TO:
        return "random", f"{allowed}, too few for a model to learn from"
    if multi_objective and trials > TPE_UP_TO:
        return "nsga2", f"there are several objectives and {allowed}"
    if multi_objective:
        return "tpe", f"there are several objectives and {allowed}, few for generations of parents and children"
    if trials > GP_UP_TO:
        return "tpe", f"{allowed}, more than a Gaussian process can follow"
    n_parameters = len(unit_cube.dimensions(space))
    return "gp", f"the space has {n_parameters} parameters to choose and {allowed}"
