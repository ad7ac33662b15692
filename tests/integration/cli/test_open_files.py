"""The limit of open files: raised at the start, and never reached by streams, so that everything else is answered."""

import json
import re
import socket
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from urllib.parse import urlsplit

import httpx2
import pytest

from tests.processes.installations import Installation, answer, until_ready, until_true
from tests.processes.service import Process

_FILES = 128
_STREAMS = 96
_USERS = 10
_OF_A_USER = 10
_MORE_THAN_ARE_LEFT = 60
_LINE = re.compile(r'^\{.*"event": "limit of open files".*\}$', re.MULTILINE)


def limited(hard: int, soft: int) -> Sequence[str]:
    """Return the beginning of a command that may open so many files; it may raise the soft limit to the hard one."""
    return "sh", "-c", f'ulimit -Sn {soft} && ulimit -Hn {hard} && exec "$0" "$@"'


@pytest.mark.parametrize(("hard", "streams", "level"), [(2_000, 1_500, "warning"), (14_000, 10_000, "info")])
def test_the_limit_is_raised_at_the_start_and_a_low_one_is_a_warning(
    installation: Installation, hard: int, streams: int, level: str
) -> None:
    server = installation.start("--store", "memory", prefix=limited(hard, soft=256))
    until_ready(server.wait_until_listening())

    found = _LINE.search(server.output)

    assert found is not None, server.output
    line = json.loads(found[0])
    assert (line["open_files"], line["streams"], line["level"]) == (hard, streams, level)


def test_streams_leave_files_for_other_requests_and_a_flood_of_connections_ends_nothing(
    installation: Installation,
) -> None:
    server = installation.start("--store", "memory", prefix=limited(_FILES, soft=_FILES))
    until_ready(server.wait_until_listening())
    members = [installation.token(f"member-{number}") for number in range(_USERS)]
    channels = [a_channel(server, token) for token in members]

    with ExitStack() as all_streams:
        opened = [
            all_streams.enter_context(stream(server, channels[number % _USERS], members[number % _USERS]))
            for number in range(_USERS * _OF_A_USER)
        ]
        begun = [read_until(each, b"event: ready\n", b"event: bye\n") for each in opened]
        ready = [each for each, text in zip(opened, begun, strict=True) if b"event: ready\n" in text]
        refused = [each for each, text in zip(opened, begun, strict=True) if b"event: bye\n" in text]
        assert len(ready) == _STREAMS
        for each in refused:
            assert read_until(each, b"}\n\n").startswith(b'data: {"reason":"busy"}')
            assert each.recv(100).endswith(b"0\r\n\r\n")
            assert each.recv(100) == b""
        assert answer(server.address, "/healthz") is not None

        with ExitStack() as flood:
            for _ in range(_MORE_THAN_ARE_LEFT):
                flood.enter_context(closed_at_last(server))
            assert server.is_running
        until_true(lambda: answer(server.address, "/healthz") is not None, "the server accepts nothing any more")

        send(server, channels[0], members[0])
        assert b"event: message\n" in read_until(ready[0], b"event: message\n")
    assert server.end() == 0, server.output


def a_channel(server: Process, token: str) -> str:
    made = httpx2.post(
        f"{server.address}/api/channels",
        json={"name": "a channel"},
        headers={"authorization": f"Bearer {token}"},
        trust_env=False,
    )
    return str(made.json()["channel_id"])


def send(server: Process, channel_id: str, token: str) -> None:
    sent = httpx2.post(
        f"{server.address}/api/messages/send",
        json={"channel_id": channel_id, "body": "still there"},
        headers={"authorization": f"Bearer {token}"},
        trust_env=False,
    )
    assert sent.status_code == 201, sent.text


@contextmanager
def closed_at_last(server: Process) -> Iterator[socket.socket]:
    """Connect, and close the connection at the end of the block, however it ended before."""
    address = urlsplit(server.address)
    with socket.create_connection((str(address.hostname), int(address.port or 0)), timeout=30) as connection:
        yield connection


@contextmanager
def stream(server: Process, channel_id: str, token: str) -> Iterator[socket.socket]:
    """Ask for the stream of a channel."""
    with closed_at_last(server) as connection:
        line = f"GET /api/channels/{channel_id}/stream HTTP/1.1"
        connection.sendall(f"{line}\r\nhost: x\r\nauthorization: Bearer {token}\r\n\r\n".encode())
        yield connection


def read_until(connection: socket.socket, *ends: bytes) -> bytes:
    """Return what comes up to the first of some texts, and leave the rest."""
    received = b""
    while not any(end in received for end in ends):
        byte = connection.recv(1)
        assert byte, received
        received += byte
    return received
