"""Queries of the audit on many entries: with any parameters, each reads a range of its index."""

import pytest

from tallystick.adapters.postgres.statements import Statements
from tests.integration.postgres.sessions import Session

ENTRIES = 20_000
INDEXES = {
    "of_player": "ledger_entries_pkey",
    "of_players_request": "ledger_entries_of_request",
    "of_players_staff": "ledger_entries_of_players_staff",
    "of_players_kind": "ledger_entries_of_players_kind",
    "of_request": "ledger_entries_of_request",
    "of_staff": "ledger_entries_of_staff",
    "of_kind": "ledger_entries_of_kind",
}
PLACE = "'9999-12-31Z', '~', 9223372036854775807, 51"
ARGUMENTS = {
    "of_player": "'user7', 9223372036854775807, 51",
    "of_players_request": "'user7', 'request 4', NULL, NULL, 9223372036854775807, 51",
    "of_players_staff": "'user7', 'staff 3', NULL, 9223372036854775807, 51",
    "of_players_kind": "'user7', 'kind 1', 9223372036854775807, 51",
    "of_request": f"'request 4', NULL, NULL, {PLACE}",
    "of_staff": f"'staff 3', NULL, {PLACE}",
    "of_kind": f"'kind 1', {PLACE}",
}
# Most entries are of two players and of one kind, as in a casino with regulars.
FILLING = f"""
INSERT INTO ledger_accounts (user_id, unit) SELECT 'user' || n, 'points' FROM generate_series(0, 19) AS n;
INSERT INTO ledger_entries (
    user_id, unit, seq, amount, balance_before, balance_after, event_type, event_key, staff_id, tier_before, tier_after,
    correlation_id, created_at, lifetime_after, tier_progress
)
SELECT
    'user' || CASE WHEN n % 3 = 0 THEN 7 ELSE n % 20 END, 'points', n, 1, n, n + 1,
    'kind ' || CASE WHEN n % 50 = 0 THEN 1 ELSE 0 END, 'event ' || n, CASE WHEN n % 20 = 0 THEN 'staff ' || n % 7 END,
    'b', 'b', 'request ' || n / 5, '2026-01-01Z'::timestamptz + n * interval '1 s', n, 0
FROM generate_series(1, {ENTRIES}) AS n;
"""


@pytest.fixture
async def filled(superuser: Session) -> Session:
    await superuser.execute("SET session_replication_role = replica; SET search_path = tallystick")
    await superuser.execute(FILLING)
    await superuser.execute("ANALYZE ledger_entries; SET plan_cache_mode = force_generic_plan")
    return superuser


async def test_every_question_reads_its_index(filled: Session) -> None:
    statements = dict(Statements.load("audit"))
    assert set(statements) == set(INDEXES)

    for name, sql in statements.items():
        await filled.execute(f"PREPARE {name} AS {sql}")
        plan = "\n".join(row[0] for row in await filled.fetch(f"EXPLAIN EXECUTE {name} ({ARGUMENTS[name]})"))

        assert INDEXES[name] in plan, f"{name}\n{plan}"
        assert "Seq Scan" not in plan, f"{name}\n{plan}"
