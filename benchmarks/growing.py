"""Measure what a study that goes on with other spaces gains from its history, against one that starts anew each time.

    python benchmarks/growing.py --seeds 20

Nothing is trained. The problem is `tuning` of benchmarks/search.py. A study begins with three of its parameters, the
rest held; goes on with five; and then with narrower ranges of the rate and the width. It learns from the trials
that fit, as `launch --open` and `launch --set` do. The other side begins with nothing in the last of these spaces.
Regret is the distance from the best possible score there. "its last stage alone" is what the history taught the search;
"all that it has" counts the trials of the earlier stages too, which the study has kept.
"""

from __future__ import annotations

import random
import statistics
from collections.abc import Sequence
from functools import partial

import measuring  # (it puts this checkout on the path)
from search import NOISE, OBJECTIVE, PROBLEMS, tuning

from tune_jobs.records.studies import Search
from tune_jobs.records.trials import RecordedResult, TrialRecord
from tune_jobs.search import samplers
from tune_jobs.search.fitting import FittedSampler, fitted
from tune_jobs.search_spaces import Choice, Fixed, Float, Int, Params, Space, Variants, fitting, narrow
from tune_jobs.search_spaces.narrowing import open_parameters
from tune_jobs.search_spaces.one_factor import AnySpace

SEARCHES: tuple[Search, ...] = ("random", "tpe", "gp")
TRIALS = (30, 30, 30)  # of each stage
AFTER = (5, 10, 30)  # trials of the last stage
DECLARED = Space(
    learning_rate=Float(1e-5, 1.0, log=True),
    units=Int(16, 1024, log=True),
    layers=Int(1, 6),
    optimizer=Fixed("adam", Choice("adam", "rmsprop", "sgd")),
    dropout=Fixed("without", Variants({"without": Space(), "with": Space(dropout_rate=Float(0.05, 0.8))})),
)
OPENED = open_parameters(DECLARED, ("optimizer", "dropout"))
SPACES: tuple[AnySpace, ...] = (DECLARED, OPENED, narrow(OPENED, {"learning_rate": "1e-4..1e-2", "units": "32..512"}))


def score(params: Params) -> float:
    return tuning({"momentum": 0.9, **params})


def stage(
    search: Search, space: AnySpace, seed: int, before: Sequence[TrialRecord], n: int, noise: random.Random
) -> list[TrialRecord]:
    """Return `n` further trials of a study that has these from before."""
    fit = partial(fitting.fitted, space, defaults={})
    sampler = FittedSampler(samplers.make_sampler(search, space, OBJECTIVE, seed, fitted(before, fit)), fit)
    trials: list[TrialRecord] = []
    for number in range(len(before), len(before) + n):
        candidate = sampler.ask()
        assert candidate is not None
        reached = score(candidate.params) + noise.gauss(0, NOISE)
        result = RecordedResult("complete", reached, metrics={OBJECTIVE.metric: reached}, finished=0.0)
        trials.append(TrialRecord(number, candidate.params, seed, "complete", result=result))
        sampler.tell(trials[-1])
    return trials


def regret(trials: Sequence[TrialRecord]) -> float:
    return PROBLEMS["tuning"].best - max(score(trial.params) for trial in trials)


def grown(search: Search, seed: int, *, is_whole: bool) -> list[float]:
    """Return the regrets of a study that goes on, after so many trials of its last stage: of these alone, or of all."""
    noise, trials = random.Random(seed), list[TrialRecord]()
    for space, n in zip(SPACES[:-1], TRIALS[:-1], strict=True):
        trials += stage(search, space, seed, trials, n, noise)
    last = stage(search, SPACES[-1], seed, trials, TRIALS[-1], noise)
    return [regret([*(trials if is_whole else ()), *last[:n]]) for n in AFTER]


def anew(search: Search, seed: int) -> list[float]:
    """Return the regrets of a study that begins in the last space."""
    last = stage(search, SPACES[-1], seed, (), TRIALS[-1], random.Random(seed))
    return [regret(last[:n]) for n in AFTER]


def main() -> None:
    parser = measuring.make_parser(__doc__)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--searches", nargs="+", choices=SEARCHES, default=SEARCHES)
    options = parser.parse_args()
    print(f"{'search':8}{'study':34}" + "".join(f"{f'regret after {n}':>26}" for n in AFTER))
    ways = {
        "starts anew": anew,
        "goes on, its last stage alone": partial(grown, is_whole=False),
        "goes on, all that it has": partial(grown, is_whole=True),
    }
    for search in options.searches:
        for way, run in ways.items():
            runs = [run(search, seed) for seed in range(options.seeds)]
            cells = "".join(f"{_quartiles(each):>26}" for each in zip(*runs, strict=True))
            print(f"{search:8}{way:34}{cells}", flush=True)


def _quartiles(values: Sequence[float]) -> str:
    low, middle, high = statistics.quantiles(values, n=4)
    return f"{middle:.4f} ({low:.4f} {high:.4f})"


if __name__ == "__main__":
    main()
