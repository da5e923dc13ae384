"""The actors that keep files beside the driver."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.support.sweeping import SharedRay
from tune_jobs.execution import keeper

pytestmark = pytest.mark.slow


def test_a_keeper_that_was_killed_keeps_what_comes_next_and_has_what_came_before(
    ray: SharedRay, tmp_path: Path
) -> None:
    from ray import get, kill

    actor = keeper.start_checkpoints(tmp_path)
    try:
        get(actor.save.remote("0000", b"first"))
        os.kill(get(actor.__ray_call__.remote(lambda _: os.getpid())), signal.SIGKILL)
        get(actor.save.remote("0001", b"second"), timeout=60)
        assert [get(actor.load.remote(name)) for name in ("0000", "0001")] == [b"first", b"second"]
    finally:
        kill(actor)
