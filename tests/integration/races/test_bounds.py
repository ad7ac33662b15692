"""Two instances at the bound: no order of commits exceeds it."""

import asyncio
from collections import Counter
from collections.abc import Sequence

import pytest

from tallystick.application.group_commit import GroupCommit
from tallystick.application.idempotency import AnswerOnce, Keyed
from tallystick.domain.bounds import COUNTED, BoundReached, CountedName, UserBounds
from tests.unit.behaviours.test_bounds import Holder, a_user, held
from tests.worlds.rooms import Rooms
from tests.worlds.wallets import encode_for_test
from tests.worlds.world import World


@pytest.mark.parametrize("name", COUNTED)
async def test_many_instances_at_the_line_never_pass_it(world: World, name: CountedName) -> None:
    await a_user(world, "ada")
    instances = [Holder(world, **{name: 5}) for _ in range(8)]

    outcomes = await asyncio.gather(*(instance.hold(name, "ada", times=2) for instance in instances))

    assert Counter(isinstance(each, BoundReached) for some in outcomes for each in some) == {False: 5, True: 11}
    assert await held(world, name, "ada") == 5


async def test_many_instances_add_no_more_members_than_a_channel_may_have(world: World) -> None:
    channel = await Rooms(world).a_channel()
    instances = [Rooms(world, UserBounds(channel_members=5)) for _ in range(12)]
    adding = (
        each.change_members([Keyed(each.placement(channel, f"user{number}"))]) for number, each in enumerate(instances)
    )

    outcomes = await asyncio.gather(*adding)

    assert Counter(isinstance(each, BoundReached) for some in outcomes for each in some) == {False: 4, True: 8}
    assert len(await Rooms(world).members(channel)) == 5


async def test_many_instances_never_store_more_replies_than_a_caller_may_have(world: World) -> None:
    ran: list[str] = []

    async def run(requests: Sequence[Keyed[str]]) -> list[object]:
        async def work(commands: Sequence[str]) -> Sequence[str]:
            return commands

        async with world.transactions.begin() as stores:
            outcomes: list[object] = list(
                await AnswerOnce(encode_for_test, UserBounds(replies=5))(stores, requests, work)
            )
        ran.extend(each for each in outcomes if isinstance(each, str))
        return outcomes

    def instance() -> GroupCommit[Keyed[str], object]:
        return GroupCommit(
            run,
            key=lambda keyed: keyed.command,
            clock=world.clock,
            randomness=world.randomness,
            metrics=world.metrics,
            name="test",
        )

    asked = [instance()(world.keyed("ada", f"c{number}", f"k{number}")) for number in range(16)]
    outcomes = await asyncio.gather(*asked, return_exceptions=True)

    assert Counter(type(each).__name__ for each in outcomes) == {"str": 5, "BoundReached": 11}
    assert len(ran) == 5
