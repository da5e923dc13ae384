"""Quasi-random search: points of a scrambled Sobol sequence, which leave no large part of the space unlooked at.

I. M. Sobol, 1967; scrambled as in A. B. Owen, Scrambling Sobol and Niederreiter-Xing points, 1998, by SciPy. For
hyperparameters: J. Bergstra and Y. Bengio, Random Search for Hyper-Parameter Optimization, 2012, section 5.
"""

from __future__ import annotations

from collections.abc import Iterator

from tune_jobs.search import unit_cube
from tune_jobs.search_spaces.one_factor import AnySpace
from tune_jobs.search_spaces.scalars import Params, params_id

_BLOCK = 64  # points drawn at once; a power of two, of which Sobol's sequence is made
_LOOKED_AT = 4096  # points of a finite space that bring nothing new, before the rest is taken in the grid's order


def points(space: AnySpace, seed: int) -> Iterator[Params]:
    """The params of one sequence, each once; of a finite space all of them, then no more."""
    seen: set[str] = set()
    n_sides = len(unit_cube.sides(space))
    without_news = 0
    for params in _sequence(space, n_sides, seed) if n_sides else ():
        identity = params_id(params)
        if identity not in seen:
            seen.add(identity)
            without_news = 0
            yield params
        elif space.size is not None:
            without_news += 1
            if len(seen) >= space.size or without_news > _LOOKED_AT:
                break
    yield from (params for params in space.grid() if params_id(params) not in seen)


def _sequence(space: AnySpace, n_sides: int, seed: int) -> Iterator[Params]:
    from scipy.stats import qmc  # takes a second, which no command should wait for that only reads a study

    sobol = qmc.Sobol(n_sides, rng=seed)
    while True:
        for shares in sobol.random(_BLOCK):
            yield unit_cube.point(space, shares.tolist())
