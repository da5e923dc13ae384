"""Data of several inputs and outputs, with weights, as texts and from pandas; and how they are divided."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from tune_jobs import datasets
from tune_jobs.datasets import nests
from tune_jobs.datasets.dataset import Dataset, Split, digest
from tune_jobs.errors import DataError
from tune_jobs.search_spaces import Data

N = 40
RNG = np.random.default_rng(0)
TABLE = RNG.normal(size=(N, 3))
LABELS = np.arange(N) % 2


def loaded(returned: Any, tmp_path: Path, validation: Any = 10, images: int | None = None) -> Dataset:
    return datasets.load(lambda: returned, data_dir=tmp_path, validation=validation, images=images)


def part(rows: slice) -> tuple[Any, Any]:
    x = {"table": TABLE[rows], "words": [f"row {row}" for row in range(N)[rows]]}
    return x, (LABELS[rows], TABLE[rows].sum(axis=1))


def test_several_inputs_and_outputs_are_divided_row_by_row(tmp_path: Path) -> None:
    data = loaded((part(slice(30)), part(slice(30, N))), tmp_path)
    assert (len(data.train), len(data.validation), len(data.test)) == (20, 10, 10)
    for split in (data.train, data.validation, data.test):
        rows = [int(text.removeprefix("row ")) for text in split.x["words"]]
        np.testing.assert_array_equal(split.x["table"], TABLE[rows])
        np.testing.assert_array_equal(split.labels[0], LABELS[rows])
        np.testing.assert_array_equal(split.labels[1], TABLE[rows].sum(axis=1))
    assert data.validation.labels[0].sum() == 5  # stratified by the output that has classes


def test_weights_go_with_their_rows(tmp_path: Path) -> None:
    weights = np.arange(N) / N
    whole = TABLE, LABELS, weights
    first, last = (tuple(array[rows] for array in whole) for rows in (slice(30), slice(30, N)))
    data = loaded((first, last), tmp_path)
    for split in (data.train, data.validation, data.test):
        rows = [int(np.flatnonzero((row == TABLE).all(axis=1))[0]) for row in split.x]
        np.testing.assert_array_equal(split.weights, weights[rows])
    assert data.digest != loaded((first[:2], last[:2]), tmp_path).digest


def test_the_digest_of_plain_arrays_is_what_it_was() -> None:
    """The value is that of the version before there were nests."""
    x = np.arange(24, dtype=np.uint8).reshape(2, 3, 2, 2)
    plain = Split(x, np.array([[1], [0]]))
    assert digest(plain, plain) == "a35b94a90586c251"


def test_a_digest_changes_with_names_texts_and_places() -> None:
    x, y = np.zeros((2, 1)), np.zeros(2)
    texts = np.array(["ab", "c"], object)
    splits = [
        Split({"a": x, "b": x}, y),
        Split({"a": x, "c": x}, y),
        Split((x, x), y),
        Split(x, y),
        Split(x, y, y),
        Split(texts, y),
        Split(np.array(["a", "bc"], object), y),
        Split(texts.reshape(2, 1), y),
    ]
    assert len({digest(split) for split in splits}) == len(splits)


def test_a_list_of_arrays_is_one_array_and_a_tuple_of_arrays_is_several(tmp_path: Path) -> None:
    images = [np.full((2, 2), value, np.uint8) for value in range(N)]
    one = loaded(((images, LABELS), (images, LABELS)), tmp_path)
    assert one.test.x.shape == (N, 2, 2, 1)
    two = loaded((((TABLE, TABLE), LABELS), ((TABLE, TABLE), LABELS)), tmp_path)
    assert [array.shape for array in two.test.x] == [(N, 3), (N, 3)]
    flat = loaded((((1, 2, 3, 4) * 10, LABELS), ((1, 2, 3, 4) * 10, LABELS)), tmp_path)
    assert flat.test.x.shape == (N,)


@pytest.mark.parametrize("validation", [0.25, 8])
def test_rows_of_one_group_are_never_divided(validation: Any, tmp_path: Path) -> None:
    groups = np.array([f"patient {row // 4}" for row in range(N)])
    place = np.arange(N)[:, None]
    data = loaded(Data((place, LABELS), test=0.2, groups=groups), tmp_path, validation)
    parts = [set(groups[split.x[:, 0]]) for split in (data.train, data.validation, data.test)]
    assert [len(split) for split in (data.train, data.validation, data.test)] == [24, 8, 8]
    assert sum(map(len, parts)) == len(set.union(*parts)) == 10


def test_a_split_in_the_order_of_time_draws_nothing(tmp_path: Path) -> None:
    place = np.arange(N)[:, None]
    data = loaded(Data((place, LABELS), test=10, in_order=True), tmp_path, validation=5, images=20)
    ranges = [range(5, 25), range(25, 30), range(30, 40)]  # the 20 rows before those for validation
    for split, expected in zip((data.train, data.validation, data.test), ranges, strict=True):
        assert split.x[:, 0].tolist() == list(expected)


@pytest.mark.parametrize("test", [np.float32(0.1), np.int64(4), np.array(4)])
def test_the_part_to_test_on_may_be_a_scalar_of_numpy(test: Any, tmp_path: Path) -> None:
    assert len(loaded(Data((TABLE, LABELS), test=test), tmp_path).test) == 4


def test_groups_that_end_last_are_held_out_in_the_order_of_time(tmp_path: Path) -> None:
    groups = np.array([0, 1, 1, 0, 2, 3, 2, 3, 4, 4])
    data = loaded(
        Data((np.arange(10)[:, None], LABELS[:10]), (TABLE[:, :1].astype(int), LABELS), None, groups, True), tmp_path, 4
    )
    assert data.validation.x[:, 0].tolist() == [5, 7, 8, 9]


def test_a_part_for_validation_of_ones_own_is_taken_as_it_is(tmp_path: Path) -> None:
    rows = np.arange(N)[:, None]
    three = [(rows[places], LABELS[places]) for places in (slice(20), slice(20, 27), slice(27, N))]
    data = loaded(tuple(three), tmp_path, validation=5000)
    assert data.validation.x[:, 0].tolist() == list(range(20, 27))
    with pytest.raises(
        DataError, match=r"it has one of its own, and the protocol asks for validation=0\.2: leave that"
    ):
        loaded(tuple(three), tmp_path, validation=0.2)
    with pytest.raises(DataError, match="x_train and x_val must be alike"):
        loaded((three[0], (rows[:5].astype(float), LABELS[:5]), three[2]), tmp_path, validation=5000)


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        (Data((TABLE, LABELS), 0.2, groups=np.zeros(N)), "all 40 rows are of one group"),
        (Data((TABLE, LABELS), 0.2, groups=np.zeros(3)), "groups needs one value for each of the 40 rows of train"),
        ((({}, LABELS), ({}, LABELS)), "x must hold at least one array; got {}"),
        ((({"a": TABLE}, LABELS), ({"b": TABLE}, LABELS)), "['a'] (40, 3) float64 and ['b'] (40, 3) float64"),
        ((({"a": TABLE, "b": TABLE[1:]}, LABELS), (TABLE, LABELS)), "one row for each of 40; x['b'] has 39"),
        (((TABLE, {"y": LABELS[1:]}), (TABLE, LABELS)), "40 images came with 39 in labels['y']"),
        (((TABLE, LABELS, ["heavy"] * N), (TABLE, LABELS)), "weights must be a NumPy array of numbers, not object"),
    ],
)
def test_data_that_do_not_fit_each_other_are_refused_in_one_line(returned: Any, message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError) as refused:
        loaded(returned, tmp_path)
    assert message in str(refused.value)
    assert "\n" not in str(refused.value)


def test_frames_become_what_fit_makes_of_them(tmp_path: Path) -> None:
    frame = pd.DataFrame({"age": np.arange(N), "height": TABLE[:, 0], "smokes": LABELS > 0})
    data = loaded(((frame, frame["age"]), (frame, frame["age"])), tmp_path)
    assert (data.test.x.shape, data.test.x.dtype, data.test.labels.shape) == ((N, 3), np.float64, (N, 1))
    np.testing.assert_array_equal(data.test.x[:, 2], LABELS)


def test_a_frame_with_texts_becomes_a_mapping_of_columns(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {
            "town": pd.Categorical(["Rome", "Oslo"] * 20),
            "name": pd.array([f"n{row}" for row in range(N)], dtype="string"),
            "age": pd.array([None, *range(1, N)], dtype="Int64"),
            "rooms": pd.array(range(N), dtype="Int16"),
        }
    )
    x = loaded(((frame, frame[["age", "rooms"]]), (frame, frame[["age", "rooms"]])), tmp_path).test.x
    kinds = {name: (array.dtype.str, array.shape) for name, array in x.items()}
    column = (N, 1)
    assert kinds == {"age": ("<f8", column), "name": ("|O", column), "rooms": ("<i2", column), "town": ("|O", column)}
    assert np.isnan(x["age"][0, 0])
    assert x["town"][1, 0] == "Oslo"


def test_columns_of_one_name_are_refused(tmp_path: Path) -> None:
    twice = pd.DataFrame(TABLE[:, :2], columns=["a", "a"])
    with pytest.raises(DataError, match="x_train needs columns of different names; got a, a"):
        loaded(((twice, LABELS), (twice, LABELS)), tmp_path)


def test_a_nest_goes_by_its_sorted_names() -> None:
    nest = {"b": np.zeros(3), "a": (np.ones((3, 2)), np.ones(3))}
    assert [name for name, _ in nests.leaves(nest, "x")] == ["x['a'][0]", "x['a'][1]", "x['b']"]
    assert nests.shapes(nest) == {"a": ((2,), ()), "b": ()}
    assert nests.size(nest) == 3
    first = nests.rows(nest, slice(1))
    assert replace(Split(first, np.zeros(1)), weights=np.ones(1)).weights is not None
