"""Weights of a trial that ran on another machine come to the driver's home, and are handed from there to whoever
evaluates it on another machine."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.clusters import RayHead, blind_to
from tests.support.sweeping import WITHOUT_MLFLOW, ended
from tests.support.warm import WarmServer
from tune_jobs.settings import Settings
from tune_jobs.study.study import Study
from tune_jobs.training import weights

pytestmark = pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning")  # of MLflow's own tables


@pytest.fixture
def head() -> Iterator[RayHead]:
    head = RayHead(cpus=0)  # so that all work is the other node's
    try:
        head.start()
        yield head
    finally:
        head.stop()


def test_weights_come_home_from_a_machine_that_does_not_see_it(tmp_path: Path, head: RayHead, warm: WarmServer) -> None:
    settings = Settings.read(home=tmp_path / "private" / "home")
    settings.prepare()
    head.join(cpus=1, before=blind_to(tmp_path / "private"))
    there = ("--address", head.address)
    launch = ("launch", "digits-mlp", "--search", "baseline", "--epochs", "1", "--keep-weights", *there)
    for words in (launch, ("evaluate", "digits-mlp", *there)):
        code, _, said = ended(warm.command_line(settings, *words, before=WITHOUT_MLFLOW, **head.client))
        assert code == 0, said
    (trial,) = Study.open("digits-mlp", settings).record().trials
    kept = weights.load(settings.weights_dir(Study.open("digits-mlp", settings).identity), trial.number)
    assert kept is not None
    assert [array.shape for array in kept] == [(64, 64), (64,), (64, 10), (10,)]
    assert trial.tested is not None
    assert trial.tested.val_score == trial.score
