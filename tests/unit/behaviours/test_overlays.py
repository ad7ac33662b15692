"""Overlays: shown to everyone until their end, and each version ended by exactly one event."""

from collections.abc import Sequence
from datetime import timedelta

import msgspec
import pytest
from msgspec.structs import replace

from tallystick.domain.bounds import BoundReached, UserBounds
from tallystick.domain.overlays import MAX_PAYLOAD_BYTES, NotYourOverlay, OverlayNotFound, ShownOverlay
from tallystick.domain.refusals import Failure
from tallystick.domain.users import UserDeleted
from tests.worlds.overlays import Screens
from tests.worlds.world import World

MILLISECOND = timedelta(milliseconds=1)


def timeless(outcomes: Sequence[ShownOverlay | Failure]) -> list[object]:
    """Return outcomes without the time of each answer."""
    return [replace(each, server_time=each.expires_at) if isinstance(each, ShownOverlay) else each for each in outcomes]


class TestPutOverlays:
    async def test_an_overlay_is_shown_until_its_end_by_the_clock_of_the_store(self, world: World) -> None:
        screens = Screens(world)

        put = await screens.put("s", '{"text":"hello"}', ttl=30)
        shown = await screens.shown()

        assert (put.version, put.payload) == (1, '{"text":"hello"}')
        assert timedelta(seconds=30) - MILLISECOND < put.expires_at - put.server_time <= timedelta(seconds=30)
        assert put.expires_at.microsecond % 1000 == 0
        assert shown == msgspec.structs.replace(put, server_time=shown.server_time if shown else put.server_time)
        assert await screens.log() == ["shown s 1"]

    async def test_a_new_version_ends_the_one_before_it_and_extends_the_time(self, world: World) -> None:
        screens = Screens(world)
        await screens.put(ttl=1)

        second = await screens.put(payload="2", ttl=60)

        shown = await screens.shown()
        assert shown is not None
        assert (shown.version, shown.payload, shown.expires_at) == (2, "2", second.expires_at)
        assert await screens.log() == ["shown s 1", "updated s 1 2"]
        assert await world.broken_promises() == []

    async def test_a_version_whose_end_is_reached_expires_before_the_next_one_begins(self, world: World) -> None:
        screens = Screens(world)
        await screens.put()
        await world.backend.reach_end("s")

        assert await screens.shown() is None
        second = await screens.put(payload="2")

        assert second.version == 2
        assert await screens.log() == ["shown s 1", "expired s 1", "shown s 2"]
        assert await screens.expire() == 0
        assert await world.broken_promises() == []

    async def test_the_same_command_again_changes_nothing(self, world: World) -> None:
        """A batch is run again when the outcome of its commit is unknown."""
        screens = Screens(world)
        puts = [screens.command(payload=payload) for payload in ("1", "2")] + [screens.command("t")]
        removals = [screens.removal(), screens.removal()]

        first = await screens.put_overlays(puts)
        again = await screens.put_overlays(puts)
        removed = await screens.remove_overlays(removals)
        removed_again = await screens.remove_overlays(removals)

        assert timeless(again) == timeless(first)
        assert [each.version for each in first if isinstance(each, ShownOverlay)] == [1, 2, 1]
        assert removed_again[0] == removed[0]
        assert isinstance(removed_again[1], OverlayNotFound)
        assert await screens.log() == ["shown s 1", "updated s 1 2", "shown t 1", "removed s 2"]

    @pytest.mark.parametrize("since", ["replaced", "ended", "removed", "deleted"])
    async def test_a_stored_version_is_answered_again_whatever_became_of_it(self, since: str, world: World) -> None:
        screens = Screens(world)
        await screens.put()
        await world.backend.reach_end("s")
        await world.arrive("ada")
        command = screens.command()
        first = await screens.put_overlays([command])
        if since == "replaced":
            await screens.put(by="staff", is_manager=True)
        elif since == "ended":
            await world.backend.reach_end("s")
            await screens.expire()
        elif since == "removed":
            removal = screens.removal()
            removed = await screens.remove_overlays([removal])
            await screens.put(by="staff", is_manager=True)
            assert await screens.remove_overlays([removal]) == removed
        else:
            await world.delete("ada")
        log = await screens.log()

        assert timeless(await screens.put_overlays([command])) == timeless(first)
        assert log[:3] == ["shown s 1", "expired s 1", "shown s 2"]
        assert await screens.log() == log

    async def test_a_batch_decides_its_commands_in_order(self, world: World) -> None:
        screens = Screens(world)

        outcomes = await screens.put_overlays(
            [screens.command("b"), screens.command("a", by="bob"), screens.command("b"), screens.command("a")]
        )

        assert isinstance(outcomes[3], NotYourOverlay)
        assert await screens.log() == ["shown b 1", "shown a 1", "updated b 1 2"]
        assert await world.broken_promises() == []

    async def test_a_session_belongs_to_the_user_of_its_first_overlay_also_behind_its_end(self, world: World) -> None:
        screens = Screens(world)
        await screens.put()

        with pytest.raises(NotYourOverlay):
            await screens.put(by="bob")
        with pytest.raises(NotYourOverlay):
            await screens.remove(by="bob")
        await screens.remove()
        with pytest.raises(NotYourOverlay):
            await screens.put(by="bob")

        managed = await screens.put(by="staff", is_manager=True)
        own = await screens.put()
        assert (managed.version, own.version) == (2, 3)
        await screens.remove(by="staff", is_manager=True)
        assert await screens.log() == ["shown s 1", "removed s 1", "shown s 2", "updated s 2 3", "removed s 3"]

    async def test_a_deleted_user_puts_and_removes_nothing(self, world: World) -> None:
        screens = Screens(world)
        await world.arrive("ada")
        await world.delete("ada")

        with pytest.raises(UserDeleted):
            await screens.put()
        with pytest.raises(UserDeleted):
            await screens.remove()
        assert await screens.log() == []

    async def test_the_largest_payload_is_kept_as_it_is(self, world: World) -> None:
        screens = Screens(world)
        payload = '"' + "ö" * (MAX_PAYLOAD_BYTES // 2 - 1) + '"'

        assert (await screens.put(payload=payload)).payload == payload
        shown = await screens.shown()
        assert shown is not None
        assert shown.payload == payload

    async def test_only_overlays_that_are_shown_count_towards_the_bound(self, world: World) -> None:
        screens = Screens(world, UserBounds(overlays=2))
        await screens.put("a")
        await screens.put("b")

        with pytest.raises(BoundReached):
            await screens.put("c")
        await screens.put("a")
        await world.backend.reach_end("a")
        await screens.put("c")
        with pytest.raises(BoundReached):
            await screens.put("a")
        await screens.remove("b")
        await screens.put("a")

        assert await screens.log(lambda session: session == "a") == [
            *("shown a 1", "updated a 1 2", "expired a 2", "shown a 3"),
        ]

    async def test_a_session_counts_towards_the_bound_for_ever_and_takes_further_versions(self, world: World) -> None:
        screens = Screens(world, UserBounds(overlays=1, overlay_sessions=2))
        await screens.put("a")
        await screens.remove("a")
        await screens.put("b")
        await world.backend.reach_end("b")

        with pytest.raises(BoundReached) as refused:
            await screens.put("c")
        await screens.put("a")
        await screens.put("c", by="bob")

        assert (refused.value.bound, refused.value.limit) == ("overlay_sessions", 2)
        assert await screens.log(lambda session: session != "b") == [
            "shown a 1",
            "removed a 1",
            "shown a 2",
            "shown c 1",
        ]

    async def test_an_overlay_that_is_refused_takes_no_session(self, world: World) -> None:
        screens = Screens(world, UserBounds(overlays=1, overlay_sessions=2))

        outcomes = await screens.put_overlays([screens.command(session) for session in ("a", "b", "c")])

        bounds = [each.bound if isinstance(each, BoundReached) else None for each in outcomes]
        assert bounds == [None, "overlays", "overlays"]


class TestRemoveOverlays:
    async def test_a_removed_overlay_is_gone_and_its_session_goes_on_with_the_next_version(self, world: World) -> None:
        screens = Screens(world)
        await screens.put()

        removed = await screens.remove()

        assert removed.version == 1
        assert await screens.shown() is None
        with pytest.raises(OverlayNotFound):
            await screens.remove()
        assert (await screens.put()).version == 2
        assert await screens.log() == ["shown s 1", "removed s 1", "shown s 2"]

    async def test_an_overlay_that_never_was_or_has_ended_is_not_found(self, world: World) -> None:
        screens = Screens(world)
        with pytest.raises(OverlayNotFound):
            await screens.remove()
        await screens.put()
        await world.backend.reach_end("s")

        with pytest.raises(OverlayNotFound):
            await screens.remove()

        assert await screens.log() == ["shown s 1"]
        assert await screens.expire() == 1
        assert await screens.log() == ["shown s 1", "expired s 1"]


class TestExpireOverlays:
    async def test_overlays_whose_end_is_reached_are_ended_once(self, world: World) -> None:
        screens = Screens(world)
        for session in ("a", "b", "c"):
            await screens.put(session)
        await world.backend.reach_end("c")
        await world.backend.reach_end("a")

        assert (await screens.expire(), await screens.expire()) == (2, 0)

        assert sorted(await screens.log()) == ["expired a 1", "expired c 1", "shown a 1", "shown b 1", "shown c 1"]
        assert await screens.shown("b") is not None
        assert await world.broken_promises() == []

    async def test_the_event_of_an_end_is_never_before_it_and_keeps_no_payload(self, world: World) -> None:
        screens = Screens(world)
        await screens.put(payload='"a secret"')
        await world.backend.reach_end("s")
        await screens.expire()

        events = await screens.events()

        assert not any("secret" in (event.payload or "") for event in events)
        assert [event.kind for event in events] == ["overlay_shown", "overlay_expired"]
        held = await screens.held()
        assert (held.payload, held.expires_at, held.version, held.owner_id) == (None, None, 1, "ada")

    async def test_the_time_to_the_next_end_is_that_of_the_nearest(self, world: World) -> None:
        screens = Screens(world)
        assert await world.reads(lambda stores: stores.overlays.milliseconds_to_next_end()) is None
        await screens.put("far", ttl=3600)
        await screens.put("near", ttl=60)

        near = await world.reads(lambda stores: stores.overlays.milliseconds_to_next_end())
        await world.backend.reach_end("far")
        over = await world.reads(lambda stores: stores.overlays.milliseconds_to_next_end())

        assert near is not None
        assert over is not None
        assert 0 < near <= 60_000
        assert over <= 0


class TestDeletedOwners:
    async def test_the_overlays_of_a_deleted_user_end_and_their_sessions_are_free(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("tallystick.application.overlay_erasures._STEP_OVERLAYS", 2)
        screens = Screens(world)
        await world.arrive("ada")
        for number in range(4):
            await screens.put(f"s{number}")
        await screens.put("other", by="bob")
        await screens.remove("s2")
        await world.backend.reach_end("s3")

        await world.delete("ada")
        await world.finish_erasures()

        ends = [line for line in await screens.log() if not line.startswith("shown")]
        assert sorted(ends) == ["expired s3 1", "removed s0 1", "removed s1 1", "removed s2 1"]
        assert await screens.shown("other") is not None
        assert (await screens.put("s0", by="bob")).version == 2
        assert await world.broken_promises() == []

    async def test_a_free_session_counts_for_the_user_who_takes_it(self, world: World) -> None:
        screens = Screens(world, UserBounds(overlay_sessions=1))
        await world.arrive("ada")
        await screens.put("free")
        await world.delete("ada")
        await world.finish_erasures()
        await screens.put("own", by="bob")

        with pytest.raises(BoundReached):
            await screens.put("free", by="bob")

    async def test_an_overlay_that_was_stored_behind_the_deletion_of_its_user_ends_later(self, world: World) -> None:
        screens = Screens(world)
        await world.arrive("ada")
        await screens.put()
        late = await screens.held()
        await world.delete("ada")
        await world.finish_erasures()
        # A request that was decided before the deletion is stored behind it.
        async with world.transactions.begin() as stores:
            await stores.overlays.lock([late.session_id])
            await stores.overlays.replace([msgspec.structs.replace(late, payload=None, expires_at=None)])

        world.pass_time(minutes=5)
        await world.finish_erasures()

        held = await screens.held()
        assert held.owner_id is None
