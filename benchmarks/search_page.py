"""Make the page and the figure that `search.py` writes."""

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
    """Return a figure with a panel for each problem: the median regret of each search, in a band of its quartiles."""
    with styled():
        drawing = Figure(figsize=(3.9 * len(results), 3.8), layout="constrained")
        panels = drawing.subplots(1, len(results), squeeze=False)[0]
        for axes, (name, searches) in zip(panels, results.items(), strict=True):
            for search, runs in searches.items():
                colour = COLOURS[NAMES.index(search)]
                low, middle, high = zip(*(_quartiles(step) for step in zip(*runs, strict=True)), strict=True)
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
        last_handles, last_labels = panels[-1].get_legend_handles_labels()
        handle_of = dict(zip([*labels, *last_labels], [*handles, *last_handles], strict=True))
        shown = [name for name in NAMES if name in handle_of]
        drawing.legend(
            [handle_of[name] for name in shown], shown, loc="outside lower center", ncols=len(shown), frameon=False
        )
    return drawing


def _quartiles(values: tuple[float, ...] | list[float]) -> tuple[float, float, float]:
    """Return the lower quartile, the median and the upper quartile; of a single value, itself three times."""
    if len(values) == 1:
        return values[0], values[0], values[0]
    low, middle, high = statistics.quantiles(values, n=4)
    return low, middle, high


def page(results: Results, seconds: Mapping[str, float], seeds: int, machine: str) -> str:
    """Return the page in Markdown; `seconds` has the time of a proposal by each search, the median of the runs."""
    numbers = {
        "few": auto.RANDOM_UP_TO,
        "many": auto.GP_UP_TO,
        "first": bayesian.N_INITIAL,
        "known": bayesian.MAX_MODELLED,
    }
    return TEXT.format(seeds=seeds, machine=machine, table="\n".join(_table(results, seconds)), **numbers)


def _table(results: Results, seconds: Mapping[str, float]) -> Iterator[str]:
    yield "| problem | search | " + " | ".join(f"{n} trials" for n in AFTER) + " | a proposal |"
    yield "|:--|:--|" + "--:|" * (len(AFTER) + 1)
    for problem, searches in results.items():
        for search, runs in searches.items():
            cells = [_cell([run[n - 1] for run in runs]) if n <= len(runs[0]) else "" for n in AFTER]
            milliseconds = 1000 * seconds[search]
            yield f"| {problem} | {search} | " + " | ".join(cells) + f" | {milliseconds:.0f} ms |"


def _cell(regrets: list[float]) -> str:
    low, middle, high = _quartiles(regrets)
    return f"{middle:.4f}" if len(regrets) == 1 else f"{middle:.4f} ({low:.4f} to {high:.4f})"


TEXT = """\
# Searches

`--search` names the algorithm that proposes params; the default is `tpe`. Each search is a function of the study's seed
and of the trials so far. A study that is killed and continued proposes what it would have proposed anyway, and never
the same params twice.

| search | what it does | what it needs |
|:--|:--|:--|
| `grid` | every point, in declared order | values that can be counted |
| `random` | independent draws | |
| `qmc` | points of a scrambled Sobol sequence, which leave no large part of the space out | |
| `tpe` | draws from where good trials were dense and poor ones rare (Bergstra et al. 2011, multivariate) | |
| `cmaes` | moves a normal distribution, generation by generation (Hansen and Ostermeier 2001) | numbers, two or more |
| `gp` | models the scores by a Gaussian process and tries the most promising point (Snoek et al. 2012) | |
| `nsga2` | breeds the best front ([several objectives](several_objectives.md)) | two or more objectives |
| `auto` | picks one of these by the rules below, and says why | |

## How to choose

`--search auto` takes the first of these that applies, says so in one line, and records it in the study, which continues
with it:

1. **`grid`**, if the space has no more configurations than trials are allowed. Then nothing is left out, and every cell
   of a table is filled.
2. **`random`** for {few} trials or fewer. `tpe` and `gp` begin with {first} trials without a model. After so few
   trials `qmc` was better on one problem and worse on two.
3. **`tpe`** for several objectives, **`nsga2`** from 100 trials on ([measured](several_objectives.md)).
4. **`gp`** up to {many} trials.
5. **`tpe`** beyond. A Gaussian process takes longer for each proposal, the more trials there are, and uses at most
   {known} of them.

`auto` cannot know two things:

* If hundreds of trials run at a time, models learn little between one proposal and the next. Use `qmc`.
* `cmaes` moves only the numbers at the top of a space. It draws at random which option is taken, and the numbers under
  an option. If these decide, it is a random search. Try it if all that varies is numbers and there are hundreds of
  trials.

## What a study begins with

The first trial of a study is the task's baseline, without which a score says little. It is one of the trials that
`--trials` counts. `--no-baseline` leaves it out. It is also left out, with a message, if `--set` has left no room for
it. A grid has its own points only, so there it is left out, too, if it has another value of something that the task
holds. Then come the configurations of `--try`, those of `--seed-from-best`, and what the search proposes, which may
know [another study](growing.md#another-study). A study that has trials continues as it was begun.

## What was measured

Regret is the distance of the best score so far from the best possible one. There are three problems:

* `fashion-mnist-mlp` replays the 81 trainings of that task's grid, which are kept in `docs/studies/images`.
* `tuning` is a function with conditions whose best value is known: an optimizer with a learning rate of its own, among
  six to eight parameters.
* `numbers` is another: a crooked valley in four numbers, with a switch that opens a fifth.

A search that draws has {seeds} seeds. Lines are medians; bands and brackets go from the lower quartile to the upper.
Trials run one at a time, without the baseline.

![Regret of each search over its trials, on three problems](search.svg)

{table}

Made by `python benchmarks/search.py --seeds {seeds}` on {machine}, which other work
kept busy: a proposal takes less time on an idle machine. The time is the median over all problems.

A grid goes in the order of its declaration, so what it finds after a part of its points is luck.

For `gp`: all 20 runs had the best of the 81 trainings after 20 trials, where 11 of `tpe`'s runs had it after 40. On
`numbers` it is ahead from 40 trials on. Against `gp`: on `tuning` 9 of the 20 runs were 0.02 away or more after 160
trials, and after 80 `tpe` was ahead. `tpe` was 0.05 away on `numbers` in 12 of 20 runs, which is what the switch is
worth. If much depends on the answer, run both: `--study NAME` begins another study, and `--seed-from` lets it learn
from the first.
"""
