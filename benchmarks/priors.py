"""Measure what a study gains, or loses, by the trials of another task's study.

    python benchmarks/priors.py --seeds 20

Nothing is trained. The other study has 60 trials that random search drew. There are three pairs of tasks:

`recorded`: the 81 trainings of docs/studies/images/fashion-mnist-mlp.study, scored after 2 epochs in the other study
and after 15 in this one.
`related`: `tuning` of benchmarks/search.py. In the other task the best learning rates are three times as large, the
best width is twice and the best depth one more, and scores are of another scale.
`misleading`: the same, and the other task's good points are its poor ones.

A study starts anew, or with the five best of the other one (`--seed-from-best 5`), or with its best one, and then
learns from all of its trials (`--seed-from`). Regret is the distance from the best possible score.
"""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import islice

import measuring  # (it puts this checkout on the path)
from search import NOISE, OBJECTIVE, PROBLEMS, RECORDED, tuning

from tune_jobs.records.studies import Search
from tune_jobs.records.trials import RecordedResult, TrialRecord
from tune_jobs.search import samplers
from tune_jobs.search.candidates import Candidate
from tune_jobs.search.warm_starts import WarmStartSampler
from tune_jobs.search_spaces import Params, params_id
from tune_jobs.search_spaces.one_factor import AnySpace
from tune_jobs.study import file

SEARCHES: tuple[Search, ...] = ("tpe", "gp")
WAYS = ("starts anew", "five best first", "learns from all")
PRIOR_TRIALS, TRIALS = 60, 20
AFTER = (5, 10, 20)
EARLY = 2  # epochs of the other task of `recorded`
Score = Callable[[Params], float]


@dataclass(frozen=True)
class Pair:
    """A space, and the scores of its points in the other task and in this one."""

    space: AnySpace
    other: Score
    this: Score
    best: float
    noise: float = NOISE


def other_tuning(params: Params) -> float:
    rate, units, layers = params["learning_rate"], params["units"], params["layers"]
    assert isinstance(rate, float)
    assert isinstance(units, int)
    assert isinstance(layers, int)
    shifted = {**params, "learning_rate": rate / 3, "units": units / 2, "layers": layers - 1}
    return 40 * math.exp(5 * tuning(shifted))


def recorded() -> Pair:
    record = file.read(RECORDED).record
    metric = record.terms.objective.metric
    curves = {trial.params_id: [epoch[metric] for epoch in trial.history] for trial in record.searched}
    problem = PROBLEMS["fashion-mnist-mlp"]
    return Pair(problem.space, lambda params: max(curves[params_id(params)][:EARLY]), problem.score, problem.best, 0.0)


TUNING = partial(Pair, PROBLEMS["tuning"].space, this=tuning, best=1.0)
PAIRS: Mapping[str, Pair] = {
    "recorded": recorded(),
    "related": TUNING(other=other_tuning),
    "misleading": TUNING(other=lambda params: -other_tuning(params)),
}


def trial(number: int, params: Params, score: float) -> TrialRecord:
    result = RecordedResult("complete", score, metrics={OBJECTIVE.metric: score}, finished=0.0)
    return TrialRecord(number, params, 0, "complete", result=result)


def other_study(pair: Pair, seed: int) -> tuple[TrialRecord, ...]:
    sampler = samplers.make_sampler("random", pair.space, OBJECTIVE, 1000 + seed, ())
    asked = islice(iter(sampler.ask, None), PRIOR_TRIALS)
    return tuple(trial(number, one.params, pair.other(one.params)) for number, one in enumerate(asked))


def run(case: tuple[str, Search, str, int]) -> list[float]:
    """Return the regrets of a study after so many trials."""
    name, search, way, seed = case
    pair, noise = PAIRS[name], random.Random(seed)
    prior = other_study(pair, seed)
    taught = prior if way == "learns from all" else ()
    sampler = samplers.make_sampler(search, pair.space, OBJECTIVE, seed, (), prior=taught)
    if way != "starts anew":
        best = sorted(prior, key=lambda one: -(one.score or 0.0))[: 1 if taught else 5]
        sampler = WarmStartSampler([Candidate(one.params, seed) for one in best], sampler, ())
    scores: list[float] = []
    for number in range(TRIALS):
        candidate = sampler.ask()
        assert candidate is not None
        scores.append(pair.this(candidate.params))
        sampler.tell(trial(number, candidate.params, scores[-1] + noise.gauss(0, pair.noise)))
    return [pair.best - max(scores[:n]) for n in AFTER]


def main() -> None:
    parser = measuring.make_parser(__doc__)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--searches", nargs="+", choices=SEARCHES, default=SEARCHES)
    parser.add_argument("--pairs", nargs="+", choices=PAIRS, default=tuple(PAIRS))
    parser.add_argument("--processes", type=int, default=1)
    options = parser.parse_args()
    print("| pair | search | study |" + "".join(f" after {n} |" for n in AFTER))
    print("|---|---|---|" + "---|" * len(AFTER))
    with ProcessPoolExecutor(options.processes) as pool:
        for name in options.pairs:
            for search in options.searches:
                for way in WAYS:
                    runs = list(pool.map(run, [(name, search, way, seed) for seed in range(options.seeds)]))
                    cells = "".join(f" {_quartiles(each)} |" for each in zip(*runs, strict=True))
                    print(f"| {name} | `{search}` | {way} |{cells}", flush=True)


def _quartiles(values: Sequence[float]) -> str:
    low, middle, high = statistics.quantiles(values, n=4) if len(values) > 1 else [*values] * 3
    return f"{middle:.4f} ({low:.4f} to {high:.4f})"


if __name__ == "__main__":
    main()
