"""Codes while a team moves in: each is one look-up by index, in the code book and in what was imported."""

import json
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

import pytest

from tallystick.adapters.postgres.statements import Statements
from tests.integration.postgres.sessions import Session

USERS = 20_000
FILLING = f"""
INSERT INTO users (user_id, created_at) SELECT 'user' || n, now() FROM generate_series(1, {USERS}) AS n;
INSERT INTO backfill_runs (run, plan_hash, state, source_hash, plan, planned_at)
VALUES (1, 'p', 'applied', '', '', now());
INSERT INTO legacy_users (run, position, user_id, phone_verified)
SELECT 1, n, 'user' || n, false FROM generate_series(1, {USERS}) AS n;
INSERT INTO legacy_codes (run, position, code, user_id, is_canonical)
SELECT 1, n, 'CODE' || n, 'user' || n, true FROM generate_series(1, {USERS}) AS n;
INSERT INTO referral_codes (code, user_id, is_canonical, created_at, backfill_run)
SELECT 'CODE' || n, 'user' || n, true, now(), 1 FROM generate_series(1, {USERS}, 2) AS n;
INSERT INTO referral_codes (code, user_id, is_canonical, created_at, demoted_at)
SELECT 'ALIAS' || n, 'user' || n, false, now(), now() FROM generate_series(1, {USERS}, 3) AS n;
INSERT INTO metadata_mirror (user_id, code, mirrored_at)
SELECT 'user' || n, 'CODE' || n, now() FROM generate_series(1, {USERS}, 2) AS n;
"""
KINDS = {
    "canonical": "CODE7",
    "alias": "ALIAS4",
    "imported": "CODE8",
    "of a deleted user": "CODE10",
    "retired": "CODE9",
    "unknown": "NOBODY",
    "no normal form": "",
}
KEYS = "ARRAY['user7', 'user8']"
CODES = "ARRAY['CODE7', 'CODE8']"
ASKED: Mapping[tuple[str, str], tuple[str, set[str]]] = {
    ("codes", "assign"): (f"{CODES}, {KEYS}, now()", {"legacy_codes_one_keeper"}),
    ("codes", "retire"): (f"{KEYS}, now()", {"referral_codes_one_canonical"}),
    ("codes", "retire_aliases"): ("'user7', now(), '', 1000", {"referral_codes_aliases", "referral_codes_pkey"}),
    ("rewards", "withdraw"): ("'user7', 'withdrawn', '', 1000", {"rewards_of_owner"}),
    ("idempotency", "drop_of"): ("'user7', '', 1000", {"idempotency_keys_pkey"}),
    ("erasures", "left_behind"): (f"{KEYS}, ''", {"idempotency_keys_pkey", "rewards_of_owner"}),
    ("legacy_metadata", "resolve"): (CODES, {"legacy_codes_one_keeper", "referral_codes_pkey", "users_pkey"}),
    ("legacy_metadata", "codes_of"): (KEYS, {"legacy_users_once", "legacy_codes_pkey"}),
    ("legacy_metadata", "claims_of"): (KEYS, {"legacy_users_once", "legacy_codes_pkey", "referral_codes_pkey"}),
    ("metadata_mirror", "users"): ("'user7', 50", {"legacy_users_once", "metadata_mirror_pkey"}),
    ("metadata_mirror", "drift"): (KEYS, {"referral_codes_one_canonical", "legacy_users_once"}),
    ("metadata_mirror", "write"): (f"{KEYS}, now()", {"referral_codes_one_canonical"}),
    ("metadata_mirror", "erase"): (KEYS, {"metadata_mirror_pkey"}),
    ("clicks", "keep"): (f"{CODES}, now()", {"referral_codes_pkey", "legacy_codes_one_keeper"}),
}
"""The arguments of each statement, and the indexes that it has to use."""
SMALL = {"backfill_runs"}
"""Tables of a few rows, which may be read whole."""


@pytest.mark.parametrize("is_filled", [True, False], ids=["many users", "none yet"])
async def test_every_look_up_is_one_by_index(superuser: Session, is_filled: bool) -> None:
    await superuser.execute("SET session_replication_role = replica; SET search_path = tallystick")
    if is_filled:
        await superuser.execute(FILLING)
    # As the service's connections have it, with a plan that does not know what is asked.
    await superuser.execute("ANALYZE; SET enable_seqscan = off; SET plan_cache_mode = force_generic_plan")

    for (capability, name), (arguments, indexes) in ASKED.items():
        await superuser.execute(f"PREPARE {name} AS {getattr(Statements.load(capability), name)}")
        plan = [row[0] for row in await superuser.fetch(f"EXPLAIN EXECUTE {name} ({arguments})")]
        text = "\n".join(plan)

        read_whole = {line.split(" on ")[1].split()[0] for line in plan if "Seq Scan on" in line}
        assert read_whole <= SMALL, f"{name}\n{text}"
        found_by_nothing = [
            line
            for line, below in pairwise([*plan, ""])
            if "Index" in line and "Scan" in line and "Index Cond" not in below and not any(t in line for t in SMALL)
        ]
        assert found_by_nothing == [], f"{name}\n{text}"
        assert {index for index in indexes if index not in text} == set(), f"{name}\n{text}"


@pytest.mark.parametrize(
    ("capability", "tables"),
    [
        ("codes", ["referral_codes", "users"]),
        ("legacy_metadata", ["backfill_runs", "legacy_codes", "referral_codes", "users"]),
    ],
)
async def test_a_code_is_looked_up_as_often_whatever_it_stands_for(
    superuser: Session, capability: str, tables: list[str]
) -> None:
    await superuser.execute("SET session_replication_role = replica; SET search_path = tallystick")
    await superuser.execute(FILLING)
    await superuser.execute("UPDATE users SET deleted_at = now() WHERE user_id IN ('user9', 'user10')")
    await superuser.execute("UPDATE referral_codes SET retired_at = now() WHERE code = 'CODE9'")
    await superuser.execute("ANALYZE; SET enable_seqscan = off; SET plan_cache_mode = force_generic_plan")
    await superuser.execute(f"PREPARE resolve AS {Statements.load(capability).resolve}")

    work = {}
    for kind, code in KINDS.items():
        explain = f"EXPLAIN (ANALYZE, TIMING off, COSTS off, FORMAT json) EXECUTE resolve (ARRAY['{code}'])"
        ((plan,),) = await superuser.fetch(explain)
        work[kind] = sorted(look_ups(json.loads(plan)[0]["Plan"]))

    assert [table for table, _ in work["unknown"]] == tables
    assert {kind: done for kind, done in work.items() if done != work["unknown"]} == {}


def look_ups(node: Mapping[str, Any]) -> Iterator[tuple[str, int]]:
    """Return which tables were asked, and how often."""
    if "Relation Name" in node:
        yield node["Relation Name"], node["Actual Loops"]
    for below in node.get("Plans", []):
        yield from look_ups(below)
