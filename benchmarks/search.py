"""Measure the regret of each search over its trials, on three problems whose best score is known.

    python benchmarks/search.py --seeds 20 --runs runs.json

Nothing is trained. Regret is the distance from the best possible score. `fashion-mnist-mlp` replays the recorded grid
of 81 trainings in docs/studies. `tuning` behaves like a network's hyperparameters: an optimizer with a learning rate of
its own, depth, width, dropout. `numbers` is a crooked valley in four numbers, with a switch that opens a fifth. In
these two, searches learn scores with a little noise, such as seeds make; regret is of the score without noise. Each
search proposes one trial after another.

It writes docs/search.md and docs/search.svg. Runs that are in the file of --runs already are not repeated.
"""

from __future__ import annotations

import json
import math
import random
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import measuring  # (it puts this checkout on the path)
from search_page import figure, page

from tune_jobs.exports.plots import save
from tune_jobs.records.studies import Search
from tune_jobs.records.trials import RecordedResult, TrialRecord
from tune_jobs.reproduction.images import this_machine
from tune_jobs.search import samplers
from tune_jobs.search_spaces import Choice, Float, Int, Objective, Params, Space, SpaceError, Variants, params_id
from tune_jobs.search_spaces.one_factor import AnySpace, space_from_json
from tune_jobs.study import file

SEARCHES: tuple[Search, ...] = ("grid", "random", "qmc", "tpe", "cmaes", "gp")
DOCS = measuring.ROOT / "docs"
RECORDED = DOCS / "studies" / "images" / "fashion-mnist-mlp.study"
TRIALS = 160  # at most; a finite problem may have fewer
NOISE = 0.003  # standard deviation between seeds
OBJECTIVE = Objective("val_score", "maximize")
LEARNING_RATE = Float(1e-5, 1.0, log=True)


@dataclass(frozen=True)
class Problem:
    """A space, the scores of its points without noise, and the best possible score."""

    space: AnySpace
    score: Callable[[Params], float]
    best: float = 1.0
    noise: float = NOISE

    @property
    def trials(self) -> int:
        return min(self.space.size or TRIALS, TRIALS)

    @property
    def searches(self) -> Iterator[Search]:
        """The searches that suit the space."""
        for search in SEARCHES:
            try:
                samplers.check_search(search, self.space)
            except SpaceError:
                continue
            yield search


def recorded() -> Problem:
    """Return the problem of the 81 perceptrons of report A, with their recorded scores."""
    record = file.read(RECORDED).record
    scores = {trial.params_id: trial.score for trial in record.searched if trial.score is not None}
    space = space_from_json(record.terms.space)
    assert len(scores) == space.size
    return Problem(space, lambda params: scores[params_id(params)], max(scores.values()), noise=0.0)


def tuning(params: Params) -> float:
    """Return a score that is best for adam at 1e-3, three layers of 128 units, and a dropout of 0.3."""
    best_rate, ceiling = {"sgd": (1e-1, 0.97), "adam": (1e-3, 1.0), "rmsprop": (5e-4, 0.98)}[str(params["optimizer"])]
    off = math.log10(_number(params, "learning_rate") / best_rate)
    score = ceiling - 0.08 * off**2
    if params["optimizer"] == "sgd":
        score -= 0.1 * (_number(params, "momentum") - 0.9) ** 2
    score -= 0.02 * abs(_number(params, "layers") - 3)
    score -= 0.015 * abs(math.log2(_number(params, "units") / 128))
    return score - (0.03 if params["dropout"] == "without" else 0.4 * (_number(params, "dropout_rate") - 0.3) ** 2)


def numbers(params: Params) -> float:
    """Return a score that is best at 0.7 in x and y, 0.3 in z and w, with the switch on and the fifth number at 0.5."""
    x, y, z, w = (_number(params, name) for name in "xyzw")
    valley = (x - 0.7) ** 2 + 4 * ((y - 0.7) - (x - 0.7) * (1 + x - 0.7)) ** 2
    score = 1 - valley - (z - 0.3) ** 2 - 0.5 * (w - 0.3) ** 2 - (z - 0.3) * (w - 0.3)
    return score - (0.05 if params["switch"] == "off" else 0.2 * (_number(params, "fifth") - 0.5) ** 2)


def _number(params: Params, name: str) -> float:
    value = params[name]
    assert isinstance(value, int | float)
    return float(value)


PROBLEMS: Mapping[str, Problem] = {
    "fashion-mnist-mlp": recorded(),
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


Run = tuple[str, Search, int]


@dataclass(frozen=True)
class Outcome:
    """The regret after each trial of one run, and the seconds that a proposal took."""

    regrets: list[float]
    seconds: float


def main() -> None:
    parser = measuring.make_parser(__doc__)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--jobs", type=int, default=2, help="processes at a time")
    parser.add_argument("--runs", type=Path, help="a JSON file that keeps the outcome of each run")
    options = parser.parse_args()
    runs = [
        (name, search, seed)
        for name, problem in PROBLEMS.items()
        for search in problem.searches
        for seed in range(1 if search == "grid" else options.seeds)
    ]
    outcomes = json.loads(options.runs.read_text()) if options.runs and options.runs.exists() else {}
    missing = [run for run in runs if _key(run) not in outcomes]
    with ProcessPoolExecutor(options.jobs) as pool:
        for run, outcome in zip(missing, pool.map(_run, missing), strict=True):
            outcomes[_key(run)] = vars(outcome)
            print(
                f"{_key(run)}: regret {outcome.regrets[-1]:.4f}, {1000 * outcome.seconds:.0f} ms a proposal", flush=True
            )
            if options.runs:
                options.runs.write_text(json.dumps(outcomes))
    results: dict[str, dict[str, list[list[float]]]] = {}
    seconds: dict[str, list[float]] = {}
    for run in runs:
        name, search, _ = run
        results.setdefault(name, {}).setdefault(search, []).append(outcomes[_key(run)]["regrets"])
        seconds.setdefault(search, []).append(outcomes[_key(run)]["seconds"])
    save(figure(results), DOCS / "search.svg")
    typical = {search: statistics.median(each) for search, each in seconds.items()}
    (DOCS / "search.md").write_text(page(results, typical, options.seeds, this_machine()), encoding="utf-8")


def _key(run: Run) -> str:
    return " ".join(map(str, run))


def _run(run: Run) -> Outcome:
    name, search, seed = run
    problem = PROBLEMS[name]
    sampler = samplers.make_sampler(search, problem.space, OBJECTIVE, seed, ())
    noise = random.Random(seed)
    best, regrets, seconds = -math.inf, [], 0.0
    for number in range(problem.trials):
        started = time.perf_counter()
        candidate = sampler.ask()
        seconds += time.perf_counter() - started
        assert candidate is not None
        score = problem.score(candidate.params)
        noisy = score + noise.gauss(0.0, problem.noise)
        result = RecordedResult("complete", noisy, finished=0.0)
        sampler.tell(TrialRecord(number, candidate.params, seed, "complete", result=result))
        best = max(best, score)
        regrets.append(problem.best - best)
    return Outcome(regrets, seconds / problem.trials)


if __name__ == "__main__":
    main()
