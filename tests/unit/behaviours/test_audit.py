"""How entries of points are found again."""

import pytest

from tallystick.domain.audit import PageCursor, cursor_of
from tallystick.domain.ledger import Entry
from tests.worlds.world import World


def amounts(entries: list[Entry]) -> list[int]:
    return [entry.amount for entry in entries]


async def awarded(world: World) -> None:
    """Let two members of staff award points to two players: 1 to 6, one a second; 32 and 64 are of another kind."""
    for user in ("ada", "bob"):
        await world.a_player(user)
    for points, player, staff in ((1, "ada", "eve"), (2, "bob", "eve"), (4, "ada", "dan"), (8, "ada", "eve")):
        world.pass_time(seconds=1)
        await world.award(player, points, staff=staff)
    world.pass_time(seconds=1)
    await world.accrue(world.earning("ada", 32), world.earning("bob", 64, kind="jackpot"))
    await world.grant("ada", 128)


class TestAudit:
    @pytest.mark.parametrize(
        ("query", "found"),
        [
            ({"player_id": "ada"}, [32, 8, 4, 1]),
            ({"staff_id": "eve"}, [8, 2, 1]),
            ({"staff_id": "eve", "player_id": "ada"}, [8, 1]),
            ({"staff_id": "eve", "event_type": "manual_reward"}, [8, 2, 1]),
            ({"staff_id": "eve", "event_type": "promotion"}, []),
            ({"staff_id": "eve", "player_id": "ada", "event_type": "promotion"}, []),
            ({"event_type": "manual_reward"}, [8, 4, 2, 1]),
            ({"event_type": "manual_reward", "player_id": "bob"}, [2]),
            ({"event_type": "jackpot"}, [64]),
            ({"event_type": "grant"}, []),
            ({"player_id": "nobody"}, []),
            ({"staff_id": "staff"}, []),
        ],
    )
    async def test_entries_are_found_by_each_filter(
        self, world: World, query: dict[str, str], found: list[int]
    ) -> None:
        await awarded(world)

        assert amounts(await world.audited(query)) == found

    async def test_one_correlation_id_leads_to_all_that_a_request_did(self, world: World) -> None:
        await awarded(world)
        (first,) = await world.audited({"event_type": "jackpot"})
        (slip,) = [await world.a_waiting_slip("bob", correlation=first.correlation_id)]
        await world.recover(slip)

        found = await world.audited({"correlation_id": first.correlation_id})

        assert amounts(found) == [525, 64]
        assert amounts(await world.audited({"correlation_id": first.correlation_id, "player_id": "bob"})) == [525, 64]
        assert amounts(await world.audited({"correlation_id": first.correlation_id, "event_type": "jackpot"})) == [64]
        assert amounts(await world.audited({"correlation_id": first.correlation_id, "staff_id": "pit"})) == [525]
        assert amounts(
            await world.audited({"correlation_id": first.correlation_id, "player_id": "bob", "staff_id": "pit"})
        ) == [525]
        assert await world.audited({"correlation_id": first.correlation_id, "player_id": "ada"}) == []
        assert await world.audited({"correlation_id": "another"}) == []

    @pytest.mark.parametrize(
        "query", [{"player_id": "ada"}, {"staff_id": "eve"}, {"event_type": "manual_reward"}], ids=str
    )
    async def test_pages_go_on_where_the_last_one_ended_and_are_stable_under_new_entries(
        self, world: World, query: dict[str, str]
    ) -> None:
        await awarded(world)
        every = await world.audited(query)

        pages: list[list[Entry]] = []
        before: PageCursor | None = None
        while page := await world.audited(query, before=before, limit=2):
            pages.append(page)
            before = cursor_of(page[-1])
            world.pass_time(seconds=1)
            await world.award("ada", 1000, staff="eve", reason=str(before))

        assert [entry for page in pages for entry in page] == every
        assert all(len(page) <= 2 for page in pages)

    async def test_entries_of_one_instant_are_distinguished(self, world: World) -> None:
        for user in ("ada", "bob"):
            await world.a_player(user)
        earnings = [world.earning(user, points) for points, user in ((1, "ada"), (2, "bob"), (4, "ada"), (8, "bob"))]
        await world.accrue(*earnings)

        first = await world.audited({"event_type": "promotion"}, limit=3)
        rest = await world.audited({"event_type": "promotion"}, before=cursor_of(first[-1]))

        assert amounts([*first, *rest]) == [8, 2, 4, 1]
