"""A drill in which servers of two versions serve at once."""

import asyncio
from datetime import UTC, datetime

import httpx2

from drills.balanced import balanced, replace, start
from drills.report import Drill, DrillResult
from drills.testbed import Testbed, under_load
from tallystick.adapters.postgres.migrating.migration_files import parse, shipped
from tallystick.adapters.postgres.migrating.migrator import Migrator
from tests.processes.next_version import MIGRATION, MIGRATION_FILE, next_version

NOTE = "the database is newer than this version: 9999"
TOGETHER_SUCCESSES = 300


async def _two_versions() -> DrillResult:
    async with balanced() as (testbed, balancer):
        await start(testbed, balancer, "first", "second")
        newer = await asyncio.to_thread(next_version, testbed.folder)
        async with under_load(testbed, lambda: [balancer.address], balancer.trust) as traffic:
            migrations = [*shipped(), parse(MIGRATION_FILE, MIGRATION)]
            await Migrator(testbed.owner_dsn, now=lambda: datetime.now(UTC), migrations=migrations).apply()
            await traffic.clients.until_successes(TOGETHER_SUCCESSES)
            seen = [await _readiness(testbed, 0), await _readiness(testbed, 1)]
            await replace(testbed, balancer, 0, newer.folder)
            await traffic.clients.until_successes(TOGETHER_SUCCESSES)
            seen += [await _readiness(testbed, 0), await _readiness(testbed, 1)]
            await replace(testbed, balancer, 0)
            seen.append(await _readiness(testbed, 0))
            healthy = await traffic.seconds_until_healthy()
            expected = [(200, [NOTE]), (200, [NOTE]), (200, []), (200, [NOTE]), (200, [NOTE])]
            if seen != expected:
                traffic.differences.append(f"/readyz answered {seen}, and not {expected}")
            traffic.expect_answers()
            return traffic.shown(healthy, f"/readyz of the older version stays green, with the note: {NOTE}")


async def _readiness(testbed: Testbed, place: int) -> tuple[int, list[str]]:
    """Return the status of a server's readiness, and its notes."""
    async with httpx2.AsyncClient(trust_env=False) as http:
        answer = await http.get(f"{testbed.servers[place].address}/readyz")
    return answer.status_code, answer.json().get("notes", [])


DRILLS = (
    Drill(
        "two-versions",
        "The schema becomes newer, and servers of two versions serve at once, there and back",
        _two_versions,
    ),
)
