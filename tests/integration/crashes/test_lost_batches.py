"""Batches of rooms whose commit is lost: run again, they store nothing more, also where others changed it meanwhile."""

from collections.abc import AsyncIterator

import pytest

from tallystick.application.idempotency import Keyed
from tallystick.application.transactions import CommitUncertain
from tallystick.domain.channels import Member, NotAMember
from tallystick.domain.messages import Message
from tallystick.domain.overlays import ShownOverlay
from tests.integration.conftest import service_of
from tests.integration.postgres.sessions import pool_on
from tests.integration.postgres.wires import Wire, wired
from tests.worlds.overlays import Screens
from tests.worlds.postgres import PostgresBackend
from tests.worlds.rooms import Rooms
from tests.worlds.world import World


@pytest.fixture
async def lossy(owner_dsn: str, world: World) -> AsyncIterator[tuple[Wire, World]]:
    """Return a wire, and a second world whose commits it can cut; the first world keeps its own connections."""
    async with wired(owner_dsn) as wire, pool_on(service_of(wire.dsn)) as database:
        other = World(PostgresBackend(database))
        other.randomness = world.randomness
        yield wire, other


async def test_two_versions_of_one_overlay_are_stored_once(lossy: tuple[Wire, World], world: World) -> None:
    wire, cut_off = lossy
    screens = Screens(cut_off)
    batch = [screens.command(payload="1"), screens.command(payload="2")]
    wire.cut_once("cut after the commit")
    with pytest.raises(CommitUncertain):
        await screens.put_overlays(batch)
    await Screens(world).put(payload="3", by="staff", is_manager=True)
    log = await screens.log()

    outcomes = [each for each in await screens.put_overlays(batch) if isinstance(each, ShownOverlay)]

    assert [(each.version, each.payload) for each in outcomes] == [(1, "1"), (2, "2")]
    assert log == await screens.log() == ["shown s 1", "updated s 1 2", "updated s 2 3"]
    shown = await screens.shown()
    assert shown is not None
    assert shown.version == 3
    assert await world.broken_promises() == []


async def test_what_an_actor_did_who_was_removed_since_is_stored_once(lossy: tuple[Wire, World], world: World) -> None:
    wire, cut_off = lossy
    rooms, others = Rooms(cut_off), Rooms(world)
    channel = await others.a_channel()
    await others.place(channel, "ada", role="owner")
    message = await others.send(channel, "owner", "goes")
    placement, deletion = rooms.placement(channel, "bob", by="ada"), rooms.deletion(message, by="ada")
    wire.cut_once("cut after the commit")
    with pytest.raises(CommitUncertain):
        await rooms.change_members([Keyed(placement)])
    wire.cut_once("cut after the commit")
    with pytest.raises(CommitUncertain):
        await rooms.delete_messages([deletion])
    await others.remove(channel, "ada")
    log = await rooms.log(channel)

    (placed,) = await rooms.change_members([Keyed(placement)])
    (gone,) = await rooms.delete_messages([deletion])

    assert isinstance(placed, Member)
    assert placed.is_present
    assert isinstance(gone, Message)
    assert gone.body is None
    assert await rooms.log(channel) == log
    with pytest.raises(NotAMember):
        await rooms.place(channel, "cid", by="ada")
    assert await world.broken_promises() == []
