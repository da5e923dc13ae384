"""Folds: each row is held out once, classes in their share, groups whole, time forwards."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.model_selection import TimeSeriesSplit

from tune_jobs import datasets
from tune_jobs.datasets.folding import folds_of
from tune_jobs.errors import DataError
from tune_jobs.search_spaces import Data

X, LABELS = np.arange(120.0).reshape(60, 2), np.repeat([0, 1, 2], [30, 20, 10])
TEST = X[:6], LABELS[:6]


def loaded(folds: int | None = 3, images: int | None = None, **settings: Any) -> datasets.Dataset:
    validation = settings.pop("validation", None)
    data = Data((X, LABELS), TEST, validation, **settings)
    return datasets.load(lambda: data, data_dir=Path("nowhere"), validation=5000, images=images, folds=folds)


@given(st.lists(st.integers(0, 3), min_size=12, max_size=60), st.integers(2, 6))
def test_each_row_is_held_out_once_and_each_class_in_its_share(labels: list[int], n: int) -> None:
    folds, labels_ = folds_of(np.array(labels), n), np.array(labels)
    assert sorted(np.concatenate([folds.held_out(fold) for fold in range(n)])) == list(range(len(labels)))
    for fold in range(n):
        assert {*folds.held_out(fold), *folds.trained_on(fold)} == {*range(len(labels))}
        assert len(folds.held_out(fold)) + len(folds.trained_on(fold)) == len(labels)
    for label in {*labels}:
        counts = [np.count_nonzero(labels_[folds.held_out(fold)] == label) for fold in range(n)]
        assert max(counts) - min(counts) <= 1
    assert max(np.bincount(folds.blocks)) - min(np.bincount(folds.blocks)) <= 1


def test_measurements_are_dealt_out_at_random() -> None:
    assert not np.array_equal(folds_of(np.arange(40.0), 4).blocks, np.arange(40) % 4)


@given(st.lists(st.integers(0, 8), min_size=20, max_size=60))
def test_no_group_is_in_two_folds(groups: list[int]) -> None:
    if len({*groups}) < 3:
        return
    folds = folds_of(np.zeros(len(groups)), 3, groups=np.array(groups))
    for group in {*groups}:
        assert len({*folds.blocks[np.array(groups) == group]}) == 1
    assert {*folds.blocks} == {0, 1, 2}


@pytest.mark.parametrize(("size", "n"), [(40, 3), (41, 4), (11, 10)])
def test_time_goes_forward_as_in_scikit_learn(size: int, n: int) -> None:
    folds = folds_of(np.zeros(size), n, in_order=True)
    for fold, (train, test) in enumerate(TimeSeriesSplit(n).split(np.zeros(size))):
        assert np.array_equal(folds.trained_on(fold), train)
        assert np.array_equal(folds.held_out(fold), test)


def test_groups_in_time_are_trained_on_before_they_are_judged() -> None:
    groups = np.repeat(np.arange(8), 5)
    folds = folds_of(np.zeros(40), 3, groups=groups, in_order=True)
    for fold in range(3):
        assert max(groups[folds.trained_on(fold)]) < min(groups[folds.held_out(fold)])


@pytest.mark.parametrize(
    ("labels", "settings", "words"),
    [
        (np.zeros(3), {}, "4 folds need at least 4 rows, and there are 3"),
        (np.zeros(4), {"in_order": True}, "4 folds need at least 5 rows, and there are 4"),
        (np.zeros(9), {"groups": np.arange(9) % 3}, "4 folds need at least 4 groups, and there are 3"),
    ],
)
def test_too_few_for_so_many_folds(labels: Any, settings: Any, words: str) -> None:
    with pytest.raises(DataError, match=words):
        folds_of(labels, 4, **settings)


def test_a_data_set_is_loaded_in_folds() -> None:
    data = loaded().training
    parts = [data.fold(number) for number in range(3)]
    assert sorted(row for part in parts for row in part.validation.x[:, 0]) == [*X[:, 0]]
    for part in parts:
        assert not {*part.validation.x[:, 0]} & {*part.train.x[:, 0]}
        assert part.folds is None
    assert len(data.train) == 60
    assert loaded(images=30).folds is not None
    assert len(loaded(images=30).train) == 30


def test_folds_are_part_of_the_digest_and_the_test_part_stays_the_same() -> None:
    digests = [loaded(3).digest, loaded(4).digest, loaded(3, in_order=True).digest, loaded(3, groups=LABELS).digest]
    assert len({*digests}) == 4
    assert loaded(3).digest == digests[0]
    assert loaded(3).test_digest == loaded(4).test_digest


def test_groups_are_kept_whole_with_fewer_images() -> None:
    groups = np.arange(60) // 5
    data = loaded(images=40, groups=groups).training
    for number in range(3):
        part = data.fold(number)
        assert not {*(part.train.x[:, 0] // 10)} & {*(part.validation.x[:, 0] // 10)}


def test_a_part_for_validation_of_its_own_is_in_no_folds() -> None:
    with pytest.raises(DataError, match="has a part for validation of its own, and the protocol asks for 3 folds"):
        loaded(validation=TEST)
    with pytest.raises(DataError, match=r"cannot take 70 folds from .*: 70 folds need at least 70 rows"):
        loaded(70)
