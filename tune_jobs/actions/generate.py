"""Draw images with a saved model, wherever the file of its task is now."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tune_jobs import datasets, files
from tune_jobs.actions.moved import find_place
from tune_jobs.errors import DataError, SettingsError, UserError
from tune_jobs.prediction import saved_models
from tune_jobs.prediction.generator import Generator
from tune_jobs.search_spaces import catalog
from tune_jobs.settings import Settings


@dataclass(frozen=True)
class GenerateRequest:
    """What is drawn: `n` samples, or the one of the others that is given.

    Raises:
        UserError: more than one of them is given.
    """

    n: int = 64
    seed: int = 0
    walk: tuple[int, ...] = ()
    between: tuple[Path, Path] | None = None
    with_map: bool = False

    def __post_init__(self) -> None:
        if bool(self.walk) + (self.between is not None) + self.with_map > 1:
            raise UserError("--walk, --between and --map each make a picture of their own: give one of them")


def generate(
    model: Path, output: Path, request: GenerateRequest, settings: Settings, *, task: str | None = None
) -> None:
    """Write a PNG of what a saved model draws. `task` says where its task is, if that is not where it was.

    Raises:
        UserError: the file is no model that draws images, or it cannot draw what is asked for.
    """
    if output.suffix != ".png":
        raise SettingsError(f"a picture is saved as FILE.png; got {output}")
    origin = saved_models.read(model)
    place: tuple[str, Sequence[Path]] = (
        (task, ())
        if task is not None
        else find_place(origin.reference, origin.study, origin.task, origin.data_digest, settings)
    )
    files.make_parent(output)
    files.write_bytes(output, _picture(Generator(model, *place), request, settings, place), durable=False)


def _picture(
    generator: Generator, request: GenerateRequest, settings: Settings, place: tuple[str, Sequence[Path]]
) -> bytes:
    if request.walk:
        return generator.walk(request.walk, request.n, request.seed)
    if request.between is not None:
        return generator.between(request.between, min(request.n, 8))
    if request.with_map:
        return _latent_map(generator, settings, place)
    return generator.samples(request.n, request.seed)


def _latent_map(generator: Generator, settings: Settings, place: tuple[str, Sequence[Path]]) -> bytes:
    """Return the map of the validation images that the model was scored on."""
    task = datasets.on_data(catalog.find(*place), generator.origin.given_data)
    task = replace(task, protocol=replace(task.protocol, images=generator.origin.images))
    data = datasets.load_for_task(task, settings.data_dir).training
    if isinstance(data, datasets.StreamedData):
        raise DataError(f"the data set {data.name} is streamed: there are no validation images to make a map of")
    if data.digest != generator.origin.data_digest:
        raise DataError(
            f"the model was trained on data {generator.origin.data_digest}, and {data.name} is now {data.digest}"
        )
    return generator.latent_map(data.validation, data.classes)
