"""The end of a process: unready from the signal on, and everything closed before what it needs."""

import asyncio
import signal
import socket
from collections.abc import AsyncIterator, Callable, Iterator, MutableMapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from types import FrameType
from typing import Any

import httpx2
import pytest
from dishka import Provider, Scope

from tallystick.adapters.memory.transactions import MemoryTransactions
from tallystick.application.ports import Clock, Metrics, Randomness
from tallystick.application.tracing import SILENT
from tallystick.application.transactions import Transactions
from tallystick.domain.refusals import Overloaded, Refusal
from tallystick.entrypoints.group_commits import BatchUseCase, GroupCommits
from tallystick.entrypoints.server import Server
from tallystick.entrypoints.wiring import build
from tallystick.entrypoints.worker.upkeep import Upkeep
from tests.http.services import settings

Handled = list[int]


@pytest.fixture
def handled() -> Iterator[Handled]:
    """Return the signals that the handlers of the ASGI server were called with."""
    signals: Handled = []

    def handle(number: int, _frame: FrameType | None) -> None:
        signals.append(number)

    before = {number: signal.signal(number, handle) for number in (signal.SIGTERM, signal.SIGINT)}
    yield signals
    for number, handler in before.items():
        signal.signal(number, handler)


@asynccontextmanager
async def alive(server: Server) -> AsyncIterator[Callable[[], Any]]:
    """Run the lifespan of a server, and yield what ends it."""
    received: asyncio.Queue[Any] = asyncio.Queue()
    sent: asyncio.Queue[MutableMapping[str, Any]] = asyncio.Queue()
    await received.put({"type": "lifespan.startup"})
    life = asyncio.create_task(server({"type": "lifespan"}, received.get, sent.put))  # type: ignore[arg-type]  # as servers do
    assert (await sent.get())["type"] == "lifespan.startup.complete"

    async def end() -> None:
        await received.put({"type": "lifespan.shutdown"})
        await life
        assert (await sent.get())["type"] == "lifespan.shutdown.complete"

    yield end
    if not life.done():
        await end()


async def readiness(server: Server) -> tuple[int, list[str]]:
    transport = httpx2.ASGITransport(app=server)  # type: ignore[arg-type]  # its types are its own
    async with httpx2.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        reply = await client.get("/readyz")
    return reply.status_code, reply.json()["reasons"]


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
async def test_it_is_unready_from_the_signal_on_and_the_server_ends_it(how: signal.Signals, handled: Handled) -> None:
    server = Server(partial(build, settings(), "memory"))
    async with alive(server):
        assert await readiness(server) == (200, [])

        signal.raise_signal(how)

        assert await readiness(server) == (503, ["the process is shutting down"])
        assert handled == [how]


async def test_with_a_delay_it_is_unready_at_once_and_a_second_signal_ends_it(handled: Handled) -> None:
    server = Server(partial(build, settings(), "memory"), drain_delay_seconds=600)
    async with alive(server):
        assert await readiness(server) == (200, [])

        signal.raise_signal(signal.SIGTERM)
        assert await readiness(server) == (503, ["the process is shutting down"])
        assert handled == []

        signal.raise_signal(signal.SIGINT)
        await until_handled(handled)

    assert handled == [signal.SIGINT]


async def test_the_delay_ends_by_itself(handled: Handled) -> None:
    server = Server(partial(build, settings(), "memory"), drain_delay_seconds=1)
    async with alive(server):
        signal.raise_signal(signal.SIGTERM)
        await until_handled(handled)

    assert handled == [signal.SIGTERM]


async def until_handled(handled: Handled) -> None:
    """Wait until the handler of the ASGI server was called."""
    async with asyncio.timeout(30):
        while not handled:  # noqa: ASYNC110  the handler of a signal has no event
            await asyncio.sleep(0.01)


class Closings(Provider):
    """Parts of the graph that note when each is closed, in order."""

    scope = Scope.APP

    def __init__(self, listener: socket.socket) -> None:
        super().__init__()
        self._listener = listener
        self.order: list[str] = []
        self.provide(self.store, provides=Transactions)
        self.provide(self.commits, provides=GroupCommits)
        self.rounds = Rounds(self.note)
        self.provide(lambda: self.rounds, provides=Upkeep)

    def note(self, what: str) -> None:
        """Note that something was closed, behind the listener if that is closed by now."""
        listener = "listener of the measurements"
        if self._listener.fileno() == -1 and listener not in self.order:
            self.order.append(listener)
        self.order.append(what)

    async def store(self) -> AsyncIterator[Transactions]:
        yield MemoryTransactions()
        self.note("store")

    def commits(self, clock: Clock, randomness: Randomness, metrics: Metrics) -> GroupCommits:
        commits = GroupCommits(clock, randomness, metrics, SILENT)
        batch = WaitingBatch(self.note, self.rounds)
        self.buy = commits.open(BatchUseCase(WaitingBatch, "purchase_rewards", key=lambda _: 0), batch)
        commits.close_afterwards(self.behind)
        return commits

    async def behind(self, *, grace_seconds: float) -> None:
        assert grace_seconds > 0
        self.note("what group commits leave behind")


class Rounds(Upkeep):
    """Upkeep that does nothing until it is cancelled."""

    def __init__(self, note: Callable[[str], None]) -> None:
        self._note = note
        self.ended = asyncio.Event()

    async def run(self) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            self._note("background work")
            self.ended.set()


class WaitingBatch:
    """A use case that takes until the end has begun, and some turns of the loop longer than what is closed at once."""

    def __init__(self, note: Callable[[str], None], rounds: Rounds) -> None:
        self._note, self._rounds = note, rounds

    async def __call__(self, rewards: Sequence[str]) -> Sequence[str | Refusal]:
        await self._rounds.ended.wait()
        for _ in range(20):
            await asyncio.sleep(0)
        self._note("commands that were waiting")
        return rewards


async def test_everything_is_closed_before_what_it_needs(handled: Handled) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        closings = Closings(listener)
        server = Server(partial(build, settings(), "memory", closings), listener)
        async with alive(server) as end:
            waiting = asyncio.create_task(closings.buy("hat"))
            await asyncio.sleep(0)

            await end()

            assert await waiting == "hat"
            with pytest.raises(Overloaded):
                await closings.buy("too late")

    assert closings.order == [
        "listener of the measurements",
        "background work",
        "commands that were waiting",
        "what group commits leave behind",
        "store",
    ]
