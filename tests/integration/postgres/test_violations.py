"""Every constraint, broken for real: another try where a race can break it, a bug where nothing should."""

from collections.abc import Mapping

import asyncpg
import pytest

from tallystick.adapters.postgres.database import Database
from tallystick.adapters.postgres.transactions import PostgresTransactions
from tallystick.adapters.postgres.violations import RACES
from tallystick.application.transactions import WriteConflict
from tests.integration.postgres.sessions import connection_of, session

PEOPLE = "INSERT INTO users (user_id, created_at) VALUES ('ada', now()), ('bob', now()), ('cid', now())"
VERIFICATION = "INSERT INTO phone_verifications (user_id, source, verified_at) VALUES"
CODE = "INSERT INTO referral_codes (code, user_id, is_canonical, created_at, demoted_at) VALUES"
EDGE = "INSERT INTO referral_edges (invitee_id, inviter_id, code, arrival_id, created_at) VALUES"
DELIVERY = "INSERT INTO webhook_deliveries (delivery_id, kind, received_at) VALUES"
REPLY = "INSERT INTO idempotency_keys (caller, key, fingerprint, status, body, created_at) VALUES"
FINGERPRINT_KEY = "INSERT INTO fingerprint_keys (purpose, key) VALUES"
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
OF_SOMEBODY = COLLECTED.replace("collected_at)", "collected_at, owner_id)")
INVITE = "INSERT INTO invites (code, invite_id, owner_id, max_uses, current_uses, created_at) VALUES"
USE = "INSERT INTO invite_uses (invite_id, user_id, attempt_id, used_at) VALUES"
CREDENTIALS = "INSERT INTO credentials (user_id, password_hash, created_at) VALUES"
SESSION = "INSERT INTO sessions (user_id, session_id, created_at, expires_at) VALUES"
FLAG = "INSERT INTO flags (name, enabled, updated_at, updated_by) VALUES"
SLIP = (
    "INSERT INTO rating_slips (slip_id, player_id, game, average_bet, decisions_per_hour, house_edge_bp, "
    "points_per_100, state, opened_at, closed_at, points, completed_at, correlation_id, account_version) VALUES"
)
PENDING = (
    "INSERT INTO pending_accruals (player_id, event_type, event_key, points, correlation_id, cause, created_at, tries, "
    "last_tried_at) VALUES"
)
RUN = "INSERT INTO backfill_runs (run, plan_hash, state, source_hash, plan, planned_at) VALUES"
CHUNK = "INSERT INTO backfill_chunks (run, phase, chunk, tally, done_at) VALUES"
MALFORMED = "INSERT INTO backfill_malformed (run, line, reason) VALUES"
LEGACY_USER = "INSERT INTO legacy_users (run, position, user_id, phone_verified, points) VALUES"
LEGACY_CODE = "INSERT INTO legacy_codes (run, position, code, user_id, is_canonical) VALUES"
CONFLICT = "INSERT INTO code_conflicts (code, user_id, kept_by, reason, run, created_at) VALUES"
ATTEMPT = "INSERT INTO attribution_attempts (user_id, code_digest, reason, attempted_at) VALUES"
MIRROR = "INSERT INTO metadata_mirror (user_id, code, mirrored_at) VALUES"
TOPIC = "INSERT INTO topics (topic_id, kind) VALUES"
EVENT = "INSERT INTO topic_events (topic_id, seq, event_id, kind, ref, actor_id, created_at) VALUES"
CHANNEL = "INSERT INTO channels (channel_id, owner_id, name, created_at) VALUES"
MEMBER = "INSERT INTO channel_members (channel_id, user_id, role, joined_seq, left_seq, read_seq) VALUES"
MESSAGE = (
    "INSERT INTO messages (channel_id, seq, message_id, sender_id, client_message_id, body, created_at, deleted_at) "
    "VALUES"
)
ROSTER = "INSERT INTO stage_rosters (room_id, owner_id, roster_version, contract_version, roles) VALUES"
OVERLAY = "INSERT INTO session_overlays (session_id, owner_id, version, payload, expires_at) VALUES"
SLOT = "INSERT INTO roster_slots (room_id, role, slot, player_id) VALUES"
WALLETS = (
    f"{ACCOUNT} ('ada', 'credits', 5, 0), ('bob', 'credits', 5, 0); "
    f"{REWARD} ('reward', 'cid', 'A word', 5, true, now()); "
    f"{INVITE} ('FIRST', 'first', 'cid', 5, 0, now()); "
    f"{SLIP} ('slip', 'ada', 'whist', 5, 1, 1, 1, 'open', now(), NULL, NULL, NULL, NULL, NULL); "
    f"{RUN} (1, 'plan', 'planned', 'source', '', now()); "
    f"{TOPIC} ('room', 'channel'), ('other', 'channel'); {CHANNEL} ('room', 'ada', 'A room', now()); "
    f"{ROSTER} ('stage', 'ada', 1, '0001', '{{}}')"
)


BREAKING: Mapping[str, str] = {
    "users_email_key": "UPDATE users SET email = user_id, email_key = 'a@example.org'",
    "users_username_once": "UPDATE users SET username = user_id, username_key = 'ada'",
    "referral_edges_pkey": f"{EDGE} ('ada', 'bob', NULL, gen_random_uuid(), now()), "
    "('ada', 'cid', NULL, gen_random_uuid(), now())",
    "referral_edges_no_cycle": f"{EDGE} ('ada', 'bob', NULL, gen_random_uuid(), now()), "
    "('bob', 'ada', NULL, gen_random_uuid(), now())",
    "referral_edges_never_self": f"{EDGE} ('ada', 'ada', NULL, gen_random_uuid(), now())",
    "idempotency_keys_pkey": f"{REPLY} ('ada', 'k', '', 200, '', now()), ('ada', 'k', '', 404, '', now())",
    "users_pkey": PEOPLE,
    "users_user_id_form": "INSERT INTO users (user_id, created_at) VALUES ('a b', now())",
    "users_key_has_username": "UPDATE users SET username_key = 'ada'",
    "users_email_has_key": "UPDATE users SET email = 'a@example.org'",
    "users_referrals_not_negative": "UPDATE users SET referrals = -1",
    "users_deleted_are_nobody": "UPDATE users SET deleted_at = now(), phone = '1'",
    "users_erased_are_deleted": "UPDATE users SET erasing_since = now()",
    "phone_verifications_pkey": f"{VERIFICATION} ('ada', 'token', now()), ('ada', 'webhook', now())",
    "phone_verifications_user_fkey": f"{VERIFICATION} ('nobody', 'token', now())",
    "phone_verifications_source_known": f"{VERIFICATION} ('ada', 'hearsay', now())",
    "referral_codes_pkey": f"{CODE} ('CODE', 'ada', true, now(), NULL), ('CODE', 'bob', true, now(), NULL)",
    "referral_codes_user_fkey": f"{CODE} ('CODE', 'nobody', true, now(), NULL)",
    "referral_codes_normal_form": f"{CODE} ('code', 'ada', true, now(), NULL)",
    "referral_codes_alias_was_demoted": f"{CODE} ('CODE', 'ada', false, now(), NULL)",
    "referral_codes_one_canonical": f"{CODE} ('CODE1', 'ada', true, now(), NULL), ('CODE2', 'ada', true, now(), NULL)",
    "referral_edges_invitee_fkey": f"{EDGE} ('nobody', 'ada', NULL, gen_random_uuid(), now())",
    "referral_edges_inviter_fkey": f"{EDGE} ('ada', 'nobody', NULL, gen_random_uuid(), now())",
    "referral_edges_code_fkey": f"{EDGE} ('ada', 'bob', 'LOST', gen_random_uuid(), now())",
    "attribution_attempts_pkey": f"{ATTEMPT} ('ada', 'digest', 'self', now()), ('ada', 'digest', 'self', now())",
    "attribution_attempts_user_fkey": f"{ATTEMPT} ('nobody', 'digest', 'self', now())",
    "attribution_attempts_reason_known": f"{ATTEMPT} ('ada', 'digest', 'no_code', now())",
    "webhook_deliveries_pkey": f"{DELIVERY} ('msg', 'created', now()), ('msg', 'deleted', now())",
    "webhook_deliveries_kind_known": f"{DELIVERY} ('msg', 'renamed', now())",
    "fingerprint_keys_pkey": f"{FINGERPRINT_KEY} ('a', decode(repeat('00', 32), 'hex')), "
    "('a', decode(repeat('00', 32), 'hex'))",
    "fingerprint_keys_length": f"{FINGERPRINT_KEY} ('a', '')",
    "idempotency_keys_key_form": f"{REPLY} ('ada', 'a b', '', 200, '', now())",
    "idempotency_keys_body_bounded": f"{REPLY} ('ada', 'k', '', 200, decode(repeat('00', 1048577), 'hex'), now())",
    "reply_totals_pkey": "INSERT INTO reply_totals VALUES ('ada', 1, 1), ('ada', 1, 1)",
    "reply_totals_not_negative": "INSERT INTO reply_totals VALUES ('ada', 1, -1)",
    "idempotency_keys_status_final": f"{REPLY} ('ada', 'k', '', 503, '', now())",
    "ledger_accounts_pkey": f"{ACCOUNT} ('ada', 'credits', 0, 0)",
    "ledger_accounts_unit_known": f"{ACCOUNT} ('ada', 'shells', 0, 0)",
    "ledger_accounts_never_negative": "UPDATE ledger_accounts SET balance = balance - 6",
    "ledger_accounts_version_counts": "UPDATE ledger_accounts SET version = -1",
    "ledger_accounts_lifetime_of_points": "UPDATE ledger_accounts SET lifetime = 5",
    "ledger_entries_points_have_tiers": f"{ACCOUNT} ('ada', 'points', 0, 0); "
    f"{ENTRY} ('ada', 'points', 1, 5, 0, 5, 'promotion', 'a', '', now())",
    "ledger_entries_pkey": f"{ENTRY} ('ada', 'credits', 1, 5, 0, 5, 'grant', 'a', '', now()), "
    "('ada', 'credits', 1, 5, 5, 10, 'grant', 'b', '', now())",
    "ledger_entries_event_key": f"{ENTRY} ('ada', 'credits', 1, 5, 0, 5, 'purchase', 'a', '', now()), "
    "('ada', 'credits', 2, 5, 5, 10, 'purchase', 'a', '', now())",
    "ledger_entries_grant_key": f"{ENTRY} ('ada', 'credits', 1, 5, 0, 5, 'grant', 'a', '', now()), "
    "('bob', 'credits', 1, 5, 0, 5, 'grant', 'a', '', now())",
    "ledger_entries_account_fkey": f"{ENTRY} ('cid', 'credits', 1, 5, 0, 5, 'grant', 'a', '', now())",
    "ledger_entries_seq_counts": f"{ENTRY} ('ada', 'credits', 0, 5, 0, 5, 'grant', 'a', '', now())",
    "ledger_entries_add_up": f"{ENTRY} ('ada', 'credits', 1, 5, 0, 6, 'grant', 'a', '', now())",
    "ledger_entries_never_negative": f"{ENTRY} ('ada', 'credits', 1, -5, 0, -5, 'purchase', 'a', '', now())",
    "rating_slips_pkey": f"{SLIP} ('slip', 'ada', 'whist', 5, 1, 1, 1, 'open', now(), NULL, NULL, NULL, NULL, NULL)",
    "rating_slips_player_fkey": f"{SLIP} ('2', 'nobody', 'w', 5, 1, 1, 1, 'open', now(), NULL, NULL, NULL, NULL, NULL)",
    "rating_slips_state_known": f"{SLIP} ('2', 'ada', 'w', 5, 1, 1, 1, 'void', now(), now(), 0, now(), '', 0)",
    "rating_slips_bet_positive": "UPDATE rating_slips SET average_bet = 0",
    "rating_slips_game_positive": f"{SLIP} ('2', 'ada', 'w', 5, 1, 0, 1, 'open', now(), NULL, NULL, NULL, NULL, NULL)",
    "rating_slips_times_ordered": "UPDATE rating_slips SET state = 'closed', closed_at = opened_at - interval '1 s', "
    "points = 0, completed_at = now(), correlation_id = '', account_version = 0",
    "rating_slips_points_bounded": "UPDATE rating_slips SET state = 'accrual_pending', closed_at = opened_at, "
    "points = 0, completed_at = now(), correlation_id = '', account_version = 0",
    "rating_slips_closed_as_a_whole": "UPDATE rating_slips SET state = 'closed', points = 0",
    "pending_accruals_pkey": f"{PENDING} ('ada', 'a', 'b', 1, '', '', now(), 1, now()), "
    "('ada', 'a', 'b', 2, '', '', now(), 1, now())",
    "pending_accruals_player_fkey": f"{PENDING} ('nobody', 'a', 'b', 1, '', '', now(), 1, now())",
    "pending_accruals_points_positive": f"{PENDING} ('ada', 'a', 'b', 0, '', '', now(), 1, now())",
    "pending_accruals_tries_count": f"{PENDING} ('ada', 'a', 'b', 1, '', '', now(), -1, now())",
    "rewards_pkey": f"{REWARD} ('reward', 'bob', 'Another word', 6, true, now())",
    "rewards_cost_positive": f"{REWARD} ('gift', 'bob', 'A gift', 0, true, now())",
    "collected_rewards_pkey": f"{COLLECTED} ('ada', 'reward', 5, 5, 0, 'a', now()), "
    "('ada', 'reward', 5, 5, 0, 'b', now())",
    "collected_rewards_not_own": f"{OF_SOMEBODY} ('cid', 'reward', 5, 5, 0, 'a', now(), 'cid')",
    "collected_rewards_reward_fkey": f"{COLLECTED} ('ada', 'nothing', 5, 5, 0, 'a', now())",
    "collected_rewards_add_up": f"{COLLECTED} ('ada', 'reward', 5, 5, 1, 'a', now())",
    "invites_pkey": f"{INVITE} ('FIRST', 'second', 'cid', 5, 0, now())",
    "invites_invite_id_key": f"{INVITE} ('SECOND', 'first', 'cid', 5, 0, now())",
    "invites_normal_form": f"{INVITE} ('second', 'second', 'cid', 5, 0, now())",
    "invites_capacity": f"{INVITE} ('SECOND', 'second', 'cid', 0, 0, now())",
    "invites_never_oversold": "UPDATE invites SET current_uses = max_uses + 1",
    "invite_uses_pkey": f"{USE} ('first', 'ada', 'a', now()), ('first', 'ada', 'b', now())",
    "invite_uses_invite_fkey": f"{USE} ('second', 'ada', 'a', now())",
    "topics_pkey": f"{TOPIC} ('room', 'channel')",
    "topics_kind_known": f"{TOPIC} ('third', 'mood')",
    "topics_head_counts": "UPDATE topics SET head = -1",
    "topics_trimmed_within": "UPDATE topics SET trimmed = head + 1, trimmed_tag = '01234567'",
    "topics_trimmed_tagged": "UPDATE topics SET head = 1, trimmed = 1",
    "topic_events_pkey": f"{EVENT} ('room', 1, 'e', 'message', 'a', 'ada', now()), "
    "('room', 1, 'f', 'message', 'b', 'ada', now())",
    "topic_events_kind_known": f"{EVENT} ('room', 1, 'e', 'mood', 'a', 'ada', now())",
    "topic_events_seq_counts": f"{EVENT} ('room', 0, 'e', 'message', 'a', 'ada', now())",
    "topic_events_once": f"{EVENT} ('room', 1, 'e', 'message', 'a', 'ada', now()), "
    "('room', 2, 'f', 'message', 'a', 'ada', now())",
    "channels_pkey": f"{CHANNEL} ('room', 'bob', 'Another room', now())",
    "channels_topic_fkey": f"{CHANNEL} ('nothing', 'bob', 'Another room', now())",
    "channel_members_pkey": f"{MEMBER} ('room', 'ada', 'owner', 1, NULL, 0), ('room', 'ada', 'member', 2, NULL, 0)",
    "channel_members_channel_fkey": f"{MEMBER} ('nothing', 'ada', 'owner', 1, NULL, 0)",
    "channel_members_role_known": f"{MEMBER} ('room', 'ada', 'guest', 1, NULL, 0)",
    "channel_members_left_later": f"{MEMBER} ('room', 'ada', 'owner', 1, 1, 0)",
    "channel_members_read_counts": f"{MEMBER} ('room', 'ada', 'owner', 1, NULL, -1)",
    "messages_pkey": f"{MESSAGE} ('room', 1, 'a', 'ada', 'a', 'x', now(), NULL), "
    "('room', 1, 'b', 'ada', 'b', 'x', now(), NULL)",
    "messages_message_id_key": f"{MESSAGE} ('room', 1, 'a', 'ada', 'a', 'x', now(), NULL), "
    "('room', 2, 'a', 'ada', 'b', 'x', now(), NULL)",
    "messages_sent_once": f"{MESSAGE} ('room', 1, 'a', 'ada', 'a', 'x', now(), NULL), "
    "('room', 2, 'b', 'ada', 'a', 'x', now(), NULL)",
    "messages_body_bounded": f"{MESSAGE} ('room', 1, 'a', 'ada', 'a', repeat('x', 4001), now(), NULL)",
    "messages_deleted_are_empty": f"{MESSAGE} ('room', 1, 'a', 'ada', 'a', 'x', now(), now())",
    "stage_rosters_pkey": f"{ROSTER} ('stage', 'bob', 1, '0001', '{{}}')",
    "stage_rosters_version_counts": "UPDATE stage_rosters SET roster_version = 0",
    "stage_rosters_roles_by_name": "UPDATE stage_rosters SET roles = '[]'",
    "roster_slots_pkey": f"{SLOT} ('stage', 'player', 1, 'ada'), ('stage', 'player', 1, 'bob')",
    "roster_slots_player_once": f"{SLOT} ('stage', 'player', 1, 'ada'), ('stage', 'player', 2, 'ada')",
    "roster_slots_room_fkey": f"{SLOT} ('nothing', 'player', 1, 'ada')",
    "roster_slots_slot_bounded": f"{SLOT} ('stage', 'player', 101, 'ada')",
    "topic_events_end_once": f"{TOPIC} ('overlays', 'overlays'); {EVENT} "
    "('overlays', 1, 'e', 'overlay_expired', 's#1', 'ada', now()), "
    "('overlays', 2, 'f', 'overlay_removed', 's#1', 'ada', now())",
    "session_overlays_pkey": f"{OVERLAY} ('s', 'ada', 1, '1', now()), ('s', 'bob', 1, '1', now())",
    "session_overlays_version_counts": f"{OVERLAY} ('s', 'ada', 0, '1', now())",
    "session_overlays_payload_bounded": f"{OVERLAY} ('s', 'ada', 1, repeat('x', 16385), now())",
    "session_overlays_ended_are_empty": f"{OVERLAY} ('s', 'ada', 1, '1', NULL)",
    "session_overlays_shown_have_owners": f"{OVERLAY} ('s', NULL, 1, '1', now())",
    "credentials_pkey": f"{CREDENTIALS} ('ada', 'hash', now()), ('ada', 'hash', now())",
    "operator_actions_pkey": "INSERT INTO operator_actions SELECT 'id', 'repair', 'ada', 'a', 'b', 'ops', now() "
    "FROM generate_series(1, 2)",
    "invariant_passes_pkey": "INSERT INTO invariant_passes SELECT 'seats_are_uses', now(), '', 0, 0, NULL, 0, 0 "
    "FROM generate_series(1, 2)",
    "flags_pkey": f"{FLAG} ('points_enabled', true, now(), 'ada'), ('points_enabled', false, now(), 'ada')",
    "flags_mint_in_referral_api_stays_off": f"{FLAG} ('mint_in_referral_api', true, now(), 'ada')",
    "credentials_user_fkey": f"{CREDENTIALS} ('nobody', 'hash', now())",
    "sessions_pkey": f"{SESSION} ('ada', 's', now(), now() + interval '1 s'), "
    "('ada', 's', now(), now() + interval '1 s')",
    "sessions_times_ordered": f"{SESSION} ('ada', 's', now(), now())",
    "backfill_runs_pkey": f"{RUN} (1, 'another plan', 'planned', 'source', '', now())",
    "backfill_runs_plan_hash_key": f"{RUN} (2, 'plan', 'planned', 'source', '', now())",
    "backfill_runs_state_known": "UPDATE backfill_runs SET state = 'lost'",
    "backfill_chunks_pkey": f"{CHUNK} (1, 'codes', 1, '', now()), (1, 'codes', 1, '', now())",
    "backfill_chunks_run_fkey": f"{CHUNK} (2, 'codes', 1, '', now())",
    "backfill_chunks_phase_known": f"{CHUNK} (1, 'rest', 1, '', now())",
    "backfill_malformed_pkey": f"{MALFORMED} (1, 1, 'one'), (1, 1, 'another')",
    "backfill_malformed_run_fkey": f"{MALFORMED} (2, 1, 'one')",
    "legacy_users_pkey": f"{LEGACY_USER} (1, 1, 'ada', false, NULL), (1, 1, 'bob', false, NULL)",
    "legacy_users_once": f"{LEGACY_USER} (1, 1, 'ada', false, NULL), (1, 2, 'ada', false, NULL)",
    "legacy_users_run_fkey": f"{LEGACY_USER} (2, 1, 'ada', false, NULL)",
    "legacy_users_points_bounded": f"{LEGACY_USER} (1, 1, 'ada', false, 0)",
    "legacy_codes_pkey": f"{LEGACY_CODE} (1, 1, 'CODE', 'ada', true), (1, 1, 'CODE', 'bob', true)",
    "legacy_codes_one_keeper": f"{LEGACY_CODE} (1, 1, 'CODE', 'ada', true), (1, 2, 'CODE', 'bob', true)",
    "legacy_codes_run_fkey": f"{LEGACY_CODE} (2, 1, 'CODE', 'ada', true)",
    "legacy_codes_normal_form": f"{LEGACY_CODE} (1, 1, 'code', 'ada', true)",
    "code_conflicts_pkey": f"{CONFLICT} ('CODE', 'ada', 'bob', 'held', 1, now()), "
    "('CODE', 'ada', 'cid', 'held', 1, now())",
    "code_conflicts_run_fkey": f"{CONFLICT} ('CODE', 'ada', 'bob', 'held', 2, now())",
    "code_conflicts_reason_known": f"{CONFLICT} ('CODE', 'ada', 'bob', 'mood', 1, now())",
    "clicked_codes_pkey": "INSERT INTO clicked_codes (code, clicked_at) VALUES ('CODE', now()), ('CODE', now())",
    "metadata_mirror_pkey": f"{MIRROR} ('ada', 'CODE', now()), ('ada', 'CODE', now())",
    "metadata_mirror_user_fkey": f"{MIRROR} ('nobody', 'CODE', now())",
    "schedules_pkey": "INSERT INTO schedules (name, leased_until) VALUES ('night', now()), ('night', now())",
}
"""A statement that breaks each constraint, and no other before it, where `PEOPLE` and `WALLETS` are there."""


async def break_it(database: Database, name: str) -> None:
    async with PostgresTransactions(database).begin() as stores:
        await connection_of(stores).execute(f"{PEOPLE}; {WALLETS}")
        await connection_of(stores).execute(BREAKING[name])


@pytest.mark.parametrize("name", sorted(RACES))
async def test_one_that_a_race_can_break_asks_for_another_try(name: str, shared_database: Database) -> None:
    with pytest.raises(WriteConflict) as aborted:
        await break_it(shared_database, name)

    cause = aborted.value.__cause__
    assert isinstance(cause, asyncpg.IntegrityConstraintViolationError)
    assert cause.constraint_name == name


@pytest.mark.parametrize("name", sorted(BREAKING.keys() - RACES))
async def test_one_that_only_a_bug_can_break_stays_the_databases_error(name: str, shared_database: Database) -> None:
    with pytest.raises(asyncpg.IntegrityConstraintViolationError) as broken:
        await break_it(shared_database, name)

    assert broken.value.constraint_name == name


async def test_a_migration_is_recorded_once(owner_dsn: str) -> None:
    """The service may not write there at all."""
    async with session(owner_dsn) as owner:
        with pytest.raises(asyncpg.UniqueViolationError) as broken:
            await owner.execute("INSERT INTO tallystick.schema_migrations SELECT * FROM tallystick.schema_migrations")

    assert broken.value.constraint_name == "schema_migrations_pkey"


async def test_every_constraint_of_the_schema_is_known_by_name_and_no_other(owner_dsn: str) -> None:
    async with session(owner_dsn) as owner:
        rows = await owner.fetch(
            "SELECT conname AS name FROM pg_constraint "
            # From PostgreSQL 18 on NOT NULL is one, too.
            "WHERE connamespace = 'tallystick'::regnamespace AND contype <> 'n' "
            "UNION SELECT c.relname FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid "
            "WHERE c.relnamespace = 'tallystick'::regnamespace AND i.indisunique"
        )

    assert {row["name"] for row in rows} == BREAKING.keys() | {"schema_migrations_pkey"}


def test_every_constraint_that_a_race_can_break_is_broken_here() -> None:
    assert BREAKING.keys() >= RACES
