"""The figures of a report, as Plotly reads them: Optuna's history, slices, contours and front, and importances.

Optuna's figures lose their titles and colours of paper and ink, which the page sets, so that they fit light and dark.
"""

from __future__ import annotations

import copy
import itertools
import json
import math
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from optuna import visualization
from optuna.trial import TrialState

from tune_jobs.exports import numbers
from tune_jobs.leaderboard.ranking import Row
from tune_jobs.records import objectives
from tune_jobs.search_spaces.protocol import Objective
from tune_jobs.study.optuna_view import OptunaTrial, Snapshot
from tune_jobs.study_report import trials as chosen
from tune_jobs.study_report.importances import Assessment
from tune_jobs.words import printable

BLUE, ORANGE, RED, GREEN, GREY = "#3b82c4", "#d98324", "#c9444d", "#2f9e78", "#8b95a1"
_MOST_SLICES = 24  # params
_MOST_PAIRED = 6  # params, of which each two have a contour
_STEPS = 24  # of a contour's axis with more values than that
_MOST_OBJECTIVES = 3  # that a front is drawn of
_LONG = 100  # times the least value is the largest one: such an axis is logarithmic

ABOVE = {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"}  # where a legend is

Plot = dict[str, Any]  # `data` and `layout`, as Plotly's script takes them


@dataclass(frozen=True)
class Figure:
    """A plot with its name in menus, and what it shows in a sentence, for those who cannot see it."""

    name: str
    alt: str
    plot: Plot
    height: int = 420  # pixels
    width: int = 0  # at least; on a narrower screen the figure scrolls


def histories(snapshot: Snapshot) -> Iterator[Figure]:
    """Yield the values of the trials in the order they began, a figure for each objective."""
    trials, terms = chosen.searched(snapshot), snapshot.record.terms
    study = snapshot.study(_with_gaps(snapshot, trials))
    for index, objective in enumerate(terms.objectives if trials else ()):
        target = None if not terms.further_objectives else _value_of(index)
        figure = _quiet(visualization.plot_optimization_history, study, target=target, target_name=objective.metric)
        plot = _plain(figure)
        _set_axes(plot, "trial", _title(objective))
        for trace in plot["data"]:
            trace["marker"] = {"size": 5, "color": GREY} if trace.get("mode") == "markers" else {"color": BLUE}
        values = [float(trial.values[index]) for trial in trials]
        plot["layout"]["yaxis"] |= scale(values) or view(values, objective)
        plot["layout"]["legend"] = ABOVE
        yield Figure(objective.metric, _history_alt(trials, objective, index), plot)


def _with_gaps(snapshot: Snapshot, trials: Sequence[OptunaTrial]) -> list[OptunaTrial]:
    """Return every trial of the study, those that are not among `trials` as failed: Optuna finds values by number."""
    shown = {trial.number for trial in trials}
    return [trial if trial.number in shown else _failed(trial) for trial in snapshot.trials]


def _failed(trial: OptunaTrial) -> OptunaTrial:
    trial = copy.copy(trial)
    trial.state, trial.values = TrialState.FAIL, None
    return trial


def _history_alt(trials: Sequence[OptunaTrial], objective: Objective, index: int) -> str:
    values = [float(trial.values[index]) for trial in trials]
    best = objective.best(values)
    number = trials[values.index(best)].number
    return f"{objective.metric} of {len(trials)} configurations in their order; the best, {best:.4g}, is trial {number}"


def importances(assessments: Sequence[Assessment]) -> Iterator[Figure]:
    """Yield a figure for each group of trials, with a bar for each param and method."""
    for name, group in itertools.groupby(assessments, key=lambda each: (each.group, each.n_group)):
        methods = list(group)
        names = [importance.name for importance in methods[0].importances]
        data = [_bars(assessment) for assessment in methods]
        layout = {
            "xaxis": {"tickformat": ".0%", "rangemode": "tozero", "nticks": 4, "tickangle": 0},
            "yaxis": {"categoryorder": "array", "categoryarray": names[::-1], "automargin": True},
            "barmode": "group",
            "legend": ABOVE | {"traceorder": "reversed"},
            "showlegend": True,
        }
        alt = "; ".join(_importances_alt(assessment) for assessment in methods)
        height = 130 + (16 + 14 * len(data)) * len(names)
        yield Figure(f"{name[0]} ({name[1]})", alt, {"data": data, "layout": layout}, height)


def _bars(assessment: Assessment) -> dict[str, Any]:
    known = assessment.importances
    below = [min(each.spread, each.share) for each in known]  # a share is not below 0
    whiskers = {"type": "data", "array": [each.spread for each in known], "arrayminus": below, "symmetric": False}
    return {
        "type": "bar",
        "orientation": "h",
        "name": f"{assessment.method}, {assessment.of}",
        "x": [each.share for each in known],
        "y": [printable(each.name) for each in known],
        "error_x": whiskers | {"color": GREY, "thickness": 1.2},
        "marker": {"color": BLUE if assessment.method == "fANOVA" else ORANGE},
        "hovertemplate": "%{y}: %{x:.1%}<extra>" + assessment.method + "</extra>",
    }


def _importances_alt(assessment: Assessment) -> str:
    first = ", ".join(f"{each.name} {each.share:.0%}" for each in assessment.importances[:3])
    return f"{assessment.method}: {first}"


def slices(snapshot: Snapshot) -> Iterator[Figure]:
    """Yield the first objective over each param that varies."""
    trials, objective = chosen.searched(snapshot), snapshot.record.terms.objective
    study = snapshot.study(trials)
    for name in chosen.varied(trials)[:_MOST_SLICES]:
        figure = _quiet(visualization.plot_slice, study, [name], target=_value_of(0), target_name=objective.metric)
        plot = _plain(figure)
        _set_axes(plot, name, _title(objective))
        for trace in plot["data"]:
            trace["marker"] = (trace.get("marker") or {}) | {"size": 7, "line": {"width": 0.6, "color": GREY}}
            trace["marker"]["colorbar"] = colour_bar("trial")
            trace["marker"] |= {"colorscale": [[0, BLUE], [1, ORANGE]], "reversescale": False}  # seen on light and dark
        plot["layout"]["yaxis"] |= view([float(trial.values[0]) for trial in trials], objective)
        _unquote(plot)
        n = sum(name in trial.params for trial in trials)
        yield Figure(name, f"{objective.metric} over {name}, {n} configurations", plot, 340)


def contours(snapshot: Snapshot, assessments: Sequence[Assessment]) -> Iterator[Figure]:
    """Yield the first objective over each two of the params that matter most, as far as they occur together.

    An axis with many values is cut into steps; a field of the plane then has the best of its trials.
    """
    trials, objective = chosen.searched(snapshot), snapshot.record.terms.objective
    low, high = view([float(trial.values[0]) for trial in trials], objective).get("range", (None, None))
    for pair in itertools.combinations(_foremost(trials, assessments), 2):
        together = [trial for trial in trials if set(pair) <= trial.params.keys()]
        if not set(pair) <= set(chosen.varied(together)):
            continue
        study = snapshot.study(_in_steps(together, pair, objective))
        plot = _plain(_quiet(visualization.plot_contour, study, list(pair), **_target(snapshot)))
        for trace in plot["data"]:
            if trace["type"] == "contour":
                trace["reversescale"] = objective.direction == "minimize"
                trace |= {"colorbar": colour_bar(objective.metric), "hoverinfo": "x+y+z"}
                trace |= {"zmin": low, "zmax": high, "zauto": low is None}
            else:
                trace["marker"] = {"size": 4, "color": "rgba(30,30,30,.55)", "line": {"width": 0}}
        _set_axes(plot, *(plot["layout"][axis]["title"]["text"] for axis in ("xaxis", "yaxis")))
        alt = f"{objective.metric} over {' and '.join(pair)}, {len(together)} configurations"
        yield Figure(" × ".join(pair), alt, plot)


def _target(snapshot: Snapshot) -> dict[str, Any]:
    """Return the arguments by which a plot is of the first of several objectives."""
    terms = snapshot.record.terms
    if not terms.further_objectives:
        return {"target_name": terms.objective.metric}
    return {"target": _value_of(0), "target_name": terms.objective.metric}


def _foremost(trials: Sequence[OptunaTrial], assessments: Sequence[Assessment]) -> tuple[str, ...]:
    """Return the params of the largest importance in any assessment; the first ones where none is known."""
    shares: dict[str, float] = {}
    for assessment in assessments:
        for each in assessment.importances:
            shares[each.name] = max(each.share, shares.get(each.name, 0.0))
    names = sorted(chosen.varied(trials), key=lambda name: -shares.get(name, 0.0))
    return tuple(names[:_MOST_PAIRED])


def _in_steps(trials: Sequence[OptunaTrial], names: Sequence[str], objective: Objective) -> list[OptunaTrial]:
    """Return the trials with long axes cut into steps, of those that fall together the best."""
    scales = {name: _steps([trial.params[name] for trial in trials]) for name in names}
    best: dict[tuple[object, ...], OptunaTrial] = {}
    for trial in trials:
        moved = copy.copy(trial)
        moved.params = trial.params | {name: scales[name].get(trial.params[name], trial.params[name]) for name in names}
        place = tuple(moved.params[name] for name in names)
        if place not in best or objective.is_better(moved.values[0], best[place].values[0]):
            best[place] = moved
    return list(best.values())


def _steps(values: Sequence[Any]) -> Mapping[Any, Any]:
    """Return where each number goes on an axis of `_STEPS`; nothing for texts, and for few numbers."""
    distinct = set(values)
    are_numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in distinct)
    if not are_numbers or len(distinct) <= _STEPS:
        return {}
    low, high = min(distinct), max(distinct)
    is_log = low > 0 and high / low > _LONG
    to_place, to_value = (math.log, math.exp) if is_log else (float, float)
    first, step = to_place(low), (to_place(high) - to_place(low)) / (_STEPS - 1)
    return {value: to_value(first + step * round((to_place(value) - first) / step)) for value in distinct}


def fronts(snapshot: Snapshot, rows: Sequence[Row]) -> Iterator[Figure]:
    """Yield the plane, or the space, of two or three objectives with the front of the leaderboard."""
    targets = snapshot.record.terms.objectives
    shown = [row for row in rows if row.is_result and None not in row.values]
    if not 1 < len(targets) <= _MOST_OBJECTIVES or not shown:
        return
    front = [row for row in shown if row.rank == 1]
    others = [row for row in shown if row.rank > 1]
    data = [_points("dominated", others, 5, GREY), _points("on the front", front, 9, BLUE)]
    layout: dict[str, Any] = {"legend": ABOVE, "showlegend": True, "hovermode": "closest"}
    axes = layout if len(targets) == 2 else layout.setdefault("scene", {})
    for name, index in zip("xyz", range(len(targets)), strict=False):
        axes[f"{name}axis"] = _axis(_title(targets[index])) | scale(_known(shown, index))
    names = [printable(target.metric) for target in targets]
    alt = f"{len(shown)} configurations in {' and '.join(names)}; {len(front)} are on the front"
    yield Figure("front", alt, {"data": data, "layout": layout})


def _points(name: str, rows: Sequence[Row], size: int, colour: str) -> dict[str, Any]:
    """Return configurations as points: the means over their seeds."""
    columns = {axis: _known(rows, index) for index, axis in enumerate("xyz"[: len(rows[0].values)])} if rows else {}
    return {
        "type": "scatter3d" if "z" in columns else "scatter",
        "mode": "markers",
        "name": f"{name} ({len(rows)})",
        "text": [f"trial {', '.join(map(str, row.trials))}" for row in rows],
        "marker": {"size": size, "color": colour},
    } | columns


def _known(rows: Sequence[Row], index: int) -> list[float]:
    return [float(value) for row in rows if (value := row.values[index]) is not None]


def scale(values: Sequence[float]) -> dict[str, Any]:
    """Return a logarithmic scale for an axis of positive values over more than two decades."""
    if not values or min(values) <= 0 or max(values) / min(values) <= _LONG:
        return {}
    ticks = {"dtick": "D2"} if max(values) / min(values) < _LONG**2 else {}  # 1, 2 and 5: others would overlap
    return {"type": "log", "exponentformat": "power"} | ticks


def view(values: Sequence[float], objective: Objective) -> dict[str, Any]:
    """Return the range of an axis that leaves out what is far off, if anything is; a double click shows all."""
    near = numbers.within_reach(values, objective)
    if len(near) == len(values):
        return {}
    room = 0.05 * abs(near[0] - near[-1])
    low, high = sorted((near[0], near[-1]))
    return {"range": [low - room, high + room]}


def colour_bar(name: str) -> dict[str, Any]:
    """Return a colour bar with its name beside it: above it, a long name would take its width from the plot."""
    return {"title": {"text": printable(name), "side": "right"}, "thickness": 12}


def _unquote(plot: Plot) -> None:
    """Show categories as they are written elsewhere; Optuna shows texts as Python writes them."""
    labels = plot["layout"]["xaxis"].get("categoryarray")
    if labels is None or len({str(label).strip("'") for label in labels}) < len(labels):
        return
    plot["layout"]["xaxis"]["categoryarray"] = [str(label).strip("'") for label in labels]
    for trace in plot["data"]:
        trace["x"] = [str(x).strip("'") for x in trace["x"]]


def _title(objective: Objective) -> str:
    unit = {objectives.LATENCY: ", ms", objectives.TRAIN_SECONDS: ", s"}.get(objective.metric, "")
    return f"{printable(objective.metric)}{unit} ({'more' if objective.direction == 'maximize' else 'less'} is better)"


def _value_of(index: int) -> Any:
    return lambda trial: float(trial.values[index])


def _quiet(plot: Any, *arguments: Any, **options: Any) -> Any:
    """Call one of Optuna's plots without its warnings, which are about experimental arguments and few trials."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return plot(*arguments, **options)


def _plain(figure: Any) -> Plot:
    """Return one of Optuna's figures without its title and its colours of paper."""
    plot: Plot = json.loads(figure.to_json())
    for name in ("title", "template", "plot_bgcolor", "paper_bgcolor", "width", "height"):
        plot["layout"].pop(name, None)
    return plot


def _set_axes(plot: Plot, x: str, y: str) -> None:
    for axis, title in (("xaxis", x), ("yaxis", y)):
        layout = plot["layout"].setdefault(axis, {})
        layout |= _axis(title)
        if layout.get("type") == "log":
            layout["exponentformat"] = "power"


def _axis(title: str) -> dict[str, Any]:
    return {"title": {"text": printable(title), "standoff": 12}, "automargin": True}
