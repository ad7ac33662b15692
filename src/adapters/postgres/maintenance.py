"""Maintenance by the owner of the schema: with rights that the service holds for one transaction."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg

from tallystick.adapters.postgres.connecting import connect
from tallystick.adapters.postgres.database import SERVICE_ROLE

_LOCK = 0x7461_6C6C_7966_727A


@asynccontextmanager
async def owner_session(dsn: str, *, name: str) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    """Connect as the owner for as long as it takes, under a name that the server shows; Unreachable says why not."""
    connection = await connect(
        dsn,
        name=f"tallystick {name}",
        settings={
            "search_path": "tallystick",
            # Statements look at whole tables, and a session that keeps a lock is idle for as long as others work.
            "statement_timeout": "0",
            "idle_session_timeout": "0",
        },
    )
    try:
        yield connection
    finally:
        await connection.close(timeout=5)


@asynccontextmanager
async def temporary_grant(
    connection: "asyncpg.Connection[asyncpg.Record]", *, give: str, take_back: str
) -> AsyncIterator[None]:
    """Be the service, with more rights than it has, for one transaction.

    Nobody else sees the rights: they are taken back in the transaction that gives them.
    """
    async with connection.transaction():
        # One at a time: two who give and take a right at once get in each other's way.
        await connection.execute("SELECT pg_advisory_xact_lock($1)", _LOCK)
        await connection.execute(give)
        await connection.execute(f"SET LOCAL ROLE {SERVICE_ROLE}")
        yield
        await connection.execute("RESET ROLE")
        await connection.execute(take_back)
