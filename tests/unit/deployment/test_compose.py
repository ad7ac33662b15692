"""The services of docker/compose.yaml, by the schema of Compose and by what each of them needs."""

import ipaddress
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tallystick.entrypoints.settings import load, require_secrets
from tests.unit.deployment.documented import DOCKER, run, undocumented

COMPOSE: dict[str, Any] = yaml.safe_load((DOCKER / "compose.yaml").read_text(encoding="utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if "build" in service}
SERVERS = {name: service for name, service in OURS.items() if service["command"][0] == "serve"}
_DEFAULT = re.compile(r"\$\{\w+(?::-([^}]*))?\}")


@pytest.fixture(scope="module")
def secrets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder of secrets, as the script draws them."""
    folder = tmp_path_factory.mktemp("deployment") / "secrets"
    run("sh", "docker/draw-secrets.sh", str(folder))
    return folder


def environment(service: dict[str, Any], secrets: Path) -> dict[str, str]:
    """Return the environment of a container where no variable is set outside."""
    texts = {
        name: _DEFAULT.sub(lambda found: found[1] or "", str(text)) for name, text in service["environment"].items()
    }
    return {name: text.replace("/run/secrets", str(secrets)) for name, text in texts.items()}


def test_the_file_fulfils_the_schema_of_compose() -> None:
    run("check-jsonschema", "--builtin-schema", "vendor.compose-spec", "docker/compose.yaml")


def test_every_image_of_others_is_pinned_by_a_digest() -> None:
    for name, service in SERVICES.items():
        assert "build" in service or re.fullmatch(r"\S+:\S+@sha256:[0-9a-f]{64}", service["image"]), name


def test_the_files_that_containers_mount_and_build_are_there() -> None:
    for service in SERVICES.values():
        for mount in service.get("volumes", []):
            source = mount.split(":")[0]
            assert source in COMPOSE["volumes"] or source == "./secrets/tls.pem" or (DOCKER / source).exists(), source
        build = service.get("build")
        if build is not None:
            assert (DOCKER / build["context"] / build["dockerfile"]).exists()


def test_every_setting_is_documented() -> None:
    named = {name for service in OURS.values() for name in service["environment"]}

    assert undocumented(named) == set()
    assert {f"TALLYSTICK_DRAIN{part}_SECONDS" for part in ("_DELAY", "")} <= named


def test_no_secret_is_written_down_and_every_secret_is_drawn(secrets: Path) -> None:
    for name, secret in COMPOSE["secrets"].items():
        assert secret == {"file": f"./secrets/{name}"}
        assert (secrets / name).read_text(encoding="utf-8").strip(), name
    assert (secrets / "tls.pem").exists()
    for service in SERVICES.values():
        given = set(service.get("secrets", []))
        read = {
            text.rpartition("/")[2] for text in map(str, service.get("environment", {}).values()) if "/run/" in text
        }
        assert read <= given <= set(COMPOSE["secrets"])


def test_secrets_that_are_there_are_kept(secrets: Path) -> None:
    before = {file.name: file.read_bytes() for file in secrets.iterdir()}
    (secrets / "session").unlink()

    run("sh", "docker/draw-secrets.sh", str(secrets))

    after = {file.name: file.read_bytes() for file in secrets.iterdir()}
    assert after.pop("session") != before.pop("session")
    assert after == before
    assert secrets.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("name", sorted(SERVERS))
def test_a_server_starts_with_its_settings_and_without_the_login_of_the_owner(name: str, secrets: Path) -> None:
    settings = load(environment(SERVERS[name], secrets))

    require_secrets(settings)
    assert settings.auto_migrate == "off"
    assert settings.database_url is not None
    assert settings.database_url.startswith("postgresql://tallystick_service:")
    assert settings.database_direct_url is None


def test_migrations_run_before_servers_with_the_login_of_the_owner(secrets: Path) -> None:
    settings = load(environment(SERVICES["migrate"], secrets))

    assert SERVICES["migrate"]["command"] == ["migrate"]
    assert settings.direct_url.startswith("postgresql://tallystick:")
    for server in SERVERS.values():
        assert server["depends_on"]["migrate"] == {"condition": "service_completed_successfully"}


def test_a_service_is_waited_for_until_it_is_healthy() -> None:
    for service in SERVICES.values():
        for name, condition in service.get("depends_on", {}).items():
            if name != "migrate":
                assert condition == {"condition": "service_healthy"}
                assert "healthcheck" in SERVICES[name] or name in SERVERS, name


def test_everything_but_the_migration_is_started_again() -> None:
    assert {service["restart"] for name, service in SERVICES.items() if name != "migrate"} == {"unless-stopped"}


def test_a_container_is_given_longer_to_stop_than_the_service_takes(secrets: Path) -> None:
    for server in SERVERS.values():
        settings = load(environment(server, secrets))

        assert settings.drain_delay_seconds > 0
        grace = int(server["stop_grace_period"].removesuffix("s"))
        assert grace > settings.drain_delay_seconds + settings.drain_seconds + 5


def test_only_containers_of_this_network_are_believed_as_proxies(secrets: Path) -> None:
    (network,) = COMPOSE["networks"]["default"]["ipam"]["config"]
    believed = load(environment(SERVICES["tallystick"], secrets)).trusted_proxies

    assert [ipaddress.ip_network(one) for one in believed] == [ipaddress.ip_network(network["subnet"])]


def test_only_haproxy_is_published_to_other_machines() -> None:
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}

    assert published.pop("haproxy") == ["80:80", "443:443"]
    assert all(port.startswith("127.0.0.1:") for ports in published.values() for port in ports)


def test_profiles_add_what_they_promise_and_nothing_else() -> None:
    profiles = {name: service["profiles"] for name, service in SERVICES.items() if "profiles" in service}

    assert profiles == {
        "tallystick-2": ["balance"],
        "haproxy": ["balance"],
        "prometheus": ["observe"],
        "grafana": ["observe"],
    }


def test_two_instances_have_the_same_settings() -> None:
    first, second = (dict(SERVICES[name]) for name in ("tallystick", "tallystick-2"))
    first.pop("ports")
    second.pop("profiles")

    assert first == second
