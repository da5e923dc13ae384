"""A trial taken up in the middle comes to the very score that it would have had; what is no checkpoint is none."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.support.sweeping import own_task
from tune_jobs import datasets
from tune_jobs.datasets import TrainingData
from tune_jobs.records.trials import Segment
from tune_jobs.search_spaces import Task, catalog, open_all
from tune_jobs.training.checkpoints import Checkpoint, CheckpointFolder, key
from tune_jobs.training.runs import rerun, run_trial
from tune_jobs.training.trial import Copy, TrialRun

MLP = {"batch_norm": True, "dropout": "with", "dropout_rate": 0.3, "schedule": "cosine", "optimizer": "adam"}
CNN = {"filters": "8-8", "dropout": "with", "dropout_rate": 0.2, "dense_dropout_rate": 0.2, "augmentation": "flip"}


def task_of(name: str, epochs: int = 4) -> Task:
    task = catalog.find(name)
    return replace(task, protocol=replace(task.protocol, epochs=epochs, patience=None, images=300))


def data_of(task: Task) -> TrainingData:
    return datasets.load_for_task(task, Path("nowhere")).training


def at_epoch(run: TrialRun, wanted: int) -> Checkpoint:
    for epoch, _ in run:
        if epoch == wanted:
            checkpoint = run.checkpoint()
            assert checkpoint is not None
            return checkpoint
    raise AssertionError("it ended before")


@pytest.mark.slow
@pytest.mark.parametrize(("name", "chosen"), [("digits-mlp", MLP), ("digits-cnn", CNN)])
def test_a_trial_goes_on_from_its_checkpoint_to_the_score_it_would_have_had(
    name: str, chosen: dict[str, object]
) -> None:
    """Random generators, moments and schedule are in it: batch normalization, dropout, random views, a cosine."""
    task = task_of(name)
    params = {**task.baseline, **{key: value for key, value in chosen.items() if key in open_all(task.space).names()}}
    data = data_of(task)
    whole = run_trial(task, params, data, seed=3)
    content = at_epoch(TrialRun(task, params, data, seed=3), 2).to_bytes()
    second = TrialRun(task, params, data, seed=3, start=Checkpoint.from_bytes(content))
    assert [epoch for epoch, _ in second] == [3, 4]
    assert replace(second.result, train_seconds=0.0) == replace(whole, train_seconds=0.0)


@pytest.mark.slow
def test_a_trial_that_had_ended_at_its_checkpoint_does_not_train_on() -> None:
    task = task_of("digits-mlp", epochs=2)
    checkpoint = at_epoch(TrialRun(task, task.baseline, data_of(task), seed=0), 2)
    second = TrialRun(task, task.baseline, data_of(task), seed=0, start=checkpoint)
    assert list(second) == []
    assert (second.result.state, len(second.result.history)) == ("complete", 2)


@pytest.mark.slow
def test_another_networks_checkpoint_is_passed_over() -> None:
    task = task_of("digits-mlp", epochs=2)
    wide, narrow = ({**task.baseline, "units": units} for units in ("64", "32"))
    checkpoint = at_epoch(TrialRun(task, wide, data_of(task), seed=0), 1)
    second = TrialRun(task, narrow, data_of(task), seed=0, start=checkpoint)
    assert [epoch for epoch, _ in second] == [1, 2]
    third = TrialRun(task, narrow, data_of(task), seed=0, start=Copy(checkpoint))
    assert list(third) == []
    assert (third.result.state, third.result.reason) == ("failed", "invalid")


@pytest.mark.slow
def test_who_copies_weights_has_its_best_epoch_still_before_it_and_trains_again_to_it() -> None:
    task = task_of("digits-mlp", epochs=4)
    data, first, then = data_of(task), dict(task.baseline), {**task.baseline, "learning_rate": 1e-7}
    checkpoint = at_epoch(TrialRun(task, first, data, seed=1), 2)
    run = TrialRun(task, then, data, seed=1, start=Copy(checkpoint))
    assert [epoch for epoch, _ in run] == [3, 4]
    assert run.result.best_epoch in (3, 4)
    assert run.result.history[:2] == checkpoint.history
    accuracies = [metrics["val_accuracy"] for metrics in run.result.history]
    assert abs(accuracies[2] - accuracies[1]) < 0.02  # with so small a rate the weights hardly move
    course = (Segment(1, first, 1, parent=7), Segment(3, then, 1, parent=7))
    repeated = rerun(task, 8, first, 1, course, data)
    assert [epoch for epoch, _ in repeated] == [3, 4]
    assert repeated.result.history == run.result.history
    assert repeated.result.score == run.result.score


@pytest.mark.slow
def test_a_segment_that_fails_in_a_rerun_says_why_itself() -> None:
    task = task_of("digits-mlp", epochs=4)
    broken = {**task.baseline, "units": "no number"}
    lineage = (Segment(1, broken, 1, parent=7), Segment(3, dict(task.baseline), 1, parent=7))
    run = rerun(task, 8, task.baseline, 1, lineage, data_of(task))
    assert list(run) == []
    assert (run.result.state, run.result.reason) == ("failed", "invalid")
    assert "no number" in str(run.result.message)


def test_a_training_loop_of_the_tasks_own_has_no_checkpoint(tmp_path: Path) -> None:
    task = own_task(tmp_path).task
    run = TrialRun(task, task.baseline, data_of(task), seed=0)
    next(iter(run))
    assert run.checkpoint() is None


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"\x93NUMPY", b"{}"])
def test_what_is_no_checkpoint_is_none(content: bytes, tmp_path: Path) -> None:
    assert Checkpoint.from_bytes(content) is None


def test_a_checkpoint_cut_anywhere_is_none() -> None:
    arrays = (np.zeros((2, 3), np.float32), np.array([1, 2], np.int64))
    content = Checkpoint(arrays, arrays[:1], 1, ({"val_accuracy": 0.5},), 1.5).to_bytes()
    checkpoint = Checkpoint.from_bytes(content)
    assert checkpoint is not None
    assert (checkpoint.epoch, checkpoint.best_epoch, checkpoint.seconds, checkpoint.history) == (
        1,
        1,
        1.5,
        ({"val_accuracy": 0.5},),
    )
    assert all(np.array_equal(one, other) for one, other in zip(checkpoint.variables, arrays, strict=True))
    for end in range(0, len(content) - 1, 7):
        assert Checkpoint.from_bytes(content[:end]) is None


def test_a_folder_of_checkpoints(tmp_path: Path) -> None:
    folder = CheckpointFolder(tmp_path / "deep" / "folder")
    assert (folder.has_any, folder.load(key(3))) == (False, None)
    folder.drop(key(3))
    for name in (key(3), key(4, 2), key(5, 2), key(5, 4)):
        folder.save(name, name.encode())
    assert folder.load(key(3)) == b"0003"
    folder.drop_all_at(2)
    assert [folder.has(name) for name in (key(3), key(4, 2), key(5, 2), key(5, 4))] == [True, False, False, True]
