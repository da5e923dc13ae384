"""Read back what MLflow has of a sweep, for benchmarks that check what was logged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Points = tuple[tuple[int, float], ...]  # (step, value), in the order of the steps


@dataclass(frozen=True)
class Run:
    """One run. Times are unix seconds; `curves` is empty unless it was asked for."""

    name: str
    status: str
    params: Mapping[str, str]
    tags: Mapping[str, str]
    metrics: Mapping[str, float]  # the last value of each
    started: float
    ended: float | None
    curves: Mapping[str, Points] = field(default_factory=dict)


def trial_runs(tracking_uri: str, experiment: str, *, study: str | None = None, curves: bool = False) -> list[Run]:
    """Return the runs of an experiment, ordered by name.

    With the identity of a `study` of tune-jobs, return the runs of its trials only.
    """
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri)
    stored = client.get_experiment_by_name(experiment)
    if stored is None:
        raise SystemExit(f"{tracking_uri} has no experiment {experiment}")
    runs = _search(client, stored.experiment_id, "")
    if study is not None:
        parents = [run.info.run_id for run in runs if run.data.tags.get("mlflow.tune_jobs.study") == study]
        if len(parents) != 1:
            raise SystemExit(f"{tracking_uri} should have one run of study {study}, and has {len(parents)}")
        runs = _search(client, stored.experiment_id, f"tags.`mlflow.parentRunId` = '{parents[0]}'")
    return sorted((_run(client, run, curves) for run in runs), key=lambda run: run.name)


def _search(client: Any, experiment_id: str, condition: str) -> list[Any]:
    runs, token = [], None
    while True:
        page = client.search_runs([experiment_id], condition, max_results=1000, page_token=token)
        runs += page
        token = page.token
        if not token:
            return runs


def _run(client: Any, run: Any, curves: bool) -> Run:
    return Run(
        name=run.info.run_name,
        status=run.info.status,
        params=dict(run.data.params),
        tags=dict(run.data.tags),
        metrics=dict(run.data.metrics),
        started=run.info.start_time / 1000,
        ended=None if run.info.end_time is None else run.info.end_time / 1000,
        curves={name: _points(client, run.info.run_id, name) for name in run.data.metrics} if curves else {},
    )


def _points(client: Any, run_id: str, name: str) -> Points:
    return tuple(sorted((point.step, point.value) for point in client.get_metric_history(run_id, name)))
