"""A stored reply is given to nobody who was deleted since, by none of the use cases that store one."""

import importlib
import inspect
import pkgutil

import pytest

import tallystick.application
from tallystick.adapters.memory.tables import Tables
from tallystick.application.idempotency import AnswerOnce, Replayed
from tallystick.domain.users import UserDeleted
from tests.unit.application.scenes import ADA, SCENES, MortalTransactions
from tests.worlds.memory import MemoryBackend
from tests.worlds.world import World


def use_cases_that_answer_once() -> list[str]:
    found = [
        name
        for each in pkgutil.iter_modules(tallystick.application.__path__, "tallystick.application.")
        for name, written in inspect.getmembers(importlib.import_module(each.name), inspect.isclass)
        if written.__module__ == each.name and AnswerOnce in inspect.get_annotations(written.__init__).values()
    ]
    assert len(found) > 12
    return found


@pytest.mark.parametrize("name", use_cases_that_answer_once())
async def test_the_first_answer_is_repeated_to_the_living_alone(name: str) -> None:
    world = World(MemoryBackend(MortalTransactions(Tables())))
    attempt = await SCENES[name](world, "key")
    await attempt()
    (again,) = await attempt()
    assert isinstance(again, Replayed)
    # As a deletion leaves it that is committed behind the guard of the route: the replies are erased a step later.
    await world.a_player("ada")
    async with world.transactions.begin() as stores:
        (user,) = (await stores.users.lock([ADA])).values()
        await stores.users.store([user.deleted(world.clock.now())])

    (refused,) = await attempt()

    assert isinstance(refused, UserDeleted)
