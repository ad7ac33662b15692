"""Arrivals that race: the first committed inviter stays, a name is one user's, a key has one effect."""

import asyncio
from collections import Counter

from tests.http.services import Caller
from tests.unit.behaviours.test_http_referrals import code_of
from tests.worlds.world import World

ROUNDS = 60


async def test_of_two_inviters_at_once_one_is_recorded(instances: tuple[Caller, Caller], world: World) -> None:
    first, second = instances
    adas, bobs = await code_of(first, "ada"), await code_of(second, "bob")

    async def invite(number: int) -> list[str]:
        answers = await asyncio.gather(
            first.named(f"user-{number}").post("/api/users/upsert", {"referred_by": adas}),
            second.named(f"user-{number}").post("/api/users/upsert", {"referred_by": bobs}),
        )
        return sorted(answer.json()["attribution"] for answer in answers)

    outcomes = await asyncio.gather(*(invite(number) for number in range(ROUNDS)))

    assert outcomes == [["kept", "recorded"]] * ROUNDS
    assert {await world.inviter(f"user-{number}") for number in range(ROUNDS)} <= {"ada", "bob"}
    assert await world.broken_promises() == []


async def test_two_who_name_each_other_at_once_make_one_edge(instances: tuple[Caller, Caller], world: World) -> None:
    pairs = [(f"left-{number}", f"right-{number}") for number in range(ROUNDS)]
    codes = {user: await code_of(instances[0], user) for pair in pairs for user in pair}

    async def name(instance: Caller, user: str, other: str) -> str:
        answer = await instance.named(user).post("/api/users/upsert", {"referred_by": codes[other]})
        assert answer.status_code == 200, answer.text
        attribution: str = answer.json()["attribution"]
        return attribution

    outcomes = await asyncio.gather(
        *(asyncio.gather(name(instances[0], left, right), name(instances[1], right, left)) for left, right in pairs)
    )

    assert [sorted(outcome) for outcome in outcomes] == [["none", "recorded"]] * ROUNDS
    assert await world.broken_promises() == []


async def test_a_popular_inviter_is_counted_exactly(instances: tuple[Caller, Caller], world: World) -> None:
    code = await code_of(instances[0], "ada")

    answers = await asyncio.gather(
        *(
            instances[number % 2].named(f"user-{number}").post("/api/users/upsert", {"referred_by": code})
            for number in range(500)
        )
    )

    assert Counter(answer.json()["attribution"] for answer in answers) == {"recorded": 500}
    summary = await world.summary("ada")
    assert summary is not None
    assert summary.user.referrals == 500
    assert await world.broken_promises() == []


async def test_a_name_that_many_claim_at_once_is_one_users(instances: tuple[Caller, Caller]) -> None:
    answers = await asyncio.gather(
        *(
            instances[number % 2]
            .named(f"user-{number}")
            .post("/api/users/upsert", {"email": "Same@example.org", "username": "same"})
            for number in range(40)
        )
    )

    assert Counter(answer.status_code for answer in answers) == {200: 1, 409: 39}
    assert {answer.json()["code"] for answer in answers if answer.status_code == 409} <= {
        "EMAIL_TAKEN",
        "USERNAME_TAKEN",
    }


async def test_one_key_sent_many_ways_at_once_has_one_effect(instances: tuple[Caller, Caller], world: World) -> None:
    for ways in range(2, 11):
        user = f"user-{ways}"
        original = await code_of(instances[0], user)

        answers = await asyncio.gather(
            *(instances[way % 2].named(user).post("/api/referral/remint", key="same") for way in range(ways))
        )

        done = [answer for answer in answers if answer.status_code == 200]
        waiting = [answer for answer in answers if answer.status_code != 200]
        assert len({answer.content for answer in done}) == 1
        assert {answer.json()["code"] for answer in waiting} <= {"IDEMPOTENCY_IN_PROGRESS"}
        assert all(answer.headers["retry-after"] for answer in waiting)
        assert done[0].json()["alias"] == original
        assert await world.code_of(user) == done[0].json()["referral_code"]


async def test_one_key_for_two_bodies_at_once_has_one_effect(instances: tuple[Caller, Caller], world: World) -> None:
    for number in range(30):
        user = f"user-{number}"

        answers = await asyncio.gather(
            *(
                instances[way].named(user).post("/api/users/upsert", {"display_name": f"Name {way}"}, key="same")
                for way in (0, 1)
            )
        )

        done = [way for way, answer in enumerate(answers) if answer.status_code == 200]
        refused = [answer.json()["code"] for answer in answers if answer.status_code != 200]
        assert len(done) == 1
        assert set(refused) <= {"IDEMPOTENCY_MISMATCH", "IDEMPOTENCY_IN_PROGRESS"}
        assert (await world.profile(user)).display_name == f"Name {done[0]}"


async def test_the_same_delivery_to_two_instances_is_taken_once(instances: tuple[Caller, Caller]) -> None:
    async def deliver(number: int) -> list[str]:
        body = {"type": "user.created", "data": {"id": f"user-{number}"}}
        answers = await asyncio.gather(*(instance.deliver(body, message_id=f"msg_{number}") for instance in instances))
        return sorted(answer.json()["status"] for answer in answers)

    assert await asyncio.gather(*(deliver(number) for number in range(ROUNDS))) == [["duplicate", "processed"]] * ROUNDS
