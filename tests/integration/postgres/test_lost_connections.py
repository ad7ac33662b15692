"""Connections that are lost, by where: before the commit nothing was stored, at the commit nobody can tell."""

import contextlib

import pytest

from tallystick.adapters.postgres.database import PoolSettings
from tallystick.application.transactions import CommitUncertain, StoreUnavailable, TransactionAborted
from tallystick.domain.users import UserId
from tests.integration.postgres.schemas import NOW
from tests.integration.postgres.sessions import Session, connection_of, transactions_on
from tests.integration.postgres.wires import Fault, wired

ADA = UserId("ada")
END_OF_THE_SESSION = "SET LOCAL ROLE NONE; SELECT pg_terminate_backend(pg_backend_pid()), pg_sleep(60)"


async def users(superuser: Session) -> list[str]:
    return [row["user_id"] for row in await superuser.fetch("SELECT user_id FROM tallystick.users ORDER BY user_id")]


class TestAtTheCommit:
    @pytest.mark.parametrize(("fault", "stored"), [("cut before the commit", []), ("cut after the commit", ["ada"])])
    async def test_a_cut_leaves_the_outcome_uncertain(
        self, fault: Fault, stored: list[str], migrated_dsn: str, superuser: Session
    ) -> None:
        async with wired(migrated_dsn) as wire, transactions_on(wire.dsn) as transactions:
            wire.fault = fault

            with pytest.raises(CommitUncertain):
                async with transactions.begin() as stores:
                    await stores.users.admit([ADA], NOW)

            assert await users(superuser) == stored

    @pytest.mark.parametrize("fault", ["cut before the commit", "cut after the commit"])
    async def test_the_next_transaction_gets_a_new_connection(
        self, fault: Fault, migrated_dsn: str, superuser: Session
    ) -> None:
        async with wired(migrated_dsn) as wire, transactions_on(wire.dsn, PoolSettings(size=1)) as transactions:
            wire.fault = fault
            with pytest.raises(CommitUncertain):
                async with transactions.begin() as stores:
                    await stores.users.admit([ADA], NOW)
            wire.fault = "none"

            async with transactions.begin() as stores:
                await stores.users.admit([ADA], NOW)

            assert await users(superuser) == ["ada"]

    async def test_a_server_that_falls_silent_leaves_it_uncertain(self, migrated_dsn: str) -> None:
        async with (
            wired(migrated_dsn) as wire,
            transactions_on(wire.dsn, PoolSettings(statement_seconds=0.1)) as transactions,
        ):
            with pytest.raises(CommitUncertain):
                async with transactions.begin() as stores:
                    await stores.users.admit([ADA], NOW)
                    wire.fault = "silent"


class TestBeforeTheCommit:
    async def test_a_session_that_is_ended_between_two_statements_is_an_abort(
        self, migrated_dsn: str, superuser: Session
    ) -> None:
        async with transactions_on(migrated_dsn) as transactions:
            with pytest.raises(TransactionAborted):
                async with transactions.begin() as stores:
                    await stores.users.admit([ADA], NOW)
                    pid = await connection_of(stores).fetchval("SELECT pg_backend_pid()")
                    await superuser.execute("SELECT pg_terminate_backend($1, 30000)", pid)
                    await stores.users.find([ADA])

            assert await users(superuser) == []

    async def test_a_session_that_is_ended_in_a_statement_is_an_abort(self, migrated_dsn: str) -> None:
        async with transactions_on(migrated_dsn) as transactions:
            with pytest.raises(TransactionAborted):
                async with transactions.begin() as stores:
                    await connection_of(stores).execute(END_OF_THE_SESSION)

    async def test_a_session_that_is_ended_after_the_last_statement_never_counts_as_committed(
        self, migrated_dsn: str, superuser: Session
    ) -> None:
        async with transactions_on(migrated_dsn) as transactions:
            with pytest.raises((TransactionAborted, CommitUncertain)):
                async with transactions.begin() as stores:
                    await stores.users.admit([ADA], NOW)
                    pid = await connection_of(stores).fetchval("SELECT pg_backend_pid()")
                    await superuser.execute("SELECT pg_terminate_backend($1, 30000)", pid)

            assert await users(superuser) == []

    async def test_the_next_transaction_gets_a_new_connection(self, migrated_dsn: str, superuser: Session) -> None:
        async with transactions_on(migrated_dsn, PoolSettings(size=1)) as transactions:
            with pytest.raises(TransactionAborted):
                async with transactions.begin() as stores:
                    await connection_of(stores).execute(END_OF_THE_SESSION)

            async with transactions.begin() as stores:
                await stores.users.admit([ADA], NOW)

            assert await users(superuser) == ["ada"]

    async def test_a_read_is_an_abort_too(self, migrated_dsn: str) -> None:
        async with transactions_on(migrated_dsn) as transactions:
            with pytest.raises(TransactionAborted):
                async with transactions.reading() as stores:
                    await connection_of(stores).execute(END_OF_THE_SESSION)

    async def test_a_server_that_falls_silent_is_unavailable(self, migrated_dsn: str) -> None:
        async with (
            wired(migrated_dsn) as wire,
            transactions_on(wire.dsn, PoolSettings(statement_seconds=0.1)) as transactions,
        ):
            with pytest.raises(StoreUnavailable):
                async with transactions.begin() as stores:
                    wire.fault = "silent"
                    await stores.users.find([ADA])

    async def test_an_exception_comes_out_as_itself_where_the_server_hears_no_rollback(self, migrated_dsn: str) -> None:
        async with (
            wired(migrated_dsn) as wire,
            transactions_on(wire.dsn, PoolSettings(statement_seconds=0.1)) as transactions,
        ):
            with pytest.raises(ZeroDivisionError):
                async with transactions.begin() as stores:
                    await stores.users.admit([ADA], NOW)
                    wire.fault = "silent"
                    raise ZeroDivisionError

    async def test_an_exception_comes_out_as_itself_where_the_session_was_ended(
        self, migrated_dsn: str, superuser: Session
    ) -> None:
        async with transactions_on(migrated_dsn) as transactions:
            with pytest.raises(ZeroDivisionError):
                async with transactions.begin() as stores:
                    pid = await connection_of(stores).fetchval("SELECT pg_backend_pid()")
                    await superuser.execute("SELECT pg_terminate_backend($1, 30000)", pid)
                    raise ZeroDivisionError


class TestBeforeTheBeginning:
    async def test_where_every_connection_is_taken_nothing_was_run(self, migrated_dsn: str) -> None:
        settings = PoolSettings(size=1, acquire_seconds=0.05)
        async with transactions_on(migrated_dsn, settings) as transactions, transactions.reading():
            with pytest.raises(TransactionAborted, match="no connection was available"):
                async with transactions.begin():
                    pytest.fail("nothing may run")

    async def test_where_nobody_answers_nothing_was_run(self, tmp_path: object) -> None:
        async with transactions_on(f"postgresql://tallystick@/tallystick?host={tmp_path}") as transactions:
            with pytest.raises(TransactionAborted, match="no connection was available"):
                async with transactions.begin():
                    pytest.fail("nothing may run")

    async def test_where_the_server_takes_no_more_connections_nothing_was_run(
        self, migrated_dsn: str, owner: Session
    ) -> None:
        database = await owner.fetchval("SELECT current_database()")
        await owner.execute(f'ALTER DATABASE "{database}" CONNECTION LIMIT 0')
        try:
            async with transactions_on(migrated_dsn) as transactions:
                with pytest.raises(TransactionAborted) as refused:
                    async with transactions.begin():
                        pytest.fail("nothing may run")
            assert (refused.value.cause, refused.value.sqlstate) == ("connections", "53300")
        finally:
            await owner.execute(f'ALTER DATABASE "{database}" CONNECTION LIMIT -1')

    async def test_a_connection_that_was_lost_while_it_lay_idle_is_replaced_after_one_abort_at_most(
        self, migrated_dsn: str, superuser: Session
    ) -> None:
        async with transactions_on(migrated_dsn, PoolSettings(size=1)) as transactions:
            async with transactions.reading() as stores:
                pid = await connection_of(stores).fetchval("SELECT pg_backend_pid()")
            await superuser.execute("SELECT pg_terminate_backend($1, 30000)", pid)
            with contextlib.suppress(TransactionAborted):  # the news may not have come yet
                async with transactions.begin() as stores:
                    await stores.users.find([ADA])

            async with transactions.begin() as stores:
                await stores.users.admit([ADA], NOW)

            assert await users(superuser) == ["ada"]
