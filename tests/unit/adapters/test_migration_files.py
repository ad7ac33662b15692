"""Migrations as files: the parts of a file, the files that are refused, and the rules for shipped ones."""

import re
from pathlib import Path

import pytest

import tallystick.adapters.postgres
from tallystick.adapters.postgres.migrating.migration_files import Migration, TableLock, in_order, parse, shipped

FOLDER = Path(str(tallystick.adapters.postgres.__file__)).parent / "migrations"
HEADER = "-- Why.\n\n-- kind: before\n-- locks: users ACCESS EXCLUSIVE, rewards SHARE UPDATE EXCLUSIVE\n"
TEXT = HEADER + "-- migrate:up\nCREATE TABLE t ();\n\n-- migrate:down\nDROP TABLE t;\n"


class TestParse:
    def test_the_way_there_and_the_way_back_are_distinguished(self) -> None:
        migration = parse("0012_one_reason.sql", TEXT)

        assert (migration.version, migration.name) == ("0012", "one_reason")
        assert (migration.up, migration.down) == ("CREATE TABLE t ();", "DROP TABLE t;")
        assert migration.in_transaction

    def test_it_may_ask_to_run_outside_a_transaction(self) -> None:
        assert not parse("0001_words.sql", TEXT.replace("migrate:up", "migrate:up transaction:false")).in_transaction

    def test_every_written_letter_counts_for_the_checksum(self) -> None:
        assert parse("0001_words.sql", TEXT).checksum != parse("0001_words.sql", TEXT.replace("Why", "How")).checksum

    def test_kind_and_locks_do_not_count_because_released_files_got_them_later(self) -> None:
        other = TEXT.replace("kind: before", "kind: after").replace("users ACCESS", "invites ACCESS")

        assert parse("0001_words.sql", TEXT).checksum == parse("0001_words.sql", other).checksum

    def test_a_file_names_its_former_checksums(self) -> None:
        other = TEXT.replace("-- migrate:up", f"-- formerly: {'a' * 64}\n-- formerly: {'b' * 64}\n-- migrate:up")

        assert parse("0001_words.sql", other).former_checksums == {"a" * 64, "b" * 64}
        assert parse("0001_words.sql", other).checksum == parse("0001_words.sql", TEXT).checksum

    @pytest.mark.parametrize("kind", ["before", "after"])
    def test_it_runs_before_or_after_the_servers_are_replaced(self, kind: str) -> None:
        assert parse("0001_words.sql", TEXT.replace("kind: before", f"kind: {kind}")).kind == kind

    def test_it_names_the_locks_that_it_takes(self) -> None:
        locks = (TableLock("users", "ACCESS EXCLUSIVE"), TableLock("rewards", "SHARE UPDATE EXCLUSIVE"))

        assert parse("0001_words.sql", TEXT).locks == locks
        assert parse("0001_words.sql", re.sub("locks: .*", "locks: none", TEXT)).locks == ()

    @pytest.mark.parametrize(
        "header",
        [
            "-- Why.\n",
            "-- kind: before\n",
            "-- locks: none\n",
            "-- kind: between\n-- locks: none\n",
            "-- kind: before\n-- locks:\n",
        ],
    )
    def test_a_file_without_its_kind_and_its_locks_is_refused(self, header: str) -> None:
        with pytest.raises(ValueError, match=r"0001_words\.sql: '-- kind: before' .* are needed"):
            parse("0001_words.sql", TEXT.replace(HEADER, header))

    @pytest.mark.parametrize("lock", ["users", "users EXCLUSIVELY", "users ROW EXCLUSIVE"])
    def test_a_lock_that_is_none_is_refused(self, lock: str) -> None:
        with pytest.raises(ValueError, match=r"0001_words\.sql: a lock is TABLE MODE"):
            parse("0001_words.sql", re.sub("locks: .*", f"locks: {lock}", TEXT))

    @pytest.mark.parametrize(
        "name",
        ["1_words.sql", "00001_words.sql", "0001-words.sql", "0001_Words.sql", "0001_words.sql.orig", "0001_.sql"],
    )
    def test_another_file_name_is_refused(self, name: str) -> None:
        with pytest.raises(ValueError, match=r"the name of a migration looks like 0001_words\.sql"):
            parse(name, TEXT)

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "CREATE TABLE t ();",
            "-- migrate:up\nCREATE TABLE t ();\n",
            "-- migrate:down\nDROP TABLE t;\n",
            "-- migrate:down\nDROP TABLE t;\n-- migrate:up\nCREATE TABLE t ();\n",
            TEXT.replace("migrate:up", "migrate:up transaction:no"),
            TEXT.replace("-- migrate:up", "--migrate:up"),
        ],
    )
    def test_a_file_without_both_ways_in_their_order_is_refused(self, text: str) -> None:
        with pytest.raises(ValueError, match=r"0001_words\.sql: '-- migrate:up' and then '-- migrate:down' are needed"):
            parse("0001_words.sql", text)


class TestOrder:
    @staticmethod
    def numbered(*versions: str) -> list[Migration]:
        return [parse(f"{version}_words.sql", TEXT) for version in versions]

    def test_the_order_is_that_of_the_numbers(self) -> None:
        ordered = in_order(self.numbered("0003", "0001", "0002"))

        assert [migration.version for migration in ordered] == ["0001", "0002", "0003"]

    def test_numbers_may_be_left_out(self) -> None:
        ordered = in_order(self.numbered("0004", "0002"))

        assert [migration.version for migration in ordered] == ["0002", "0004"]

    def test_a_number_that_is_there_twice_is_refused(self) -> None:
        with pytest.raises(ValueError, match="two migrations have the number 0002"):
            in_order(self.numbered("0001", "0002", "0002", "0003"))


class TestShipped:
    def test_every_file_of_the_folder_is_shipped_in_order(self) -> None:
        names = sorted(path.name for path in FOLDER.glob("*.sql"))

        assert [f"{migration.version}_{migration.name}.sql" for migration in shipped()] == names
        assert len(names) >= 4

    @pytest.mark.parametrize("direction", ["up", "down"])
    @pytest.mark.parametrize("migration", shipped(), ids=lambda migration: f"{migration.version}_{migration.name}")
    def test_both_ways_bound_how_long_they_wait_and_run(self, migration: Migration, direction: str) -> None:
        """Before anything else: a statement above the bounds would wait without them."""
        written = migration.up if direction == "up" else migration.down
        setting = "SET LOCAL" if migration.in_transaction else "SET"
        bounds = rf"\A{setting} lock_timeout = '\d+m?s';\n{setting} statement_timeout = '\d+(s|min)';\n"

        assert re.match(bounds, written)

    @pytest.mark.parametrize("migration", shipped(), ids=lambda migration: f"{migration.version}_{migration.name}")
    def test_the_file_begins_with_its_reason(self, migration: Migration) -> None:
        first = (FOLDER / f"{migration.version}_{migration.name}.sql").read_text(encoding="utf-8").splitlines()[0]

        assert re.fullmatch(r"-- [A-Z].*\.", first)
