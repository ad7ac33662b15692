"""`tallystick serve` on its embedded database, as a process that is started, ended and killed."""

import json
import os
import signal
import socket
import stat
from urllib.parse import urlsplit

import httpx2
import psutil
import pytest

from tests.processes.installations import Installation, answer, has_ended, until, until_true


def test_it_starts_in_an_empty_folder_and_is_ready_where_it_says_that_it_listens(installation: Installation) -> None:
    server = installation.serve()

    assert server.address.startswith("http://127.0.0.1:")
    ready = answer(server.address, "/readyz")
    assert ready is not None
    assert ready.json() == {"status": "ready", "reasons": [], "notes": []}
    link = installation.link_of("ada", server)
    assert link["referral_url"] == f"{server.address}/r/{link['referral_code']}"

    for secret in ("jwt.secret", "webhook.secret", "postgres.password"):
        assert stat.S_IMODE((installation.data / secret).stat().st_mode) == 0o600
    assert stat.S_IMODE((installation.data / "postgres").stat().st_mode) == 0o700


def test_a_caller_who_reads_the_address_finds_it_open(installation: Installation) -> None:
    server = installation.start("--store", "memory")

    assert answer(server.wait_until_listening(), "/healthz") is not None


def test_a_platform_may_choose_the_port(installation: Installation) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])

        refused = installation.run("serve", "--store", "memory", PORT=port)

    assert refused.returncode == 1
    assert f"cannot listen on 127.0.0.1 port {port}" in refused.stderr


def test_it_ends_with_success_on_a_signal_and_keeps_its_data(installation: Installation) -> None:
    first = installation.serve()
    code = installation.code_of("ada", first)

    assert first.end(signal.SIGTERM) == 0, first.output
    assert installation.postmaster is None

    second = installation.serve()
    assert installation.code_of("ada", second) == code
    assert second.end(signal.SIGINT) == 0, second.output
    assert installation.postmaster is None


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_that_comes_while_it_starts_ends_it_all_the_same(
    installation: Installation, how: signal.Signals
) -> None:
    server = installation.start("--store", "memory")
    server.wait_until_listening()

    assert server.end(how) == 0, server.output


def test_after_it_was_killed_the_next_one_goes_on_with_the_same_database(installation: Installation) -> None:
    first = installation.serve()
    code = installation.code_of("ada", first)
    postmaster = installation.postmaster

    first.end(signal.SIGKILL)
    second = installation.serve()

    assert installation.code_of("ada", second) == code
    assert installation.postmaster == postmaster
    assert second.end() == 0
    assert installation.postmaster is None


def test_after_everything_was_killed_the_next_one_recovers(installation: Installation) -> None:
    first = installation.serve()
    code = installation.code_of("ada", first)
    postmaster = psutil.Process(installation.postmaster)

    first.end(signal.SIGKILL)
    postmaster.kill()
    until_true(lambda: has_ended(postmaster))

    assert installation.code_of("ada", installation.serve()) == code


def test_a_request_that_takes_longer_than_the_end_may_is_cut_off_and_that_is_no_error(
    installation: Installation,
) -> None:
    server = installation.serve("--store", "memory", TALLYSTICK_DRAIN_SECONDS="0")
    place, token = urlsplit(server.address), installation.token("ada")
    with socket.create_connection((place.hostname, place.port)) as client:
        client.sendall(
            f"POST /api/users/upsert HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\ncontent-length: 9\r\n"
            "content-type: application/json\r\nexpect: 100-continue\r\nx-correlation-id: slow-request\r\n\r\n".encode()
        )
        assert client.recv(100).startswith(b"HTTP/1.1 100 ")

        assert server.end() == 0

    logged = [json.loads(line) for line in server.output.splitlines() if line.startswith("{")]
    assert [line for line in logged if line["level"] == "error"] == []
    # On a slow machine, a question of this test whether the server is ready may have been cut off too.
    cut = {line["event"]: line["level"] for line in logged if line.get("correlation_id") == "slow-request"}
    assert cut["request cut off by the end of the server"] == "warning"


def test_a_second_one_in_the_same_folder_is_refused_and_the_first_one_goes_on(installation: Installation) -> None:
    first = installation.serve()
    code = installation.code_of("ada", first)

    second = installation.run("serve", "--port", "0")

    assert second.returncode == 1
    assert second.stderr.startswith(f"tallystick: another tallystick uses {installation.data};")
    assert "TALLYSTICK_DATA_DIR" in second.stderr
    assert installation.code_of("ada", first) == code


def test_it_heals_by_itself_when_its_database_is_killed(installation: Installation) -> None:
    server = installation.serve()
    code = installation.code_of("ada", server)
    killed = installation.postmaster
    assert killed is not None

    os.kill(killed, signal.SIGKILL)

    until_true(lambda: installation.postmaster not in {None, killed}, server.output)
    until(lambda: answer(server.address, "/readyz"), server.output)
    assert installation.code_of("ada", server) == code
    assert server.end() == 0
    assert installation.postmaster is None


def test_in_memory_it_needs_no_database_and_keeps_nothing(installation: Installation) -> None:
    first = installation.serve("--store", "memory")
    installation.code_of("ada", first)
    assert not (installation.data / "postgres").exists()
    assert first.end() == 0

    second = installation.serve("--store", "memory")
    headers = {"authorization": f"Bearer {installation.token('ada')}"}
    peeked = answer(second.address, "/api/referral", headers=headers)

    assert peeked is not None
    assert peeked.json()["pending"] is True


def test_in_memory_it_is_one_process(installation: Installation) -> None:
    refused = installation.run("serve", "--store", "memory", "--workers", "2")

    assert refused.returncode == 2
    assert "--workers" in refused.stderr


def test_a_port_that_is_taken_is_named(installation: Installation) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        refused = installation.run("serve", "--store", "memory", "--port", str(port))

    assert refused.returncode == 1
    assert refused.stderr.startswith(f"tallystick: cannot listen on 127.0.0.1 port {port}: ")
    assert "--port" in refused.stderr
    # Another folder's secrets would sign tokens that the server on this port refuses.
    assert not installation.data.exists()
    assert "Traceback" not in refused.stderr


@pytest.mark.parametrize(
    ("environment", "named"),
    [
        ({"TALLYSTICK_JWT_SECERT": "a typing error"}, "TALLYSTICK_JWT_SECERT is not a setting"),
        ({"TALLYSTICK_POOL_SIZE": "1"}, "TALLYSTICK_POOL_SIZE: "),
    ],
)
def test_a_wrong_environment_is_refused_by_name_before_anything_is_made(
    installation: Installation, environment: dict[str, str], named: str
) -> None:
    refused = installation.run("serve", "--port", "0", **environment)

    assert refused.returncode == 2
    assert refused.stderr.startswith(f"tallystick: {named}")
    assert not installation.data.exists()


def test_published_keys_alone_are_enough_for_the_embedded_mode(installation: Installation) -> None:
    """Sessions and pseudonyms still need a secret: it is drawn like the others."""
    keys_only = {"TALLYSTICK_JWKS_URL": "http://127.0.0.1:9/keys", "TALLYSTICK_WEBHOOK_SECRETS": "off"}
    server = installation.start("--store", "memory", **keys_only)
    server.wait_until_listening()

    process = psutil.Process(server.pid)

    until_true(lambda: has_ended(process) or answer(server.address, "/healthz") is not None)

    assert not has_ended(process), server.output
    # Nobody listens there: it serves, and is not ready for tokens of these keys.
    readiness = httpx2.get(f"{server.address}/readyz", trust_env=False)
    assert (readiness.status_code, len(readiness.json()["reasons"])) == (503, 1)
    assert "TALLYSTICK_JWKS_URL: ConnectError: " in readiness.json()["reasons"][0]
