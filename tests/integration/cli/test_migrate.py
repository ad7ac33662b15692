"""`tallystick migrate`."""

import json
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from tallystick.adapters.postgres.migrating.migration_files import shipped
from tests.processes.installations import Installation, answer

ALL = [f"{migration.version}_{migration.name}" for migration in shipped()]


async def test_pending_migrations_are_shown_and_then_applied_once(
    unmigrated: Installation, unmigrated_dsn: str
) -> None:
    pending = unmigrated.run("migrate", "--check")
    assert (pending.returncode, pending.stdout) == (1, f"pending: {', '.join(ALL)}\n")
    connection = await asyncpg.connect(unmigrated_dsn)
    assert await connection.fetchval("SELECT to_regnamespace('tallystick')") is None

    applied = unmigrated.run("migrate")
    assert (applied.returncode, applied.stdout) == (0, f"applied: {', '.join(ALL)}\n")
    assert await connection.fetchval("SELECT count(*) FROM tallystick.schema_migrations") == len(ALL)
    await connection.close()

    again = unmigrated.run("migrate")
    assert (again.returncode, again.stdout) == (0, "the schema is up to date\n")
    pending = unmigrated.run("migrate", "--check", "--json")
    assert (pending.returncode, json.loads(pending.stdout)) == (0, {"pending": [], "waiting": []})


def test_migrations_take_the_way_past_the_pooler(unmigrated: Installation, unmigrated_dsn: str) -> None:
    past = {"DATABASE_URL": "postgresql://ada@127.0.0.1:1/tally", "DATABASE_DIRECT_URL": unmigrated_dsn}

    pending = unmigrated.run("migrate", "--check", "--json", **past)
    applied = unmigrated.run("migrate", "--json", **past)

    assert (pending.returncode, json.loads(pending.stdout)) == (1, {"pending": ALL, "waiting": []})
    assert (applied.returncode, json.loads(applied.stdout)) == (0, {"applied": ALL, "waiting": []})


async def test_the_plan_names_kinds_locks_and_sizes_and_changes_nothing(
    unmigrated: Installation, unmigrated_dsn: str
) -> None:
    assert unmigrated.run("migrate").returncode == 0
    assert unmigrated.run("migrate", "--plan").stdout == "nothing is pending\n"
    connection = await asyncpg.connect(unmigrated_dsn)
    await connection.execute("DELETE FROM tallystick.schema_migrations WHERE version IN ('0024', '0025')")

    shown, planned = unmigrated.run("migrate", "--plan"), unmigrated.run("migrate", "--plan", "--json")

    first, second = json.loads(planned.stdout)["steps"]
    assert (first["migration"], first["kind"], first["in_transaction"]) == (
        "0024_collected_from_others",
        "before",
        True,
    )
    assert first["locks"] == [
        {
            "table": "collected_rewards",
            "mode": "ACCESS EXCLUSIVE",
            "stops": "reads and writes",
            "rows": 0,
            "size_bytes": first["locks"][0]["size_bytes"],
        }
    ]
    assert [lock["stops"] for lock in second["locks"]] == ["nothing"]
    assert "collected_rewards: ACCESS EXCLUSIVE" in shown.stdout
    assert await connection.fetchval("SELECT count(*) FROM tallystick.schema_migrations") == len(ALL) - 2
    await connection.close()


async def test_a_newer_database_is_served_where_the_contract_holds(
    unmigrated: Installation, unmigrated_dsn: str
) -> None:
    assert unmigrated.run("migrate").returncode == 0
    connection = await asyncpg.connect(unmigrated_dsn)
    await connection.execute("INSERT INTO tallystick.schema_migrations VALUES ('9999', 'to_come', 'checksum', now())")
    note = "the database is newer than this version: 9999"

    migrated, server = unmigrated.run("migrate"), unmigrated.serve()
    ready, checked = answer(server.address, "/readyz"), unmigrated.run("check", "--json")

    assert (migrated.returncode, migrated.stdout) == (0, "the schema is up to date\n")
    assert f"warning: {note}" in server.output
    assert ready is not None
    assert ready.json() == {"status": "ready", "reasons": [], "notes": [note]}
    assert (checked.returncode, json.loads(checked.stdout)["ok"]) == (0, True)
    assert {"check": "schema", "state": "note", "reasons": [note]} in json.loads(checked.stdout)["checks"]
    assert server.end() == 0

    await connection.execute("ALTER TABLE tallystick.users ADD COLUMN word text NOT NULL")
    await connection.close()
    refused = unmigrated.run("serve", "--port", "0")

    assert refused.returncode == 1
    assert "the schema has rules that this version does not know: column word on users" in refused.stderr


def test_a_database_that_cannot_be_reached_or_entered_is_a_sentence(
    unmigrated: Installation, unmigrated_dsn: str
) -> None:
    parts = urlsplit(unmigrated_dsn)
    stranger = urlunsplit(parts._replace(netloc=f"nobody:hunter2@{parts.netloc.rpartition('@')[2]}"))

    for dsn in ("postgresql://ada:hunter2@127.0.0.1:1/tally", stranger, f"{unmigrated_dsn}&sslmode=banana"):
        refused = unmigrated.run("migrate", DATABASE_DIRECT_URL=dsn)

        assert refused.returncode in {1, 2}
        assert refused.stderr.startswith("tallystick: ")
        assert refused.stderr.count("\n") == 1
        assert "hunter2" not in refused.stderr
