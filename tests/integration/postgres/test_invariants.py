"""Every promise, broken behind the service's back, is counted as broken, and as that one."""

from collections.abc import AsyncIterator, Mapping

import asyncpg
import pytest

from adapters.postgres.transactions import PostgresTransactions
from application.invariants import PROMISES
from tests.integration.postgres.sessions import Session, session, superuser_of, transactions_on

USER = "INSERT INTO users (user_id, created_at, deleted_at, referrals) VALUES"
CODE = "INSERT INTO referral_codes (code, user_id, is_canonical, created_at, demoted_at, retired_at) VALUES"
EDGE = "INSERT INTO referral_edges (invitee_id, inviter_id, arrival_id, created_at) VALUES"

BREAKING: Mapping[str, str] = {
    "one_code_each": f"{USER} ('a', now(), NULL, 0); {CODE} ('AAAA', 'a', false, now(), now(), NULL)",
    "living_codes_resolve": f"{USER} ('a', now(), now(), 0), ('b', now(), NULL, 0); "
    f"{CODE} ('AAAA', 'a', true, now(), NULL, NULL), ('BBBB', 'b', true, now(), NULL, now())",
    "verified_users_exist": "INSERT INTO phone_verifications VALUES ('nobody', 'token', now())",
    "one_inviter_no_cycle": f"{USER} ('a', now(), NULL, 1), ('b', now(), NULL, 1); DROP INDEX referral_edges_no_cycle; "
    f"{EDGE} ('a', 'b', gen_random_uuid(), now()), ('b', 'a', gen_random_uuid(), now())",
    "referrals_are_edges": f"{USER} ('a', now(), NULL, 1)",
}
"""What a superuser has to do, past every constraint, to break each promise and no other."""
COUNTED: Mapping[str, int] = {"living_codes_resolve": 2, "one_inviter_no_cycle": 2}


@pytest.fixture
async def spoiler(server: tuple[str, str], migrated_dsn: str) -> AsyncIterator[Session]:
    """Return a superuser to whom foreign keys do not apply."""
    async with session(superuser_of(server, migrated_dsn)) as superuser:
        await superuser.execute("SET session_replication_role = replica; SET search_path = tallystick")
        yield superuser


async def violations(dsn: str) -> dict[str, int]:
    async with transactions_on(dsn) as transactions:
        assert isinstance(transactions, PostgresTransactions)
        async with transactions.reading() as stores:
            return {counted.name: counted.violations for counted in await stores.invariants.count()}


async def test_an_empty_database_breaks_none(migrated_dsn: str) -> None:
    assert await violations(migrated_dsn) == dict.fromkeys(PROMISES, 0)


@pytest.mark.parametrize("name", PROMISES)
async def test_a_broken_promise_is_counted_and_no_other(name: str, migrated_dsn: str, spoiler: Session) -> None:
    await spoiler.execute(BREAKING[name])

    assert await violations(migrated_dsn) == dict.fromkeys(PROMISES, 0) | {name: COUNTED.get(name, 1)}


async def test_the_service_itself_could_break_none_of_them_this_way(migrated_dsn: str) -> None:
    async with session(migrated_dsn) as owner:
        await owner.execute("SET ROLE tallystick_app; SET search_path = tallystick")
        for name, statement in BREAKING.items():
            if name not in {"one_code_each", "living_codes_resolve", "referrals_are_edges"}:
                with pytest.raises(asyncpg.PostgresError):
                    await owner.execute(statement)
