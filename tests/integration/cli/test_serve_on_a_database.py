"""`tallystick serve` on an ordinary database: secrets of one's own, migrations, several instances."""

from urllib.parse import parse_qs, quote, urlsplit

import pytest

from tests.http.services import JWT_SECRET, WEBHOOK_SECRET
from tests.integration.cli.conftest import Spoil, on
from tests.processes.installations import Installation, until_ready, until_true


@pytest.mark.parametrize(
    ("secrets", "named"),
    [
        ({}, "TALLYSTICK_JWT_SECRET or TALLYSTICK_JWKS_URL"),
        ({"TALLYSTICK_WEBHOOK_SECRETS": WEBHOOK_SECRET}, "TALLYSTICK_JWT_SECRET or TALLYSTICK_JWKS_URL"),
        ({"TALLYSTICK_JWT_SECRET": JWT_SECRET}, "TALLYSTICK_WEBHOOK_SECRETS"),
    ],
)
def test_without_secrets_it_is_refused_and_none_are_drawn(
    installation: Installation, dsn: str, secrets: dict[str, str], named: str
) -> None:
    refused = installation.run("serve", "--port", "0", DATABASE_URL=dsn, **secrets)

    assert refused.returncode == 2
    assert refused.stderr.startswith(f"tallystick: {named}")
    assert not installation.data.exists()


def test_it_serves_with_webhooks_switched_off(installation: Installation, dsn: str) -> None:
    secrets = {**on(dsn), "TALLYSTICK_WEBHOOK_SECRETS": "off"}

    server = installation.serve(**secrets)

    assert installation.code_of("ada", server, **secrets)
    assert server.end() == 0
    assert not installation.data.exists()


def test_it_brings_a_new_database_up_to_date(unmigrated: Installation) -> None:
    server = unmigrated.serve()

    assert unmigrated.code_of("ada", server)


def test_it_leaves_migrations_to_others_where_that_is_wanted(unmigrated: Installation) -> None:
    refused = unmigrated.run("serve", "--port", "0", TALLYSTICK_AUTO_MIGRATE="off")

    assert refused.returncode == 1
    assert "TALLYSTICK_AUTO_MIGRATE" in refused.stderr
    assert "'tallystick migrate'" in refused.stderr

    assert "applied: 0001" in unmigrated.run("migrate").stdout
    assert unmigrated.code_of("ada", unmigrated.serve(TALLYSTICK_AUTO_MIGRATE="off"))


def test_two_that_start_at_once_on_a_new_database_both_serve_it(unmigrated: Installation) -> None:
    both = [unmigrated.start(), unmigrated.start()]

    for server in both:
        until_ready(server.wait_until_listening())

    assert len({unmigrated.code_of("ada", server) for server in both}) == 1


def test_it_waits_for_a_database_that_is_not_there_yet(installation: Installation, dsn: str) -> None:
    socket_folder = parse_qs(urlsplit(dsn).query)["host"][0]
    later = installation.folder / "later"
    server = installation.start(**on(dsn.replace(quote(socket_folder), quote(str(later)))))
    until_true(lambda: "waiting: the database cannot be reached: " in server.output)
    assert server.is_running

    later.symlink_to(socket_folder)

    until_ready(server.wait_until_listening())
    assert server.output.count("waiting: ") == 1
    assert server.end() == 0


def test_a_signal_ends_a_server_that_waits(installation: Installation) -> None:
    server = installation.start(**on("postgresql://ada:hunter2@127.0.0.1:1/tally"))
    until_true(lambda: "waiting: the database cannot be reached: " in server.output)

    assert server.end() == 0
    assert "Traceback" not in server.output
    assert "hunter2" not in server.output


def test_a_database_that_refuses_the_login_is_a_sentence(installation: Installation, dsn: str) -> None:
    login = urlsplit(dsn).netloc
    refused = installation.run("serve", "--port", "0", **on(dsn.replace(login, "tallystick:hunter2@")))

    assert refused.returncode == 1
    assert refused.stderr.startswith("tallystick: ")
    assert "28P01" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert "hunter2" not in refused.stderr


async def test_a_database_that_is_not_as_it_has_to_be_is_refused_with_the_reason(
    connected: Installation, spoil: Spoil
) -> None:
    await spoil("ALTER TABLE tallystick.users NO FORCE ROW LEVEL SECURITY")

    refused = connected.run("serve", "--port", "0")

    assert refused.returncode == 1
    assert refused.stderr == "tallystick: row level security is not forced on: users\n"
