"""Drills in which servers are ended as an operator ends them."""

import asyncio
import re
import signal
import socket
import time
from contextlib import suppress

import httpx2

from drills.balanced import balanced, replace, start
from drills.checker import differences
from drills.clients import Clients
from drills.journal import Journal
from drills.report import Drill, DrillResult
from drills.scripts import award, grant_request
from drills.testbed import new_testbed, under_load
from tallystick.domain.channels import ChannelId
from tests.http.services import Caller
from tests.http.socket_streams import Reading, SocketStream, open_stream
from tests.integration.postgres.wires import wired
from tests.processes.installations import until_true

REQUESTS, READERS, STREAMS_OF_EACH = 50, 5, 10
LONGEST_END_SECONDS = 5.0
"""From the last answer to the end of the process: nothing is left to wait for."""
_IN_FLIGHT = re.compile(r"^tallystick_requests_in_flight (\S+)$", re.MULTILINE)


async def _rolling_restart() -> DrillResult:
    async with balanced() as (testbed, balancer):
        await start(testbed, balancer, "first", "second")
        async with under_load(testbed, lambda: [balancer.address], balancer.trust) as traffic:
            for place in range(2):
                await replace(testbed, balancer, place)
            healthy = await traffic.seconds_until_healthy()
            traffic.expect_answers()
            return traffic.shown(healthy, "HAProxy takes each server out while it still serves; the log has `ending`")


async def _ended_while_busy() -> DrillResult:
    journal = Journal()
    async with new_testbed(servers=0) as testbed, wired(testbed.database_url) as wire:
        testbed.database_url = wire.dsn
        server = await testbed.start()
        clients = Clients(testbed.addresses, journal)
        streams = await _open_streams(server.address)
        wire.hold_all()
        operations = [award("grant", f"purse-{number}", 0) for number in range(REQUESTS)]
        asked = [asyncio.create_task(clients.do(operation, grant_request(operation))) for operation in operations]
        await asyncio.to_thread(until_true, lambda: _in_flight(server.address) == REQUESTS + 1)

        server.send(signal.SIGTERM)
        ends = await asyncio.gather(*(_reason_of_the_end(stream) for stream in streams))
        await asyncio.to_thread(until_true, lambda: _is_refused(server.address), server.output)
        wire.heal()
        await asyncio.gather(*asked)
        answered_at = time.monotonic()
        assert await asyncio.to_thread(server.wait) == 0, server.output
        end_seconds = time.monotonic() - answered_at

        ended_at = time.monotonic()
        await testbed.start(place=0)
        healthy = time.monotonic() - ended_at
        found = [
            *await differences(testbed.superuser_dsn, journal),
            *await testbed.broken_promises(),
            *journal.surprises,
        ]
        if journal.seen != {"200": REQUESTS}:
            found.append(f"not all requests were answered: {dict(journal.seen)}")
        if (others := set(ends)) != {"draining"}:
            found.append(f"streams ended by {others}")
        if end_seconds > LONGEST_END_SECONDS:
            found.append(f"the process ended {end_seconds:.1f} s after the last answer")
        await clients.close()
        notes = f"{len(ends)} streams end with `bye`; the process ends {end_seconds:.1f} s after the last answer"
        return DrillResult(journal.seen, journal.slowest_seconds, healthy, found, [notes])


async def _open_streams(address: str) -> list[SocketStream]:
    """Open ten streams of each reader, as many as a user may have, and wait until all of them are live."""
    streams = []
    async with httpx2.AsyncClient(base_url=address, trust_env=False) as http:
        for number in range(READERS):
            reader = f"reader-{number}"
            made = await Caller(http).named(reader).post("/api/channels", {"name": reader})
            reading = Reading(reader, ChannelId(made.json()["channel_id"]))
            streams += [await open_stream(address, reading) for _ in range(STREAMS_OF_EACH)]
    for stream in streams:
        await stream.until("ready")
    return streams


async def _reason_of_the_end(stream: SocketStream) -> str:
    """Return the reason that a stream gives for its end; `cut` where it gives none."""
    name, data = await stream.next()
    while name not in {"bye", "closed", "cut"}:
        name, data = await stream.next()
    stream.close()
    return str(data.get("reason", name))


def _in_flight(address: str) -> float:
    """Return how many requests a server is answering, this one included."""
    found = _IN_FLIGHT.search(httpx2.get(f"{address}/metrics", trust_env=False).text)
    assert found is not None
    return float(found[1])


def _is_refused(address: str) -> bool:
    """Return whether nobody listens at an address any more."""
    host, _, port = address.removeprefix("http://").rpartition(":")
    with suppress(ConnectionRefusedError), socket.create_connection((host, int(port))):
        return False
    return True


DRILLS = (
    Drill("rolling-restart", "Two servers restart one after the other behind HAProxy", _rolling_restart),
    Drill(
        "ended-while-busy",
        f"SIGTERM with {REQUESTS} requests and {READERS * STREAMS_OF_EACH} streams open",
        _ended_while_busy,
    ),
)
