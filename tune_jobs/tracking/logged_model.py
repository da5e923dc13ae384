"""Logs a trained model to MLflow, as a run of its own beside those of a study."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from tune_jobs.settings import Settings
from tune_jobs.tracking import experiments, store
from tune_jobs.tracking.names import near
from tune_jobs.words import Say

if TYPE_CHECKING:
    from tune_jobs.models.lazy_keras import keras


def log_model(
    settings: Settings, task: str, model: keras.Model, sample: Any, score: float, metric: str, say: Say
) -> str:
    """Log a model with its signature, and return its MLflow URI.

    `sample` is a batch of the model's inputs, `score` the model's value of `metric`.
    """
    import mlflow
    from mlflow.models import infer_signature

    from tune_jobs.training import compiled

    client = store.client(settings, say)
    experiment = experiments.of_task(client, task, settings, say)
    run = client.create_run(experiment, run_name=f"{task}-train")
    signature = infer_signature(sample, compiled.predict(model, sample))  # Keras' own takes no columns of texts
    client.log_metric(run.info.run_id, near(f"best_{metric}"), score, synchronous=True)
    with _tracking_at(store.address(settings)), mlflow.start_run(run_id=run.info.run_id):
        logged = mlflow.keras.log_model(
            model, name="model", signature=signature, pip_requirements=["tensorflow", "keras"]
        )
    return str(logged.model_uri)


@contextmanager
def _tracking_at(uri: str) -> Iterator[None]:
    """Let MLflow's functions write to `uri`; afterwards this process and those that it starts write where they did."""
    import mlflow

    before = mlflow.get_tracking_uri() if mlflow.is_tracking_uri_set() else None
    mlflow.set_tracking_uri(uri)
    try:
        yield
    finally:
        mlflow.set_tracking_uri(before)
