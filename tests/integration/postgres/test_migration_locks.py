"""Migrations and their locks: declared as they are taken, waited for politely, and never in the way of requests."""

import asyncio
import random
from collections.abc import Awaitable, Callable

import pytest

from tallystick.adapters.postgres.contract.comparison import manifest_faults
from tallystick.adapters.postgres.contract.manifest import Found, read_manifest
from tallystick.adapters.postgres.migrating.migration_files import shipped
from tallystick.adapters.postgres.migrating.migrator import MIGRATIONS_TABLE, MigrationRefused
from tallystick.adapters.postgres.migrating.polite_locks import Attempt, PoliteLocks
from tests.integration.conftest import service_of
from tests.integration.postgres.lock_measurements import run_and_measure
from tests.integration.postgres.schemas import a_migration, a_table, migrator, versions
from tests.integration.postgres.sessions import Session, pool_on, session, superuser_of

BOTH_TABLES = [a_table("0001", "one"), a_table("0002", "two")]
BOTH_LOCKS = "one ACCESS EXCLUSIVE, two ACCESS EXCLUSIVE"
ADDS_COLUMNS = "ALTER TABLE tallystick.one ADD COLUMN {0} text; ALTER TABLE tallystick.two ADD COLUMN {0} text;"
LAST_WITHOUT_A_KIND = "0029"
"""The kind of migrations up to this one was not tested when they were written."""
LAST_OF_0_1_0 = "0015"
REPLY_BOUND = "idempotency_keys_body_bounded"
BORNE_BY_0_1_0 = {
    # Another index serves its reads. Two of its servers can store a name for two users: the first one gets the key.
    "the schema lacks: index users_username_key on users",
    # Its largest reply, of 1,000 events, is half as long.
    f"the schema has rules that this version does not know: constraint {REPLY_BOUND} on idempotency_keys",
}


def locks(
    report: Callable[[Attempt], object] = lambda _: None,
    pause: Callable[[float], Awaitable[object]] = asyncio.sleep,
    attempts: int = 24,
) -> PoliteLocks:
    return PoliteLocks(attempts=attempts, report=report, pause=pause)


async def manifest(owner_dsn: str) -> Found:
    async with pool_on(service_of(owner_dsn)) as database, database.connection() as connection:
        return await read_manifest(connection)


async def test_each_migration_declares_the_locks_that_it_takes(empty_dsn: str) -> None:
    declared, taken = {}, {}
    async with session(empty_dsn) as owner:
        await owner.execute(MIGRATIONS_TABLE)
        for migration in shipped():
            declared[migration.full_name] = {lock.table: lock.mode for lock in migration.locks}
            taken[migration.full_name] = await run_and_measure(owner, migration)

    assert declared == taken


async def test_a_migration_that_runs_before_leaves_the_contract_of_the_version_before_it_fulfilled(
    empty_dsn: str,
) -> None:
    every = shipped()
    known = [migration for migration in every if migration.version <= LAST_WITHOUT_A_KIND]
    await migrator(empty_dsn, known).apply()
    faults = {}
    for migration in every[len(known) :]:
        before = await manifest(empty_dsn)
        known.append(migration)
        await migrator(empty_dsn, known).apply(with_waiting=True)
        if migration.kind == "before":
            faults[migration.full_name] = manifest_faults(before, await manifest(empty_dsn), is_newer=True)

    assert {name: found for name, found in faults.items() if found} == {}


async def test_0_1_0_can_serve_the_schema_until_the_migrations_that_wait_run(empty_dsn: str) -> None:
    await migrator(empty_dsn, [migration for migration in shipped() if migration.version <= LAST_OF_0_1_0]).apply()
    released = await manifest(empty_dsn)
    await migrator(empty_dsn).apply()

    faults = manifest_faults(released, await manifest(empty_dsn), is_newer=True)

    assert {fault.reason for fault in faults} == BORNE_BY_0_1_0


async def test_a_migration_gives_way_to_a_request_that_holds_and_wants_its_tables(empty_dsn: str) -> None:
    """Without that, one of the two would be the victim of a deadlock."""
    await migrator(empty_dsn, BOTH_TABLES).apply()
    adds = a_migration("0003", ADDS_COLUMNS.format("other"), locks=BOTH_LOCKS)
    met: list[Attempt] = []
    async with session(empty_dsn) as request, session(empty_dsn) as watcher:
        async with request.transaction():
            await request.execute("LOCK TABLE tallystick.two IN ROW EXCLUSIVE MODE")
            migrating = asyncio.create_task(migrator(empty_dsn, [*BOTH_TABLES, adds], locks=locks(met.append)).apply())
            await until_it_waits(watcher)
            await request.execute("LOCK TABLE tallystick.one IN ROW EXCLUSIVE MODE")
        applied = await migrating

    assert applied == [adds]
    assert met[0].number == 1
    assert str(met[0]).startswith("0003_words waits for its locks")


async def test_requests_that_lock_in_both_orders_never_fail_and_every_migration_runs(
    empty_dsn: str, server: tuple[str, str]
) -> None:
    await migrator(empty_dsn, BOTH_TABLES).apply()
    adds = [
        a_migration(f"{number:04}", ADDS_COLUMNS.format(f"word_{number}"), locks=BOTH_LOCKS) for number in range(3, 6)
    ]
    is_over, draw = asyncio.Event(), random.Random(0)
    requests = 0

    async def traffic() -> None:
        nonlocal requests
        async with session(superuser_of(server, empty_dsn)) as request:
            # Longer than on a server: a machine that is busy with other tests must not decide who gives way.
            await request.execute("SET deadlock_timeout = 20000; SET lock_timeout = 10000")
            while not is_over.is_set():
                async with request.transaction():
                    for table in draw.sample(["one", "two"], 2):
                        await request.execute(f"INSERT INTO tallystick.{table} (word) VALUES ('a')")
                        await asyncio.sleep(draw.random() / 100)
                requests += 1

    async with asyncio.TaskGroup() as together:
        for _ in range(2):
            together.create_task(traffic())
        # Each attempt fails where a request of the other order is on its way, by chance, so that it takes many.
        applied = await migrator(empty_dsn, [*BOTH_TABLES, *adds], locks=locks(pause=briefly, attempts=500)).apply()
        is_over.set()

    assert applied == adds
    assert requests > 0


async def test_a_table_that_stays_locked_ends_the_migration_with_the_session_that_holds_it(empty_dsn: str) -> None:
    await migrator(empty_dsn, BOTH_TABLES).apply()
    adds = a_migration("0003", ADDS_COLUMNS.format("other"), locks=BOTH_LOCKS)
    pauses: list[float] = []
    met: list[Attempt] = []

    async def pause(seconds: float) -> None:
        pauses.append(seconds)

    async with session(empty_dsn) as holder:
        async with holder.transaction():
            await holder.execute("LOCK TABLE tallystick.one IN ACCESS SHARE MODE")
            pid = await holder.fetchval("SELECT pg_backend_pid()")
            with pytest.raises(MigrationRefused, match=f"held by session {pid}: attempt 3 of 3; end those sessions"):
                await migrator(empty_dsn, [*BOTH_TABLES, adds], locks=locks(met.append, pause, attempts=3)).apply()
        assert await versions(holder) == ["0001", "0002"]

    assert [(attempt.number, attempt.holders) for attempt in met] == [(1, (pid,)), (2, (pid,)), (3, (pid,))]
    assert pauses == [0.5, 1.0]


async def test_a_statement_outside_a_transaction_is_tried_again_by_itself(empty_dsn: str) -> None:
    await migrator(empty_dsn, BOTH_TABLES).apply()
    adds = a_migration(
        "0003",
        "SET lock_timeout = '3s';\nINSERT INTO tallystick.two VALUES ('once');\n"
        "ALTER TABLE tallystick.one ADD COLUMN other text;",
        locks="one ACCESS EXCLUSIVE",
        outside="transaction:false",
    )
    async with session(empty_dsn) as holder:
        held = holder.transaction()
        await held.start()
        await holder.execute("LOCK TABLE tallystick.one IN ACCESS SHARE MODE")

        async def pause(_seconds: float) -> None:
            await held.rollback()

        assert await migrator(empty_dsn, [*BOTH_TABLES, adds], locks=locks(pause=pause)).apply() == [adds]

        assert await holder.fetchval("SELECT count(*) FROM tallystick.two") == 1


async def briefly(_seconds: float) -> None:
    await asyncio.sleep(0.01)


async def until_it_waits(watcher: Session) -> None:
    waits = (
        "SELECT EXISTS (SELECT FROM pg_locks AS l JOIN pg_stat_activity AS a USING (pid) "
        "WHERE a.application_name = 'tallystick migrate' AND NOT l.granted)"
    )
    async with asyncio.timeout(30):
        while not await watcher.fetchval(waits):  # noqa: ASYNC110  another session's doing has no event
            await asyncio.sleep(0.001)
