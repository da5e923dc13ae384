"""The compose files, Ray's cluster file and KubeRay's manifests: their schemas, and what they must never say."""

from __future__ import annotations

import importlib.metadata
import importlib.resources
import importlib.util
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

DOCKER = Path(__file__).parents[2] / "docker"
COMPOSE = sorted(DOCKER.glob("compose*.yaml"))
MANIFESTS = sorted((DOCKER / "kuberay").glob("*.yaml"))


def _module() -> Any:
    spec = importlib.util.spec_from_file_location("validate", DOCKER / "validate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


validate = _module()


def read(name: str) -> Any:
    (document,) = validate.documents(DOCKER / name)
    return document


def services(name: str = "compose.yaml") -> dict[str, Any]:
    found: dict[str, Any] = read(name)["services"]
    return found


def pods(manifest: Any) -> Iterator[tuple[str, Any]]:
    spec = manifest["spec"].get("rayClusterSpec", manifest["spec"])
    yield "head", spec["headGroupSpec"]["template"]["spec"]
    for group in spec["workerGroupSpecs"]:
        yield group["groupName"], group["template"]["spec"]


def values(node: Any) -> Iterator[str]:
    if isinstance(node, dict | list):
        for part in node.values() if isinstance(node, dict) else node:
            yield from values(part)
    else:
        yield str(node)


@pytest.mark.parametrize("file", COMPOSE, ids=[file.name for file in COMPOSE])
def test_a_compose_file_keeps_to_its_schema(file: Path) -> None:
    vendored = importlib.resources.files("check_jsonschema") / "builtin_schemas" / "vendor" / "compose-spec.json"
    schema = json.loads(vendored.read_text())
    document = read(file.name)
    assert not list(validate.faults(document, schema))
    next(iter(document["services"].values()))["portz"] = []
    assert list(validate.faults(document, schema))


def test_the_cluster_file_keeps_to_rays_schema() -> None:
    schema = json.loads((importlib.resources.files("ray") / "autoscaler" / "ray-schema.json").read_text())
    document = read("cluster.yaml")
    assert not list(validate.faults(document, schema))
    assert list(validate.faults(document | {"min_wrokers": 2}, schema))
    assert "--env=RAY_AUTH_MODE=token" in document["docker"]["run_options"]
    assert any("dashboard-host=127.0.0.1" in command for command in document["head_start_ray_commands"])


def test_the_cluster_files_advice_on_the_token_is_that_of_the_page_on_security() -> None:
    page = (DOCKER.parent / "docs" / "security.md").read_text(encoding="utf-8")
    (made,) = re.findall(r"^\(umask 077; .* > ~/\.ray/auth_token\)$", page, re.M)
    text = (DOCKER / "cluster.yaml").read_text(encoding="utf-8")
    assert f"#   {made}\n" in text
    assert text.count("~/.ray/auth_token") == 2  # there, and where it is copied to the nodes
    assert "token_hex" not in text.replace(made, "")


def test_only_mlflow_and_the_dashboard_are_published_and_on_loopback() -> None:
    ports = {name: service["ports"] for name, service in services().items() if "ports" in service}
    assert ports == {
        "mlflow": ["${PUBLISH_ON:-127.0.0.1}:${MLFLOW_PORT:-5000}:5000"],
        "head": ["${PUBLISH_ON:-127.0.0.1}:${DASHBOARD_PORT:-8265}:8265"],
    }
    assert "PUBLISH_ON=127.0.0.1" in (DOCKER / ".env.example").read_text().splitlines()
    others = [service.get("ports") or [] for service in services("compose.hosts.yaml").values()]
    assert [port for ports in others for port in ports if not port.startswith("127.0.0.1:")] == []
    head = services("compose.hosts.yaml")["head"]["command"]
    assert "--dashboard-host=127.0.0.1" in head
    assert not any(service.get("privileged") for service in services().values())


@pytest.mark.slow
def test_no_service_starts_without_its_secrets_and_none_has_a_default() -> None:
    for file in COMPOSE:
        for name, value in re.findall(r"^ +([A-Z_]*(?:PASSWORD|TOKEN|SECRET_KEY)): (.*)$", file.read_text(), re.M):
            assert re.fullmatch(r"\$\{[A-Z_]+:\?.+\}", value), f"{file.name}: {name}: {value}"
    asked = {name for value in values(services()) for name in re.findall(r"\$\{([A-Z_]+):\?", value)}
    example = (DOCKER / ".env.example").read_text()
    assert asked == set(re.findall(r"^([A-Z_]+)=change-me$", example, re.M))


def test_every_secret_is_looked_at_before_anything_starts() -> None:
    entry = (DOCKER / "entrypoint.sh").read_text()
    secrets = {
        name
        for service in services().values()
        for name in service.get("environment", {})
        if re.search(r"PASSWORD|TOKEN$|SECRET", name)
    }
    assert all(re.search(rf"\b{name}\b", entry) for name in secrets)
    check = services()["check"]
    assert set(check["environment"]) == {
        name for name in secrets if name not in ("PGPASSWORD", "MLFLOW_TRACKING_PASSWORD")
    }
    assert services()["postgres"]["depends_on"] == {"check": {"condition": "service_completed_successfully"}}
    assert services()["postgres"]["entrypoint"] == ["/opt/tune-jobs/entrypoint.sh", "docker-entrypoint.sh"]


def test_no_secret_is_part_of_a_command_or_of_an_address() -> None:
    for file in COMPOSE:
        for name, service in services(file.name).items():
            commands = [*values(service.get("command", [])), *values(service.get("entrypoint", []))]
            commands += values(service.get("healthcheck", {}))
            assert not re.search("PASSWORD|TOKEN|SECRET", " ".join(commands)), name
            addresses = [value for value in values(service.get("environment", {})) if "://" in value]
            assert not any(re.search(r"//[^/@]*:[^/@]*@", address) for address in addresses), name
    assert not re.search(r"--set|-v \w+password|:'?\$", (DOCKER / "postgres" / "databases.sh").read_text())


@pytest.mark.parametrize("name", ["postgres", "mlflow", "head", "worker-cpu", "worker"])
def test_a_service_is_watched_restarted_and_has_its_reservation(name: str) -> None:
    service = services()[name]
    assert service["healthcheck"]["test"]
    assert service["restart"] == "unless-stopped"
    assert service["deploy"]["resources"]["reservations"]["memory"]
    assert service["deploy"]["resources"]["limits"]["memory"]
    assert "no-new-privileges:true" in service["security_opt"]
    assert name == "postgres" or service["cap_drop"] == ["ALL"]


def test_workers_are_as_many_as_is_said_and_only_those_of_a_server_have_gpus() -> None:
    cpu, gpu = services()["worker-cpu"], services()["worker"]
    assert (cpu["profiles"], gpu["profiles"]) == (["cpu"], ["gpu"])
    assert cpu["deploy"]["replicas"] == gpu["deploy"]["replicas"] == "${WORKERS:-1}"
    assert "devices" not in cpu["deploy"]["resources"]["reservations"]
    assert gpu["deploy"]["resources"]["reservations"]["devices"] == [
        {"driver": "nvidia", "count": "all", "capabilities": ["gpu"]}
    ]
    assert "PGPASSWORD" not in cpu["environment"] | gpu["environment"]
    assert gpu["networks"] == cpu["networks"] == ["cluster"]  # PostgreSQL and MLflow are in another


def test_ray_asks_for_its_token_and_mlflow_runs_nothing() -> None:
    for name in ("head", "worker", "worker-cpu"):
        assert services()[name]["environment"]["RAY_AUTH_MODE"] == "token", name
    mlflow = services()["mlflow"]
    assert mlflow["environment"]["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] == "false"
    assert "--app-name=basic-auth" in mlflow["command"]
    assert "--serve-artifacts" in mlflow["command"]
    assert mlflow["environment"]["MLFLOW_SERVER_ALLOWED_HOSTS"].endswith(":-mlflow:5000,localhost:*,127.0.0.1:*}")


def test_named_volumes_are_those_that_are_used() -> None:
    used = {
        mount.split(":")[0]
        for service in services().values()
        for mount in service.get("volumes", [])
        if mount[0] not in "./"
    }
    assert used == set(read("compose.yaml")["volumes"]) == {"postgres", "mlflow", "home", "gpus"}


@pytest.mark.parametrize("file", MANIFESTS, ids=[file.name for file in MANIFESTS])
def test_a_manifest_is_ready_for_kueue_and_asks_for_the_token(file: Path) -> None:
    (manifest,) = validate.documents(file)
    spec = manifest["spec"].get("rayClusterSpec", manifest["spec"])
    assert manifest["apiVersion"] == "ray.io/v1"
    assert manifest["kind"].lower() == file.stem
    assert manifest["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "tune-jobs"
    assert spec["authOptions"] == {"mode": "token", "secretName": "tune-jobs-ray"}
    assert spec["rayVersion"] == importlib.metadata.version("ray")
    assert spec["headGroupSpec"]["serviceType"] == "ClusterIP"
    for group, pod in pods(manifest):
        (container,) = pod["containers"]
        assert pod["securityContext"]["runAsNonRoot"], group
        assert pod["automountServiceAccountToken"] is False
        assert container["securityContext"]["allowPrivilegeEscalation"] is False
        assert container["resources"]["requests"] == container["resources"]["limits"]
        assert ("nvidia.com/gpu" in container["resources"]["limits"]) == (group != "head")
        assert {mount["name"] for mount in container["volumeMounts"]} == {volume["name"] for volume in pod["volumes"]}
        assert not [variable for variable in container.get("env", []) if "value" in variable]


def test_a_job_waits_until_it_is_admitted_and_takes_its_cluster_away() -> None:
    spec = read("kuberay/rayjob.yaml")["spec"]
    assert (spec["suspend"], spec["shutdownAfterJobFinishes"]) == (True, True)
    assert spec["entrypoint"].endswith("--address auto")
    for group in spec["rayClusterSpec"]["workerGroupSpecs"]:
        assert group["minReplicas"] == group["replicas"] == group["maxReplicas"]  # Kueue admits a fixed size


def test_a_definition_of_kubernetes_is_read_strictly(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    schema = {
        "type": "object",
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object"},
            "spec": {
                "type": "object",
                "required": ["port"],
                "properties": {
                    "port": {"x-kubernetes-int-or-string": True, "anyOf": [{"type": "integer"}, {"type": "string"}]},
                    "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True, "properties": {}},
                },
            },
        },
    }
    names = {"kind": "Thing"}
    versions = [{"name": "v1", "schema": {"openAPIV3Schema": schema}}]
    definition = {
        "kind": "CustomResourceDefinition",
        "spec": {"group": "example.org", "names": names, "versions": versions},
    }
    thing = {"apiVersion": "example.org/v1", "kind": "Thing", "metadata": {"name": "x"}}
    files = {
        "crd": definition,
        "good": thing | {"spec": {"port": "8080", "free": {"any": 1}}},
        "unknown": thing | {"spec": {"port": 8080, "prot": 1}},
        "missing": thing | {"spec": {}},
    }
    for name, content in files.items():
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump(content))
    crd, good, unknown, missing = (str(tmp_path / f"{name}.yaml") for name in files)
    assert validate.main([crd, good]) == 0
    assert validate.main([crd, unknown, missing]) == 1
    said = capsys.readouterr().out
    assert "'prot' was unexpected" in said
    assert "'port' is a required property" in said


@pytest.mark.parametrize("file", ["compose.yaml", "compose.node.yaml"])
def test_every_service_has_few_rights_and_writes_only_to_what_is_mounted(file: str) -> None:
    for name, service in services(file).items():
        assert service["cap_drop"] == ["ALL"], name
        assert service["pids_limit"] > 0, name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["read_only"] is True, name
        in_memory = {mount.split(":")[0] for mount in service["tmpfs"]}
        volumes = {mount.split(":")[1] if mount[0] != "/" else mount for mount in service.get("volumes", [])}
        assert not in_memory & volumes, name  # the one in memory would win
        assert ("/tmp" in volumes) == (name == "head" or name.startswith("worker")), name  # what Ray spills
        mounted = in_memory | volumes
        needed = {"/var/run/postgresql", "/var/lib/postgresql/data"} if name == "postgres" else {"/home/tune"}
        assert mounted >= needed | {"/tmp"}, name


@pytest.mark.parametrize("file", COMPOSE, ids=[file.name for file in COMPOSE])
def test_what_is_merged_from_two_places_has_no_key_in_both(file: Path) -> None:
    """The first counts in YAML and in Compose, and for some versions of PyYAML the last."""

    def mappings(node: yaml.Node) -> Iterator[yaml.MappingNode]:
        if isinstance(node, yaml.MappingNode):
            yield node
            yield from (one for _, value in node.value for one in mappings(value))
        elif isinstance(node, yaml.SequenceNode):
            yield from (one for value in node.value for one in mappings(value))

    for mapping in mappings(yaml.compose(file.read_text())):
        for key, value in mapping.value:
            if key.value == "<<" and isinstance(value, yaml.SequenceNode):
                names = [name.value for merged in value.value for name, _ in merged.value]
                assert sorted({*names}) == sorted(names), f"{file.name}, line {key.start_mark.line + 1}"


def test_networks_have_no_way_out_but_where_ports_are_published() -> None:
    assert services()["postgres"]["networks"] == ["databases"]
    networks = read("compose.yaml")["networks"]
    inner = {name for name, network in networks.items() if network == {"internal": True}}
    assert inner == {"databases", "cluster"}
    users = {name for name, service in services().items() if "databases" in service.get("networks", ())}
    assert users == {"postgres", "mlflow", "head"}
    outer = {name for name, service in services().items() if set(service.get("networks", ())) - inner}
    assert outer == {"mlflow", "head", "mlflow-user"}  # the first two publish ports, the third asks MLflow


def test_studies_are_delivered_by_a_user_of_their_own() -> None:
    found = services()
    head, maker, admin = (found[name]["environment"] for name in ("head", "mlflow-user", "mlflow"))
    assert head["MLFLOW_TRACKING_USERNAME"] == maker["MLFLOW_DELIVERY_NAME"] == "${MLFLOW_DELIVERY_NAME:-tune-jobs}"
    assert head["MLFLOW_TRACKING_PASSWORD"] == maker["MLFLOW_DELIVERY_PASSWORD"]
    assert maker["MLFLOW_TRACKING_USERNAME"] == admin["MLFLOW_AUTH_ADMIN_USERNAME"] != head["MLFLOW_TRACKING_USERNAME"]
    assert maker["MLFLOW_TRACKING_PASSWORD"] == admin["MLFLOW_AUTH_ADMIN_PASSWORD"]
    assert found["head"]["depends_on"]["mlflow-user"] == {"condition": "service_completed_successfully"}
    assert {name for name, service in found.items() if "ADMIN" in str(service)} == {"check", "mlflow", "mlflow-user"}


def test_a_restore_loads_every_dump_before_it_drops_anything() -> None:
    script = (DOCKER / "restore.sh").read_text(encoding="utf-8")
    steps = [line.split()[0] for line in script.splitlines() if re.match("(load|put|unpack) [a-z]", line)]
    assert steps == ["load"] * 3 + ["put"] * 3 + ["unpack"] * 2
    assert script.index("\nload mlflow_auth mlflow") < script.index("compose stop head mlflow") < script.index("\nput ")
