"""Measure how soon grid, random search and TPE find the best configuration of a whole grid.

    tune-jobs launch fashion-mnist-mlp --search grid
    python benchmarks/replay.py fashion-mnist-mlp --runs 100

It replays recorded scores; nothing is trained. Each search runs as in a study, one trial at a time, and learns the
score that the grid recorded. The first table has the distance of the best score so far from the grid's best, as the
median over the runs. The second has the share of runs that found the grid's best itself.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from pathlib import Path

import measuring  # (it puts this checkout on the path)

from tune_jobs.records.studies import Search, StudyRecord
from tune_jobs.records.trials import RecordedResult, TrialRecord
from tune_jobs.search import samplers
from tune_jobs.search_spaces import params_id
from tune_jobs.search_spaces.one_factor import AnySpace, space_from_json
from tune_jobs.settings import Settings
from tune_jobs.study.study import Study

AFTER = (5, 10, 20, 30, 40, 60)


def main() -> None:
    parser = measuring.make_parser(__doc__)
    parser.add_argument("study", help="a study whose whole grid is complete")
    parser.add_argument("--runs", type=int, default=100, help="of each search that draws")
    parser.add_argument("--home", type=Path)
    options = parser.parse_args()
    record = Study.open(options.study, Settings.read(options.home)).record()
    scores = {trial.params_id: trial.score for trial in record.searched if trial.score is not None}
    space = space_from_json(record.terms.space)
    missing = (space.size or 0) - len(scores)
    if space.size is None or missing:
        raise SystemExit(f"study {record.name!r} needs its whole grid complete; {missing} configurations have no score")
    best = record.terms.objective.best(scores.values())
    print(f"{record.name}: {len(scores)} configurations, best {record.terms.objective.metric} {best:.4f}")
    print(f"\n{'median distance from the best':32}" + "".join(f"{n:>10}" for n in AFTER) + "  trials")
    curves = {search: _curves(search, space, record, scores, options.runs) for search in ("grid", "random", "tpe")}
    for search, runs in curves.items():
        print(
            f"{search:32}"
            + "".join(f"{statistics.median(abs(best - run[n - 1]) for run in runs):10.4f}" for n in AFTER)
        )
    print(f"\n{'share of runs with the best':32}" + "".join(f"{n:>10}" for n in AFTER) + "  trials")
    for search, runs in curves.items():
        print(f"{search:32}" + "".join(f"{statistics.mean(run[n - 1] == best for run in runs):10.0%}" for n in AFTER))


def _curves(
    search: Search, space: AnySpace, record: StudyRecord, scores: Mapping[str, float], runs: int
) -> list[list[float]]:
    """Return the best score after each trial, for each run; a grid has one run only."""
    return [_run(search, space, record, scores, seed) for seed in range(1 if search == "grid" else runs)]


def _run(search: Search, space: AnySpace, record: StudyRecord, scores: Mapping[str, float], seed: int) -> list[float]:
    objective = record.terms.objective
    sampler = samplers.make_sampler(search, space, objective, seed, ())
    best: list[float] = []
    while len(best) < min(len(scores), max(AFTER)) and (candidate := sampler.ask()) is not None:
        score = scores[params_id(candidate.params)]
        result = RecordedResult("complete", score, finished=0.0)
        sampler.tell(TrialRecord(len(best), candidate.params, seed, "complete", result=result))
        best.append(objective.best([*best[-1:], score]))
    return best


if __name__ == "__main__":
    main()
