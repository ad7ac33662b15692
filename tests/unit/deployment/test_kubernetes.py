"""The manifests of docker/kubernetes, by the schemas of Kubernetes and by what the service needs."""

from collections.abc import Iterator
from typing import Any

import kubernetes_validate
import pytest
import yaml

from tallystick.entrypoints.settings import load
from tests.unit.deployment.documented import DOCKER, ROOT, undocumented

FOLDER = DOCKER / "kubernetes"
CUSTOM = "monitoring.coreos.com/v1"
"""Resources of an operator, which Kubernetes itself has no schema of."""


def manifests() -> Iterator[dict[str, Any]]:
    """Yield every resource of the folder."""
    for file in sorted(FOLDER.glob("*.yaml")):
        yield from yaml.safe_load_all(file.read_text(encoding="utf-8"))


MANIFESTS = {f"{resource['kind']}/{resource['metadata']['name']}": resource for resource in manifests()}
DEPLOYMENT = MANIFESTS["Deployment/tallystick"]["spec"]
JOB = MANIFESTS["Job/tallystick-migrate"]["spec"]
SETTINGS: dict[str, str] = MANIFESTS["ConfigMap/tallystick"]["data"]
PODS = {"Deployment": DEPLOYMENT["template"]["spec"], "Job": JOB["template"]["spec"]}
LABELS = {"app.kubernetes.io/name": "tallystick"}


def container(pod: dict[str, Any]) -> dict[str, Any]:
    """Return the only container of a pod."""
    (only,) = pod["containers"]
    assert isinstance(only, dict)
    return only


@pytest.mark.parametrize("name", [name for name, one in MANIFESTS.items() if one["apiVersion"] != CUSTOM])
def test_a_manifest_fulfils_the_schema_of_kubernetes(name: str) -> None:
    kubernetes_validate.validate(MANIFESTS[name], kubernetes_validate.latest_version(), strict=True)


def test_every_setting_is_documented() -> None:
    named = {row["name"] for pod in PODS.values() for row in container(pod)["env"]}

    assert undocumented([*SETTINGS, *named]) == set()


@pytest.mark.parametrize("kind", PODS)
def test_kubernetes_adds_no_variable_that_would_be_an_unknown_setting(kind: str) -> None:
    """The service is called tallystick: with service links every pod would have TALLYSTICK_SERVICE_HOST."""
    assert PODS[kind]["enableServiceLinks"] is False


@pytest.mark.parametrize("kind", PODS)
def test_every_secret_is_a_file_of_a_secret_whose_example_has_no_value(kind: str) -> None:
    pod = PODS[kind]
    mounts = {mount["name"]: mount["mountPath"] for mount in container(pod)["volumeMounts"]}
    keys = {
        f"{mounts[volume['name']]}/{key}"
        for volume in pod["volumes"]
        if "secret" in volume
        for key in MANIFESTS[f"Secret/{volume['secret']['secretName']}"]["stringData"]
    }

    assert {row["value"] for row in container(pod)["env"]} <= keys
    for name, manifest in MANIFESTS.items():
        if name.startswith("Secret/"):
            assert set(manifest["stringData"].values()) == {""}
    assert "docker/kubernetes/secret.yaml" in (ROOT / ".gitignore").read_text(encoding="utf-8").split()


def test_no_server_can_read_the_login_of_the_owner() -> None:
    secrets = [volume["secret"]["secretName"] for volume in PODS["Deployment"]["volumes"] if "secret" in volume]

    assert secrets == ["tallystick"]
    assert "database_direct_url" not in MANIFESTS["Secret/tallystick"]["stringData"]
    assert SETTINGS["TALLYSTICK_AUTO_MIGRATE"] == "off"


@pytest.mark.parametrize("kind", PODS)
def test_a_container_has_no_right_that_it_does_not_need(kind: str) -> None:
    pod = PODS[kind]

    assert pod["automountServiceAccountToken"] is False
    assert (pod["securityContext"]["runAsNonRoot"], pod["securityContext"]["runAsUser"]) == (True, 10001)
    assert container(pod)["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert set(container(pod)["resources"]["limits"]) == {"memory"}, "a limit of the processor delays the event loop"


def test_a_pod_has_time_to_stop_and_is_taken_out_before_its_port_closes() -> None:
    settings = load(SETTINGS)
    readiness = container(PODS["Deployment"])["readinessProbe"]
    noticed = readiness["periodSeconds"] * readiness["failureThreshold"] + readiness["timeoutSeconds"]
    grace = PODS["Deployment"]["terminationGracePeriodSeconds"]

    assert noticed < settings.drain_delay_seconds
    assert grace > settings.drain_delay_seconds + settings.drain_seconds + 5


def test_only_readiness_asks_for_the_database() -> None:
    server = container(PODS["Deployment"])
    paths = {name: server[f"{name}Probe"]["httpGet"]["path"] for name in ("startup", "liveness", "readiness")}

    assert paths == {"startup": "/healthz", "liveness": "/healthz", "readiness": "/readyz"}


def test_the_resources_find_each_other() -> None:
    server = container(PODS["Deployment"])
    ports = {port["name"]: port["containerPort"] for port in server["ports"]}
    service = MANIFESTS["Service/tallystick"]
    monitor = MANIFESTS["ServiceMonitor/tallystick"]["spec"]

    assert server["args"] == ["serve", "--host", "0.0.0.0", "--port", str(ports["http"])]
    assert SETTINGS["TALLYSTICK_METRICS_ADDRESS"] == f"0.0.0.0:{ports['metrics']}"
    assert {port["targetPort"] for port in service["spec"]["ports"]} == set(ports)
    assert {endpoint["port"] for endpoint in monitor["endpoints"]} == {"metrics"}
    assert DEPLOYMENT["template"]["metadata"]["labels"] == DEPLOYMENT["selector"]["matchLabels"] == LABELS
    assert service["spec"]["selector"] == service["metadata"]["labels"] == monitor["selector"]["matchLabels"] == LABELS
    assert MANIFESTS["PodDisruptionBudget/tallystick"]["spec"]["selector"]["matchLabels"] == LABELS
    assert MANIFESTS["PodDisruptionBudget/tallystick"]["spec"]["minAvailable"] < DEPLOYMENT["replicas"]


def test_migrations_run_as_the_owner_and_are_no_part_of_the_service() -> None:
    assert container(PODS["Job"])["args"] == ["migrate"]
    assert {row["name"] for row in container(PODS["Job"])["env"]} == {"DATABASE_URL_FILE", "DATABASE_DIRECT_URL_FILE"}
    assert JOB["template"]["metadata"]["labels"] != LABELS
