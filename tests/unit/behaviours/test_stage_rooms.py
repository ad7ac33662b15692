"""Rosters of stage rooms: verified and stored in one step, or not at all."""

import pytest

from tallystick.application.idempotency import Replayed
from tallystick.domain.refusals import Refusal
from tallystick.domain.stage_rooms import (
    NotYourRoom,
    PlayerDeleted,
    PlayerTwice,
    RosterSlot,
    RosterStale,
    SlotsExceeded,
    SlotTaken,
    UnknownRole,
)
from tallystick.domain.users import UserDeleted, UserId
from tests.worlds.stages import Stages, slots
from tests.worlds.world import World


class TestSyncRosters:
    async def test_a_roster_is_stored_with_its_next_version_and_the_contract(self, world: World) -> None:
        stages = Stages(world)

        first = await stages.sync(stages.command("room", "player 2 bob", "captain 1 ada"))
        second = await stages.sync(stages.command("room", "captain 1 cid", seen=1, roles={"captain": 1}))

        async with world.transactions.begin() as stores:
            contract_version = await stores.contract.hold()
        assert (first.roster_version, first.contract_version, first.owner_id) == (1, contract_version, "owner")
        assert first.slots == slots("captain 1 ada", "player 2 bob")
        assert (second.roster_version, second.roles, second.slots) == (2, {"captain": 1}, slots("captain 1 cid"))
        assert await stages.roster("room") == second
        assert await world.broken_promises() == []

    async def test_a_roster_may_be_emptied(self, world: World) -> None:
        stages = Stages(world)
        await stages.sync(stages.command("room", "captain 1 ada"))

        assert (await stages.sync(stages.command("room", seen=1))).slots == ()
        assert await stages.roster("room") == await stages.sync(stages.command("room", seen=1))

    @pytest.mark.parametrize(
        ("texts", "refusal", "facts"),
        [
            (["captain 1 ada", "referee 1 bob"], UnknownRole, {"index": 1, "role": "referee"}),
            (["captain 2 ada"], SlotsExceeded, {"index": 0, "role": "captain", "slot": 2, "allowed": 1}),
            (["captain 1 ada", "player 4 ada"], PlayerTwice, {"index": 1, "first_index": 0, "player_id": "ada"}),
            (
                ["captain 1 ada", "player 4 bob", "player 4 cid"],
                SlotTaken,
                {"index": 2, "first_index": 1, "role": "player", "slot": 4},
            ),
            (["captain 1 ada", "player 4 gone"], PlayerDeleted, {"index": 1, "player_id": "gone"}),
        ],
    )
    async def test_a_broken_rule_is_refused_with_its_facts_and_nothing_is_stored(
        self, world: World, texts: list[str], refusal: type[Refusal], facts: dict[str, object]
    ) -> None:
        stages = Stages(world)
        await world.arrive("gone")
        await world.delete("gone")
        before = await stages.sync(stages.command("room", "captain 1 eve"))

        with pytest.raises(refusal) as refused:
            await stages.sync(stages.command("room", *texts, seen=1))
        with pytest.raises(refusal):
            await stages.sync(stages.command("new room", *texts))

        assert refused.value.facts() == facts
        assert await stages.roster("room") == before
        assert await stages.roster("new room") is None

    async def test_a_full_role_is_accepted(self, world: World) -> None:
        stages = Stages(world)
        full = [f"player {n} p{n}" for n in range(1, 5)]

        assert len((await stages.sync(stages.command("room", *full, "captain 1 ada"))).slots) == 5

    @pytest.mark.parametrize("seen", [0, 1, 3])
    async def test_a_stale_version_is_refused_with_the_current_one(self, world: World, seen: int) -> None:
        stages = Stages(world)
        await stages.sync(stages.command("room", "captain 1 ada"))
        current = await stages.sync(stages.command("room", "captain 1 bob", seen=1))

        with pytest.raises(RosterStale) as refused:
            await stages.sync(stages.command("room", "captain 1 cid", seen=seen))

        assert refused.value.facts() == {"current_version": 2}
        assert await stages.roster("room") == current

    async def test_a_new_room_has_version_zero(self, world: World) -> None:
        stages = Stages(world)

        with pytest.raises(RosterStale) as refused:
            await stages.sync(stages.command("room", "captain 1 ada", seen=1))

        assert refused.value.facts() == {"current_version": 0}

    async def test_the_same_request_again_gets_the_same_answer_until_the_roster_changes(self, world: World) -> None:
        stages = Stages(world)
        command = stages.command("room", "captain 1 ada", "player 1 bob")
        reordered = stages.command("room", "player 1 bob", "captain 1 ada")
        first = await stages.sync(command)

        assert await stages.sync(command) == first
        assert await stages.sync(reordered) == first
        with pytest.raises(RosterStale):
            await stages.sync(
                stages.command("room", "captain 1 ada", "player 1 bob", roles={"captain": 1, "player": 1})
            )
        await stages.sync(stages.command("room", seen=1))
        with pytest.raises(RosterStale):
            await stages.sync(command)

    async def test_an_idempotency_key_gets_the_first_answer_for_ever(self, world: World) -> None:
        stages = Stages(world)
        keyed = world.keyed("owner", stages.command("room", "captain 1 ada"), "key")
        await stages.sync_rosters([keyed])
        await stages.sync(stages.command("room", seen=1))

        (again,) = await stages.sync_rosters([keyed])

        assert isinstance(again, Replayed)

    async def test_one_batch_is_decided_in_its_order(self, world: World) -> None:
        stages = Stages(world)

        outcomes = await stages.sync_together(
            stages.command("room", "captain 1 ada"),
            stages.command("room", "captain 1 bob", seen=1),
            stages.command("room", "captain 1 cid", seen=1),
            stages.command("other", "captain 1 ada"),
        )

        assert [getattr(each, "roster_version", type(each)) for each in outcomes] == [1, 2, RosterStale, 1]
        roster = await stages.roster("room")
        assert roster is not None
        assert roster.slots == slots("captain 1 bob")
        assert await world.broken_promises() == []

    async def test_the_first_organiser_owns_the_room_and_others_need_the_permission(self, world: World) -> None:
        stages = Stages(world)
        await stages.sync(stages.command("room", "captain 1 ada", by="owner"))

        with pytest.raises(NotYourRoom):
            await stages.sync(stages.command("room", "captain 1 bob", by="eve", seen=1))
        managed = await stages.sync(stages.command("room", "captain 1 bob", by="staff", seen=1, is_manager=True))
        own = await stages.sync(stages.command("room", "captain 1 cid", by="owner", seen=2))

        assert (managed.owner_id, managed.roster_version, own.roster_version) == ("owner", 2, 3)

    async def test_a_deleted_organiser_syncs_nothing(self, world: World) -> None:
        stages = Stages(world)
        await world.arrive("owner")
        await world.delete("owner")

        with pytest.raises(UserDeleted):
            await stages.sync(stages.command("room", "captain 1 ada"))
        assert await stages.roster("room") is None


class TestDeletedPlayers:
    async def test_a_deleted_player_has_no_slot_and_the_roster_has_its_next_version(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("tallystick.application.stage_rooms._STEP_ROOMS", 2)
        stages = Stages(world)
        await world.arrive("ada")
        for n in range(5):
            await stages.sync(stages.command(f"room{n}", "captain 1 ada", "player 1 bob"))
        untouched = await stages.sync(stages.command("other", "captain 1 bob"))

        await world.delete("ada")
        await world.finish_erasures()

        for n in range(5):
            roster = await stages.roster(f"room{n}")
            assert roster is not None
            assert (roster.roster_version, roster.slots) == (2, slots("player 1 bob"))
        assert await stages.roster("other") == untouched
        assert await world.broken_promises() == []

    async def test_a_player_who_was_stored_behind_their_deletion_is_removed_later(self, world: World) -> None:
        stages = Stages(world)
        await world.arrive("ada")
        roster = await stages.sync(stages.command("room", "captain 1 bob"))
        await world.delete("ada")
        await world.finish_erasures()
        # A request that was decided before the deletion is stored behind it.
        async with world.transactions.begin() as stores:
            (held,) = (await stores.stage_rooms.lock([roster.room_id])).values()
            late = RosterSlot(held.slots[0].role, 1, UserId("ada"))
            await stores.stage_rooms.replace([type(held)(held.room_id, held.owner_id, 2, "", held.roles, (late,))])

        world.pass_time(minutes=5)
        await world.finish_erasures()

        after = await stages.roster("room")
        assert after is not None
        assert (after.roster_version, after.slots) == (3, ())
