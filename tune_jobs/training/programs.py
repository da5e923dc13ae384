"""Programs that a worker keeps: the traced functions of a training, for the next trial whose graph is the same.

Tracing takes most of a short trial. A trial builds its own model all the same, and its values are copied into the kept
one: weights, states of random generators, the optimizer's variables, the learning rate among them. What a graph holds
as constants is its key. Initializers and seeds are no part of it, for they only make first values. A trial whose graph
depends on anything that is not known here, such as a layer or a loss of the user's, keeps nothing and is given nothing.
"""

from __future__ import annotations

import functools
import hashlib
import json
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from types import FunctionType
from typing import Any

import numpy as np
import tensorflow as tf

from tune_jobs.models.label_encodings import LabelEncoding
from tune_jobs.models.lazy_keras import keras
from tune_jobs.training import replicas
from tune_jobs.training.compiled import CompiledEpochs

MOST = 8  # programs
MOST_MB = 256.0  # of their variables; one is kept in any case

_KERAS, _OURS = "keras.", "tune_jobs.models."  # modules whose configurations say all
_LAYERS = ("keras.src.layers.", "keras.src.models.", "tune_jobs.models.random_view")
_VALUES = ("__keras_tensor__", "__numpy__", "__tensor__", "__slice__", "__tuple__")  # as Keras serializes them
_OPAQUE = ("function", "Lambda", "__lambda__", "TFSMLayer", "TorchModuleWrapper", "JaxLayer", "FlaxLayer")


class _UnknownError(Exception):
    """A graph may depend on something that cannot be compared."""


@dataclass(frozen=True, eq=False)
class Program:
    """A model with its compiled epochs; `key` is None for one that cannot be kept."""

    model: keras.Model
    epochs: CompiledEpochs
    key: str | None

    @property
    def size_mb(self) -> float:
        return sum(float(np.prod(variable.shape)) * 4 for variable in self.epochs.all_variables()) / 2**20


_kept: dict[str, Program] = {}  # the one that was used last is the last


def of(model: keras.Model, encoding: LabelEncoding, *, batch_size: int, seed: int, is_plain: bool) -> Program:
    """Return a program that trains `model`, untrained as it is: a kept one if there is, which is then kept no longer.

    Its model is to be used in place of `model`. A training that is not `is_plain` has code of the task's around its
    epochs, which may hold on to the model.
    """
    key = _key(model, encoding, batch_size) if is_plain else None
    kept = None if key is None else _kept.pop(key, None)
    if kept is None:
        return Program(model, CompiledEpochs(model, batch_size=batch_size, seed=seed), key)
    kept.epochs.begin_as(model, seed)
    return kept


def keep(program: Program) -> None:
    """Keep a program, whose model nobody uses any more, for a later trial."""
    if program.key is None:
        return
    _kept[program.key] = program
    while len(_kept) > 1 and (len(_kept) > MOST or sum(each.size_mb for each in _kept.values()) > MOST_MB):
        _kept.pop(next(iter(_kept)))


def _key(model: keras.Model, encoding: LabelEncoding, batch_size: int) -> str | None:
    """Return a digest of all that the graph of a training depends on; None if that is not known."""
    if replicas.count() > 1 or model.run_eagerly or model.jit_compile:
        return None
    try:
        with warnings.catch_warnings(action="ignore"):  # Keras warns of a lambda that it serializes
            told = [_network(model), _optimizer(model.optimizer), _scores(model, encoding), batch_size, _settings()]
    except _UnknownError:
        return None
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()


def _settings() -> list[Any]:
    """Return what a trial's code may have set for the whole process (`tensorflow_process.reset` undoes it)."""
    config, graphs = keras.config, tf.config.optimizer
    of_graphs = [graphs.get_jit(), graphs.get_experimental_options(), tf.config.functions_run_eagerly()]
    return [config.floatx(), config.epsilon(), config.image_data_format(), config.dtype_policy().name, *of_graphs]


def _network(model: keras.Model) -> list[Any]:
    if not type(model).__module__.startswith("keras.src.models."):
        raise _UnknownError
    if not all(map(_is_known, model._flatten_layers())):
        raise _UnknownError
    variables = [[each.path, list(each.shape), str(each.dtype), bool(each.trainable)] for each in model.variables]
    return [_plain(model.get_config()), [_attributes(layer) for layer in model._flatten_layers()], variables]


def _is_known(layer: keras.layers.Layer) -> bool:
    """Return True if a layer's configuration says all.

    It has only the name of a function of the user's, and nothing of the data to which a layer was adapted. The states
    that a stateful layer carries from batch to batch are no variables of its model.
    """
    if not type(layer).__module__.startswith(_LAYERS) or hasattr(layer, "adapt") or getattr(layer, "stateful", False):
        return False
    used = [value for value in vars(layer).values() if callable(value)]
    modules = [getattr(value, "__module__", None) or type(value).__module__ for value in used]
    return all(f"{module}.".startswith((_KERAS, _OURS)) for module in modules)


def _optimizer(optimizer: Any) -> Any:
    """Return an optimizer's configuration, without a learning rate that is a variable."""
    if not type(optimizer).__module__.startswith("keras.src.optimizers.") or hasattr(optimizer, "inner_optimizer"):
        raise _UnknownError
    if getattr(optimizer, "_exclude_from_weight_decay", None):
        raise _UnknownError
    config = dict(optimizer.get_config())
    if "learning_rate" not in config:  # it has other optimizers inside
        raise _UnknownError
    if isinstance(config["learning_rate"], float):
        del config["learning_rate"]
    told = {name: value for name, value in (_attributes(optimizer) | config).items() if name != "name"}
    return [type(optimizer).__name__, _plain(told)]


def _scores(model: keras.Model, encoding: LabelEncoding) -> Any:
    """Return what the loss and the metrics are: the encoding's, or those that the builder compiled."""
    if encoding.loss() is not None:
        return _plain(encoding)
    given = model._compile_config.config
    return [_plain(encoding), {name: _plain(value) for name, value in given.items() if name != "optimizer"}]


def _attributes(thing: Any) -> dict[str, Any]:
    """Return the attributes that are plain values: a configuration may leave some out, as that of Huber's loss does."""
    return {name: value for name, value in vars(thing).items() if isinstance(value, str | bool | int | float | None)}


def _plain(value: Any) -> Any:
    """Return a value as JSON has it, if it is equal for equal graphs only.

    Raises:
        _UnknownError: it is not known when two such are equal.
    """
    if value is None or isinstance(value, str | bool | int | float):
        return value
    if isinstance(value, Mapping):
        return _of_mapping(value)
    if isinstance(value, Sequence):
        return [_plain(each) for each in value]
    return _of_object(value)


def _of_mapping(value: Mapping[Any, Any]) -> Any:
    """Return a mapping; of what Keras serialized, only if it is Keras' own or ours. Initial values are no matter."""
    name = value.get("class_name")
    if name in _OPAQUE or (name and name not in _VALUES and not f"{value.get('module')}.".startswith((_KERAS, _OURS))):
        raise _UnknownError
    kept = {
        str(name): each for name, each in value.items() if name != "seed" and not str(name).endswith("_initializer")
    }
    return {name: _plain(each) for name, each in sorted(kept.items())}


def _of_object(value: Any) -> Any:
    module = f"{getattr(value, '__module__', '')}."
    if isinstance(value, functools.partial):
        return [_plain(value.func), _plain(value.args), _plain(value.keywords)]
    if isinstance(value, FunctionType) and module.startswith(_OURS):
        cells = [cell.cell_contents for cell in value.__closure__ or ()]
        return [module, value.__qualname__, value.__code__.co_firstlineno, _plain(cells), _plain(value.__defaults__)]
    if is_dataclass(value) and type(value).__module__.startswith(_OURS):
        return [module, type(value).__qualname__, [_plain(getattr(value, each.name)) for each in fields(value)]]
    if isinstance(value, FunctionType) and module.startswith(_KERAS):
        return [module, value.__qualname__]
    if type(value).__module__.startswith("keras.src."):
        return [module, type(value).__qualname__, *_inside(value)]
    raise _UnknownError


def _inside(thing: Any) -> list[Any]:
    """Return what is in a loss, a metric or a policy of Keras' but for what it has counted."""
    if isinstance(thing, keras.Variable) or type(thing).__module__ == "keras.src.utils.tracking":
        return []
    return [[name, _plain(value)] for name, value in sorted(vars(thing).items())]
