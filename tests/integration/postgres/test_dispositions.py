"""Dispositions against the live schema: every column has one, and deletion does what they say."""

from collections.abc import AsyncIterator

import pytest

from tallystick.domain.dispositions import DISPOSITIONS, TABLES_WITHOUT_USERS
from tallystick.domain.users import Profile, UserId
from tests.integration.postgres.sessions import Session, session, superuser_of
from tests.worlds.overlays import Screens
from tests.worlds.rooms import Rooms
from tests.worlds.stages import Stages
from tests.worlds.world import World

USER = UserId("leaver")
WHOSE = {
    "users": "user_id",
    "credentials": "user_id",
    "sessions": "user_id",
    "rewards": "owner_id",
    "idempotency_keys": "caller",
    "reply_totals": "caller",
    "legacy_users": "user_id",
    "metadata_mirror": "user_id",
    "attribution_attempts": "user_id",
    "messages": "sender_id",
    "roster_slots": "player_id",
    "session_overlays": "owner_id",
}
"""The column that says whose a row is, in the tables of which deletion takes something."""
NAMED_BY = {"clicked_codes": "LEGACY11"}
"""Values that name the user in tables without the user's id."""
TAGS = {
    "Leaver.Mail@tagged.example",
    "leaver.mail@tagged.example",
    "leaver name",
    "Leaver Shown",
    "+4599887766",
    "hash of leaver pass",
    "reward of leaver",
    "overlay of leaver",
    "written by leaver",
    "key-of-leaver",
    "text of leaver",
}
"""Values that name the user; each is stored somewhere before the deletion."""
GOING = [
    (table, column)
    for table, columns in DISPOSITIONS.items()
    for column, disposition in columns.items()
    if disposition.becomes != "keep"
]


@pytest.fixture
async def reader(world: World, owner_dsn: str, server: tuple[str, str]) -> AsyncIterator[Session]:
    """Return a session that sees every row of the world's database."""
    async with session(superuser_of(server, owner_dsn)) as connection:
        await connection.execute("SET search_path = tallystick; SET bytea_output = escape")
        yield connection


BROUGHT = f"""
INSERT INTO backfill_runs (run, plan_hash, state, source_hash, plan, planned_at)
VALUES (1, 'plan', 'applied', 'source', '{{}}', now());
INSERT INTO legacy_users (
    run, position, user_id, email, email_key, username, username_key,
    display_name, phone, phone_verified
)
VALUES (
    1, 1, '{USER}', 'Leaver.Mail@tagged.example', 'leaver.mail@tagged.example', 'leaver name', 'leaver name',
    'Leaver Shown', '+4599887766', true
);
INSERT INTO legacy_codes (run, position, code, user_id, is_canonical) VALUES (1, 1, 'LEGACY11', '{USER}', true);
INSERT INTO code_conflicts (code, user_id, kept_by, reason, run, created_at)
VALUES ('LEGACY22', '{USER}', 'friend', 'duplicate', 1, now());
INSERT INTO clicked_codes (code, clicked_at) VALUES ('LEGACY11', now());
INSERT INTO metadata_mirror (user_id, code, mirrored_at) VALUES ('{USER}', 'LEGACY11', now());
INSERT INTO flags (name, enabled, updated_at, updated_by) VALUES ('webhook_enabled', true, now(), '{USER}');
INSERT INTO operator_actions (action_id, action, subject, found, done, operator, acted_at)
VALUES ('action', 'repair', '{USER}', 'referrals 1', 'referrals 0', 'ops', now());
INSERT INTO invariant_passes (promise, began_at, after, violations, skipped, last_violations, last_skipped)
VALUES ('balances_are_entries', now(), '{USER}', 0, 0, 0, 0);
"""
"""The rows that a backfill and an administrator leave."""


async def fill(world: World, reader: Session) -> None:
    """Let the user do everything that leaves something of them."""
    await world.an_invite(code="SEATS123", owner=USER)
    command = world.sign_up_command(USER, "SEATS123", password="leaver pass", phone_verified=True)
    await world.sign_up(command)
    profile = Profile("Leaver.Mail@tagged.example", "leaver name", "Leaver Shown", "+4599887766")
    code = await world.mint(USER)
    await world.remint(USER)
    await world.arrive("friend", code)
    await world.an_account(USER, balance=100)
    await world.purchase(USER, await world.a_reward(owner="friend"))
    hers = await world.a_reward(owner=USER)
    await world.change(hers, name="reward of leaver", description="written by leaver")
    await world.arrive(USER, code, profile=profile, key="key-of-leaver")
    await world.deliver("updated", USER, profile=profile)
    await world.sign_in("leaver.mail@tagged.example", "leaver pass")
    await world.award(USER, 5)
    await world.complete(await world.a_slip(USER))
    await world.a_waiting_slip(USER)
    rooms = Rooms(world)
    await rooms.send(await rooms.a_channel(owner=USER), USER, "text of leaver")
    stages = Stages(world)
    await stages.sync(stages.command("stage", f"captain 1 {USER}", by=USER))
    await Screens(world).put("screen", '"overlay of leaver"', by=USER)
    await reader.execute(BROUGHT)


async def dump(reader: Session) -> dict[str, str]:
    """Return every row of every table as text."""
    return {
        table: "\n".join(str(row[0]) for row in await reader.fetch(f"SELECT held::text FROM {table} AS held"))
        for table in await columns_of(reader)
    }


async def columns_of(reader: Session) -> dict[str, set[str]]:
    """Return the columns of every table of the schema."""
    rows = await reader.fetch(
        "SELECT t.relname, a.attname FROM pg_attribute AS a JOIN pg_class AS t ON t.oid = a.attrelid "
        "WHERE t.relnamespace = 'tallystick'::regnamespace AND t.relkind IN ('r', 'p') "
        "AND a.attnum > 0 AND NOT a.attisdropped"
    )
    columns: dict[str, set[str]] = {}
    for table, column in rows:
        columns.setdefault(table, set()).add(column)
    return columns


async def values(reader: Session, table: str, column: str) -> list[object]:
    """Return what a column holds in the user's rows."""
    rows = await reader.fetch(f"SELECT {column} FROM {table} WHERE {WHOSE[table]} = $1", USER)
    return [row[0] for row in rows if row[0] is not None]


async def test_every_column_of_the_schema_has_a_disposition_and_no_other_has(reader: Session) -> None:
    declared = {table: set(columns) for table, columns in DISPOSITIONS.items()}

    found = {
        table: columns for table, columns in (await columns_of(reader)).items() if table not in TABLES_WITHOUT_USERS
    }

    assert found == declared, "src/domain/dispositions.py has to say what becomes of every column"


async def test_tables_about_nobody_exist_and_name_nobody(world: World, reader: Session) -> None:
    await fill(world, reader)
    await world.deliver("updated", USER)
    rows = await dump(reader)

    assert rows.keys() >= TABLES_WITHOUT_USERS.keys()
    assert rows["webhook_deliveries"]
    assert not [table for table in TABLES_WITHOUT_USERS if USER in rows[table].lower() or "LEGACY11" in rows[table]]


async def test_every_table_about_users_is_filled_by_this_test(world: World, reader: Session) -> None:
    await fill(world, reader)

    rows = await dump(reader)

    assert [table for table in DISPOSITIONS if NAMED_BY.get(table, USER) not in rows[table]] == []


@pytest.mark.parametrize(("table", "column"), GOING)
async def test_nothing_is_left_of_the_columns_that_are_erased(
    world: World, reader: Session, table: str, column: str
) -> None:
    await fill(world, reader)
    before = await values(reader, table, column)

    await world.delete(USER)

    assert before
    after = await values(reader, table, column)
    if DISPOSITIONS[table][column].becomes == "delete":
        assert after == []
    else:
        assert not set(after) & set(before)


async def test_no_row_of_any_table_names_a_deleted_user(world: World, reader: Session) -> None:
    await fill(world, reader)
    text = "\n".join((await dump(reader)).values())
    assert {tag for tag in TAGS if tag not in text} == set()

    await world.delete(USER)

    text = "\n".join((await dump(reader)).values())
    assert {tag for tag in TAGS if tag in text} == set()
    assert await world.broken_promises() == []


async def test_the_columns_that_are_kept_stay(world: World, reader: Session) -> None:
    await fill(world, reader)
    before = await dump(reader)

    await world.delete(USER)

    after = await dump(reader)
    kept = [table for table, columns in DISPOSITIONS.items() if {each.becomes for each in columns.values()} == {"keep"}]
    # Codes say since when they resolve to no user; channels log the removal of the user and the end of the texts; a
    # roster without the user has its next version.
    changed = [table for table in kept if after[table] != before[table]]
    assert changed == ["referral_codes", "topic_events", "channel_members", "stage_rosters"]
