"""How often the 95 % interval of a cross-validated accuracy holds the accuracy of its models on endless new rows.

Classifiers by ridge regression, on two normal clouds in d dimensions, of which one tells them apart; a seed leaves a
fifth of the rows out. The accuracy of each model is known exactly. Prints a row for each size. CPU only, a minute.
"""

from __future__ import annotations

import measuring  # noqa: F401 - (it puts this checkout on the path)
import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from tune_jobs.datasets.folding import folds_of
from tune_jobs.leaderboard.inference import Sample, uncertainties

APART, REPEATS = 0.5, 1000
SIZES = ((100, 5, 5), (100, 20, 5), (400, 20, 5), (400, 20, 10))  # rows, dimensions, folds

Floats = NDArray[np.float64]


def covered(rows: int, d: int, n_folds: int, seeds: int, rng: np.random.Generator) -> bool:
    """Draw a data set, cross-validate it with so many seeds, and return whether the interval holds the accuracy."""
    side = rng.choice([-1.0, 1.0], rows)
    x = rng.normal(size=(rows, d))
    x[:, 0] += APART * side
    folds, right, true = folds_of((side > 0).astype(int), n_folds), np.zeros((seeds, rows)), []
    for seed in range(seeds):
        for fold in range(n_folds):
            train, test = folds.trained_on(fold), folds.held_out(fold)
            kept = train[rng.random(len(train)) < 0.8]
            weights, bias = ridge(x[kept], side[kept])
            right[seed, test] = (x[test] @ weights + bias > 0) == (side[test] > 0)
            true.append(accuracy(weights, bias))
    interval = uncertainties([Sample(right.mean(axis=1), right)], maximize=True)[0].interval
    assert interval is not None
    return bool(interval[0] <= np.mean(true) <= interval[1])


def ridge(x: Floats, side: Floats) -> tuple[Floats, float]:
    """Return weights `(d,)` and a bias."""
    with_one = np.c_[x, np.ones(len(x))]
    solved = np.linalg.solve(with_one.T @ with_one + np.eye(with_one.shape[1]), with_one.T @ side)
    return solved[:-1], float(solved[-1])


def accuracy(weights: Floats, bias: float) -> float:
    """Return the share of endless new rows that these weights tell apart."""
    length = np.linalg.norm(weights)
    return float(np.mean([ndtr((APART * weights[0] + sign * bias) / length) for sign in (-1, 1)]))


def main() -> None:
    print("| rows | dimensions | folds | one seed | three seeds |\n|--:|--:|--:|--:|--:|")
    for rows, d, n_folds in SIZES:
        rng = np.random.default_rng(rows + d + n_folds)
        shares = [np.mean([covered(rows, d, n_folds, seeds, rng) for _ in range(REPEATS)]) for seeds in (1, 3)]
        print(f"| {rows} | {d} | {n_folds} | {shares[0]:.1%} | {shares[1]:.1%} |", flush=True)


if __name__ == "__main__":
    main()
