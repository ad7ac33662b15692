"""A process that follows flags: by the signal alone, by polling alone, and through every failure."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from tallystick.adapters.memory.stores.flags import SilentSignal
from tallystick.adapters.memory.transactions import MemoryTransactions
from tallystick.adapters.telemetry.logs import configure
from tallystick.application.flags import FollowedFlags
from tallystick.application.transactions import Stores, StoreUnavailable, TransactionAborted
from tallystick.domain.flags import Flag, Pins, Switch
from tallystick.entrypoints.worker.flags import POLL_SECONDS, FollowFlags
from tests.worlds.memory import MemoryBackend
from tests.worlds.switchboards import DEFAULTS, Switchboard
from tests.worlds.world import World

POINTS, WEBHOOK = Flag.POINTS_ENABLED, Flag.WEBHOOK_ENABLED
NEVER = 3600.0
LONG = 30_000


class Gong:
    """A signal in the test's hand."""

    def __init__(self) -> None:
        self.struck = asyncio.Event()
        self.is_listened_to = asyncio.Event()

    async def listen(self) -> None:
        self.is_listened_to.set()
        await asyncio.Event().wait()

    async def wait(self) -> frozenset[str]:
        await self.struck.wait()
        self.struck.clear()
        return frozenset({""})


class Watched(MemoryTransactions):
    """Transactions that count reads, hold them up, and fail as the test says."""

    def __init__(self) -> None:
        super().__init__()
        self.failures: list[Exception] = []
        self.reads = 0
        self.gates: list[asyncio.Event] = []
        """Each read waits for the first of them, after it has read."""

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[Stores]:
        self.reads += 1
        if self.failures:
            raise self.failures.pop(0)
        async with super().reading() as stores:
            yield Held(stores, self.gates.pop(0)) if self.gates else stores  # type: ignore[misc]  # flags are all that is read


class Held:
    """Stores whose flags are read at once, and answered when a gate opens."""

    def __init__(self, stores: Stores, gate: asyncio.Event) -> None:
        self._stores, self._gate = stores, gate

    @property
    def flags(self) -> "Held":
        return self

    async def all(self) -> dict[Flag, Switch]:
        found = await self._stores.flags.all()
        await self._gate.wait()
        return found


@pytest.fixture
def transactions() -> Watched:
    return Watched()


@pytest.fixture
def world(transactions: Watched) -> World:
    return World(MemoryBackend(transactions))


async def until(holds: Callable[[], bool]) -> None:
    for _ in range(LONG):
        if holds():
            return
        await asyncio.sleep(0.001)
    raise AssertionError("it never holds")


@asynccontextmanager
async def running(follow: FollowFlags) -> AsyncIterator[None]:
    task = asyncio.create_task(follow.run())
    try:
        yield
        assert not task.done()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def store(world: World, *, on: bool) -> None:
    """Switch points elsewhere."""
    await Switchboard(world).switch(POINTS, on=on)


async def test_a_ring_is_followed_without_looking_now_and_then(world: World) -> None:
    flags, gong = FollowedFlags(world.transactions, Pins({})), Gong()
    async with running(FollowFlags(flags, gong, poll_seconds=NEVER)):
        await gong.is_listened_to.wait()
        for on in (False, True, False):
            await store(world, on=on)
            assert flags.enabled(POINTS) is not on
            gong.struck.set()
            await until(lambda on=on: flags.enabled(POINTS) is on)  # type: ignore[misc]  # a default of its own


async def test_looking_now_and_then_follows_without_notifications(world: World) -> None:
    flags = FollowedFlags(world.transactions, Pins({}))
    async with running(FollowFlags(flags, SilentSignal(), poll_seconds=0.01)):
        for on in (False, True, False):
            await store(world, on=on)
            await until(lambda on=on: flags.enabled(POINTS) is on)  # type: ignore[misc]  # a default of its own


def test_a_process_without_signals_looks_often_enough_to_follow_within_five_seconds() -> None:
    assert POLL_SECONDS <= 2.5


@pytest.mark.parametrize("failure", [TransactionAborted("gone"), StoreUnavailable("full"), KeyError("a bug")])
async def test_flags_that_cannot_be_read_stay_as_they_are_known_and_are_followed_again(
    world: World, transactions: Watched, failure: Exception
) -> None:
    flags, gong = FollowedFlags(world.transactions, Pins({})), Gong()
    await store(world, on=False)
    follow = FollowFlags(flags, gong, poll_seconds=NEVER)
    await follow.refresh()
    await store(world, on=True)

    async with running(follow):
        transactions.failures = [failure, failure]
        for left in (1, 0):
            gong.struck.set()
            await until(lambda left=left: len(transactions.failures) == left)  # type: ignore[misc]  # a default of its own
            assert not flags.enabled(POINTS)
        gong.struck.set()
        await until(lambda: flags.enabled(POINTS))


async def test_a_look_that_fails_does_not_stop_a_start(world: World, transactions: Watched) -> None:
    flags = FollowedFlags(world.transactions, Pins({WEBHOOK: False}))
    transactions.failures = [KeyError("no such table")]

    await FollowFlags(flags, SilentSignal()).refresh()

    assert {flag: flags.enabled(flag) for flag in Flag} == {**DEFAULTS, WEBHOOK: False}


async def test_an_outage_is_logged_once(
    world: World, transactions: Watched, capsys: pytest.CaptureFixture[str]
) -> None:
    configure("info")
    follow = FollowFlags(FollowedFlags(world.transactions, Pins({})), SilentSignal())

    async def logged(failures: int) -> int:
        transactions.failures = [StoreUnavailable("full")] * failures
        for _ in range(failures + 1):
            await follow.refresh()
        return capsys.readouterr().out.count("flags cannot be read")

    assert [await logged(3), await logged(0), await logged(1)] == [1, 0, 1]


async def test_a_committed_switch_is_answered_even_where_it_cannot_be_looked_at(
    world: World, transactions: Watched
) -> None:
    board = Switchboard(world)
    for failure in (TransactionAborted("gone"), StoreUnavailable("full")):
        transactions.failures = [failure]

        known = board.flags.enabled(POINTS)

        state = await board.switch(POINTS, on=not known)

        assert state.enabled is not known
        assert board.flags.enabled(POINTS) is known
        await board.flags.refresh()
        assert board.flags.enabled(POINTS) is state.enabled


async def test_a_slow_look_does_not_bring_back_what_a_later_one_found_changed(
    world: World, transactions: Watched
) -> None:
    flags, gate = FollowedFlags(world.transactions, Pins({})), asyncio.Event()
    transactions.gates = [gate]
    slow = asyncio.create_task(flags.refresh())
    await until(lambda: transactions.reads == 1 and not transactions.gates)
    async with transactions.begin() as stores:
        await stores.flags.store([Switch(POINTS, False, world.clock.now(), "ada")])
    late = asyncio.create_task(flags.refresh())
    for _ in range(10):
        await asyncio.sleep(0)

    gate.set()
    await asyncio.gather(slow, late)

    assert not flags.enabled(POINTS)
