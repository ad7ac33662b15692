"""The statements that lock the tables of a migration: one table is waited for longer, while nothing is held."""

import pytest

from tallystick.adapters.postgres.migrating.migration_files import TableLock
from tallystick.adapters.postgres.migrating.polite_locks import lock_statements

LOCKS = (TableLock("one", "ACCESS EXCLUSIVE"), TableLock("two", "SHARE"))
ONE = "LOCK TABLE tallystick.one IN ACCESS EXCLUSIVE MODE"
TWO = "LOCK TABLE tallystick.two IN SHARE MODE"
BRIEF, LONG = "SET LOCAL lock_timeout = 250", "SET LOCAL lock_timeout = 1200"


@pytest.mark.parametrize("attempt", [1, 2, 3])
def test_every_table_is_waited_for_briefly(attempt: int) -> None:
    assert lock_statements(LOCKS, attempt).split("; ") == [BRIEF, ONE, BRIEF, TWO, BRIEF]


@pytest.mark.parametrize(("attempt", "first", "second"), [(4, TWO, ONE), (8, ONE, TWO)])
def test_every_fourth_attempt_waits_longer_for_one_table_in_turn(attempt: int, first: str, second: str) -> None:
    """Longer than a second, after which PostgreSQL cancels an autovacuum that is in the way."""
    assert lock_statements(LOCKS, attempt).split("; ") == [LONG, first, BRIEF, second, BRIEF]


def test_a_migration_without_locks_only_has_a_time_out() -> None:
    assert lock_statements((), 4) == LONG
