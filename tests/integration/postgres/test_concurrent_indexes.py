"""Indexes that are built beside running traffic: outside a transaction, and again where a build broke off."""

import asyncio

import asyncpg
import pytest

from tests.integration.postgres.schemas import a_migration, a_table, migrator, versions
from tests.integration.postgres.sessions import Session, session

TABLE = a_table("0001", "words")
INDEX = a_migration(
    "0002",
    "SET lock_timeout = '3s';\nSET statement_timeout = '15min';\n\n"
    "CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS words_once ON tallystick.words (word);",
    "DROP INDEX tallystick.words_once;",
    outside="transaction:false",
)
BOTH = [TABLE, INDEX]


async def is_valid(owner: Session) -> bool | None:
    """Return whether the index is complete; None where there is none."""
    valid: bool | None = await owner.fetchval(
        "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass('tallystick.words_once')"
    )
    return valid


async def test_an_index_is_built_concurrently_outside_a_transaction(empty_dsn: str) -> None:
    assert await migrator(empty_dsn, BOTH).apply() == BOTH

    async with session(empty_dsn) as owner:
        assert await is_valid(owner)
        with pytest.raises(asyncpg.UniqueViolationError):
            await owner.execute("INSERT INTO tallystick.words VALUES ('a'), ('a')")


async def test_migrators_that_start_at_once_build_it_once_and_do_not_wait_for_each_other_for_ever(
    empty_dsn: str,
) -> None:
    """One that waited for the lock inside a statement would be waited for by the build."""
    await migrator(empty_dsn, [TABLE]).apply()

    applied = await asyncio.gather(*(migrator(empty_dsn, BOTH).apply() for _ in range(3)))

    assert sorted(applied, key=len) == [[], [], [INDEX]]


async def test_an_index_that_a_failed_build_left_is_built_anew(empty_dsn: str) -> None:
    await migrator(empty_dsn, [TABLE]).apply()
    async with session(empty_dsn) as owner:
        await owner.execute("INSERT INTO tallystick.words VALUES ('a'), ('a')")
        with pytest.raises(asyncpg.UniqueViolationError):
            await migrator(empty_dsn, BOTH).apply()
        assert (await is_valid(owner), await versions(owner)) == (False, ["0001"])
        left = await owner.fetchval("SELECT to_regclass('tallystick.words_once')::oid")
        await owner.execute("DELETE FROM tallystick.words")

        assert await migrator(empty_dsn, BOTH).apply() == [INDEX]

        assert await is_valid(owner)
        assert await owner.fetchval("SELECT to_regclass('tallystick.words_once')::oid") != left


@pytest.mark.parametrize(
    ("by", "error"),
    [
        ("pg_cancel_backend", asyncpg.QueryCanceledError),
        ("pg_terminate_backend", (asyncpg.AdminShutdownError, asyncpg.ConnectionDoesNotExistError)),
    ],
)
async def test_a_unique_index_that_a_build_left_half_way_is_built_anew(
    by: str, error: type[Exception] | tuple[type[Exception], ...], empty_dsn: str
) -> None:
    await migrator(empty_dsn, [TABLE]).apply()
    async with session(empty_dsn) as owner, session(empty_dsn) as writer:
        async with writer.transaction():  # which the build has to wait for
            await writer.execute("INSERT INTO tallystick.words VALUES ('a')")
            building = asyncio.create_task(migrator(empty_dsn, BOTH).apply())
            async with asyncio.timeout(30):
                while await is_valid(owner) is None:  # noqa: ASYNC110  another session's doing has no event
                    await asyncio.sleep(0.01)
            await owner.execute(
                f"SELECT {by}(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND application_name = 'tallystick migrate'"
            )
            with pytest.raises(error):
                await building
        assert await is_valid(owner) is False

        assert await migrator(empty_dsn, BOTH).apply() == [INDEX]

        assert await is_valid(owner)


async def test_an_index_whose_build_was_not_recorded_is_kept(empty_dsn: str) -> None:
    await migrator(empty_dsn, BOTH).apply()
    async with session(empty_dsn) as owner:
        await owner.execute("DELETE FROM tallystick.schema_migrations WHERE version = '0002'")
        built = await owner.fetchval("SELECT to_regclass('tallystick.words_once')::oid")

        assert await migrator(empty_dsn, BOTH).apply() == [INDEX]

        assert await owner.fetchval("SELECT to_regclass('tallystick.words_once')::oid") == built


async def test_a_way_back_may_ask_to_run_outside_a_transaction_too(empty_dsn: str) -> None:
    back = a_migration(
        "0002",
        INDEX.up,
        "DROP INDEX CONCURRENTLY tallystick.words_once;",
        outside="transaction:false",
        back_outside="transaction:false",
    )
    await migrator(empty_dsn, [TABLE, back]).apply()

    await migrator(empty_dsn, [TABLE, back]).roll_back("0002")

    async with session(empty_dsn) as owner:
        assert (await is_valid(owner), await versions(owner)) == (None, ["0001"])


async def test_a_block_outside_a_transaction_goes_in_steps_and_a_semicolon_inside_of_it_ends_nothing(
    empty_dsn: str,
) -> None:
    steps = a_migration(
        "0002",
        "SET lock_timeout = '3s';\nDO $$\nBEGIN\n    FOR step IN 1..3 LOOP\n"
        "        INSERT INTO tallystick.words VALUES (step);\n        COMMIT;\n    END LOOP;\nEND\n$$;\nSELECT 1;",
        outside="transaction:false",
    )

    await migrator(empty_dsn, [TABLE, steps]).apply()

    async with session(empty_dsn) as owner:
        written = await owner.fetchrow("SELECT count(*), count(DISTINCT xmin::text) FROM tallystick.words")
    assert written is not None
    assert tuple(written) == (3, 3)
