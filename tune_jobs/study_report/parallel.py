"""The figure of parallel coordinates: a line for each configuration through its params and objectives."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tune_jobs.exports.board import value_text
from tune_jobs.search_spaces.scalars import Value
from tune_jobs.study.optuna_view import OptunaTrial, Snapshot
from tune_jobs.study_report import trials as chosen
from tune_jobs.study_report.figures import BLUE, GREY, ORANGE, Figure, colour_bar, view
from tune_jobs.words import printable

_MOST = 14  # axes
_TICKS = 5
_LETTER = 7  # pixels
_LEAST_APART, _MOST_APART = 60, 100  # pixels between two axes: the most of them fit a page of 1440 pixels
_ABSENT = "–"


def parallel(snapshot: Snapshot) -> Iterator[Figure]:
    """Yield the figure, if there is a param that varies. Plotly lets the reader brush each axis."""
    trials, terms = chosen.searched(snapshot), snapshot.record.terms
    names = chosen.varied(trials)
    if not names or len(trials) < 2:
        return
    scores = [float(trial.values[0]) for trial in trials]
    further = [
        _numbers(objective.metric, [float(trial.values[index]) for trial in trials])
        for index, objective in enumerate(terms.objectives)
    ]
    low, high = view(scores, terms.objective).get("range", (min(scores), max(scores)))
    line = {
        "color": scores,
        "colorscale": [[0, ORANGE], [0.5, GREY], [1, BLUE]],
        "reversescale": terms.objective.direction == "minimize",
        "cmin": low,
        "cmax": high,
        "showscale": True,
        "colorbar": colour_bar(terms.objective.metric),
    }
    params = [_of_param(name, trials) for name in names]
    axes = [*further, *params][:_MOST]
    trace = {"type": "parcoords", "line": line, "dimensions": axes, "labelangle": -12}
    layout = {"margin": {"t": 90, "b": 40, "l": 70, "r": 40}}
    alt = f"parallel coordinates of {len(trials)} configurations: {', '.join(names[:_MOST])}"
    yield Figure("parallel", alt, {"data": [trace], "layout": layout}, 460, _width(axes))


def _width(axes: Sequence[Mapping[str, Any]]) -> int:
    """Return the pixels in which the texts of an axis do not reach the next one."""
    longest = max(len(text) for axis in axes for text in (*axis["ticktext"], axis["label"]))
    return len(axes) * min(max(_LEAST_APART, _LETTER * longest), _MOST_APART)


def _of_param(name: str, trials: Sequence[OptunaTrial]) -> dict[str, Any]:
    """Return the axis of a param; configurations that do not have it cross it at its foot."""
    values = [trial.params.get(name) if name in trial.params else _ABSENT for trial in trials]
    present = [trial.params[name] for trial in trials if name in trial.params]
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in present):
        if len(set(present)) > _TICKS + 2:
            return _numbers(name, [None if value is _ABSENT else float(str(value)) for value in values])
        present.sort()
    return _categories(name, values, list(dict.fromkeys(present)))


def _label(name: str) -> str:
    """Return a param's name with the option that it lives under behind it: `learning_rate (adam)`."""
    options, _, last = printable(name).rpartition("/")
    return f"{last} ({options.rpartition('=')[2]})" if options else last


def _categories(name: str, values: Sequence[Value], options: Sequence[Value]) -> dict[str, Any]:
    texts = [value_text(option) for option in options]
    if any(value is _ABSENT for value in values):
        texts = [_ABSENT, *texts]
    places = [texts.index(_ABSENT if value is _ABSENT else value_text(value)) for value in values]
    return {
        "label": _label(name),
        "values": places,
        "tickvals": list(range(len(texts))),
        "ticktext": texts,
        "range": [-0.2, len(texts) - 0.8],
    }


def _numbers(name: str, values: Sequence[float | None]) -> dict[str, Any]:
    """Return an axis of numbers: logarithmic over more than two decades, with a place below for None."""
    known = [value for value in values if value is not None]
    low, high = min(known), max(known)
    is_log = low > 0 and high / low > 100
    to_place = math.log10 if is_log else float
    first, last = to_place(low), to_place(high)
    foot = first - 0.12 * ((last - first) or 1.0)
    ticks = [first + (last - first) * part / (_TICKS - 1) for part in range(_TICKS)]
    texts = [f"{10**tick if is_log else tick:.3g}" for tick in ticks]
    if len(known) < len(values):
        ticks, texts = [foot, *ticks], [_ABSENT, *texts]
    return {
        "label": _label(name),
        "values": [foot if value is None else to_place(value) for value in values],
        "tickvals": ticks,
        "ticktext": texts,
        "range": [min(ticks), last if last > first else first + 1],
    }
