"""Stage rooms under concurrent organisers: one of them wins, and the other gets the current version."""

import asyncio
from collections import Counter

import httpx2

from tallystick.adapters.postgres.migrating.migration_files import shipped
from tests.http.services import Caller
from tests.integration.races.purses import in_waves
from tests.worlds.stages import Stages, slots
from tests.worlds.world import World

PATH = "/api/rank/stage-room-match"
ROUNDS = 20


def outcome(answer: httpx2.Response) -> tuple[int, object]:
    body = answer.json()
    return answer.status_code, body["roster_version"] if answer.status_code == 200 else (
        body["code"],
        body.get("current_version"),
    )


def body(room: str, player: str, version: int) -> dict[str, object]:
    return {
        "room_id": room,
        "roster_version": version,
        "slots": [{"role": "captain", "slot": 1, "player_id": player}],
        "rules": {"roles": {"captain": {"slots": 1}}},
    }


async def test_of_two_organisers_at_once_one_wins_and_the_other_gets_the_stale_version(
    instances: tuple[Caller, Caller], world: World
) -> None:
    owner, manager = instances[0].named("owner"), instances[1].named("staff", "rooms:manage")

    async def race(number: int) -> tuple[Counter[object], bool]:
        room = f"room-{number}"
        await owner.post(PATH, body(room, "first", 0))
        answers = await asyncio.gather(owner.post(PATH, body(room, "ada", 1)), manager.post(PATH, body(room, "bob", 1)))
        (winner,) = (answer for answer in answers if answer.status_code == 200)
        stored = await Stages(world).roster(room)
        assert stored is not None
        return (
            Counter(map(outcome, answers)),
            stored.slots == slots(f"captain 1 {winner.json()['slots'][0]['player_id']}"),
        )

    for outcomes, is_winner_stored in await in_waves(race, range(ROUNDS), together=4):
        assert outcomes == {(200, 2): 1, (409, ("ROSTER_STALE", 2)): 1}
        assert is_winner_stored
    assert await world.broken_promises() == []


async def test_of_two_organisers_of_a_new_room_one_owns_it(instances: tuple[Caller, Caller], world: World) -> None:
    async def race(number: int) -> Counter[object]:
        room = f"room-{number}"
        answers = await asyncio.gather(
            instances[0].named("ada").post(PATH, body(room, "ada", 0)),
            instances[1].named("bob").post(PATH, body(room, "bob", 0)),
        )
        return Counter(map(outcome, answers))

    for outcomes in await in_waves(race, range(ROUNDS), together=4):
        assert outcomes == {(200, 1): 1, (403, ("NOT_YOUR_ROOM", None)): 1}
    assert await world.broken_promises() == []


async def test_one_request_through_both_instances_at_once_gets_one_answer(
    instances: tuple[Caller, Caller], world: World
) -> None:
    async def race(number: int) -> list[dict[str, object]]:
        room = f"room-{number}"
        answers = await asyncio.gather(
            *(instance.named("ada").post(PATH, body(room, "ada", 0)) for instance in instances)
        )
        return [answer.json() for answer in answers]

    newest = shipped()[-1].version
    for first, second in await in_waves(race, range(ROUNDS), together=4):
        assert first == second
        assert first["contract_version"] == newest
    assert await world.broken_promises() == []
