"""Measure how near each scheduler comes to a whole grid's best score, with a share of the grid's epochs.

    python benchmarks/early_stopping.py docs/studies/images/fashion-mnist-mlp.study --share 0.15

It replays recorded learning curves; nothing is trained. Trials run as in a study: `--at-once` of them side by side, one
epoch of each in turn. The search learns of each trial that ends, and the scheduler judges at its milestones. No trial
begins once the budget of epochs is spent. The table has the distance between the best trial that ran in full and the
grid's best (its median, its largest, and the share of seeds below `--within`), the epochs that were trained in all, and
the number of trials.
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field
from pathlib import Path

import measuring  # (it puts this checkout on the path)

from tune_jobs.records.studies import Budget, SchedulerName, Scheduling, Search, StudyRecord
from tune_jobs.records.trials import RecordedResult, TrialRecord
from tune_jobs.search import budgets, samplers, schedulers
from tune_jobs.search_spaces import Objective, params_id
from tune_jobs.search_spaces.one_factor import space_from_json
from tune_jobs.study import file

SEARCHES: tuple[Search, ...] = ("random", "tpe")
SCHEDULERS: tuple[SchedulerName, ...] = ("none", "median", "hyperband", "asha")


@dataclass
class ActiveTrial:
    """A trial that runs: its record in the grid, and the objective after each epoch replayed so far."""

    number: int
    recorded: TrialRecord
    scores: list[float] = field(default_factory=list)

    @property
    def is_complete(self) -> bool:
        return len(self.scores) == len(self.recorded.history)


@dataclass(frozen=True)
class Replay:
    """How to run a recorded grid again: with which search and scheduler, how many epochs in all, how many at once."""

    record: StudyRecord
    search: Search
    scheduling: Scheduling
    budget: int
    at_once: int

    def trials(self, seed: int) -> list[TrialRecord]:
        """Return the trials that a study with these settings has, in the order in which they end."""
        terms = self.record.terms
        sampler = budgets.BudgetedSampler(
            samplers.make_sampler(self.search, space_from_json(terms.space), terms.objective, seed, ()),
            Budget(self.budget),
            terms.objective,
            (),
        )
        scheduler = schedulers.make_scheduler(self.scheduling, terms.objective, terms.protocol, ())
        recorded = {trial.params_id: trial for trial in self.record.searched}
        active: list[ActiveTrial] = []
        ended: list[TrialRecord] = []
        while True:
            while len(active) < self.at_once and (candidate := sampler.ask()) is not None:
                active.append(ActiveTrial(len(ended) + len(active), recorded[params_id(candidate.params)]))
            if not active:
                return ended
            for running in list(active):
                running.scores.append(running.recorded.history[len(running.scores)][terms.objective.metric])
                if running.is_complete or _should_stop(scheduler, running):
                    active.remove(running)
                    ended.append(_ended(running, terms.objective, seed, finished=float(len(ended))))
                    sampler.tell(ended[-1])
                    if scheduler is not None:
                        scheduler.tell(ended[-1])


def _should_stop(scheduler: schedulers.Scheduler | None, trial: ActiveTrial) -> bool:
    if scheduler is None or len(trial.scores) not in scheduler.milestones(trial.number):
        return False
    return scheduler.should_stop(trial.number, trial.scores)


def _ended(trial: ActiveTrial, objective: Objective, seed: int, finished: float) -> TrialRecord:
    result = RecordedResult(
        "complete" if trial.is_complete else "stopped",
        objective.best(trial.scores),
        history=trial.recorded.history[: len(trial.scores)],
        finished=finished,
    )
    return TrialRecord(trial.number, trial.recorded.params, seed, result.state, result=result)


def main() -> None:
    parser = measuring.make_parser(__doc__)
    parser.add_argument("study", type=Path, help="a study file whose whole grid is complete")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--share", type=float, default=0.15, help="of the grid's epochs (default: 0.15)")
    parser.add_argument("--within", type=float, default=0.005, help="share of the grid's best score (default: 0.005)")
    parser.add_argument("--at-once", type=int, default=2, help="trials that run side by side (default: 2)")
    parser.add_argument("--eta", type=int, default=3)
    options = parser.parse_args()
    record = file.read(options.study).record
    size = space_from_json(record.terms.space).size
    if size is None or len(record.searched) < size or any(trial.state != "complete" for trial in record.searched):
        raise SystemExit(f"study {record.name!r} needs its whole grid complete")
    objective = record.terms.objective
    best = objective.best(trial.score for trial in record.searched if trial.score is not None)
    grid_epochs = sum(len(trial.history) for trial in record.searched)
    budget = int(grid_epochs * options.share)
    print(
        f"{record.name}: {size} configurations, best {objective.metric} {best:.4f}, {grid_epochs} epochs; "
        f"budget {budget}"
    )
    print(f"\n{'':18}{'median':>9}{'worst':>9}{'within':>9}{'epochs':>9}{'trials':>9}{'in full':>9}")
    for search in SEARCHES:
        for name in SCHEDULERS:
            replay = Replay(record, search, Scheduling(name, 1, options.eta), budget, options.at_once)
            runs = [replay.trials(seed) for seed in range(options.seeds)]
            print(f"{search + ' + ' + name:18}{_cells(runs, best, options.within * abs(best))}", flush=True)


def _cells(runs: list[list[TrialRecord]], best: float, within: float) -> str:
    gaps = [_gap(trials, best) for trials in runs]
    return (
        f"{statistics.median(gaps):9.4f}{max(gaps):9.4f}"
        f"{statistics.mean(gap <= within for gap in gaps):9.0%}"
        f"{max(sum(len(trial.history) for trial in trials) for trials in runs):9}"
        f"{statistics.median(len(trials) for trials in runs):9.0f}"
        f"{statistics.median(sum(trial.state == 'complete' for trial in trials) for trials in runs):9.0f}"
    )


def _gap(trials: list[TrialRecord], best: float) -> float:
    """Return the distance between the best complete trial and the best score of the grid."""
    scores = [trial.score for trial in trials if trial.state == "complete" and trial.score is not None]
    return min((abs(best - score) for score in scores), default=float("inf"))


if __name__ == "__main__":
    main()
