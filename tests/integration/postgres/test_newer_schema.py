"""A schema that a newer version migrated: served where every request of this version works on it, else refused."""

from collections.abc import AsyncIterator

import pytest

from tallystick.adapters.postgres.contract.schema import SchemaCheck
from tallystick.adapters.postgres.database import Connection
from tallystick.adapters.postgres.migrating.migration_files import shipped
from tests.integration.postgres.sessions import pool_on, superuser_of

NEWER = "INSERT INTO schema_migrations VALUES ('9999', 'words', '', now())"

WHAT_IS_ADDED = {
    "a table": "CREATE TABLE words (word text NOT NULL); GRANT ALL ON words TO tallystick_app",
    "a table that belongs to one of the service": (
        'CREATE TABLE words (user_id text COLLATE "C" REFERENCES users (user_id))'
    ),
    "a column that may be empty": "ALTER TABLE users ADD COLUMN word text",
    "a column with a default": "ALTER TABLE users ADD COLUMN word text NOT NULL DEFAULT 'word'",
    "a column that counts by itself": "ALTER TABLE users ADD COLUMN number bigint GENERATED ALWAYS AS IDENTITY",
    "a column that is computed": (
        "ALTER TABLE users ADD COLUMN initial text NOT NULL GENERATED ALWAYS AS (left(user_id, 1)) STORED"
    ),
    "a column that has to be filled where the service only reads": (
        "ALTER TABLE schema_migrations ADD COLUMN seconds bigint; UPDATE schema_migrations SET seconds = 1; "
        "ALTER TABLE schema_migrations ALTER COLUMN seconds SET NOT NULL"
    ),
    "a rule of a new column": "ALTER TABLE users ADD COLUMN word text, ADD CONSTRAINT users_word CHECK (word <> '')",
    "an index": "CREATE INDEX users_by_name ON users (display_name)",
    "a unique index of a new column": (
        "ALTER TABLE users ADD COLUMN word text; CREATE UNIQUE INDEX users_word ON users (word)"
    ),
    "a view": "CREATE VIEW people AS SELECT user_id FROM users",
    "a policy": "CREATE POLICY users_words ON users FOR SELECT TO tallystick_app USING (true)",
    "a grant": "GRANT UPDATE (created_at) ON users TO tallystick_app; GRANT DELETE ON users TO tallystick_app",
    "a value that a column may have": (
        "ALTER TABLE topics DROP CONSTRAINT topics_kind_known; "
        "ALTER TABLE topics ADD CONSTRAINT topics_kind_known CHECK (kind IN ('channel', 'overlays', 'word'))"
    ),
}
WHAT_BREAKS = {
    "a column that has to be filled": (
        "ALTER TABLE users ADD COLUMN word text NOT NULL",
        "rules that this version does not know: column word on users",
    ),
    "a narrower rule": (
        "ALTER TABLE users ADD CONSTRAINT users_few CHECK (referrals < 9)",
        "rules that this version does not know: constraint users_few on users",
    ),
    "a narrower rule that holds for new rows alone": (
        "ALTER TABLE users ADD CONSTRAINT users_few CHECK (referrals < 9) NOT VALID",
        "rules that this version does not know: constraint users_few on users",
    ),
    "a narrower rule under the same name": (
        (
            "ALTER TABLE users DROP CONSTRAINT users_referrals_not_negative, "
            "ADD CONSTRAINT users_referrals_not_negative CHECK (referrals > 0)"
        ),
        "another definition of constraint users_referrals_not_negative on users",
    ),
    "a value that a column may not have any more": (
        (
            "ALTER TABLE topic_events DROP CONSTRAINT topic_events_kind_known, "
            "ADD CONSTRAINT topic_events_kind_known CHECK (kind IN ('message', 'message_deleted', 'word'))"
        ),
        "another definition of constraint topic_events_kind_known on topic_events",
    ),
    "a wider rule that is no list of values": (
        (
            "ALTER TABLE messages DROP CONSTRAINT messages_body_bounded, "
            "ADD CONSTRAINT messages_body_bounded CHECK (length(body) BETWEEN 1 AND 9000)"
        ),
        "another definition of constraint messages_body_bounded on messages",
    ),
    "names that are taken once": (
        "CREATE UNIQUE INDEX users_name_once ON users (display_name)",
        "rules that this version does not know: index users_name_once on users",
    ),
    "a reference": (
        "ALTER TABLE rewards ADD CONSTRAINT rewards_known FOREIGN KEY (owner_id) REFERENCES users (user_id)",
        "rules that this version does not know: constraint rewards_known on rewards",
    ),
    "a table that keeps the service from deleting": (
        'CREATE TABLE words (user_id text COLLATE "C" CONSTRAINT words_attempt REFERENCES reply_totals (caller))',
        "rules that this version does not know: constraint words_attempt on words",
    ),
    "a table that went": ("DROP TABLE clicked_codes", "lacks: table clicked_codes"),
    "a column that went": ("ALTER TABLE users DROP COLUMN display_name", "lacks: column display_name on users"),
    "a column of another type": (
        "ALTER TABLE users ALTER COLUMN referrals TYPE numeric",
        "another definition of column referrals on users",
    ),
    "a column that lost its default": (
        "ALTER TABLE users ALTER COLUMN referrals DROP DEFAULT",
        "another definition of column referrals on users",
    ),
    "a column that may be empty now": (
        "ALTER TABLE rewards ALTER COLUMN name DROP NOT NULL",
        "another definition of column name on rewards",
    ),
    "an index that went": ("DROP INDEX users_email_key", "lacks: index users_email_key on users"),
    "a rule that went": (
        "ALTER TABLE users DROP CONSTRAINT users_referrals_not_negative",
        "lacks: constraint users_referrals_not_negative on users",
    ),
    "a grant that went": ("REVOKE INSERT ON users FROM tallystick_app", "lacks: grant INSERT on users"),
    "a policy that hides rows": (
        "CREATE POLICY users_few ON users AS RESTRICTIVE USING (created_at > now())",
        "other rights than it needs: policy users_few on users",
    ),
    "a right that no version needs": ("GRANT TRUNCATE ON users TO tallystick_app", "may change what is history: users"),
}


@pytest.fixture(scope="module")
async def connection(server: tuple[str, str], owner_dsn: str) -> AsyncIterator[Connection]:
    """Return a superuser's connection with the settings of the service."""
    async with pool_on(superuser_of(server, owner_dsn)) as database, database.connection() as connection:
        await connection.execute("SET ROLE none")
        yield connection


async def found_after(connection: Connection, statements: str) -> tuple[list[str], list[str]]:
    """Return the faults and the notes of a schema that was changed, and change it back."""
    change = connection.transaction()
    await change.start()
    await connection.execute(statements)
    found = await SchemaCheck(shipped()).faults(connection)
    await change.rollback()
    return (
        [fault.reason for fault in found if fault.blocks != "nothing"],
        [fault.reason for fault in found if fault.blocks == "nothing"],
    )


@pytest.mark.parametrize("statements", WHAT_IS_ADDED.values(), ids=list(WHAT_IS_ADDED))
async def test_what_a_newer_version_added_is_served_and_noted(statements: str, connection: Connection) -> None:
    faults, notes = await found_after(connection, f"{NEWER}; {statements}")

    assert (faults, notes) == ([], ["the database is newer than this version: 9999"])


@pytest.mark.parametrize(("statements", "why"), WHAT_BREAKS.values(), ids=list(WHAT_BREAKS))
async def test_what_breaks_this_version_is_named(statements: str, why: str, connection: Connection) -> None:
    faults, _ = await found_after(connection, f"{NEWER}; {statements}")

    assert [fault for fault in faults if why in fault] != []


@pytest.mark.parametrize("kind", ["a grant", "a policy", "a value that a column may have"])
async def test_rights_and_values_that_no_migration_brought_are_faults(kind: str, connection: Connection) -> None:
    faults, notes = await found_after(connection, WHAT_IS_ADDED[kind])

    assert (len(faults) > 0, notes) == (True, [])


async def test_what_was_accepted_of_a_newer_version_is_a_fault_once_its_migration_is_gone(
    connection: Connection,
) -> None:
    check = SchemaCheck(shipped())
    change = connection.transaction()
    await change.start()
    await connection.execute(f"{NEWER}; {WHAT_IS_ADDED['a grant']}")
    newer = [fault.blocks for fault in await check.faults(connection)]
    await connection.execute("DELETE FROM schema_migrations WHERE version = '9999'")
    older = [fault.blocks for fault in await check.faults(connection)]
    await change.rollback()

    assert newer == ["nothing"]
    assert set(older) == {"requests"}


async def test_a_migration_that_this_version_should_know_is_a_fault(connection: Connection) -> None:
    faults, _ = await found_after(connection, NEWER.replace("9999", "0000"))

    assert faults == ["migrations ran that this version lacks: 0000"]


async def test_a_known_migration_that_was_changed_is_a_fault_on_a_newer_schema_too(connection: Connection) -> None:
    changed = "UPDATE schema_migrations SET checksum = 'another' WHERE version = '0002'"

    faults, _ = await found_after(connection, f"{NEWER}; {changed}")

    assert faults == ["migrations differ from the ones that ran: 0002"]
