"""Another PostgreSQL as the source: Supabase's `auth.users`, read as it is and never changed."""

import json
import os
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from urllib.parse import quote

import msgspec
import pytest

from tallystick.adapters.legacy.database import SupabaseSource
from tallystick.application.backfill_chunks import SourceChanged, check_source
from tallystick.application.backfill_planning import PlanBackfill
from tallystick.application.backfill_verification import VerifyBackfill
from tallystick.domain.backfill import Options, Run
from tallystick.domain.legacy import LegacyRecord
from tallystick.domain.legacy_sources import SourceError
from tests.integration.conftest import with_database
from tests.integration.postgres.sessions import Session, login_of, session
from tests.worlds.moving import Moving

WORKER = os.environ.get("PYTEST_XDIST_WORKER", "main")
READER, PASSWORD = f"supabase_reader_{WORKER}", "p@ss:w/rd?#"
FULL = """
CREATE TABLE auth.users (
    instance_id uuid, id uuid PRIMARY KEY, aud varchar(255), role varchar(255), email varchar(255),
    encrypted_password varchar(255), email_confirmed_at timestamptz, invited_at timestamptz,
    raw_app_meta_data jsonb, raw_user_meta_data jsonb, is_super_admin boolean, created_at timestamptz,
    updated_at timestamptz, phone text UNIQUE, phone_confirmed_at timestamptz,
    confirmed_at timestamptz GENERATED ALWAYS AS (LEAST(email_confirmed_at, phone_confirmed_at)) STORED,
    banned_until timestamptz, is_sso_user boolean NOT NULL DEFAULT false, deleted_at timestamptz,
    is_anonymous boolean NOT NULL DEFAULT false
)
"""
MINIMAL = "CREATE TABLE auth.users (id text PRIMARY KEY, raw_user_meta_data json)"
NOON = datetime(2024, 5, 31, 12, tzinfo=UTC)


def an_id(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012}"


class Supabase:
    """A database with `auth.users`, and somebody who may read it."""

    def __init__(self, dsn: str, superuser: Session) -> None:
        self.dsn, self._superuser = dsn, superuser

    async def make(self, table: str) -> None:
        await self.do(f"DROP TABLE IF EXISTS auth.users; {table}; GRANT SELECT ON auth.users TO {READER}")

    async def do(self, sql: str) -> None:
        await self._superuser.execute(sql)

    async def add(self, number: int, metadata: object, **columns: object) -> str:
        """Let there be a user."""
        values = {"id": an_id(number), "raw_user_meta_data": json.dumps(metadata), **columns}
        places = ", ".join(f"${place}" for place in range(1, len(values) + 1))
        await self._superuser.execute(
            f"INSERT INTO auth.users ({', '.join(values)}) VALUES ({places})",
            *values.values(),
        )
        return an_id(number)

    def source(self, metadata_field: str = "referral_id") -> SupabaseSource:
        return SupabaseSource(self.dsn, metadata_field)

    async def read(self, metadata_field: str = "referral_id") -> tuple[list[LegacyRecord], dict[int, str]]:
        batches = [batch async for batch in self.source(metadata_field).batches()]
        malformed = {line: reason for batch in batches for line, reason in batch.malformed}
        return [record for batch in batches for record in batch.records], malformed


@pytest.fixture(scope="module")
async def place(server: tuple[str, str]) -> AsyncIterator[str]:
    """Return the superuser's DSN of a database with the schema `auth`."""
    name = f"supabase_{WORKER}"
    async with session(server[0]) as administrator:
        await administrator.execute(f'CREATE DATABASE "{name}"')
        await administrator.execute(f"CREATE ROLE {READER} LOGIN PASSWORD '{PASSWORD}'")
        try:
            async with session(with_database(server[0], name)) as superuser:
                await superuser.execute(f"CREATE SCHEMA auth; GRANT USAGE ON SCHEMA auth TO {READER}")
            yield with_database(server[0], name)
        finally:
            await administrator.execute(f'DROP DATABASE "{name}" WITH (FORCE)')
            await administrator.execute(f"DROP ROLE {READER}")


@pytest.fixture
async def supabase(place: str) -> AsyncIterator[Supabase]:
    """Return a database with the full table, in which nobody is."""
    async with session(place) as superuser:
        made = Supabase(login_of(place, READER, quote(PASSWORD, safe="")), superuser)
        await made.make(FULL)
        yield made


async def planned(moving: Moving, source: SupabaseSource, metadata_field: str = "referral_id") -> Run:
    options = Options("supabase", metadata_field=metadata_field, chunk=2)
    return await PlanBackfill(moving.database(), moving.world.clock)(source, options, lambda _share: None)


async def test_users_come_with_their_codes_and_all_other_known_fields(supabase: Supabase) -> None:
    ada = await supabase.add(
        1,
        {"referral_id": "ada-1111", "name": "Ada"},
        email="ada@example.com",
        phone="4512345678",
        phone_confirmed_at=NOON,
        created_at=NOON,
        encrypted_password="secret hash",
    )
    ben = await supabase.add(2, None, phone="4587654321")

    records, malformed = await supabase.read()

    assert malformed == {}
    assert records == [
        (
            *(1, ada, "changed", "ADA1111", NOON, "ada@example.com", None, None, "4512345678"),
            *(True, None, None, None, False, 0, ()),
        ),
        (2, ben, "missing", None, None, None, None, None, "4587654321", False, None, None, None, False, 0, ()),
    ]


@pytest.mark.parametrize(
    ("confirmed_at", "verified"),
    [
        (None, False),
        (datetime(1, 1, 1, tzinfo=UTC), False),
        (datetime(1970, 1, 1, tzinfo=UTC), False),
        (datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC), True),
        (NOON, True),
    ],
)
async def test_only_a_time_after_1970_says_that_a_phone_was_verified(
    supabase: Supabase, confirmed_at: datetime | None, verified: bool
) -> None:
    await supabase.add(1, None, phone="4512345678", phone_confirmed_at=confirmed_at)

    (record,), _ = await supabase.read()

    assert record.phone_verified is verified


@pytest.mark.parametrize(
    ("value", "state", "code"),
    [
        (12345678, "kept", "12345678"),
        (1.5, "formless", None),
        (True, "changed", "TRUE"),
        (None, "missing", None),
        ("", "empty", None),
        ("  ", "empty", None),
        ({"code": "ADA11111"}, "formless", None),
        (["ADA11111"], "formless", None),
        ("A" * 64, "formless", None),
        ("K" * 4, "kept", "KKKK"),
        ("\u212a" * 4, "formless", None),
    ],
)
async def test_metadata_may_hold_any_json(supabase: Supabase, value: object, state: str, code: str | None) -> None:
    await supabase.add(1, {"referral_id": value})

    (record,), _ = await supabase.read()

    assert (record.code_state, record.code) == (state, code)


@pytest.mark.parametrize("metadata", [[], ["referral_id"], "referral_id", 7, {}, {"other": "ADA11111"}])
async def test_metadata_without_the_field_is_no_code(supabase: Supabase, metadata: object) -> None:
    await supabase.add(1, metadata)

    (record,), _ = await supabase.read()

    assert record.code_state == "missing"


async def test_the_field_may_be_called_otherwise(supabase: Supabase) -> None:
    name = 'it\'s "mine"; --'
    await supabase.add(1, {"referral_id": "WRONG111", name: "RIGHT111"})

    (record,), _ = await supabase.read(name)

    assert record.code == "RIGHT111"


async def test_users_who_were_deleted_there_are_not_among_them(supabase: Supabase) -> None:
    await supabase.add(1, {"referral_id": "ADA11111"}, deleted_at=NOON)
    ben = await supabase.add(2, {"referral_id": "BEN11111"})

    records, _ = await supabase.read()

    assert [record.user_id for record in records] == [ben]


async def test_a_table_of_two_columns_is_enough(supabase: Supabase) -> None:
    await supabase.make(MINIMAL)
    await supabase.do("""INSERT INTO auth.users VALUES ('ada', '{"referral_id": "ADA11111"}'), ('no good', '{}')""")

    records, malformed = await supabase.read()

    assert [(record.line, record.user_id, record.code) for record in records] == [(1, "ada", "ADA11111")]
    assert list(malformed) == [2]
    assert malformed[2].startswith("user_id has to be")


async def test_a_time_without_a_zone_is_utc(supabase: Supabase) -> None:
    await supabase.make("CREATE TABLE auth.users (id text, raw_user_meta_data jsonb, created_at timestamp)")
    await supabase.do("INSERT INTO auth.users VALUES ('ada', '{}', '2024-05-31 12:00')")

    (record,), _ = await supabase.read()

    assert record.created_at == NOON


@pytest.mark.parametrize("time", ["infinity", "-infinity", "0044-03-15 00:00 BC", "20000-01-01"])
async def test_a_time_that_no_calendar_of_ours_has_is_malformed(supabase: Supabase, time: str) -> None:
    await supabase.make("CREATE TABLE auth.users (id text, raw_user_meta_data jsonb, created_at timestamptz)")
    await supabase.do(f"INSERT INTO auth.users VALUES ('ada', '{{}}', '{time}'), ('ben', '{{}}', '2024-05-31 12:00Z')")

    (record,), malformed = await supabase.read()

    assert (record.user_id, record.created_at, list(malformed)) == ("ben", NOON, [1])


async def test_many_are_read_batch_by_batch_in_the_order_of_ids(supabase: Supabase) -> None:
    await supabase.make(MINIMAL)
    await supabase.do(
        "INSERT INTO auth.users SELECT 'user' || to_char(n, 'FM00000'), '{}' FROM generate_series(12000, 1, -1) n"
    )

    batches = [batch async for batch in supabase.source().batches()]

    assert [len(batch.records) for batch in batches] == [5000, 5000, 2000]
    assert [batch.progress for batch in batches] == [5 / 12, 10 / 12, 1.0]
    ids = [record.user_id for batch in batches for record in batch.records]
    assert ids == sorted(ids)


async def test_a_team_moves_in_and_it_is_proved(supabase: Supabase, moving: Moving) -> None:
    ada = await supabase.add(1, {"referral_id": "SAME1111"}, created_at=NOON, email="ada@example.com")
    ben = await supabase.add(2, {"referral_id": "same-1111"}, created_at=NOON.replace(year=2023))
    cyd = await supabase.add(3, {"referral_id": {"a": 1}}, created_at=NOON)

    run = await planned(moving, supabase.source())
    await check_source(run, supabase.source(), lambda _share: None)
    await moving.application()(run, connections=1, report=lambda *_: None)
    report = await VerifyBackfill(moving.database(), moving.world.clock)(run, supabase.source(), lambda _share: None)

    assert report.holds, report
    assert (run.plan.kept, run.plan.reminted, run.plan.minted, run.plan.formless_lines) == (1, 1, 1, [3])
    assert await moving.canonical(ben) == "SAME1111"
    assert len({await moving.canonical(user) for user in (ada, ben, cyd)} - {None}) == 3
    assert await moving.conflicts() == {("SAME1111", ada, ben, "duplicate")}
    assert (await moving.world.profile(ada)).email == "ada@example.com"


@pytest.mark.parametrize(
    "change",
    [
        'UPDATE auth.users SET raw_user_meta_data = \'{"referral_id": "NEW11111"}\'',
        "UPDATE auth.users SET email = 'new@example.com'",
        "UPDATE auth.users SET deleted_at = now()",
        f"INSERT INTO auth.users (id, raw_user_meta_data) VALUES ('{an_id(9)}', NULL)",
        "DELETE FROM auth.users",
    ],
)
async def test_a_change_after_planning_is_noticed(supabase: Supabase, moving: Moving, change: str) -> None:
    await supabase.add(1, {"referral_id": "ADA11111"})
    run = await planned(moving, supabase.source())
    await check_source(run, supabase.source(), lambda _share: None)

    await supabase.do(change)

    with pytest.raises(SourceChanged):
        await check_source(run, supabase.source(), lambda _share: None)


async def test_a_change_of_a_column_that_is_not_read_is_no_change(supabase: Supabase, moving: Moving) -> None:
    await supabase.add(1, {"referral_id": "ADA11111"})
    run = await planned(moving, supabase.source())

    await supabase.do(
        "UPDATE auth.users SET updated_at = now(), raw_user_meta_data = raw_user_meta_data || '{\"x\": 1}'"
    )

    await check_source(run, supabase.source(), lambda _share: None)


async def test_a_password_is_neither_stored_nor_shown(supabase: Supabase, moving: Moving) -> None:
    await supabase.add(1, {"referral_id": "ADA11111"}, encrypted_password="secret hash")
    run = await planned(moving, supabase.source())

    stored = await moving.rows(
        "SELECT r::text || coalesce(l::text, '') FROM tallystick.backfill_runs r, tallystick.legacy_users l"
    )
    shown = msgspec.json.encode(run).decode() + str(stored)
    assert stored
    for secret in (PASSWORD, quote(PASSWORD), quote(PASSWORD, safe=""), "secret hash"):
        assert secret not in shown
    assert READER in run.plan.source


@pytest.mark.parametrize(
    ("dsn", "name"),
    [
        ("postgresql://u:p@h:5432/db", "postgresql://u@h:5432/db"),
        ("postgres://u:p%40q@h/db", "postgres://u@h/db"),
        ("postgresql://u:p@q@h/db", "postgresql://u@h/db"),
        ("postgresql://h/db?user=u&password=p", "postgresql://h/db?user=u"),
        ("postgresql://u:p@/db?host=/run/pg&sslpassword=p", "postgresql://u@/db?host=/run/pg"),
        ("postgresql://u:p@[::1]:5432/db?sslmode=require#p", "postgresql://u@[::1]:5432/db?sslmode=require"),
        ("postgresql://u:p@h1:1,h2:2/db", "postgresql://u@h1:1,h2:2/db"),
    ],
)
def test_a_source_is_called_by_its_address(dsn: str, name: str) -> None:
    assert SupabaseSource(dsn, "referral_id").name == name


NO_ADDRESS = "the source is not an address such as postgresql://user:password@host:5432/database"


@pytest.mark.parametrize(
    ("dsn", "reason"),
    [
        ("postgresql://u:p@127.0.0.1:1/db", "the source cannot be reached: ConnectionRefusedError"),
        ("postgresql://u:s3cret/x@h/db", NO_ADDRESS),
        ("postgresql://u:s3cret@127.0.0.1:99999/db", NO_ADDRESS),
        ("postgresql://[::1/s3cret", NO_ADDRESS),
        ("postgresql://u:s3cret@h/db?sslmode=s3cret", NO_ADDRESS),
        ("postgresql:///db?port=s3cret", NO_ADDRESS),
    ],
)
async def test_a_source_that_cannot_be_reached_is_a_sentence(dsn: str, reason: str) -> None:
    with pytest.raises(SourceError) as refused:
        _ = [batch async for batch in SupabaseSource(dsn, "referral_id").batches()]

    assert str(refused.value) == reason


async def test_a_login_that_may_not_read_it_gets_a_sentence(supabase: Supabase, place: str) -> None:
    wrong = SupabaseSource(login_of(place, READER, "s3cret"), "referral_id")
    with pytest.raises(SourceError, match="cannot be reached: InvalidPasswordError 28P01"):
        _ = [batch async for batch in wrong.batches()]

    await supabase.do(f"REVOKE SELECT ON auth.users FROM {READER}")
    with pytest.raises(SourceError, match="cannot be read: InsufficientPrivilegeError 42501"):
        await supabase.read()


@pytest.mark.parametrize(
    "table", ["SELECT 1", "CREATE TABLE auth.users (id uuid)", "CREATE TABLE auth.users (raw_user_meta_data jsonb)"]
)
async def test_a_database_without_such_users_is_a_sentence(supabase: Supabase, table: str) -> None:
    await supabase.do("DROP TABLE auth.users")
    await supabase.do(table)

    with pytest.raises(SourceError, match=r"has no table auth\.users with id and raw_user_meta_data"):
        await supabase.read()


async def test_it_is_read_in_one_snapshot(supabase: Supabase) -> None:
    await supabase.make(MINIMAL)
    await supabase.do("INSERT INTO auth.users SELECT 'user' || n, '{}' FROM generate_series(1, 12000) n")
    found = 0

    async for batch in supabase.source().batches():
        if not found:
            await supabase.do('UPDATE auth.users SET raw_user_meta_data = \'{"referral_id": "NEW11111"}\'')
        assert all(record.code is None for record in batch.records)
        found += len(batch.records)

    assert found == 12000


async def test_a_connection_that_breaks_is_a_sentence(supabase: Supabase) -> None:
    await supabase.make(MINIMAL)
    await supabase.do("INSERT INTO auth.users SELECT 'user' || n, '{}' FROM generate_series(1, 12000) n")

    with pytest.raises(SourceError, match="the source cannot be read: "):
        async for _ in supabase.source().batches():
            await supabase.do(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'tallystick backfill'"
            )
