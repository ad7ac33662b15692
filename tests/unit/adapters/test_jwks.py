"""The cache of published keys, with the provider's answers and the time in the test's hand."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from joserfc.jwk import ECKey, Key

from tallystick.adapters.identity import jwks
from tallystick.adapters.identity.jwks import JwksCache, JwksUnavailable
from tallystick.adapters.memory.ports import ManualClock, RecordedMetrics, SeededRandomness
from tallystick.adapters.telemetry.logs import configure
from tallystick.domain.tokens import IdentityKeysUnavailable

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
def metrics() -> RecordedMetrics:
    return RecordedMetrics()


@pytest.fixture
async def cache(publisher: Publisher, clock: ManualClock, metrics: RecordedMetrics) -> AsyncIterator[JwksCache]:
    cache = JwksCache(publisher, clock, metrics, SeededRandomness())
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

        with pytest.raises(IdentityKeysUnavailable):
            await cache.key("k1", "ES256")
        with pytest.raises(IdentityKeysUnavailable):
            await cache.key("k1", "ES256")
        assert publisher.asked == 2

        publisher.publishes(key)
        pass_time(clock, 30)
        assert same(await cache.key("k1", "ES256"), key)

    async def test_a_provider_that_fails_is_asked_again_soon_and_then_less_often(
        self, cache: JwksCache, publisher: Publisher, clock: ManualClock
    ) -> None:
        publisher.publishes(old := a_key("k1"))
        await cache.key("k1", "ES256")
        publisher.fails()
        pass_time(clock, 11 * MINUTE)
        await cache.key("k1", "ES256")
        await background()
        asked = publisher.asked
        for longest in (1, 2, 4, 8, 16, 30, 30, 30):
            pass_time(clock, longest / 2 - 0.001)
            assert same(await cache.key("k1", "ES256"), old)
            await background()
            assert publisher.asked == asked  # half of the pause is there in any case, the rest is jitter

            pass_time(clock, longest / 2 + 0.001)
            assert same(await cache.key("k1", "ES256"), old)
            await background()
            asked += 1
            assert publisher.asked == asked

    async def test_after_a_success_the_pauses_are_short_again(
        self, cache: JwksCache, publisher: Publisher, clock: ManualClock
    ) -> None:
        for _ in range(6):
            with pytest.raises(IdentityKeysUnavailable):
                await cache.key("k1", "ES256")
            pass_time(clock, 30)
        publisher.publishes(a_key("k1"))
        assert await cache.key("k1", "ES256") is not None
        publisher.fails()
        pass_time(clock, 24 * HOUR + 1)

        with pytest.raises(IdentityKeysUnavailable) as refused:
            await cache.key("k1", "ES256")

        assert refused.value.retry_after_seconds == 1

    async def test_a_provider_that_was_never_reached_is_waited_for_as_long_as_it_is_said(
        self, cache: JwksCache, publisher: Publisher, clock: ManualClock
    ) -> None:
        for _ in range(7):
            asked = publisher.asked
            with pytest.raises(IdentityKeysUnavailable) as refused:
                await cache.key("k1", "ES256")
            assert publisher.asked == asked + 1
            with pytest.raises(IdentityKeysUnavailable) as again:
                await cache.key("k1", "ES256")
            assert publisher.asked == asked + 1
            assert again.value.retry_after_seconds == refused.value.retry_after_seconds
            assert 1 <= refused.value.retry_after_seconds <= 30
            pass_time(clock, refused.value.retry_after_seconds)

        publisher.publishes(key := a_key("k1"))
        assert same(await cache.key("k1", "ES256"), key)

    async def test_where_all_keys_are_withdrawn_none_is_kept(
        self, cache: JwksCache, publisher: Publisher, clock: ManualClock
    ) -> None:
        publisher.publishes(a_key("k1"))
        await cache.key("k1", "ES256")
        publisher.publishes()
        pass_time(clock, 10 * MINUTE + 1)
        await cache.key("k1", "ES256")
        await background()

        with pytest.raises(IdentityKeysUnavailable):
            await cache.key("k1", "ES256")
        assert len(await cache.faults()) == 1


class TestDiagnosis:
    async def test_each_failure_is_logged_with_its_cause_and_what_to_do(
        self,
        cache: JwksCache,
        publisher: Publisher,
        clock: ManualClock,
        metrics: RecordedMetrics,
        capsys: pytest.CaptureFixture[str],
    ) -> None:
        configure("info")
        for _ in range(2):
            with pytest.raises(IdentityKeysUnavailable):
                await cache.key("k1", "ES256")
            pass_time(clock, 30)
        publisher.publishes(a_key("k1"))
        await cache.key("k1", "ES256")

        first, second, third = map(json.loads, capsys.readouterr().out.splitlines())
        assert (first["level"], first["cause"], first["setting"]) == ("warning", "out of order", "TALLYSTICK_JWKS_URL")
        assert (first["failures"], second["failures"]) == (1, 2)
        assert first["asked_again_in_seconds"] <= 1
        assert "tallystick check" in first["action"]
        assert (third["level"], third["keys"]) == ("info", 1)
        assert metrics.counts == {("identity_key_fetches", "failed"): 2, ("identity_key_fetches", "fetched"): 1}
        assert metrics.gauges == {("identity_keys_fetched_timestamp_seconds", ""): clock.now().timestamp()}

    async def test_a_cache_that_never_had_keys_says_why_and_asks_for_them(
        self, cache: JwksCache, publisher: Publisher, clock: ManualClock
    ) -> None:
        (fault,) = await cache.faults()
        assert fault.reason == "the identity provider's keys cannot be fetched from TALLYSTICK_JWKS_URL: out of order"

        publisher.publishes(a_key("k1"))
        pass_time(clock, 1)

        assert await cache.faults() == []
        assert publisher.asked == 2

    async def test_keys_that_were_fetched_once_serve_without_the_provider(
        self, cache: JwksCache, publisher: Publisher, clock: ManualClock
    ) -> None:
        publisher.publishes(a_key("k1"))
        await cache.faults()
        publisher.fails()

        pass_time(clock, 24 * HOUR)
        assert await cache.faults() == []
        pass_time(clock, 1)
        assert len(await cache.faults()) == 1

    async def test_keys_are_kept_fresh_whether_or_not_anybody_asks(
        self, publisher: Publisher, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(jwks, "_POLL_SECONDS", 0)
        cache = JwksCache(publisher, clock, RecordedMetrics(), SeededRandomness())
        running = asyncio.create_task(cache.run())
        await background()
        assert publisher.asked == 1

        publisher.publishes(a_key("k1"))
        for seconds, asked in ((1, 2), (10 * MINUTE, 2), (1, 3)):
            pass_time(clock, seconds)
            await background()
            assert publisher.asked == asked

        running.cancel()
        await cache.close()


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

    async def test_new_ids_ask_at_most_every_half_minute_and_nobody_is_refused_meanwhile(
        self, cache: JwksCache, publisher: Publisher, clock: ManualClock
    ) -> None:
        publisher.publishes(known := a_key("k1"))
        await cache.key("k1", "ES256")
        for seconds, retry_after, asked in ((0, 30, 1), (29, 1, 1), (1, None, 2), (1, 29, 2), (29, None, 3)):
            pass_time(clock, seconds)
            kid = f"new after {clock.monotonic()}"
            if retry_after is None:
                assert await cache.key(kid, "ES256") is None
            else:
                with pytest.raises(IdentityKeysUnavailable) as refused:
                    await cache.key(kid, "ES256")
                assert refused.value.retry_after_seconds == retry_after
            assert publisher.asked == asked
            assert same(await cache.key("k1", "ES256"), known)

    async def test_an_id_that_the_provider_was_asked_for_is_refused_until_it_may_be_asked_again(
        self, cache: JwksCache, publisher: Publisher, clock: ManualClock
    ) -> None:
        publisher.publishes(a_key("k1"))
        assert await cache.key("k2", "ES256") is None
        publisher.publishes(new := a_key("k2"))

        pass_time(clock, 29)
        assert await cache.key("k2", "ES256") is None
        pass_time(clock, 1)
        assert same(await cache.key("k2", "ES256"), new)

    async def test_made_up_ids_neither_hammer_the_provider_nor_fill_the_memory(
        self, cache: JwksCache, publisher: Publisher, clock: ManualClock
    ) -> None:
        publisher.publishes(known := a_key("k1"))
        await cache.key("k1", "ES256")
        pass_time(clock, 30)

        answers = await asyncio.gather(
            *(cache.key(f"made up {number}", "ES256") for number in range(3000)), return_exceptions=True
        )

        assert answers == [None] * 3000  # they came at once, and waited for one fetch
        assert publisher.asked == 2
        assert len(cache._absent) == 1000
        with pytest.raises(IdentityKeysUnavailable):
            await cache.key("another", "ES256")
        assert same(await cache.key("k1", "ES256"), known)

    async def test_a_new_id_is_not_refused_while_the_provider_is_away(
        self, cache: JwksCache, publisher: Publisher, clock: ManualClock
    ) -> None:
        publisher.publishes(known := a_key("k1"))
        await cache.key("k1", "ES256")
        publisher.fails()
        pass_time(clock, 30)

        for _ in range(2):
            with pytest.raises(IdentityKeysUnavailable) as refused:
                await cache.key("k2", "ES256")
            assert refused.value.retry_after_seconds == 1
        assert same(await cache.key("k1", "ES256"), known)

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
        cache = JwksCache(publisher, ManualClock(), RecordedMetrics(), SeededRandomness())
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

        with pytest.raises(IdentityKeysUnavailable):
            await cache.key("unknown", "ES256")
        assert publisher.asked == 2
        assert same(await cache.key("k1", "ES256"), key)
