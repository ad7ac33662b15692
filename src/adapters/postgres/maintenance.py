"""Maintenance by the owner of the schema, with grants to the service that last one transaction."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg

from tallystick.adapters.postgres.connecting import connect
from tallystick.adapters.postgres.database import SERVICE_ROLE

_LOCK = 0x7461_6C6C_7966_727A


@asynccontextmanager
async def owner_session(dsn: str, *, name: str) -> AsyncIterator["asyncpg.Connection[asyncpg.Record]"]:
    """Connect as the owner for the block, with an application name; Unreachable holds the reason where that fails."""
    connection = await connect(
        dsn,
        name=f"tallystick {name}",
        settings={
            "search_path": "tallystick",
            # Statements read whole tables, and a session that only holds a lock is idle for the whole command.
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
    connection: "asyncpg.Connection[asyncpg.Record]", *, grant: str, revoke: str
) -> AsyncIterator[None]:
    """Run the block in one transaction, as the service with additional grants.

    No other session sees the grants, because the same transaction revokes them.
    """
    async with connection.transaction():
        # One at a time: concurrent GRANTs on one table fail with "tuple concurrently updated".
        await connection.execute("SELECT pg_advisory_xact_lock($1)", _LOCK)
        await connection.execute(grant)
        await connection.execute(f"SET LOCAL ROLE {SERVICE_ROLE}")
        yield
        await connection.execute("RESET ROLE")
        await connection.execute(revoke)
