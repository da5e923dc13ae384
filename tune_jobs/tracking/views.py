"""The view of a study that MLflow's page of runs opens with: which runs, columns and charts, in which order.

MLflow keeps such a view in a tag of the experiment, lists it under "Views", and opens it by its address. It is what a
person would set up by hand: the trials of the study, the best first, with their params and how they ended; the learning
curves and scores of the best ten, and all trials by params and score.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from tune_jobs.records.studies import StudyRecord
from tune_jobs.tracking import mlflow_form
from tune_jobs.tracking.marks import PARENT
from tune_jobs.tracking.names import MetricNames

if TYPE_CHECKING:
    from mlflow import MlflowClient

ALL_STUDIES = "#/experiments?workflowType=machine_learning"  # else MLflow shows traces of language models
_TAG = "mlflow.sharedViewState."
_MOST_PARAMS = 20  # columns of the table; MLflow's tag has room for more
_MOST_AXES = 8  # of the parallel coordinates, beside the score
_LINE = {  # what MLflow's page expects of a chart of lines, beside its metric
    "lineSmoothness": 0,
    "xAxisKey": "step",
    "xAxisScaleType": "linear",
    "scaleType": "linear",
    "yAxisKey": "metric",
    "yAxisExpressions": [],
    "range": {},
    "useGlobalXaxisKey": True,
    "useGlobalLineSmoothing": True,
}


def prepare(client: MlflowClient, experiment: str, parent: str, study: StudyRecord) -> str:
    """Have MLflow keep the view of a study whose run is `parent`, and return its address below that of MLflow."""
    tag, value = f"{_TAG}{_key(study)}", _envelope(study, parent)
    if client.get_experiment(experiment).tags.get(tag) != value:
        client.set_experiment_tag(experiment, tag, value)
    return address(experiment, study)


def address(experiment: str, study: StudyRecord) -> str:
    """Return the address of a study's view, below that of MLflow."""
    asked = {"workflowType": "machine_learning", "viewStateShareKey": _key(study), "compareRunsMode": "CHART"}
    return f"#/experiments/{experiment}/runs?{urlencode(asked)}"


def forget(client: MlflowClient, experiment: str, study: StudyRecord) -> None:
    """Delete the view of a study, if there is one."""
    tag = f"{_TAG}{_key(study)}"
    if tag in client.get_experiment(experiment).tags:
        client.delete_experiment_tag(experiment, tag)


def _key(study: StudyRecord) -> str:
    return hashlib.sha256(study.identity.encode()).hexdigest()[:32]


def _envelope(study: StudyRecord, parent: str) -> str:
    """Return the view as MLflow keeps one that has a name."""
    created_ms = mlflow_form.to_ms(study.created)
    state = json.dumps(_state(study, parent))
    return json.dumps({"name": study.name, "createdAt": created_ms, "updatedAt": created_ms, "state": state})


def _state(study: StudyRecord, parent: str) -> dict[str, Any]:
    names = MetricNames(study.terms)
    best = names.ours(f"best_{study.terms.objective.metric}")
    further = mlflow_form.further_names(study.terms, names)
    names_of_params = mlflow_form.param_names(study)
    params = list(names_of_params.values())[:_MOST_PARAMS]
    return {
        "searchFilter": f"tags.`{PARENT}` = '{parent}'",
        "orderByKey": _column("metrics", best),
        "orderByAsc": study.terms.objective.direction == "minimize",
        "selectedColumns": [
            *(_column("metrics", name) for name in (best, *further, names.ours("best_epoch"))),
            *(_column("params", name) for name in params),
            *(_column("tags", name) for name in ("state", "reason")),
        ],
        "compareRunSections": [_section("best", "The best ten", 2), _section("all", "All trials", 1)],
        "compareRunCharts": _charts(names.ours(study.terms.objective.metric), best, _axes(study, names_of_params)),
        "runsHiddenMode": "FIRST_10_RUNS",
        "isAccordionReordered": True,
    }


def _axes(study: StudyRecord, names: Mapping[str, str]) -> list[str]:
    """Return the params that all trials have: MLflow's parallel coordinates leave out each trial that lacks one."""
    everywhere = [label for name, label in names.items() if all(name in trial.params for trial in study.trials)]
    return everywhere[:_MOST_AXES]


def _column(kind: str, name: str) -> str:
    return f"{kind}.`{name}`"


def _section(uuid: str, name: str, columns: int) -> dict[str, Any]:
    return {"uuid": uuid, "name": name, "columns": columns, "display": True, "isReordered": True, "isGenerated": False}


def _charts(metric: str, best: str, params: Sequence[str]) -> list[dict[str, Any]]:
    curves = {"type": "LINE", "metricKey": metric, "selectedMetricKeys": [metric], **_LINE}
    bars = {"type": "BAR", "metricKey": best}
    axes = {"type": "PARALLEL", "selectedParams": list(params), "selectedMetrics": [best]}
    return [
        _chart("curves", "best", f"{metric} by epoch", curves),
        _chart("scores", "best", best, bars),
        _chart("params", "all", f"params and {best}", axes | {"showAllRuns": True}),
    ]


def _chart(uuid: str, section: str, name: str, more: dict[str, Any]) -> dict[str, Any]:
    place = {"uuid": uuid, "metricSectionId": section, "displayName": name}
    return place | {"runsCountToCompare": 10, "deleted": False, "isGenerated": False} | more
