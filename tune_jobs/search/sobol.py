"""Quasi-random search: points of a scrambled Sobol sequence, which cover a space evenly.

I. M. Sobol, 1967; scrambled as in A. B. Owen, Scrambling Sobol and Niederreiter-Xing points, 1998, by SciPy. For
hyperparameters: J. Bergstra and Y. Bengio, Random Search for Hyper-Parameter Optimization, 2012, section 5.
"""

from __future__ import annotations

from collections.abc import Iterator

from tune_jobs.search import unit_cube
from tune_jobs.search_spaces.one_factor import AnySpace
from tune_jobs.search_spaces.scalars import Params, params_id

_BLOCK = 64  # points drawn at once; Sobol's sequence needs a power of two
_MAX_REPEATS = 4096  # points in a row that repeat earlier ones, before the rest of a finite space comes in grid order


def points(space: AnySpace, seed: int) -> Iterator[Params]:
    """Yield the params of one sequence, each once.

    A finite space ends after all of its points, and any other once nothing new comes: its floats may lie too close
    together.
    """
    seen: set[str] = set()
    n_dimensions = len(unit_cube.dimensions(space))
    repeats = 0
    for params in _sequence(space, n_dimensions, seed) if n_dimensions else ():
        identity = params_id(params)
        if identity not in seen:
            seen.add(identity)
            repeats = 0
            yield params
        else:
            repeats += 1
            if len(seen) == space.size or repeats > _MAX_REPEATS:
                break
    if space.size is not None:
        yield from (params for params in space.grid() if params_id(params) not in seen)


def _sequence(space: AnySpace, n_dimensions: int, seed: int) -> Iterator[Params]:
    from scipy.stats import qmc  # here, because a command that only reads a study should not wait a second for it

    sobol = qmc.Sobol(n_dimensions, rng=seed)
    while True:
        for coordinates in sobol.random(_BLOCK):
            yield unit_cube.params_at(space, coordinates.tolist())
