"""Promises are counted by a bounded number of rows for each stored row, and parts by the rows of the part."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pytest

from tallystick.adapters.postgres.statements import Statements
from tallystick.application.invariants import PROMISES
from tests.integration.postgres.sessions import Session

MESSAGES = 5_000
ROWS_READ_FOR_EACH = 20
FILLING = f"""
SET session_replication_role = replica;
SET search_path = tallystick;
INSERT INTO topics (topic_id, kind, head) VALUES ('room', 'channel', {MESSAGES + 1});
INSERT INTO channel_members (channel_id, user_id, role, joined_seq) VALUES ('room', 'ada', 'owner', 1);
INSERT INTO messages (channel_id, seq, message_id, sender_id, client_message_id, body, created_at)
SELECT 'room', n + 1, 'm' || n, 'ada', 'c' || n, 'a text', now() FROM generate_series(1, {MESSAGES}) AS n;
INSERT INTO topic_events (topic_id, seq, event_id, kind, ref, actor_id, created_at)
SELECT channel_id, seq, 'e' || seq, 'message', message_id, sender_id, created_at FROM messages
UNION ALL SELECT 'room', 1, 'e1', 'member_added', 'ada', 'ada', now();
"""


KEYS, KEYS_OF_A_PART, ROWS_READ_FOR_A_KEY = 5_000, 20, 50
ENTRY_COLUMNS = "user_id, unit, seq, amount, balance_before, balance_after, event_type, event_key, correlation_id"
FILLING_ALL = f"""
SET session_replication_role = replica;
SET search_path = tallystick;
CREATE TEMP TABLE keys AS SELECT 'K' || lpad(n::text, 6, '0') AS key, n FROM generate_series(1, {KEYS}) AS n;
INSERT INTO users (user_id, created_at, referrals) SELECT key, now(), 1 FROM keys;
INSERT INTO referral_codes (code, user_id, is_canonical, created_at) SELECT key, key, true, now() FROM keys;
INSERT INTO phone_verifications SELECT key, 'token', now() FROM keys;
INSERT INTO referral_edges (invitee_id, inviter_id, arrival_id, created_at)
SELECT key, 'K' || lpad((n + 1)::text, 6, '0'), gen_random_uuid(), now() FROM keys;
INSERT INTO invites (code, invite_id, owner_id, max_uses, current_uses, created_at)
SELECT key, key, key, 2, 1, now() FROM keys;
INSERT INTO invite_uses (invite_id, user_id, attempt_id, used_at) SELECT key, key, 'a' || n, now() FROM keys;
INSERT INTO ledger_accounts (user_id, unit, balance, version) SELECT key, 'credits', 5, 2 FROM keys;
INSERT INTO ledger_accounts (user_id, unit, balance, version, lifetime) SELECT key, 'points', 5, 1, 5 FROM keys;
INSERT INTO ledger_entries ({ENTRY_COLUMNS}, created_at)
SELECT key, 'credits', 1, 10, 0, 10, 'grant', 'g' || n, '', now() FROM keys
UNION ALL SELECT key, 'credits', 2, -5, 10, 5, 'purchase', key, '', now() FROM keys;
INSERT INTO ledger_entries ({ENTRY_COLUMNS}, created_at, tier_before, tier_after, lifetime_after, tier_progress)
SELECT key, 'points', 1, 5, 0, 5, 'rating_slip', key, '', now(), 'bronze', 'bronze', 5, 0 FROM keys;
INSERT INTO rewards (reward_id, owner_id, name, cost, active, created_at)
SELECT key, 'nobody', 'A word', 5, true, now() FROM keys;
INSERT INTO collected_rewards (user_id, reward_id, cost, balance_before, balance_after, order_id, collected_at)
SELECT key, key, 5, 10, 5, 'o' || n, now() FROM keys;
INSERT INTO rating_slips (slip_id, player_id, game, average_bet, decisions_per_hour, house_edge_bp, points_per_100,
    state, opened_at, closed_at, points, completed_at, correlation_id, account_version)
SELECT key, key, 'g', 1, 1, 1, 1, 'closed', now(), now(), 5, now(), '', 0 FROM keys;
INSERT INTO pending_accruals (player_id, event_type, event_key, points, correlation_id, cause, created_at, tries,
    last_tried_at)
SELECT key, 'referral_signup', 'e' || n, 1, '', '', now(), 1, now() FROM keys;
INSERT INTO topics (topic_id, kind, head) SELECT key, 'channel', 2 FROM keys
UNION ALL SELECT 'overlays', 'overlays', {KEYS};
INSERT INTO channel_members (channel_id, user_id, role, joined_seq) SELECT key, key, 'owner', 1 FROM keys;
INSERT INTO messages (channel_id, seq, message_id, sender_id, client_message_id, body, created_at)
SELECT key, 2, 'm' || n, key, 'c', 'a text', now() FROM keys;
INSERT INTO topic_events (topic_id, seq, event_id, kind, ref, actor_id, created_at)
SELECT key, 1, 'a' || n, 'member_added', key, key, now() FROM keys
UNION ALL SELECT key, 2, 'b' || n, 'message', 'm' || n, key, now() FROM keys;
INSERT INTO topic_events (topic_id, seq, event_id, kind, ref, actor_id, payload, created_at)
SELECT 'overlays', n, 'o' || n, 'overlay_shown', key || '#1', key,
    json_build_object('session_id', key, 'version', 1)::text, now() FROM keys;
INSERT INTO session_overlays (session_id, owner_id, version, payload, expires_at)
SELECT key, key, 1, '1', now() FROM keys;
INSERT INTO stage_rosters (room_id, owner_id, roster_version, contract_version, roles)
SELECT key, key, 1, '0001', '{{"player": 2}}' FROM keys;
INSERT INTO roster_slots (room_id, role, slot, player_id) SELECT key, 'player', 1, key FROM keys;
"""
"""Rows of every table of a promise, one or two for each key, and one long topic of overlays."""


@pytest.mark.parametrize("promise", ["events_have_no_gaps", "messages_are_events", "senders_were_members"])
@pytest.mark.parametrize("is_analyzed", [True, False], ids=["with statistics", "without statistics"])
async def test_a_long_channel_is_not_read_again_for_each_message(
    superuser: Session, promise: str, is_analyzed: bool
) -> None:
    await superuser.execute(FILLING)
    if is_analyzed:
        await superuser.execute("ANALYZE topics, topic_events, messages, channel_members")

    plan = json.loads(
        (
            await superuser.fetch(
                f"EXPLAIN (ANALYZE, FORMAT JSON) {dict(Statements.load('invariants'))[promise]}", "", None
            )
        )[0][0]
    )

    read = rows_of(plan)
    assert read < ROWS_READ_FOR_EACH * MESSAGES, json.dumps(plan, indent=1)


async def test_a_part_reads_the_rows_of_its_keys_alone(superuser: Session) -> None:
    await superuser.execute(FILLING_ALL)
    await superuser.execute("SET plan_cache_mode = force_custom_plan; SET enable_seqscan = off; ANALYZE")

    read = {}
    for name in PROMISES:
        counting = f"EXPLAIN (ANALYZE, FORMAT JSON) {dict(Statements.load('invariants'))[name]}"
        whole = (await superuser.fetch(counting, "", None))[0][0]
        part = (await superuser.fetch(counting, "K002500", f"K00{2500 + KEYS_OF_A_PART}"))[0][0]
        read[name] = rows_of(json.loads(whole)), rows_of(json.loads(part))

    assert {name for name, (whole, _) in read.items() if whole < KEYS} == set(), "their tables are empty"
    too_many = {name: part for name, (_, part) in read.items() if part > ROWS_READ_FOR_A_KEY * KEYS_OF_A_PART}
    assert too_many == {}


def rows_of(plan: Sequence[Mapping[str, Any]]) -> float:
    return sum(rows_read(node) for node in nodes(plan[0]["Plan"]))


def nodes(plan: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield the nodes of a plan."""
    yield plan
    for below in plan.get("Plans", ()):
        yield from nodes(below)


def rows_read(node: Mapping[str, Any]) -> float:
    """Return how many rows a node read or made, in all its loops."""
    removed = (value for name, value in node.items() if name.startswith("Rows Removed"))
    return float(node["Actual Loops"] * (node["Actual Rows"] + sum(removed)))
