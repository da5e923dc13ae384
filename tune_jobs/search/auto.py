"""`--search auto`: which search suits a space and a number of trials, and why. docs/search.md has what it rests on."""

from __future__ import annotations

from tune_jobs.records.studies import Search
from tune_jobs.search import unit_cube
from tune_jobs.search_spaces.one_factor import AnySpace

FEW = 10  # trials, after which a model has nothing to go on yet
OF_SEVERAL = 100  # trials, up to which TPE is ahead of NSGA-II (docs/leaderboard.md)
MANY = 300  # trials, beyond which a Gaussian process takes as long for a proposal as a small network to train


def pick_search(space: AnySpace, trials: int, *, has_several: bool = False) -> tuple[Search, str]:
    """A search for a space, if so many trials are allowed, and the reason as the rest of a sentence; `has_several` is
    whether it is for several objectives."""
    allowed = f"{trials} trial{'s' * (trials != 1)} {'were' if trials != 1 else 'was'} allowed"
    if space.size is not None and space.size <= trials:
        return "grid", f"the space has {space.size} configurations and {allowed}"
    if trials <= FEW:
        return "random", f"{allowed}, too few for a model to learn from"
    if has_several and trials > OF_SEVERAL:
        return "nsga2", f"there are several objectives and {allowed}"
    if has_several:
        return "tpe", f"there are several objectives and {allowed}, few for generations of parents and children"
    if trials > MANY:
        return "tpe", f"{allowed}, more than a Gaussian process can follow"
    sides = len(unit_cube.sides(space))
    return "gp", f"the space has {sides} parameters to choose and {allowed}"
