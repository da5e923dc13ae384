"""Callbacks that a task names do in a trial what they do in `fit`, or are refused before it trains."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest

from tests.support.beside_fit import BATCH, SEED, assert_same_epochs, assert_same_weights, fitted
from tune_jobs.actions import session
from tune_jobs.datasets import Split, TrainingData
from tune_jobs.errors import UserError
from tune_jobs.execution.plan import Resources
from tune_jobs.search_spaces import Choice, Objective, Protocol, Space, Task, TaskError
from tune_jobs.training import epochs
from tune_jobs.training.runs import run_trial
from tune_jobs.training.trial import TrialRun

# of Keras, when it reads a learning rate
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

SPACE = Space(width=Choice(4))
X = np.random.default_rng(0).normal(size=(120, 4))
Y = X.sum(axis=1, keepdims=True)
DATA = TrainingData("own", Split(X[:90], Y[:90]), Split(X[90:], Y[90:]), "none")
EPOCHS = 6


def build(*, width: int) -> keras.Model:
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(width, "tanh"), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(0.1), "mse", metrics=["mae"])
    return model


def task(called: Callable[..., Any] | None, space: Space = SPACE, **changes: Any) -> Task:
    parts = {
        "dataset": lambda: ((X, Y), (X, Y)),
        "protocol": Protocol(epochs=EPOCHS, batch_size=BATCH, validation=0.25),
        "build": build,
        "callbacks": called,
    }
    return Task("called", space, Objective("val_loss", "minimize"), **parts | changes)


class Diary(keras.callbacks.Callback):  # type: ignore[misc]
    """Notes when it is called, and with what."""

    def __init__(self) -> None:
        super().__init__()
        self.pages: list[Any] = []

    def on_train_begin(self, logs: Any = None) -> None:
        self.pages.append(("begin", self.params["epochs"], self.params["steps"]))

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        self.pages.append(("epoch begins", epoch))

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self.pages.append(("epoch ends", epoch, sorted(logs)))

    def on_test_begin(self, logs: Any = None) -> None:
        self.pages.append("test begins")

    def on_test_end(self, logs: Any = None) -> None:
        self.pages.append(("test ends", sorted(logs)))

    def on_train_end(self, logs: Any = None) -> None:
        self.pages.append(("end", sorted(logs)))


def falling(epoch: int, rate: float) -> float:
    return rate * 0.5


CALLBACKS: dict[str, Callable[[], list[Any]]] = {
    "schedule": lambda: [keras.callbacks.LearningRateScheduler(falling)],
    "plateau": lambda: [keras.callbacks.ReduceLROnPlateau("val_loss", factor=0.1, patience=1, min_delta=0.5)],
    "stopping": lambda: [keras.callbacks.EarlyStopping("mae", patience=1, min_delta=0.3)],
    "own": lambda: [
        keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: logs.update(twice=2 * logs["loss"]))
    ],
    "file": lambda: [keras.callbacks.CSVLogger("log.csv")],
}


@pytest.mark.slow
@pytest.mark.parametrize("name", CALLBACKS)
def test_callbacks_do_what_they_do_in_fit(name: str, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    made = task(CALLBACKS[name])
    run = TrialRun(made, {"width": 4}, DATA, seed=SEED)
    found = [metrics for _, metrics in run]
    assert (run.result.state, run.result.message) == ("complete", None)
    model = epochs.build_model(made, {"width": 4}, DATA, seed=SEED)
    assert_same_epochs(found, fitted(model, DATA, epochs=EPOCHS, callbacks=CALLBACKS[name]()))
    assert (len(found) < EPOCHS) == (name == "stopping")
    if run.result.best_epoch == len(found):
        assert run.model is not None
        assert_same_weights(run.model, model)
    if name in ("schedule", "plateau"):
        assert found[-1]["learning_rate"] < 0.1


@pytest.mark.slow
def test_callbacks_are_called_in_the_order_of_fit() -> None:
    ours, theirs = Diary(), Diary()
    made = task(lambda: [ours])
    list(TrialRun(made, {"width": 4}, DATA, seed=SEED))
    fitted(epochs.build_model(made, {"width": 4}, DATA, seed=SEED), DATA, epochs=EPOCHS, callbacks=[theirs])
    assert ours.pages == theirs.pages
    assert ours.pages[-1][0] == "end"


@pytest.mark.slow
def test_the_weights_of_the_best_epoch_win_over_those_that_a_callback_restores() -> None:
    made = task(
        lambda: [keras.callbacks.EarlyStopping("loss", mode="max", patience=3, restore_best_weights=True)],
    )
    run = TrialRun(made, {"width": 4}, DATA, seed=SEED)
    list(run)
    assert run.model is not None
    assert run.model.evaluate(X[90:], Y[90:], verbose=0)[0] == pytest.approx(run.result.score, rel=1e-5)
    assert len(run.result.history) == 4


@pytest.mark.slow
def test_callbacks_take_parameters_of_the_space() -> None:
    def callbacks(*, drop: float) -> list[Any]:
        return [keras.callbacks.LearningRateScheduler(lambda epoch: 0.1 * drop)]

    space = Space(width=Choice(4), drop=Choice(0.5, 0.25))
    made = task(callbacks, space=space, baseline={"width": 4, "drop": 0.5})
    shares = (0.5, 0.25)
    results = [run_trial(made, {"width": 4, "drop": share}, DATA, seed=0) for share in shares]
    assert [result.metrics["learning_rate"] for result in results] == pytest.approx([0.05, 0.025])


def build_nothing() -> list[Any]:
    return []


def test_callbacks_count_in_the_digest() -> None:
    assert len({task(called).digest() for called in (None, CALLBACKS["plateau"], build_nothing)}) == 3


class OfBatches(keras.callbacks.Callback):  # type: ignore[misc]
    def on_train_batch_end(self, batch: int, logs: Any = None) -> None: ...


@pytest.mark.slow
@pytest.mark.parametrize(
    ("callbacks", "message"),
    [
        (lambda: [OfBatches()], "the callback OfBatches asks to be called at every batch (on_train_batch_end)"),
        (lambda: [keras.callbacks.LambdaCallback(on_train_batch_begin=print)], "(on_train_batch_begin)"),
        (lambda: [keras.callbacks.EarlyStopping], "callbacks needs to return a list of keras.callbacks; one is <class"),
    ],
)
def test_what_an_epoch_in_one_call_cannot_do_is_refused_before_it_trains(callbacks: Any, message: str) -> None:
    run = TrialRun(task(callbacks), {"width": 4}, DATA, seed=0)
    with pytest.raises(TaskError) as refused:
        list(run)
    assert message in str(refused.value)
    assert run.result.history == ()


@pytest.mark.slow
def test_a_task_with_callbacks_cannot_be_taken_up_in_the_middle() -> None:
    made = task(CALLBACKS["plateau"])
    run = TrialRun(made, {"width": 4}, DATA, seed=0)
    next(iter(run))
    assert run.checkpoint() is None
    with pytest.raises(UserError, match="callbacks of its own, which cannot be taken up in the middle: leave out --ch"):
        session.check(made, Resources(checkpoint_every=1), is_population=False)


def test_callbacks_belong_to_a_network() -> None:
    with pytest.raises(TaskError, match="callbacks needs a function, and a network that build returns"):
        task(lambda: [], build=None, train=lambda params, data, *, seed, epochs: None)
    with pytest.raises(TaskError, match="needs 'drop' and the space does not always set it"):
        task(lambda *, drop: [])
