"""Whether a running Ray cluster answers at an address, and would have this process as a driver.

Asked before Ray is: it would try for minutes, and then end the process with a line of its own.
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
from ray._private import services
from ray._private.grpc_utils import init_grpc_channel
from ray.core.generated import gcs_service_pb2 as gcs
from ray.core.generated import gcs_service_pb2_grpc as stubs
from ray.core.generated.gcs_pb2 import GcsNodeInfo
from ray.exceptions import AuthenticationError

from tune_jobs.errors import SettingsError
from tune_jobs.execution import tokens
from tune_jobs.words import one_line

_PATIENCE_S = 10.0  # for an answer; one takes milliseconds
_SUBMIT = "`tune-jobs submit … --address http://HOST:8265`"
TOKEN = "RAY_AUTH_TOKEN, or RAY_AUTH_TOKEN_PATH with the file that has it, has to be set as on the head"


def check_reachable(address: str) -> str:
    """The cluster's HOST:PORT, which is known to answer, to be of our versions and to have a node on this machine.

    Raises:
        SettingsError: if it is not so; the message says what is to be done.
    """
    address = _resolved(address)
    _connected(address)
    if _asks_for_token(address):
        tokens.show()
    with closing(init_grpc_channel(address, options=(("grpc.enable_http_proxy", 0),))) as channel:
        try:
            metadata = gcs.InternalKVGetRequest(namespace=b"cluster", key=b"CLUSTER_METADATA")
            said = stubs.InternalKVGcsServiceStub(channel).InternalKVGet(metadata, timeout=_PATIENCE_S)
            _check_versions(address, said.value)
            everyone = gcs.GetAllNodeInfoRequest()
            nodes = stubs.NodeInfoGcsServiceStub(channel).GetAllNodeInfo(everyone, timeout=_PATIENCE_S)
        except AuthenticationError as error:  # we have none to show
            raise SettingsError(f"Ray is to show a token here, and there is none: {TOKEN}") from error
        except grpc.RpcError as error:
            raise _refusal(address, error) from error
    _check_node(address, nodes.node_info_list)
    return address


def _resolved(address: str) -> str:
    """HOST:PORT of what a user said."""
    if address == "auto":
        try:
            address = str(services.get_ray_address_from_environment("auto", None))
        except ConnectionError as error:
            raise SettingsError(
                "no Ray cluster runs on this machine: `ray start` begins one, --address HOST:PORT names another, and "
                "without --address the sweep has one of its own"
            ) from error
    if address.startswith(("http://", "https://")):
        raise SettingsError(f"{address} is a dashboard, to which sweeps are sent: {_SUBMIT}")
    if address.startswith("ray://"):
        raise SettingsError(
            f"a sweep does not run through Ray's client ({address}): launch it on a machine of the cluster, or send it "
            f"there with {_SUBMIT}"
        )
    if not re.fullmatch(r"(\[[0-9a-fA-F:.]+\]|[^:/\s]+):[0-9]{1,5}", address):
        raise SettingsError(f"--address needs HOST:PORT of a Ray cluster's head, or auto; got {address!r}")
    return address


def _connected(address: str) -> None:
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=_PATIENCE_S).close()
    except (OSError, OverflowError) as error:
        why = getattr(error, "strerror", None) or one_line(error)
        raise SettingsError(f"no Ray cluster answers at {address}: {why}") from error


def _asks_for_token(address: str) -> bool:
    """Whether a call without one is refused: a cluster that asks for none must not be shown any."""
    with grpc.insecure_channel(address, options=(("grpc.enable_http_proxy", 0),)) as channel:
        try:
            channel.unary_unary("/ray.rpc.InternalKVGcsService/InternalKVGet")(b"", timeout=_PATIENCE_S)
        except grpc.RpcError as error:
            return bool(error.code() == grpc.StatusCode.UNAUTHENTICATED)
    return False


def _refusal(address: str, error: Any) -> SettingsError:
    if error.code() == grpc.StatusCode.UNAUTHENTICATED:
        return SettingsError(
            f"the Ray cluster at {address} did not accept the token of this process, or wants one: {TOKEN}"
        )
    if error.code() == grpc.StatusCode.DEADLINE_EXCEEDED:
        return SettingsError(f"what listens at {address} did not answer within {_PATIENCE_S:g} s: is it Ray's port?")
    return SettingsError(
        f"what listens at {address} is not Ray's head (GCS), whose port `ray start --head` names, 6379 if not told "
        f"otherwise; sweeps are sent to a dashboard with {_SUBMIT}"
    )


def _check_versions(address: str, metadata: bytes) -> None:
    """Ray wants both to be the same to the last digit."""
    if not metadata:
        return
    found = json.loads(metadata)
    theirs = (str(found.get("ray_version")), str(found.get("python_version")))
    ours = (ray.__version__, platform.python_version())
    if theirs != ours:
        raise SettingsError(
            f"the cluster at {address} runs Ray {theirs[0]} on Python {theirs[1]}, and here are Ray {ours[0]} and "
            f"Python {ours[1]}: they have to be the same; {_SUBMIT} does not mind"
        )


def _check_node(address: str, nodes: Any) -> None:
    """A driver is served by the raylet of its own machine, for which Ray would look for minutes."""
    alive = {node.node_id.hex() for node in nodes if node.state == GcsNodeInfo.GcsNodeState.ALIVE}
    if not alive & services.find_node_ids():
        raise SettingsError(
            f"this machine is no node of the Ray cluster at {address}: `ray start --address {address}` makes it one, "
            f"or send the sweep with {_SUBMIT}"
        )
