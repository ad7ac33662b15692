"""Grants and row level security, tried for real: every table, every role, every operation."""

import os
from collections.abc import AsyncIterator, Mapping
from typing import Literal

import asyncpg
import pytest

from tallystick.adapters.embedded.provision import OWNER
from tests.integration.conftest import NewDatabase
from tests.integration.postgres.sessions import Session, login_of, session

Outcome = Literal["done", "nothing", "refused"]

SERVICE_MAY: Mapping[str, frozenset[str]] = {
    "backfill_chunks": frozenset({"SELECT", "INSERT"}),
    "backfill_malformed": frozenset({"SELECT", "INSERT"}),
    "backfill_runs": frozenset({"SELECT", "INSERT"})
    | {f"UPDATE {column}" for column in ("state", "verification", "started_at", "finished_at")},
    "clicked_codes": frozenset({"SELECT", "INSERT"}),
    "code_conflicts": frozenset({"SELECT", "INSERT"}),
    "collected_rewards": frozenset({"SELECT", "INSERT"}),
    "credentials": frozenset({"SELECT", "INSERT", "UPDATE password_hash"}),
    "fingerprint_keys": frozenset({"SELECT", "INSERT"}),
    "flags": frozenset({"SELECT", "INSERT", "UPDATE enabled", "UPDATE updated_at", "UPDATE updated_by"}),
    "idempotency_keys": frozenset({"SELECT", "INSERT", "DELETE"}),
    "operator_actions": frozenset({"SELECT", "INSERT"}),
    "invariant_passes": frozenset({"SELECT", "INSERT", "UPDATE"}),
    "invite_uses": frozenset({"SELECT", "INSERT"}),
    "invites": frozenset({"SELECT", "INSERT", "UPDATE current_uses", "UPDATE revoked_at"}),
    "ledger_accounts": frozenset({"SELECT", "INSERT"})
    | {f"UPDATE {column}" for column in ("balance", "version", "lifetime", "updated_at")},
    "ledger_entries": frozenset({"SELECT", "INSERT"}),
    "legacy_codes": frozenset({"SELECT", "INSERT"}),
    "attribution_attempts": frozenset({"SELECT", "INSERT", "DELETE", "UPDATE attempted_at"}),
    "legacy_users": frozenset({"SELECT", "INSERT"})
    | {f"UPDATE {column}" for column in ("email", "email_key", "username", "username_key", "display_name", "phone")},
    "metadata_mirror": frozenset({"SELECT", "INSERT", "DELETE", "UPDATE code", "UPDATE mirrored_at"}),
    "pending_accruals": frozenset(
        {"SELECT", "INSERT", "DELETE", "UPDATE cause", "UPDATE tries", "UPDATE last_tried_at"}
    ),
    "phone_verifications": frozenset({"SELECT", "INSERT"}),
    "rating_slips": frozenset({"SELECT", "INSERT"})
    | {
        f"UPDATE {column}"
        for column in (
            "average_bet",
            "state",
            "closed_at",
            "points",
            "completed_at",
            "correlation_id",
            "account_version",
        )
    },
    "referral_codes": frozenset({"SELECT", "INSERT", "UPDATE is_canonical", "UPDATE demoted_at", "UPDATE retired_at"}),
    "referral_edges": frozenset({"SELECT", "INSERT"}),
    "rewards": frozenset({"SELECT", "INSERT", "UPDATE name", "UPDATE description", "UPDATE cost", "UPDATE active"}),
    "reply_totals": frozenset({"SELECT", "INSERT", "DELETE", "UPDATE replies", "UPDATE bytes"}),
    "schedules": frozenset({"SELECT", "INSERT", "UPDATE leased_until", "UPDATE last_done_at"}),
    "schema_migrations": frozenset({"SELECT"}),
    "sessions": frozenset({"SELECT", "INSERT", "DELETE"}),
    "topics": frozenset({"SELECT", "INSERT"})
    | {f"UPDATE {column}" for column in ("head", "last_at", "trimmed", "trimmed_tag")},
    "topic_events": frozenset({"SELECT", "INSERT", "DELETE"}),
    "channels": frozenset({"SELECT", "INSERT"}),
    "channel_members": frozenset({"SELECT", "INSERT"})
    | {f"UPDATE {column}" for column in ("role", "joined_seq", "left_seq", "read_seq")},
    "messages": frozenset({"SELECT", "INSERT", "DELETE", "UPDATE body", "UPDATE deleted_at"}),
    "stage_rosters": frozenset({"SELECT", "INSERT"})
    | {f"UPDATE {column}" for column in ("roster_version", "contract_version", "roles")},
    "session_overlays": frozenset({"SELECT", "INSERT"})
    | {f"UPDATE {column}" for column in ("owner_id", "version", "payload", "expires_at")},
    "roster_slots": frozenset({"SELECT", "INSERT", "DELETE"}),
    "users": frozenset({"SELECT", "INSERT"})
    | {
        f"UPDATE {column}"
        for column in (
            "email",
            "email_key",
            "username",
            "display_name",
            "phone",
            "profile_at",
            "referrals",
            "deleted_at",
            "email_proved_at",
            "username_proved_at",
            "username_key",
            "erasing_since",
        )
    },
    "webhook_deliveries": frozenset({"SELECT", "INSERT", "DELETE"}),
}
"""The rights of the service on each table; no other role has any right. A new table needs a line here and in ROWS."""

ROWS: Mapping[str, str] = {
    "users": "(user_id, created_at) VALUES ('user{n}', now())",
    "phone_verifications": "(user_id, source, verified_at) VALUES ('user{n}', 'token', now())",
    "referral_codes": "(code, user_id, is_canonical, created_at) VALUES ('CODE{n}', 'user{n}', true, now())",
    "referral_edges": "(invitee_id, inviter_id, code, arrival_id, created_at) "
    "VALUES ('user{n}', 'inviter', NULL, gen_random_uuid(), now())",
    "attribution_attempts": "(user_id, code_digest, reason, attempted_at) VALUES ('user{n}', 'd', 'self', now())",
    "webhook_deliveries": "(delivery_id, kind, received_at) VALUES ('msg_{n}', 'created', now())",
    "idempotency_keys": "(caller, key, fingerprint, status, body, created_at) "
    "VALUES ('user{n}', 'k', '', 200, '', now())",
    "reply_totals": "(caller, replies, bytes) VALUES ('user{n}', 1, 1)",
    "ledger_accounts": "(user_id, unit) VALUES ('user{n}', 'credits')",
    "ledger_entries": "(user_id, unit, seq, amount, balance_before, balance_after, event_type, event_key, "
    "correlation_id, created_at) VALUES ('user1', 'credits', {n}, 5, 0, 5, 'grant', 'event {n}', '', now())",
    "rating_slips": "(slip_id, player_id, game, average_bet, decisions_per_hour, house_edge_bp, points_per_100, state, "
    "opened_at) VALUES ('slip{n}', 'inviter', 'whist', 5, 1, 1, 1, 'open', now())",
    "pending_accruals": "(player_id, event_type, event_key, points, correlation_id, cause, created_at, tries, "
    "last_tried_at) VALUES ('inviter', 'rating_slip', 'slip{n}', 5, '', 'CAUSE', now(), 1, now())",
    "rewards": "(reward_id, owner_id, name, cost, active, created_at) "
    "VALUES ('reward{n}', 'inviter', 'A word', 5, true, now())",
    "collected_rewards": "(user_id, reward_id, cost, balance_before, balance_after, order_id, collected_at) "
    "VALUES ('user{n}', 'reward1', 5, 5, 0, 'order{n}', now())",
    "invites": "(code, invite_id, owner_id, max_uses, created_at) VALUES ('CODE{n}', 'invite{n}', 'inviter', 5, now())",
    "invite_uses": "(invite_id, user_id, attempt_id, used_at) VALUES ('invite1', 'user{n}', 'attempt{n}', now())",
    "topics": "(topic_id, kind) VALUES ('room{n}', 'channel'), ('spare{n}', 'channel')",
    "topic_events": "(topic_id, seq, event_id, kind, ref, actor_id, created_at) "
    "VALUES ('room1', {n}, 'event{n}', 'message', 'message{n}', 'user{n}', now())",
    "channels": "(channel_id, owner_id, name, created_at) "
    "VALUES ((ARRAY['room1', 'spare1'])[{n}], 'user{n}', 'A room', now())",
    "channel_members": "(channel_id, user_id, role, joined_seq) VALUES ('room1', 'user{n}', 'owner', 1)",
    "messages": "(channel_id, seq, message_id, sender_id, client_message_id, body, created_at) "
    "VALUES ('room1', {n}, 'message{n}', 'user{n}', 'mark{n}', 'A text', now())",
    "stage_rosters": "(room_id, owner_id, roster_version, contract_version, roles) "
    "VALUES ('room{n}', 'user{n}', 1, '0001', '{{}}'), ('spare{n}', 'user{n}', 1, '0001', '{{}}')",
    "session_overlays": "(session_id, owner_id, version, payload, expires_at) "
    "VALUES ('session{n}', 'user{n}', 1, '1', now())",
    "roster_slots": "(room_id, role, slot, player_id) VALUES ('room1', 'player', {n}, 'user{n}')",
    "credentials": "(user_id, password_hash, created_at) VALUES ('user{n}', 'hash', now())",
    "fingerprint_keys": "(purpose, key) VALUES ('purpose{n}', decode(repeat('00', 32), 'hex'))",
    "sessions": "(user_id, session_id, created_at, expires_at) "
    "VALUES ('user{n}', 'session{n}', now(), now() + interval '1 s')",
    "operator_actions": "(action_id, action, subject, found, done, operator, acted_at) "
    "VALUES ('action{n}', 'repair', 'ada', 'a', 'b', 'ops', now())",
    "invariant_passes": "(promise, began_at, after, violations, skipped, last_violations, last_skipped) "
    "VALUES ('promise{n}', now(), '', 0, 0, 0, 0)",
    "flags": "(name, enabled, updated_at, updated_by) VALUES ('flag{n}', true, now(), 'ada')",
    "backfill_runs": "(run, plan_hash, state, source_hash, plan, planned_at) "
    "VALUES ({n}, 'plan{n}', 'planned', 'source', '{{}}', now())",
    "backfill_chunks": "(run, phase, chunk, tally, done_at) VALUES (1, 'codes', {n}, '{{}}', now())",
    "backfill_malformed": "(run, line, reason) VALUES (1, {n}, 'a reason')",
    "legacy_users": "(run, position, user_id, phone_verified) VALUES (1, {n}, 'user{n}', false)",
    "legacy_codes": "(run, position, code, user_id, is_canonical) VALUES (1, {n}, 'CODE{n}', 'user{n}', true)",
    "code_conflicts": "(code, user_id, kept_by, reason, run, created_at) "
    "VALUES ('CODE{n}', 'user{n}', 'inviter', 'duplicate', 1, now())",
    "clicked_codes": "(code, clicked_at) VALUES ('CODE{n}', now())",
    "metadata_mirror": "(user_id, code, mirrored_at) VALUES ('user{n}', 'CODE{n}', now())",
    "schedules": "(name, leased_until) VALUES ('schedule{n}', now())",
    "schema_migrations": "(version, name, checksum, applied_at) VALUES ('900{n}', 'words', '', now())",
}
"""A row of each table that breaks no constraint, in this order; those numbered 1 are there, those numbered 2 not."""

_WORKER = os.environ.get("PYTEST_XDIST_WORKER", "main")
GATEWAY, STRANGER = f"tallystick_gateway_{_WORKER}", f"tallystick_stranger_{_WORKER}"
ROLES = ("tallystick_app", "anon", "authenticated", "stranger")
OPERATIONS = ("SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE")


@pytest.fixture(scope="module")
async def logins(server: tuple[str, str], new_database: NewDatabase) -> AsyncIterator[str]:
    """Create a login that may become each of the roles, as the gateway of Supabase may, and one that may nothing."""
    superuser, password = server
    async with session(superuser) as administrator:
        await administrator.execute(f"CREATE ROLE {GATEWAY} LOGIN NOINHERIT PASSWORD '{password}'")
        await administrator.execute(f"GRANT tallystick_app, anon, authenticated TO {GATEWAY}")
        await administrator.execute(f"CREATE ROLE {STRANGER} LOGIN PASSWORD '{password}'")
        yield password
        await administrator.execute(f"DROP ROLE {GATEWAY}, {STRANGER}")


@pytest.fixture(scope="module")
async def furnished(owner_dsn: str) -> str:
    """Return the owner's DSN of a database that holds a row in every table."""
    await furnish(owner_dsn)
    return owner_dsn


async def furnish(owner_dsn: str) -> None:
    async with session(owner_dsn) as owner:
        await owner.execute("SET ROLE tallystick_app")
        await owner.execute(
            "INSERT INTO tallystick.users (user_id, created_at) VALUES ('user2', now()), ('inviter', now())"
        )
        for table, row in ROWS.items():
            if table != "schema_migrations":  # its rows are the migrations that ran
                await owner.execute(f"INSERT INTO tallystick.{table} {row.format(n=1)}")


async def columns_by_table(connection: Session) -> dict[str, list[str]]:
    rows = await connection.fetch(
        "SELECT c.relname, array_agg(a.attname::text ORDER BY a.attnum) AS columns "
        "FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped "
        "WHERE c.relnamespace = 'tallystick'::regnamespace AND c.relkind IN ('r', 'p') GROUP BY c.relname"
    )
    return {row["relname"]: row["columns"] for row in rows}


def attempts(operation: str, tables: Mapping[str, list[str]]) -> dict[tuple[str, str], str]:
    """Return the statements that try an operation on every table, by table and what is tried: each column alone."""
    tried: dict[tuple[str, str], str] = {}
    for table, columns in tables.items():
        name = f"tallystick.{table}"
        match operation:
            case "SELECT":
                tried[table, "SELECT"] = f"SELECT FROM {name}"
            case "INSERT":
                # A user without any other row is new; the other tables get the row of a user who is there.
                row = ROWS[table].format(n=3 if table == "users" else 2)
                tried[table, "INSERT"] = f"INSERT INTO {name} {row}"
            case "UPDATE":
                for column in columns:
                    tried[table, f"UPDATE {column}"] = f"UPDATE {name} SET {column} = {column}"
            case "DELETE":
                tried[table, "DELETE"] = f"DELETE FROM {name}"
            case _:
                tried[table, "TRUNCATE"] = f"TRUNCATE {name} CASCADE"
    return tried


async def outcome(connection: Session, role: str, statement: str) -> Outcome:
    """Try a statement as a role and take it back."""
    transaction = connection.transaction()
    await transaction.start()
    try:
        if role != "stranger":
            await connection.execute(f"SET LOCAL ROLE {role}")
        status = await connection.execute(statement)
    except asyncpg.InsufficientPrivilegeError:
        return "refused"
    finally:
        await transaction.rollback()
    return "nothing" if status.endswith(" 0") else "done"


def may(role: str, table: str, attempt: str) -> bool:
    allowed = SERVICE_MAY[table] if role == "tallystick_app" else frozenset()
    return attempt in allowed or attempt.split(maxsplit=1)[0] in allowed


async def test_every_table_has_an_expectation_and_a_row(furnished: str) -> None:
    async with session(furnished) as owner:
        tables = set(await columns_by_table(owner))

    assert tables == set(SERVICE_MAY) == set(ROWS)


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("role", ROLES)
async def test_a_role_may_do_what_is_written_and_nothing_else(
    role: str, operation: str, furnished: str, logins: str
) -> None:
    async with session(furnished) as owner:
        tables = await columns_by_table(owner)
    tried = attempts(operation, tables)

    async with session(login_of(furnished, STRANGER if role == "stranger" else GATEWAY, logins)) as caller:
        found = {what: await outcome(caller, role, statement) for what, statement in tried.items()}

    assert found == {what: "done" if may(role, *what) else "refused" for what in tried}


@pytest.mark.parametrize("column", ["code", "user_id"])
async def test_neither_a_code_nor_its_user_can_be_changed(column: str, furnished: str) -> None:
    async with session(furnished) as owner:
        await owner.execute("SET ROLE tallystick_app")

        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="permission denied for table referral_codes"):
            await owner.execute(f"UPDATE tallystick.referral_codes SET {column} = 'user2' WHERE code = 'CODE1'")


async def test_roles_that_are_let_into_the_schema_still_find_every_table_closed(
    new_database: NewDatabase, logins: str
) -> None:
    dsn = await new_database()
    await furnish(dsn)
    async with session(dsn) as owner:
        await owner.execute("GRANT USAGE ON SCHEMA tallystick TO anon, authenticated")
        tables = await columns_by_table(owner)

    tried = {what: sql for operation in OPERATIONS for what, sql in attempts(operation, tables).items()}
    async with session(login_of(dsn, GATEWAY, logins)) as caller:
        for role in ("anon", "authenticated"):
            found = {what: await outcome(caller, role, statement) for what, statement in tried.items()}
            assert found == dict.fromkeys(tried, "refused")


async def test_roles_that_are_given_every_grant_by_mistake_still_meet_row_level_security(
    new_database: NewDatabase, logins: str
) -> None:
    dsn = await new_database()
    await furnish(dsn)
    async with session(dsn) as owner:
        await owner.execute("GRANT USAGE ON SCHEMA tallystick TO anon, authenticated")
        await owner.execute("GRANT ALL ON ALL TABLES IN SCHEMA tallystick TO anon, authenticated")
        tables = await columns_by_table(owner)

    async with session(login_of(dsn, GATEWAY, logins)) as caller:
        for role in ("anon", "authenticated"):
            await sees_and_changes_nothing(caller, role, tables)


async def test_the_owner_is_bound_by_the_policies_too(furnished: str) -> None:
    async with session(furnished) as owner:
        assert await owner.fetchval("SELECT NOT rolsuper FROM pg_roles WHERE rolname = current_user")
        tables = await columns_by_table(owner)
        assert tables.pop("schema_migrations")  # which the owner keeps

        await sees_and_changes_nothing(owner, OWNER, tables)


async def sees_and_changes_nothing(connection: Session, role: str, tables: Mapping[str, list[str]]) -> None:
    """TRUNCATE is not under row level security, and only a grant keeps it away."""
    for operation, expected in {
        "SELECT": "nothing",
        "INSERT": "refused",
        "UPDATE": "nothing",
        "DELETE": "nothing",
    }.items():
        tried = attempts(operation, tables)
        found = {what: await outcome(connection, role, statement) for what, statement in tried.items()}
        assert found == dict.fromkeys(tried, expected)
