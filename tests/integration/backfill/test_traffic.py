"""A team moves in while the service serves: no link that resolved ever stops resolving, and no promise is broken."""

import asyncio
import random

import pytest

from tallystick.adapters.postgres.database import Database
from tallystick.adapters.postgres.stores.codes import PostgresReferralCodes
from tallystick.application.transactions import TransactionAborted
from tallystick.domain.refusals import Failure
from tests.worlds.moving import Moving, a_user
from tests.worlds.postgres import PostgresBackend
from tests.worlds.world import World

USERS = 300
POLL_SECONDS = 0.05


class Watch:
    """Follows every code again and again on a connection of its own, and remembers where each led."""

    def __init__(self, database: Database, codes: list[str]) -> None:
        self._database, self._codes = database, codes
        self.led: dict[str, str] = {}
        self.broken: list[str] = []
        self.looks = 0

    async def look(self) -> None:
        async with self._database.connection() as connection:
            entries = await PostgresReferralCodes(connection).resolve(self._codes)
        self.broken += [code for code, user in self.led.items() if code not in entries or entries[code].user_id != user]
        self.led |= {code: entry.user_id for code, entry in entries.items()}
        self.looks += 1

    async def run(self) -> None:
        while True:
            await self.look()
            await asyncio.sleep(POLL_SECONDS)


def clients(moving: Moving, database: Database) -> list[World]:
    """Return instances that live at the time of the move."""
    worlds = [World(PostgresBackend(database), seed=number) for number in range(3)]
    for world in worlds:
        world.clock.move(moving.world.clock.now() - world.clock.now())
    return worlds


async def churn(world: World, chance: random.Random) -> None:
    """Do what clients do, with the users who are just moving in among others."""
    while True:
        user, other = (f"user{chance.randrange(USERS + 50):03}" for _ in range(2))
        try:
            match chance.randrange(5):
                case 0:
                    await world.mint(user)
                case 1:
                    await world.remint(user)
                case 2:
                    await world.arrive(user, f"CODE{chance.randrange(USERS):04}", phone_verified=True)
                case 3:
                    await world.award(other, 5)
                case _:
                    await world.deliver("updated", user)
        except (Failure, TransactionAborted):
            pass  # a definite no, or what a group commit would try again
        await asyncio.sleep(0)


@pytest.mark.parametrize("seed", range(3))
async def test_no_link_stops_resolving_and_no_promise_is_broken(
    moving: Moving, owner_dsn: str, shared_database: Database, seed: int
) -> None:
    lines = [
        a_user(f"user{n:03}", f"CODE{n % 200:04}", day=n, points=n % 7, referred_by=f"user{n // 3:03}")
        for n in range(USERS)
    ]
    lines += [a_user(f"user{n:03}", f"OLD{n:05}", day=-n) for n in range(0, USERS, 3)]
    run = await moving.plan(*lines, chunk=10)
    minted = [await moving.world.mint(f"user{n:03}") for n in range(0, USERS, 10)]
    codes = [f"CODE{n:04}" for n in range(200)] + [f"OLD{n:05}" for n in range(0, USERS, 3)] + list(minted)
    watch = Watch(shared_database, codes)
    await watch.look()
    worlds = clients(moving, shared_database)

    background = [asyncio.create_task(watch.run())]
    background += [asyncio.create_task(churn(each, random.Random(seed * 10 + n))) for n, each in enumerate(worlds)]
    await moving.apply(run, connections=2)
    for task in background:
        task.cancel()
    outcomes = await asyncio.gather(*background, return_exceptions=True)
    await watch.look()

    assert {type(outcome) for outcome in outcomes} == {asyncio.CancelledError}
    assert watch.broken == []
    assert len(watch.led) == len(codes)
    assert watch.looks > 3
    assert (await moving.verify(run)).holds
    assert await moving.world.broken_promises() == []


async def test_a_user_who_asks_while_their_chunk_is_written_finds_the_code_that_they_know(
    moving: Moving, shared_database: Database
) -> None:
    users = [f"user{n:03}" for n in range(USERS)]
    run = await moving.plan(*(a_user(user, f"CODE{user[-3:]}") for user in users), chunk=10)
    await moving.world.run_is("applying", run=run.run)
    worlds = clients(moving, shared_database)
    aborted: list[str] = []

    async def ask(world: World, chance: random.Random) -> None:
        world.fall_back()
        left = users[:]
        chance.shuffle(left)
        while left:
            taken, left = left[:7], left[7:]
            try:
                await world.mint_codes([world.mint_command(user) for user in taken])
                await world.deliver("updated", taken[0])
            except TransactionAborted as error:  # what a group commit would try again
                aborted.append(str(error))

    await asyncio.gather(
        moving.apply(run, connections=2), *(ask(world, random.Random(n)) for n, world in enumerate(worlds))
    )

    assert [await moving.canonical(user) for user in users[::10]] == [f"CODE{n:03}" for n in range(0, USERS, 10)]
    assert {canonical for _, canonical in (await moving.codes()).values()} == {True}
    assert "40P01" not in aborted
    assert (await moving.verify(run)).holds
    assert await moving.world.broken_promises() == []


async def test_a_rollback_beside_traffic_breaks_no_promise(moving: Moving, shared_database: Database) -> None:
    lines = [
        a_user(f"user{n:03}", f"CODE{n:04}", day=n, points=n % 7, referred_by=f"user{n // 3:03}") for n in range(USERS)
    ]
    run = await moving.move_in(*lines, chunk=30)
    worlds = clients(moving, shared_database)

    background = [asyncio.create_task(churn(each, random.Random(n))) for n, each in enumerate(worlds)]
    await moving.roll_back(run)
    for task in background:
        task.cancel()
    outcomes = await asyncio.gather(*background, return_exceptions=True)

    assert {type(outcome) for outcome in outcomes} == {asyncio.CancelledError}
    assert await moving.state(run) == "rolled_back"
    assert await moving.world.broken_promises() == []
