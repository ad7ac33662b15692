"""The server is killed at every step between the close of a slip and the reply: the next try has the one effect."""

import asyncio
import os
import signal
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tallystick.domain.rating_slips import Slip
from tests.http.services import bearer
from tests.integration.cli.conftest import installed, on
from tests.integration.postgres.wires import _COMMIT, _EXECUTE, Fault, Wire, _read, cut
from tests.integration.races.connections import Answer, ConnectionLost, connected
from tests.processes.installations import Installation
from tests.processes.service import Process
from tests.worlds.world import World

MORE_THAN_THERE_ARE = 30
FEWEST_STEPS = 9
"""Two for the key, one for each slip, player, account, slip, pending accrual, entry, slip, reply and commit."""
_CLAIM = b"pg_try_advisory_xact_lock"


class Snare(Wire):
    """Kills the server at a step of the transaction that answers a keyed request.

    A step is a statement that is about to run, the commit among them; the last one is the commit's confirmation. The
    claim of the key begins them. Statements are not kept by this server, so that each has its text.
    """

    def __init__(self, dsn: str, folder: Path) -> None:
        super().__init__(dsn, folder)
        self.pid: int | None = None
        self._step = 0
        self._reply_too = False
        self._keyed: set[int] = set()

    def set_at(self, step: int, pid: int) -> None:
        """Kill this process at that step, counted from 1."""
        self.pid, self._step, self._keyed = pid, step, set()

    def set_at_the_confirmation(self, pid: int) -> None:
        """Kill this process when its commit has taken place, before it learns of it."""
        self.set_at(0, pid)
        self._reply_too = True

    async def _pass(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, ends: set[asyncio.StreamWriter], fault: Fault
    ) -> None:
        is_question = fault == "cut before the commit"
        while data := await _read(reader):
            if self._is_due(data, id(ends), is_question=is_question):
                self._kill()
                break
            writer.write(data)
        cut(ends)

    def _is_due(self, data: bytes, connection: int, *, is_question: bool) -> bool:
        if not is_question:
            return self._reply_too and connection in self._keyed and _COMMIT in data
        if _CLAIM in data:
            self._keyed.add(connection)
        if connection in self._keyed and (_EXECUTE in data or data.startswith(b"Q")):
            self._step -= 1
            return self._step == 0
        return False

    def _kill(self) -> None:
        if self.pid is not None:
            os.kill(self.pid, signal.SIGKILL)
            self.pid, self._reply_too = None, False


@pytest.fixture
async def snare(owner_dsn: str) -> AsyncIterator[Snare]:
    with tempfile.TemporaryDirectory(prefix="snare-") as folder:
        wire = Snare(owner_dsn, Path(folder))
        async with await asyncio.start_unix_server(wire.connect, wire.socket):
            yield wire
            await wire.close()


@pytest.fixture
def installation(snare: Snare) -> Iterator[Installation]:
    settings = {"TALLYSTICK_RATE_LIMITS": "off", "TALLYSTICK_CACHE_STATEMENTS": "off", "TALLYSTICK_AUTO_MIGRATE": "off"}
    with installed({**on(snare.dsn), **settings}) as installation:
        yield installation


@pytest.fixture
async def table(installation: Installation, snare: Snare) -> AsyncIterator["Table"]:
    table = Table(installation, snare, await asyncio.to_thread(installation.serve))
    yield table
    await table.close()


class Table:
    """Where slips are completed, by a server that may be killed over it."""

    def __init__(self, installation: Installation, snare: Snare, server: Process) -> None:
        self._installation, self._snare, self._server = installation, snare, server

    async def is_fatal(self, slip: Slip, *, step: int) -> bool:
        """Complete a slip, and return whether there was such a step: then the server was killed at it."""
        self._snare.set_at(step, self._server.pid)
        return await self._dies_of(slip)

    async def confirmation_is_fatal(self, slip: Slip) -> bool:
        """Complete a slip, and return whether the server was killed when its commit was confirmed."""
        self._snare.set_at_the_confirmation(self._server.pid)
        return await self._dies_of(slip)

    async def close(self) -> None:
        """End the last of the servers while its wire still passes things on."""
        await asyncio.to_thread(self._server.end)

    async def complete(self, slip: Slip) -> Answer:
        path, headers = f"/api/rating-slips/{slip.slip_id}/complete", {"authorization": bearer("pit", "slips:write")}
        async with connected(self._server.address) as connection:
            while True:
                answer = await connection.post(path, {}, {**headers, "idempotency-key": slip.slip_id})
                if answer.body.get("code") != "IDEMPOTENCY_IN_PROGRESS":  # the session of the dead may still be there
                    return answer

    async def _dies_of(self, slip: Slip) -> bool:
        try:
            answer = await self.complete(slip)
        except ConnectionLost:
            assert await asyncio.to_thread(self._server.end, signal.SIGKILL) == -signal.SIGKILL
            self._server = await asyncio.to_thread(self._installation.serve)
            return True
        assert answer.body.get("code") in {None, "PARTIAL_COMPLETION"}, answer
        return False


@pytest.mark.parametrize("account", ["open", "frozen"])
async def test_killed_at_any_step_the_next_try_has_the_one_effect(account: str, table: Table, world: World) -> None:
    await world.a_player("ada")
    slips = [await world.a_slip("ada") for _ in range(MORE_THAN_THERE_ARE)]
    if account == "frozen":
        await world.freeze("ada")

    async def is_answered_as_ever(slip: Slip) -> bool:
        first, second = await table.complete(slip), await table.complete(slip)
        return first == second and first.status == (503 if account == "frozen" else 200)

    steps = 0
    while await table.is_fatal(slips[steps], step=steps + 1):
        assert await is_answered_as_ever(slips[steps])
        steps += 1
    assert steps >= FEWEST_STEPS
    assert await table.confirmation_is_fatal(slips[steps + 1])
    assert await is_answered_as_ever(slips[steps + 1])

    tried = slips[: steps + 2]
    assert len(await world.pending(limit=200)) == (len(tried) if account == "frozen" else 0)
    if account == "frozen":
        await world.thaw("ada")
        for slip in tried:
            await world.recover(slip)
    entries = await world.point_entries("ada", limit=200)
    assert sorted(entry.event_key for entry in entries) == sorted(slip.slip_id for slip in tried)
    assert {(await world.slip(slip)).state for slip in tried} == {"closed"}
    assert await world.broken_promises() == []
