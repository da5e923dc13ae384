"""Ray without the services that a sweep's own cluster does not use.

`ray.init` has no option to leave out the autoscaler's monitor, the log monitor and the API server; it starts the last
one even without a dashboard. Each is a Python process that imports Ray. Without the three a start took 3.7 s in place
of 7.0, and 5.2 s of CPU in place of 8.9 (2 cores, Ray 2.60).
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ray._private import node, parameter


@contextmanager
def without_unused_services() -> Iterator[None]:
    """Leave the three services out of a Ray that is started in the block."""
    params, start_api_server = parameter.RayParams, node.Node.start_api_server
    parameter.RayParams = functools.partial(params, no_monitor=True, include_log_monitor=False)
    node.Node.start_api_server = _start_nothing
    try:
        yield
    finally:
        parameter.RayParams, node.Node.start_api_server = params, start_api_server


def _start_nothing(self: Any, **options: Any) -> None:
    """Stand in for `Node.start_api_server`."""
