"""Saved models read rows: tables by the names of their columns, arrays, several inputs, texts."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tests.support.sweeping import called, finished_study
from tune_jobs import datasets
from tune_jobs.datasets.dataset import TableColumn
from tune_jobs.exports.best import best_text
from tune_jobs.prediction import input_forms
from tune_jobs.prediction.input_forms import InputForm, RowsError, forms_of
from tune_jobs.settings import Settings

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # of Keras, when it saves

RNG = np.random.default_rng(0)
MATRIX = (InputForm(shape=(2,)),)
COLUMNS = (TableColumn("size"), TableColumn("kind", ("cat", "dog")))


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Write a file of this name."""

    def write(name: str, content: Any) -> Path:
        file = tmp_path / name
        if isinstance(content, str):
            file.write_text(content)
        elif name.endswith(".npy"):
            np.save(file, content)
        elif name.endswith(".npz"):
            np.savez(file, **content)
        else:
            pd.DataFrame(content).to_parquet(file)
        return file

    return write


def test_the_forms_of_inputs() -> None:
    x = np.zeros((3, 2), np.float32)
    assert forms_of(x) == (InputForm("", (2,), "numbers"),)
    texts, images = np.array(["a", "b", "c"], object), np.zeros((3, 4, 4, 1), np.uint8)
    assert forms_of({"b": texts, "a": images}) == (InputForm("a", (4, 4, 1), "uint8"), InputForm("b", (), "texts"))
    assert forms_of((x, x > 0))[1] == InputForm("", (2,), "booleans", 1)
    assert forms_of({"a": {"b": x}}) == ()


def test_columns_go_by_their_names_whatever_their_order(write: Callable[..., Path]) -> None:
    form = (InputForm(shape=(3,)),)
    expected = [[1.5, 0, 1], [2, 1, 0]]
    for file in (
        write("a.csv", "kind,price,size\ndog,9,1.5\ncat,8,2\n"),
        write("b.tsv", "size\tkind\n1.5\tdog\n2\tcat\n"),
        write("c.parquet", {"size": [1.5, 2.0], "kind": ["dog", "cat"]}),
    ):
        assert input_forms.read(file, form, COLUMNS).tolist() == expected


def test_arrays_of_one_input_and_of_several(write: Callable[..., Path]) -> None:
    x = RNG.normal(size=(4, 2))
    assert np.array_equal(input_forms.read(write("x.npy", x), MATRIX, ()), x)
    assert np.array_equal(input_forms.read(write("row.npy", x[0]), MATRIX, ()), x[:1])
    assert np.array_equal(input_forms.read(write("one.npz", {"any": x}), MATRIX, ()), x)
    named = (InputForm("left", (2,)), InputForm("right", (1,)))
    both = input_forms.read(write("two.npz", {"right": x[:, 0], "left": x}), named, ())
    assert np.array_equal(both["left"], x)
    assert np.array_equal(both["right"], x[:, :1])
    placed = (InputForm("", (2,), place=0), InputForm("", (), place=1))
    first, second = input_forms.read(write("three.npz", {"arr_0": x, "arr_1": x[:, 0]}), placed, ())
    assert (first.shape, second.shape) == ((4, 2), (4,))
    table = input_forms.read(write("t.csv", "right,left_0,left_1\n3,1,2\n"), named, ())
    assert (table["left"].tolist(), table["right"].tolist()) == ([[1, 2]], [[3]])
    grey = input_forms.read(write("grey.npy", np.full((2, 3, 3), 7)), (InputForm("", (3, 3, 1), "uint8"),), ())
    assert (grey.shape, grey.dtype) == ((2, 3, 3, 1), np.uint8)


def test_a_text_is_a_line(write: Callable[..., Path]) -> None:
    file = write("films.txt", "good film\nbad, bad film\n")
    assert input_forms.read(file, (InputForm("", (), "texts"),), ()).tolist() == ["good film", "bad, bad film"]
    assert input_forms.read(file, (InputForm("", (1,), "texts"),), ()).shape == (2, 1)


@pytest.mark.parametrize(
    ("name", "content", "forms", "words"),
    [
        ("a.csv", "size,kind\n1,ox\n", (InputForm(shape=(3,)),), "row 1, is 'ox': it needs one of cat, dog"),
        (
            "a.csv",
            "sizes,kind\n1,cat\n",
            (InputForm(shape=(3,)),),
            "no column 'size'; near it: sizes; needed are size, kind",
        ),
        ("a.csv", "size,kind\ntall,cat\n", (InputForm(shape=(3,)),), "row 1, is 'tall', and the column is of numbers"),
        ("x.npy", np.zeros((3, 5)), MATRIX, r"needs rows of the shape \(2,\); got an array of \(3, 5\)"),
        ("x.npy", np.array([[1.0, np.nan]]), MATRIX, "row 1, has a number that is missing or not finite"),
        ("x.npy", np.array([["a", "b"]]), MATRIX, "needs numbers; it has texts"),
        ("x.npy", np.array([[1, 300]]), (InputForm("", (2,), "uint8"),), "from 0 to 255; got 1 to 300"),
        ("x.npy", np.array([[1, 0.5]]), (InputForm("", (2,), "whole"),), "needs whole numbers"),
        ("x.npy", np.zeros((3, 2)), (InputForm("a"), InputForm("b")), "has one input, and the model takes a, b"),
        ("x.npz", {"a": np.zeros(3)}, (InputForm("a"), InputForm("b")), "has no array 'b'; it has a"),
        ("x.npz", {"a": np.zeros(3), "b": np.zeros(2)}, (InputForm("a"), InputForm("b")), "of as many rows; got 3, 2"),
        ("x.npy", "no array", MATRIX, "cannot be read as arrays"),
        ("x.npy", np.array([{}], object), MATRIX, "cannot be read as arrays"),
        ("x.txt", "", (InputForm("", (), "texts"),), "is empty: it needs a text a line"),
    ],
)
def test_a_file_that_does_not_fit_is_refused_in_one_line(
    name: str, content: Any, forms: Any, words: str, write: Callable[..., Path]
) -> None:
    file = write(name, content)
    with pytest.raises(RowsError, match=words) as refused:
        input_forms.read(file, forms, COLUMNS if name.endswith(".csv") else ())
    assert str(file) in str(refused.value)
    assert "\n" not in str(refused.value)


def test_data_sets_say_of_what_columns_they_are(tmp_path: Path, write: Callable[..., Path]) -> None:
    rows = "".join(f"{size},{kind},{size}\n" for size in range(10) for kind in ("cat", "dog"))
    table = datasets.table(write("pets.csv", f"size,kind,price\n{rows}"), target="price")
    assert datasets.load(table, data_dir=tmp_path, validation=4).training.columns == COLUMNS
    frame = pd.DataFrame({"a": RNG.normal(size=12), "b": RNG.normal(size=12)})
    loaded = datasets.load(lambda: ((frame, frame["a"]), (frame[:2], frame["a"][:2])), data_dir=tmp_path, validation=4)
    assert loaded.training.columns == (TableColumn("a"), TableColumn("b"))


TASK_FILE = """
import keras
import numpy as np
from tune_jobs.models.label_encodings import Binary
from tune_jobs.models.regression import Regression
from tune_jobs.search_spaces import Choice, Objective, Protocol, Space, Task

X = np.random.default_rng(0).normal(size=(60, 2))


def load():
    x = {"size": X, "word": np.array(["good" if row[0] > 0 else "bad" for row in X], object)}
    y = {"price": 1000 + 100 * X[:, 0], "sold": np.array(["yes" if row[0] > 0 else "no" for row in X], object)}
    part = lambda nest, rows: {name: array[rows] for name, array in nest.items()}
    return (part(x, slice(40)), part(y, slice(40))), (part(x, slice(40, 60)), part(y, slice(40, 60)))


def build(*, input_shape, head, x_train, width):
    size, word = keras.Input((2,), name="size"), keras.Input((), dtype="string", name="word")
    read = keras.layers.StringLookup(vocabulary=["bad", "good"], output_mode="one_hot")
    x = keras.layers.Concatenate()([keras.layers.Dense(width, activation="relu")(size), read(word)])
    return keras.Model({"size": size, "word": word}, head(x))


OWN = Task("own", Space(width=Choice(4)), Objective("val_loss", "minimize"), dataset=load, build=build,
           encoding={"price": Regression("euros"), "sold": Binary("no", "yes")},
           protocol=Protocol(epochs=1, validation=0.5))
"""


@pytest.mark.slow
def test_several_inputs_are_read_and_several_outputs_shown_with_units_and_names(
    tmp_path: Path, write: Callable[..., Path]
) -> None:
    from types import SimpleNamespace

    from tune_jobs.search_spaces import catalog

    settings, file = Settings.read(home=tmp_path / "home"), write("own.py", TASK_FILE)
    own: Any = SimpleNamespace(reference=f"{file}:OWN", task=catalog.find(f"{file}:OWN"))
    best, model = tmp_path / "best.yaml", tmp_path / "model.keras"
    best.write_text(best_text(finished_study(own, settings)))
    code, _, stderr = called(settings, "train", str(best), "-o", str(model), "--no-mlflow")
    assert code == 0, stderr
    rows = write("rows.csv", "word,size_0,size_1\ngood,1.5,0\nbad,-1,0.5\n")
    code, stdout, stderr = called(settings, "predict", str(model), str(rows), "--json")
    assert code == 0, stderr
    first, second = json.loads(stdout)
    assert [first["row"], second["row"]] == [1, 2]
    assert first["price"]["unit"] == "euros"
    assert isinstance(first["price"]["label"], float)
    assert {first["sold"]["label"], second["sold"]["label"]} <= {"yes", "no"}
    missing, wrong = str(tmp_path / "none.npz"), str(write("wrong.txt", "good\n"))
    code, stdout, stderr = called(settings, "predict", str(model), missing, wrong, str(rows))
    assert code == 2
    assert f"there is no file {missing}" in stderr
    assert "has one input, and the model takes size, word" in stderr
    assert "row 1  price " in stdout
    assert " euros  sold " in stdout
    picture = write("a.png", "no picture")
    code, _, stderr = called(settings, "predict", str(model), str(picture))
    assert code == 2
    assert "image files need" in stderr
