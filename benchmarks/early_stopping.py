"""How near each scheduler comes to a whole grid's best within a share of its epochs: a replay, nothing is trained.

    python benchmarks/early_stopping.py docs/studies/images/fashion-mnist-mlp.study --share 0.15

The recorded learning curve of each configuration is run as a study would run it: `--at-once` trials side by side, an
epoch of each in turn, the search told of each that ends, the scheduler asked at its milestones; no trial begins once
the budget of epochs is spent. Printed is how far the best trial that ran in full is behind the grid's best, as the
median, the worst and the share of seeds within `--within`; the epochs that were trained in all; and how many trials.
"""

from __future__ import annotations

import argparse
import statistics
from dataclasses import dataclass, field
from pathlib import Path

from tune_jobs.records.studies import Budget, SchedulerName, Scheduling, Search, StudyRecord
from tune_jobs.records.trials import RecordedResult, TrialRecord
from tune_jobs.search import budgets, samplers, schedulers
from tune_jobs.search_spaces import params_id
from tune_jobs.search_spaces.one_factor import space_from_json
from tune_jobs.study import file

SEARCHES: tuple[Search, ...] = ("random", "tpe")
SCHEDULERS: tuple[SchedulerName, ...] = ("none", "median", "hyperband", "asha")


@dataclass
class Going:
    """A trial under way: what is recorded of it, and how many of its epochs were trained."""

    number: int
    recorded: TrialRecord
    scores: list[float] = field(default_factory=list)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("study", type=Path, help="a study file whose whole grid is complete")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--share", type=float, default=0.15, help="of the grid's epochs")
    parser.add_argument("--within", type=float, default=0.005, help="of the grid's best, as a part of it")
    parser.add_argument("--at-once", type=int, default=2)
    parser.add_argument("--eta", type=int, default=3)
    options = parser.parse_args()
    record = file.read(options.study).record
    size = space_from_json(record.terms.space).size
    if size is None or len(record.searched) < size or any(trial.state != "complete" for trial in record.searched):
        raise SystemExit(f"study {record.name!r} needs its whole grid complete")
    objective = record.terms.objective
    best = objective.best(trial.score for trial in record.searched if trial.score is not None)
    whole = sum(len(trial.history) for trial in record.searched)
    budget = int(whole * options.share)
    print(f"{record.name}: {size} configurations, best {objective.metric} {best:.4f}, {whole} epochs; budget {budget}")
    print(f"\n{'':18}{'median':>9}{'worst':>9}{'within':>9}{'epochs':>9}{'trials':>9}{'in full':>9}")
    for search in SEARCHES:
        for name in SCHEDULERS:
            schedule = Scheduling(name, 1, options.eta)
            runs = [replayed(record, search, schedule, budget, seed, options.at_once) for seed in range(options.seeds)]
            gaps = [_gap(trials, best) for trials in runs]
            print(
                f"{search + ' + ' + name:18}{statistics.median(gaps):9.4f}{max(gaps):9.4f}"
                f"{statistics.mean(gap <= options.within * abs(best) for gap in gaps):9.0%}"
                f"{max(sum(len(trial.history) for trial in trials) for trials in runs):9}"
                f"{statistics.median(len(trials) for trials in runs):9.0f}"
                f"{statistics.median(sum(t.state == 'complete' for t in trials) for trials in runs):9.0f}"
            )


def _gap(trials: list[TrialRecord], best: float) -> float:
    scores = [trial.score for trial in trials if trial.state == "complete" and trial.score is not None]
    return min((abs(best - score) for score in scores), default=float("inf"))


def replayed(
    record: StudyRecord, search: Search, schedule: Scheduling, budget: int, seed: int, at_once: int
) -> list[TrialRecord]:
    """The trials of a study that meets the recorded curves, in the order they ended."""
    space, objective = space_from_json(record.terms.space), record.terms.objective
    known = {trial.params_id: trial for trial in record.searched}
    epochs = record.terms.protocol.epochs
    sampler = budgets.BudgetedSampler(
        samplers.make_sampler(search, space, objective, seed, ()), Budget(budget), objective, ()
    )
    judge = schedulers.make_scheduler(schedule, objective, epochs, ())
    going: list[Going] = []
    ended: list[TrialRecord] = []
    number = 0
    while True:
        while len(going) < at_once and (candidate := sampler.ask()) is not None:
            going.append(Going(number, known[params_id(candidate.params)]))
            number += 1
        if not going:
            return ended
        for one in list(going):
            one.scores.append(one.recorded.history[len(one.scores)][objective.metric])
            is_whole = len(one.scores) == len(one.recorded.history)
            is_judged = judge is not None and len(one.scores) in judge.milestones(one.number)
            if not is_whole and not (is_judged and judge is not None and judge.should_stop(one.number, one.scores)):
                continue
            going.remove(one)
            result = RecordedResult(
                "complete" if is_whole else "stopped",
                objective.best(one.scores),
                history=one.recorded.history[: len(one.scores)],
                finished=float(len(ended)),
            )
            trial = TrialRecord(one.number, one.recorded.params, seed, result.state, result=result)
            ended.append(trial)
            sampler.tell(trial)
            if judge is not None:
                judge.tell(trial)


if __name__ == "__main__":
    main()
