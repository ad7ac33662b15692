"""A drill in which servers of two versions serve at once."""

import asyncio
import json
import shutil
from datetime import UTC, datetime
from pathlib import Path

import httpx2

from drills.balanced import balanced, replace, start
from drills.report import Drill, DrillResult
from drills.testbed import Testbed, under_load
from tallystick.adapters.postgres.migrating.migration_files import parse, shipped
from tallystick.adapters.postgres.migrating.migrator import Migrator

ROOT = Path(__file__).parents[1]
NEWER_FILE = "9999_words.sql"
NEWER = """-- Words of users.

-- kind: before
-- locks: users ACCESS EXCLUSIVE
-- migrate:up
SET LOCAL lock_timeout = '3s';
SET LOCAL statement_timeout = '15min';
ALTER TABLE tallystick.users ADD COLUMN word text NOT NULL DEFAULT 'a word';

-- migrate:down
ALTER TABLE tallystick.users DROP COLUMN word;
"""
NOTE = "the database is newer than this version: 9999"
TOGETHER_SUCCESSES = 300


async def _two_versions() -> DrillResult:
    async with balanced() as (testbed, balancer):
        await start(testbed, balancer, "first", "second")
        next_version = await asyncio.to_thread(_next_version, testbed.folder / "next")
        async with under_load(testbed, lambda: [balancer.address], balancer.trust) as traffic:
            migrations = [*shipped(), parse(NEWER_FILE, NEWER)]
            await Migrator(testbed.owner_dsn, now=lambda: datetime.now(UTC), migrations=migrations).apply()
            await traffic.clients.until_successes(TOGETHER_SUCCESSES)
            seen = [await _readiness(testbed, 0), await _readiness(testbed, 1)]
            await replace(testbed, balancer, 0, next_version)
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


def _next_version(folder: Path) -> Path:
    """Copy this version, with one more migration, to where Python finds it first; return the folder of packages."""
    shutil.copytree(ROOT / "src", folder / "tallystick", ignore=shutil.ignore_patterns("__pycache__"))
    postgres = folder / "tallystick/adapters/postgres"
    (postgres / "migrations" / NEWER_FILE).write_text(NEWER, encoding="utf-8")
    path = postgres / "contract/manifest.json"
    manifest = json.loads(path.read_text(encoding="utf-8"))
    manifest["users"]["column word"] = "text NOT NULL DEFAULT 'a word'::text"
    path.write_text(json.dumps(manifest), encoding="utf-8")
    return folder


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
