"""An MLflow server that answers late, with errors at random and not at all: the sweep goes on, and `sync` delivers."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.auditing import audit, undisturbed
from tests.support.servers import HttpProxy, MlflowServer
from tests.support.sweeping import SharedRay, called, ended, finished_study, own_task, until
from tests.support.warm import WarmServer
from tune_jobs import exports
from tune_jobs.settings import Settings
from tune_jobs.tracking import delivery
from tune_jobs.tracking.runs import StudyRuns
from tune_jobs.tracking.tracker import Tracker

pytestmark = [
    pytest.mark.faults,
    pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning"),  # of MLflow's own tables
]


def test_a_sweep_does_not_mind_an_mlflow_that_is_late_wrong_and_silent(
    tmp_path: Path, settings: Settings, mlflow_server: MlflowServer, shared_ray: SharedRay, warm: WarmServer
) -> None:
    own, alone = (own_task(tmp_path / name, "fine", "diverge") for name in ("task", "alone"))
    with HttpProxy(mlflow_server.port).open() as proxy:
        behind = replace(settings, tracking_uri=proxy.url)
        proxy.behave(delay_s=0.2, errors=0.25)
        own.make_room(2)
        words = ("launch", own.reference, "--search", "grid", "--max-concurrent", "1", *shared_ray.words)
        process = warm.command_line(behind, *words, MLFLOW_HTTP_REQUEST_TIMEOUT="2", **shared_ray.client)
        until(lambda: len(own.noted("end")) >= 2 and proxy.n_errors, "two trials to end and an error", process)
        proxy.behave(delay_s=30.0)  # longer than anybody waits
        own.make_room(None)
        until(lambda: len(own.noted("begin")) == 8, "the last trial", process)
        proxy.behave(errors=0.25)
        code, stdout, stderr = ended(process)
        assert code == 0, stderr
        assert "Traceback" not in stderr
        assert "8 trials: 4 complete, 4 failed" in stdout
        for _ in range(10):  # each goes on where the one before it was
            code, _, stderr = called(behind, "sync", "own")
            if code == 0:
                break
            assert "nothing is lost: run `tune-jobs sync` again" in stderr.splitlines()[-1]
            assert "Traceback" not in stderr
        assert code == 0
    audit(replace(settings, tracking_uri=mlflow_server.url), undisturbed(alone, tmp_path), own=own)


@pytest.mark.slow
def test_runs_that_were_made_by_calls_that_were_heard_late_are_removed(tmp_path: Path, settings: Settings) -> None:
    own, alone = (own_task(tmp_path / name, width="Choice(1, 2)") for name in ("task", "alone"))
    record = finished_study(own, settings)
    exports.write_all(record, settings.exports_dir("own"))
    tracker = Tracker(settings)
    tracker.deliver(record)
    runs = tracker._connect(record)
    StudyRuns.create(runs.client, runs.experiment, record)
    for trial in record.trials:
        runs.create_trial(record, trial)
    delivery.deliver_once("own", settings)
    audit(settings, undisturbed(alone, tmp_path), own=own)
