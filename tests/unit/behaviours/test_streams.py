"""Streams: everything behind a position arrives, in order and once, and a client always learns where it stands."""

import asyncio
import random

import pytest

from tallystick.application.deletion import DeleteUsers, Deletion
from tallystick.application.erasures import EraseTraces
from tallystick.application.stream_frames import MOST_BYTES, Frame
from tallystick.domain.overlays import OVERLAYS
from tallystick.domain.topics import TopicId
from tallystick.domain.users import UserId
from tests.http.event_streams import PATIENCE_SECONDS
from tests.worlds.overlays import Screens
from tests.worlds.streams import Streams, together
from tests.worlds.world import World


def pages_of(rooms: Streams, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return the numbers behind which pages are read from now on."""
    pages: list[int] = []
    read = rooms.pages._read

    async def noted(topic_id: TopicId, after: int) -> list[Frame]:
        pages.append(after)
        return await read(topic_id, after)

    monkeypatch.setattr(rooms.pages, "_read", noted)
    return pages


class TestReading:
    async def test_everything_behind_ready_arrives_in_order(self, world: World) -> None:
        rooms = Streams(world)
        channel = await rooms.a_channel("ada")
        reader = await rooms.ready("ada", channel)

        messages = [await rooms.send(channel, "owner", f"{n}") for n in range(5)]

        await reader.until(messages[-1].seq)
        assert reader.seqs == [message.seq for message in messages]
        assert reader.bodies == [message.body for message in messages]
        assert reader.heads[0].by_topic == {TopicId(channel): 2}

    async def test_what_nobody_announced_is_found_by_looking(self, world: World) -> None:
        rooms = Streams(world, is_announced=False)
        channel = await rooms.a_channel("ada")
        reader = await rooms.ready("ada", channel)
        message = await rooms.send(channel, "owner")

        await rooms.hub.look()

        assert (await reader.until(message.seq)).seqs == [message.seq]

    async def test_a_stream_of_a_log_that_nobody_has_begun_waits_for_its_first_event(self, world: World) -> None:
        rooms = Streams(world)
        screens = Screens(world, announce=rooms.hub.changed)
        reader = await rooms.ready("ada", OVERLAYS)

        await rooms.hub.look()
        await screens.put()
        await reader.until(1)

        assert reader.seqs == [1]

    async def test_a_stream_goes_on_behind_the_id_that_it_is_given(self, world: World) -> None:
        rooms = Streams(world)
        channel = await rooms.a_channel("ada")
        first = await rooms.ready("ada", channel)
        await rooms.send(channel, "owner", "one")
        await first.until(3)
        first.close()
        await rooms.send(channel, "owner", "two")

        for resume in (first.last_id, "3"):
            again = await rooms.ready("ada", channel, resume=resume)
            assert (again.bodies, again.resets) == (["two"], [])
        whole = await rooms.ready("ada", channel, resume="0")
        assert whole.seqs == [1, 2, 3, 4]

    async def test_several_topics_have_one_id_in_their_order(self, world: World) -> None:
        rooms = Streams(world)
        one, two = await rooms.a_channel("ada"), await rooms.a_channel("ada")
        reader = await rooms.ready("ada", one, two)
        await rooms.send(one, "owner", "one")
        await rooms.send(two, "owner", "two")
        while len(reader.bodies) < 2:
            await reader.read()
        reader.close()
        await rooms.send(two, "owner", "three")

        again = await rooms.ready("ada", one, two, resume=reader.last_id)
        swapped = await rooms.ready("ada", two, one, resume=reader.last_id)

        assert (again.bodies, again.resets) == (["three"], [])
        assert [(reset.reason, reset.topic_id) for reset in swapped.resets] == [
            ("forked", TopicId(two)),
            ("forked", TopicId(one)),
        ]

    @pytest.mark.parametrize(
        ("resume", "reason"),
        [
            ("nonsense", "garbage"),
            ("", "garbage"),
            ("1-0000000g", "garbage"),
            ("-1", "garbage"),
            ("9" * 30, "garbage"),
            ("1,1", "garbage"),
            ("4-00000000", "ahead"),
            ("3-00000000", "forked"),
        ],
    )
    async def test_an_id_that_does_not_fit_is_reset_once_and_then_live(
        self, world: World, resume: str, reason: str
    ) -> None:
        rooms = Streams(world)
        channel = await rooms.a_channel("ada")
        await rooms.send(channel, "owner", "before")

        reader = await rooms.ready("ada", channel, resume=resume)
        message = await rooms.send(channel, "owner", "behind")
        await reader.until(message.seq)

        assert [tuple(reset) for reset in reader.resets] == [(channel, reason, 3)]
        assert reader.bodies == ["behind"]
        again = await rooms.ready("ada", channel, resume=reader.last_id)
        assert (again.seqs, again.resets) == ([], [])

    async def test_a_deleted_text_is_in_no_later_replay(self, world: World) -> None:
        rooms = Streams(world)
        channel = await rooms.a_channel("ada")
        watching = await rooms.ready("ada", channel)
        secret = await rooms.send(channel, "owner", "secret")
        await rooms.send(channel, "owner", "kept")
        await watching.until(4)
        await rooms.delete(secret, by="owner")
        await watching.until(5)

        replayed = await rooms.ready("ada", channel, resume="2")

        assert watching.bodies == ["secret", "kept"]
        assert (replayed.seqs, replayed.bodies) == ([3, 4, 5], [None, "kept"])

    async def test_an_overlay_that_was_replayed_once_is_in_no_replay_behind_its_end(self, world: World) -> None:
        rooms = Streams(world)
        screens = Screens(world, announce=rooms.hub.changed)
        await screens.put(payload='"secret"')
        first = await (await rooms.open("ada", OVERLAYS, resume="0")).until(1)
        await screens.remove()
        await first.until(2)

        replayed = await (await rooms.open("ada", OVERLAYS, resume="0")).until(2)

        assert first.payloads == ["secret"]
        assert (replayed.seqs, replayed.payloads) == ([1, 2], [None])

    async def test_readers_who_are_behind_share_a_read(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        rooms = Streams(world)
        channel = await rooms.a_channel("ada")
        for number in range(3):
            await rooms.send(channel, "owner", f"{number}")
        pages = pages_of(rooms, monkeypatch)
        readers = [await rooms.open("ada", channel, resume="0") for _ in range(10)]

        await together(*readers, seq=5)

        assert [reader.seqs for reader in readers] == [[1, 2, 3, 4, 5]] * 10
        assert pages == [0]

    async def test_readers_who_come_back_one_after_the_other_share_a_read_too(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        rooms = Streams(world)
        channel = await rooms.a_channel("ada")
        secret = await rooms.send(channel, "owner", "secret")
        await rooms.send(channel, "owner", "kept")
        pages = pages_of(rooms, monkeypatch)
        first = await (await rooms.open("ada", channel, resume="0")).until(4)

        second = await (await rooms.open("ada", channel, resume="2")).until(4)
        assert (first.seqs, second.seqs, pages) == ([1, 2, 3, 4], [3, 4], [0])
        await rooms.delete(secret, by="owner")
        await first.until(5)
        replayed = await (await rooms.open("ada", channel, resume="2")).until(5)

        assert (replayed.seqs, replayed.bodies) == ([3, 4, 5], [None, "kept"])

    async def test_a_page_that_was_read_before_a_deletion_brings_the_text_to_nobody_else(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        rooms = Streams(world)
        channel = await rooms.a_channel("ada")
        secret = await rooms.send(channel, "owner", "secret")
        watching = await rooms.ready("ada", channel)
        has_read, is_deleted = asyncio.Event(), asyncio.Event()
        read = rooms.pages._read

        async def slow(topic_id: TopicId, after: int) -> list[Frame]:
            frames = await read(topic_id, after)
            if after == 0:
                has_read.set()
                await is_deleted.wait()
            return frames

        monkeypatch.setattr(rooms.pages, "_read", slow)
        behind = await rooms.open("ada", channel, resume="0")
        reading = asyncio.create_task(behind.until(4))
        async with asyncio.timeout(PATIENCE_SECONDS):
            await has_read.wait()
        await rooms.delete(secret, by="owner")
        await watching.until(4)
        is_deleted.set()
        await reading
        monkeypatch.setattr(rooms.pages, "_read", read)

        replayed = await (await rooms.open("ada", channel, resume="0")).until(4)

        assert (replayed.seqs, replayed.bodies) == ([1, 2, 3, 4], [None])

    async def test_the_erasure_of_a_user_is_pushed_and_no_later_replay_has_their_texts(self, world: World) -> None:
        rooms = Streams(world)
        channel = await rooms.a_channel("ada")
        watching = await rooms.ready("owner", channel)
        await rooms.send(channel, "ada", "secret")
        await watching.until(3)
        erase = EraseTraces(world.transactions, world.randomness, rooms.hub.changed)

        await DeleteUsers(world.transactions, erase)([Deletion(UserId("ada"), world.clock.now())])
        await watching.until(5)
        replayed = await (await rooms.open("owner", channel, resume="0")).until(5)

        assert (watching.seqs, watching.bodies) == ([3, 4, 5], ["secret"])
        assert (replayed.seqs, replayed.bodies) == ([1, 2, 3, 4, 5], [None])

    async def test_what_is_sent_at_a_time_is_bounded_in_bytes(self, world: World) -> None:
        rooms = Streams(world)
        channel = await rooms.a_channel("ada")
        watching = await rooms.ready("ada", channel)
        largest = "\N{EARTH GLOBE EUROPE-AFRICA}" * 4000
        await rooms.send_together(*(rooms.message(channel, "owner", largest) for _ in range(20)))

        behind = await rooms.open("ada", channel, resume="0")
        await together(watching, behind, seq=22)

        assert (watching.seqs, behind.seqs) == ([*range(3, 23)], [*range(1, 23)])
        assert max(*watching.sizes, *behind.sizes) <= MOST_BYTES

    async def test_four_pages_are_read_at_once_for_readers_who_are_behind(
        self, world: World, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        rooms = Streams(world)
        channels = [await rooms.a_channel() for _ in range(7)]
        reading, most = 0, 0
        four, go_on = asyncio.Event(), asyncio.Event()
        read = rooms.pages._read

        async def counted(topic_id: TopicId, after: int) -> object:
            nonlocal reading, most
            reading += 1
            most = max(most, reading)
            if reading == 4:
                four.set()
            await go_on.wait()
            reading -= 1
            return await read(topic_id, after)

        monkeypatch.setattr(rooms.pages, "_read", counted)
        readers = [await rooms.open("owner", channel, resume="0") for channel in channels]
        together_read = asyncio.create_task(together(*readers, seq=1))
        async with asyncio.timeout(PATIENCE_SECONDS):
            await four.wait()
        for _ in range(20):
            await asyncio.sleep(0)
        assert (reading, most) == (4, 4)
        go_on.set()
        await together_read

        assert most == 4
        assert [reader.seqs for reader in readers] == [[1]] * 7

    async def test_clients_that_are_cut_off_at_random_receive_the_whole_log_once(self, world: World) -> None:
        rooms = Streams(world)
        channel = await rooms.a_channel("ada")
        chance = random.Random(7)
        last = 2 + 60 * 5

        async def follow() -> list[int]:
            received: list[int] = []
            resume = "0"
            while len(received) < last:
                reader = await rooms.open("ada", channel, resume=resume)
                for _ in range(chance.randint(1, 4)):
                    if len(received) + len(reader.seqs) < last:
                        await reader.read()
                reader.close()
                received += reader.seqs
                resume = reader.last_id or resume
            return received

        async def write() -> None:
            for number in range(60):
                await rooms.send_together(*(rooms.message(channel, "owner", f"{number}") for _ in range(5)))

        *received, _ = await asyncio.gather(*(follow() for _ in range(4)), write())

        assert received == [list(range(1, last + 1))] * 4
        assert world.metrics.total("event_gaps") == 0
