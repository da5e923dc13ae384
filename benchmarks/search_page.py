"""The page and the figure that `search.py` writes."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping
from typing import TypeAlias

from matplotlib.figure import Figure

from tune_jobs.exports.plots import COLOURS, FAINT, styled
from tune_jobs.search import auto, bayesian

Results: TypeAlias = Mapping[str, Mapping[str, list[list[float]]]]  # problem -> search -> regrets of each run

AFTER = (10, 20, 40, 80, 160)
NAMES = ("grid", "random", "qmc", "tpe", "cmaes", "gp")


def figure(results: Results) -> Figure:
    """A panel a problem: the median regret of each search over its trials, with a band between the quarters."""
    with styled():
        drawn = Figure(figsize=(3.9 * len(results), 3.8), layout="constrained")
        panels = drawn.subplots(1, len(results), squeeze=False)[0]
        for axes, (name, searches) in zip(panels, results.items(), strict=True):
            for search, runs in searches.items():
                colour = COLOURS[NAMES.index(search)]
                low, middle, high = zip(*(_quarters(step) for step in zip(*runs, strict=True)), strict=True)
                trials = range(1, len(middle) + 1)
                axes.fill_between(trials, low, high, color=colour, alpha=0.12, linewidth=0)
                axes.plot(trials, middle, color=colour, label=search, linewidth=1.3)
            is_finite = "grid" in searches
            axes.set(title=name, xlabel="trials", yscale="linear" if is_finite else "log")
            if is_finite:
                axes.set_ylim(0, 0.012)
            axes.set_xlim(1, len(middle))
            axes.yaxis.set_major_formatter("{x:g}")
            axes.grid(axis="y", color=FAINT)
            axes.spines[["top", "right"]].set_visible(False)
        panels[0].set_ylabel("regret: distance from the best")
        handles, labels = panels[0].get_legend_handles_labels()
        more, named = panels[-1].get_legend_handles_labels()
        known = dict(zip([*labels, *named], [*handles, *more], strict=True))
        shown = [name for name in NAMES if name in known]
        drawn.legend(
            [known[name] for name in shown], shown, loc="outside lower center", ncols=len(shown), frameon=False
        )
    return drawn


def _quarters(values: tuple[float, ...] | list[float]) -> tuple[float, float, float]:
    """The lower quartile, the median, the upper quartile; of a single value itself."""
    if len(values) == 1:
        return values[0], values[0], values[0]
    low, middle, high = statistics.quantiles(values, n=4)
    return low, middle, high


def page(results: Results, seconds: Mapping[str, float], seeds: int, machine: str) -> str:
    """The page in Markdown; `seconds` are what a proposal took, the median of the runs."""
    numbers = {"few": auto.FEW, "many": auto.MANY, "first": bayesian.FIRST, "known": bayesian.KNOWN}
    return TEXT.format(seeds=seeds, machine=machine, table="\n".join(_table(results, seconds)), **numbers)


def _table(results: Results, seconds: Mapping[str, float]) -> Iterator[str]:
    yield "| problem | search | " + " | ".join(f"{n} trials" for n in AFTER) + " | a proposal |"
    yield "|:--|:--|" + "--:|" * (len(AFTER) + 1)
    for problem, searches in results.items():
        for search, runs in searches.items():
            cells = [_cell([run[n - 1] for run in runs]) if n <= len(runs[0]) else "" for n in AFTER]
            took = 1000 * seconds[search]
            yield f"| {problem} | {search} | " + " | ".join(cells) + f" | {took:.0f} ms |"


def _cell(regrets: list[float]) -> str:
    low, middle, high = _quarters(regrets)
    return f"{middle:.4f}" if len(regrets) == 1 else f"{middle:.4f} ({low:.4f} to {high:.4f})"


TEXT = """\
# Searches

How params are found is said with `--search`; without it, it is `tpe`. Each search is a function of the study's seed
and of the trials so far: killed and continued it proposes what it would have proposed anyway, and never the same
params twice.

| search | what it does | what it needs |
|:--|:--|:--|
| `grid` | every point, in declared order | values that can be counted |
| `random` | independent draws | |
| `qmc` | points of a scrambled Sobol sequence, which leave no large part of the space out | |
| `tpe` | draws from where good trials were dense and poor ones rare (Bergstra et al. 2011, multivariate) | |
| `cmaes` | moves a normal distribution, generation by generation (Hansen and Ostermeier 2001) | numbers, two or more |
| `gp` | models the scores by a Gaussian process and tries what promises most (Snoek et al. 2012) | |
| `auto` | picks one of these by the rules below, and says why | |

## How to choose

`--search auto` takes the first of these that applies, says it in a line, and writes it into the study, which goes on
with it:

1. **`grid`**, if the space has no more configurations than trials are allowed: nothing is left out then, and every
   cell of a table is filled.
2. **`random`** for {few} trials or fewer. `tpe` and `gp` begin with {first} trials that no model has a part in, and
   after so few `qmc` was better on one problem and worse on two.
3. **`tpe`** for several objectives, **`nsga2`** from 100 trials on ([measured](leaderboard.md)).
4. **`gp`** up to {many} trials.
5. **`tpe`** beyond. A Gaussian process takes longer for each proposal, the more trials there are, and looks at
   {known} of them at most.

Two things `auto` cannot know. Where hundreds of trials run at a time, models learn little between one proposal and
the next: take `qmc`. `cmaes` moves the numbers at the top of a space alone; what is chosen among options, and the
numbers under an option, it draws at random. Where these decide, it is a random search. It is the one to try where all
that varies is numbers and there are hundreds of trials.

## What a study begins with

Its first trial is the task's baseline, one of the trials that `--trials` counts. A score says little without it.
`--no-baseline` leaves it out. It is left out with a word if `--set` has left no room for it, and of a grid also if it
has another value of something that the task holds, since a grid has its own points only. Then come the configurations
of `--try`, those of `--seed-from`, and what the search proposes. A study that has trials goes on as it was begun.

## What was measured

Regret is how far the best so far is from the best there is. `fashion-mnist-mlp` replays the 81 trainings of that
task's grid, kept in `docs/studies/images`; `tuning` and `numbers` are functions with conditions, whose best is known:
an optimizer with a learning rate of its own among six to eight parameters, a crooked valley in four numbers with a
switch that opens a fifth. Where a search draws, there are {seeds} seeds; lines are medians, bands and brackets go
from the lower quartile to the upper. One trial at a time, and without the baseline.

![Regret of each search over its trials, on three problems](search.svg)

{table}

Made by `python benchmarks/search.py --seeds {seeds}` on {machine}, which other work
kept busy: a proposal takes less on an idle one. The time is the median over all problems.

A grid's order is that of the declaration, so that what it finds after a part of its points is luck.

What speaks for `gp`: all 20 runs had the best of the 81 trainings after 20 trials, and 11 of `tpe`'s after 40; on
`numbers` it is ahead from 40 trials on. What speaks against it: on `tuning` 9 of the 20 were 0.02 away or more after
160 trials, and after 80 `tpe` was ahead. `tpe` in its turn was 0.05 away on `numbers` in 12 of 20, which is what the
switch is worth. Where much depends on the answer, run both: `--study NAME` begins another study, and `--seed-from`
hands one's best to the other.
"""
