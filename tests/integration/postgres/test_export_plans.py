"""Exports of many rows: each page reads a range of one index, however few of the rows are of its kind."""

import pytest

from tallystick.adapters.postgres.statements import Statements
from tests.integration.postgres.sessions import Session

INDEXES = {
    "codes": "referral_codes_pkey",
    "aliases": "referral_codes_aliases",
    "edges": "referral_edges_pkey",
    "entries": "ledger_entries_pkey",
    "conflicts": "code_conflicts_pkey",
}
ARGUMENTS = {
    "codes": "'C5000', 1000",
    "aliases": "'user5000', 'C5000', 1000",
    "edges": "'user5000', 1000",
    "entries": "'user5', 'credits', 500, 1000",
    "conflicts": "'C5000', 'user5', 1000",
}
FILLING = """
INSERT INTO users (user_id, created_at) SELECT 'user' || n, now() FROM generate_series(0, 20000) AS n;
INSERT INTO referral_codes (code, user_id, is_canonical, created_at, demoted_at)
SELECT 'C' || 1000 + n, 'user' || n, n % 5000 > 0, now(), CASE WHEN n % 5000 = 0 THEN now() END
FROM generate_series(0, 20000) AS n;
INSERT INTO referral_edges (invitee_id, inviter_id, arrival_id, created_at)
SELECT 'user' || n, 'user0', gen_random_uuid(), now() FROM generate_series(1, 20000) AS n;
INSERT INTO ledger_accounts (user_id, unit) SELECT 'user' || n, 'credits' FROM generate_series(0, 9) AS n;
INSERT INTO ledger_entries (
    user_id, unit, seq, amount, balance_before, balance_after, event_type, event_key, correlation_id, created_at
)
SELECT 'user' || n % 10, 'credits', 1 + n / 10, 1, 0, 1, 'purchase', n, 'request', now()
FROM generate_series(0, 20000) AS n;
INSERT INTO code_conflicts (code, user_id, kept_by, reason, run, created_at)
SELECT 'C' || 1000 + n / 2, 'user' || n, 'user0', 'duplicate', 1, now() FROM generate_series(1, 20000) AS n;
INSERT INTO rewards (reward_id, owner_id, name, cost, active, created_at)
SELECT 'reward' || n, 'user' || n % 5000, 'name', 1, true, now() FROM generate_series(1, 20000) AS n;
INSERT INTO idempotency_keys (caller, key, fingerprint, status, body, created_at)
SELECT 'user' || n % 5000, 'key' || n, '', 200, '', now() FROM generate_series(1, 20000) AS n;
INSERT INTO reply_totals (caller, replies, bytes) SELECT 'user' || n, 4, 0 FROM generate_series(0, 4999) AS n;
"""


@pytest.fixture
async def filled(superuser: Session) -> Session:
    await superuser.execute("SET session_replication_role = replica; SET search_path = tallystick")
    await superuser.execute(FILLING)
    await superuser.execute("ANALYZE; SET plan_cache_mode = force_generic_plan")
    return superuser


async def plan_of(session: Session, name: str, sql: str, arguments: str) -> str:
    await session.execute(f"PREPARE {name} AS {sql}")
    return "\n".join(
        row[0] for row in await session.fetch(f"EXPLAIN (ANALYZE, COSTS OFF) EXECUTE {name} ({arguments})")
    )


async def test_every_page_reads_its_index_and_sorts_nothing(filled: Session) -> None:
    statements = dict(Statements.load("exports"))
    assert set(statements) == set(INDEXES)

    for name, sql in statements.items():
        plan = await plan_of(filled, name, sql, ARGUMENTS[name])

        assert INDEXES[name] in plan, f"{name}\n{plan}"
        assert "Seq Scan" not in plan, f"{name}\n{plan}"
        assert "Sort" not in plan, f"{name}\n{plan}"


@pytest.mark.parametrize(
    ("capability", "name", "arguments", "index"),
    [
        ("codes", "retire_aliases", "'user0', now(), '', 1000", "referral_codes_aliases"),
        ("rewards", "withdraw", "'user7', 'withdrawn', '', 1000", "rewards_of_owner"),
        ("idempotency", "drop_of", "'user7', '', 1000", "idempotency_keys_pkey"),
        ("erasures", "waiting", "'', 1000", "users_being_erased"),
    ],
)
async def test_a_step_of_an_erasure_reads_a_range_of_an_index(
    filled: Session, capability: str, name: str, arguments: str, index: str
) -> None:
    plan = await plan_of(filled, name, getattr(Statements.load(capability), name), arguments)

    assert index in plan, plan
    assert "Seq Scan" not in plan, plan


async def test_users_who_left_a_moment_ago_are_found_by_an_index(filled: Session) -> None:
    sql = Statements.load("users").deleted_since
    plan = await plan_of(filled, "deleted_since", sql, "now() - interval '1 hour', '', 1000")

    assert "users_by_deletion" in plan
    assert "Seq Scan" not in plan
    assert "Sort" not in plan
