"""Prometheus and Grafana as docker/compose.yaml starts them."""

import json
from typing import Any

import yaml

from tests.unit.deployment.documented import DOCKER, run

SERVICES: dict[str, Any] = yaml.safe_load((DOCKER / "compose.yaml").read_text(encoding="utf-8"))["services"]
PROMETHEUS: dict[str, Any] = yaml.safe_load((DOCKER / "prometheus/prometheus.yml").read_text(encoding="utf-8"))


def provisioned(name: str) -> Any:
    """Return a file that Grafana reads at its start."""
    return yaml.safe_load((DOCKER / "grafana/provisioning" / name).read_text(encoding="utf-8"))


def test_promtool_reads_the_configuration_and_its_rules() -> None:
    assert "rules found" in run("promtool", "check", "config", "docker/prometheus/prometheus.yml")


def test_prometheus_scrapes_the_metrics_of_every_server() -> None:
    (job,) = PROMETHEUS["scrape_configs"]
    (found,) = job["dns_sd_configs"]
    environments = {name: service.get("environment", {}) for name, service in SERVICES.items()}
    listeners = {name: texts.get("TALLYSTICK_METRICS_ADDRESS") for name, texts in environments.items()}

    expected = dict.fromkeys(found["names"], f"0.0.0.0:{found['port']}")
    assert {name: listener for name, listener in listeners.items() if listener is not None} == expected


def test_grafana_reads_the_prometheus_of_this_file_and_the_dashboards_that_are_mounted() -> None:
    (source,) = provisioned("datasources/prometheus.yaml")["datasources"]
    (provider,) = provisioned("dashboards/tallystick.yaml")["providers"]
    mounts = dict(mount.split(":")[:2] for mount in SERVICES["grafana"]["volumes"])

    assert source["url"] == "http://prometheus:9090"
    assert mounts["./grafana/dashboards"] == provider["options"]["path"]
    assert mounts["./grafana/provisioning"] == "/etc/grafana/provisioning"
    for dashboard in sorted((DOCKER / "grafana/dashboards").glob("*.json")):
        variables = json.loads(dashboard.read_text(encoding="utf-8"))["templating"]["list"]
        assert ("datasource", source["type"]) in {(row["type"], row["query"]) for row in variables}
