"""Models as `.keras` files: what is written of one, whether it can be, and how it is read again."""

from __future__ import annotations

from pathlib import Path

from tune_jobs import temporary
from tune_jobs.errors import UserError
from tune_jobs.models import pictures
from tune_jobs.models.lazy_keras import keras
from tune_jobs.prediction.own_objects import own_objects
from tune_jobs.search_spaces.task import Task
from tune_jobs.words import one_line


class UnsavableModelError(UserError):
    """A model that Keras cannot write."""


def bare(model: keras.Model) -> keras.Model:
    """Return the model without what a plain `load_model` does not know: its optimizer's schedule, and random views.

    A subclass saves itself, in its own way, and is no longer compiled.
    """
    if callable(own := getattr(model, "bare", None)):
        return own()
    if type(model) is keras.Sequential and len(model.outputs) == 1:
        return pictures.without_views(keras.Model(model.inputs[0], model.outputs[0], name=model.name))
    if type(model).__name__ != "Functional":
        model.compiled = False
        return model
    return pictures.without_views(keras.Model(model.input, model.output, name=model.name))


def load(path: Path, task: Task) -> keras.Model:
    """Read a model of the task, in Keras' safe mode: no code in the file is run.

    Raises:
        Exception: of any kind, for a file that is damaged or crafted, or for a layer that the task no longer defines.
    """
    from tune_jobs.models.generative import autoencoder_model, gan_model, vae_model  # noqa: F401 - so Keras knows them

    return keras.saving.load_model(path, custom_objects=own_objects(task), compile=False, safe_mode=True)


def why_not_read(model: keras.Model, task: Task) -> str | None:
    """Write a model and read it again; return why it cannot be read, in one line, or None.

    Raises:
        UnsavableModelError: it cannot be written.
    """
    with temporary.folder() as folder:
        path = folder / "model.keras"
        try:
            bare(model).save(path)
        except OSError:  # there is no room to try it
            return None
        except Exception as error:  # from the code of its layers
            raise UnsavableModelError(
                f"Keras cannot save the model of task {task.name!r} ({one_line(error)}): "
                "a layer or model of your own needs a get_config, and arguments that go into JSON"
            ) from error
        try:
            load(path, task)
        except Exception as error:
            return first_words(error)
    return None


def first_words(error: BaseException) -> str:
    """Return in one line what went wrong first: Keras wraps it in many words, one error in the other."""
    while error.__context__ is not None:
        error = error.__context__
    return one_line(error)
