"""A schema that differs from its manifest is mended as far as statements can, and the rest is left as it is."""

import os
from datetime import UTC, datetime

import pytest

from tallystick.adapters.postgres.contract.comparison import manifest_faults
from tallystick.adapters.postgres.contract.manifest import read_manifest, shipped_manifest
from tallystick.adapters.postgres.diagnoses import Diagnoses
from tallystick.adapters.postgres.operator_actions import Change, Operator
from tests.integration.postgres.sessions import Session

OPERATOR = Operator("ops (command line)", datetime.now(UTC), os.urandom)
BYSTANDER = "mending_bystander"
MENDED = {
    "a right on history": "GRANT UPDATE, DELETE, TRUNCATE ON ledger_entries TO tallystick_app",
    "a right on a column": "GRANT UPDATE (amount) ON ledger_entries TO tallystick_app",
    "a right on the table over those on columns": "GRANT UPDATE ON ledger_accounts TO tallystick_app",
    "a right on the schema": "GRANT CREATE ON SCHEMA tallystick TO tallystick_app",
    "one more policy": "CREATE POLICY more ON users AS RESTRICTIVE TO tallystick_app USING (false)",
    "a changed policy": "ALTER POLICY users_service ON users USING (false)",
    "a policy of another command": "DROP POLICY users_service ON users; "
    "CREATE POLICY users_service ON users FOR SELECT TO tallystick_app USING (true)",
    "a policy that was given to all": "ALTER POLICY users_service ON users TO public USING (false)",
    "another CHECK": "ALTER TABLE ledger_accounts DROP CONSTRAINT ledger_accounts_never_negative; "
    "ALTER TABLE ledger_accounts ADD CONSTRAINT ledger_accounts_never_negative CHECK (balance >= -5)",
    "a CHECK that was not validated": "ALTER TABLE ledger_accounts DROP CONSTRAINT ledger_accounts_never_negative; "
    "ALTER TABLE ledger_accounts ADD CONSTRAINT ledger_accounts_never_negative CHECK (balance >= 0) NOT VALID",
    "another foreign key": "ALTER TABLE referral_edges DROP CONSTRAINT referral_edges_invitee_fkey; "
    "ALTER TABLE referral_edges ADD CONSTRAINT referral_edges_invitee_fkey "
    "FOREIGN KEY (inviter_id) REFERENCES users (user_id)",
    "another index": "DROP INDEX referral_codes_one_canonical; "
    "CREATE INDEX referral_codes_one_canonical ON referral_codes (user_id) WHERE is_canonical",
    "a column that may be empty": "ALTER TABLE ledger_entries ALTER amount DROP NOT NULL",
    "a column without its default": "ALTER TABLE users ALTER referrals DROP DEFAULT",
    "a column with another default": "ALTER TABLE users ALTER referrals SET DEFAULT 7",
}
LEFT = {
    "a right by PUBLIC": "GRANT DELETE ON ledger_entries TO PUBLIC",
    "a policy of others": f"CREATE POLICY more ON users TO tallystick_app, {BYSTANDER} USING (true)",
    "a column of another type": "ALTER TABLE users ALTER referrals TYPE integer",
    "another primary key": "ALTER TABLE schedules DROP CONSTRAINT schedules_pkey; "
    "ALTER TABLE schedules ADD CONSTRAINT schedules_pkey PRIMARY KEY (name, leased_until)",
}


@pytest.fixture
async def bystander(administrator: Session) -> str:
    """Return a role that is neither the service nor the owner."""
    if not await administrator.fetchval("SELECT count(*) FROM pg_roles WHERE rolname = $1", BYSTANDER):
        await administrator.execute(f"CREATE ROLE {BYSTANDER} NOLOGIN")
    return BYSTANDER


async def faults(connection: Session) -> list[str]:
    found = await read_manifest(connection)  # type: ignore[arg-type]  # outside the pool
    return [fault.explained for fault in manifest_faults(shipped_manifest(), found)]


async def mend(dsn: str) -> list[Change]:
    return await Diagnoses(dsn).restore(OPERATOR)


@pytest.mark.parametrize("name", MENDED)
async def test_what_a_statement_can_mend_is_as_the_manifest_has_it(
    name: str, migrated_dsn: str, superuser: Session
) -> None:
    await superuser.execute("SET search_path = tallystick")
    await superuser.execute(MENDED[name])
    assert await faults(superuser)

    changes = await mend(migrated_dsn)

    assert await faults(superuser) == []
    audit = [row["done"] for row in await superuser.fetch("SELECT done FROM operator_actions ORDER BY done")]
    assert audit == sorted(change.done for change in changes)
    assert await mend(migrated_dsn) == []


@pytest.mark.parametrize("name", LEFT)
async def test_what_could_be_somebodys_own_or_costs_rows_is_left_and_named(
    name: str, migrated_dsn: str, superuser: Session, bystander: str
) -> None:
    await superuser.execute("SET search_path = tallystick")
    await superuser.execute(LEFT[name])
    before = await faults(superuser)

    await mend(migrated_dsn)

    assert before
    assert await faults(superuser) == before


async def test_after_migrations_of_a_newer_version_only_what_is_missing_comes_back(
    migrated_dsn: str, superuser: Session
) -> None:
    await superuser.execute(
        "SET search_path = tallystick; GRANT DELETE ON ledger_entries TO tallystick_app; "
        "ALTER TABLE users ALTER referrals DROP DEFAULT; DROP INDEX channels_by_owner; "
        "INSERT INTO schema_migrations (version, name, checksum, applied_at) VALUES ('9999', 'later', 'sum', now())"
    )

    changes = await mend(migrated_dsn)

    assert [change.done.split(" ON ")[0] for change in changes] == ["CREATE INDEX channels_by_owner"]
