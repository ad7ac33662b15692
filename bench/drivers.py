"""Sending load: `wrk`, if it is installed, repeats one request; our own client sends all other loads."""

import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from math import ceil
from typing import NamedTuple

import msgspec

from bench.client import GRACE_SECONDS, Answers, Load, WrongAnswer
from bench.messages import get
from bench.servers import ROOT, Server

CONNECTIONS = 64
_START_SECONDS = 20.0
_SHOWN = 2000
_TRIES = 3
_MOST_REFUSED = 0.02
_COUNTED = re.compile(r"^\s*(\d+) requests in ", re.MULTILINE)
_RATE = re.compile(r"^Requests/sec:\s+([\d.]+)$", re.MULTILINE)
_WRONG = re.compile(r"^\s*(?:Non-2xx|Socket errors).*$", re.MULTILINE)


class Slot(NamedTuple):
    """The requests that a server answered in one span of time."""

    requests: int
    seconds: float
    cpu_seconds: float
    """Processor time of the server's process."""
    latencies_ms: Sequence[float] = ()
    client_cpu_seconds: float = 0.0

    @property
    def per_second(self) -> float:
        return self.requests / self.seconds


def wrk() -> str | None:
    """Return the path of `wrk`; None if it is not installed."""
    return shutil.which("wrk")


def repeat(server: Server, path: str, holds: bytes, *, seconds: float) -> Slot:
    """Repeat one request as fast as the answers come; `wrk` checks only their status."""
    program = wrk()
    if program is None:
        return send(server, [get(path)] * CONNECTIONS, holds, seconds=seconds, repeats=True)
    before = server.cpu_seconds()
    printed = _run_wrk([program, "-t1", f"-c{CONNECTIONS}", f"{server.address}{path}"], seconds)
    counted, rate, wrong = _COUNTED.search(printed), _RATE.search(printed), _WRONG.search(printed)
    if wrong is not None or counted is None or rate is None or not int(counted[1]):
        raise WrongAnswer(f"{path}: {wrong[0].strip() if wrong is not None else printed}")
    number = int(counted[1])
    return Slot(number, number / float(rate[1]), server.cpu_seconds() - before)


def send(
    server: Server,
    requests: list[bytes],
    holds: bytes,
    *,
    seconds: float,
    repeats: bool = False,
    per_second: float = 0.0,
    refusal: bytes = b"",
    connections: int = CONNECTIONS,
) -> Slot:
    """Send requests by our own client; WrongAnswer unless every answer is a 200 or 201 with the expected bytes.

    If a refusal is named, a few answers may be that refusal.
    """
    load = Load(
        host=server.host,
        port=server.port,
        requests=requests,
        holds=holds,
        refusal=refusal,
        seconds=seconds,
        repeats=repeats,
        per_second=per_second,
        connections=connections,
    )
    before = server.cpu_seconds()
    try:
        answers = msgspec.msgpack.decode(_run_client(msgspec.msgpack.encode(load), seconds), type=Answers)
    except msgspec.DecodeError:
        raise WrongAnswer("the client ended without a result") from None
    number = len(answers.latencies_ms)
    if not number:
        raise WrongAnswer("no request was answered")
    if answers.refused > _MOST_REFUSED * number:
        raise WrongAnswer(f"{answers.refused} of {number} requests were refused")
    return Slot(number, answers.seconds, server.cpu_seconds() - before, answers.latencies_ms, answers.cpu_seconds)


def _run_client(load: bytes, seconds: float) -> bytes:
    command = [sys.executable, "-m", "bench.client"]
    limit = _START_SECONDS + seconds + GRACE_SECONDS
    try:
        done = subprocess.run(command, input=load, capture_output=True, timeout=limit, check=False, cwd=ROOT)
    except subprocess.TimeoutExpired:
        raise WrongAnswer("the client did not end in time") from None
    if done.returncode != 0:
        raise WrongAnswer(done.stderr.decode(errors="replace").strip()[-_SHOWN:])
    return done.stdout


def _run_wrk(command: list[str], seconds: float) -> str:
    """Run `wrk` for a part of a second, which its options cannot express: on Ctrl-C it stops and reports."""
    for _ in range(_TRIES):
        limit = ["-d", f"{ceil(seconds) + 1}s"]
        with subprocess.Popen([*command, *limit], stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
            try:
                time.sleep(seconds)
                process.send_signal(signal.SIGINT)
                printed = process.communicate(timeout=_START_SECONDS)[0].decode()
            except subprocess.TimeoutExpired:
                raise WrongAnswer("wrk did not end in time") from None
            finally:
                process.kill()
        if process.returncode != -signal.SIGINT:  # the signal came before `wrk` handled it
            return printed
    return "wrk takes too long to start"
