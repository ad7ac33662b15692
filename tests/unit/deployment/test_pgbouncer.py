"""The configuration of docker/pgbouncer beside what the service sends. `tests/integration/poolers.py` starts it."""

import re

from tallystick.adapters.embedded.provision import SERVICE
from tallystick.adapters.postgres.connecting import POOLER_ADVICE
from tallystick.adapters.postgres.database import PoolSettings, session_settings
from tests.unit.deployment.documented import DOCKER

TEXT = (DOCKER / "pgbouncer/pgbouncer.ini").read_text(encoding="utf-8")
VALUES = dict(re.findall(r"^(\w+) = (.*)$", TEXT, re.MULTILINE))
LOGIN = (DOCKER / "pgbouncer/login.sql").read_text(encoding="utf-8")


def test_it_ignores_the_settings_that_the_service_sends_and_that_errors_name() -> None:
    ignored = VALUES["ignore_startup_parameters"]

    assert set(session_settings(PoolSettings())) <= set(ignored.split(", "))
    assert f"ignore_startup_parameters = {ignored}" in POOLER_ADVICE


def test_the_login_has_the_settings_that_the_pooler_drops() -> None:
    statements = re.findall(rf"^ALTER ROLE {SERVICE} SET (\w+) = '(.*)';$", LOGIN, re.MULTILINE)

    assert dict(statements) == session_settings(PoolSettings())


def test_it_tries_again_before_callers_give_up() -> None:
    settings = PoolSettings()

    assert VALUES["pool_mode"] == "transaction"
    assert int(VALUES["server_login_retry"]) < settings.acquire_seconds
    assert int(VALUES["server_connect_timeout"]) < settings.connect_seconds
    assert int(VALUES["query_wait_timeout"]) < settings.statement_seconds + 1
