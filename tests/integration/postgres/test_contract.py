"""The contract with the database: a good one has no breaches, and every way to be bad is named."""

from datetime import datetime, timedelta
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
from tallystick.application.readiness import Fault
from tests.integration.conftest import service_of, with_database
from tests.integration.postgres.clusters import empty
from tests.integration.postgres.schemas import migrator
from tests.integration.postgres.sessions import Session, database_name, pool_on, superuser_of

NEWEST = shipped()[-1].version


async def breaches(
    dsn: str, settings: PoolSettings | None = None, *, accepts_single_login: bool = False, explained: bool = False
) -> list[str]:
    """Return why the service must not serve on the database of the owner's DSN; explained as for operators."""
    found = await faults(dsn, settings, accepts_single_login=accepts_single_login)
    return [fault.explained if explained else fault.reason for fault in found if fault.blocks != "nothing"]


async def notes(dsn: str) -> list[str]:
    """Return the notes for the operator of a database on which the service may serve."""
    return [fault.reason for fault in await faults(dsn) if fault.blocks == "nothing"]


async def faults(dsn: str, settings: PoolSettings | None = None, *, accepts_single_login: bool = False) -> list[Fault]:
    database = Database(service_of(dsn), settings)
    await database.open()
    try:
        return await DatabaseContract(database, SystemClock(), accepts_single_login=accepts_single_login).faults()
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
        missing = [migration.version for migration in shipped() if migration.kind == "before"][-1]
        for migration in reversed(shipped()):
            if migration.version >= missing:
                await migrator(migrated_dsn).roll_back(migration.version)

        (missed, *_) = await breaches(migrated_dsn)
        assert missed == f"migrations are missing: {missing}; run 'tallystick migrate'"

    async def test_one_that_was_changed_after_it_ran(self, migrated_dsn: str, owner: Session) -> None:
        await owner.execute("UPDATE tallystick.schema_migrations SET checksum = 'another' WHERE version = '0002'")

        assert await breaches(migrated_dsn) == ["migrations differ from the ones that ran: 0002"]


class TestSchema:
    """`test_manifest` changes every item; these say what an operator reads."""

    async def test_what_is_missing_is_named(self, migrated_dsn: str, owner: Session) -> None:
        await owner.execute(
            "SET search_path = tallystick; ALTER TABLE users DROP CONSTRAINT users_referrals_not_negative"
        )
        await owner.execute("DROP TABLE clicked_codes; DROP INDEX referral_codes_one_canonical")

        assert await breaches(migrated_dsn) == [
            (
                "the schema lacks: table clicked_codes, index referral_codes_one_canonical on referral_codes, "
                "constraint users_referrals_not_negative on users"
            )
        ]

    async def test_a_column_of_another_type_is_named_with_both_types(self, migrated_dsn: str, owner: Session) -> None:
        await owner.execute("ALTER TABLE tallystick.clicked_codes ALTER COLUMN clicked_at TYPE timestamp")

        assert await breaches(migrated_dsn, explained=True) == [
            (
                "the schema has another definition of column clicked_at on clicked_codes: "
                "expected timestamp with time zone NOT NULL, found timestamp without time zone NOT NULL"
            )
        ]

    async def test_one_that_was_not_validated_yet(self, migrated_dsn: str, owner: Session) -> None:
        await owner.execute(
            "ALTER TABLE tallystick.users DROP CONSTRAINT users_referrals_not_negative, "
            "ADD CONSTRAINT users_referrals_not_negative CHECK (referrals >= 0) NOT VALID"
        )

        assert await breaches(migrated_dsn, explained=True) == [
            (
                "the schema has another definition of constraint users_referrals_not_negative on users: "
                "expected CHECK (referrals >= 0), found CHECK (referrals >= 0) NOT VALID"
            )
        ]

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

        (breach,) = await breaches(migrated_dsn, explained=True)
        assert breach.startswith("the schema has another definition of index users_username_once on users: expected ")
        assert breach.endswith(" INVALID")

    async def test_an_index_of_that_name_that_is_not_unique(self, migrated_dsn: str, owner: Session) -> None:
        await owner.execute(
            "DROP INDEX tallystick.users_email_key; CREATE INDEX users_email_key ON tallystick.users (email_key)"
        )

        assert await breaches(migrated_dsn) == ["the schema has another definition of index users_email_key on users"]

    async def test_what_the_operator_added_is_no_breach(self, migrated_dsn: str, owner: Session) -> None:
        await owner.execute(
            "SET search_path = tallystick; CREATE TABLE reports (report text); GRANT ALL ON reports TO tallystick_app; "
            "CREATE VIEW people AS SELECT user_id FROM users; CREATE INDEX users_by_name ON users (display_name); "
            "ALTER TABLE users ADD COLUMN note text; GRANT UPDATE (note) ON users TO tallystick_app; "
            "CREATE POLICY users_reports ON users FOR SELECT TO authenticated USING (true)"
        )

        assert await breaches(migrated_dsn) == []

    async def test_storage_parameters_are_no_breach(self, migrated_dsn: str, owner: Session) -> None:
        await owner.execute(
            "SET search_path = tallystick; ALTER INDEX users_email_key SET (fillfactor = 70); "
            "ALTER INDEX users_pkey SET (fillfactor = 70); ALTER TABLE users SET (fillfactor = 70)"
        )

        assert await breaches(migrated_dsn) == []

    async def test_a_probe_does_not_wait_for_a_migration_that_locks_tables(
        self, migrated_dsn: str, owner: Session
    ) -> None:
        """To read the definition of a check PostgreSQL locks the table: the probe reads it after a change alone."""
        async with pool_on(service_of(migrated_dsn), PoolSettings(lock_seconds=0.05)) as database:
            contract = DatabaseContract(database, SystemClock())
            assert await contract.faults() == []

            async with owner.transaction():
                await owner.execute("LOCK TABLE tallystick.users")
                locked = await contract.faults()

            await owner.execute("ALTER TABLE tallystick.users RENAME COLUMN phone TO telephone")
            changed = await contract.faults()
            await owner.execute("ALTER TABLE tallystick.users RENAME COLUMN telephone TO phone")

            assert locked == []
            assert "column phone on users" in changed[0].reason
            assert await contract.faults() == []


class TestRights:
    @pytest.mark.parametrize("change", ["DISABLE ROW LEVEL SECURITY", "NO FORCE ROW LEVEL SECURITY"])
    async def test_row_level_security_that_is_not_forced(self, change: str, migrated_dsn: str, owner: Session) -> None:
        await owner.execute(f"ALTER TABLE tallystick.referral_edges {change}")

        assert await breaches(migrated_dsn) == ["row level security is not forced on: referral_edges"]

    async def test_a_policy_that_was_added_for_the_service(self, migrated_dsn: str, owner: Session) -> None:
        await owner.execute(
            "CREATE POLICY users_of_today ON tallystick.users AS RESTRICTIVE USING (created_at > now())"
        )

        assert await breaches(migrated_dsn) == [
            "the service has other rights than it needs: policy users_of_today on users"
        ]

    async def test_a_grant_beyond_what_the_service_needs(self, migrated_dsn: str, owner: Session) -> None:
        await owner.execute("GRANT INSERT ON tallystick.schema_migrations TO tallystick_app")
        await owner.execute("GRANT CREATE ON SCHEMA tallystick TO tallystick_app")

        assert await breaches(migrated_dsn) == [
            "the service has other rights than it needs: grant INSERT on schema_migrations, grant CREATE on tallystick"
        ]

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


class JumpingClock(SystemClock):
    """A clock that jumps after it was first asked, and seconds of the process that may jump with it."""

    def __init__(self, clock_seconds: float, process_seconds: float) -> None:
        self._clock_seconds, self._process_seconds = timedelta(seconds=clock_seconds), process_seconds
        self._times = 0

    def now(self) -> datetime:
        self._times += 1
        return super().now() + self._clock_seconds * (self._times > 1)

    def monotonic(self) -> float:
        return super().monotonic() + self._process_seconds * (self._times > 1)


@pytest.mark.parametrize(
    ("clock_seconds", "process_seconds"),
    [(100, 100), (100, 0), (-100, 0)],
    ids=["the process was stopped", "the machine was suspended", "the clock was set back"],
)
async def test_clocks_are_not_compared_where_time_jumps_between_question_and_answer(
    clock_seconds: float, process_seconds: float, migrated_dsn: str
) -> None:
    compared: list[timedelta] = []
    async with pool_on(service_of(migrated_dsn), PoolSettings()) as database:
        clock = JumpingClock(clock_seconds, process_seconds)
        contract = DatabaseContract(database, clock, compared=compared.append)

        assert await contract.faults() == []

    assert compared == []
