"""The contract with the database: a good one has no breaches, and every way to be bad is named."""

from pathlib import Path

import asyncpg
import pytest

import tallystick.adapters.postgres.database
from tallystick.adapters.embedded.cluster import Cluster
from tallystick.adapters.embedded.provision import DATABASE, OWNER, provision
from tallystick.adapters.postgres.contract.database_contract import DatabaseContract
from tallystick.adapters.postgres.database import Database, PoolSettings
from tallystick.adapters.postgres.migrating.migration_files import shipped
from tallystick.adapters.system import SystemClock
from tests.integration.conftest import service_of, with_database
from tests.integration.postgres.clusters import empty
from tests.integration.postgres.schemas import migrator
from tests.integration.postgres.sessions import Session, database_name, superuser_of

NEWEST = shipped()[-1].version


async def breaches(dsn: str, settings: PoolSettings | None = None, *, accepts_single_login: bool = False) -> list[str]:
    """Return why the service must not serve on the database of the owner's DSN."""
    database = Database(service_of(dsn), settings)
    await database.open()
    try:
        return [
            fault.reason
            for fault in await DatabaseContract(
                database, SystemClock(), accepts_single_login=accepts_single_login
            ).faults()
        ]
    finally:
        await database.close()


async def test_a_migrated_database_keeps_the_contract(migrated_dsn: str) -> None:
    assert await breaches(migrated_dsn) == []


class TestMigrations:
    async def test_none_at_all(self, empty_dsn: str) -> None:
        every = ", ".join(migration.version for migration in shipped())

        assert await breaches(empty_dsn) == [f"migrations are missing: {every}; run 'tallystick migrate'"]

    async def test_all_of_them_taken_back(self, migrated_dsn: str) -> None:
        for migration in reversed(shipped()):
            await migrator(migrated_dsn).roll_back(migration.version)

        (breach,) = await breaches(migrated_dsn)
        assert breach.startswith("migrations are missing: 0001")

    async def test_one_that_is_missing(self, migrated_dsn: str) -> None:
        await migrator(migrated_dsn).roll_back(NEWEST)

        assert await breaches(migrated_dsn) == [f"migrations are missing: {NEWEST}; run 'tallystick migrate'"]

    async def test_one_that_was_changed_after_it_ran(self, migrated_dsn: str, owner: Session) -> None:
        await owner.execute("UPDATE tallystick.schema_migrations SET checksum = 'another' WHERE version = '0002'")

        assert await breaches(migrated_dsn) == ["migrations differ from the ones that ran: 0002"]

    async def test_one_that_this_version_does_not_know(self, migrated_dsn: str, owner: Session) -> None:
        await owner.execute("INSERT INTO tallystick.schema_migrations VALUES ('9999', 'words', '', now())")

        assert await breaches(migrated_dsn) == ["the database is newer than this version: 9999"]


class TestConstraints:
    @pytest.mark.parametrize(
        ("name", "statement"),
        [
            ("users_referrals_not_negative", "ALTER TABLE users DROP CONSTRAINT users_referrals_not_negative"),
            ("referral_edges_inviter_fkey", "ALTER TABLE referral_edges DROP CONSTRAINT referral_edges_inviter_fkey"),
            ("idempotency_keys_pkey", "ALTER TABLE idempotency_keys DROP CONSTRAINT idempotency_keys_pkey"),
            ("referral_codes_one_canonical", "DROP INDEX referral_codes_one_canonical"),
            (
                "ledger_accounts_never_negative",
                "ALTER TABLE ledger_accounts DROP CONSTRAINT ledger_accounts_never_negative",
            ),
            ("ledger_entries_event_key", "ALTER TABLE ledger_entries DROP CONSTRAINT ledger_entries_event_key"),
            ("ledger_entries_grant_key", "DROP INDEX ledger_entries_grant_key"),
            ("collected_rewards_pkey", "ALTER TABLE collected_rewards DROP CONSTRAINT collected_rewards_pkey"),
            ("invites_never_oversold", "ALTER TABLE invites DROP CONSTRAINT invites_never_oversold"),
            ("invite_uses_pkey", "ALTER TABLE invite_uses DROP CONSTRAINT invite_uses_pkey"),
        ],
    )
    async def test_one_that_was_dropped(self, name: str, statement: str, migrated_dsn: str, owner: Session) -> None:
        await owner.execute(f"SET search_path = tallystick; {statement}")

        assert await breaches(migrated_dsn) == [f"constraints are missing: {name}"]

    async def test_one_that_was_not_validated_yet(self, migrated_dsn: str, owner: Session) -> None:
        await owner.execute(
            "ALTER TABLE tallystick.users DROP CONSTRAINT users_referrals_not_negative, "
            "ADD CONSTRAINT users_referrals_not_negative CHECK (referrals >= 0) NOT VALID"
        )

        assert await breaches(migrated_dsn) == ["constraints are missing: users_referrals_not_negative"]

    async def test_a_unique_index_that_a_failed_build_left_invalid(self, migrated_dsn: str, owner: Session) -> None:
        await owner.execute("DROP INDEX tallystick.users_username_once")
        async with owner.transaction():
            await owner.execute("SET LOCAL ROLE tallystick_app")
            await owner.execute(
                "INSERT INTO tallystick.users (user_id, username, username_key, created_at) "
                "VALUES ('ada', 'ada', 'ada', now()), ('bob', 'ADA', 'ada', now())"
            )
        with pytest.raises(asyncpg.UniqueViolationError):
            await owner.execute(
                "CREATE UNIQUE INDEX CONCURRENTLY users_username_once ON tallystick.users (username_key)"
            )

        assert await breaches(migrated_dsn) == ["constraints are missing: users_username_once"]

    async def test_an_index_of_that_name_that_is_not_unique(self, migrated_dsn: str, owner: Session) -> None:
        await owner.execute(
            "DROP INDEX tallystick.users_email_key; CREATE INDEX users_email_key ON tallystick.users (email_key)"
        )

        assert await breaches(migrated_dsn) == ["constraints are missing: users_email_key"]


class TestRights:
    @pytest.mark.parametrize("change", ["DISABLE ROW LEVEL SECURITY", "NO FORCE ROW LEVEL SECURITY"])
    async def test_row_level_security_that_is_not_forced(self, change: str, migrated_dsn: str, owner: Session) -> None:
        await owner.execute(f"ALTER TABLE tallystick.referral_edges {change}")

        assert await breaches(migrated_dsn) == ["row level security is not forced on: referral_edges"]

    async def test_a_new_table_without_row_level_security(self, migrated_dsn: str, owner: Session) -> None:
        await owner.execute("CREATE TABLE tallystick.forgotten (word text)")

        assert await breaches(migrated_dsn) == ["row level security is not forced on: forgotten"]

    @pytest.mark.parametrize(
        ("grant", "table", "verb"),
        [
            ("UPDATE", "referral_edges", "change"),
            ("UPDATE", "referral_codes", "change"),
            ("UPDATE", "webhook_deliveries", "change"),
            ("TRUNCATE", "phone_verifications", "change"),
            ("TRUNCATE", "idempotency_keys", "change"),
            ("DELETE", "referral_edges", "delete"),
            ("DELETE", "users", "delete"),
            ("UPDATE", "ledger_entries", "change"),
            ("UPDATE", "collected_rewards", "change"),
            ("UPDATE", "invites", "change"),
            ("TRUNCATE", "ledger_accounts", "change"),
            ("DELETE", "ledger_entries", "delete"),
            ("DELETE", "invite_uses", "delete"),
            ("DELETE", "credentials", "delete"),
        ],
    )
    async def test_a_grant_that_lets_history_be_changed(
        self, grant: str, table: str, verb: str, migrated_dsn: str, owner: Session
    ) -> None:
        await owner.execute(f"GRANT {grant} ON tallystick.{table} TO tallystick_app")

        assert await breaches(migrated_dsn) == [f"the service may {verb} what is history: {table}"]

    @pytest.mark.parametrize(
        ("table", "column"),
        [
            ("referral_edges", "inviter_id"),
            ("referral_codes", "user_id"),
            ("ledger_accounts", "user_id"),
            ("ledger_entries", "amount"),
            ("rewards", "owner_id"),
            ("invites", "max_uses"),
        ],
    )
    async def test_a_grant_on_a_column_that_lets_history_be_changed(
        self, table: str, column: str, migrated_dsn: str, owner: Session
    ) -> None:
        await owner.execute(f"GRANT UPDATE ({column}) ON tallystick.{table} TO tallystick_app")

        assert await breaches(migrated_dsn) == [f"the service may change what is history: {table}"]

    async def test_a_grant_to_everybody_is_one_to_the_service(self, migrated_dsn: str, owner: Session) -> None:
        await owner.execute("GRANT DELETE ON tallystick.referral_codes TO PUBLIC")

        assert await breaches(migrated_dsn) == ["the service may delete what is history: referral_codes"]

    @pytest.mark.parametrize("above", ["SUPERUSER", "BYPASSRLS"])
    async def test_a_role_that_stands_above_the_policies(
        self, above: str, migrated_dsn: str, superuser: Session
    ) -> None:
        await superuser.execute(f"ALTER ROLE tallystick_app {above}")
        try:
            found = await breaches(migrated_dsn)
        finally:
            await superuser.execute(f"ALTER ROLE tallystick_app NO{above}")

        assert "the role tallystick_app is not restricted by row level security" in found

    async def test_a_session_that_did_not_become_the_service(
        self, migrated_dsn: str, server: tuple[str, str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """As behind a pooler that passes the startup parameter by."""
        monkeypatch.setattr(tallystick.adapters.postgres.database, "SERVICE_ROLE", "none")

        assert await breaches(superuser_of(server, migrated_dsn), accepts_single_login=True) == [
            "the service does not run as tallystick_app"
        ]


class TestServer:
    @pytest.mark.parametrize(
        ("setting", "breach"),
        [
            ("default_transaction_read_only = on", "the database is read-only"),
            ("synchronous_commit = off", "synchronous_commit is off: acknowledged work could be lost"),
        ],
    )
    async def test_a_setting_of_the_database(
        self, setting: str, breach: str, migrated_dsn: str, owner: Session
    ) -> None:
        await owner.execute(f'ALTER DATABASE "{database_name(migrated_dsn)}" SET {setting}')

        assert await breaches(migrated_dsn) == [breach]

    async def test_one_that_may_lose_what_it_acknowledged(self, cluster_folder: Path) -> None:
        cluster = Cluster(cluster_folder, options={"fsync": "off", "full_page_writes": "off"})
        cluster.start()
        try:
            await provision(
                cluster.dsn("postgres", "postgres"), password=cluster.password, service_password=cluster.password
            )
            dsn = cluster.dsn(OWNER, DATABASE)
            await migrator(dsn).apply()

            assert await breaches(dsn) == [
                f"{setting} is off: acknowledged work could be lost" for setting in ("fsync", "full_page_writes")
            ]
        finally:
            await empty(cluster)
            cluster.stop()

    async def test_one_that_nobody_answers_for(self, tmp_path: Path) -> None:
        assert await breaches(f"postgresql://{OWNER}@/{DATABASE}?host={tmp_path}") == ["the database cannot be reached"]

    async def test_one_that_knows_no_such_database(self, migrated_dsn: str) -> None:
        assert await breaches(with_database(migrated_dsn, "lost")) == ["the database cannot be reached"]

    async def test_one_that_keeps_us_waiting(self, migrated_dsn: str, owner: Session) -> None:
        async with owner.transaction():
            await owner.execute("LOCK TABLE tallystick.schema_migrations")

            assert await breaches(migrated_dsn, PoolSettings(lock_seconds=0.05)) == [
                "the database does not answer (55P03)"
            ]
