"""Clicks behind traffic: gathered without a store, bounded, and stored when it is there."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

import pytest

from tallystick.adapters.memory.transactions import MemoryTransactions
from tallystick.adapters.telemetry.logs import configure
from tallystick.application.clicks import Clicks
from tallystick.application.transactions import Stores, StoreUnavailable
from tallystick.domain.codes import Code
from tallystick.entrypoints.worker import clicks as module
from tallystick.entrypoints.worker.clicks import FlushClicks
from tests.unit.entrypoints.test_upkeep import Failing, NoPause
from tests.worlds.memory import MemoryBackend
from tests.worlds.world import World


@pytest.fixture
async def world() -> World:
    world = World(MemoryBackend())
    for number in range(5):
        await world.imported(f"user{number}", f"1000{number}")
    await world.reconcile(repair=True)
    return world


class Hanging:
    """Transactions on a database that never answers."""

    def __init__(self, transactions: MemoryTransactions) -> None:
        self.reading, self.snapshot = transactions.reading, transactions.snapshot
        self.begun = 0
        self.has_begun = asyncio.Event()

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[Stores]:
        self.begun += 1
        self.has_begun.set()
        await asyncio.Event().wait()
        yield cast("Stores", None)


@pytest.fixture
def hanging(world: World) -> Hanging:
    assert isinstance(world.transactions, MemoryTransactions)
    return Hanging(world.transactions)


def gathering(world: World, *failures: Exception, capacity: int = 10) -> tuple[Clicks, Failing]:
    assert isinstance(world.transactions, MemoryTransactions)
    failing = Failing(world.transactions, list(failures))
    return Clicks(failing, world.clock, world.metrics, capacity=capacity), failing


def click(clicks: Clicks, *numbers: int) -> None:
    for number in numbers:
        clicks.note(Code(f"1000{number}"))


async def test_a_failed_flush_is_counted_and_its_clicks_go_with_the_next_one(world: World) -> None:
    clicks, _ = gathering(world, StoreUnavailable("57014"))
    flush = FlushClicks(clicks, NoPause())
    click(clicks, 0)
    await flush.flush()
    assert (world.metrics.total("click_write_failures"), await world.clicked()) == (1, set())

    click(clicks, 1)
    await flush.flush()

    assert await world.clicked() == {"10000", "10001"}


async def test_clicks_that_do_not_fit_are_counted_and_forgotten(world: World) -> None:
    clicks, _ = gathering(world, capacity=2)

    click(clicks, 0, 1, 1, 2, 3)
    await clicks.flush()

    assert await world.clicked() == {"10000", "10001"}
    assert world.metrics.total("clicks_forgotten") == 2


async def test_stored_clicks_are_not_sent_again_and_the_memory_of_them_is_bounded(world: World) -> None:
    clicks, failing = gathering(world, capacity=2)
    for number in range(3):
        click(clicks, number)
        await clicks.flush()
    assert len(clicks._stored) == 2

    failing.failures = [StoreUnavailable("57014")]
    click(clicks, 1, 2)
    await clicks.flush()
    assert len(failing.failures) == 1  # nothing was sent

    click(clicks, 0)
    with pytest.raises(StoreUnavailable):
        await clicks.flush()


async def test_they_are_stored_while_it_runs_and_when_it_ends(world: World) -> None:
    clicks, _ = gathering(world)
    running = asyncio.create_task(FlushClicks(clicks, NoPause()).run())
    click(clicks, 0)
    async with asyncio.timeout(10):
        while not await world.clicked():  # noqa: ASYNC110  the store has no event for it
            await asyncio.sleep(0)

    click(clicks, 1)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running

    assert await world.clicked() == {"10000", "10001"}


async def test_a_flush_that_the_end_cuts_short_is_neither_a_failure_nor_begun_again(
    world: World, hanging: Hanging
) -> None:
    clicks = Clicks(hanging, world.clock, world.metrics)
    click(clicks, 0)
    running = asyncio.create_task(FlushClicks(clicks, NoPause()).run())
    await hanging.has_begun.wait()

    running.cancel()
    async with asyncio.timeout(10):
        assert isinstance((await asyncio.gather(running, return_exceptions=True))[0], asyncio.CancelledError)

    assert hanging.begun == 1
    assert world.metrics.total("click_write_failures") == 0


async def test_the_last_flush_takes_no_longer_than_a_moment(
    world: World, hanging: Hanging, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    configure("info")
    monkeypatch.setattr(module, "LAST_SECONDS", 0.01)
    monkeypatch.setattr(module, "PAUSE_SECONDS", 3600.0)
    clicks = Clicks(hanging, world.clock, world.metrics)
    click(clicks, 0)
    running = asyncio.create_task(FlushClicks(clicks, world.randomness).run())
    await asyncio.sleep(0)

    running.cancel()
    async with asyncio.timeout(10):
        await asyncio.gather(running, return_exceptions=True)

    assert hanging.begun == 1
    assert "the last clicks were not stored" in capsys.readouterr().out


async def test_an_outage_is_logged_once_and_the_next_one_again(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    configure("info")
    away = StoreUnavailable("57014")
    clicks, failing = gathering(world, away, away, away)
    flush = FlushClicks(clicks, NoPause())
    click(clicks, 0)
    for _ in range(4):
        await flush.flush()
    failing.failures = [away]
    click(clicks, 1)
    await flush.flush()

    assert capsys.readouterr().out.count("clicks have to wait") == 2
    assert world.metrics.total("click_write_failures") == 4
