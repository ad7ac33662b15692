"""A schema that differs from its manifest is mended as far as statements can, and the rest is left as it is."""

import os
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import asyncpg
import pytest

from tallystick.adapters.postgres.contract.comparison import manifest_faults
from tallystick.adapters.postgres.contract.manifest import read_manifest, shipped_manifest
from tallystick.adapters.postgres.diagnoses import Diagnoses
from tallystick.adapters.postgres.migrating.migration_files import shipped
from tallystick.adapters.postgres.operator_actions import Change, Operator
from tests.integration.postgres.schemas import migrator
from tests.integration.postgres.sessions import Session, session, superuser_of

OPERATOR = Operator("ops (command line)", datetime.now(UTC), os.urandom)
BYSTANDER = "bystander"
STATEMENTS = {
    "": f'"users_service ON users;GRANT ALL ON users TO {BYSTANDER};--"',
    "behind a quotation mark": f'"users_service"" ON users;GRANT ALL ON users TO {BYSTANDER};--"',
}
"""Names of policies, as PostgreSQL quotes them."""
MENDED = {
    "a right on history": "GRANT UPDATE, DELETE, TRUNCATE ON ledger_entries TO tallystick_app",
    "a right on a column": "GRANT UPDATE (amount) ON ledger_entries TO tallystick_app",
    "a right on the table over those on columns": "GRANT UPDATE ON ledger_accounts TO tallystick_app",
    "a right on the schema": "GRANT CREATE ON SCHEMA tallystick TO tallystick_app",
    "one more policy": "CREATE POLICY more ON users AS RESTRICTIVE TO tallystick_app USING (false)",
    "a policy with a name of two words": 'CREATE POLICY "Only mine" ON users TO tallystick_app USING (true)',
    "a policy whose name ends like that of a right on a column": (
        'CREATE POLICY "mine (too)" ON users TO tallystick_app USING (true)'
    ),
    **{
        f"a policy whose name holds statements {how}": f"CREATE POLICY {name} ON users TO tallystick_app USING (true)"
        for how, name in STATEMENTS.items()
    },
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
    return await Diagnoses(dsn).restore("runbook contract-missing", OPERATOR)


@pytest.mark.parametrize("name", MENDED)
async def test_what_a_statement_can_mend_is_as_the_manifest_has_it(
    name: str, migrated_dsn: str, superuser: Session, bystander: str
) -> None:
    await superuser.execute("SET search_path = tallystick")
    await superuser.execute(MENDED[name])
    assert await faults(superuser)

    changes = await mend(migrated_dsn)

    assert await faults(superuser) == []
    assert not await superuser.fetchval("SELECT has_table_privilege($1, 'tallystick.users', 'SELECT')", bystander)
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

    changes = await mend(migrated_dsn)

    assert before
    assert await faults(superuser) == before
    assert changes == [], "only a change that happened is reported"
    assert not await superuser.fetch("SELECT FROM operator_actions")


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


async def test_rights_are_revoked_although_rows_keep_a_constraint_from_coming_back(
    migrated_dsn: str, superuser: Session
) -> None:
    await superuser.execute(
        "SET search_path = tallystick; ALTER TABLE ledger_accounts DROP CONSTRAINT ledger_accounts_never_negative; "
        "INSERT INTO users (user_id, created_at) VALUES ('a', now()); "
        "INSERT INTO ledger_accounts (user_id, unit, balance) VALUES ('a', 'credits', -1); "
        "GRANT DELETE ON ledger_entries TO tallystick_app; GRANT UPDATE ON ledger_accounts TO tallystick_app; "
        "CREATE POLICY more ON users TO tallystick_app USING (true)"
    )

    with pytest.raises(asyncpg.CheckViolationError):
        await mend(migrated_dsn)

    assert await faults(superuser) == ["the schema lacks: constraint ledger_accounts_never_negative on ledger_accounts"]
    assert await superuser.fetchval("SELECT count(*) FROM operator_actions") > 0


async def test_of_named_items_nothing_else_is_mended(migrated_dsn: str, superuser: Session) -> None:
    await superuser.execute(
        "SET search_path = tallystick; GRANT DELETE ON ledger_entries TO tallystick_app; "
        "DROP INDEX channels_by_owner; DROP INDEX referral_codes_one_canonical; "
        "CREATE INDEX referral_codes_one_canonical ON referral_codes (user_id)"
    )
    only = ("referral_codes", "index referral_codes_one_canonical")

    changes = await Diagnoses(migrated_dsn).restore("runbook double-mint", OPERATOR, only=[only])

    assert [change.done.split(" ON ")[0] for change in changes] == [
        'DROP INDEX tallystick."referral_codes_one_canonical"',
        "CREATE UNIQUE INDEX referral_codes_one_canonical",
    ]
    assert {row["action"] for row in await superuser.fetch("SELECT action FROM operator_actions")} == {
        "runbook double-mint"
    }
    assert len(await faults(superuser)) == 2


class TestWhileAMigrationWaits:
    """Servers of the version before still serve: they know nothing of what that migration adds."""

    @pytest.fixture
    async def waiting(self, empty_dsn: str, server: tuple[str, str]) -> AsyncIterator[Session]:
        """Return a superuser in a database whose migrations of the kind `after` did not run."""
        await migrator(empty_dsn, [migration for migration in shipped() if migration.kind == "before"]).apply()
        async with session(superuser_of(server, empty_dsn)) as connection:
            await connection.execute("SET search_path = tallystick")
            yield connection

    async def test_nothing_is_added_that_the_migration_adds(self, empty_dsn: str, waiting: Session) -> None:
        assert await mend(empty_dsn) == []
        assert await faults(waiting) == []

    async def test_what_may_be_missing_stays_missing(self, empty_dsn: str, waiting: Session) -> None:
        await waiting.execute("DROP INDEX users_by_username")

        assert await mend(empty_dsn) == []

    async def test_an_index_that_the_migration_drops_is_built_again(self, empty_dsn: str, waiting: Session) -> None:
        await waiting.execute("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'users_by_username'::regclass")

        changes = await mend(empty_dsn)

        assert [change.done.split()[0] for change in changes] == ["DROP", "CREATE"]
        assert await faults(waiting) == []
        assert await waiting.fetchval("SELECT to_regclass('users_by_username') IS NOT NULL")

    async def test_a_constraint_of_an_interrupted_migration_goes(self, empty_dsn: str, waiting: Session) -> None:
        await waiting.execute(
            "ALTER TABLE users ADD CONSTRAINT users_key_has_username "
            "CHECK (username_key IS NULL OR username IS NOT NULL) NOT VALID"
        )
        assert await faults(waiting)

        await mend(empty_dsn)

        assert await faults(waiting) == []
        assert not await waiting.fetchval("SELECT count(*) FROM pg_constraint WHERE conname = 'users_key_has_username'")
