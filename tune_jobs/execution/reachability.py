"""Whether a running Ray cluster answers at an address and accepts this process as a driver.

This is checked before Ray connects: `ray.init` would try for minutes, then end the process with a message of its own.
"""

from __future__ import annotations

import json
import platform
import re
import socket
from contextlib import closing
from typing import Any

import grpc
import ray

# Private to Ray: no public interface finds the cluster of this machine, or asks a head without `ray.init`.
from ray._private import services
from ray._private.grpc_utils import init_grpc_channel
from ray.core.generated import gcs_service_pb2 as gcs
from ray.core.generated import gcs_service_pb2_grpc as stubs
from ray.core.generated.gcs_pb2 import GcsNodeInfo
from ray.exceptions import AuthenticationError

from tune_jobs.errors import SettingsError
from tune_jobs.execution import tokens
from tune_jobs.words import one_line

_ANSWER_TIMEOUT_S = 10.0  # an answer takes milliseconds
_SUBMIT = "`tune-jobs submit … --address http://HOST:8265`"
SET_TOKEN = "set RAY_AUTH_TOKEN, or RAY_AUTH_TOKEN_PATH to a file that holds it, as on the cluster's head"


def check_reachable(address: str) -> str:
    """Return the cluster's HOST:PORT, after it answered, runs our versions and has a node on this machine.

    Raises:
        SettingsError: if any of that is not so; the message says what to do.
    """
    address = _resolve(address)
    _check_port(address)
    if _requires_token(address):
        tokens.use_token()
    with closing(init_grpc_channel(address, options=(("grpc.enable_http_proxy", 0),))) as channel:
        try:
            request = gcs.InternalKVGetRequest(namespace=b"cluster", key=b"CLUSTER_METADATA")
            reply = stubs.InternalKVGcsServiceStub(channel).InternalKVGet(request, timeout=_ANSWER_TIMEOUT_S)
            _check_versions(address, reply.value)
            all_nodes = gcs.GetAllNodeInfoRequest()
            nodes = stubs.NodeInfoGcsServiceStub(channel).GetAllNodeInfo(all_nodes, timeout=_ANSWER_TIMEOUT_S)
        except AuthenticationError as error:  # raised in this process: a token is required, and it has none
            raise SettingsError(f"Ray needs a token here, and this process has none: {SET_TOKEN}") from error
        except grpc.RpcError as error:
            raise _refusal(address, error) from error
    _check_node(address, nodes.node_info_list)
    return address


def _resolve(address: str) -> str:
    """Return the HOST:PORT of an address as a user gives it."""
    if address == "auto":
        try:
            address = str(services.get_ray_address_from_environment("auto", None))
        except ConnectionError as error:
            raise SettingsError(
                "no Ray cluster runs on this machine: start one with `ray start`, name another with --address "
                "HOST:PORT, or leave out --address, and the sweep starts its own"
            ) from error
    if address.startswith(("http://", "https://")):
        raise SettingsError(f"{address} is the address of a dashboard: send the sweep there with {_SUBMIT}")
    if address.startswith("ray://"):
        raise SettingsError(
            f"a sweep does not run through Ray's client ({address}): launch it on a machine of the cluster, or send it "
            f"there with {_SUBMIT}"
        )
    if not re.fullmatch(r"(\[[0-9a-fA-F:.]+\]|[^:/\s]+):[0-9]{1,5}", address):
        raise SettingsError(f"--address needs HOST:PORT of a Ray cluster's head, or auto; got {address!r}")
    return address


def _check_port(address: str) -> None:
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_ANSWER_TIMEOUT_S).close()
    except (OSError, OverflowError) as error:
        why = getattr(error, "strerror", None) or one_line(error)
        raise SettingsError(f"no Ray cluster answers at {address}: {why}") from error


def _requires_token(address: str) -> bool:
    """Return True if the cluster refuses a call without a token.

    A cluster that requires none must not be shown any: it would refuse the driver, and take it for dead.
    """
    with grpc.insecure_channel(address, options=(("grpc.enable_http_proxy", 0),)) as channel:
        try:
            channel.unary_unary("/ray.rpc.InternalKVGcsService/InternalKVGet")(b"", timeout=_ANSWER_TIMEOUT_S)
        except grpc.RpcError as error:
            return bool(error.code() == grpc.StatusCode.UNAUTHENTICATED)
    return False


def _refusal(address: str, error: Any) -> SettingsError:
    if error.code() == grpc.StatusCode.UNAUTHENTICATED:
        return SettingsError(
            f"the Ray cluster at {address} needs a token, or refused the one of this process: {SET_TOKEN}"
        )
    if error.code() == grpc.StatusCode.DEADLINE_EXCEEDED:
        return SettingsError(
            f"the process at {address} did not answer within {_ANSWER_TIMEOUT_S:g} s: is that the port of a Ray head?"
        )
    return SettingsError(
        f"the process at {address} is not a Ray head: use the port that `ray start --head` shows (6379 by default), or "
        f"send the sweep to a dashboard with {_SUBMIT}"
    )


def _check_versions(address: str, metadata: bytes) -> None:
    """Compare the versions of Ray and Python, which have to be the same to the last digit."""
    if not metadata:
        return
    versions = json.loads(metadata)
    theirs = (str(versions.get("ray_version")), str(versions.get("python_version")))
    ours = (ray.__version__, platform.python_version())
    if theirs != ours:
        raise SettingsError(
            f"the cluster at {address} runs Ray {theirs[0]} on Python {theirs[1]}, this process Ray {ours[0]} on "
            f"Python {ours[1]}: install the same versions here, or use {_SUBMIT}, which takes any"
        )


def _check_node(address: str, nodes: Any) -> None:
    """Check that this machine is a node: a driver needs the raylet of its own machine, and Ray would wait minutes."""
    alive = {node.node_id.hex() for node in nodes if node.state == GcsNodeInfo.GcsNodeState.ALIVE}
    if not alive & services.find_node_ids():
        raise SettingsError(
            f"this machine is not a node of the Ray cluster at {address}: join it with `ray start --address {address}` "
            f"or send the sweep with {_SUBMIT}"
        )
