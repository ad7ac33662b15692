"""Heads of requests that do not end, as a real server meets them."""

import json
import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

import psutil
import pytest

from tests.processes.installations import Installation, answer
from tests.processes.service import Process

ENOUGH = 64 * 1024 * 1024


@pytest.fixture
def server(installation: Installation) -> Process:
    return installation.serve("--store", "memory")


@pytest.fixture
def connection(server: Process) -> Iterator[socket.socket]:
    parts = urlsplit(server.address)
    with socket.create_connection((parts.hostname, parts.port), timeout=30) as connected:
        yield connected


def send_without_end(connection: socket.socket, opening: bytes) -> bytes:
    """Send a head that does not end until the server hangs up, and return what it said."""
    connection.sendall(opening)
    said = b""
    try:
        for _ in range(ENOUGH // 65536):
            connection.sendall(b"x" * 65536)
    except (ConnectionResetError, BrokenPipeError):
        pass
    else:
        raise AssertionError("the server took it all")
    try:
        while part := connection.recv(65536):
            said += part
    except ConnectionResetError:
        pass
    return said


@pytest.mark.parametrize(
    "opening", [b"GET /healthz HTTP/1.1\r\nhost: x\r\na: ", b"GET /", b"GET /healthz HTTP/1.1\r\n"]
)
def test_a_head_without_end_is_cut_off_and_takes_no_memory(
    server: Process, connection: socket.socket, opening: bytes
) -> None:
    before = psutil.Process(server.pid).memory_info().rss

    send_without_end(connection, opening)

    assert psutil.Process(server.pid).memory_info().rss - before < 16 * 1024 * 1024
    assert answer(server.address, "/healthz") is not None


def test_a_head_that_is_too_long_by_little_gets_431(connection: socket.socket) -> None:
    connection.sendall(b"GET /healthz HTTP/1.1\r\nhost: x\r\na: " + b"x" * 40_000 + b"\r\nconnection: close\r\n\r\n")

    said = b""
    while part := connection.recv(65536):
        said += part
    head, _, body = said.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 431 ")
    assert json.loads(body)["code"] == "HEADERS_TOO_LARGE"


def test_a_long_body_in_front_of_the_next_head_is_no_head(connection: socket.socket) -> None:
    body = b"x" * 60_000
    request = b"POST /healthz HTTP/1.1\r\nhost: x\r\ncontent-length: 60000\r\n\r\n" + body
    connection.sendall(request * 3 + b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")

    said = b""
    while part := connection.recv(65536):
        said += part
    assert said.count(b"HTTP/1.1 405 ") == 3
    assert said.count(b"HTTP/1.1 200 ") == 1
