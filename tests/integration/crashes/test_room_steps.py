"""Rooms whose transactions are cut at every step: each request has its one effect, or none and the next try has it."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import NamedTuple

import httpx2
import pytest
from dishka import Provider, Scope

from tallystick.adapters.system import SystemRandomness
from tallystick.application.ports import Randomness
from tallystick.domain.channels import ChannelId
from tests.http.services import Caller, running, settings
from tests.integration.conftest import service_of
from tests.integration.postgres.sessions import session, superuser_of
from tests.integration.postgres.wires import StepWire, laid
from tests.worlds.rooms import Rooms
from tests.worlds.stages import Stages, slots
from tests.worlds.world import World

FEWEST_STEPS = 4
"""BEGIN, a lock, what is stored, COMMIT."""
ROSTER = "/api/rank/stage-room-match"
RIGHTS = (
    "INSERT ON tallystick.topic_events",
    "INSERT ON tallystick.messages",
    "UPDATE (head, last_at) ON tallystick.topics",
)


class Hasty(SystemRandomness):
    """Chance by which no retry pauses."""

    def fraction(self) -> float:
        return 0.0


class Request(NamedTuple):
    """A request that changes a room, and how often that took place."""

    send: Callable[[], Awaitable[httpx2.Response]]
    effects: Callable[[], Awaitable[int]]


async def _sending(world: World, caller: Caller, number: int) -> Request:
    channel = await Rooms(world).a_channel("ada")
    body = {"channel_id": channel, "body": "hello", "client_message_id": f"m{number}"}
    return Request(
        lambda: caller.named("ada").post("/api/messages/send", body), lambda: _events(world, channel, "message")
    )


async def _deleting(world: World, caller: Caller, _: int) -> Request:
    rooms = Rooms(world)
    channel = await rooms.a_channel("ada")
    path = f"/api/messages/{(await rooms.send(channel, 'ada')).message_id}"
    return Request(lambda: caller.named("ada").call("DELETE", path), lambda: _events(world, channel, "message_deleted"))


async def _removing(world: World, caller: Caller, _: int) -> Request:
    channel = await Rooms(world).a_channel("ada")
    path = f"/api/channels/{channel}/members/ada"
    return Request(
        lambda: caller.named("owner").call("DELETE", path), lambda: _events(world, channel, "member_removed")
    )


async def _leaving(world: World, caller: Caller, _: int) -> Request:
    channel = await Rooms(world).a_channel("ada")
    path = f"/api/channels/{channel}/members/ada"
    return Request(lambda: caller.named("ada").call("DELETE", path), lambda: _events(world, channel, "member_removed"))


async def _stepping_down(world: World, caller: Caller, _: int) -> Request:
    rooms = Rooms(world)
    channel = await rooms.a_channel()
    await rooms.place(channel, "ada", role="owner")
    path = f"/api/channels/{channel}/members/ada"

    async def effects() -> int:
        return await _events(world, channel, "member_added") - 2

    return Request(lambda: caller.named("ada").call("PUT", path, body={"role": "member"}), effects)


async def _syncing(world: World, caller: Caller, number: int) -> Request:
    stages, room = Stages(world), f"room-{number}"
    await stages.sync(stages.command(room, "captain 1 ada", roles={"captain": 1}))
    wanted = [{"role": "captain", "slot": 1, "player_id": "bob"}]
    body = {"room_id": room, "roster_version": 1, "slots": wanted, "rules": {"roles": {"captain": {"slots": 1}}}}

    async def effects() -> int:
        roster = await stages.roster(room)
        assert roster is not None
        assert roster.slots == slots("captain 1 ada" if roster.roster_version == 1 else "captain 1 bob")
        return roster.roster_version - 1

    return Request(lambda: caller.named("owner").post(ROSTER, body), effects)


async def _events(world: World, channel: ChannelId, kind: str) -> int:
    return sum(event.kind == kind for event in await Rooms(world).events(channel))


SCENES: Mapping[str, Callable[[World, Caller, int], Awaitable[Request]]] = {
    "send": _sending,
    "delete": _deleting,
    "remove": _removing,
    "leave": _leaving,
    "step down": _stepping_down,
    "sync": _syncing,
}


@pytest.fixture
async def cut_off(owner_dsn: str, world: World) -> AsyncIterator[tuple[StepWire, Caller]]:
    """Return a wire that cuts at steps, and a caller of an instance behind it, on an empty database."""
    hasty = Provider(scope=Scope.APP)
    hasty.provide(Hasty, provides=Randomness)
    async with (
        laid(StepWire, owner_dsn) as wire,
        running(settings(database_url=service_of(wire.dsn)), "postgres", hasty) as (caller, _),
    ):
        yield wire, caller


@pytest.mark.parametrize("scene", SCENES)
async def test_cut_once_at_any_step_a_request_is_answered_with_its_one_effect(
    scene: str, cut_off: tuple[StepWire, Caller], world: World
) -> None:
    wire, caller = cut_off
    steps = 0
    while True:
        request = await SCENES[scene](world, caller, steps)
        wire.cut_at(steps, once=True)
        answer = await request.send()
        assert answer.status_code in {200, 201}, (steps, answer.text)
        assert await request.effects() == 1
        if wire.cuts == 0:
            break
        steps += 1
    assert steps >= FEWEST_STEPS

    wire.heal()
    request = await SCENES[scene](world, caller, steps + 1)
    wire.cut_once("cut after the commit")
    answer = await request.send()
    assert (answer.status_code in {200, 201}, wire.cuts) == (True, 1), answer.text
    assert await request.effects() == 1
    assert await world.broken_promises() == []


@pytest.mark.parametrize("scene", ["send", "delete", "remove", "sync"])
async def test_cut_at_a_step_in_every_try_nothing_is_stored_and_the_next_request_has_the_one_effect(
    scene: str, cut_off: tuple[StepWire, Caller], world: World
) -> None:
    wire, caller = cut_off
    codes: list[str] = []
    while True:
        request = await SCENES[scene](world, caller, len(codes))
        wire.cut_at(len(codes), once=False)
        lost = await request.send()
        if wire.cuts == 0:
            break
        wire.heal()
        assert lost.status_code == 503, lost.text
        codes.append(lost.json()["code"])
        assert await request.effects() == 0
        again = await request.send()
        assert again.status_code in {200, 201}, again.text
        assert await request.effects() == 1
    assert codes == ["OVERLOADED"] * (len(codes) - 1) + ["OUTCOME_UNKNOWN"]
    assert len(codes) >= FEWEST_STEPS
    assert await world.broken_promises() == []


@pytest.mark.parametrize("right", RIGHTS)
async def test_a_message_whose_event_cannot_be_stored_is_not_stored(
    right: str, cut_off: tuple[StepWire, Caller], world: World, server: tuple[str, str], owner_dsn: str
) -> None:
    _, caller = cut_off
    request = await _sending(world, caller, 0)
    async with session(superuser_of(server, owner_dsn)) as superuser:
        await superuser.execute(f"REVOKE {right} FROM tallystick_app")
        try:
            refused = await request.send()
        finally:
            await superuser.execute(f"GRANT {right} TO tallystick_app")

    assert (refused.status_code, refused.json()["code"]) == (503, "OVERLOADED")
    assert await request.effects() == 0
    assert await world.broken_promises() == []
    assert (await request.send()).status_code == 201
    assert await request.effects() == 1
    assert await world.broken_promises() == []
