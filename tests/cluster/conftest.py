"""The second user of tests/security, for what needs a cluster."""

from tests.security.conftest import intruder, reachable

__all__ = ["intruder", "reachable"]
