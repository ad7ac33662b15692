"""`tallystick probe`."""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from click.testing import CliRunner

from tallystick.entrypoints.cli.main import main
from tests.integration.cli.conftest import Spoil
from tests.processes.installations import Installation, answer, until_true


@contextmanager
def stranger(status: int, body: bytes) -> Iterator[str]:
    """Run something that is no Tallystick, and answers all the same; return where."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        serving.join()


async def test_a_server_is_ready_until_its_database_is_spoilt_and_then_says_why(
    connected: Installation, spoil: Spoil
) -> None:
    address = connected.serve().address
    ready = connected.run("probe", address)
    assert (ready.returncode, ready.stdout) == (0, "ready\n")
    printed = json.loads(connected.run("probe", f"{address}/", "--json").stdout)
    assert printed == {"status": "ready", "reasons": [], "notes": []}

    await spoil("ALTER TABLE tallystick.users NO FORCE ROW LEVEL SECURITY")
    until_true(lambda: answer(address, "/readyz") is None)

    reason = "row level security is not forced on: users"
    unready = connected.run("probe", address)
    assert (unready.returncode, unready.stderr) == (1, f"tallystick: not ready: {reason}\n")
    finished = connected.run("probe", address, "--json")
    assert (finished.returncode, json.loads(finished.stdout)) == (
        1,
        {"status": "not ready", "reasons": [reason], "notes": []},
    )


def test_where_nobody_listens_the_answer_is_no() -> None:
    with socket.socket() as bound:  # and listens not
        bound.bind(("127.0.0.1", 0))
        silent = CliRunner().invoke(main, ["probe", f"http://127.0.0.1:{bound.getsockname()[1]}"])

    assert silent.exit_code == 1
    assert silent.stderr == "tallystick: no answer from 127.0.0.1: ConnectionRefusedError\n"


def test_it_waits_no_longer_than_its_limit() -> None:
    with socket.create_server(("127.0.0.1", 0)) as mute:
        address = f"http://127.0.0.1:{mute.getsockname()[1]}"
        silent = CliRunner().invoke(main, ["probe", address, "--seconds", "0.1"])

    assert silent.exit_code == 1
    assert silent.stderr == "tallystick: no answer from 127.0.0.1: TimeoutError\n"


@pytest.mark.parametrize(
    ("status", "body"), [(200, b"<html>"), (200, b"[]"), (404, b"{}"), (503, b"[]"), (503, b'{"reasons":null}')]
)
def test_somebody_else_is_not_ready(status: int, body: bytes) -> None:
    with stranger(status, body) as address:
        refused = CliRunner().invoke(main, ["probe", address])

    assert refused.exit_code == 1
    assert refused.stderr.startswith("tallystick: ")


@pytest.mark.parametrize(
    "url",
    ["127.0.0.1:8000", "ftp://127.0.0.1", "http://", "http://127.0.0.1:port", "http://127.0.0.1:99999", "http://[::1"],
)
def test_a_text_that_is_no_address_is_refused(url: str) -> None:
    refused = CliRunner().invoke(main, ["probe", url])

    assert refused.exit_code == 2
    assert refused.stderr.startswith("tallystick: URL ")


def test_a_port_of_the_environment_is_asked_unless_an_address_is_named(installation: Installation) -> None:
    server = installation.serve("--store", "memory")
    port = server.address.rpartition(":")[2]

    assert installation.run("probe", PORT=port).stdout == "ready\n"
    assert installation.run("probe", server.address, PORT="1").stdout == "ready\n"
    assert "no answer from 127.0.0.1" in installation.run("probe", PORT="1").stderr


def test_an_address_and_a_port_are_refused() -> None:
    refused = CliRunner().invoke(main, ["probe", "http://127.0.0.1:8000", "--port", "8000"])

    assert (refused.exit_code, refused.stderr) == (2, "tallystick: URL or --port can be given, and not both\n")
