"""A saved generative model draws pictures by the command line, and what cannot is said in one line."""

from __future__ import annotations

import io
import zipfile
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

from tests.support.image_folders import draw
from tests.support.sweeping import called
from tune_jobs import datasets
from tune_jobs.models import mlp
from tune_jobs.models.generative import autoencoder, gan, vae
from tune_jobs.models.label_encodings import Classes
from tune_jobs.prediction import keras_files, saved_models
from tune_jobs.prediction.saved_models import Origin
from tune_jobs.search_spaces import catalog
from tune_jobs.search_spaces.tasks.generative import GENERATIVE_QUICK
from tune_jobs.settings import Settings

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning"),  # of Keras, when it saves
]
SMALL = {"input_shape": (8, 8, 1), "latent_dim": 5, "filters": 4, "depth": 2, "upsampling": 1}


def origin(task_name: str = "generative-quick") -> Origin:
    task = catalog.find(task_name)
    data = datasets.load_for_task(task, Path())
    return Origin(
        task=task.name,
        reference=task.name,
        task_digest=task.digest(),
        params=dict(task.baseline),
        seed=0,
        encoding=task.encoding_of(task.baseline).name,
        input_shape=(8, 8, 1),
        dataset=data.name,
        data_digest=data.digest,
        metric="val_negative_elbo",
        direction="minimize",
        score=1.0,
        versions={},
    )


def saved(model: keras.Model, path: Path, said: Origin | None = None) -> str:
    keras_files.bare(model).save(path)
    saved_models.add(path, said or origin())
    return str(path)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("models")
    keras.utils.set_random_seed(0)
    made = {
        "vae": vae.build(**SMALL, likelihood="gaussian"),
        "gan": gan.build(**SMALL, spectral_normalization=True),
        "cae": autoencoder.build(**SMALL),
    }
    paths = {name: saved(model, folder / f"{name}.keras") for name, model in made.items()}
    classifier = mlp.build(input_shape=(8, 8, 1), head=Classes(10).head)
    return paths | {"mlp": saved(classifier, folder / "mlp.keras", origin("digits-mlp"))}


def size(path: Path) -> tuple[int, int]:
    return Image.open(io.BytesIO(path.read_bytes())).size


@pytest.mark.parametrize("family", ["vae", "gan"])
def test_samples_repeat_with_their_seed(
    family: str, models: dict[str, str], settings: Settings, tmp_path: Path
) -> None:
    pictures = []
    for number, seed in enumerate(("1", "1", "2")):
        path = tmp_path / f"{number}.png"
        code, stdout, stderr = called(settings, "generate", models[family], "--n", "9", "--seed", seed, "-o", str(path))
        assert (code, stdout) == (0, f"picture saved to {path}\n"), stderr
        pictures.append(path.read_bytes())
    assert size(path) == (8 * 57 + 1, 2 * 57 + 1)
    assert pictures[0] == pictures[1] != pictures[2]


def test_a_saved_model_draws_what_it_drew(models: dict[str, str]) -> None:
    keras.utils.set_random_seed(0)
    model = vae.build(**SMALL, likelihood="gaussian")
    loaded = keras_files.load(Path(models["vae"]), GENERATIVE_QUICK)
    points = np.random.default_rng(0).normal(size=(3, 5)).astype(np.float32)
    np.testing.assert_allclose(loaded.decode(points), model.decode(points), rtol=1e-5)
    assert (loaded.beta, loaded.likelihood, float(loaded.log_scale)) == (1.0, "gaussian", float(model.log_scale))


def test_walks_ways_and_maps_are_pictures_too(models: dict[str, str], settings: Settings, tmp_path: Path) -> None:
    digits = []
    for number in range(2):
        digits.append(tmp_path / f"digit-{number}.png")
        Image.fromarray(np.random.default_rng(number).integers(0, 256, (8, 8), dtype=np.uint8)).save(digits[-1])
    asked = {
        "walk": (["--walk", "2,5", "--n", "16"], (8 * 57 + 1, 2 * 57 + 1)),
        "between": (["--between", *map(str, digits)], (8 * 57 + 1, 57 + 1)),
        "map": (["--map"], (800, 800)),
    }
    for name, (arguments, expected) in asked.items():
        path = tmp_path / f"{name}.png"
        code, _, stderr = called(settings, "generate", models["vae"], *arguments, "-o", str(path))
        assert code == 0, stderr
        assert size(path) == expected


def test_a_map_is_of_the_data_of_a_model_that_was_trained_on_some_of_the_images(
    models: dict[str, str], settings: Settings, tmp_path: Path
) -> None:
    task = catalog.find("generative-quick")
    fewer = datasets.load_for_task(replace(task, protocol=replace(task.protocol, images=300)), Path())
    model = keras_files.load(Path(models["vae"]), GENERATIVE_QUICK)
    path = saved(model, tmp_path / "few.keras", replace(origin(), data_digest=fewer.digest, images=300))
    code, _, stderr = called(settings, "generate", path, "--map", "-o", str(tmp_path / "map.png"))
    assert code == 0, stderr
    path = saved(model, tmp_path / "other.keras", replace(origin(), data_digest=fewer.digest))
    code, _, stderr = called(settings, "generate", path, "--map", "-o", str(tmp_path / "map.png"))
    assert (code, f"the model was trained on data {fewer.digest}" in stderr) == (2, True)


def test_a_map_is_of_the_data_set_that_was_given_in_place_of_the_tasks_own(
    models: dict[str, str], settings: Settings, tmp_path: Path
) -> None:
    for digit in range(2):
        for number in range(10):
            draw(settings.data_dir / "mine" / str(digit) / f"{number}.png", 90 * digit + 50, (8, 8), number)
    task = datasets.on_data(catalog.find("generative-quick"), "mine")
    given = datasets.load_for_task(task, settings.data_dir)
    model = keras_files.load(Path(models["vae"]), GENERATIVE_QUICK)
    of_given = replace(origin(), dataset="mine", data_digest=given.digest, given_data="mine")
    path = saved(model, tmp_path / "given.keras", of_given)
    code, _, stderr = called(settings, "generate", path, "--map", "-o", str(tmp_path / "map.png"))
    assert code == 0, stderr
    assert size(tmp_path / "map.png") == (800, 800)


def test_what_a_model_cannot_draw_is_said_in_one_line(
    models: dict[str, str], settings: Settings, tmp_path: Path
) -> None:
    image = tmp_path / "digit.png"
    Image.new("L", (8, 8)).save(image)
    damaged, foreign = tmp_path / "damaged.keras", tmp_path / "foreign.keras"
    damaged.write_bytes(Path(models["vae"]).read_bytes()[:2000])
    with zipfile.ZipFile(foreign, "w") as archive:
        archive.writestr("config.json", "{}")
    saved_models.add(foreign, replace(origin(), seed=1))
    cases = [
        ([models["cae"]], "is an autoencoder, whose latents have no distribution to draw samples from"),
        ([models["cae"], "--walk", "1"], "no distribution to draw walks from"),
        ([models["gan"], "--map"], "has no encoder, which --between and --map need"),
        ([models["gan"], "--between", str(image), str(image)], "has no encoder"),
        ([models["vae"], "--walk", "6"], "the latents have the coordinates 1 to 5; got 6"),
        ([models["vae"], "--walk", "a"], "--walk needs coordinates from 1 on, such as 10,27; got 'a'"),
        ([models["vae"], "--walk", "1", "--map"], "give one of them"),
        ([models["vae"], "--between", str(image), str(tmp_path / "no.png")], "there is no file"),
        ([models["mlp"]], "is a model of digits-mlp, which draws no images"),
        ([str(damaged)], "is no Keras model, or damaged"),
        ([str(foreign)], "Keras cannot load"),
        ([str(tmp_path / "no.keras")], "there is no file"),
    ]
    for arguments, message in cases:
        code, _, stderr = called(settings, "generate", *arguments, "-o", str(tmp_path / "out.png"))
        assert code == 2
        assert message in stderr
        assert stderr.count("\n") == 1, stderr
    code, _, stderr = called(settings, "generate", models["vae"], "-o", "out.jpg")
    assert (code, "a picture is saved as FILE.png; got out.jpg" in stderr) == (2, True)
