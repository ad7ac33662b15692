"""Which tables have rows, and which of them row level security can hide from the role that asks."""

from typing import NamedTuple

from tallystick.adapters.postgres.database import Connection
from tallystick.adapters.postgres.statements import Statements

_SQL = Statements.load("visibility")


class Visibility(NamedTuple):
    """The names of tables."""

    filled: frozenset[str]
    hidden: frozenset[str]
    """Tables whose policies can hide rows."""


async def read_visibility(connection: Connection) -> Visibility:
    """Look at the tables that the invariants read, in the session of the role that counts."""
    rows = await connection.fetch(_SQL.visibility)
    return Visibility(
        frozenset(row["table_name"] for row in rows if row["has_rows"]),
        frozenset(row["table_name"] for row in rows if row["is_hidden"]),
    )
