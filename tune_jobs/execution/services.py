"""Ray without the services that a sweep's own cluster does not use.

`ray.init` has no option to leave out the autoscaler's monitor, the log monitor, the API server, which it starts even
without a dashboard, and the two agents of a node. Each is a Python process that imports Ray. Without the first three a
start took 3.7 s in place of 7.0, and 5.2 s of CPU in place of 8.9; without the agents too, 0.6 s, and 0.9 s of CPU
(2 cores, Ray 2.60).
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from ray._private import node, parameter, services, utils
from ray._private.ray_constants import PROCESS_TYPE_DASHBOARD_AGENT, PROCESS_TYPE_RUNTIME_ENV_AGENT

from tune_jobs.execution import idle_agent

_AGENTS = (PROCESS_TYPE_DASHBOARD_AGENT, PROCESS_TYPE_RUNTIME_ENV_AGENT)


@contextmanager
def without_unused_services() -> Iterator[None]:
    """Leave the five services out of a Ray that is started in the block."""
    params, start_api_server = parameter.RayParams, node.Node.start_api_server
    python = services._build_python_executable_command_memory_profileable
    dashboard_error = utils.get_dashboard_dependency_error
    parameter.RayParams = functools.partial(params, no_monitor=True, include_log_monitor=False)
    node.Node.start_api_server = _start_nothing
    services._build_python_executable_command_memory_profileable = functools.partial(_python_of, python)
    utils.get_dashboard_dependency_error = _no_error
    try:
        yield
    finally:
        parameter.RayParams, node.Node.start_api_server = params, start_api_server
        services._build_python_executable_command_memory_profileable = python
        utils.get_dashboard_dependency_error = dashboard_error


def _start_nothing(self: Any, **options: Any) -> None:
    """Stand in for `Node.start_api_server`."""


def _no_error() -> None:
    """Stand in for what imports all that a dashboard needs, half a second of CPU, to see whether it is installed."""


def _python_of(python: Callable[..., list[str]], component: str, *others: Any, **options: Any) -> list[str]:
    """Return the words that stand before the path of one of Ray's programs: for an agent, the program in its place."""
    if component in _AGENTS:
        return [sys.executable, "-I", "-S", idle_agent.__file__]
    return python(component, *others, **options)
