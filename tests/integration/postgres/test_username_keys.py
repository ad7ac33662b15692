"""The migration that gives every username a key: as the service computes it, for the first of those who share one."""

import unicodedata
from collections.abc import Sequence

from tallystick.adapters.postgres.contract.comparison import manifest_faults
from tallystick.adapters.postgres.contract.manifest import read_manifest, shipped_manifest
from tallystick.adapters.postgres.migrating.migration_files import shipped, split
from tallystick.domain.usernames import username_form, username_key
from tests.http.services import running, settings
from tests.integration.conftest import NewDatabase, service_of
from tests.integration.postgres.schemas import migrator
from tests.integration.postgres.sessions import Session, pool_on, session

BEFORE = [migration for migration in shipped() if migration.version < "0019"]
INSERT = (
    "INSERT INTO tallystick.users (user_id, username, created_at) "
    "SELECT n.user_id, n.username, '2026-01-01'::timestamptz + n.age * interval '1 s' "
    "FROM unnest($1::text[], $2::text[], $3::bigint[]) AS n (user_id, username, age)"
)
COLLIDING = {"zoe": "Ada", "ada": "ada ", "bob": "ａｄａ", "cid": "ada", "dan": "dan"}


async def back_to_before(dsn: str) -> None:
    await migrator(dsn).apply(with_waiting=True)
    for migration in reversed(shipped()[len(BEFORE) :]):
        await migrator(dsn).roll_back(migration.version)


async def back_to(last: str, dsn: str) -> None:
    """Undo the migrations from the newest to this one."""
    for migration in reversed(shipped()):
        await migrator(dsn).roll_back(migration.version)
        if migration.name == last:
            break


async def name(owner: Session, users: Sequence[tuple[str, str]]) -> None:
    """Store users with names as they were stored before, the first one first."""
    async with owner.transaction():
        await owner.execute("SET LOCAL ROLE tallystick_app")
        await owner.execute(INSERT, [user for user, _ in users], [name for _, name in users], [*range(len(users))])


def test_both_migrations_compute_the_same_keys() -> None:
    created = [
        statement
        for migration in shipped()
        for statement in split(migration.up)
        if "CREATE OR REPLACE FUNCTION tallystick.username_key" in statement
    ]

    functions = {statement[statement.index("CREATE OR REPLACE") :] for statement in created}
    assert (len(created), len(functions)) == (2, 1)


async def test_every_name_gets_the_key_that_the_service_computes(new_database: NewDatabase) -> None:
    dsn = await new_database()
    await back_to_before(dsn)
    characters = [
        chr(number)
        for number in range(0x20, 0x20000)
        if unicodedata.category(chr(number))[0] not in "CM"
        and (username_key(chr(number)) != chr(number) or number % 97 == 0)
    ]
    texts = {f"user{number}": f"{number} x{character}X" for number, character in enumerate(characters)}
    async with session(dsn) as owner:
        await name(owner, [*texts.items()])

    await migrator(dsn).apply()

    async with session(dsn) as owner:
        await owner.execute("SET ROLE tallystick_app")
        rows = await owner.fetch("SELECT user_id, username_key FROM tallystick.users")
        transactions = await owner.fetchval("SELECT count(DISTINCT xmin::text) FROM tallystick.users")
    expected = {user: username_key(form) for user, text in texts.items() if (form := username_form(text)) is not None}
    assert len(expected) > 5_000
    assert transactions > 1, "a single transaction keeps every user locked for as long as it takes"
    assert {row["user_id"]: row["username_key"] for row in rows if row["user_id"] in expected} == expected


async def test_of_those_who_share_a_name_the_first_has_it_and_the_others_go_on(new_database: NewDatabase) -> None:
    dsn = await new_database()
    await back_to_before(dsn)
    async with session(dsn) as owner:
        await name(owner, [*COLLIDING.items()])

    await migrator(dsn).apply()

    async with running(settings(database_url=dsn), "postgres") as (anyone, _):
        for user, username in COLLIDING.items():
            upserted = await anyone.named(user).post("/api/users/upsert", {"username": username, "display_name": "D"})
            assert upserted.status_code == (200 if username == username.strip() and username.isascii() else 409), user
        assert (await anyone.named("eve").post("/api/users/upsert", {"username": "ADA"})).status_code == 409
        assert (await anyone.named("cid").post("/api/users/upsert", {"username": "ADA"})).status_code == 409
        await anyone.deliver({"type": "user.updated", "data": {"id": "cid", "display_name": "C", "username": "ada"}})
        assert (await anyone.named("cid").get("/api/me")).json()["username"] == "ada"
        clerk = {"id": "cid", "email_addresses": [], "username": "ada"}
        receipt = await anyone.deliver({"type": "user.updated", "data": clerk}, message_id="clerk")
        assert receipt.json() == {"status": "processed"}
        names = {user: (await anyone.named(user).get("/api/me")).json()["username"] for user in COLLIDING}
        assert names == {**COLLIDING, "zoe": None}


async def test_names_of_servers_without_keys_get_their_keys_once_none_of_them_is_left(
    new_database: NewDatabase,
) -> None:
    dsn = await new_database()
    await back_to_before(dsn)
    async with session(dsn) as owner:
        await name(owner, [("ada", "Ada"), ("bob", "Bob"), ("cid", "Cid"), ("dan", "Dan"), ("eve", "Eve")])
    assert "names_of_older_servers" not in {migration.name for migration in await migrator(dsn).apply()}
    async with session(dsn) as owner:
        await name(owner, [("new", "Fay"), ("late", "EVE")])
        await owner.execute("SET ROLE tallystick_app")
        for user, username in (("ada", "Zoe"), ("bob", "Ada"), ("cid", None)):
            await owner.execute("UPDATE tallystick.users SET username = $2 WHERE user_id = $1", user, username)

    await migrator(dsn).apply(with_waiting=True)

    async with session(dsn) as owner:
        await owner.execute("SET ROLE tallystick_app")
        rows = await owner.fetch("SELECT user_id, username_key FROM tallystick.users")
    assert {row["user_id"]: row["username_key"] for row in rows} == {
        "ada": "zoe",
        "bob": "ada",
        "cid": None,
        "dan": "dan",
        "eve": "eve",
        "new": "fay",
        "late": None,  # another user has the name
    }


async def test_names_get_their_keys_after_the_way_back_to_servers_without_keys(new_database: NewDatabase) -> None:
    dsn = await new_database()
    await back_to("names_of_older_servers", dsn)
    async with session(dsn) as owner:
        await name(owner, [("ada", "Ada")])

    await migrator(dsn).apply(with_waiting=True)

    async with session(dsn) as owner:
        await owner.execute("SET ROLE tallystick_app")
        assert await owner.fetchval("SELECT username_key FROM tallystick.users") == "ada"
        assert await owner.fetchval("SELECT to_regprocedure('tallystick.username_key(text)')") is None


async def test_a_database_that_ran_the_former_migration_gets_the_same_schema(new_database: NewDatabase) -> None:
    dsn = await new_database()
    await back_to("names_of_older_servers", dsn)
    (former,) = next(migration for migration in shipped() if migration.version == "0019").former_checksums
    async with session(dsn) as owner:
        await owner.execute("UPDATE tallystick.schema_migrations SET checksum = $1 WHERE version = '0019'", former)
        await owner.execute("DROP INDEX tallystick.users_by_username")
        await owner.execute(
            "ALTER TABLE tallystick.users "
            "ADD CONSTRAINT users_key_has_username CHECK (username_key IS NULL OR username IS NOT NULL)"
        )

    for with_waiting in (False, True):
        await migrator(dsn).apply(with_waiting=with_waiting)
        async with pool_on(service_of(dsn)) as database, database.connection() as connection:
            assert manifest_faults(shipped_manifest(), await read_manifest(connection)) == []


async def test_the_way_back_keeps_the_names(new_database: NewDatabase) -> None:
    dsn = await new_database()
    await back_to_before(dsn)
    async with session(dsn) as owner:
        await name(owner, [*COLLIDING.items()])
    await migrator(dsn).apply()
    async with running(settings(database_url=dsn), "postgres") as (anyone, _):
        for user, username in (("zoe", "zoe"), ("eve", "ada")):
            assert (await anyone.named(user).post("/api/users/upsert", {"username": username})).status_code == 200

    await back_to_before(dsn)

    async with session(dsn) as owner:
        await owner.execute("SET ROLE tallystick_app")
        rows = await owner.fetch("SELECT user_id, username FROM tallystick.users")
    assert {row["user_id"]: row["username"] for row in rows} == {**COLLIDING, "zoe": "zoe", "eve": "ada", "cid": None}
