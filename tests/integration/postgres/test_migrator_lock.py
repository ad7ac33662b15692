"""Several migrators at once: one runs, the others wait for it, and not for ever."""

import asyncio

import asyncpg
import pytest

from tallystick.adapters.postgres.migrating.migration_files import Migration, shipped
from tallystick.adapters.postgres.migrating.migrator import LOCK_ID, MigrationRefused
from tests.integration.postgres.schemas import a_migration, a_table, migrator, relations, versions
from tests.integration.postgres.sessions import Session, session


@pytest.mark.parametrize("count", [2, 5])
async def test_migrators_that_start_at_once_apply_each_migration_once(count: int, empty_dsn: str) -> None:
    applied = await asyncio.gather(*(migrator(empty_dsn).apply() for _ in range(count)))

    assert sorted(applied, key=len) == [*([list[Migration]()] * (count - 1)), shipped()]
    async with session(empty_dsn) as owner:
        assert await versions(owner) == [migration.version for migration in shipped()]


async def test_a_migrator_waits_for_the_one_that_holds_the_lock(empty_dsn: str) -> None:
    async with session(empty_dsn) as holder, session(empty_dsn) as watcher:
        await holder.fetchval("SELECT pg_advisory_lock($1)", LOCK_ID)
        waiting = asyncio.create_task(migrator(empty_dsn, [a_table("0001", "one")]).apply())
        await until_a_migrator_asked_for_the_lock(watcher)
        assert await relations(watcher) == set()

        await holder.fetchval("SELECT pg_advisory_unlock($1)", LOCK_ID)

        assert [migration.version for migration in await waiting] == ["0001"]


async def test_a_migrator_that_waited_too_long_names_the_lock_and_has_changed_nothing(empty_dsn: str) -> None:
    async with session(empty_dsn) as holder:
        await holder.fetchval("SELECT pg_advisory_lock($1)", LOCK_ID)

        with pytest.raises(MigrationRefused, match="another migrator has held the lock for 1 s"):
            await migrator(empty_dsn, wait_seconds=1).apply()

        assert await holder.fetchval("SELECT to_regnamespace('tallystick')") is None


async def test_taking_back_waits_for_the_lock_too(empty_dsn: str) -> None:
    one = [a_table("0001", "one")]
    await migrator(empty_dsn, one).apply()
    async with session(empty_dsn) as holder:
        await holder.fetchval("SELECT pg_advisory_lock($1)", LOCK_ID)

        with pytest.raises(MigrationRefused, match="another migrator has held the lock"):
            await migrator(empty_dsn, one, wait_seconds=0.1).roll_back("0001")

        assert await relations(holder) == {"one"}


@pytest.mark.parametrize("outside", ["", "transaction:false"])
async def test_the_lock_is_free_again_after_a_failure(outside: str, empty_dsn: str) -> None:
    with pytest.raises(asyncpg.DivisionByZeroError):
        await migrator(empty_dsn, [a_migration("0001", "SELECT 1 / 0;", outside=outside)]).apply()

    async with session(empty_dsn) as other:
        assert await other.fetchval("SELECT pg_try_advisory_lock($1)", LOCK_ID)


async def until_a_migrator_asked_for_the_lock(watcher: Session) -> None:
    asked = (
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
        "AND application_name = 'tallystick migrate' AND state = 'idle' AND query LIKE '%pg_try_advisory_lock%'"
    )
    async with asyncio.timeout(30):
        while not await watcher.fetchval(asked):  # noqa: ASYNC110  another session's doing has no event
            await asyncio.sleep(0.01)
