"""The plan of a migration: its steps, their locks, and the sizes of the tables that they lock."""

import math
from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

from tallystick.adapters.postgres.migrating.migration_files import Kind, LockMode, Migration

BYTES_A_SECOND = 20_000_000
"""The pace at which a table is expected to be read: a slow disk, with requests beside."""

Stopped = Literal["reads and writes", "writes", "nothing"]
_STOPPED: Mapping[LockMode, Stopped] = {
    "ACCESS EXCLUSIVE": "reads and writes",
    "EXCLUSIVE": "writes",
    "SHARE ROW EXCLUSIVE": "writes",
    "SHARE": "writes",
    "SHARE UPDATE EXCLUSIVE": "nothing",
}


class TableSize(msgspec.Struct, frozen=True):
    """The size of a table, as its statistics estimate the rows."""

    rows: int
    size_bytes: int


class PlannedLock(msgspec.Struct, frozen=True):
    """A lock that a step takes on a table."""

    table: str
    mode: LockMode
    stops: Stopped
    """The requests that wait while the lock is held."""
    rows: int
    size_bytes: int


class Step(msgspec.Struct, frozen=True):
    """A migration that did not run yet."""

    migration: str
    kind: Kind
    in_transaction: bool
    locks: list[PlannedLock]
    expected_seconds: int
    """How long tables are read while requests go on. Locks that stop requests are held for a moment."""


def plan(migrations: Sequence[Migration], sizes: Mapping[str, TableSize]) -> list[Step]:
    """Return the steps of migrations. A table without a size is made by an earlier step, and is empty."""
    return [_step(migration, sizes) for migration in migrations]


def _step(migration: Migration, sizes: Mapping[str, TableSize]) -> Step:
    locks = []
    for lock in migration.locks:
        size = sizes.get(lock.table, TableSize(0, 0))
        locks.append(PlannedLock(lock.table, lock.mode, _STOPPED[lock.mode], size.rows, size.size_bytes))
    # Indexes are built and constraints validated outside a transaction, or under the lock that stops nothing.
    read = [lock.size_bytes for lock in locks if lock.stops == "nothing" or not migration.in_transaction]
    seconds = math.ceil(sum(read) / BYTES_A_SECOND)
    return Step(migration.full_name, migration.kind, migration.in_transaction, locks, seconds)
