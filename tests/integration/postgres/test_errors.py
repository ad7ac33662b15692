"""Errors of the server that were foreseen, each provoked for real."""

import asyncio
from collections.abc import AsyncIterator

import asyncpg
import pytest

from tallystick.adapters.postgres.database import PoolSettings
from tallystick.adapters.postgres.transactions import PostgresTransactions
from tallystick.application.transactions import LockHeld, StoreUnavailable, TransactionAborted
from tallystick.domain.refusals import InvalidText
from tallystick.domain.users import Profile, User, UserId
from tests.integration.postgres.schemas import NOW
from tests.integration.postgres.sessions import Session, connection_of, transactions_on

ADA, BOB = UserId("ada"), UserId("bob")


@pytest.fixture
async def transactions(migrated_dsn: str) -> AsyncIterator[PostgresTransactions]:
    """Return transactions on a database in which Ada and Bob are users."""
    async with transactions_on(migrated_dsn) as opened:
        async with opened.begin() as stores:
            await stores.users.admit([ADA, BOB], NOW)
        yield opened


class TestAborts:
    async def test_of_two_that_wait_for_each_other_one_is_aborted_and_one_commits(
        self, transactions: PostgresTransactions
    ) -> None:
        both_hold = asyncio.Barrier(2)

        async def lock(first: UserId, second: UserId) -> None:
            async with transactions.begin() as stores:
                await stores.users.lock([first])
                await both_hold.wait()
                await stores.users.lock([second])

        outcomes = await asyncio.gather(lock(ADA, BOB), lock(BOB, ADA), return_exceptions=True)

        (aborted,) = [outcome for outcome in outcomes if outcome is not None]
        assert isinstance(aborted, TransactionAborted)
        assert str(aborted) == "40P01"

    async def test_one_that_waits_too_long_for_a_lock(
        self, transactions: PostgresTransactions, migrated_dsn: str, superuser: Session
    ) -> None:
        async with transactions_on(migrated_dsn, PoolSettings(lock_seconds=0.05)) as impatient, superuser.transaction():
            await superuser.execute("SELECT FROM tallystick.users FOR UPDATE")

            with pytest.raises(LockHeld, match="55P03"):
                async with impatient.begin() as stores:
                    await stores.users.lock([ADA])

    async def test_one_whose_snapshot_was_overtaken(
        self, transactions: PostgresTransactions, superuser: Session
    ) -> None:
        with pytest.raises(TransactionAborted, match="40001"):
            async with transactions.begin() as stores:
                await connection_of(stores).execute("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE")
                await stores.users.find([ADA])
                await superuser.execute("UPDATE tallystick.users SET display_name = 'Ada' WHERE user_id = 'ada'")
                await stores.users.lock([ADA])

    async def test_one_that_is_found_out_at_its_commit(
        self, transactions: PostgresTransactions, superuser: Session
    ) -> None:
        with pytest.raises(TransactionAborted, match="40001"):
            async with transactions.begin() as stores:
                await connection_of(stores).execute("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE")
                await stores.invariants.count()
                async with superuser.transaction(isolation="serializable"):
                    await superuser.fetch("SELECT * FROM tallystick.users")
                    await stores.users.admit([UserId("cid")], NOW)
                    await superuser.execute("INSERT INTO tallystick.users (user_id, created_at) VALUES ('dan', now())")

        assert await user_ids(superuser) == ["ada", "bob", "dan"]

    async def test_a_plan_that_the_schema_outgrew_is_made_anew_in_the_next_try(
        self, migrated_dsn: str, owner: Session
    ) -> None:
        async with transactions_on(migrated_dsn, PoolSettings(size=1)) as transactions:

            async def read() -> None:
                async with transactions.begin() as stores:
                    await connection_of(stores).fetch("SELECT * FROM users")

            await read()
            await owner.execute("ALTER TABLE tallystick.users ADD COLUMN shoe_size bigint")

            with pytest.raises(TransactionAborted, match="0A000"):
                await read()
            await read()

    async def test_one_in_which_an_error_was_swallowed_is_not_passed_off_as_committed(
        self, transactions: PostgresTransactions, superuser: Session
    ) -> None:
        with pytest.raises(TransactionAborted, match="had failed before its commit"):
            async with transactions.begin() as stores:
                await stores.users.admit([UserId("cid")], NOW)
                with pytest.raises(asyncpg.DivisionByZeroError):
                    await connection_of(stores).execute("SELECT 1 / 0")

        assert await user_ids(superuser) == ["ada", "bob"]


class TestUnavailable:
    async def test_a_statement_that_the_server_cuts_short(self, migrated_dsn: str) -> None:
        async with transactions_on(migrated_dsn, PoolSettings(statement_seconds=0.05)) as transactions:
            with pytest.raises(StoreUnavailable, match="57014"):
                async with transactions.begin() as stores:
                    await connection_of(stores).execute("SELECT pg_sleep(60)")

    async def test_a_statement_that_only_we_cut_short(self, migrated_dsn: str) -> None:
        async with transactions_on(migrated_dsn, PoolSettings(statement_seconds=0.05)) as transactions:
            with pytest.raises(StoreUnavailable, match="a statement took too long"):
                async with transactions.begin() as stores:
                    await connection_of(stores).execute("SET LOCAL statement_timeout = 0")
                    await connection_of(stores).execute("SELECT pg_sleep(60)")

    async def test_a_statement_that_somebody_cancelled(self, transactions: PostgresTransactions) -> None:
        with pytest.raises(StoreUnavailable, match="57014"):
            async with transactions.begin() as stores:
                await connection_of(stores).execute(
                    "SET LOCAL ROLE NONE; SELECT pg_cancel_backend(pg_backend_pid()), pg_sleep(60)"
                )

    async def test_a_write_on_a_database_that_only_reads(self, transactions: PostgresTransactions) -> None:
        with pytest.raises(StoreUnavailable, match="25006"):
            async with transactions.begin() as stores:
                await connection_of(stores).execute("SET TRANSACTION READ ONLY")
                await stores.users.admit([UserId("cid")], NOW)

    async def test_a_read_that_takes_too_long(self, migrated_dsn: str) -> None:
        async with transactions_on(migrated_dsn, PoolSettings(statement_seconds=0.05)) as transactions:
            with pytest.raises(StoreUnavailable, match="57014"):
                async with transactions.reading() as stores:
                    await connection_of(stores).execute("SELECT pg_sleep(60)")


class TestUnstorable:
    async def test_text_with_a_nul(self, transactions: PostgresTransactions) -> None:
        with pytest.raises(InvalidText):
            async with transactions.begin() as stores:
                await stores.users.store([User(ADA, NOW, Profile(display_name="a\x00b"))])

    async def test_a_sum_past_the_largest_number(self, transactions: PostgresTransactions) -> None:
        with pytest.raises(InvalidText):
            async with transactions.begin() as stores:
                await connection_of(stores).execute("SELECT 9223372036854775807::bigint + 1")

    @pytest.mark.parametrize(
        "user",
        [User(ADA, NOW, referrals=2**63), User(ADA, NOW, Profile(display_name="a\ud800b"))],
        ids=["a number past the largest one", "half a surrogate pair"],
    )
    async def test_values_that_the_driver_refuses_before_the_server_can(
        self, user: User, transactions: PostgresTransactions
    ) -> None:
        with pytest.raises(InvalidText):
            async with transactions.begin() as stores:
                await stores.users.store([user])

    async def test_text_that_is_no_identifier(self, transactions: PostgresTransactions) -> None:
        with pytest.raises(InvalidText):
            async with transactions.begin() as stores:
                await connection_of(stores).execute("SELECT 'words'::uuid")


class TestBugs:
    async def test_a_statement_that_does_not_parse_stays_what_it_is(self, transactions: PostgresTransactions) -> None:
        with pytest.raises(asyncpg.PostgresSyntaxError):
            async with transactions.begin() as stores:
                await connection_of(stores).execute("SELEKT")

    async def test_a_missing_right_is_a_store_that_cannot_serve(self, transactions: PostgresTransactions) -> None:
        with pytest.raises(StoreUnavailable):
            async with transactions.begin() as stores:
                await connection_of(stores).execute("DELETE FROM users")

    async def test_the_connection_serves_the_next_transaction(self, migrated_dsn: str) -> None:
        async with transactions_on(migrated_dsn, PoolSettings(size=1)) as transactions:
            with pytest.raises(asyncpg.PostgresSyntaxError):
                async with transactions.begin() as stores:
                    await connection_of(stores).execute("SELEKT")

            async with transactions.begin() as stores:
                await stores.users.admit([ADA], NOW)
                assert list(await stores.users.find([ADA])) == [ADA]


async def user_ids(superuser: Session) -> list[str]:
    return [row["user_id"] for row in await superuser.fetch("SELECT user_id FROM tallystick.users ORDER BY user_id")]
