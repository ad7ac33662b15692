"""The cost and the content of a look-up: the same for every code and after every other caller."""

from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager

import pytest
from dishka import Provider, Scope

from tallystick.adapters.memory.stores.codes import MemoryReferralCodes
from tallystick.adapters.memory.transactions import MemoryTransactions
from tallystick.application.transactions import Stores, Transactions
from tallystick.domain.codes import Code, CodeEntry
from tallystick.domain.legacy_metadata import Claim
from tallystick.domain.users import UserId
from tests.http.services import Caller, running, settings
from tests.unit.behaviours.test_http_referrals import code_of
from tests.worlds.legacy_metadata import LONG_AGO

ORIGIN = "https://app.example.org"


class WatchedTransactions:
    """Transactions in memory that write down what the resolver asks of them."""

    def __init__(self) -> None:
        self._inner = MemoryTransactions()
        self.asked: list[Collection[str]] = []
        self.begin = self._inner.begin

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[Stores]:
        async with self._inner.reading() as stores:
            codes = stores.codes
            assert isinstance(codes, MemoryReferralCodes)
            resolve, asked = codes.resolve, self.asked

            async def watched(wanted: Collection[str]) -> dict[str, CodeEntry]:
                asked.append(wanted)
                return await resolve(wanted)

            codes.resolve = watched  # type: ignore[method-assign, assignment]  # this one object's
            imported = stores.legacy.resolve

            async def watched_too(wanted: Collection[str]) -> dict[str, Claim]:
                asked.append(wanted)
                return await imported(wanted)

            stores.legacy.resolve = watched_too  # type: ignore[method-assign, assignment]  # this one object's
            yield stores


@asynccontextmanager
async def watching(flags: str = "") -> AsyncIterator[tuple[Caller, WatchedTransactions]]:
    transactions = WatchedTransactions()
    provider = Provider(scope=Scope.APP)
    provider.provide(lambda: transactions, provides=Transactions)
    async with running(settings(flags=flags), "memory", provider) as (anyone, _):
        yield anyone, transactions


@pytest.fixture
async def watched() -> AsyncIterator[tuple[Caller, WatchedTransactions]]:
    async with watching() as watched:
        yield watched


async def test_every_kind_of_code_is_looked_up_once(watched: tuple[Caller, WatchedTransactions]) -> None:
    anyone, transactions = watched
    alias = await code_of(anyone, "ada")
    await anyone.named("ada").post("/api/referral/remint")
    canonical = await code_of(anyone, "ada")

    for query in (f"?code={canonical}", f"?code={alias}", "?code=NOBODY99", "?code=!", "?code=", ""):
        transactions.asked.clear()
        await anyone.get(f"/api/referral/resolve{query}")

        assert [len(wanted) for wanted in transactions.asked] == [1], query


async def test_with_the_fallback_on_every_kind_of_code_is_looked_up_in_both_places() -> None:
    async with watching("legacy_fallback_enabled=on") as (anyone, transactions):
        alias = await code_of(anyone, "ada")
        await anyone.named("ada").post("/api/referral/remint")
        canonical = await code_of(anyone, "ada")
        gone = await code_of(anyone, "gone")
        await anyone.deliver({"type": "user.deleted", "data": {"id": "gone"}})
        tables = transactions._inner._tables
        tables.runs[1] = "applied"
        tables.claims[1, "1234", UserId("bob")] = (Claim(Code("1234"), UserId("bob"), True, LONG_AGO, 1), None)

        for code in (canonical, alias, gone, "1234", "NOBODY99", "!", ""):
            transactions.asked.clear()
            answer = await anyone.get(f"/api/referral/resolve?code={code}")

            assert answer.json()["valid"] is (code in {canonical, alias, "1234"})
            assert [len(wanted) for wanted in transactions.asked] == [1, 1], code
        transactions.asked.clear()
        await anyone.get("/api/referral/resolve")
        assert [len(wanted) for wanted in transactions.asked] == [1, 1]


async def test_a_click_asks_the_store_for_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    async with watching("legacy_fallback_enabled=on") as (anyone, transactions):

        def gone() -> None:
            raise AssertionError("a click asked the store")

        monkeypatch.setattr(transactions, "begin", gone)
        monkeypatch.setattr(WatchedTransactions, "reading", lambda _self: gone())

        assert (await anyone.get("/r/ADA12345")).status_code == 302


async def test_the_headers_about_origins_of_one_caller_reach_nobody_else() -> None:
    async with running(settings(allowed_origins=ORIGIN), "memory") as (anyone, _):
        before = await anyone.get("/api/referral/resolve?code=NOBODY99")
        allowed = await anyone.get("/api/referral/resolve?code=NOBODY99", headers={"origin": ORIGIN})
        after = await anyone.get("/api/referral/resolve?code=NOBODY99")

    assert allowed.headers["access-control-allow-origin"] == ORIGIN
    assert list(after.headers) == list(before.headers)
    assert "access-control-allow-origin" not in after.headers


async def test_a_method_that_it_does_not_take_gets_those_that_it_does(anyone: Caller) -> None:
    refused = await anyone.post("/api/referral/resolve")

    assert (refused.status_code, refused.headers["allow"]) == (405, "GET, HEAD, OPTIONS")
