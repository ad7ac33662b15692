"""Exports: every row of a kind once, in the order of its key."""

from typing import get_args

import pytest

from tallystick.application import exports
from tallystick.application.exports import ReadExport
from tallystick.domain.codes import Code
from tallystick.domain.exports import (
    ROWS,
    EntryView,
    ExportedAlias,
    ExportedCode,
    ExportedEdge,
    ExportKind,
    ExportPosition,
    ExportRow,
)
from tallystick.domain.users import UserId
from tests.worlds.world import World

SHORTEST, LONGEST, NUMBER = "7ABC", "Z" * 32, "0012E34"


async def exported(world: World, kind: ExportKind) -> list[ExportRow]:
    return [row async for page in ReadExport(world.reads)(kind) for row in page]


async def page(world: World, kind: ExportKind, after: ExportPosition, limit: int) -> list[ExportRow]:
    return await world.reads(lambda stores: stores.exports.page(kind, after=after, limit=limit))


class TestExports:
    @pytest.mark.parametrize("kind", get_args(ExportKind))
    async def test_where_nothing_is_nothing_leaves(self, world: World, kind: ExportKind) -> None:
        assert await exported(world, kind) == []

    async def test_codes_are_those_that_users_are_shown_by(self, world: World) -> None:
        born = world.clock.now()
        for user, code in (("ada", LONGEST), ("bob", SHORTEST), ("cid", "OLDCODE1")):
            await world.mint(user, candidates=[code])
        world.pass_time(seconds=1)
        await world.remint("cid", candidates=[NUMBER])
        await world.delete("bob")
        now = world.clock.now()

        assert await exported(world, "codes") == [
            ExportedCode(Code(NUMBER), UserId("cid"), now, None),
            ExportedCode(Code(SHORTEST), UserId("bob"), born, now),
            ExportedCode(Code(LONGEST), UserId("ada"), born, None),
        ]

    async def test_aliases_are_the_older_ones(self, world: World) -> None:
        born = world.clock.now()
        for user, code in (("ada", LONGEST), ("bob", NUMBER)):
            await world.mint(user, candidates=[code])
        world.pass_time(microseconds=1)
        for user in ("ada", "bob"):
            await world.remint(user)
        await world.delete("bob")
        now = world.clock.now()

        assert await exported(world, "aliases") == [
            ExportedAlias(UserId("ada"), Code(LONGEST), born, now, None),
            ExportedAlias(UserId("bob"), Code(NUMBER), born, now, now),
        ]

    async def test_edges_say_who_came_by_which_code(self, world: World) -> None:
        code = await world.mint("ada")
        for user in ("cid", "bob"):
            await world.arrive(user, code)
        await world.arrive("dan")
        now = world.clock.now()

        assert await exported(world, "edges") == [
            ExportedEdge(UserId("bob"), UserId("ada"), code, now),
            ExportedEdge(UserId("cid"), UserId("ada"), code, now),
        ]

    async def test_entries_are_sorted_by_account(self, world: World) -> None:
        await world.a_player("bob", points=5)
        for user, amount in (("bob", 1), ("ada", 2), ("bob", 3)):
            await world.grant(user, amount)

        rows = await exported(world, "entries")

        assert [(row.position, row.amount) for row in rows if isinstance(row, EntryView)] == [
            (("ada", "credits", 1), 2),
            (("bob", "credits", 1), 1),
            (("bob", "credits", 2), 3),
            (("bob", "points", 1), 5),
        ]

    async def test_an_entry_leaves_as_it_is(self, world: World) -> None:
        granted = await world.grant("ada", 40)

        (row,) = await exported(world, "entries")

        assert row == EntryView(*(getattr(granted.entry, name) for name in EntryView.__struct_fields__))

    @pytest.mark.parametrize("kind", ["codes", "aliases", "edges", "entries"])
    async def test_pages_hold_every_row_once_and_in_order(self, world: World, kind: ExportKind) -> None:
        await self.fill(world)
        whole = await exported(world, kind)

        paged, after = list[ExportRow](), ROWS[kind].start
        while found := await page(world, kind, after, 2):
            assert len(found) <= 2
            paged += found
            after = found[-1].position

        assert len(whole) >= 5
        assert paged == whole == sorted(whole, key=lambda row: row.position)

    @pytest.mark.parametrize("rows", [1, 2, 5, 6])
    async def test_an_export_goes_on_to_the_last_page(
        self, world: World, rows: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        await self.fill(world)
        whole = await exported(world, "edges")
        monkeypatch.setattr(exports, "PAGE_ROWS", rows)

        pages = [list(page) async for page in ReadExport(world.reads)("edges")]

        assert [row for page in pages for row in page] == whole
        assert max(map(len, pages)) == min(rows, 5)

    async def test_rows_that_are_stored_after_the_position_are_seen_and_earlier_ones_are_not(
        self, world: World
    ) -> None:
        await self.fill(world)
        code = await world.code_of("inviter")
        first = await page(world, "edges", ("",), 3)

        for user in ("user0-before", "user4-behind"):
            await world.arrive(user, code)

        rest = await page(world, "edges", first[-1].position, 10)
        assert [row.position for row in rest] == [("user3",), ("user4",), ("user4-behind",)]

    async def fill(self, world: World) -> None:
        """Let there be five rows of each kind but conflicts, which only a backfill leaves."""
        code = await world.mint("inviter")
        for number in range(4):
            await world.arrive(f"user{number}", code)
            await world.mint(f"user{number}")
            await world.remint(f"user{number}")
        await world.arrive("user4", code)
        await world.remint("inviter")
        for number in range(5):
            await world.grant(f"user{number % 2}")
