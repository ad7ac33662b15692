"""The manifest: it is what a migrated database has, and each change of each item of it is noticed."""

import copy
import re
from collections.abc import AsyncIterator, Callable, Iterator, Mapping

import pytest

from tallystick.adapters.postgres.contract.manifest import Found, read_manifest, shipped_manifest
from tallystick.adapters.postgres.contract.schema import SchemaCheck
from tallystick.adapters.postgres.database import Connection
from tests.integration.conftest import NewDatabase, service_of
from tests.integration.postgres.sessions import pool_on, session, superuser_of
from tests.pages.manifest import FILE, render

MANIFEST: Found = {
    owner: {item: text for item, text in items.items() if isinstance(text, str)}
    for owner, items in shipped_manifest().items()
}
"""The items that no waiting migration changes."""
Change = Callable[[str, str, str], str | None]
"""The statements that change an item, by its owner, its name and its definition; None where it cannot change so."""


def _replaced_column(table: str, column: str, _: str) -> str:
    return f"ALTER TABLE {table} DROP COLUMN {column} CASCADE; ALTER TABLE {table} ADD COLUMN {column} point"


def _other_default(table: str, column: str, definition: str) -> str | None:
    if "DEFAULT" not in definition:
        return None
    kind = re.split(" COLLATE | NOT NULL| DEFAULT ", definition)[0]
    return f"ALTER TABLE {table} ALTER COLUMN {column} SET DEFAULT coalesce(NULL::{kind})"


def _other_nullability(table: str, column: str, definition: str) -> str | None:
    if "NOT NULL" not in definition:
        return f"ALTER TABLE {table} ALTER COLUMN {column} SET NOT NULL"
    key = next(text for item, text in MANIFEST[table].items() if text.startswith("PRIMARY KEY"))
    is_in_key = column in key.removeprefix("PRIMARY KEY (").removesuffix(")").replace('"', "").split(", ")
    return None if is_in_key else f"ALTER TABLE {table} ALTER COLUMN {column} DROP NOT NULL"


def _not_valid(table: str, constraint: str, definition: str) -> str | None:
    if not definition.startswith(("CHECK", "FOREIGN KEY")):
        return None
    drop = f"ALTER TABLE {table} DROP CONSTRAINT {constraint}"
    return f"{drop}, ADD CONSTRAINT {constraint} {definition} NOT VALID"


def _invalid(_: str, index: str, __: str) -> str:
    """A build that failed leaves this behind."""
    return f"UPDATE pg_index SET indisvalid = false WHERE indexrelid = '{index}'::regclass"


def _disabled(table: str, _: str, definition: str) -> str | None:
    return f"ALTER TABLE {table} DISABLE TRIGGER ALL" if definition.startswith("FOREIGN KEY") else None


def _other_policy(table: str, policy: str, definition: str) -> str:
    clause = "USING" if "USING" in definition else "WITH CHECK"
    return f"ALTER POLICY {policy} ON {table} {clause} (false)"


def _other_command(table: str, policy: str, definition: str) -> str:
    command = "INSERT" if " SELECT " in definition else "SELECT"
    rule = "WITH CHECK" if command == "INSERT" else "USING"
    created = f"CREATE POLICY {policy} ON {table} FOR {command} TO tallystick_app {rule} (true)"
    return f"DROP POLICY {policy} ON {table}; {created}"


def _on(owner: str) -> str:
    return f"SCHEMA {owner}" if owner == "tallystick" else owner


def _narrowed(table: str, privilege: str, _: str) -> str | None:
    if privilege not in {"SELECT", "INSERT"}:
        return None
    column = next(item for item in MANIFEST[table] if item.startswith("column ")).removeprefix("column ")
    return (
        f"REVOKE {privilege} ON {table} FROM tallystick_app; GRANT {privilege} ({column}) ON {table} TO tallystick_app"
    )


def _altered(what: str) -> Change:
    return lambda role, _, __: f"ALTER ROLE {role} {what}"


ROLE_CHANGES = ("SUPERUSER", "BYPASSRLS", "CREATEROLE", "CREATEDB", "REPLICATION", "RENAME TO renamed")
CHANGES: Mapping[str, Mapping[str, Change]] = {
    "table": {
        "dropped": lambda table, _, __: f"DROP TABLE {table} CASCADE",
        "renamed": lambda table, _, __: f"ALTER TABLE {table} RENAME TO renamed",
        "replaced by a view": lambda table, _, __: (
            f"ALTER TABLE {table} RENAME TO renamed; CREATE VIEW {table} AS SELECT * FROM renamed"
        ),
        "not logged": lambda table, _, __: f"UPDATE pg_class SET relpersistence = 'u' WHERE oid = '{table}'::regclass",
    },
    "row level security": {
        "disabled": lambda table, _, __: f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY",
        "not forced": lambda table, _, __: f"ALTER TABLE {table} NO FORCE ROW LEVEL SECURITY",
    },
    "column": {
        "dropped": lambda table, name, _: f"ALTER TABLE {table} DROP COLUMN {name} CASCADE",
        "renamed": lambda table, name, _: f"ALTER TABLE {table} RENAME COLUMN {name} TO renamed",
        "of another type": _replaced_column,
        "of another nullability": _other_nullability,
        "of another default": _other_default,
    },
    "constraint": {
        "dropped": lambda table, name, _: f"ALTER TABLE {table} DROP CONSTRAINT {name} CASCADE",
        "renamed": lambda table, name, _: f"ALTER TABLE {table} RENAME CONSTRAINT {name} TO renamed",
        "replaced": lambda table, name, _: (
            f"ALTER TABLE {table} DROP CONSTRAINT {name} CASCADE; "
            f"ALTER TABLE {table} ADD CONSTRAINT {name} CHECK (1 = 1)"
        ),
        "not valid": _not_valid,
        "disabled": _disabled,
    },
    "index": {
        "dropped": lambda _, name, __: f"DROP INDEX {name}",
        "renamed": lambda _, name, __: f"ALTER INDEX {name} RENAME TO renamed",
        "replaced": lambda table, name, _: f"DROP INDEX {name}; CREATE INDEX {name} ON {table} ((1))",
        "invalid": _invalid,
    },
    "policy": {
        "dropped": lambda table, name, _: f"DROP POLICY {name} ON {table}",
        "renamed": lambda table, name, _: f"ALTER POLICY {name} ON {table} RENAME TO renamed",
        "of another rule": _other_policy,
        "of another command": _other_command,
        "of another role": lambda table, name, _: f"ALTER POLICY {name} ON {table} TO anon",
    },
    "grant": {
        "revoked": lambda owner, name, _: f"REVOKE {name} ON {_on(owner)} FROM tallystick_app",
        "on one column": _narrowed,
    },
    "role": {what: _altered(what) for what in ROLE_CHANGES},
}
"""The changes of an item, by kind."""


def kind_of(item: str) -> str:
    return item if item in CHANGES else item.partition(" ")[0]


def cases(kind: str, change: Change) -> Iterator[tuple[str, str]]:
    """Return the statements for each item of a kind, and the item in the words of a fault."""
    for owner, items in MANIFEST.items():
        for item, definition in items.items():
            if kind_of(item) == kind:
                statements = change(owner, item.partition(" ")[2], definition)
                if statements is not None:
                    is_whole = item in {"table", "role"}
                    yield statements, f"{item} {owner}" if is_whole else f"{item} on {owner}"


@pytest.fixture(scope="module")
async def superuser(server: tuple[str, str], owner_dsn: str) -> AsyncIterator[Connection]:
    """Return a superuser's connection with the settings of the service."""
    async with pool_on(superuser_of(server, owner_dsn)) as database, database.connection() as connection:
        await connection.execute("SET ROLE none")
        yield connection


async def test_the_file_is_what_a_migrated_database_has(new_database: NewDatabase) -> None:
    dsn = await new_database()
    async with session(dsn) as owner:
        await owner.execute("DROP SCHEMA tallystick CASCADE")

    assert FILE.read_text(encoding="utf-8") == await render(dsn, service_of(dsn)), (
        "migrations have changed the schema; write the manifest anew: .venv/bin/python -m tests.pages.manifest"
    )


async def test_it_does_not_depend_on_the_search_path(superuser: Connection) -> None:
    async with superuser.transaction():
        before = await read_manifest(superuser)
        await superuser.execute("SET LOCAL search_path = pg_temp")
        assert await read_manifest(superuser) == before


def test_every_kind_of_item_can_be_changed() -> None:
    assert {kind_of(item) for items in MANIFEST.values() for item in items} == set(CHANGES)


@pytest.mark.parametrize(("kind", "what"), [(kind, what) for kind, changes in CHANGES.items() for what in changes])
async def test_each_item_that_is_changed_is_noticed(kind: str, what: str, superuser: Connection) -> None:
    """The contract agreed before, so that its fingerprint has to notice the change, too."""
    agreed = SchemaCheck([])
    assert await agreed.manifest_faults(superuser) == []
    overlooked, changed = [], 0
    for statements, name in cases(kind, CHANGES[kind][what]):
        change = superuser.transaction()
        await change.start()
        await superuser.execute(statements)
        faults = [fault.explained for fault in await copy.copy(agreed).manifest_faults(superuser)]
        await change.rollback()
        changed += 1
        wanted = f"on: {name.rpartition(' ')[2]}" if kind == "row level security" else name
        if not any(wanted in fault for fault in faults):
            overlooked.append((name, faults))

    assert overlooked == []
    assert changed > 0
    assert await agreed.manifest_faults(superuser) == []


async def test_a_right_by_another_role_is_noticed(superuser: Connection) -> None:
    agreed = SchemaCheck([])
    change = superuser.transaction()
    await change.start()
    await superuser.execute("CREATE ROLE cleaner; GRANT DELETE ON tallystick.users TO cleaner")
    assert await agreed.manifest_faults(superuser) == []

    await superuser.execute("GRANT cleaner TO tallystick_app")
    faults = [fault.reason for fault in await agreed.manifest_faults(superuser)]
    await change.rollback()

    assert faults == ["the service may delete what is history: users"]
