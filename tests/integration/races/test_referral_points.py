"""Referral points that race: a phone that is verified in several ways at once credits once, and the cap holds."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.http.services import Caller, running, settings
from tests.integration.conftest import service_of
from tests.unit.behaviours.test_http_referrals import code_of
from tests.worlds.world import World

USERS = 20
CAP = 5


@pytest.fixture
async def strict(owner_dsn: str, world: World) -> AsyncIterator[tuple[Caller, Caller]]:
    """Return callers of two instances where points need a phone, and where each inviter is credited five a day."""
    rules = {"referral_points_need": "phone", "referral_points_daily_cap": CAP}
    given = settings(database_url=service_of(owner_dsn), **rules)
    async with running(given, "postgres") as (first, _), running(given, "postgres") as (second, _):
        yield first, second


async def test_a_phone_that_is_verified_twice_at_once_credits_once(strict: tuple[Caller, Caller], world: World) -> None:
    codes = [await code_of(strict[0], f"inviter-{number}") for number in range(USERS)]

    async def come(number: int) -> None:
        user = f"user-{number}"
        data = {"id": user, "phone": "+4512345678", "phone_confirmed_at": "2026-01-01T00:00:00Z"}
        await asyncio.gather(
            strict[0].named(user, phone_verified=True).post("/api/users/upsert", {}),
            strict[1].named(user).post("/api/users/upsert", {"referred_by": codes[number]}),
            strict[number % 2].deliver({"type": "user.updated", "data": data}, message_id=f"msg_{number}"),
        )

    await asyncio.gather(*(come(number) for number in range(USERS)))

    assert [await world.inviter(f"user-{number}") for number in range(USERS)] == [
        f"inviter-{number}" for number in range(USERS)
    ]
    assert [await world.points_and_amounts(f"inviter-{number}") for number in range(USERS)] == [(100, [100])] * USERS
    assert await world.pending() == []
    assert await world.broken_promises() == []


async def test_the_cap_of_a_day_holds_on_two_instances(strict: tuple[Caller, Caller], world: World) -> None:
    code = await code_of(strict[0], "ada")

    await asyncio.gather(
        *(
            strict[number % 2]
            .named(f"user-{number}", phone_verified=True)
            .post("/api/users/upsert", {"referred_by": code})
            for number in range(USERS)
        )
    )

    assert await world.points_and_amounts("ada") == (100 * CAP, [100] * CAP)
    assert {pending.cause for pending in await world.pending()} == {"REFERRAL_CAP_REACHED"}
    assert len(await world.pending()) == USERS - CAP
    assert await world.broken_promises() == []
