"""Every promise, broken behind the service's back, is counted as broken, and as that one."""

from collections.abc import AsyncIterator, Mapping

import asyncpg
import pytest

from tallystick.adapters.postgres.stores.invariants import LEADS, TABLES
from tallystick.application.invariants import PROMISES, CountedPart
from tallystick.application.transactions import StoreUnavailable
from tallystick.domain.topics import TopicId
from tests.integration.postgres.sessions import Session, session, superuser_of, transactions_on

USER = "INSERT INTO users (user_id, created_at, deleted_at, referrals) VALUES"
CODE = "INSERT INTO referral_codes (code, user_id, is_canonical, created_at, demoted_at, retired_at) VALUES"
ACCOUNT = "INSERT INTO ledger_accounts (user_id, unit, balance, version) VALUES"
ENTRY = (
    "INSERT INTO ledger_entries (user_id, unit, seq, amount, balance_before, balance_after, event_type, event_key, "
    "correlation_id, created_at) VALUES"
)
REWARD = "INSERT INTO rewards (reward_id, owner_id, name, cost, active, created_at) VALUES"
COLLECTED = (
    "INSERT INTO collected_rewards (user_id, reward_id, cost, balance_before, balance_after, order_id, collected_at) "
    "VALUES"
)
SLIP = (
    "INSERT INTO rating_slips (slip_id, player_id, game, average_bet, decisions_per_hour, house_edge_bp, "
    "points_per_100, state, opened_at, closed_at, points, completed_at, correlation_id, account_version) VALUES"
)
OPEN = "'a', 'g', 1, 1, 1, 1, 'open', now(), NULL, NULL, NULL, NULL, NULL"
CLOSED = "'a', 'g', 1, 1, 1, 1, 'closed', now(), now(), {points}, now(), '', 0"
WAITING = "'a', 'g', 1, 1, 1, 1, 'accrual_pending', now(), now(), {points}, now(), '', 0"
PENDING = (
    "INSERT INTO pending_accruals (player_id, event_type, event_key, points, correlation_id, cause, created_at, tries, "
    "last_tried_at) VALUES"
)
EARNED = (
    "INSERT INTO ledger_accounts (user_id, unit, balance, version, lifetime) VALUES ('a', 'points', {n}, {n}, {n}); "
    "INSERT INTO ledger_entries (user_id, unit, seq, amount, balance_before, balance_after, event_type, event_key, "
    "correlation_id, created_at, tier_before, tier_after, lifetime_after, tier_progress) "
    "SELECT 'a', 'points', n, 1, n - 1, n, 'rating_slip', 's' || n, '', now(), 'b', 'b', n, 0 "
    "FROM generate_series(1, {n}) AS n"
)
INVITE = "INSERT INTO invites (code, invite_id, owner_id, max_uses, current_uses, created_at) VALUES"
EDGE = "INSERT INTO referral_edges (invitee_id, inviter_id, arrival_id, created_at) VALUES"

BREAKING: Mapping[str, str] = {
    "one_code_each": f"{USER} ('a', now(), NULL, 0); {CODE} ('AAAA', 'a', false, now(), now(), NULL)",
    "living_codes_resolve": f"{USER} ('a', now(), now(), 0), ('b', now(), NULL, 0); "
    f"{CODE} ('AAAA', 'a', true, now(), NULL, NULL), ('BBBB', 'b', true, now(), NULL, now())",
    "verified_users_exist": "INSERT INTO phone_verifications VALUES ('nobody', 'token', now())",
    "one_inviter_no_cycle": f"{USER} ('a', now(), NULL, 1), ('b', now(), NULL, 1); DROP INDEX referral_edges_no_cycle; "
    f"{EDGE} ('a', 'b', gen_random_uuid(), now()), ('b', 'a', gen_random_uuid(), now())",
    "events_have_no_gaps": "INSERT INTO topics (topic_id, kind, head) VALUES ('gap', 'channel', 2), "
    "('ahead', 'channel', 0); INSERT INTO topic_events (topic_id, seq, event_id, kind, ref, actor_id, created_at) "
    "VALUES ('gap', 2, 'e', 'member_added', 'a', 'a', now()), ('ahead', 1, 'e', 'member_added', 'a', 'a', now()); "
    # Trimmed further than it says; not as far as it says.
    "INSERT INTO topics (topic_id, kind, head, trimmed, trimmed_tag) "
    "VALUES ('short', 'channel', 3, 1, 't'), ('long', 'channel', 3, 2, 't'), ('empty', 'channel', 3, 3, 't'); "
    "INSERT INTO topic_events (topic_id, seq, event_id, kind, ref, actor_id, created_at) "
    "VALUES ('short', 3, 'e', 'member_added', 'a', 'a', now()), ('long', 2, 'e', 'member_added', 'a', 'a', now()), "
    "('long', 3, 'f', 'member_added', 'a', 'a', now())",
    "messages_are_events": "INSERT INTO topics (topic_id, kind, head) VALUES ('room', 'channel', 2); "
    "INSERT INTO topic_events (topic_id, seq, event_id, kind, ref, actor_id, created_at) "
    "VALUES ('room', 1, 'e', 'member_added', 'a', 'a', now()), ('room', 2, 'f', 'message', 'm2', 'a', now()); "
    "INSERT INTO messages (channel_id, seq, message_id, sender_id, client_message_id, body, created_at, deleted_at) "
    "VALUES ('room', 3, 'm3', 'a', 'm3', 'x', now(), NULL); "
    # In a trimmed log: without an event above its start, deleted later than its first event; and three that are right.
    "INSERT INTO topics (topic_id, kind, head, trimmed, trimmed_tag) VALUES ('trimmed', 'channel', 5, 4, 't'); "
    "INSERT INTO channel_members VALUES ('trimmed', 'a', 'member', 1, NULL, 0); "
    "INSERT INTO topic_events (topic_id, seq, event_id, kind, ref, actor_id, created_at) "
    "VALUES ('trimmed', 5, 'e', 'message_deleted', 'gone', 'a', now()); "
    "INSERT INTO messages (channel_id, seq, message_id, sender_id, client_message_id, body, created_at, deleted_at) "
    "VALUES ('trimmed', 2, 't2', 'a', 't2', 'x', now(), NULL), "
    "('trimmed', 3, 't3', 'a', 't3', NULL, now() - interval '2 s', now() - interval '1 s'), "
    "('trimmed', 4, 't4', 'a', 't4', NULL, now(), now() + interval '1 s'), "
    "('trimmed', 6, 't6', 'a', 't6', 'x', now(), NULL)",
    "senders_were_members": "INSERT INTO topics (topic_id, kind, head) VALUES ('room', 'channel', 4); "
    "INSERT INTO topic_events (topic_id, seq, event_id, kind, ref, actor_id, created_at) "
    "VALUES ('room', 1, 'e', 'member_added', 'a', 'a', now()), ('room', 2, 'f', 'member_removed', 'a', 'a', now()), "
    "('room', 3, 'g', 'message', 'm3', 'a', now()), ('room', 4, 'h', 'message', 'm4', 'b', now()); "
    "INSERT INTO messages (channel_id, seq, message_id, sender_id, client_message_id, body, created_at) "
    "VALUES ('room', 3, 'm3', 'a', 'm3', 'x', now()), ('room', 4, 'm4', 'b', 'm4', 'x', now()); "
    # In a trimmed log: never a member, removed before; and two who were members.
    "INSERT INTO topics (topic_id, kind, head, trimmed, trimmed_tag) VALUES ('trimmed', 'channel', 9, 9, 't'); "
    "INSERT INTO channel_members VALUES ('trimmed', 'a', 'member', 1, 3, 0), ('trimmed', 'b', 'member', 8, NULL, 0), "
    "('trimmed', 'c', 'member', 2, NULL, 0); "
    "INSERT INTO messages (channel_id, seq, message_id, sender_id, client_message_id, body, created_at) "
    "VALUES ('trimmed', 4, 't4', 'nobody', 't4', 'x', now()), ('trimmed', 5, 't5', 'a', 't5', 'x', now()), "
    "('trimmed', 6, 't6', 'b', 't6', 'x', now()), ('trimmed', 7, 't7', 'c', 't7', 'x', now())",
    "rosters_keep_their_rules": "INSERT INTO stage_rosters "
    "(room_id, owner_id, roster_version, contract_version, roles) SELECT room_id, 'a', 1, '0001', '{\"player\": 2}' "
    "FROM unnest(ARRAY['role', 'number', 'player', 'slot']) AS room_id; "
    "ALTER TABLE roster_slots DROP CONSTRAINT roster_slots_pkey, DROP CONSTRAINT roster_slots_player_once; "
    "INSERT INTO roster_slots (room_id, role, slot, player_id) VALUES ('role', 'captain', 1, 'a'), "
    "('number', 'player', 3, 'a'), ('player', 'player', 1, 'a'), ('player', 'player', 2, 'a'), "
    "('slot', 'player', 1, 'a'), ('slot', 'player', 1, 'b')",
    # Ended twice; ended, and still shown; gone without an end; begun, and not stored.
    "overlays_end_once": "DROP INDEX topic_events_end_once; "
    "INSERT INTO topics (topic_id, kind, head) VALUES ('overlays', 'overlays', 7); "
    "INSERT INTO topic_events (topic_id, seq, event_id, kind, ref, actor_id, payload, created_at) VALUES "
    "('overlays', 1, 'a', 'overlay_shown', 'twice#1', 'a', '{\"session_id\": \"twice\", \"version\": 1}', now()), "
    "('overlays', 2, 'b', 'overlay_expired', 'twice#1', 'a', '{}', now()), "
    "('overlays', 3, 'c', 'overlay_removed', 'twice#1', 'a', '{}', now()), "
    "('overlays', 4, 'd', 'overlay_shown', 'early#1', 'a', '{\"session_id\": \"early\", \"version\": 1}', now()), "
    "('overlays', 5, 'e', 'overlay_expired', 'early#1', 'a', '{}', now()), "
    "('overlays', 6, 'f', 'overlay_shown', 'never#1', 'a', '{\"session_id\": \"never\", \"version\": 1}', now()), "
    "('overlays', 7, 'g', 'overlay_shown', 'lost#1', 'a', '{\"session_id\": \"lost\", \"version\": 1}', now()); "
    "INSERT INTO session_overlays (session_id, owner_id, version, payload, expires_at) VALUES "
    "('twice', 'a', 1, NULL, NULL), ('early', 'a', 1, '1', now()), ('never', 'a', 1, NULL, NULL)",
    "seats_are_uses": f"{INVITE} ('FIRST', 'first', 'a', 2, 1, now())",
    "balances_are_entries": f"{ACCOUNT} ('a', 'credits', 7, 0), ('b', 'credits', 3, 2), ('c', 'credits', 5, 2); "
    # The sum is right, and a link of the chain is not; the last entry is not the balance.
    f"{ENTRY} ('b', 'credits', 1, 1, 0, 1, 'grant', 'k1', '', now()), ('b', 'credits', 2, 2, 2, 4, 'grant', 'k2', '', "
    "now()), ('c', 'credits', 2, 5, 0, 5, 'grant', 'k3', '', now())",
    "lifetime_is_earned": "INSERT INTO ledger_accounts (user_id, unit, balance, version, lifetime) "
    "VALUES ('a', 'points', 0, 0, 7), ('b', 'points', 5, 1, 5); INSERT INTO ledger_entries (user_id, unit, seq, "
    "amount, balance_before, balance_after, event_type, event_key, correlation_id, created_at, tier_before, "
    "tier_after, lifetime_after, tier_progress) "
    "VALUES ('b', 'points', 1, 5, 0, 5, 'promotion', 'k', '', now(), 'bronze', 'bronze', 6, 0)",
    "events_count_once": "ALTER TABLE ledger_entries DROP CONSTRAINT ledger_entries_event_key; "
    f"DROP INDEX ledger_entries_grant_key; {ACCOUNT} ('a', 'credits', 2, 2); "
    f"{ENTRY} ('a', 'credits', 1, 1, 0, 1, 'grant', 'k', '', now()), "
    "('a', 'credits', 2, 1, 1, 2, 'grant', 'k', '', now())",
    # Credited while open; not credited, or less, or without points; neither credited nor waiting, or for less; both;
    # waiting for no slip.
    "slips_accrue_once": f"{EARNED.format(n=3)}; {SLIP} ('s1', {OPEN}), ('x', {CLOSED.format(points=5)}), "
    f"('s2', {CLOSED.format(points=5)}), ('s3', {CLOSED.format(points=0)}), ('y', {WAITING.format(points=5)}), "
    f"('z', {WAITING.format(points=5)}), ('o', {OPEN}), ('c', {CLOSED.format(points=0)}), "
    f"('w', {WAITING.format(points=5)}); "
    f"{PENDING} ('a', 'rating_slip', 'z', 4, '', '', now(), 1, now()), "
    "('a', 'rating_slip', 'w', 5, '', '', now(), 1, now()), ('a', 'rating_slip', 'c', 1, '', '', now(), 1, now()), "
    "('a', 'rating_slip', 'none', 1, '', '', now(), 1, now())",
    "waiting_is_not_credited": f"{EARNED.format(n=1)}; UPDATE ledger_entries SET event_type = 'referral_signup'; "
    f"{PENDING} ('a', 'referral_signup', 's1', 1, '', '', now(), 1, now())",
    "collected_once_and_paid": f"{ACCOUNT} ('a', 'credits', 0, 2), ('c', 'credits', 5, 2); "
    f"{ENTRY} ('a', 'credits', 1, 5, 0, 5, 'grant', 'k', '', now()), "
    "('a', 'credits', 2, -5, 5, 0, 'purchase', 'r1', '', now()), "
    "('c', 'credits', 1, 10, 0, 10, 'grant', 'l', '', now()), "
    "('c', 'credits', 2, -5, 10, 5, 'purchase', 'r3', '', now()); "
    # Paid for and not collected; collected and not paid for; one's own.
    f"{COLLECTED} ('b', 'r2', 5, 5, 0, 'o', now()), ('c', 'r3', 5, 10, 5, 'o', now()); "
    f"{REWARD} ('r3', 'c', 'A word', 5, true, now())",
    "referrals_are_edges": f"{USER} ('a', now(), NULL, 1)",
}
"""Statements of a superuser, past every constraint, that break each promise and no other."""
COUNTED: Mapping[str, int] = {
    "events_have_no_gaps": 4,
    "messages_are_events": 4,
    "senders_were_members": 4,
    "rosters_keep_their_rules": 4,
    "overlays_end_once": 4,
    "living_codes_resolve": 2,
    "one_inviter_no_cycle": 2,
    "balances_are_entries": 3,
    "lifetime_is_earned": 2,
    "slips_accrue_once": 8,
    "collected_once_and_paid": 3,
}


KEYS: Mapping[str, list[str]] = {
    "one_code_each": ["a"],
    "living_codes_resolve": ["a", "b"],
    "verified_users_exist": ["nobody"],
    "one_inviter_no_cycle": ["a", "b"],
    "events_have_no_gaps": ["ahead", "gap", "long", "short"],
    "messages_are_events": ["room m2", "room m3", "trimmed t4", "trimmed t6"],
    "senders_were_members": ["room 3", "room 4", "trimmed 4", "trimmed 5"],
    "rosters_keep_their_rules": ["number", "player", "role", "slot"],
    "overlays_end_once": ["early#1", "lost#1", "never#1", "twice#1"],
    "seats_are_uses": ["first"],
    "balances_are_entries": ["a credits", "b credits", "c credits"],
    "lifetime_is_earned": ["a points", "b points"],
    "events_count_once": ["a credits grant k"],
    "slips_accrue_once": ["c", "none", "s1", "s2", "s3", "x", "y", "z"],
    "waiting_is_not_credited": ["a referral_signup s1"],
    "collected_once_and_paid": ["a r1", "b r2", "c r3"],
    "referrals_are_edges": ["a"],
}
"""The rows that break each promise, as they are named."""


@pytest.fixture
async def spoiler(server: tuple[str, str], migrated_dsn: str) -> AsyncIterator[Session]:
    """Return a superuser to whom foreign keys do not apply."""
    async with session(superuser_of(server, migrated_dsn)) as superuser:
        await superuser.execute("SET session_replication_role = replica; SET search_path = tallystick")
        yield superuser


async def violations(dsn: str) -> dict[str, int]:
    async with transactions_on(dsn) as transactions, transactions.reading() as stores:
        return {counted.name: counted.violations for counted in await stores.invariants.count()}


async def test_an_empty_database_breaks_none(migrated_dsn: str) -> None:
    assert await violations(migrated_dsn) == dict.fromkeys(PROMISES, 0)


@pytest.mark.parametrize("name", PROMISES)
async def test_a_broken_promise_is_counted_and_no_other(name: str, migrated_dsn: str, spoiler: Session) -> None:
    await spoiler.execute(BREAKING[name])

    assert await violations(migrated_dsn) == dict.fromkeys(PROMISES, 0) | {name: COUNTED.get(name, 1)}


@pytest.mark.parametrize("name", PROMISES)
async def test_the_rows_that_break_a_promise_are_named(name: str, migrated_dsn: str, spoiler: Session) -> None:
    await spoiler.execute(BREAKING[name])

    async with transactions_on(migrated_dsn) as transactions, transactions.snapshot() as stores:
        assert await stores.invariants.broken_rows(name, limit=20) == KEYS[name]
        assert await stores.invariants.broken_rows(name, limit=1) == KEYS[name][:1]


async def parts(dsn: str, name: str, *, rows: int) -> AsyncIterator[CountedPart]:
    """Yield the parts of a promise, each counted in a snapshot of its own."""
    after: str | None = ""
    async with transactions_on(dsn) as transactions:
        while after is not None:
            async with transactions.snapshot() as stores:
                part = await stores.invariants.part(name, after=after, rows=rows, seconds=10.0)
            assert part.up_to is None or part.up_to > after
            yield part
            after = part.up_to


@pytest.mark.parametrize("name", PROMISES)
async def test_the_parts_of_a_promise_have_all_rows_that_break_it_and_each_once(
    name: str, migrated_dsn: str, spoiler: Session
) -> None:
    await spoiler.execute(BREAKING[name])

    for other in PROMISES:
        counted = [part.violations async for part in parts(migrated_dsn, other, rows=1)]
        assert sum(each or 0 for each in counted) == (COUNTED.get(name, 1) if other == name else 0), other


async def test_a_part_ends_with_a_key_and_has_all_its_rows(migrated_dsn: str, spoiler: Session) -> None:
    await spoiler.execute(
        f"{ACCOUNT} ('a', 'credits', 9, 1), ('b', 'credits', 6, 3), ('c', 'credits', 1, 1); "
        f"{ENTRY} ('a', 'credits', 1, 1, 0, 1, 'grant', 'k0', '', now()), "
        "('b', 'credits', 1, 1, 0, 1, 'grant', 'k1', '', now()), "
        "('b', 'credits', 2, 2, 1, 3, 'grant', 'k2', '', now()), "
        "('b', 'credits', 3, 3, 3, 6, 'grant', 'k3', '', now()), "
        "('c', 'credits', 1, 2, 0, 2, 'grant', 'k4', '', now())"
    )

    found = [(part.up_to, part.violations) async for part in parts(migrated_dsn, "balances_are_entries", rows=2)]

    assert found == [("b", 1), (None, 1)]


def test_every_promise_is_counted_in_parts_by_columns_of_its_tables() -> None:
    assert {name: {table for table, _ in leads} - TABLES[name] for name, leads in LEADS.items()} == {
        name: {"topics"} if name == "overlays_end_once" else set[str]() for name in PROMISES
    }


async def states(dsn: str) -> dict[str, str]:
    async with transactions_on(dsn) as transactions, transactions.snapshot() as stores:
        return {each.name: each.state for each in await stores.invariants.count()}


async def test_nothing_is_said_of_tables_without_rows_or_with_hidden_ones(migrated_dsn: str, spoiler: Session) -> None:
    assert await states(migrated_dsn) == dict.fromkeys(PROMISES, "empty")

    await spoiler.execute(f"{USER} ('a', now(), NULL, 0); {ACCOUNT} ('a', 'credits', 0, 0)")
    await spoiler.execute("CREATE POLICY ours ON ledger_accounts AS RESTRICTIVE USING (user_id = 'b')")
    await spoiler.execute("ALTER POLICY referral_edges_service ON referral_edges USING (inviter_id = 'b')")
    found = await states(migrated_dsn)

    assert {name for name, state in found.items() if state == "holds"} == {
        *("one_code_each", "living_codes_resolve", "verified_users_exist"),
    }
    assert {name for name, state in found.items() if state == "hidden"} == {
        *("balances_are_entries", "lifetime_is_earned", "one_inviter_no_cycle", "referrals_are_edges"),
    }


async def test_a_part_that_takes_too_long_is_not_counted_and_ends_where_it_would(
    migrated_dsn: str, spoiler: Session
) -> None:
    await spoiler.execute(f"{USER} ('a', now(), NULL, 1)")
    await spoiler.execute(f"{REWARD} ('r1', 'z', 'A word', 5, true, now())")
    await spoiler.execute(f"{COLLECTED} ('a', 'r1', 5, 5, 0, 'o', now()), ('b', 'r1', 5, 5, 0, 'p', now())")
    # A view in place of the table: slow after its first row.
    await spoiler.execute(
        "ALTER TABLE rewards RENAME TO rewards_behind; CREATE VIEW rewards AS SELECT * FROM rewards_behind "
        "UNION ALL SELECT held.* FROM rewards_behind AS held, pg_sleep(60); "
        "GRANT SELECT ON rewards, rewards_behind TO tallystick_app"
    )

    async with transactions_on(migrated_dsn) as transactions, transactions.snapshot() as stores:
        slow = await stores.invariants.part("collected_once_and_paid", after="", rows=1, seconds=0.2)
        other = await stores.invariants.part("referrals_are_edges", after="", rows=1, seconds=10.0)

    assert (slow.up_to, slow.violations) == ("a", None)
    assert (other.up_to, other.violations) == ("a", 1)


async def test_a_snapshot_sees_one_moment_and_refuses_writes(migrated_dsn: str, spoiler: Session) -> None:
    async with transactions_on(migrated_dsn) as transactions:
        async with transactions.snapshot() as stores:
            before = await stores.invariants.count()
            await spoiler.execute(f"{USER} ('a', now(), NULL, 1)")
            assert await stores.invariants.count() == before
        with pytest.raises(StoreUnavailable, match="25006"):
            async with transactions.snapshot() as stores:
                await stores.topics.add(TopicId("t"), "channel")


async def test_the_service_itself_could_break_none_of_them_this_way(migrated_dsn: str) -> None:
    async with session(migrated_dsn) as owner:
        await owner.execute("SET ROLE tallystick_app; SET search_path = tallystick")
        for name, statement in BREAKING.items():
            if name in {
                *("verified_users_exist", "one_inviter_no_cycle", "events_count_once", "collected_once_and_paid"),
                *("slips_accrue_once", "waiting_is_not_credited"),
            }:
                with pytest.raises(asyncpg.PostgresError):
                    await owner.execute(statement)
