"""A trial is built, trained and scored; whatever goes wrong in it is a result with a reason."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import keras
import numpy as np
import pytest

from tune_jobs.datasets import TrainingData
from tune_jobs.datasets.dataset import Split
from tune_jobs.models import clock_encodings
from tune_jobs.models.label_encodings import Classes, Head
from tune_jobs.models.means import MeanOf
from tune_jobs.records.constraints import Constraint
from tune_jobs.records.per_image import unpack
from tune_jobs.records.trials import TrialResult
from tune_jobs.search_spaces import Choice, Objective, Protocol, Space, Task, Variants
from tune_jobs.training import compiled
from tune_jobs.training.runs import run_trial
from tune_jobs.training.trial import TrialRun, pack_matching
from tune_jobs.words import one_line

PARAMS = {"units": 8, "learning_rate": 0.05, "batch_size": 16}
MakeTask = Callable[..., Task]


def own_task(*epochs: Mapping[str, float] | Exception, patience: int | None = None, **changes: Any) -> Task:
    """A task whose own training loop yields these metrics, and raises what is no metrics."""

    def train(params: Any, data: Any, *, seed: int, epochs: int) -> Iterator[Mapping[str, float]]:
        for one in script:
            if isinstance(one, Exception):
                raise one
            yield one

    script = epochs
    task = Task(
        name="own",
        summary="A script",
        dataset="tiny",
        space=Space(units=Choice(1, 2)),
        objective=Objective("val_accuracy", "maximize"),
        protocol=Protocol(epochs=10, patience=patience),
        baseline={"units": 1},
        train=train,
    )
    return replace(task, **changes)


def scores(*values: float) -> list[dict[str, float]]:
    return [{"val_accuracy": value} for value in values]


CLOCK = {"units": 8, "batch_size": 16, "learning_rate": 0.01}


@pytest.mark.slow
@pytest.mark.parametrize("params", [{"encoding": "two-hands", "decoding": "joint"}, {"encoding": "regression"}])
def test_an_encoding_is_trained_as_the_params_say(
    tiny_task: MakeTask, tiny_data: TrainingData, params: dict[str, Any]
) -> None:
    """The score is the mean of the errors in minutes that are kept of each image, whatever the encoding."""
    task = tiny_task(
        encoding=clock_encodings.build,
        objective=Objective("val_error_minutes", "minimize"),
        space=Space(
            units=Choice(4, 8),
            learning_rate=Choice(0.01),
            batch_size=Choice(16),
            encoding=Variants(
                {"two-hands": Space(decoding=Choice("plain", "joint")), "regression": Space(), "classes": Space()}
            ),
        ),
        baseline=CLOCK | params,
    )
    times = [
        np.stack([split.labels * 4, split.labels * 17], axis=1) for split in (tiny_data.train, tiny_data.validation)
    ]
    data = replace(
        tiny_data,
        train=Split(tiny_data.train.x, times[0]),
        validation=Split(tiny_data.validation.x, times[1]),
        digest=f"clock-{params['encoding']}",
    )
    result = run_trial(task, CLOCK | params, data, seed=0)
    assert result.state == "complete", result.message
    assert result.errors is not None
    assert unpack(result.errors).mean() == pytest.approx(result.score, rel=1e-4)
    assert {"val_within_1_minute", "val_hour_slips"} <= result.metrics.keys()


@pytest.mark.slow
def test_the_model_ends_with_the_weights_of_the_best_epoch(tiny_task: MakeTask, tiny_data: TrainingData) -> None:
    """The largest loss is asked for, because the first epoch has it: the last weights would be the wrong ones."""
    task = tiny_task(objective=Objective("val_loss", "maximize"))
    run = TrialRun(task, PARAMS, tiny_data, seed=2)
    curve = [metrics["val_loss"] for _, metrics in run]
    assert curve[0] > curve[-1] + 0.1
    assert (run.result.score, run.result.best_epoch) == (curve[0], 1)
    assert run.result.metrics == run.result.history[0]
    assert run.model is not None
    (validation,) = compiled.resident_splits((tiny_data.validation,), Classes(3).targets)
    evaluated = compiled.CompiledEpochs(run.model, batch_size=1, seed=0).evaluate(validation)
    assert evaluated["loss"] == run.result.score
    x, labels = tiny_data.validation.x, tiny_data.validation.labels
    assert run.model.evaluate(x, labels, verbose=0, return_dict=True) == pytest.approx(evaluated, rel=1e-5)


@pytest.mark.slow
def test_a_trial_keeps_what_each_validation_image_added_to_its_score(
    tiny_task: MakeTask, tiny_data: TrainingData
) -> None:
    run = TrialRun(tiny_task(), PARAMS, tiny_data, seed=2)
    list(run)
    assert run.model is not None
    assert run.result.errors is not None
    errors = unpack(run.result.errors)
    predicted = run.model.predict(tiny_data.validation.x, verbose=0).argmax(axis=1)
    assert errors.tolist() == (predicted != tiny_data.validation.labels).tolist()
    assert run.result.score == pytest.approx(1 - errors.mean())


@pytest.mark.slow
def test_errors_are_those_of_the_best_epoch(tiny_task: MakeTask, tiny_data: TrainingData) -> None:
    """The lowest accuracy is asked for, because the first epoch has it: the last errors would be the wrong ones."""
    run = TrialRun(tiny_task(objective=Objective("val_accuracy", "minimize")), PARAMS, tiny_data, seed=2)
    curve = [metrics["val_accuracy"] for _, metrics in run]
    assert curve[0] < curve[-1] - 0.1
    assert run.result.errors is not None
    assert 1 - unpack(run.result.errors).mean() == pytest.approx(curve[0])


@pytest.mark.slow
def test_a_trial_stopped_early_has_its_errors_too(tiny_task: MakeTask, tiny_data: TrainingData) -> None:
    result = run_trial(tiny_task(), PARAMS, tiny_data, seed=2, report=lambda epoch, metrics: True)
    assert result.state == "stopped"
    assert result.errors is not None
    assert result.score == pytest.approx(1 - unpack(result.errors).mean())


@pytest.mark.slow
def test_errors_that_do_not_make_up_the_score_are_not_kept(tiny_task: MakeTask, tiny_data: TrainingData) -> None:
    result = run_trial(tiny_task(objective=Objective("val_loss", "minimize")), PARAMS, tiny_data, seed=2)
    assert result.state == "complete"
    assert abs(result.metrics["val_loss"] - (1 - result.metrics["val_accuracy"])) > 0.1
    assert result.errors is None


def test_a_loop_of_its_own_has_no_errors(tiny_data: TrainingData) -> None:
    assert run_trial(own_task(*scores(0.4, 0.5)), {}, tiny_data, seed=0).errors is None


@pytest.mark.slow
def test_a_trial_that_failed_has_no_errors(tiny_task: MakeTask, tiny_data: TrainingData) -> None:
    task = tiny_task(objective=Objective("val_f1", "maximize"))
    assert run_trial(task, PARAMS, tiny_data, seed=0).errors is None


@pytest.mark.parametrize(
    ("score", "errors", "declared", "explains"),
    [
        (0.75, [0.0, 0.0, 1.0, 0.0] * 25, "right", True),
        (0.74, [0.0, 0.0, 1.0, 0.0] * 25, "right", True),  # one image of a hundred fell to the other side
        (0.72, [0.0, 0.0, 1.0, 0.0] * 25, "right", False),
        (0.746, [0.0, 0.0, 1.0, 0.0] * 25, "right", False),  # no share of a hundred: rows have weights in it
        (30.5, [30.0, 31.0], "error", True),
        (0.4, None, "error", False),
        (0.25, [0.0, 0.0, 1.0, 0.0] * 25, "right", False),
        (0.25, [0.0, 0.0, 1.0, 0.0] * 25, "error", True),
        (0.75, [0.0, 0.0, 1.0, 0.0] * 25, "error", False),
    ],
)
def test_errors_explain_a_score_that_is_what_is_declared_of_them(
    score: float, errors: list[float] | None, declared: MeanOf, explains: bool
) -> None:
    packed = pack_matching(None if errors is None else np.array(errors), score, declared)
    assert (packed is not None) == explains
    if packed is not None:
        assert unpack(packed).tolist() == errors


def test_errors_explain_a_share_of_more_images_than_a_float32_tells_apart() -> None:
    errors = np.zeros(3_000_001)
    errors[:1_234_567] = 1.0
    assert pack_matching(errors, float(np.float32(1.0 - errors.mean())), "right") is not None


def test_errors_explain_a_mean_over_folds_of_unequal_sizes() -> None:
    errors = np.array([0.0] * 8 + [1.0] * 3)
    score = (1.0 + 1.0 + 0.25) / 3  # of 4, 4 and 3 rows would be a share of none
    assert pack_matching(errors, score, "right", is_of_folds=True) is not None
    assert pack_matching(errors, score, "right") is None


@pytest.mark.slow
def test_history_has_training_and_validation_metrics_of_every_epoch(
    tiny_task: MakeTask, tiny_data: TrainingData
) -> None:
    result = run_trial(tiny_task(), PARAMS, tiny_data, seed=0)
    assert result.state == "complete"
    assert [sorted(metrics) for metrics in result.history] == [["accuracy", "loss", "val_accuracy", "val_loss"]] * 3
    assert result.weights == 16 * 8 + 8 + 8 * 3 + 3
    assert result.train_seconds > 0
    assert result.history[-1]["loss"] < result.history[0]["loss"]


@pytest.mark.slow
def test_a_trial_repeats_bit_for_bit_whatever_was_trained_before_it_in_the_process(
    tiny_task: MakeTask, tiny_data: TrainingData
) -> None:
    first = run_trial(tiny_task(), PARAMS, tiny_data, seed=3)
    unlearnable = Split(tiny_data.train.x, np.zeros(90, dtype=np.int64))
    other_data = TrainingData("other", unlearnable, tiny_data.validation, digest="other")
    assert run_trial(tiny_task(), PARAMS, other_data, seed=3).history != first.history
    assert run_trial(tiny_task(), PARAMS, tiny_data, seed=3).history == first.history  # bit for bit


@pytest.mark.slow
def test_params_reach_the_batches_and_the_optimizer(tiny_task: MakeTask, tiny_data: TrainingData) -> None:
    run = TrialRun(tiny_task(), {**PARAMS, "batch_size": 32}, tiny_data, seed=0)
    epochs = len(list(run))
    assert run.model is not None
    assert int(run.model.optimizer.iterations.numpy()) == epochs * 3  # 90 images in batches of 32
    assert float(run.model.optimizer.learning_rate) == pytest.approx(0.05)


@pytest.mark.slow
def test_a_model_that_comes_compiled_keeps_its_own_optimizer(tiny_task: MakeTask, tiny_data: TrainingData) -> None:
    def build(*, input_shape: tuple[int, ...], head: Head, units: int) -> keras.Model:
        inputs = keras.Input(input_shape)
        x = keras.layers.Flatten()(keras.layers.Rescaling(1 / 255)(inputs))
        model = keras.Model(inputs, head(keras.layers.Dense(units)(x)))
        encoding = Classes(3)
        model.compile(keras.optimizers.SGD(0.125), encoding.loss(), metrics=encoding.metrics())
        return model

    run = TrialRun(tiny_task(build=build), PARAMS, tiny_data, seed=0)
    list(run)
    assert run.result.state == "complete", run.result
    assert run.model is not None
    assert float(run.model.optimizer.learning_rate) == 0.125


@pytest.mark.slow
def test_a_subclass_that_builds_its_weights_when_called_is_trained(
    tiny_task: MakeTask, tiny_data: TrainingData
) -> None:
    class Late(keras.Model):  # type: ignore[misc]
        def __init__(self, units: int) -> None:
            super().__init__()
            self.network = keras.Sequential([keras.layers.Flatten(), keras.layers.Dense(units), keras.layers.Dense(3)])

        def call(self, images: Any) -> Any:
            return self.network(keras.ops.cast(images, "float32") / 255)

    def build(*, input_shape: tuple[int, ...], head: Head, units: int) -> keras.Model:
        return Late(units)

    result = run_trial(tiny_task(build=build), PARAMS, tiny_data, seed=0)
    assert (result.state, result.weights) == ("complete", 16 * 8 + 8 + 8 * 3 + 3), result


@pytest.mark.parametrize(("patience", "epochs"), [(1, 3), (2, 4), (None, 6)])
def test_training_ends_after_patience_epochs_without_a_better_score(
    patience: int | None, epochs: int, tiny_data: TrainingData
) -> None:
    result = run_trial(own_task(*scores(0.1, 0.5, 0.5, 0.2, 0.9, 0.1), patience=patience), {}, tiny_data, seed=0)
    assert len(result.history) == epochs
    assert (result.state, result.score) == ("complete", 0.9 if patience is None else 0.5)
    assert result.best_epoch == (5 if patience is None else 2)  # the first of two that are equal


def test_the_direction_of_the_objective_decides_which_epoch_is_best(tiny_data: TrainingData) -> None:
    task = own_task(*scores(0.3, 0.1, 0.2), objective=Objective("val_accuracy", "minimize"))
    result = run_trial(task, {}, tiny_data, seed=0)
    assert (result.score, result.best_epoch) == (0.1, 2)


def test_a_loop_of_its_own_ends_with_the_protocol_at_the_latest(tiny_data: TrainingData) -> None:
    result = run_trial(own_task(*scores(*[0.5] * 50)), {}, tiny_data, seed=0)
    assert (result.state, len(result.history)) == ("complete", 10)


def test_a_loop_of_its_own_gets_params_data_seed_and_epochs(tiny_data: TrainingData) -> None:
    arguments: list[Any] = []

    def train(params: Any, data: Any, *, seed: int, epochs: int) -> Iterator[Mapping[str, float]]:
        arguments.extend([params, data, seed, epochs])
        yield {"val_accuracy": np.float32(0.5)}

    result = run_trial(own_task(train=train), {"units": 2}, tiny_data, seed=7)
    assert arguments == [{"units": 2}, tiny_data, 7, 10]
    assert type(result.score) is float


def test_a_loop_of_its_own_without_an_epoch_is_invalid(tiny_data: TrainingData) -> None:
    assert_failed(run_trial(own_task(), {}, tiny_data, seed=0), "invalid", "without an epoch")


def test_a_report_that_answers_true_stops_the_trial(tiny_data: TrainingData) -> None:
    seen = []

    def report(epoch: int, metrics: Mapping[str, float]) -> bool:
        seen.append((epoch, metrics["val_accuracy"]))
        return epoch == 2

    result = run_trial(own_task(*scores(0.4, 0.3, 0.9)), {}, tiny_data, seed=0, report=report)
    assert seen == [(1, 0.4), (2, 0.3)]
    assert (result.state, result.score, result.best_epoch) == ("stopped", 0.4, 1)


@pytest.mark.parametrize("patience", [None, 2])
def test_a_trial_told_to_stop_at_its_end_was_not_cut_off(patience: int | None, tiny_data: TrainingData) -> None:
    task = own_task(*scores(*[0.5] * 20), patience=patience)
    last = 10 if patience is None else 3
    result = run_trial(task, {}, tiny_data, seed=0, report=lambda epoch, metrics: epoch == last)
    assert (result.state, len(result.history)) == ("complete", last)


def assert_failed(result: TrialResult, reason: str, *words: str) -> None:
    assert (result.state, result.reason, result.score, result.best_epoch) == ("failed", reason, None, None)
    assert result.message is not None
    assert "\n" not in result.message
    assert len(result.message) <= 300
    for word in words:
        assert word in result.message


@pytest.mark.slow
def test_a_learning_rate_out_of_all_bounds_diverges_at_its_epoch(tiny_task: MakeTask, tiny_data: TrainingData) -> None:
    params = {**PARAMS, "learning_rate": 1e30, "optimizer": "sgd"}
    space = Space(units=Choice(8), learning_rate=Choice(1e30), batch_size=Choice(16), optimizer=Choice("sgd"))
    result = run_trial(tiny_task(space=space, baseline=params), params, tiny_data, seed=0)
    assert_failed(result, "diverged", "in epoch 1", "loss was")
    assert result.history == ()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_an_objective_that_is_not_finite_diverges_and_keeps_the_epochs_before(
    value: float, tiny_data: TrainingData
) -> None:
    result = run_trial(own_task(*scores(0.4, 0.5, value, 0.9)), {}, tiny_data, seed=0)
    assert_failed(result, "diverged", f"val_accuracy was {value} in epoch 3")
    assert result.history == tuple(scores(0.4, 0.5))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), None, np.float32("nan")])
def test_a_number_that_decides_nothing_and_is_none_is_missing(value: Any, tiny_data: TrainingData) -> None:
    epochs = [{"val_accuracy": 0.6, "perplexity": 2.0}, {"val_accuracy": 0.7, "perplexity": value}]
    result = run_trial(own_task(*epochs), {}, tiny_data, seed=0)
    assert (result.state, result.score, result.metrics) == ("complete", 0.7, {"val_accuracy": 0.7})
    assert result.history == ({"val_accuracy": 0.6, "perplexity": 2.0}, {"val_accuracy": 0.7})


def test_a_further_objective_has_to_be_finite_too(tiny_data: TrainingData) -> None:
    task = own_task({"val_accuracy": 0.6, "cost": float("nan")})
    result = run_trial(task, {}, tiny_data, seed=0, further_objectives=[Objective("cost", "minimize")])
    assert_failed(result, "diverged", "cost was nan in epoch 1")


@pytest.mark.parametrize(
    ("values", "patience", "score", "best_epoch", "epochs"),
    [
        ([None, 0.4, None, 0.6, None, 0.5], None, 0.6, 4, 6),
        ([None, None, 0.4], None, 0.4, 3, 3),
        ([None, 0.6, None, 0.5, None, 0.4, None, 0.9], 2, 0.6, 2, 6),  # patience counts what was scored
        ([0.6, None, None, None, 0.7], 1, 0.7, 5, 5),
    ],
)
def test_a_loop_of_its_own_may_score_some_epochs_only(
    values: list[float | None],
    patience: int | None,
    score: float,
    best_epoch: int,
    epochs: int,
    tiny_data: TrainingData,
) -> None:
    script = [{"loss": 1.0} | ({} if value is None else {"val_accuracy": value}) for value in values]
    result = run_trial(own_task(*script, patience=patience), {}, tiny_data, seed=0)
    assert (result.state, result.score, result.best_epoch) == ("complete", score, best_epoch)
    assert len(result.history) == epochs


def test_the_best_epoch_of_a_loop_of_its_own_has_every_objective(tiny_data: TrainingData) -> None:
    task = own_task({"val_accuracy": 0.9}, {"val_accuracy": 0.6, "cost": 2.0}, {"val_accuracy": 0.5, "cost": 1.0})
    result = run_trial(task, {}, tiny_data, seed=0, further_objectives=[Objective("cost", "minimize")])
    assert (result.score, result.best_epoch, result.metrics["cost"]) == (0.6, 2, 2.0)


def test_a_loop_of_its_own_that_never_scores_is_invalid_and_the_message_has_what_there_is(
    tiny_data: TrainingData,
) -> None:
    result = run_trial(own_task({"loss": 1.0}, {"loss": 0.5, "lr": 0.1}), {}, tiny_data, seed=0)
    assert_failed(result, "invalid", "no metric 'val_accuracy' to judge by; the trial has loss, lr")


def test_a_score_that_is_built_up_may_be_that_of_the_last_epoch(tiny_data: TrainingData) -> None:
    """Of five folds, the first is the easiest: the mean over all is not the best mean so far."""
    folds = scores(0.9, 0.7, 0.8)
    assert run_trial(own_task(*folds), {}, tiny_data, seed=0).score == 0.9
    task = own_task(*folds, {"loss": 1.0}, protocol=Protocol(epochs=10, scored_epoch="last"))
    result = run_trial(task, {}, tiny_data, seed=0)
    assert (result.state, result.score, result.best_epoch) == ("complete", 0.8, 3)


@pytest.mark.slow
def test_a_model_whose_last_epoch_counts_ends_with_its_weights(tiny_task: MakeTask, tiny_data: TrainingData) -> None:
    protocol = Protocol(epochs=3, batch_size=16, scored_epoch="last")
    task = tiny_task(objective=Objective("val_loss", "maximize"), protocol=protocol)
    run = TrialRun(task, PARAMS, tiny_data, seed=2)
    curve = [metrics["val_loss"] for _, metrics in run]
    assert (run.result.score, run.result.best_epoch) == (curve[-1], 3)
    assert run.model is not None
    x, labels = tiny_data.validation.x, tiny_data.validation.labels
    assert run.model.evaluate(x, labels, verbose=0)[0] == pytest.approx(curve[-1], rel=1e-5)


@pytest.mark.slow
def test_an_objective_that_is_said_to_be_of_nothing_keeps_no_errors_though_they_are_near_it(
    tiny_task: MakeTask, tiny_data: TrainingData
) -> None:
    """A loss that happens to be the share of wrong images is no share."""

    class Chance(Classes):
        def errors(self, predicted: Any, labels: Any) -> np.ndarray:
            return np.full(len(labels), self.loss_value)

        loss_value = 0.0

    first = run_trial(tiny_task(objective=Objective("val_loss", "minimize")), PARAMS, tiny_data, seed=2)
    assert first.score is not None
    Chance.loss_value = first.score
    task = tiny_task(objective=Objective("val_loss", "minimize"), encoding=Chance(3))
    again = run_trial(task, PARAMS, tiny_data, seed=2)
    assert (again.score, again.errors) == (first.score, None)


@pytest.mark.slow
def test_a_score_of_the_training_images_is_not_of_the_validation_errors(
    tiny_task: MakeTask, tiny_data: TrainingData
) -> None:
    data = replace(tiny_data, validation=tiny_data.train)  # so that both shares are near each other
    result = run_trial(tiny_task(objective=Objective("accuracy", "maximize")), PARAMS, data, seed=2)
    assert (result.state, result.errors) == ("complete", None)


@pytest.mark.slow
def test_a_missing_objective_is_invalid_and_the_message_has_what_there_is(
    tiny_task: MakeTask, tiny_data: TrainingData
) -> None:
    task = tiny_task(objective=Objective("val_f1", "maximize"))
    assert_failed(run_trial(task, PARAMS, tiny_data, seed=0), "invalid", "'val_f1'", "val_accuracy")


@pytest.mark.slow
@pytest.mark.parametrize("error", [ValueError("no such\nwidth"), TypeError("no such width")])
def test_a_builder_that_refuses_its_params_makes_the_trial_invalid(
    error: Exception, tiny_task: MakeTask, tiny_data: TrainingData
) -> None:
    def build(*, input_shape: tuple[int, ...], head: Head, units: int) -> keras.Model:
        raise error

    result = run_trial(tiny_task(build=build), PARAMS, tiny_data, seed=0)
    assert_failed(result, "invalid", f"{type(error).__name__}: no such width")


@pytest.mark.slow
def test_an_optimizer_that_refuses_its_params_makes_the_trial_invalid(
    tiny_task: MakeTask, tiny_data: TrainingData
) -> None:
    params = {**PARAMS, "optimizer": "adamm"}
    space = Space(units=Choice(8), learning_rate=Choice(0.05), batch_size=Choice(16), optimizer=Choice("adam", "adamm"))
    result = run_trial(tiny_task(space=space, baseline=params | {"optimizer": "adam"}), params, tiny_data, seed=0)
    assert_failed(result, "invalid", "adamm")


@pytest.mark.parametrize(
    ("error", "reason", "message"),
    [
        (MemoryError(), "out-of-memory", "MemoryError"),
        (RuntimeError("two\nlines"), "crashed", "RuntimeError: two lines"),
        (KeyError("x" * 1000), "crashed", "KeyError: 'xxx"),
        (ValueError("not the builder's"), "crashed", "ValueError: not the builder's"),
    ],
)
def test_an_exception_is_a_result_in_one_line(
    error: Exception, reason: str, message: str, tiny_data: TrainingData
) -> None:
    result = run_trial(own_task(*scores(0.4), error), {}, tiny_data, seed=0)
    assert_failed(result, reason, message)
    assert result.history == tuple(scores(0.4))


@pytest.mark.slow
def test_a_device_without_memory_left_is_out_of_memory(tiny_task: MakeTask, tiny_data: TrainingData) -> None:
    import tensorflow as tf

    def build(*, input_shape: tuple[int, ...], head: Head, units: int) -> keras.Model:
        raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor")

    result = run_trial(tiny_task(build=build), PARAMS, tiny_data, seed=0)
    assert_failed(result, "out-of-memory", "OOM when allocating")


@pytest.mark.slow
def test_images_of_another_type_than_the_models_are_invalid(tiny_task: MakeTask, tiny_data: TrainingData) -> None:
    def halved(split: Split) -> Split:
        return Split((split.x / 255).astype(np.float32), split.labels)

    data = TrainingData("floats", halved(tiny_data.train), halved(tiny_data.validation), digest="floats")
    assert_failed(run_trial(tiny_task(), PARAMS, data, seed=0), "invalid", "uint8", "float32")


def test_a_trial_left_before_its_end_has_failed(tiny_data: TrainingData) -> None:
    run = TrialRun(own_task(*scores(0.4, 0.5)), {}, tiny_data, seed=0)
    next(iter(run))
    assert (run.result.state, run.result.reason) == ("failed", "crashed")


def test_an_exception_without_words_is_its_name() -> None:
    assert one_line(MemoryError()) == "MemoryError"


def test_a_network_that_breaks_a_limit_by_its_size_is_not_trained(tiny_task: MakeTask, tiny_data: TrainingData) -> None:
    result = run_trial(tiny_task(), PARAMS, tiny_data, seed=0, constraints=[Constraint("parameters", "<=", 10.0)])
    assert (result.state, result.reason, result.history) == ("failed", "infeasible", ())
    assert result.weights is not None
    assert result.message == f"parameters would be {result.weights}, and needs parameters<=10"


def test_latency_is_measured_where_it_is_limited(tiny_task: MakeTask, tiny_data: TrainingData) -> None:
    result = run_trial(tiny_task(), PARAMS, tiny_data, seed=0, constraints=[Constraint("latency", "<=", 1e-9)])
    assert result.state == "complete"  # it is known only after training
    assert result.metrics["latency"] > 0


COST = [Constraint("cost", "<=", 5.0)]


def test_a_limit_on_what_a_task_says_of_params_is_checked_before_training(tiny_data: TrainingData) -> None:
    task = own_task(*scores(0.5), constraints=lambda params: {"cost": 4 * params["units"]})
    cheap, dear = (run_trial(task, {"units": units}, tiny_data, seed=0, constraints=COST) for units in (1, 2))
    assert (cheap.state, cheap.metrics) == ("complete", {"val_accuracy": 0.5, "cost": 4.0})
    assert (dear.state, dear.reason, dear.metrics) == ("failed", "infeasible", {"cost": 8.0})
    assert dear.message == "cost would be 8, and needs cost<=5"


@pytest.mark.parametrize("cost", [np.float32(4), np.array(4), keras.ops.convert_to_tensor(4.0)])
def test_what_a_task_says_of_params_may_be_scalars_of_any_kind(cost: Any, tiny_data: TrainingData) -> None:
    task = own_task(*scores(0.5), constraints=lambda params: {"cost": cost})
    assert run_trial(task, {"units": 1}, tiny_data, seed=0, constraints=COST).metrics["cost"] == 4.0


@pytest.mark.parametrize("answer", [7, {"cost": "much"}, {"cost": float("nan")}, {1: 2.0}])
def test_a_task_that_says_no_numbers_of_params_is_told(answer: Any, tiny_data: TrainingData) -> None:
    task = own_task(*scores(0.5), constraints=lambda params: answer)
    result = run_trial(task, {"units": 1}, tiny_data, seed=0)
    assert (result.state, result.reason) == ("failed", "invalid")
    assert "the task's constraints need to return numbers by names; got" in str(result.message)


def test_a_limit_on_what_nothing_measures_fails_with_what_there_is(tiny_data: TrainingData) -> None:
    result = run_trial(own_task(*scores(0.5)), {"units": 1}, tiny_data, seed=0, constraints=COST)
    assert result.message == "no metric 'cost' to judge by; the trial has val_accuracy"
