"""The acts that are possible with the login of the service, one by one: `docs/security-model.md` says the same."""

from collections.abc import AsyncIterator

import asyncpg
import pytest

from tallystick.adapters.postgres.database import PoolSettings, session_settings
from tests.integration.conftest import NewDatabase, service_of
from tests.integration.postgres.sessions import Session
from tests.integration.postgres.test_row_level_security import furnish

ENTRY = (
    "INSERT INTO tallystick.ledger_entries (user_id, unit, seq, amount, balance_before, balance_after, event_type, "
    "event_key, correlation_id, created_at) VALUES ('user1', 'credits', {seq}, {amount}, {before}, {after}, 'grant', "
    "'{key}', '', now())"
)
OWN_REWARD = (
    "INSERT INTO tallystick.collected_rewards (user_id, reward_id, cost, balance_before, balance_after, order_id, "
    "collected_at) VALUES ('inviter', 'reward1', 5, 5, 0, 'order of the owner', now())"
)

REFUSED = {
    "collect one's own reward": OWN_REWARD.replace("collected_at)", "collected_at, owner_id)").replace(
        "now())", "now(), 'inviter')"
    ),
    "change an entry": "UPDATE tallystick.ledger_entries SET amount = 1",
    "delete an entry": "DELETE FROM tallystick.ledger_entries",
    "truncate the history": "TRUNCATE tallystick.ledger_entries",
    "change an inviter": "UPDATE tallystick.referral_edges SET inviter_id = 'user2'",
    "delete an edge": "DELETE FROM tallystick.referral_edges",
    "delete a use of an invite": "DELETE FROM tallystick.invite_uses",
    "unverify a phone": "DELETE FROM tallystick.phone_verifications",
    "change a verification": "UPDATE tallystick.phone_verifications SET verified_at = now()",
    "delete a collected reward": "DELETE FROM tallystick.collected_rewards",
    "change the user of a code": "UPDATE tallystick.referral_codes SET user_id = 'user2'",
    "delete a code": "DELETE FROM tallystick.referral_codes",
    "change the owner of a reward": "UPDATE tallystick.rewards SET owner_id = 'user2'",
    "change when a user came": "UPDATE tallystick.users SET created_at = now()",
    "delete a user": "DELETE FROM tallystick.users",
    "add seats to an invite": "UPDATE tallystick.invites SET max_uses = 1000",
    "lengthen a session": "UPDATE tallystick.sessions SET expires_at = now() + interval '1 year'",
    "change the key of fingerprints": "UPDATE tallystick.fingerprint_keys SET key = ''",
    "freeze an account": "UPDATE tallystick.ledger_accounts SET frozen_at = now()",
    "a balance below zero": "UPDATE tallystick.ledger_accounts SET balance = -1",
    "an entry that does not add up": ENTRY.format(seq=2, amount=7, before=5, after=5, key="a"),
    "an event twice": ENTRY.format(seq=2, amount=5, before=5, after=10, key="event 1"),
    "a number twice": ENTRY.format(seq=1, amount=5, before=5, after=10, key="b"),
    "a second canonical code": (
        "INSERT INTO tallystick.referral_codes (code, user_id, is_canonical, created_at) "
        "VALUES ('SECOND22', 'user1', true, now())"
    ),
    "more uses than seats": "UPDATE tallystick.invites SET current_uses = 6",
}
POSSIBLE = {
    "read everything": "SELECT * FROM tallystick.users",
    "credit by an entry that is well formed": ENTRY.format(seq=2, amount=5, before=5, after=10, key="c"),
    "set a balance without an entry": "UPDATE tallystick.ledger_accounts SET balance = 1000",
    "break the chain": ENTRY.format(seq=2, amount=5, before=900, after=905, key="d"),
    "collect one's own reward without naming its owner": OWN_REWARD,
    "clear the deletion of a user": "UPDATE tallystick.users SET deleted_at = NULL",
    "verify a phone": (
        "INSERT INTO tallystick.phone_verifications (user_id, source, verified_at) VALUES ('inviter', 'token', now())"
    ),
    "switch a flag": "UPDATE tallystick.flags SET enabled = true",
    "delete stored replies": "DELETE FROM tallystick.idempotency_keys",
    "end sessions": "DELETE FROM tallystick.sessions",
    "add a session": (
        "INSERT INTO tallystick.sessions (user_id, session_id, created_at, expires_at) "
        "VALUES ('user1', 'made up', now(), now() + interval '1 day')"
    ),
}
FAILURES = (asyncpg.InsufficientPrivilegeError, asyncpg.IntegrityConstraintViolationError)


@pytest.fixture(scope="module")
async def thief(new_database: NewDatabase) -> AsyncIterator[Session]:
    """Return a session of the login of the service, on a database that holds a row in every table."""
    dsn = await new_database()
    await furnish(dsn)
    connection = await asyncpg.connect(service_of(dsn), server_settings=session_settings(PoolSettings()))
    yield connection
    await connection.close()


async def tried(thief: Session, statement: str) -> None:
    """Run a statement, and take back what it did."""
    transaction = thief.transaction()
    await transaction.start()
    try:
        await thief.execute(statement)
    finally:
        await transaction.rollback()


@pytest.mark.parametrize("act", REFUSED)
async def test_the_database_refuses(thief: Session, act: str) -> None:
    with pytest.raises(FAILURES):
        await tried(thief, REFUSED[act])


@pytest.mark.parametrize("act", POSSIBLE)
async def test_the_database_does_not_refuse(thief: Session, act: str) -> None:
    """A change here belongs into the documentation, too."""
    await tried(thief, POSSIBLE[act])
