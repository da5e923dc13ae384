"""Which search finds how much how soon: regret on two problems whose optimum is known; nothing is trained.

    python benchmarks/search.py --seeds 20 --trials 80 -o search.svg

Regret is the distance from the optimum of the best score so far. `tuning` behaves like a network's hyperparameters: an
optimizer with a learning rate of its own, depth, width, dropout. `numbers` is a crooked valley in four numbers, with a
switch that opens a fifth. Each search proposes one trial after another and is told its score, with a little noise on it
as seeds make; regret is of the score without noise. Printed is the median over the seeds, and the quarters beside it.
"""

from __future__ import annotations

import argparse
import math
import random
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from matplotlib.figure import Figure

from search_spaces.domains import Choice, Float, Int, Params, Space, Variants
from search_spaces.task import Objective
from tune_jobs import sampling
from tune_jobs.exports.plots import COLOURS, FAINT, save, styled
from tune_jobs.records import Search, TrialRecord

SEARCHES: tuple[Search, ...] = ("random", "qmc", "tpe", "cmaes")
AFTER = (10, 20, 40, 80, 160)
NOISE = 0.003  # standard deviation between seeds
OBJECTIVE = Objective("val_score", "maximize")
LEARNING_RATE = Float(1e-5, 1.0, log=True)


@dataclass(frozen=True)
class Problem:
    """A space and what a point of it scores; the best score is 1."""

    space: Space
    score: Callable[[Params], float]


def tuning(params: Params) -> float:
    """Best for adam at 1e-3, three layers of 128 units, with dropout of 0.3."""
    best_rate, ceiling = {"sgd": (1e-1, 0.97), "adam": (1e-3, 1.0), "rmsprop": (5e-4, 0.98)}[str(params["optimizer"])]
    off = math.log10(_number(params, "learning_rate") / best_rate)
    score = ceiling - 0.08 * off**2
    if params["optimizer"] == "sgd":
        score -= 0.1 * (_number(params, "momentum") - 0.9) ** 2
    score -= 0.02 * abs(_number(params, "layers") - 3)
    score -= 0.015 * abs(math.log2(_number(params, "units") / 128))
    return score - (0.03 if params["dropout"] == "without" else 0.4 * (_number(params, "dropout_rate") - 0.3) ** 2)


def numbers(params: Params) -> float:
    """Best at 0.7 in x and y and 0.3 in z and w, with the switch on and its fifth number at 0.5."""
    x, y, z, w = (_number(params, name) for name in "xyzw")
    valley = (x - 0.7) ** 2 + 4 * ((y - 0.7) - (x - 0.7) * (1 + x - 0.7)) ** 2
    score = 1 - valley - (z - 0.3) ** 2 - 0.5 * (w - 0.3) ** 2 - (z - 0.3) * (w - 0.3)
    return score - (0.05 if params["switch"] == "off" else 0.2 * (_number(params, "fifth") - 0.5) ** 2)


def _number(params: Params, name: str) -> float:
    value = params[name]
    assert isinstance(value, int | float)
    return float(value)


PROBLEMS: Mapping[str, Problem] = {
    "tuning": Problem(
        Space(
            layers=Int(1, 6),
            units=Int(16, 1024, log=True),
            optimizer=Variants(
                sgd=Space(learning_rate=LEARNING_RATE, momentum=Float(0.0, 0.99)),
                adam=Space(learning_rate=LEARNING_RATE),
                rmsprop=Space(learning_rate=LEARNING_RATE),
            ),
            dropout=Variants({"without": Space(), "with": Space(dropout_rate=Float(0.05, 0.8))}),
            activation=Choice("relu", "gelu", "tanh"),  # makes no difference, as some do not
        ),
        tuning,
    ),
    "numbers": Problem(
        Space(
            **{name: Float(0.0, 1.0) for name in "xyzw"},
            switch=Variants(off=Space(), on=Space(fifth=Float(0.0, 1.0))),
        ),
        numbers,
    ),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--trials", type=int, default=80)
    parser.add_argument("-o", "--output", type=Path, help="a figure: search.svg or search.png")
    options = parser.parse_args()
    found: dict[str, dict[Search, list[list[float]]]] = {}
    after = [n for n in AFTER if n <= options.trials]
    for name, problem in PROBLEMS.items():
        print(f"\n{name + ': median regret (quarters)':34}" + "".join(f"{n:>24}" for n in after) + "  trials")
        found[name] = {}
        for search in SEARCHES:
            started = time.perf_counter()
            runs = [_regrets(problem, search, seed, options.trials) for seed in range(options.seeds)]
            took = (time.perf_counter() - started) / options.seeds / options.trials
            found[name][search] = runs
            cells = "".join(f"{_cell([run[n - 1] for run in runs]):>24}" for n in after)
            print(f"{search:34}{cells}  {1000 * took:.1f} ms a proposal", flush=True)
    if options.output is not None:
        save(_figure(found), options.output)


def _regrets(problem: Problem, search: Search, seed: int, trials: int) -> list[float]:
    """After each trial, how far the best so far is from the optimum."""
    sampler = sampling.sampler(search, problem.space, OBJECTIVE, seed, ())
    noise = random.Random(seed)
    best, found = -math.inf, []
    for number in range(trials):
        candidate = sampler.ask()
        assert candidate is not None
        score = problem.score(candidate.params)
        told = score + noise.gauss(0.0, NOISE)
        sampler.tell(TrialRecord(number, candidate.params, seed, "complete", score=told))
        best = max(best, score)
        found.append(1 - best)
    return found


def _cell(regrets: list[float]) -> str:
    low, middle, high = statistics.quantiles(regrets, n=4)
    return f"{middle:.4f} ({low:.4f}-{high:.4f})"


def _figure(found: Mapping[str, Mapping[Search, list[list[float]]]]) -> Figure:
    """A panel a problem: the median regret of each search over its trials, with a band between the quarters."""
    with styled():
        figure = Figure(figsize=(5.2 * len(found), 4.2), layout="constrained")
        panels = figure.subplots(1, len(found), sharey=True, squeeze=False)[0]
        for axes, (name, searches) in zip(panels, found.items(), strict=True):
            for (search, runs), colour in zip(searches.items(), COLOURS, strict=False):
                quarters = [statistics.quantiles(step, n=4) for step in zip(*runs, strict=True)]
                low, middle, high = zip(*quarters, strict=True)
                trials = range(1, len(middle) + 1)
                axes.fill_between(trials, low, high, color=colour, alpha=0.15, linewidth=0)
                axes.plot(trials, middle, color=colour, label=search)
            axes.set(title=name, xlabel="trials", yscale="log")
            axes.yaxis.set_major_formatter("{x:g}")
            axes.grid(axis="y", color=FAINT)
            axes.spines[["top", "right"]].set_visible(False)
        panels[0].set_ylabel("regret: distance from the optimum")
        panels[-1].legend(frameon=False)
    return figure


if __name__ == "__main__":
    main()
