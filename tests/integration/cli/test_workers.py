"""`tallystick serve --workers 2`: several processes behind one address."""

import json
import os
import re
import shutil
import signal
from collections.abc import Iterator
from urllib.parse import urlsplit

import psutil
import pytest

from tests.processes.installations import (
    Installation,
    answer,
    has_ended,
    paused,
    until,
    until_ready,
    until_true,
    workers_of,
)
from tests.processes.service import Process

_HEALTHZ = re.compile(r'^tallystick_http_request_seconds_count\{[^}]*route="/healthz"[^}]*\} (\S+)$', re.MULTILINE)

_POOL = re.compile(r'^tallystick_pool_connections_limit\{pool="requests"\} (\S+)$', re.MULTILINE)


@pytest.fixture
def server(installation: Installation) -> Process:
    """Return a server with two workers, after both of them have answered."""
    server = installation.serve("--workers", "2")
    for worker in workers_of(server):
        with paused(worker):
            until_ready(server.address)
    return server


@pytest.fixture
def workers(server: Process) -> Iterator[list[psutil.Process]]:
    """Return its workers; they and their counters go away with the test, also where the server failed."""
    workers = workers_of(server)
    assert len(workers) == 2
    measurements = workers[0].environ()["PROMETHEUS_MULTIPROC_DIR"]
    yield workers
    for worker in workers:
        if not has_ended(worker):
            worker.kill()
    shutil.rmtree(measurements, ignore_errors=True)


def test_both_serve_one_database_and_a_scrape_of_either_counts_the_requests_of_both(
    installation: Installation, server: Process, workers: list[psutil.Process]
) -> None:
    codes, scrapes = [], []
    for worker in workers:
        with paused(worker):
            codes.append(installation.code_of("ada", server))
            for _ in range(5):
                assert answer(server.address, "/healthz") is not None
    for worker in workers:
        with paused(worker):
            found = _HEALTHZ.search(until(lambda: answer(server.address, "/metrics")).text)
            scrapes.append(found and float(found[1]))

    assert codes == [codes[0]] * 2
    assert scrapes == [10, 10]


def test_counting_requests_in_each_process_is_warned_of_at_start(
    server: Process, workers: list[psutil.Process]
) -> None:
    assert len(workers) == 2
    said = " ".join(server.output.split())
    assert "warning: each of 2 processes counts requests by itself and grants the whole limit" in said
    assert "set TALLYSTICK_RATE_LIMIT_STORAGE to a Valkey or Redis" in said


def test_a_worker_that_is_killed_is_replaced_and_all_of_them_end_with_the_server(
    installation: Installation, server: Process, workers: list[psutil.Process]
) -> None:
    killed, survivor = workers

    killed.kill()

    until_true(lambda: len(set(workers_of(server)) - {killed}) == 2, server.output)
    with paused(survivor):
        until_ready(server.address)
    # The gauges of the killed worker are gone: the sum is that of two pools.
    until_true(lambda: _POOL.findall(until(lambda: answer(server.address, "/metrics")).text) == ["20.0"], server.output)
    replaced = workers_of(server)
    assert server.end() == 0
    assert all(has_ended(worker) for worker in replaced)
    lines = [json.loads(line) for line in server.output.splitlines() if line.startswith("{")]
    pids = [worker.pid for worker in replaced]
    assert [line["process"] for line in lines if line["event"] == "worker replaced"] == [killed.pid]
    assert {line["process"] for line in lines if line["event"] == "started"} == {killed.pid, *pids}
    assert {line["process"] for line in lines if line["event"] == "ended"} == set(pids)
    assert {line["signal"] for line in lines if line["event"] == "ending"} == {"SIGTERM"}
    assert installation.postmaster is None


def test_workers_do_not_outlive_a_server_that_was_killed(
    installation: Installation, server: Process, workers: list[psutil.Process]
) -> None:
    """They would go on serving, and keep the port from the next server."""
    port = str(urlsplit(server.address).port)

    os.kill(server.pid, signal.SIGKILL)

    until_true(lambda: all(has_ended(worker) for worker in workers), "the workers go on")
    installation.serve("--workers", "2", "--port", port)
