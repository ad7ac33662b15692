"""Streams: from send to receipt with many subscribers, and the memory and processor time of idle streams."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import NamedTuple

import msgspec

from bench.channels import Channels
from bench.client import Load, WrongAnswer
from bench.report import Row, Say, row
from bench.servers import ROOT, Server
from bench.stream_client import Listening, Received

SUBSCRIBERS = 500
SENDS_PER_SECOND = 200
_MOST_P99_MS = 100.0
_MOST_KILOBYTES = 25.0
_WARM_STREAMS = 50
_READY_SECONDS = 150.0
_PAUSE_SECONDS = 2.0
_SOCKET_CACHES = ("TCP", "TCPv6", "dentry", "eventpoll_epi", "filp", "sock_inode_cache")
"""The caches of the kernel that hold one object for each open connection, or one for each of its ends."""


class Idle(NamedTuple):
    """The cost of idle streams for a server."""

    kilobytes: float
    kernel_kilobytes: float | None
    """The memory of the kernel for the server's end of a connection; None where it cannot be read."""
    cpu_share: float
    """The share of one core that all streams take together."""


def latencies(channels: Channels, server: Server, say: Say, *, seconds: float, rounds: int) -> Row:
    """Send at a steady rate to one channel with many subscribers."""
    found: list[Received] = []
    spent: list[float] = []
    for number in range(rounds + 1):
        say(f"from send to receipt, {'warming' if not number else f'round {number} of {rounds}'}")
        load = channels.steady_load(server, seconds if number else 1.0, SENDS_PER_SECOND)
        with _listening(server, channels.openings(SUBSCRIBERS, is_hot=True), load) as reader:
            before = server.cpu_seconds()
            received = _received(reader)
            if number:
                found.append(received)
                spent.append((server.cpu_seconds() - before) / received.seconds)
    p50, p99, most = (median(getattr(each, name) for each in found) for name in ("p50_ms", "p99_ms", "most_ms"))
    client = median(each.cpu_seconds / each.seconds for each in found)
    return row(
        f"p99 from send to receipt, {SUBSCRIBERS} streams of one channel, 1 worker",
        f"{_MOST_P99_MS:g} ms",
        [(each.p99_ms, _MOST_P99_MS) for each in found],
        unit="ms",
        at_most=1.0,
        note=(
            f"p50 {p50:.1f} ms, p99 {p99:.1f} ms, longest {most:.0f} ms at {SENDS_PER_SECOND} messages a second, each "
            f"received by every stream; the server took {median(spent):.0%} of one core, and the client {client:.0%}"
        ),
    )


def idle(channels: Channels, server: Server, say: Say, *, number: int, seconds: float) -> Row:
    """Open streams on a server that had few before, and let nothing happen."""
    say(f"opening {number:,} idle streams")
    with _listening(server, channels.openings(_WARM_STREAMS, is_hot=False)):
        time.sleep(_PAUSE_SECONDS)
    time.sleep(_PAUSE_SECONDS)
    resident, kernel = server.resident_megabytes(), _kernel_bytes()
    with _listening(server, channels.openings(number, is_hot=False)):
        time.sleep(_PAUSE_SECONDS)
        say(f"{number:,} idle streams")
        grown, grown_kernel, before = server.resident_megabytes(), _kernel_bytes(), server.cpu_seconds()
        time.sleep(seconds)
        cpu = (server.cpu_seconds() - before) / seconds
    kilobytes = (grown - resident) * 1000 / number
    # The client's end of each connection is on this machine too.
    in_kernel = None if kernel is None or grown_kernel is None else (grown_kernel - kernel) / 2000 / number
    whole = kilobytes + (in_kernel or 0.0)
    said = "cannot be read" if in_kernel is None else f"is {in_kernel:.1f} KB of it"
    return row(
        f"memory of each of {number:,} idle streams",
        f"{_MOST_KILOBYTES:g} KB",
        [(whole, _MOST_KILOBYTES)],
        unit="KB",
        at_most=1.0,
        note=f"the kernel's memory {said}; all of them take {cpu:.1%} of one core",
    )


@contextmanager
def _listening(server: Server, openings: list[bytes], load: Load | None = None) -> Iterator["subprocess.Popen[bytes]"]:
    """Hold streams open in a process of their own, once all of them are ready."""
    listening = msgspec.msgpack.encode(Listening(host=server.host, port=server.port, openings=openings, load=load))
    command = [sys.executable, "-m", "bench.stream_client"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, stderr=pipe) as reader:
        try:
            assert reader.stdin is not None
            assert reader.stdout is not None
            reader.stdin.write(b"%d\n" % len(listening) + listening)
            reader.stdin.flush()
            if reader.stdout.readline() != b"ready\n":
                raise _failed(reader)
            yield reader
            reader.stdin.close()
            if reader.wait(_READY_SECONDS):
                raise _failed(reader)
        finally:
            reader.kill()


def _received(reader: "subprocess.Popen[bytes]") -> Received:
    assert reader.stdout is not None
    printed = reader.stdout.readline()
    if not printed:
        raise _failed(reader)
    return msgspec.json.decode(printed, type=Received)


def _failed(reader: "subprocess.Popen[bytes]") -> WrongAnswer:
    assert reader.stderr is not None
    return WrongAnswer(reader.stderr.read().decode(errors="replace").strip() or "the reader of streams ended early")


def _kernel_bytes() -> int | None:
    """Return the memory of the kernel for all open connections of this machine; None where only root may read it."""
    try:
        lines = Path("/proc/slabinfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    rows = [line.split() for line in lines]
    return sum(int(row[1]) * int(row[3]) for row in rows if row[0] in _SOCKET_CACHES)
