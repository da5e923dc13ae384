"""Keras callbacks that a task names, called at the ends of epochs as `fit` calls them.

An epoch is one compiled call, so that nothing can be called between its batches: callbacks that ask for it are refused.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from tune_jobs.models.lazy_keras import keras
from tune_jobs.search_spaces.protocol import TaskError
from tune_jobs.training.numbers import as_numbers

# Of `Callback`, what is called between batches; the second names are of earlier versions of Keras.
_OF_BATCHES = (
    *("on_train_batch_begin", "on_train_batch_end", "on_batch_begin", "on_batch_end"),
    *("on_test_batch_begin", "on_test_batch_end"),
)


class EpochCallbacks:
    """The callbacks of one trial.

    Raises:
        TaskError: one of them is no callback, or asks to be called between batches.
    """

    def __init__(self, callbacks: Any, model: keras.Model, *, epochs: int | None, steps: int) -> None:
        given = list(callbacks)
        for callback in given:
            _check(callback)
        self._model = model
        last = keras.callbacks.LambdaCallback(on_epoch_end=self._note)  # sees what the others added
        self._list = keras.callbacks.CallbackList(
            [*given, last], add_history=False, add_progbar=False, model=model, epochs=epochs, steps=steps, verbose=0
        )
        self._epoch = 0
        self._last: dict[str, float] | None = None
        self._has_ended = False

    def begin(self) -> None:
        self._model.stop_training = False
        self._list.on_train_begin()

    @property
    def wants_more(self) -> bool:
        """False once a callback has ended the training."""
        return not self._model.stop_training

    def epoch(self, train: Callable[[], Mapping[str, float]], validate: Callable[[], Mapping[str, float]]) -> Any:
        """Run an epoch, and return its metrics with what callbacks added to them, such as the learning rate."""
        self._list.on_epoch_begin(self._epoch)
        logs: dict[str, Any] = dict(train())
        self._list.on_test_begin()
        validated = validate()
        self._list.on_test_end(dict(validated))
        logs.update({f"val_{name}": value for name, value in validated.items()})
        self._list.on_epoch_end(self._epoch, logs)
        self._epoch += 1
        return self._last

    def _note(self, epoch: int, logs: Mapping[str, Any]) -> None:
        self._last = as_numbers(logs)

    def end(self) -> None:
        """Tell them once that the training is over."""
        if not self._has_ended and self._epoch:
            self._has_ended = True
            self._list.on_train_end(self._last)


def _check(callback: Any) -> None:
    base = keras.callbacks.Callback
    if not isinstance(callback, base):
        raise TaskError(f"callbacks needs to return a list of keras.callbacks; one is {callback!r}")
    for name in _OF_BATCHES:
        own = getattr(callback, name)
        if inspect.unwrap(getattr(own, "__func__", own)) is not inspect.unwrap(getattr(base, name)):
            raise TaskError(
                f"the callback {type(callback).__name__} asks to be called at every batch ({name}), and an epoch is "
                "one compiled call: leave it out, or do what it does at the ends of epochs"
            )
