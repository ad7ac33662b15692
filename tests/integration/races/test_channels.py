"""Channels under concurrent writers: numbers have no gaps, and no message stands above its sender's removal."""

import asyncio
from collections import Counter

import pytest

from tallystick.application.members import MemberBatch
from tallystick.application.topics import TopicBatch
from tallystick.domain.channels import ChannelId, NotAMember
from tallystick.domain.topics import TopicId
from tallystick.domain.users import UserId
from tests.http.services import Caller
from tests.integration.postgres.sessions import Session, session, superuser_of
from tests.integration.races.purses import in_waves
from tests.integration.races.waiting import until_waiting_or_done
from tests.worlds.rooms import Rooms
from tests.worlds.world import World

WRITERS = 8
EACH = 25


async def send(caller: Caller, channel: ChannelId, body: str, client_id: str) -> str:
    """Return the outcome of a send: `done`, or the code of the refusal."""
    sent = {"channel_id": channel, "body": body, "client_message_id": client_id}
    answer = await caller.post("/api/messages/send", sent)
    return "done" if answer.status_code == 201 else str(answer.json()["code"])


async def test_messages_of_two_instances_are_numbered_without_gaps_and_stored_once(
    instances: tuple[Caller, Caller], world: World
) -> None:
    rooms = Rooms(world)
    writers = [f"writer-{n}" for n in range(WRITERS)]
    channel = await rooms.a_channel(*writers)

    async def write(writer: int) -> list[str]:
        # Each message is sent through both instances at once, as a client does after a lost answer.
        outcomes = []
        for n in range(EACH):
            both = (send(instances[i].named(writers[writer]), channel, f"{writer} {n}", f"{n}") for i in range(2))
            outcomes += await asyncio.gather(*both)
        return outcomes

    outcomes = await in_waves(write, range(WRITERS), together=WRITERS)

    assert Counter(o for each in outcomes for o in each) == {"done": 2 * WRITERS * EACH}
    events = await rooms.events(channel)
    assert [event.seq for event in events] == list(range(1, 1 + WRITERS + WRITERS * EACH + 1))
    assert sorted(events, key=lambda event: (event.created_at, event.seq)) == events
    bodies = await rooms.bodies(channel)
    for writer in range(WRITERS):
        assert [body for body in bodies if body and body.startswith(f"{writer} ")] == [
            f"{writer} {n}" for n in range(EACH)
        ]
    assert await world.broken_promises() == []


async def test_no_message_stands_above_the_removal_of_its_sender(
    instances: tuple[Caller, Caller], world: World
) -> None:
    rooms = Rooms(world)

    async def race(_: int) -> tuple[int | None, list[str], list[int]]:
        channel = await rooms.a_channel("ada", "bob")
        sends = (send(instances[n % 2].named(("ada", "bob")[n % 2]), channel, "x", f"{n}") for n in range(16))
        removal = instances[1].named("owner").call("DELETE", f"/api/channels/{channel}/members/ada")
        removed, outcomes = await asyncio.gather(removal, asyncio.gather(*sends))
        assert removed.status_code == 200, removed.text
        log = await rooms.events(channel)
        own = [event.seq for event in log if event.kind == "message" and event.actor_id == "ada"]
        return removed.json()["left_seq"], outcomes, own

    for left_seq, outcomes, own in await in_waves(race, range(20), together=4):
        assert left_seq is not None
        assert set(outcomes) <= {"done", "NOT_A_MEMBER"}
        assert all(seq < left_seq for seq in own)
    assert await world.broken_promises() == []


async def test_a_slow_writer_delays_its_own_channel_and_no_other(world: World, superuser: Session) -> None:
    rooms = Rooms(world)
    slow, other = await rooms.a_channel(), await rooms.a_channel()
    has_number, may_end = asyncio.Event(), asyncio.Event()

    async def end_before_the_commit() -> None:
        async with world.transactions.begin() as stores:
            topics = await TopicBatch.lock(stores, [TopicId(slow)], world.randomness)
            event = topics.next_event(TopicId(slow), "member_added", "ada", actor_id=UserId("owner"))
            await stores.topics.append([event])
            has_number.set()
            await may_end.wait()
            raise LookupError

    first = asyncio.create_task(end_before_the_commit())
    await has_number.wait()
    second = asyncio.create_task(rooms.send(slow, "owner"))
    await until_waiting_or_done(superuser, second)

    assert (await rooms.send(other, "owner")).seq == 2
    assert not second.done()

    may_end.set()
    with pytest.raises(LookupError):
        await first
    assert (await second).seq == 2
    assert [(event.seq, event.kind) for event in await rooms.events(slow)] == [(1, "member_added"), (2, "message")]


async def test_a_send_that_waited_for_a_removal_sees_it(world: World, superuser: Session) -> None:
    rooms = Rooms(world)
    channel = await rooms.a_channel("ada")
    is_removed, may_commit = asyncio.Event(), asyncio.Event()

    async def remove_slowly() -> None:
        async with world.transactions.begin() as stores:
            topics = await TopicBatch.lock(stores, [TopicId(channel)], world.randomness)
            command = rooms.removal(channel, "ada")
            batch = await MemberBatch.open(stores, [command], topics, deleted=())
            batch.decide(command)
            await batch.record(stores)
            is_removed.set()
            await may_commit.wait()

    removing = asyncio.create_task(remove_slowly())
    await is_removed.wait()
    sending = asyncio.create_task(rooms.send(channel, "ada"))
    await until_waiting_or_done(superuser, sending)
    may_commit.set()
    await removing

    with pytest.raises(NotAMember):
        await sending
    assert await world.broken_promises() == []


async def test_a_page_that_waited_for_a_removal_is_refused(
    instances: tuple[Caller, Caller], world: World, server: tuple[str, str], owner_dsn: str, superuser: Session
) -> None:
    channel = await Rooms(world).a_channel("ada")
    async with session(superuser_of(server, owner_dsn)) as other, other.transaction():
        await other.execute("UPDATE tallystick.channel_members SET left_seq = 9 WHERE user_id = 'ada'")
        await other.execute("LOCK TABLE tallystick.messages IN ACCESS EXCLUSIVE MODE")
        reading = asyncio.create_task(instances[0].named("ada").get(f"/api/messages/list?channel_id={channel}"))
        await until_waiting_or_done(superuser, reading)
        assert not reading.done()

    answer = await reading
    assert (answer.status_code, answer.json().get("code")) == (403, "NOT_A_MEMBER")
