"""A drill in which a server does nothing for a while."""

import asyncio
import os
import re
import signal
import time
from datetime import datetime
from typing import TYPE_CHECKING

import asyncpg
import httpx2

from drills.balanced import balanced, start
from drills.report import Drill, DrillResult
from drills.testbed import under_load

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]
else:  # asyncpg's classes take no parameters at run time
    Connection = object

PAUSE_SECONDS = 25.0
LONGEST_HELD_SECONDS = 15.0
"""How long the paused server's transactions may hold their rows: the time-out of idle transactions is 10 s."""
LONGEST_ANSWER_SECONDS = PAUSE_SECONDS + 15.0
"""For a request that had reached the server: it is answered after the pause."""
MOST_ATTEMPTS, OTHERS_SECONDS, LOOK_SECONDS = 50, 0.5, 0.1
"""A transaction that is idle for half a second is that of the stopped server: others go on with theirs."""
OPEN = "SELECT count(*) FROM pg_stat_activity WHERE state = 'idle in transaction' AND state_change < $1"
_LAG = re.compile(r"^tallystick_event_loop_lag_seconds_sum (\S+)$", re.MULTILINE)


async def _server_paused() -> DrillResult:
    async with balanced() as (testbed, balancer):
        await start(testbed, balancer, "first", "second")
        async with under_load(testbed, lambda: [balancer.address], balancer.trust) as traffic:
            paused = testbed.servers[0]
            connection = await asyncpg.connect(testbed.superuser_dsn)
            try:
                began, since = await _stop_in_a_transaction(paused.pid, connection)
                while await connection.fetchval(OPEN, since):  # noqa: ASYNC110  only PostgreSQL knows
                    await asyncio.sleep(LOOK_SECONDS)
            finally:
                await connection.close()
            held = time.monotonic() - began
            await asyncio.to_thread(balancer.wait_until, "first", "DOWN")
            down = time.monotonic() - began
            await asyncio.sleep(max(0.0, began + PAUSE_SECONDS - time.monotonic()))
            os.kill(paused.pid, signal.SIGCONT)
            resumed = time.monotonic()
            await asyncio.to_thread(balancer.wait_until, "first", "UP")
            healthy = time.monotonic() - resumed
            await traffic.seconds_until_healthy()
            lag = await _event_loop_lag(paused.address)
            if held > LONGEST_HELD_SECONDS:
                traffic.differences.append(f"the paused server held rows for {held:.1f} s")
            if traffic.journal.slowest_seconds > LONGEST_ANSWER_SECONDS:
                traffic.differences.append(f"a request took {traffic.journal.slowest_seconds:.1f} s")
            if lost := traffic.journal.seen["no answer"]:
                traffic.differences.append(f"{lost} requests got no answer")
            if lag < PAUSE_SECONDS - 1:
                traffic.differences.append(f"the lag of the event loop was measured as {lag:.1f} s")
            return traffic.shown(
                healthy,
                f"HAProxy takes the server out after {down:.0f} s",
                f"PostgreSQL ends its open transactions after {held:.0f} s",
                f"`tallystick_event_loop_lag_seconds` has the {lag:.0f} s",
            )


async def _stop_in_a_transaction(process_id: int, connection: Connection) -> tuple[float, datetime]:
    """Stop a process that has a transaction open; return when, by the monotonic clock and by the database's."""
    for _ in range(MOST_ATTEMPTS):
        os.kill(process_id, signal.SIGSTOP)
        began = time.monotonic()
        since = await connection.fetchval("SELECT clock_timestamp()")
        await asyncio.sleep(OTHERS_SECONDS)
        if await connection.fetchval(OPEN, since):
            return began, since
        os.kill(process_id, signal.SIGCONT)
        await asyncio.sleep(LOOK_SECONDS)
    raise AssertionError("the server never had a transaction open")


async def _event_loop_lag(address: str) -> float:
    """Return how many seconds the event loop of a server was late, in all."""
    async with httpx2.AsyncClient(trust_env=False) as http:
        found = _LAG.search((await http.get(f"{address}/metrics")).text)
    assert found is not None
    return float(found[1])


DRILLS = (
    Drill(
        "server-paused",
        f"A server stops for {PAUSE_SECONDS:.0f} s in the middle of a transaction (SIGSTOP), and goes on",
        _server_paused,
    ),
)
