"""A trial computes in the precision that its protocol says, its weights and scores stay float32, and it repeats."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

from tune_jobs import datasets
from tune_jobs.actions import model_files
from tune_jobs.datasets import TrainingData
from tune_jobs.models import cnn
from tune_jobs.models.label_encodings import Classes
from tune_jobs.prediction import reader
from tune_jobs.prediction.saved_models import Origin
from tune_jobs.records.trials import TrialResult
from tune_jobs.search_spaces import Task
from tune_jobs.search_spaces.catalog import find
from tune_jobs.search_spaces.protocol import PRECISIONS, Precision, TaskError
from tune_jobs.training import compiled
from tune_jobs.training.checkpoints import Checkpoint
from tune_jobs.training.epochs import build_model
from tune_jobs.training.precision import dtype_policy, float32_head
from tune_jobs.training.trial import TrialRun

SMALL = {"filters": "8-16", "units": "32", "batch_norm": True, "dropout": "with", "dropout_rate": 0.2}


def task_of(precision: Precision) -> Task:
    task = find("digits-cnn")
    return replace(task, protocol=replace(task.protocol, epochs=2, patience=None, images=100, precision=precision))


def data_of(task: Task) -> TrainingData:
    return datasets.load_for_task(task, Path("nowhere")).training


def params_of(task: Task) -> dict[str, object]:
    return {**task.baseline, **SMALL}


def trained(task: Task, start: Checkpoint | None = None) -> TrialRun:
    run = TrialRun(task, params_of(task), data_of(task), seed=3, start=start)
    for epoch, _ in run:
        if epoch == 1:
            run.first = run.checkpoint()  # type: ignore[attr-defined]
    return run


def timeless(result: TrialResult) -> TrialResult:
    return replace(result, train_seconds=0.0)


@pytest.mark.slow
@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_trial_computes_in_its_precision_repeats_and_goes_on(precision: Precision) -> None:
    task = task_of(precision)
    first, second = trained(task), trained(task)
    assert first.result.state == "complete"
    assert timeless(first.result) == timeless(second.result)
    assert first.result.errors is not None  # what was decoded once more explains the score
    went_on = trained(task, first.first)  # type: ignore[attr-defined]
    assert timeless(went_on.result) == timeless(first.result)
    assert keras.config.dtype_policy().name == "float32"  # for whatever comes after it

    model = first.model
    assert model is not None
    *inner, head = model.layers
    assert {layer.compute_dtype for layer in inner} == {precision.removeprefix("mixed_")}
    assert head.compute_dtype == model.outputs[0].dtype == "float32"
    assert {variable.dtype for variable in model.trainable_variables} == {"float32"}
    assert {metric.dtype for metric in model.metrics} == {"float32"}
    assert isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer) == (precision == "mixed_float16")


@pytest.mark.slow
def test_the_three_precisions_are_three_computations() -> None:
    losses = {precision: trained(task_of(precision)).result.history[-1]["val_loss"] for precision in PRECISIONS}
    assert len(set(losses.values())) == 3
    assert max(losses.values()) - min(losses.values()) < 0.2


@pytest.mark.slow
def test_the_loss_is_scaled_where_gradients_are_of_half_precision() -> None:
    """A scale at which every gradient overflows: no step is taken, and the scale is halved at each."""
    task = task_of("mixed_float16")
    data = data_of(task)
    model = build_model(task, params_of(task), data, seed=0)
    encoding = task.encoding_of(params_of(task))
    (train,) = compiled.resident_splits((data.train,), encoding.targets)
    epochs = compiled.CompiledEpochs(model, batch_size=50, seed=0)
    epochs._create_variables(train)
    epochs._epoch = 1  # its variables exist, and would be created anew
    model.optimizer.dynamic_scale.assign(2.0**100)
    before = [np.asarray(weight).copy() for weight in model.trainable_variables]
    epochs.train(train)
    assert float(model.optimizer.dynamic_scale) == 2.0**98
    for was, weight in zip(before, model.trainable_variables, strict=True):
        np.testing.assert_array_equal(was, weight)
    model.optimizer.dynamic_scale.assign(2.0**15)
    epochs.train(train)
    assert float(model.optimizer.dynamic_scale) == 2.0**15
    assert not np.array_equal(before[0], model.trainable_variables[0])


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # Keras' own, when it saves
@pytest.mark.parametrize("precision", PRECISIONS[1:])
def test_a_saved_model_of_half_precision_is_loaded_and_predicts(precision: Precision, tmp_path: Path) -> None:
    task = task_of(precision)
    data, run = data_of(task), trained(task)
    assert run.model is not None
    origin = Origin(
        task=task.name,
        reference=task.name,
        task_digest=task.digest(),
        params=params_of(task),
        seed=3,
        encoding=Classes(10).name,
        input_shape=(8, 8, 1),
        dataset=data.name,
        data_digest=data.digest,
        metric="val_accuracy",
        direction="maximize",
        score=0.5,
        versions={},
    )
    file, picture = tmp_path / "model.keras", tmp_path / "digit.png"
    model_files.save(run.model, file, origin, None, print)
    loaded = keras.saving.load_model(file, compile=False, safe_mode=True)
    assert [one.compute_dtype for one in loaded.layers[1:]] == [one.compute_dtype for one in run.model.layers[1:]]
    np.testing.assert_array_equal(
        compiled.predict(loaded, data.validation.x), compiled.predict(run.model, data.validation.x)
    )
    Image.fromarray(data.validation.x[0, :, :, 0]).save(picture)
    reading = reader.Reader(file).read(picture)
    assert (reading.unit, reading.spread) == ("", None)
    assert reading.facts["label"] in range(10)


@pytest.mark.slow
@pytest.mark.parametrize("precision", PRECISIONS[1:])
def test_networks_with_all_their_layers_train_in_half_precision(precision: Precision, tiny_data: TrainingData) -> None:
    with dtype_policy(precision):
        model = cnn.build(
            input_shape=(4, 4, 1),
            head=float32_head(Classes(3).head),
            filters=4,
            units=8,
            batch_norm=True,
            dense_normalization="layer",
            augmentation="turn-zoom-shift-brightness",
            pixels="permuted",
        )
        model.compile("adam", Classes(3).loss(), metrics=Classes(3).metrics())
    (train,) = compiled.resident_splits((tiny_data.train,), Classes(3).targets)
    metrics = compiled.CompiledEpochs(model, batch_size=45, seed=0).train(train)
    assert np.isfinite(list(metrics.values())).all()


def test_outputs_that_end_in_half_precision_are_read_as_float32(tiny_data: TrainingData) -> None:
    with dtype_policy("mixed_bfloat16"):
        inputs = keras.Input((4, 4, 1), dtype="uint8")
        model = keras.Model(inputs, keras.layers.Rescaling(1 / 255)(inputs))
    outputs = compiled.predict(model, tiny_data.validation.x)
    assert outputs.dtype == np.float32
    np.testing.assert_allclose(outputs, tiny_data.validation.x / 255, atol=6e-3)


POLICY = """
import keras
from tune_jobs.models.label_encodings import Classes
from tune_jobs.search_spaces import Choice, Objective, Protocol, Space, Task

keras.mixed_precision.set_global_policy({policy!r})

def build(*, input_shape, head, units):
    inputs = keras.Input(input_shape)
    return keras.Model(inputs, head(keras.layers.Dense(units)(keras.layers.Flatten()(inputs))))

OWN = Task(
    name="own",
    summary="a policy at the top",
    dataset="digits",
    space=Space(units=Choice(2, 4)),
    objective=Objective("val_accuracy", "maximize"),
    protocol=Protocol(epochs=1, precision={precision!r}),
    baseline={{"units": 4}},
    build=build,
    encoding=Classes(10),
)
"""


@pytest.mark.parametrize(
    ("policy", "precision", "expected"),
    [
        ("float32", "float32", "float32"),
        ("mixed_bfloat16", "float32", "mixed_bfloat16"),
        ("mixed_bfloat16", "mixed_float16", "mixed_float16"),
    ],
)
def test_a_policy_that_a_file_sets_is_the_tasks_precision(
    tmp_path: Path, policy: str, precision: str, expected: str
) -> None:
    (tmp_path / "own.py").write_text(POLICY.format(policy=policy, precision=precision))
    for _ in range(2):  # the second time the file has been imported
        task = find(str(tmp_path / "own.py"))
        assert task.protocol.precision == expected
        assert keras.config.dtype_policy().name == "float32"


def test_a_policy_that_no_trial_can_have_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(POLICY.format(policy="float64", precision="float32"))
    with pytest.raises(TaskError, match=r"^own\.py sets Keras' dtype policy 'float64'; a task computes in float32 or "):
        find(str(tmp_path / "own.py"))
