"""A finalist is scored on the test split by the model that was ranked: its kept weights, or itself trained again."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.trials import trained, trial_record
from tune_jobs.datasets import TrainingData
from tune_jobs.datasets.dataset import Split
from tune_jobs.errors import TrialError
from tune_jobs.execution import evaluating
from tune_jobs.records.trials import TestResult, TrialRecord
from tune_jobs.search_spaces import Objective, Task
from tune_jobs.training import finalist, weights

PARAMS = {"units": 8, "learning_rate": 0.01, "batch_size": 16}


@dataclass(frozen=True)
class Finalist:
    """A trial, with its weights in a folder; the test split is its validation split the other way round."""

    task: Task
    trial: TrialRecord
    data: TrainingData
    test: Split
    kept: Path

    @property
    def own_weights(self) -> weights.Weights | None:
        return weights.load(self.kept, 7)

    def score(self, *, with_weights: bool) -> TestResult:
        return finalist.score(self.task, self.trial, self.data, self.test, self.own_weights if with_weights else None)


@pytest.fixture
def candidate(tmp_path: Path, tiny_task: Callable[..., Task], tiny_data: TrainingData) -> Finalist:
    """Judged by the largest loss, which is the first epoch's: its weights are not the last ones."""
    task = tiny_task(objective=Objective("val_loss", "maximize"))
    run = trained(task, PARAMS, tiny_data, 3)
    assert run.model is not None
    weights.keep(weights.packed(run.model), tmp_path, 7)
    trial = trial_record(7, PARAMS, 3, "complete", score=run.result.score, best_epoch=run.result.best_epoch)
    held_out = tiny_data.validation
    return Finalist(task, trial, tiny_data, Split(held_out.x[::-1][:20], held_out.labels[::-1][:20]), tmp_path)


@pytest.mark.slow
def test_kept_weights_and_training_again_give_the_same_to_the_last_digit(
    candidate: Finalist, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert candidate.trial.best_epoch == 1
    again = candidate.score(with_weights=False)
    assert again.val_score == candidate.trial.score
    assert again.is_retrained
    monkeypatch.setattr(finalist, "_trained", None)  # it would be called in vain
    assert candidate.score(with_weights=True) == replace(again, is_retrained=False)


@pytest.mark.slow
def test_kept_weights_whose_score_moves_in_its_last_digits_are_those_that_were_ranked(candidate: Finalist) -> None:
    score = candidate.trial.score
    assert score is not None
    for factor, is_used in ((1.0005, True), (1.01, False)):
        result = replace(candidate.trial.result, score=factor * score)
        elsewhere = replace(candidate, trial=replace(candidate.trial, result=result))
        tested = elsewhere.score(with_weights=True)
        assert (tested.is_retrained, tested.val_score) == (not is_used, score)


def test_what_is_said_of_a_model_is_whether_it_is_the_one_that_was_ranked() -> None:
    kept, anew = TestResult(val_score=0.5, is_retrained=False), TestResult(val_score=0.5, is_retrained=True)
    assert evaluating._which_model(kept, 0.5) == ""
    assert evaluating._which_model(kept, 0.51) == " (kept weights, validation 0.5000, was 0.5100)"
    assert evaluating._which_model(anew, 0.5) == " (no weights were kept: trained anew, the same validation score)"
    assert evaluating._which_model(anew, 0.6) == " (no weights were kept: trained anew, validation 0.5000, was 0.6000)"
    assert evaluating._which_model(TestResult(), 0.6) == " (trained on all rows)"


def _cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-30])


def _other_network(file: Path) -> None:
    np.savez(file, np.zeros((2, 2)), np.zeros(3))


def _other_weights(file: Path) -> None:
    """Those of the same network, all of them 0: it scores otherwise."""
    with np.load(file) as kept:
        arrays = [np.zeros_like(kept[name]) for name in kept.files]
    np.savez(file, *arrays)


@pytest.mark.slow
@pytest.mark.parametrize(
    "damage",
    [
        Path.unlink,
        _cut,
        lambda file: file.write_bytes(b""),
        lambda file: file.write_bytes(b"no weights"),
        _other_network,
        _other_weights,
    ],
    ids=["gone", "cut", "empty", "garbage", "other-network", "other-weights"],
)
def test_weights_that_do_not_repeat_the_score_are_left_aside(
    candidate: Finalist, damage: Callable[[Path], Any]
) -> None:
    known = (candidate.task, candidate.trial, candidate.data)
    assert weights.scored_model(*known, candidate.own_weights) is not None
    damage(candidate.kept / "0007.npz")
    assert weights.scored_model(*known, candidate.own_weights) is None


@pytest.mark.slow
def test_where_weights_are_left_aside_the_model_is_trained_again(candidate: Finalist) -> None:
    _other_weights(candidate.kept / "0007.npz")
    assert candidate.score(with_weights=True) == candidate.score(with_weights=False)


@pytest.mark.slow
def test_a_finalist_that_cannot_be_trained_again_is_an_error_with_its_reason(candidate: Finalist) -> None:
    broken = replace(candidate, task=replace(candidate.task, build=_refusing))
    with pytest.raises(TrialError, match="no such layer"):
        broken.score(with_weights=False)


def _refusing(*, input_shape: Any, head: Any, units: int) -> Any:
    raise ValueError("no such layer")
