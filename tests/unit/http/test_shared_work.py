"""Routes whose work is shared: however many ask, it is done once at a time, and its bounds are those of one caller."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import pytest

import tallystick.application.exports
from tallystick.adapters.memory.stores.exports import MemoryExports
from tallystick.adapters.memory.stores.invariants import MemoryInvariants
from tallystick.adapters.memory.stores.referrals import MemoryLeaderboard
from tallystick.application.invariants import Invariant
from tests.http.services import Caller, running, settings
from tests.http.wallets import UTC_TIME, said
from tests.unit.behaviours.test_http_referrals import code_of


class CallerGuard:
    """Counts who comes to a method, and keeps those behind the first `lets_through` until it is opened."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, owner: type, name: str, *, lets_through: int = 1000) -> None:
        self.calls = 0
        self.came = asyncio.Queue[int]()
        self.is_open = asyncio.Event()
        inner: Callable[..., Any] = getattr(owner, name)

        async def watched(*arguments: Any, **named: Any) -> Any:
            self.calls += 1
            self.came.put_nowait(self.calls)
            if self.calls > lets_through:
                await self.is_open.wait()
            return await inner(*arguments, **named)

        monkeypatch.setattr(owner, name, watched)


@pytest.fixture
async def few_exports(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Caller]:
    monkeypatch.setattr("tallystick.entrypoints.http.routes.exports.MAX_EXPORTS", 1)
    monkeypatch.setattr(tallystick.application.exports, "PAGE_ROWS", 1)
    async with running(settings(), "memory") as (anyone, _):
        yield anyone


async def test_a_storm_on_the_globe_computes_it_once(anyone: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    await code_of(anyone, "ada")
    caller_guard = CallerGuard(monkeypatch, MemoryLeaderboard, "most_connected")

    answers = await asyncio.gather(*(anyone.named(f"user{n}").get("/api/globe") for n in range(50)))
    await code_of(anyone, "bob")
    again = await anyone.named("ada").get("/api/globe")

    assert {answer.content for answer in answers} == {again.content}
    assert len(again.json()["nodes"]) == 1
    assert again.headers["content-type"] == "application/json"
    assert caller_guard.calls == 1


async def test_promises_are_counted_once_for_everybody_who_asks_meanwhile(
    anyone: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    staff = anyone.named("staff", "admin:read")
    caller_guard = CallerGuard(monkeypatch, MemoryInvariants, "count", lets_through=0)

    asked = [asyncio.create_task(staff.get("/api/admin/invariants")) for _ in range(20)]
    await caller_guard.came.get()
    caller_guard.is_open.set()
    answers = await asyncio.gather(*asked)

    assert {answer.status_code for answer in answers} == {200}
    assert caller_guard.calls == 1
    report = answers[0].json()
    assert report.keys() == {"kept", "items", "checked_at", "age_seconds"}
    assert UTC_TIME.match(report["checked_at"])
    assert report["age_seconds"] >= 0


async def test_a_count_is_new_for_each_caller_who_comes_alone(anyone: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    staff = anyone.named("staff", "admin:read")
    broken: Sequence[Invariant] = [Invariant("one", "a promise", 1, "broken")]

    async def count(_self: MemoryInvariants, **_names: object) -> Sequence[Invariant]:
        return broken

    first = await staff.get("/api/admin/invariants")
    monkeypatch.setattr(MemoryInvariants, "count", count)
    second = await staff.get("/api/admin/invariants")

    assert [answer.json()["kept"] for answer in (first, second)] == [True, False]


async def test_more_exports_than_may_be_sent_at_once_are_refused(
    few_exports: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    for user in ("ada", "bob"):
        await code_of(few_exports, user)
    staff = few_exports.named("staff", "admin:export")
    caller_guard = CallerGuard(monkeypatch, MemoryExports, "page", lets_through=1)
    sending = asyncio.create_task(staff.get("/api/admin/export/codes"))
    for _ in range(2):  # the first page is being sent, and the second one is waited for
        await caller_guard.came.get()

    refused = await staff.get("/api/admin/export/codes")
    caller_guard.is_open.set()

    assert said(refused) == [(503, "OVERLOADED")]
    assert len((await sending).text.splitlines()) == 2
    assert (await staff.get("/api/admin/export/codes")).status_code == 200
