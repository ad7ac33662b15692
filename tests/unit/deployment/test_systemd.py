"""The units of docker/systemd, as systemd reads them."""

import re
import sys
from pathlib import Path

import pytest

from tallystick.entrypoints.settings import load, require_secrets
from tests.unit.deployment.documented import DOCKER, run, undocumented

FOLDER = DOCKER / "systemd"
INSTANCE = (FOLDER / "tallystick@.service").read_text(encoding="utf-8")
MIGRATE = (FOLDER / "tallystick-migrate.service").read_text(encoding="utf-8")
SETTINGS = dict(re.findall(r"^([A-Z_]+)=(.*)$", (FOLDER / "settings.env").read_text(encoding="utf-8"), re.MULTILINE))
LEAST_EXPOSURE = "20"
"""Two of ten points of `systemd-analyze security`."""


def variables(unit: str) -> dict[str, str]:
    """Return the variables that a unit sets."""
    return dict(re.findall(r"^Environment=(\w+)=(.*)$", unit, re.MULTILINE))


def credentials(unit: str) -> dict[str, str]:
    """Return the files of the credentials that a unit loads."""
    return dict(re.findall(r"^LoadCredential=(\w+):(.*)$", unit, re.MULTILINE))


def directives(unit: str, *names: str) -> list[str]:
    """Return the lines of a unit that harden it."""
    return [line for line in unit.splitlines() if line.startswith(names)]


def test_systemd_finds_nothing(tmp_path: Path) -> None:
    """The programs of /opt and the settings of /etc stand elsewhere in the tests."""
    for name, unit in (("tallystick@.service", INSTANCE), ("tallystick-migrate.service", MIGRATE)):
        here = unit.replace("/opt/tallystick/bin", str(Path(sys.executable).parent))
        (tmp_path / name).write_text(here, encoding="utf-8")

    said = run("systemd-analyze", "verify", "--man=no", str(tmp_path / "tallystick@8001.service"))

    assert said == ""


@pytest.mark.parametrize("name", ["tallystick@.service", "tallystick-migrate.service"])
def test_the_units_have_no_right_that_they_do_not_need(name: str) -> None:
    run("systemd-analyze", "security", "--offline=true", f"--threshold={LEAST_EXPOSURE}", str(FOLDER / name))


def test_both_units_are_hardened_in_the_same_way() -> None:
    kinds = ("Protect", "Private", "Restrict", "SystemCall", "Lock", "NoNew", "Capability", "UMask", "DynamicUser")

    assert directives(INSTANCE, *kinds) == directives(MIGRATE, *kinds)
    assert "DynamicUser=yes" in INSTANCE


def test_every_setting_is_documented_and_every_secret_is_a_credential(tmp_path: Path) -> None:
    run("sh", "docker/draw-secrets.sh", str(tmp_path), "localhost")

    assert undocumented([*SETTINGS, *variables(INSTANCE), *variables(MIGRATE)]) == set()
    for unit in (INSTANCE, MIGRATE):
        read = {text.removeprefix("%d/") for text in variables(unit).values()}
        assert credentials(unit) == {name: f"/etc/tallystick/secrets/{name}" for name in read}
        assert all((tmp_path / name).exists() for name in read)


def test_an_instance_starts_without_the_login_of_the_owner_and_has_time_to_stop(tmp_path: Path) -> None:
    run("sh", "docker/draw-secrets.sh", str(tmp_path), "localhost")
    files = {name: text.replace("%d", str(tmp_path)) for name, text in variables(INSTANCE).items()}

    settings = load({**SETTINGS, **files})

    require_secrets(settings)
    assert (settings.auto_migrate, settings.database_direct_url) == ("off", None)
    (seconds,) = re.findall(r"^TimeoutStopSec=(\d+)$", INSTANCE, re.MULTILINE)
    assert int(seconds) > settings.drain_delay_seconds + settings.drain_seconds + 5 > 25
    assert "Restart=always" in INSTANCE


def test_an_instance_is_waited_for_and_follows_the_migrations() -> None:
    assert "tallystick probe --port %i" in INSTANCE
    for key in ("Wants", "After"):
        assert re.search(rf"^{key}=.*\btallystick-migrate\.service\b", INSTANCE, re.MULTILINE)
    assert "tallystick migrate\n" in MIGRATE
