"""Checksums on PostgreSQL: one number for many rows, equal for equal rows whatever their order."""

from datetime import datetime

import asyncpg

from tallystick.adapters.postgres.database import Connection
from tallystick.adapters.postgres.statements import Statements
from tallystick.domain.backfill import Checksum

_SQL = Statements.load("checksums")


async def edges_here(connection: Connection, before: datetime) -> Checksum:
    """Return the checksum of the referrals that no backfill imported."""
    return await checksum(connection, _SQL.edges_here, before)


async def points_here(connection: Connection, before: datetime) -> Checksum:
    """Return the checksum of the points that no backfill imported."""
    return await checksum(connection, _SQL.points_here, before)


async def checksum(connection: Connection, statement: str, *arguments: object) -> Checksum:
    """Return the checksum that a statement computes."""
    sums = await one_row(connection, statement, *arguments)
    return Checksum(sums["rows"], sums["total"])


async def one_row(connection: Connection, statement: str, *arguments: object) -> asyncpg.Record:
    """Return the one row of an aggregate."""
    found = await connection.fetchrow(statement, *arguments)
    if found is None:
        raise AssertionError("an aggregate returns a row")
    return found
