"""The cache of published keys, with the provider's answers and the time in the test's hand."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from joserfc.jwk import ECKey, Key

from adapters.identity.jwks import JwksCache, JwksUnavailable
from adapters.memory.ports import ManualClock
from domain.refusals import Overloaded

MINUTE, HOUR = 60, 3600


def a_key(kid: str) -> ECKey:
    """Return a key pair on P-256."""
    return ECKey.generate_key("P-256", {"kid": kid})


class Publisher:
    """Answers as the test says, and counts how often it was asked."""

    def __init__(self) -> None:
        self.document: bytes | None = None
        self.asked = 0
        self.open = asyncio.Event()
        self.open.set()

    def publishes(self, *keys: ECKey) -> None:
        self.document = json.dumps({"keys": [key.as_dict(private=False) for key in keys]}).encode()

    def fails(self) -> None:
        self.document = None

    async def __call__(self) -> bytes:
        self.asked += 1
        await self.open.wait()
        if self.document is None:
            raise JwksUnavailable("out of order")
        return self.document


@pytest.fixture
def publisher() -> Publisher:
    return Publisher()


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
async def cache(publisher: Publisher, clock: ManualClock) -> AsyncIterator[JwksCache]:
    cache = JwksCache(publisher, clock)
    yield cache
    await cache.close()


def pass_time(clock: ManualClock, seconds: float) -> None:
    clock.move(timedelta(seconds=seconds))


async def background() -> None:
    """Let what was started in the background run to its end: it waits for nothing but its turn."""
    for _ in range(20):
        await asyncio.sleep(0)


def same(found: Key | None, key: Key) -> bool:
    return found is not None and found.thumbprint() == key.thumbprint()


class TestAges:
    async def test_the_document_is_fetched_once_for_ten_minutes(
        self, cache: JwksCache, publisher: Publisher, clock: ManualClock
    ) -> None:
        publisher.publishes(key := a_key("k1"))
        for _ in range(3):
            assert same(await cache.key("k1", "ES256"), key)

        pass_time(clock, 10 * MINUTE)
        await cache.key("k1", "ES256")
        await background()

        assert publisher.asked == 1

    async def test_after_ten_minutes_the_old_keys_serve_while_new_ones_are_fetched(
        self, cache: JwksCache, publisher: Publisher, clock: ManualClock
    ) -> None:
        publisher.publishes(old := a_key("k1"))
        await cache.key("k1", "ES256")
        publisher.publishes(new := a_key("k1"))
        publisher.open.clear()
        pass_time(clock, 10 * MINUTE + 1)

        served = [asyncio.create_task(cache.key("k1", "ES256")) for _ in range(3)]
        await background()
        assert [task.done() and same(task.result(), old) for task in served] == [True] * 3
        assert publisher.asked == 2

        publisher.open.set()
        await background()
        assert same(await cache.key("k1", "ES256"), new)
        assert publisher.asked == 2

    async def test_keys_serve_for_a_day_without_their_provider(
        self, cache: JwksCache, publisher: Publisher, clock: ManualClock
    ) -> None:
        publisher.publishes(key := a_key("k1"))
        await cache.key("k1", "ES256")
        publisher.fails()

        pass_time(clock, 24 * HOUR)

        assert same(await cache.key("k1", "ES256"), key)

    async def test_older_ones_do_not(self, cache: JwksCache, publisher: Publisher, clock: ManualClock) -> None:
        publisher.publishes(key := a_key("k1"))
        await cache.key("k1", "ES256")
        publisher.fails()
        pass_time(clock, 24 * HOUR + 1)

        with pytest.raises(Overloaded):
            await cache.key("k1", "ES256")
        with pytest.raises(Overloaded):
            await cache.key("k1", "ES256")
        assert publisher.asked == 2

        publisher.publishes(key)
        pass_time(clock, 30)
        assert same(await cache.key("k1", "ES256"), key)

    async def test_a_provider_that_fails_is_asked_again_every_half_minute(
        self, cache: JwksCache, publisher: Publisher, clock: ManualClock
    ) -> None:
        publisher.publishes(old := a_key("k1"))
        await cache.key("k1", "ES256")
        publisher.fails()
        pass_time(clock, 11 * MINUTE)
        for seconds, asked in ((0, 2), (29, 2), (1, 3)):
            pass_time(clock, seconds)
            assert same(await cache.key("k1", "ES256"), old)
            await background()
            assert publisher.asked == asked

    async def test_a_provider_that_was_never_reached_is_waited_for(
        self, cache: JwksCache, publisher: Publisher, clock: ManualClock
    ) -> None:
        with pytest.raises(Overloaded):
            await cache.key("k1", "ES256")

        publisher.publishes(key := a_key("k1"))
        pass_time(clock, 29)
        with pytest.raises(Overloaded):
            await cache.key("k1", "ES256")
        pass_time(clock, 1)
        assert same(await cache.key("k1", "ES256"), key)
        assert publisher.asked == 2

    async def test_a_document_without_a_usable_key_is_an_answer_all_the_same(
        self, cache: JwksCache, publisher: Publisher
    ) -> None:
        publisher.publishes()

        assert await cache.key("k1", "ES256") is None
        assert await cache.key("k1", "ES256") is None


class TestRotation:
    async def test_an_unknown_id_asks_again_and_finds_the_new_key(
        self, cache: JwksCache, publisher: Publisher, clock: ManualClock
    ) -> None:
        publisher.publishes(old := a_key("old"))
        await cache.key("old", "ES256")
        publisher.publishes(old, new := a_key("new"))
        pass_time(clock, 30)

        assert same(await cache.key("new", "ES256"), new)
        assert same(await cache.key("old", "ES256"), old)
        assert publisher.asked == 2

    async def test_a_removed_key_is_nobodys_after_the_next_fetch(
        self, cache: JwksCache, publisher: Publisher, clock: ManualClock
    ) -> None:
        publisher.publishes(old := a_key("old"))
        assert same(await cache.key("old", "ES256"), old)
        publisher.publishes(new := a_key("new"))
        pass_time(clock, 10 * MINUTE + 1)
        await cache.key("old", "ES256")
        await background()

        assert await cache.key("old", "ES256") is None
        assert same(await cache.key("new", "ES256"), new)

    async def test_unknown_ids_ask_at_most_every_half_minute(
        self, cache: JwksCache, publisher: Publisher, clock: ManualClock
    ) -> None:
        publisher.publishes(a_key("k1"))
        await cache.key("k1", "ES256")
        for seconds, asked in ((0, 1), (29, 1), (1, 2), (29, 2), (1, 3)):
            pass_time(clock, seconds)
            for number in range(3):
                assert await cache.key(f"unknown {number}", "ES256") is None
            assert publisher.asked == asked

    async def test_all_who_wait_share_one_fetch(self, cache: JwksCache, publisher: Publisher) -> None:
        publisher.publishes(key := a_key("k1"))
        publisher.open.clear()
        waiting = [asyncio.create_task(cache.key("k1", "ES256")) for _ in range(50)]
        await background()
        publisher.open.set()

        assert all(same(found, key) for found in await asyncio.gather(*waiting))
        assert publisher.asked == 1

    async def test_all_who_wait_for_an_unknown_id_share_one_fetch_too(
        self, cache: JwksCache, publisher: Publisher, clock: ManualClock
    ) -> None:
        publisher.publishes(a_key("old"))
        await cache.key("old", "ES256")
        publisher.publishes(new := a_key("new"))
        pass_time(clock, 30)
        publisher.open.clear()
        waiting = [asyncio.create_task(cache.key(kid, "ES256")) for kid in ["new", "unknown"] * 25]
        await background()
        publisher.open.set()

        found = await asyncio.gather(*waiting)

        assert all(same(key, new) for key in found[::2])
        assert found[1::2] == [None] * 25
        assert publisher.asked == 2

    async def test_one_who_goes_away_does_not_take_the_others_fetch_along(
        self, cache: JwksCache, publisher: Publisher
    ) -> None:
        publisher.publishes(key := a_key("k1"))
        publisher.open.clear()
        impatient, patient = (asyncio.create_task(cache.key("k1", "ES256")) for _ in range(2))
        await background()

        impatient.cancel()
        await background()
        publisher.open.set()

        assert same(await patient, key)
        assert impatient.cancelled()

    async def test_closing_ends_a_fetch_that_hangs(self, publisher: Publisher) -> None:
        cache = JwksCache(publisher, ManualClock())
        publisher.open.clear()
        waiting = asyncio.create_task(cache.key("k1", "ES256"))
        await background()

        closing = asyncio.create_task(cache.close())
        await background()

        assert closing.done()
        assert waiting.cancelled()


class TestDocuments:
    @pytest.mark.parametrize(
        "bad",
        [
            b"",
            b"<html>not found</html>",
            b"\xff\xfe",
            b"[" * 100_000,
            b'{"keys":[' + b"9" * 5000 + b"]}",
            b"[]",
            b"null",
            b'"keys"',
            b"{}",
            b'{"keys":null}',
            b'{"keys":{}}',
            b'{"keys":"k1"}',
        ],
        ids=lambda bad: repr(bad[:20]),
    )
    async def test_one_that_is_none_leaves_the_old_keys(
        self, cache: JwksCache, publisher: Publisher, clock: ManualClock, bad: bytes
    ) -> None:
        publisher.publishes(key := a_key("k1"))
        await cache.key("k1", "ES256")
        publisher.document = bad
        pass_time(clock, 30)

        assert await cache.key("unknown", "ES256") is None
        assert publisher.asked == 2
        assert same(await cache.key("k1", "ES256"), key)
