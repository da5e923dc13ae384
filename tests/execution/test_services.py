"""A sweep's own Ray has the processes that it uses, and no others."""

from __future__ import annotations

from contextlib import suppress

import psutil
import pytest

from tune_jobs.execution import idle_agent
from tune_jobs.execution.services import without_unused_services


def command_line(process: psutil.Process) -> str:
    """The command line of a process; empty if it has ended."""
    with suppress(psutil.NoSuchProcess):  # a zombie too
        return " ".join(process.cmdline())
    return ""


@pytest.mark.usefixtures("shared_ray")
def test_the_own_cluster_starts_without_monitors_and_api_server() -> None:
    commands = [command_line(process) for process in psutil.Process().children(recursive=True)]
    assert any("raylet" in command for command in commands)
    for service in ("monitor.py", "log_monitor.py", "dashboard.py"):
        assert not any(service in command for command in commands), commands
    agents = [command for command in commands if "/dashboard/agent.py" in command or "agent/main.py" in command]
    assert all(idle_agent.__file__ in command for command in agents), agents


def test_ray_is_as_before_after_the_block() -> None:
    from ray._private import node, parameter, utils

    def changed() -> tuple[object, ...]:
        return parameter.RayParams, node.Node.start_api_server, utils.get_dashboard_dependency_error

    before = changed()
    with without_unused_services():
        assert parameter.RayParams().no_monitor
        assert utils.get_dashboard_dependency_error() is None
        assert all(now != then for now, then in zip(changed(), before, strict=True))
    assert changed() == before
    assert not parameter.RayParams().no_monitor
