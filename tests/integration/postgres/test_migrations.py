"""Migrations on a real database: applied once, refused where they do not fit, taken back without a trace."""

import asyncpg
import pytest

from tallystick.adapters.postgres.migrating.migration_files import shipped
from tallystick.adapters.postgres.migrating.migrator import MigrationRefused, Pending
from tests.integration.postgres.schemas import NOW, a_migration, a_table, migrator, relations, versions
from tests.integration.postgres.sessions import session


class TestApply:
    async def test_an_empty_database_gets_every_migration_in_order(self, empty_dsn: str) -> None:
        applied = await migrator(empty_dsn).apply()

        assert applied == shipped()
        async with session(empty_dsn) as owner:
            rows = await owner.fetch("SELECT version, name, checksum, applied_at FROM tallystick.schema_migrations")
        assert [tuple(row) for row in rows] == [(m.version, m.name, m.checksum, NOW) for m in applied]

    async def test_applying_again_does_nothing(self, empty_dsn: str) -> None:
        await migrator(empty_dsn).apply()

        assert await migrator(empty_dsn).apply() == []

    async def test_only_missing_migrations_are_applied(self, empty_dsn: str) -> None:
        first, second, third = a_table("0001", "one"), a_table("0002", "two"), a_table("0003", "three")
        await migrator(empty_dsn, [first]).apply()

        assert (await migrator(empty_dsn, [first, second, third]).pending()).due == [second, third]
        assert await migrator(empty_dsn, [first, second, third]).apply() == [second, third]

    async def test_a_newer_database_is_left_as_it_is(self, empty_dsn: str) -> None:
        await migrator(empty_dsn, [a_table("0001", "one"), a_table("0002", "two")]).apply()
        older = migrator(empty_dsn, [a_table("0001", "one")])

        assert (await older.pending(), await older.apply()) == (Pending([], []), [])
        async with session(empty_dsn) as owner:
            assert await versions(owner) == ["0001", "0002"]

    async def test_asking_what_is_pending_changes_nothing(self, empty_dsn: str) -> None:
        assert await migrator(empty_dsn).pending() == Pending(due=shipped(), waiting=[])

        async with session(empty_dsn) as owner:
            assert await owner.fetchval("SELECT to_regnamespace('tallystick')") is None


class TestKinds:
    """One that waits runs once no server of the previous version is left: only an operator knows when that is."""

    async def test_one_that_waits_runs_when_it_is_asked_for(self, empty_dsn: str) -> None:
        first, waits, second = a_table("0001", "one"), a_table("0002", "two", kind="after"), a_table("0003", "three")
        await migrator(empty_dsn, [first]).apply()
        every = migrator(empty_dsn, [first, waits, second])

        assert await every.pending() == Pending(due=[second], waiting=[waits])
        assert await every.apply() == [second]
        assert await every.pending() == Pending(due=[], waiting=[waits])
        assert await every.apply(with_waiting=True) == [waits]
        assert await every.pending() == Pending(due=[], waiting=[])

    async def test_asked_for_together_they_run_in_order(self, empty_dsn: str) -> None:
        first, waits, second = a_table("0001", "one"), a_table("0002", "two", kind="after"), a_table("0003", "three")
        await migrator(empty_dsn, [first]).apply()

        assert await migrator(empty_dsn, [first, waits, second]).apply(with_waiting=True) == [waits, second]

    async def test_none_waits_on_an_empty_database(self, empty_dsn: str) -> None:
        both = [a_table("0001", "one"), a_table("0002", "two", kind="after")]

        assert await migrator(empty_dsn, both).apply() == both

    async def test_one_that_waits_is_left_to_a_newer_version(self, empty_dsn: str) -> None:
        first, waits, newer = a_table("0001", "one"), a_table("0002", "two", kind="after"), a_table("0003", "three")
        await migrator(empty_dsn, [first]).apply()
        await migrator(empty_dsn, [first, waits, newer]).apply()

        older = migrator(empty_dsn, [first, waits])

        assert (await older.pending(), await older.apply(with_waiting=True)) == (Pending([], []), [])


class TestRefusals:
    async def test_a_migration_that_was_changed_after_it_ran(self, empty_dsn: str) -> None:
        await migrator(empty_dsn, [a_table("0001", "one")]).apply()
        changed = migrator(empty_dsn, [a_table("0001", "another"), a_table("0002", "two")])

        for attempt in (changed.pending, changed.apply):
            with pytest.raises(MigrationRefused, match="migration 0001 was changed after it ran"):
                await attempt()
        async with session(empty_dsn) as owner:
            assert await relations(owner) == {"one"}

    @pytest.mark.parametrize(
        ("applied", "known"), [("0003", "0002"), ("0002", "0003")], ids=["a newer one and one missing", "another one"]
    )
    async def test_a_database_with_another_history(self, applied: str, known: str, empty_dsn: str) -> None:
        """A migration of this version would run on a schema that it was not written for."""
        first = a_table("0001", "one")
        await migrator(empty_dsn, [first, a_table(applied, "theirs")]).apply()
        other = migrator(empty_dsn, [first, a_table(known, "ours")])

        for attempt in (other.pending, other.apply):
            with pytest.raises(MigrationRefused, match=f"has migration {applied}, which this version does not know"):
                await attempt()

    async def test_taking_back_any_but_the_newest(self, empty_dsn: str) -> None:
        both = migrator(empty_dsn, [a_table("0001", "one"), a_table("0002", "two")])
        await both.apply()

        with pytest.raises(MigrationRefused, match="0001 is not the newest"):
            await both.roll_back("0001")
        async with session(empty_dsn) as owner:
            assert await versions(owner) == ["0001", "0002"]


class TestFailures:
    async def test_a_migration_that_fails_leaves_nothing_of_itself_and_all_of_the_earlier_ones(
        self, empty_dsn: str
    ) -> None:
        half = a_migration("0002", "CREATE TABLE tallystick.half (word text);\nSELECT 1 / 0;")
        never = a_table("0003", "never")

        with pytest.raises(asyncpg.DivisionByZeroError):
            await migrator(empty_dsn, [a_table("0001", "one"), half, never]).apply()

        async with session(empty_dsn) as owner:
            assert (await versions(owner), await relations(owner)) == (["0001"], {"one"})

    async def test_once_it_is_mended_it_is_applied_with_the_rest(self, empty_dsn: str) -> None:
        first, third = a_table("0001", "one"), a_table("0003", "three")
        with pytest.raises(asyncpg.DivisionByZeroError):
            await migrator(empty_dsn, [first, a_migration("0002", "SELECT 1 / 0;"), third]).apply()

        await migrator(empty_dsn, [first, a_table("0002", "two"), third]).apply()

        async with session(empty_dsn) as owner:
            assert await relations(owner) == {"one", "two", "three"}

    async def test_a_way_back_that_fails_leaves_everything(self, empty_dsn: str) -> None:
        stuck = a_migration(
            "0001", "CREATE TABLE tallystick.one (word text);", "DROP TABLE tallystick.one;\nSELECT 1 / 0;"
        )
        await migrator(empty_dsn, [stuck]).apply()

        with pytest.raises(asyncpg.DivisionByZeroError):
            await migrator(empty_dsn, [stuck]).roll_back("0001")

        async with session(empty_dsn) as owner:
            assert (await versions(owner), await relations(owner)) == (["0001"], {"one"})


OVERLAYS = """
ALTER TABLE tallystick.topics NO FORCE ROW LEVEL SECURITY;
ALTER TABLE tallystick.topic_events NO FORCE ROW LEVEL SECURITY;
ALTER TABLE tallystick.session_overlays NO FORCE ROW LEVEL SECURITY;
INSERT INTO tallystick.topics (topic_id, kind, head) VALUES ('overlays', 'overlays', 1), ('room', 'channel', 0);
INSERT INTO tallystick.topic_events VALUES ('overlays', 1, 'e', 'overlay_shown', 's#1', 'ada', '{}', now());
INSERT INTO tallystick.session_overlays VALUES ('s', 'ada', 1, '1', now());
ALTER TABLE tallystick.topics FORCE ROW LEVEL SECURITY;
ALTER TABLE tallystick.topic_events FORCE ROW LEVEL SECURITY;
ALTER TABLE tallystick.session_overlays FORCE ROW LEVEL SECURITY;
"""


class TestTakeBack:
    async def test_all_of_them_in_reverse_order_leave_an_empty_schema(self, empty_dsn: str) -> None:
        await migrator(empty_dsn).apply()

        for migration in reversed(shipped()):
            await migrator(empty_dsn).roll_back(migration.version)

        async with session(empty_dsn) as owner:
            assert (await versions(owner), await relations(owner)) == ([], set())
            assert not await owner.fetchval("SELECT has_schema_privilege('tallystick_app', 'tallystick', 'USAGE')")
            assert await owner.fetch("SELECT FROM pg_policies WHERE schemaname = 'tallystick'") == []

    async def test_overlays_are_taken_back_with_their_log_and_can_begin_again(self, empty_dsn: str) -> None:
        """An event of an overlay is none that the version before knows."""
        await migrator(empty_dsn).apply()
        first = next(number for number, each in enumerate(shipped()) if each.version == "0028")
        async with session(empty_dsn) as owner:
            await owner.execute(OVERLAYS)

        for _ in range(2):
            for migration in reversed(shipped()[first:]):
                await migrator(empty_dsn).roll_back(migration.version)
            async with session(empty_dsn) as owner:
                await owner.execute("ALTER TABLE tallystick.topics NO FORCE ROW LEVEL SECURITY")
                kept = [row["topic_id"] for row in await owner.fetch("SELECT topic_id FROM tallystick.topics")]
                await owner.execute("ALTER TABLE tallystick.topics FORCE ROW LEVEL SECURITY")
            assert kept == ["room"]
            assert await migrator(empty_dsn).apply(with_waiting=True) == shipped()[first:]

    @pytest.mark.parametrize("kept", range(len(shipped())))
    async def test_a_migration_that_was_taken_back_can_be_applied_again(self, kept: int, empty_dsn: str) -> None:
        await migrator(empty_dsn).apply()
        async with session(empty_dsn) as owner:
            before = await relations(owner)
        for migration in reversed(shipped()[kept:]):
            await migrator(empty_dsn).roll_back(migration.version)

        assert await migrator(empty_dsn).apply(with_waiting=True) == shipped()[kept:]

        async with session(empty_dsn) as owner:
            assert await relations(owner) == before
