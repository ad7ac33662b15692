"""Audit rows of what operators change by command, stored in the transaction that changes it."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

import asyncpg

from tallystick.adapters.postgres.statements import Statements
from tallystick.domain.ids import RANDOM_BYTES, uuid_v7

if TYPE_CHECKING:
    Connection = asyncpg.Connection[asyncpg.Record]
else:  # asyncpg's classes take no parameters at run time
    Connection = object

_SQL = Statements.load("operator_actions")


class Change(NamedTuple):
    """A changed row: its key, what was found, and what was done."""

    subject: str
    found: str
    done: str


class Operator(NamedTuple):
    """The person at the command line, the time, and random bytes for the ids of the audit rows."""

    name: str
    at: datetime
    random_bytes: Callable[[int], bytes]

    def new_id(self) -> str:
        """Return the id of an audit row."""
        return uuid_v7(self.at, self.random_bytes(RANDOM_BYTES))


async def record_actions(connection: Connection, action: str, changes: Sequence[Change], by: Operator) -> None:
    """Store an audit row for each change, in the transaction of the connection and with the rights of the service."""
    ids = [by.new_id() for _ in changes]
    subjects, founds, dones = ([getattr(change, field) for change in changes] for field in Change._fields)
    await connection.execute(_SQL.record, ids, action, subjects, founds, dones, by.name, by.at)
