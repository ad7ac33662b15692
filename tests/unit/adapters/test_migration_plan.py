"""The plan of a migration: what its locks stop, and how long it reads tables."""

import pytest

from tallystick.adapters.postgres.migrating.migration_files import LockMode, Migration, TableLock
from tallystick.adapters.postgres.migrating.plan import BYTES_A_SECOND, TableSize, plan

SIZES = {"users": TableSize(rows=1000, size_bytes=3 * BYTES_A_SECOND), "rewards": TableSize(1, BYTES_A_SECOND // 2)}


def a_migration(*locks: TableLock, in_transaction: bool = True) -> Migration:
    return Migration("0001", "words", "", "", "", "before", locks, in_transaction)


@pytest.mark.parametrize(
    ("mode", "stops"),
    [
        ("ACCESS EXCLUSIVE", "reads and writes"),
        ("EXCLUSIVE", "writes"),
        ("SHARE ROW EXCLUSIVE", "writes"),
        ("SHARE", "writes"),
        ("SHARE UPDATE EXCLUSIVE", "nothing"),
    ],
)
def test_a_lock_stops_the_requests_that_conflict_with_it(mode: LockMode, stops: str) -> None:
    (step,) = plan([a_migration(TableLock("users", mode))], SIZES)

    assert [(lock.stops, lock.rows, lock.size_bytes) for lock in step.locks] == [(stops, 1000, 3 * BYTES_A_SECOND)]


def test_a_transaction_changes_the_catalogue_under_its_strong_locks_and_takes_a_moment() -> None:
    (step,) = plan([a_migration(TableLock("users", "ACCESS EXCLUSIVE"))], SIZES)

    assert step.expected_seconds == 0


def test_tables_are_read_under_the_weak_lock_and_outside_a_transaction() -> None:
    weak, strong = TableLock("users", "SHARE UPDATE EXCLUSIVE"), TableLock("rewards", "ACCESS EXCLUSIVE")

    steps = plan([a_migration(weak, strong), a_migration(weak, strong, in_transaction=False)], SIZES)

    assert [step.expected_seconds for step in steps] == [3, 4]


def test_a_table_that_an_earlier_step_makes_is_empty() -> None:
    (step,) = plan([a_migration(TableLock("words", "SHARE UPDATE EXCLUSIVE"))], SIZES)

    assert (step.locks[0].rows, step.expected_seconds) == (0, 0)
