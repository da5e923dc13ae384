"""A sweep of a task made in Python, from where notebooks and programs call: a thread, a running event loop."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import tune_jobs as tj
from tests.support.sweeping import SharedRay, own_task
from tune_jobs.errors import SettingsError
from tune_jobs.execution.cluster import connection  # as it is, before a fixture replaces it

pytestmark = pytest.mark.slow


def test_a_task_made_in_python_is_swept_from_a_thread_and_extended_inside_an_event_loop(
    ray: SharedRay, tmp_path: Path
) -> None:
    own, home = own_task(tmp_path / "task", "level"), tmp_path / "home"
    with ThreadPoolExecutor(1) as pool:
        options = {"search": "random", "trials": 2, "max_concurrent": 1, "home": home}
        study = pool.submit(tj.launch, own.task, **options).result()  # type: ignore[arg-type]
    assert study.record.terms.reference == "python:own"
    assert [trial.state for trial in study.trials] == ["complete", "complete"]

    async def extend() -> tj.Study:
        return tj.open("own", home=home).extend(1, max_concurrent=1, task=own.task)

    assert len(asyncio.run(extend()).trials) == 3
    assert len(own.trained) == 3


def test_a_process_that_has_a_ray_keeps_it_and_no_other_is_taken(shared_ray: SharedRay) -> None:
    import ray

    with connection(None):
        pass
    assert ray.is_initialized()
    with (
        pytest.raises(SettingsError, match=r"is connected to a Ray cluster already: .* 10\.0\.0\.1:6379"),
        connection("10.0.0.1:6379"),
    ):
        pass
    assert ray.is_initialized()
