"""A drill in which the clock of a server is wrong: libfaketime gives its process another time."""

import asyncio
import re
import time
from datetime import datetime, timedelta
from pathlib import Path

import asyncpg
import httpx2

from drills.balanced import balanced
from drills.clients import Clients, Request
from drills.journal import Operation
from drills.report import Drill, DrillResult
from drills.scripts import STAFF
from drills.testbed import Testbed, Traffic, under_load
from tests.http.services import Caller
from tests.integration.balancers import Balancer

WRONG_MINUTES = (10, -10)
SUCCESSES = 200
"""How many requests succeed while the clock is wrong, on both servers."""
TOLERANCE = timedelta(seconds=2)
STAMPED = """
SELECT table_name, column_name FROM information_schema.columns
WHERE table_schema = 'tallystick' AND data_type = 'timestamp with time zone'
AND column_name IN ('created_at', 'collected_at', 'used_at', 'received_at', 'updated_at', 'completed_at')
"""
_DIFFERENCE = re.compile(r"^tallystick_clock_difference_seconds (\S+)$", re.MULTILINE)


async def _clock_wrong() -> DrillResult:
    async with balanced() as (testbed, balancer):
        shift = testbed.folder / "shift"
        _shift(shift, 0)
        await asyncio.gather(
            testbed.start(port=balancer.instances["first"]),
            testbed.start(
                port=balancer.instances["second"],
                LD_PRELOAD=_libfaketime(),
                FAKETIME_TIMESTAMP_FILE=str(shift),
                FAKETIME_CACHE_DURATION="1",  # seconds: the clock jumps while the server runs
                FAKETIME_DONT_FAKE_MONOTONIC="1",
                NO_FAKE_STAT="1",
            ),
        )
        for name in balancer.instances:
            await asyncio.to_thread(balancer.wait_until, name, "UP")
        # The clients reach the wrong server also while the balancer has taken it out.
        async with under_load(
            testbed, lambda: [balancer.address, testbed.servers[1].address], balancer.trust
        ) as traffic:
            began = await _database_time(testbed)
            notes = [await _while_wrong(testbed, balancer, traffic, shift, minutes) for minutes in WRONG_MINUTES]
            _shift(shift, 0)
            repaired = time.monotonic()
            await asyncio.to_thread(balancer.wait_until, "second", "UP")
            healthy = time.monotonic() - repaired
            await traffic.seconds_until_healthy()
            traffic.expect_answers()
            traffic.differences += await _wrong_stamps(testbed, began)
            return traffic.shown(healthy, *notes)


async def _while_wrong(testbed: Testbed, balancer: Balancer, traffic: Traffic, shift: Path, minutes: int) -> str:
    """Let the clock of the second server be wrong, and ask it for what depends on the time; return what it says."""
    address = testbed.servers[1].address
    clients = Clients(lambda: [address], traffic.journal)
    lasting, ending = f"LASTING{abs(minutes)}{minutes < 0:d}", f"ENDING{abs(minutes)}{minutes < 0:d}"
    now = await _database_time(testbed)
    ends_at = now + timedelta(seconds=3)
    await _invite(clients, lasting, now + timedelta(minutes=5))
    await _invite(clients, ending, ends_at)
    _shift(shift, minutes)
    await asyncio.to_thread(balancer.wait_until, "second", "DOWN")
    await traffic.clients.until_successes(SUCCESSES)
    await asyncio.sleep(max(0.0, (ends_at - await _database_time(testbed)).total_seconds()))
    guest = f"guest-{minutes}"
    statuses = [await _redeem(clients, guest, code) for code in (lasting, ending)]
    await clients.close()
    async with httpx2.AsyncClient(base_url=address, trust_env=False) as http:
        valid = await Caller(http).named(guest, lifetime_seconds=300).get("/api/credits")
        expired = await Caller(http).named(guest, lifetime_seconds=-300).get("/api/credits")
        ready, metrics = await http.get("/readyz"), await http.get("/metrics")
    statuses += [valid.status_code, expired.status_code]
    if statuses != [200, 410, 200, 401]:
        traffic.differences.append(f"with a clock that is wrong by {minutes} min, the statuses were {statuses}")
    where = "ahead of" if minutes > 0 else "behind"
    (reason,) = ready.json()["reasons"] or [""]
    if not re.search(rf"clock is (599|600|601) s {where} the database's", reason):
        traffic.differences.append(f"/readyz said: {reason}")
    found = _DIFFERENCE.search(metrics.text)
    if found is None or abs(float(found[1]) - 60 * minutes) > TOLERANCE.total_seconds():
        traffic.differences.append(f"the metric of the difference is {found and found[1]}")
    if reason not in testbed.servers[1].output:
        traffic.differences.append("the reason is not logged")
    return f"/readyz: {reason}"


async def _invite(clients: Clients, code: str, expires_at: datetime) -> None:
    body = {"code": code, "max_uses": 5, "expires_at": expires_at.isoformat()}
    request = Request("/api/invites", body, sub=STAFF, permissions=["invites:create"], key=code)
    await clients.do(Operation("invite", STAFF, code), request)


async def _redeem(clients: Clients, guest: str, code: str) -> int | None:
    """Take a seat of an invite, and return the status of the answer."""
    request = Request("/api/invites/redeem", {"code": code}, sub=guest, key=code)
    reply = await clients.do(Operation("seat", guest, code), request)
    return None if reply is None else reply.status


def _libfaketime() -> str:
    """Return the library that gives a process another time, by the file that FAKETIME_TIMESTAMP_FILE names."""
    found = sorted(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"))
    assert found, "libfaketime is missing: apt-get install faketime"
    return str(found[0])


def _shift(file: Path, minutes: int) -> None:
    file.write_text(f"{minutes * 60:+d}\n", encoding="ascii")


async def _database_time(testbed: Testbed) -> datetime:
    connection = await asyncpg.connect(testbed.superuser_dsn)
    try:
        now: datetime = await connection.fetchval("SELECT clock_timestamp()")
    finally:
        await connection.close()
    return now


async def _wrong_stamps(testbed: Testbed, began: datetime) -> list[str]:
    """Return the columns that hold a time in the future, or changes that were stored with a time before they began."""
    connection = await asyncpg.connect(testbed.superuser_dsn)
    try:
        found = []
        for table, column in await connection.fetch(STAMPED):
            future = await connection.fetchval(
                f"SELECT count(*) FROM tallystick.{table} WHERE {column} > clock_timestamp() + $1::interval", TOLERANCE
            )
            past = await connection.fetchval(
                f"SELECT count(*) FROM tallystick.{table} WHERE {column} BETWEEN $1 AND $2",
                began - timedelta(minutes=20),
                began - timedelta(minutes=2),
            )
            if future or past:
                found.append(f"{table}.{column} has {future} times in the future and {past} of before the drill")
    finally:
        await connection.close()
    return found


DRILLS = (
    Drill("clock-wrong", "The clock of a server jumps 10 min ahead, then 10 min behind, then is right", _clock_wrong),
)
