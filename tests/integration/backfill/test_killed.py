"""A runner is killed at every step, and the next one goes on: each chunk happens once, whole."""

import asyncio
import os
import signal
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import asyncpg
import pytest

from tallystick.domain.backfill import Run
from tests.integration.cli.conftest import installed, on
from tests.integration.postgres.wires import Fault, Wire, _read, cut
from tests.processes.installations import Installation
from tests.processes.service import Process
from tests.worlds.moving import Moving, a_user

LINES = [
    a_user("ada", "ADA11111", points=5),
    a_user("ada", "OLDER111", day=-3),
    a_user("ben", "ADA11111", day=9, referred_by="here"),
    a_user("cyd", referred_by="ada"),
    a_user("dan", "DAN11111", points=7),
    a_user("here", "HERE1111", points=9),
]
CHUNK = 2
STRIDE = int(os.environ.get("TALLYSTICK_TEST_STRIDE", "5"))
"""Every fifth step, unless every single one is wanted: the steps of a chunk are not five, so all kinds are met."""
FEWEST_STEPS_FORWARD, FEWEST_STEPS_BACK = 30, 40
_COMMIT = b"COMMIT\x00"
_EXECUTE = b"E\x00\x00\x00\x09\x00"


class Snare(Wire):
    """Cuts every connection at a step, as the end of the process does: a statement that is about to run, or a commit
    that has just been confirmed.
    """

    def __init__(self, dsn: str, folder: Path) -> None:
        super().__init__(dsn, folder)
        self._left, self._confirmations = 0, False
        self.steps = 0
        """How many steps there were since it was set."""

    def set_at(self, step: int, *, confirmations: bool = False) -> None:
        """Cut at that step, counted from 1: of statements, or of commits that are confirmed."""
        self._left, self._confirmations, self.steps = step, confirmations, 0

    async def _pass(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, ends: set[asyncio.StreamWriter], fault: Fault
    ) -> None:
        is_question = fault == "cut before the commit"
        while data := await _read(reader):
            if self._is_step(data, is_question=is_question):
                self.steps += 1
                self._left -= 1
                if self._left == 0:
                    for others in list(self._callers.values()):
                        cut(others)
                    break
            writer.write(data)
        cut(ends)

    def _is_step(self, data: bytes, *, is_question: bool) -> bool:
        if self._confirmations:
            return not is_question and _COMMIT in data
        return is_question and (_EXECUTE in data or data.startswith(b"Q"))


@pytest.fixture
async def snare(owner_dsn: str) -> AsyncIterator[Snare]:
    with tempfile.TemporaryDirectory(prefix="snare-") as folder:
        wire = Snare(owner_dsn, Path(folder))
        async with await asyncio.start_unix_server(wire.connect, wire.socket):
            yield wire
            await wire.close()


async def is_applied(moving: Moving, run: Run, dsn: str) -> bool:
    try:
        await moving.apply(run, dsn=dsn)
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
        return False
    return True


async def is_rolled_back(moving: Moving, run: Run, dsn: str) -> bool:
    try:
        await moving.roll_back(run, dsn=dsn)
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
        return False
    return True


@pytest.mark.parametrize("confirmations", [False, True])
async def test_wherever_it_was_killed_the_next_try_ends_it(
    moving: Moving, snare: Snare, *, confirmations: bool
) -> None:
    await moving.world.mint("here", candidates=["MINTED11"] * 8)
    before = await moving.dump()
    step = 1
    while True:
        run = await moving.plan(*LINES, chunk=CHUNK)
        snare.set_at(step, confirmations=confirmations)
        survived = await is_applied(moving, run, snare.dsn)
        await moving.apply(run)

        assert await moving.state(run) == "applied"
        assert (await moving.verify(run)).holds
        done = await moving.done(run)
        assert (done.users, done.kept, done.reminted, done.minted, done.aliases) == (4, 2, 1, 1, 2)
        assert (done.edges, done.points, done.left_out) == (2, 3, 0)
        assert await moving.world.broken_promises() == []
        await moving.roll_back(run)
        assert await moving.dump() == before
        if survived:
            break
        step += STRIDE
    assert step > (9 if confirmations else FEWEST_STEPS_FORWARD)


@pytest.mark.parametrize("confirmations", [False, True])
async def test_wherever_a_rollback_was_killed_the_next_one_ends_it(
    moving: Moving, snare: Snare, *, confirmations: bool
) -> None:
    await moving.world.mint("here", candidates=["MINTED11"] * 8)
    before = await moving.dump()
    step = 1
    while True:
        run = await moving.move_in(*LINES, chunk=CHUNK)
        snare.set_at(step, confirmations=confirmations)
        survived = await is_rolled_back(moving, run, snare.dsn)
        await moving.roll_back(run)

        assert await moving.state(run) == "rolled_back"
        assert await moving.rows("SELECT 1 FROM pg_indexes WHERE indexname LIKE 'backfill_%_of_%'") == []
        assert await moving.dump() == before
        assert await moving.world.broken_promises() == []
        if survived:
            break
        step += STRIDE
    assert step > (6 if confirmations else FEWEST_STEPS_BACK)


@pytest.fixture
def installation(owner_dsn: str) -> Iterator[Installation]:
    with installed(on(owner_dsn)) as installation:
        yield installation


async def test_the_program_is_killed_between_its_chunks_again_and_again(
    moving: Moving, installation: Installation
) -> None:
    """By the kernel, in a process of its own, whenever another chunk was committed."""
    source = moving.file(a_user(f"user{number:05}", f"CODE{number:05}", points=3) for number in range(6000))
    finished = await asyncio.to_thread(
        installation.run, "backfill", "plan", "--source", str(source), "--chunk", "500", "--json"
    )
    assert finished.returncode == 0, finished.stderr
    (plan_hash,) = [row[0] for row in await moving.rows("SELECT plan_hash FROM tallystick.backfill_runs")]
    arguments = ("backfill", "apply", "--plan", plan_hash, "--yes")

    async def chunks() -> int:
        return int((await moving.rows("SELECT count(*) FROM tallystick.backfill_chunks"))[0][0])

    kills = 0
    for wanted in (1, 5, 9, 14):
        runner = Process(*arguments, folder=installation.folder, environment=on(moving.dsn))
        while await chunks() < wanted:
            assert runner.is_running, runner.output
        status = await asyncio.to_thread(runner.end, signal.SIGKILL)
        kills += status == -signal.SIGKILL
    last = await asyncio.to_thread(installation.run, *arguments)

    assert last.returncode == 0, last.stderr
    assert kills >= 2
    assert await chunks() == 24
    assert len(await moving.codes()) == 6000
    verified = await asyncio.to_thread(installation.run, "backfill", "verify", "--plan", plan_hash)
    assert verified.returncode == 0, verified.stdout
    assert await moving.world.broken_promises() == []
