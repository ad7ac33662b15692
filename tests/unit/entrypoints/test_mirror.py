"""The mirror behind traffic: a failure of the mirror changes no answer."""

import asyncio
import json
from collections.abc import Collection

import pytest

from tallystick.adapters.memory.transactions import MemoryTransactions
from tallystick.adapters.telemetry.logs import configure
from tallystick.application.legacy_metadata import MirrorMetadata
from tallystick.application.transactions import StoreUnavailable, TransactionAborted
from tallystick.domain.flags import Flag
from tallystick.domain.users import UserId
from tallystick.entrypoints.worker.mirror import MirrorLater
from tests.unit.entrypoints.test_upkeep import Failing
from tests.worlds.memory import MemoryBackend
from tests.worlds.world import World


def mirroring(world: World, *failures: Exception, capacity: int = 10) -> MirrorLater:
    transactions = world.transactions
    assert isinstance(transactions, MemoryTransactions)
    failing = Failing(transactions, list(failures))
    return MirrorLater(MirrorMetadata(failing, world.clock), world.flags, world.metrics, capacity=capacity)


@pytest.fixture
def world() -> World:
    world = World(MemoryBackend())
    world.fall_back()
    return world


@pytest.mark.parametrize(
    "failure", [TransactionAborted("40001"), StoreUnavailable("57014"), RuntimeError("of ADA12345")], ids=str
)
async def test_a_failure_is_counted_and_logged_without_codes_and_answers_nobody(
    failure: Exception, world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    configure("info")
    world.mint_codes._mirror = mirroring(world, failure)

    assert await world.mint("ada", candidates=["ADA12345"]) == "ADA12345"
    await world.mint_codes._mirror.close(grace_seconds=10)

    assert await world.mirrored("ada") is None
    assert world.metrics.total("metadata_mirror_write_failures") == 1
    (line,) = capsys.readouterr().out.splitlines()
    assert json.loads(line)["event"] == "codes were not mirrored to the legacy metadata"
    assert "ADA12345" not in line


async def test_an_answer_does_not_wait_for_the_mirror(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    caller_guard = asyncio.Event()
    written = MirrorMetadata.__call__

    async def slowly(self: MirrorMetadata, user_ids: Collection[UserId]) -> None:
        await caller_guard.wait()
        await written(self, user_ids)

    monkeypatch.setattr(MirrorMetadata, "__call__", slowly)
    code = await world.mint("ada")
    assert not caller_guard.is_set()

    caller_guard.set()
    assert await world.mirrored("ada") == code


async def test_users_who_come_during_a_write_are_written_after_it(world: World) -> None:
    codes = [await world.mint(user) for user in ("ada", "bob", "cid")]
    await world.mirrored("ada")
    mirror = mirroring(world, StoreUnavailable("57014"))

    for user in ("ada", "bob", "cid"):
        mirror([UserId(user)])
        await asyncio.sleep(0)
    await mirror.close(grace_seconds=10)

    assert [await world.mirrored(user) for user in ("ada", "bob", "cid")] == codes


async def test_more_than_fit_are_counted_and_left_to_the_night(world: World) -> None:
    mirror = mirroring(world, capacity=2)

    for user in ("ada", "bob", "cid", "dan"):
        mirror([UserId(user)])
    await mirror.close(grace_seconds=10)

    assert world.metrics.total("metadata_mirror_write_failures") == 2


async def test_users_who_wait_when_it_gives_up_are_counted(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async def never(_self: MirrorMetadata, _user_ids: Collection[UserId]) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(MirrorMetadata, "__call__", never)
    mirror = mirroring(world)
    mirror([UserId("ada"), UserId("bob")])
    await asyncio.sleep(0)  # these two are being written, and the next ones wait
    mirror([UserId("cid"), UserId("dan"), UserId("eve")])

    await mirror.close(grace_seconds=0)

    assert world.metrics.total("metadata_mirror_write_failures") == 5


async def test_with_the_fallback_off_it_costs_nothing(world: World) -> None:
    world.flags.switch(Flag.LEGACY_FALLBACK_ENABLED, enabled=False)
    mirror = mirroring(world, RuntimeError("it was asked"))

    mirror([UserId("ada")])

    assert mirror._writing is None
    assert mirror._waiting == set()
