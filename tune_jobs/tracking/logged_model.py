"""Logs a trained model to MLflow, as a run of its own beside those of a study."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tune_jobs.errors import SettingsError
from tune_jobs.settings import Settings
from tune_jobs.tracking import experiments, store
from tune_jobs.tracking.names import LONGEST_NAME, near
from tune_jobs.words import Say

if TYPE_CHECKING:
    from tune_jobs.models.lazy_keras import keras


_ALIAS = "champion"  # MLflow's own word, in `models:/NAME@champion`


@dataclass(frozen=True)
class TrainedModel:
    """What MLflow is told of a model: its task, a batch of its inputs, its score, and where it is from."""

    task: str
    sample: Any
    score: float
    metric: str
    tags: Mapping[str, str]


def check_registered_name(name: str, *, with_mlflow: bool) -> None:
    """Check that MLflow's registry can have a model of this name.

    Raises:
        SettingsError: it cannot.
    """
    if not with_mlflow:
        raise SettingsError("--register needs MLflow: leave --no-mlflow out")
    if not name.strip() or re.search("[/:]", name) or len(name) > LONGEST_NAME:
        raise SettingsError(
            f"a registered model needs a name without / and :, of {LONGEST_NAME} or fewer; got {name!r}"
        )


def log_model(settings: Settings, model: keras.Model, trained: TrainedModel, register: str | None, say: Say) -> str:
    """Log a model with its signature and an input example, and return its MLflow URI.

    `register` names it in MLflow's registry, as a new version with an alias.
    """
    import mlflow
    from mlflow.models import Model, infer_signature

    from tune_jobs.training import compiled

    client = store.client(settings, say)
    experiment = experiments.of_task(client, trained.task, settings, say)
    run = client.create_run(experiment, run_name=f"{trained.task}-train", tags=dict(trained.tags))
    signature = infer_signature(trained.sample, compiled.predict(model, trained.sample))  # Keras' takes no texts
    client.log_metric(run.info.run_id, near(f"best_{trained.metric}"), trained.score, synchronous=True)
    with _tracking_at(store.address(settings)), mlflow.start_run(run_id=run.info.run_id):
        logged = Model.log(
            artifact_path=None,
            name="model",
            flavor=_Flavor(),
            model=model,
            signature=signature,
            input_example=_example(trained.sample),
            pip_requirements=["tensorflow", "keras"],
            validate_serving_input=False,  # MLflow would read the model, without the layers of its task
        )
        if register is None:
            return str(logged.model_uri)
        score = {trained.metric: repr(trained.score)}
        version = mlflow.register_model(logged.model_uri, register, tags={**trained.tags, **score}).version
    client.set_registered_model_alias(register, _ALIAS, version)
    say(f"registered as {register}, version {version}: models:/{register}@{_ALIAS}")
    return f"models:/{register}/{version}"


class _Flavor:
    """MLflow's form of Keras models, which writes an input example before it has made the folder for it, and is told
    what is for `Model.log` alone."""

    __name__ = "mlflow.keras"

    @staticmethod
    def save_model(path: str, *, validate_serving_input: bool, **more: Any) -> None:
        import mlflow

        Path(path).mkdir(parents=True, exist_ok=True)
        mlflow.keras.save_model(path=path, **more)


def _example(sample: Any) -> Any:
    """Return an input example that MLflow takes: one array, or a mapping of arrays; of other nests there is none."""
    import numpy as np

    if isinstance(sample, Mapping):
        return dict(sample) if all(isinstance(value, np.ndarray) for value in sample.values()) else None
    return sample if isinstance(sample, np.ndarray) and sample.dtype.kind in "fiub" else None


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
