"""The listener of the measurements, with a started server."""

import re

import httpx2
import pytest

from tests.http.raw import send
from tests.processes.installations import Installation, answer, until, until_true

AT = re.compile(r"Measurements are at (http://\S+)/metrics")


@pytest.mark.parametrize("workers", ["1", "2"])
def test_measurements_have_a_port_of_their_own(installation: Installation, workers: str) -> None:
    store = ["--store", "memory"] if workers == "1" else []
    server = installation.serve(*store, "--workers", workers, TALLYSTICK_METRICS_ADDRESS="127.0.0.1:0")
    found = until(lambda: AT.search(server.output))

    for _ in range(20):
        assert answer(server.address, "/healthz") is not None

    def counted() -> bool:
        scrape = httpx2.get(f"{found[1]}/metrics", trust_env=False).text
        return bool(re.search(r'tallystick_http_request_seconds_count\{[^}]*route="/healthz"[^}]*\} 20\.0', scrape))

    until_true(counted, "the sums of all workers are not shown")
    assert httpx2.get(f"{server.address}/metrics", trust_env=False).status_code == 404
    (malformed,) = send(found[1], b"junk junk\r\n\r\n")
    assert malformed.problem["code"] == "MALFORMED_REQUEST"
    assert server.end() == 0


def test_an_address_that_is_taken_ends_the_start_by_its_name(installation: Installation) -> None:
    first = installation.serve("--store", "memory", TALLYSTICK_METRICS_ADDRESS="127.0.0.1:0")
    taken = until(lambda: AT.search(first.output))[1].removeprefix("http://")

    second = installation.run("serve", "--port", "0", "--store", "memory", TALLYSTICK_METRICS_ADDRESS=taken)

    assert second.returncode == 1
    assert f"cannot listen on 127.0.0.1 port {taken.rpartition(':')[2]}" in second.stderr + second.stdout
