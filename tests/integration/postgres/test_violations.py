"""Every constraint, broken for real: another try where a race can break it, a bug where nothing should."""

from collections.abc import Mapping

import asyncpg
import pytest

from adapters.postgres.database import Database
from adapters.postgres.transactions import PostgresTransactions
from adapters.postgres.violations import GUARDS, RACES
from application.transactions import RivalStored
from tests.integration.postgres.sessions import connection_of, session

PEOPLE = "INSERT INTO users (user_id, created_at) VALUES ('ada', now()), ('bob', now()), ('cid', now())"
VERIFICATION = "INSERT INTO phone_verifications (user_id, source, verified_at) VALUES"
CODE = "INSERT INTO referral_codes (code, user_id, is_canonical, created_at, demoted_at) VALUES"
EDGE = "INSERT INTO referral_edges (invitee_id, inviter_id, code, arrival_id, created_at) VALUES"
DELIVERY = "INSERT INTO webhook_deliveries (delivery_id, kind, received_at) VALUES"
REPLY = "INSERT INTO idempotency_keys (caller, key, fingerprint, status, body, created_at) VALUES"

BREAKING: Mapping[str, str] = {
    "users_email_key": "UPDATE users SET email = user_id, email_key = 'a@example.org'",
    "users_username_key": "UPDATE users SET username = 'ada'",
    "referral_edges_pkey": f"{EDGE} ('ada', 'bob', NULL, gen_random_uuid(), now()), "
    "('ada', 'cid', NULL, gen_random_uuid(), now())",
    "referral_edges_no_cycle": f"{EDGE} ('ada', 'bob', NULL, gen_random_uuid(), now()), "
    "('bob', 'ada', NULL, gen_random_uuid(), now())",
    "referral_edges_never_self": f"{EDGE} ('ada', 'ada', NULL, gen_random_uuid(), now())",
    "idempotency_keys_pkey": f"{REPLY} ('ada', 'k', '', 200, '', now()), ('ada', 'k', '', 404, '', now())",
    "users_pkey": PEOPLE,
    "users_user_id_form": "INSERT INTO users (user_id, created_at) VALUES ('a b', now())",
    "users_email_has_key": "UPDATE users SET email = 'a@example.org'",
    "users_referrals_not_negative": "UPDATE users SET referrals = -1",
    "users_deleted_are_nobody": "UPDATE users SET deleted_at = now(), phone = '1'",
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
    "webhook_deliveries_pkey": f"{DELIVERY} ('msg', 'created', now()), ('msg', 'deleted', now())",
    "webhook_deliveries_kind_known": f"{DELIVERY} ('msg', 'renamed', now())",
    "idempotency_keys_key_form": f"{REPLY} ('ada', 'a b', '', 200, '', now())",
    "idempotency_keys_status_final": f"{REPLY} ('ada', 'k', '', 503, '', now())",
}
"""A statement that breaks each constraint, and no other before it, where `PEOPLE` are there."""


async def break_it(database: Database, name: str) -> None:
    async with PostgresTransactions(database).begin() as stores:
        await connection_of(stores).execute(PEOPLE)
        await connection_of(stores).execute(BREAKING[name])


@pytest.mark.parametrize("name", sorted(RACES))
async def test_one_that_a_race_can_break_asks_for_another_try(name: str, shared_database: Database) -> None:
    with pytest.raises(RivalStored) as aborted:
        await break_it(shared_database, name)

    cause = aborted.value.__cause__
    assert isinstance(cause, asyncpg.IntegrityConstraintViolationError)
    assert cause.constraint_name == name


@pytest.mark.parametrize("name", sorted(GUARDS - {"schema_migrations_pkey"}))
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

    assert {row["name"] for row in rows} == RACES | GUARDS


def test_a_constraint_is_one_or_the_other() -> None:
    assert set() == RACES & GUARDS
    assert set(BREAKING) == RACES | (GUARDS - {"schema_migrations_pkey"})
