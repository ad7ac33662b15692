"""Published keys over a real connection: every answer of the other side is bounded, and nobody gets a 500."""

import asyncio
import gzip
import itertools
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta

import pytest

from tallystick.adapters.identity.jwks import JwksUnavailable, over_http
from tallystick.adapters.memory.ports import ManualClock
from tallystick.entrypoints.cli.check import of_the_keys
from tallystick.entrypoints.settings import Settings, SettingsError, load
from tests.http.replacements import stopped
from tests.http.services import Caller, running, settings
from tests.http.tokens import TURNED_AWAY, Issuer, answer_to, seconds_from_now

MEBIBYTE = 1 << 20
SENT_FOR_EVER = itertools.repeat(b"10000\r\n" + b" " * 0x10000 + b"\r\n")


class Site:
    """A web server on loopback that answers every request with the same bytes, and then closes."""

    def __init__(self) -> None:
        self.answer: Iterable[bytes] = ()
        self.asked: list[str] = []
        self.url = ""

    def publishes(self, body: bytes, *headers: str, status: str = "200 OK") -> None:
        head = "\r\n".join([f"HTTP/1.1 {status}", f"content-length: {len(body)}", *headers, "", ""])
        self.answer = [head.encode() + body]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            request = await reader.readuntil(b"\r\n\r\n")
            self.asked.append(request.split(b" ")[1].decode())
            for part in self.answer:
                writer.write(part)
                await writer.drain()
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


@asynccontextmanager
async def listening() -> AsyncIterator[Site]:
    site = Site()
    served: set[asyncio.Task[None]] = set()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        served.add(asyncio.create_task(site.serve(reader, writer)))

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    site.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/keys"
    try:
        yield site
    finally:
        server.close()
        await server.wait_closed()
        await asyncio.gather(*served)


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    async with listening() as site:
        yield site


async def test_a_document_of_one_mebibyte_is_read_to_its_end(site: Site) -> None:
    site.publishes(b" " * MEBIBYTE)

    assert await over_http(site.url)() == b" " * MEBIBYTE


async def test_one_byte_more_is_too_long(site: Site) -> None:
    site.publishes(b" " * (MEBIBYTE + 1))

    with pytest.raises(JwksUnavailable, match="more than 1048576 bytes"):
        await over_http(site.url)()


async def test_a_body_without_end_is_cut(site: Site) -> None:
    site.answer = itertools.chain([b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"], SENT_FOR_EVER)

    with pytest.raises(JwksUnavailable, match="more than 1048576 bytes"):
        await over_http(site.url)()


async def test_an_answer_that_is_small_on_the_wire_and_large_unpacked_is_too_long(site: Site) -> None:
    site.publishes(gzip.compress(b" " * (2 * MEBIBYTE)), "content-encoding: gzip")

    with pytest.raises(JwksUnavailable, match="more than 1048576 bytes"):
        await over_http(site.url)()


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"])
async def test_a_redirect_is_not_followed(site: Site, status: str) -> None:
    site.publishes(b"", "location: /elsewhere", status=status)

    with pytest.raises(JwksUnavailable):
        await over_http(site.url)()

    assert site.asked == ["/keys"]


@pytest.mark.parametrize("status", ["201 Created", "206 Partial", "404 Not Found", "500 Oh No", "503 Busy"])
async def test_a_status_other_than_200_is_no_document(site: Site, status: str) -> None:
    site.publishes(b'{"keys":[]}', status=status)

    with pytest.raises(JwksUnavailable):
        await over_http(site.url)()


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200 OK\r\ncontent-le",
        b'HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{"keys":',
        b'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n8\r\n{"keys":\r\n',
        b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 11\r\n\r\nnot in gzip",
        b"HTTP/1.1 200 OK\r\nx: " + b"x" * MEBIBYTE,
        b"SSH-2.0-OpenSSH_9.9\r\n",
    ],
    ids=["nothing", "half a head", "half a body", "half of the chunks", "no gzip", "a huge header", "another protocol"],
)
async def test_a_connection_that_breaks_gives_no_document(site: Site, answer: bytes) -> None:
    site.answer = [answer]

    with pytest.raises(JwksUnavailable):
        await over_http(site.url)()


async def test_nobody_listening_gives_no_document() -> None:
    async with listening() as gone:
        pass

    with pytest.raises(JwksUnavailable):
        await over_http(gone.url)()


@pytest.mark.parametrize("url", ["http://127.0.0.1:99999/keys", "http://127.0.0.1:port/keys"])
def test_an_address_that_is_none_stops_the_start(url: str) -> None:
    with pytest.raises(SettingsError, match="TALLYSTICK_JWKS_URL"):
        load({"TALLYSTICK_JWKS_URL": url})


async def test_a_proxy_of_the_environment_is_not_asked(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    site.publishes(b"the document")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    async with listening() as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url)

        assert await over_http(site.url)() == b"the document"
        assert proxy.asked == []


async def key_faults(given: Settings) -> list[str]:
    """Return what `tallystick check` says about the published keys."""
    return [fault.explained for fault in await of_the_keys(given)]


async def test_a_check_says_in_the_servers_words_why_there_are_no_keys(site: Site) -> None:
    given = settings(jwks_url=site.url)
    refused = "TALLYSTICK_JWKS_URL: the identity provider's keys cannot be fetched: "
    site.publishes(b"", status="404 Not Found")
    assert await key_faults(given) == [f"{refused}it answers with status 404 Not Found"]
    site.publishes(b"", "location: https://id.example.org/keys", status="302 Found")
    assert await key_faults(given) == [f"{refused}it answers with status 302 Found, and redirects are not followed"]
    site.publishes(b'{"keys":[]}')
    assert (await key_faults(given))[0].startswith(f"{refused}it publishes no key for RS256")
    site.publishes(b"<html>")
    assert await key_faults(given) == [f"{refused}it answers with something that is no JSON"]
    site.publishes(Issuer("provider").document())
    assert await key_faults(given) == []
    assert await key_faults(settings()) == []


async def test_a_check_says_that_nobody_listens() -> None:
    async with listening() as gone:
        pass

    (reason,) = await key_faults(settings(jwks_url=gone.url))

    assert "ConnectError" in reason


class TestRotationThroughTheService:
    """From the provider's document to the caller's status, with time moved by hand."""

    @pytest.fixture
    def clock(self) -> ManualClock:
        return ManualClock(datetime.now(UTC))

    @pytest.fixture
    async def anyone(self, site: Site, clock: ManualClock) -> AsyncIterator[Caller]:
        given = settings(jwt_secret=None, jwks_url=site.url, session_secret="a secret for the sessions")
        async with running(given, "memory", stopped(clock)) as (caller, _):
            yield caller

    @staticmethod
    async def statuses(anyone: Caller, issuer: Issuer) -> set[int]:
        """Return what the tokens of an issuer are answered, by either of its keys."""
        tokens = [issuer.token(algorithm, exp=seconds_from_now(3 * 86_400)) for algorithm in ("RS256", "ES256")]
        return {(await answer_to(anyone, f"Bearer {token}"))[0] for token in tokens}

    async def test_the_new_keys_are_taken_and_the_old_ones_are_not(
        self, site: Site, clock: ManualClock, anyone: Caller
    ) -> None:
        old, new = Issuer("old"), Issuer("new")
        site.publishes(old.document())
        assert (await self.statuses(anyone, old), await self.statuses(anyone, new)) == ({200}, {503})

        site.publishes(new.document())
        assert (await self.statuses(anyone, old), await self.statuses(anyone, new)) == ({200}, {503})
        clock.move(timedelta(seconds=30))

        assert (await self.statuses(anyone, new), await self.statuses(anyone, old)) == ({200}, {401})
        assert site.asked == ["/keys"] * 2

    async def test_a_provider_that_is_away_is_missed_after_a_day(
        self, site: Site, clock: ManualClock, anyone: Caller
    ) -> None:
        provider = Issuer("provider")
        site.publishes(provider.document())
        assert await self.statuses(anyone, provider) == {200}
        site.publishes(b"", status="500 Oh No")

        clock.move(timedelta(hours=24))
        assert await self.statuses(anyone, provider) == {200}
        clock.move(timedelta(seconds=1))
        assert await self.statuses(anyone, provider) == {503}

        site.publishes(provider.document())
        clock.move(timedelta(seconds=30))
        assert await self.statuses(anyone, provider) == {200}

    async def test_without_any_keys_a_caller_is_asked_to_come_again(self, site: Site, anyone: Caller) -> None:
        site.publishes(b"", status="500 Oh No")
        reason = (
            "the identity provider's keys cannot be fetched from TALLYSTICK_JWKS_URL: it answers with status 500 Oh No"
        )
        assert (await self.readiness(anyone)) == (503, [reason])

        refused = await anyone.call(
            "GET", "/api/referral", headers={"authorization": f"Bearer {Issuer('provider').token('ES256')}"}
        )

        assert (refused.status_code, refused.json()["code"]) == (503, "IDENTITY_KEYS_UNAVAILABLE")
        assert (refused.json()["retryable"], refused.headers["retry-after"]) == (True, "1")
        assert site.asked == ["/keys"]

    async def test_the_service_is_ready_a_moment_after_the_provider_is_back(
        self, site: Site, clock: ManualClock, anyone: Caller
    ) -> None:
        provider = Issuer("provider")
        site.publishes(b"", status="500 Oh No")
        assert await self.statuses(anyone, provider) == {503}

        site.publishes(provider.document())
        clock.move(timedelta(seconds=1))

        assert await self.readiness(anyone) == (200, [])
        assert await self.statuses(anyone, provider) == {200}
        assert site.asked == ["/keys"] * 2

    @staticmethod
    async def readiness(anyone: Caller) -> tuple[int, list[str]]:
        answer = await anyone.get("/readyz")
        return answer.status_code, answer.json()["reasons"]

    async def test_a_token_that_needs_no_key_is_refused_without_one(self, site: Site, anyone: Caller) -> None:
        site.publishes(b"", status="500 Oh No")

        assert await answer_to(anyone, "Bearer x.y.z") == TURNED_AWAY
        assert site.asked == []
