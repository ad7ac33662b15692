"""Many purses at once: filled in one transaction, emptied from two instances, and looked at afterwards."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import TypeVar

import httpx2

from tallystick.application.idempotency import Keyed
from tallystick.domain.ledger import AccountKey
from tallystick.domain.rewards import Reward
from tallystick.domain.users import UserId
from tests.http.services import Caller
from tests.worlds.world import World

T = TypeVar("T")
R = TypeVar("R")


async def with_credits(world: World, users: Sequence[str], amount: int) -> Sequence[str]:
    """Give each of these users as much."""
    for granted in await world.grant_credits([Keyed(world.grant_command(user, amount)) for user in users]):
        assert not isinstance(granted, Exception)
    return users


async def balances(world: World, users: Iterable[str]) -> dict[str, tuple[int, int]]:
    """Return balance and number of entries by user."""
    keys = [AccountKey(UserId(user), "credits") for user in users]
    accounts = await world.reads(lambda stores: stores.ledger.balances(keys))
    return {key.user_id: (account.balance, account.version) for key, account in accounts.items()}


async def buy(caller: Caller, reward: Reward, *, key: str | None = None) -> httpx2.Response:
    return await caller.post(f"/api/rewards/{reward.reward_id}/purchase", key=key)


async def give(caller: Caller, user: str, amount: int, event_key: str, *, key: str | None = None) -> httpx2.Response:
    staff = caller.named("staff", "credits:grant")
    body = {"user_id": user, "amount": amount, "reason": "because", "event_key": event_key}
    return await staff.post("/api/credits/grants", body, key=key)


async def in_waves(race: Callable[[T], Awaitable[R]], rounds: Iterable[T], *, together: int) -> list[R]:
    """Run so many races at once, again and again: fewer would not meet, and more would meet in one batch."""
    waiting, ended = list(rounds), []
    while waiting:
        ended += await asyncio.gather(*(race(each) for each in waiting[:together]))
        waiting = waiting[together:]
    return ended


def outcome(answer: httpx2.Response) -> str:
    """Return the code of a refusal, and "done" where there is none."""
    return "done" if answer.status_code == 200 else str(answer.json()["code"])
