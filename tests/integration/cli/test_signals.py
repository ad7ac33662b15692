"""SIGTERM and Ctrl-C: the work that a server finishes, and programs that a script started in the background."""

import json
import signal
import socket
import subprocess
import sys
from contextlib import closing, suppress
from http.client import HTTPConnection
from urllib.parse import urlsplit

import pytest

from tests.processes.installations import Installation, until_ready, until_true
from tests.processes.service import IN_THE_BACKGROUND, Process, obey_interrupts

_IS_OBEYED = "import signal; print(signal.getsignal(signal.SIGINT) is signal.default_int_handler)"


def is_refused(place: tuple[str, int]) -> bool:
    """Return whether nobody listens there any more."""
    with suppress(ConnectionRefusedError), socket.create_connection(place):
        return False
    return True


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_request_that_runs_at_the_signal_is_answered_while_no_other_is_taken(
    installation: Installation, how: signal.Signals
) -> None:
    server = installation.serve("--store", "memory")
    address = urlsplit(server.address)
    place, token = (str(address.hostname), int(address.port or 0)), installation.token("ada")
    with socket.create_connection(place) as running, socket.create_connection(place) as idle:
        idle.sendall(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n")
        assert idle.recv(4096).startswith(b"HTTP/1.1 200 ")
        running.sendall(
            f"POST /api/users/upsert HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\ncontent-length: 2\r\n"
            "content-type: application/json\r\nexpect: 100-continue\r\n\r\n".encode()
        )
        assert running.recv(100).startswith(b"HTTP/1.1 100 ")

        server.send(how)

        until_true(lambda: is_refused(place), server.output)
        assert idle.recv(1) == b""
        assert server.is_running
        running.sendall(b"{}")
        assert running.recv(4096).startswith(b"HTTP/1.1 200 ")

    assert server.wait() == 0, server.output


def test_a_stream_ends_by_bye_at_the_signal(installation: Installation) -> None:
    server = installation.serve("--store", "memory")
    address, authorization = urlsplit(server.address), f"Bearer {installation.token('ada')}"
    with closing(HTTPConnection(str(address.hostname), int(address.port or 0))) as connection:
        headers = {"Authorization": authorization, "Content-Type": "application/json"}
        connection.request("POST", "/api/channels", '{"name": "a channel"}', headers)
        channel_id = json.loads(connection.getresponse().read())["channel_id"]
        connection.request("GET", f"/api/channels/{channel_id}/stream", headers=headers)
        stream = connection.getresponse()
        while not stream.readline().startswith(b"event: ready"):
            pass

        server.send(signal.SIGTERM)

        assert stream.read().endswith(b'event: bye\ndata: {"reason":"draining"}\n\n')
    assert server.wait() == 0, server.output


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_server_that_a_script_started_in_the_background_ends_by_both(
    installation: Installation, how: signal.Signals
) -> None:
    server = installation.start(prefix=IN_THE_BACKGROUND)
    until_ready(server.wait_until_listening())
    assert installation.postmaster is not None

    assert server.end(how) == 0, server.output
    assert installation.postmaster is None


def test_a_command_in_the_background_ends_with_its_database(installation: Installation) -> None:
    migrating = Process("migrate", folder=installation.folder, prefix=IN_THE_BACKGROUND)

    assert migrating.wait() == 0, migrating.output
    assert installation.postmaster is None


def test_programs_that_tests_start_obey_ctrl_c_where_the_tests_ran_in_the_background() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        obey_interrupts()
        started = subprocess.run([sys.executable, "-c", _IS_OBEYED], capture_output=True, text=True, check=True)
    finally:
        signal.signal(signal.SIGINT, before)

    assert started.stdout == "True\n"
