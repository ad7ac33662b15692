"""Mints that race: one wins, everybody answers its code, and no code is two users'."""

import asyncio
from collections import Counter

import httpx2
import pytest
from dishka import Provider, Scope

from tallystick.adapters.memory.ports import SeededRandomness
from tallystick.application.minting import DrawCandidates, Minted, mint
from tallystick.domain.codes import Code, CodeEntry, draw_candidates
from tallystick.domain.refusals import Failure
from tallystick.domain.users import UserId
from tests.http.services import Caller, running, settings
from tests.integration.conftest import service_of
from tests.integration.postgres.sessions import connection_of
from tests.worlds.world import World

PARALLEL = 1000
READS = 200


def code(response: httpx2.Response) -> str:
    """Return the code of a link that was answered."""
    assert response.status_code == 200, response.text
    found: str = response.json()["referral_code"]
    return found


async def test_a_thousand_parallel_mints_for_one_user_make_one_code(
    instances: tuple[Caller, Caller], world: World
) -> None:
    links = await asyncio.gather(
        *(instances[number % 2].named("ada").get("/api/my-referral-link") for number in range(PARALLEL))
    )

    assert {code(link) for link in links} == {await world.code_of("ada")}
    assert await world.broken_promises() == []


async def test_a_thousand_parallel_mints_for_distinct_users_make_a_thousand_codes(
    instances: tuple[Caller, Caller], world: World
) -> None:
    links = await asyncio.gather(
        *(instances[number % 2].named(f"user-{number}").get("/api/my-referral-link") for number in range(PARALLEL))
    )

    assert len({code(link) for link in links}) == PARALLEL
    assert await world.broken_promises() == []


@pytest.mark.parametrize(("alphabet", "length", "users"), [("01", 8, 200), ("ABCD", 6, 1000)])
async def test_with_an_alphabet_so_small_that_collisions_are_certain_no_code_is_two_users(
    owner_dsn: str, world: World, alphabet: str, length: int, users: int
) -> None:
    randomness = SeededRandomness(7)
    tiny = Provider(scope=Scope.APP)
    tiny.provide(
        lambda: lambda: draw_candidates(randomness.bytes, alphabet=alphabet, length=length),
        provides=DrawCandidates,
        override=True,
    )
    given = settings(database_url=service_of(owner_dsn))
    async with running(given, "postgres", tiny) as (first, _), running(given, "postgres", tiny) as (second, _):
        links = await asyncio.gather(
            *(
                (first, second)[number % 2].named(f"user-{number}").get("/api/my-referral-link")
                for number in range(users)
            )
        )
        scrapes = [(await instance.get("/metrics")).text for instance in (first, second)]

    codes = [code(link) for link in links if link.status_code == 200]
    exhausted = [link for link in links if link.status_code != 200]
    assert max(Counter(codes).values()) == 1
    assert len(codes) > users / 2
    assert {link.json()["code"] for link in exhausted} <= {"CODES_EXHAUSTED"}
    assert sum(measured(scrape, "tallystick_collision_retries_total") for scrape in scrapes) > 0
    assert await world.broken_promises() == []


async def test_webhook_and_first_read_race_to_one_code_for_each_of_200_users(
    instances: tuple[Caller, Caller], world: World
) -> None:
    first, second = instances

    async def arrive(number: int) -> tuple[httpx2.Response, httpx2.Response]:
        user = f"user-{number}"
        return await asyncio.gather(
            first.deliver({"type": "user.created", "data": {"id": user}}, message_id=f"msg_{number}"),
            second.named(user).get("/api/my-referral-link"),
        )

    answers = await asyncio.gather(*(arrive(number) for number in range(READS)))

    assert {webhook.json()["status"] for webhook, _ in answers} == {"processed"}
    for number, (_, link) in enumerate(answers):
        assert code(link) == await world.code_of(f"user-{number}")
    attempts = [measured((await i.get("/metrics")).text, "tallystick_double_mint_attempts_total") for i in instances]
    assert sum(attempts) > 0
    assert await world.broken_promises() == []


async def test_parallel_remints_leave_one_code_and_every_link_alive(
    instances: tuple[Caller, Caller], world: World
) -> None:
    original = code(await instances[0].named("ada").get("/api/my-referral-link"))

    reminted = await asyncio.gather(
        *(instances[number % 2].named("ada").post("/api/referral/remint") for number in range(50))
    )

    codes = {code(answer) for answer in reminted}
    assert len(codes) == 50
    assert {answer.json()["alias"] for answer in reminted} == (codes | {original}) - {await world.code_of("ada")}
    assert [await world.owner(old) for old in codes | {original}] == ["ada"] * 51
    assert await world.broken_promises() == []


async def test_a_mint_that_races_a_deletion_leaves_nothing_that_resolves(
    instances: tuple[Caller, Caller], world: World
) -> None:
    first, second = instances

    async def come_and_go(number: int) -> None:
        user = f"user-{number}"
        await asyncio.gather(
            first.deliver({"type": "user.deleted", "data": {"id": user}}, message_id=f"msg_{number}"),
            second.named(user).get("/api/my-referral-link"),
        )

    await asyncio.gather(*(come_and_go(number) for number in range(100)))

    assert await world.broken_promises() == []
    for number in range(100):
        summary = await world.summary(f"user-{number}")
        assert summary is not None
        assert summary.user.deleted_at is not None
        if summary.code is not None:
            assert await world.owner(summary.code) is None


def measured(scrape: str, name: str) -> float:
    """Return a counter's value."""
    return sum(float(line.rsplit(" ", 1)[1]) for line in scrape.splitlines() if line.startswith(name))


async def test_a_rival_who_minted_for_the_same_user_is_the_one_whose_code_counts(world: World) -> None:
    """Behind the lock on the user, which keeps rivals apart: the constraint on canonical codes knows the winner."""
    await world.arrive("ada")
    ada, now = UserId("ada"), world.clock.now()
    loser_waits = asyncio.Event()

    async def win() -> None:
        async with world.transactions.begin() as stores:
            await stores.codes.assign([CodeEntry(Code("WINNER11"), ada, is_canonical=True, created_at=now)])
            loser_waits.set()
            await until_somebody_waits(world)

    async def lose() -> Minted | Failure:
        await loser_waits.wait()
        async with world.transactions.begin() as stores:
            return (await mint(stores, {ada: [Code("LOSER111"), Code("LOSER222")]}, now))[ada]

    _, lost = await asyncio.gather(win(), lose())

    assert lost == Minted(Code("WINNER11"), created=False, collisions=0)
    assert await world.owner("LOSER111") is None
    assert await world.broken_promises() == []


async def until_somebody_waits(world: World) -> None:
    async with asyncio.timeout(30), world.transactions.reading() as stores:
        waits = "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)"
        while not await connection_of(stores).fetchval(waits):  # noqa: ASYNC110  another session's doing has no event
            await asyncio.sleep(0.01)
