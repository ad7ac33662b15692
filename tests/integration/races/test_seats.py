"""Seats that many want at once: as many are taken as there are, and nobody gets two."""

import asyncio
from collections import Counter

from tallystick.domain.invites import Invite
from tests.http.services import Caller
from tests.integration.races.purses import in_waves, outcome
from tests.worlds.world import World

ROUNDS = 50
USERS = 50


async def redeem(caller: Caller, invite: Invite) -> str:
    return outcome(await caller.post("/api/invites/redeem", {"code": invite.code}))


async def test_an_invite_of_five_is_used_by_five_of_fifty(instances: tuple[Caller, Caller], world: World) -> None:
    invites = [await world.an_invite(max_uses=5) for _ in range(ROUNDS)]

    async def race(invite: Invite) -> Counter[str]:
        return Counter(
            await asyncio.gather(*(redeem(instances[n % 2].named(f"user-{n}"), invite) for n in range(USERS)))
        )

    outcomes = await in_waves(race, invites, together=5)

    assert outcomes == [{"done": 5, "INVITE_EXHAUSTED": USERS - 5}] * ROUNDS
    for invite in invites:
        users, counted = await world.seats_and_counter(invite)
        assert (len(set(users)), len(users), counted) == (5, 5, 5)
    assert await world.broken_promises() == []


async def test_a_user_who_asks_twenty_times_has_one_seat(instances: tuple[Caller, Caller], world: World) -> None:
    invite = await world.an_invite(max_uses=1000)

    async def race(user: str) -> Counter[str]:
        return Counter(await asyncio.gather(*(redeem(instances[n % 2].named(user), invite) for n in range(20))))

    outcomes = await in_waves(race, [f"user-{number}" for number in range(50)], together=10)

    assert outcomes == [{"done": 1, "ALREADY_USED": 19}] * 50
    users, counted = await world.seats_and_counter(invite)
    assert (len(set(users)), counted) == (50, 50)
    assert await world.broken_promises() == []


async def test_an_invite_that_is_taken_back_meanwhile_keeps_the_seats_that_were_answered(
    instances: tuple[Caller, Caller], world: World
) -> None:
    async def race(number: int) -> tuple[set[str], set[str]]:
        invite = await world.an_invite(max_uses=1000)
        owner = instances[1].named(invite.owner_id)
        users = [f"user-{user}" for user in range(10)]
        revoked, outcomes = await asyncio.gather(
            owner.post(f"/api/invites/{invite.invite_id}/revoke"),
            asyncio.gather(*(redeem(instances[n % 2].named(user), invite) for n, user in enumerate(users))),
        )
        assert revoked.status_code == 200, revoked.text
        assert set(outcomes) <= {"done", "INVITE_REVOKED"}
        kept, counted = await world.seats_and_counter(invite)
        assert counted == len(kept)
        assert (await world.invite(invite)).revoked_at is not None
        return {user for user, outcome in zip(users, outcomes, strict=True) if outcome == "done"}, set(kept)

    for seated, kept in await in_waves(race, range(40), together=4):
        assert seated == kept
    assert await world.broken_promises() == []


async def test_two_who_make_an_invite_with_the_same_code_are_distinguished(
    instances: tuple[Caller, Caller], world: World
) -> None:
    async def race(number: int) -> list[int]:
        answers = await asyncio.gather(
            *(
                instances[n]
                .named(f"owner-{n}", "invites:create")
                .post("/api/invites/", {"max_uses": 5, "code": f"SAME-{number}"})
                for n in (0, 1)
            )
        )
        return sorted(answer.status_code for answer in answers)

    assert await in_waves(race, range(40), together=8) == [[201, 409]] * 40
