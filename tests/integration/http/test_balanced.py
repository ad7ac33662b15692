"""Two instances behind HAProxy, with the configuration of docker/haproxy: nothing is refused while they restart."""

import asyncio
import re
import signal
import ssl
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from urllib.parse import urlsplit

import httpx2
import pytest

from tallystick.domain.channels import ChannelId
from tests.http.services import bearer
from tests.http.socket_streams import Reading, SocketStream, open_stream
from tests.integration.balancers import Balancer, balancing
from tests.integration.cli.conftest import installed, on
from tests.processes.installations import Installation, until_ready, until_true
from tests.processes.service import Process

CHECK_INTERVAL, DRAIN_DELAY_SECONDS = "500ms", "5"
"""Four times as fast as in the example, and half of the delay that the documents recommend."""
CLIENTS, STREAMS = 3, 4
PAUSE_SECONDS = 0.2
"""Between the requests of a client, so that the machine has time to start a server."""


class Pair:
    """Two instances on one database, and the balancer in front of them."""

    def __init__(self, installation: Installation, balancer: Balancer) -> None:
        self._installation, self.balancer = installation, balancer
        self.servers: dict[str, Process] = {}

    def start(self, name: str) -> None:
        """Start an instance, and wait until clients are sent to it."""
        server = self._installation.start("--port", str(self.balancer.instances[name]))
        until_ready(server.wait_until_listening())
        self.balancer.wait_until(name, "UP")
        self.servers[name] = server

    def gauge(self, name: str, gauge: str) -> float:
        """Return a measurement of an instance."""
        page = httpx2.get(f"{self.servers[name].address}/metrics", trust_env=False).text
        found = re.search(rf"^tallystick_{gauge} (\S+)$", page, re.MULTILINE)
        assert found is not None, gauge
        return float(found[1])

    def wait_for_streams(self, name: str, streams: int) -> None:
        """Wait until an instance has so many streams."""
        until_true(lambda: self.gauge(name, "open_streams") == streams, f"the streams do not come to {name}")


@pytest.fixture(scope="module")
def pair(owner_dsn: str) -> Iterator[Pair]:
    settings = {"TALLYSTICK_RATE_LIMITS": "off", "TALLYSTICK_TRUSTED_PROXIES": "127.0.0.1"}
    delay = {"TALLYSTICK_DRAIN_DELAY_SECONDS": DRAIN_DELAY_SECONDS}
    with balancing(CHECK_INTERVAL) as balancer, installed({**on(owner_dsn), **settings, **delay}) as installation:
        pair = Pair(installation, balancer)
        for name in balancer.instances:
            pair.start(name)
        yield pair
        for server in pair.servers.values():
            server.send(signal.SIGTERM)  # the installation sends the second one, which ends the delay


@pytest.fixture
async def http(pair: Pair) -> AsyncIterator[httpx2.AsyncClient]:
    headers = {"authorization": bearer("ada")}
    async with httpx2.AsyncClient(
        base_url=pair.balancer.address, verify=pair.balancer.trust, headers=headers, trust_env=False, timeout=30
    ) as http:
        yield http


async def a_channel(http: httpx2.AsyncClient) -> ChannelId:
    made = await http.post("/api/channels", json={"name": "chess"})
    assert made.status_code == 201, made.text
    return ChannelId(made.json()["channel_id"])


async def send(http: httpx2.AsyncClient, channel: ChannelId, name: str) -> httpx2.Response:
    return await http.post("/api/messages/send", json={"channel_id": channel, "body": name, "client_message_id": name})


class Follower:
    """A client that follows a channel, and connects again after each `bye`, as EventSource does."""

    def __init__(self, address: str, reading: Reading, trust: ssl.SSLContext) -> None:
        self._address, self._reading, self._trust = address, reading, trust
        self._stream: SocketStream | None = None
        self.ends: list[str] = []
        self.seqs: list[int] = []
        self.connections = 0

    async def follow(self, last: str) -> None:
        """Follow until a message with this text."""
        resume = ""
        while True:
            stream = await open_stream(self._address, self._reading, resume, trust=self._trust)
            self.connections += 1
            name, data = await stream.next()
            while name not in {"bye", "closed", "cut"}:
                if name == "message" and data["body"] == last:
                    self.seqs += stream.seqs
                    stream.close()
                    return
                name, data = await stream.next()
            self.ends.append(data.get("reason", name))
            self.seqs += stream.seqs
            resume = stream.last_id or resume
            stream.close()


async def traffic(http: httpx2.AsyncClient, channel: ChannelId, client: int, is_over: asyncio.Event) -> Counter[str]:
    """Read and write, one request after the other, and count what came back."""
    seen: Counter[str] = Counter()
    number = 0
    while not is_over.is_set():
        number += 1
        for what, ask in (
            ("read", http.get("/api/channels")),
            ("write", send(http, channel, f"{client}-{number}")),
            ("resolve", http.get(f"/api/referral/resolve?code=NOBODY{client}")),
        ):
            try:
                seen[f"{what} {(await ask).status_code}"] += 1
            except httpx2.TransportError as error:
                seen[f"{what} {type(error).__name__}"] += 1
            await asyncio.sleep(PAUSE_SECONDS)
    return seen


async def test_a_rolling_restart_refuses_no_request_and_streams_go_on(pair: Pair, http: httpx2.AsyncClient) -> None:
    channel = await a_channel(http)
    balancer = pair.balancer
    followers = [Follower(balancer.address, Reading("ada", channel), balancer.trust) for _ in range(STREAMS)]
    following = [asyncio.create_task(follower.follow("last")) for follower in followers]
    is_over = asyncio.Event()
    clients = [asyncio.create_task(traffic(http, channel, number, is_over)) for number in range(CLIENTS)]

    for name, other in (("first", "second"), ("second", "first")):
        server = pair.servers[name]
        server.send(signal.SIGTERM)
        await asyncio.to_thread(balancer.wait_until, name, "DOWN")
        assert server.is_running, "it serves until the balancer has taken it out"
        assert await asyncio.to_thread(server.wait) == 0, server.output
        await asyncio.to_thread(pair.wait_for_streams, other, STREAMS)
        await asyncio.to_thread(pair.start, name)

    is_over.set()
    seen = sum(await asyncio.gather(*clients), Counter[str]())
    assert (await send(http, channel, "last")).status_code == 201
    await asyncio.gather(*following)

    assert set(seen) == {"read 200", "write 201", "resolve 200"}, seen
    for follower in followers:
        assert set(follower.ends) == {"draining"}
        assert follower.seqs == list(range(follower.seqs[0], follower.seqs[0] + len(follower.seqs))), "no gap"


async def test_a_slow_body_waits_at_the_proxy(pair: Pair, http: httpx2.AsyncClient) -> None:
    place = urlsplit(pair.balancer.address)
    _, writer = await asyncio.open_connection(place.hostname, place.port, ssl=pair.balancer.trust)
    writer.write(
        b"POST /api/messages/send HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 100\r\n"
        b"authorization: " + bearer("ada").encode() + b"\r\n\r\n{"
    )
    await writer.drain()
    for _ in range(20):
        assert (await http.get("/api/channels")).status_code == 200

    assert [pair.gauge(name, "requests_in_flight") for name in pair.servers] == [1, 1], "the question itself"
    writer.close()


async def test_headers_pass_and_clients_without_tls_are_redirected(pair: Pair, http: httpx2.AsyncClient) -> None:
    direct = httpx2.get(f"{pair.servers['first'].address}/api/referral/resolve?code=AB12-CD34", trust_env=False)
    through = await http.get("/api/referral/resolve?code=AB12-CD34")
    plain = httpx2.get(f"{pair.balancer.plain_address}/r/AB12-CD34?x=1", trust_env=False)

    varying = {"date", "x-correlation-id"}
    expected = {name: value for name, value in direct.headers.items() if name not in varying}
    assert expected.items() <= dict(through.headers).items()
    assert expected["cache-control"] == "no-store"
    assert through.headers["x-correlation-id"]
    assert (plain.status_code, plain.headers["location"]) == (
        308,
        f"https://{urlsplit(pair.balancer.plain_address).netloc}/r/AB12-CD34?x=1",
    )


async def test_requests_that_reach_no_instance_are_sent_to_the_other_one(pair: Pair, http: httpx2.AsyncClient) -> None:
    channel = await a_channel(http)
    pair.servers["second"].end(signal.SIGKILL)

    answers = [await send(http, channel, str(number)) for number in range(10)]

    assert {answer.status_code for answer in answers} == {201}
