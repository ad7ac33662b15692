"""Transactions on PostgreSQL: READ COMMITTED with row locks; leaving the block without an exception commits."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import ContextVar

import asyncpg

from tallystick.adapters.postgres.database import Connection, Database, is_lost, terminate
from tallystick.adapters.postgres.errors import translated
from tallystick.adapters.postgres.stores.attribution_attempts import PostgresAttributionAttempts
from tallystick.adapters.postgres.stores.audit import PostgresAudit
from tallystick.adapters.postgres.stores.channels import PostgresChannels
from tallystick.adapters.postgres.stores.clicks import PostgresClickedCodes
from tallystick.adapters.postgres.stores.codes import PostgresReferralCodes
from tallystick.adapters.postgres.stores.directory import PostgresIdentityDirectory
from tallystick.adapters.postgres.stores.erasures import PostgresErasures
from tallystick.adapters.postgres.stores.exports import PostgresExports
from tallystick.adapters.postgres.stores.flags import PostgresFlagBook
from tallystick.adapters.postgres.stores.holdings import PostgresHoldings
from tallystick.adapters.postgres.stores.idempotency import PostgresFingerprintKeys, PostgresIdempotencyKeys
from tallystick.adapters.postgres.stores.identity import PostgresVerifications
from tallystick.adapters.postgres.stores.identity_events import PostgresDeliveries
from tallystick.adapters.postgres.stores.invariant_passes import PostgresInvariantPasses
from tallystick.adapters.postgres.stores.invariants import PostgresInvariants
from tallystick.adapters.postgres.stores.invites import PostgresInvites
from tallystick.adapters.postgres.stores.ledger import PostgresLedger
from tallystick.adapters.postgres.stores.legacy_metadata import PostgresLegacyMetadata
from tallystick.adapters.postgres.stores.loyalty import PostgresPlayers
from tallystick.adapters.postgres.stores.messages import PostgresMessages
from tallystick.adapters.postgres.stores.metadata_mirror import PostgresMetadataMirror
from tallystick.adapters.postgres.stores.overlays import PostgresOverlays
from tallystick.adapters.postgres.stores.pending_accruals import PostgresPendingAccruals
from tallystick.adapters.postgres.stores.rating_slips import PostgresRatingSlips
from tallystick.adapters.postgres.stores.referrals import PostgresEdges, PostgresLeaderboard
from tallystick.adapters.postgres.stores.rewards import PostgresRewards
from tallystick.adapters.postgres.stores.schedules import PostgresSchedules
from tallystick.adapters.postgres.stores.schema_contract import PostgresSchemaContract
from tallystick.adapters.postgres.stores.sessions import PostgresSessions
from tallystick.adapters.postgres.stores.stage_rooms import PostgresStageRooms
from tallystick.adapters.postgres.stores.topics import PostgresTopics
from tallystick.adapters.postgres.stores.user_summaries import PostgresUserSummaries
from tallystick.adapters.postgres.stores.users import PostgresUsers
from tallystick.application.transactions import CommitUncertain, Stores, TransactionAborted, Transactions

_ROLLBACK_SECONDS = 1.0
"""After that, the connection is closed, at which the server rolls back."""
_INSIDE: ContextVar[bool] = ContextVar("inside a transaction", default=False)


class PostgresTransactions(Transactions):
    """Opens transactions and reads on connections of the pool."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[Stores]:
        if _INSIDE.get():
            raise RuntimeError("a transaction was begun inside another one")
        inside = _INSIDE.set(True)
        try:
            async with self._database.connection() as connection:
                try:
                    await connection.execute("BEGIN")
                    yield stores_on(connection)
                except BaseException as error:
                    await _roll_back(connection)
                    meaning = translated(error, connection_lost=is_lost(connection))
                    if meaning is error:
                        raise
                    raise meaning from error
                await _commit(connection)
        finally:
            _INSIDE.reset(inside)

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[Stores]:
        async with self._database.connection() as connection:
            try:
                yield stores_on(connection)
            except Exception as error:
                meaning = translated(error, connection_lost=is_lost(connection))
                if meaning is error:
                    raise
                raise meaning from error

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[Stores]:
        async with self._database.connection() as connection:
            try:
                await connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
                yield stores_on(connection)
            except Exception as error:
                meaning = translated(error, connection_lost=is_lost(connection))
                if meaning is error:
                    raise
                raise meaning from error
            finally:
                await _roll_back(connection)  # nothing was written


def stores_on(connection: Connection) -> Stores:
    """Return stores on this connection, within its transaction if it has one."""
    return Stores(
        users=PostgresUsers(connection),
        codes=PostgresReferralCodes(connection),
        edges=PostgresEdges(connection),
        attempts=PostgresAttributionAttempts(connection),
        leaderboard=PostgresLeaderboard(connection),
        verifications=PostgresVerifications(connection),
        user_summaries=PostgresUserSummaries(connection),
        deliveries=PostgresDeliveries(connection),
        idempotency=PostgresIdempotencyKeys(connection),
        fingerprint_keys=PostgresFingerprintKeys(connection),
        invariants=PostgresInvariants(connection),
        passes=PostgresInvariantPasses(connection),
        ledger=PostgresLedger(connection),
        players=PostgresPlayers(connection),
        slips=PostgresRatingSlips(connection),
        pending=PostgresPendingAccruals(connection),
        audit=PostgresAudit(connection),
        exports=PostgresExports(connection),
        erasures=PostgresErasures(connection),
        holdings=PostgresHoldings(connection),
        rewards=PostgresRewards(connection),
        invites=PostgresInvites(connection),
        topics=PostgresTopics(connection),
        channels=PostgresChannels(connection),
        messages=PostgresMessages(connection),
        stage_rooms=PostgresStageRooms(connection),
        overlays=PostgresOverlays(connection),
        contract=PostgresSchemaContract(connection),
        sessions=PostgresSessions(connection),
        directory=PostgresIdentityDirectory(connection),
        flags=PostgresFlagBook(connection),
        legacy=PostgresLegacyMetadata(connection),
        mirror=PostgresMetadataMirror(connection),
        clicks=PostgresClickedCodes(connection),
        schedules=PostgresSchedules(connection),
    )


async def _commit(connection: Connection) -> None:
    try:
        tag = await connection.execute("COMMIT")
    except asyncpg.PostgresError as error:
        meaning = translated(error, connection_lost=is_lost(connection))
        if is_lost(connection) or (error.sqlstate or "").startswith(("08", "57")):
            terminate(connection)
            raise CommitUncertain from error
        raise meaning from error
    except BaseException as error:
        terminate(connection)
        if isinstance(error, TimeoutError | OSError | asyncpg.InterfaceError | asyncpg.InternalClientError):
            raise CommitUncertain from error
        raise
    if tag != "COMMIT":  # an error of a statement was caught, and the server answers COMMIT with ROLLBACK
        raise TransactionAborted("the transaction had failed before its commit")


async def _roll_back(connection: Connection) -> None:
    if is_lost(connection):
        return
    try:
        async with asyncio.timeout(_ROLLBACK_SECONDS):
            await connection.execute("ROLLBACK")
    except (TimeoutError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError):
        # asyncpg raises InternalClientError when the server closes the connection in the middle of a message.
        terminate(connection)
