"""A trained model in the forms of other programs: a SavedModel, ONNX or TFLite, each checked on real inputs.

Each says where it is from, in the place that its form has for such a text.
"""

from __future__ import annotations

import importlib.util
import warnings
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tune_jobs.errors import SettingsError, UserError
from tune_jobs.words import one_line

if TYPE_CHECKING:
    from tune_jobs.models.lazy_keras import keras

_RTOL, _ATOL = 1e-3, 1e-4  # between a model and an exported one, whose kernels add up in another order


@dataclass(frozen=True)
class Form:
    """A form of a model: what it is called, Keras' name of it, and the packages that it needs beside TensorFlow."""

    title: str
    format: str
    packages: tuple[str, ...]
    run: Callable[[Path, Mapping[str, Any]], Sequence[Any]]  # an exported model, from arrays by inputs' names to arrays
    annotate: Callable[[Path, str, str], None]  # writes a text into an exported model, under a name


def form_of(path: Path) -> Form | None:
    """Return the form of which a path is, by its suffix; a path without one is a SavedModel's folder."""
    return _FORMS.get(path.suffix)


def check(form: Form) -> None:
    """Check that what a form needs is installed.

    Raises:
        SettingsError: it is not.
    """
    missing = [package for package in form.packages if importlib.util.find_spec(package) is None]
    if missing:
        raise SettingsError(
            f"{form.title} needs {' and '.join(missing)}: run `pip install 'tune-jobs[onnx]'`, or save another form"
        )


def export(model: keras.Model, path: Path, form: Form, inputs: Any, note: tuple[str, str]) -> float:
    """Write a model in a form, and return by how much its outputs on `inputs` differ from the model's at most.

    `inputs` is a batch as the model takes it, one array or a nest of them. `note` is a name and a text, which the
    exported model keeps under it.

    Raises:
        UserError: the model has no such form, or its outputs there are others.
    """
    from tune_jobs.models.lazy_keras import keras

    wanted = [np.asarray(leaf) for leaf in keras.tree.flatten(model(inputs, training=False))]
    try:
        model.export(str(path), format=form.format, verbose=False)
        form.annotate(path, *note)
        exported = form.run(path, _by_name(model, inputs))
    except Exception as error:  # converters raise whatever they come upon
        raise UserError(f"the model cannot be written as {form.title}: {one_line(error)}") from error
    return _difference(wanted, exported, form)


def _difference(wanted: Sequence[Any], exported: Sequence[Any], form: Form) -> float:
    left, largest = list(exported), 0.0
    for output in wanted:
        same = next((each for each in left if each.shape == output.shape and _is_near(each, output)), None)
        if same is None:
            raise UserError(f"{form.title} has other outputs than the model on the same inputs: it was not kept")
        left = [each for each in left if each is not same]
        largest = max(largest, float(np.max(np.abs(same - output), initial=0.0)))
    return largest


def _is_near(values: Any, wanted: Any) -> bool:
    return bool(np.allclose(values, wanted, rtol=_RTOL, atol=_ATOL, equal_nan=True))


def _by_name(model: keras.Model, inputs: Any) -> dict[str, Any]:
    """Return the arrays of a batch by the names of the inputs, which an exported model keeps."""
    from tune_jobs.models.lazy_keras import keras

    arrays = [np.asarray(leaf) for leaf in keras.tree.flatten(inputs)]
    if len(arrays) == 1:
        return {"inputs": arrays[0]}  # whatever its name is
    names = [str(tensor.name) for tensor in keras.tree.flatten(model.input)]
    return dict(zip(names, arrays, strict=True))


def _named(names: Sequence[str], inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arrays by the names that an exported model has for them."""
    if len(names) == len(inputs) == 1:
        return {names[0]: next(iter(inputs.values()))}
    return {name: inputs[name] for name in names}


def _run_saved_model(path: Path, inputs: Mapping[str, Any]) -> Sequence[Any]:
    import tensorflow as tf

    served = tf.saved_model.load(str(path)).signatures["serving_default"]
    named = _named(list(served.structured_input_signature[1]), inputs)
    return [value.numpy() for value in served(**{name: tf.constant(array) for name, array in named.items()}).values()]


def _run_tflite(path: Path, inputs: Mapping[str, Any]) -> Sequence[Any]:
    import tensorflow as tf

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TensorFlow's own interpreter moves to another package
        interpreter = tf.lite.Interpreter(str(path))
        runner = interpreter.get_signature_runner()
        return list(runner(**_named(list(runner.get_input_details()), inputs)).values())


def _run_onnx(path: Path, inputs: Mapping[str, Any]) -> Sequence[Any]:
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path))
    outputs: Sequence[Any] = session.run(None, _named([each.name for each in session.get_inputs()], inputs))
    return outputs


def _annotate_saved_model(path: Path, name: str, text: str) -> None:
    """Write a file into the folder that a SavedModel has for what TensorFlow does not read."""
    folder = path / "assets.extra"
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(text, encoding="utf-8")


def _annotate_tflite(path: Path, name: str, text: str) -> None:
    """Append a zip archive, in which TFLite's own tools keep the files that belong to a model."""
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(name, text)


def _annotate_onnx(path: Path, name: str, text: str) -> None:
    import onnx

    model = onnx.load(str(path))
    onnx.helper.set_model_props(model, {**{prop.key: prop.value for prop in model.metadata_props}, name: text})
    onnx.save(model, str(path))


_FORMS = {
    "": Form("a SavedModel", "tf_saved_model", (), _run_saved_model, _annotate_saved_model),
    ".onnx": Form("ONNX", "onnx", ("tf2onnx", "onnxruntime"), _run_onnx, _annotate_onnx),
    ".tflite": Form("TFLite", "litert", (), _run_tflite, _annotate_tflite),
}
SUFFIXES = tuple(_FORMS)
