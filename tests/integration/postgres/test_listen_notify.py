"""The signal on PostgreSQL: a listener learns of every switch, also after the connection was lost, cut or silent."""

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tallystick.adapters.postgres.database import Database
from tallystick.adapters.postgres.listen_notify import ListenNotify
from tallystick.adapters.postgres.stores.flags import CHANNEL
from tallystick.adapters.system import SystemRandomness
from tallystick.application.ports import ChangeSignal
from tallystick.domain.flags import Flag
from tallystick.entrypoints.worker.flags import FollowFlags
from tests.integration.postgres.sessions import Session, session, superuser_of
from tests.integration.postgres.wires import Wire, wired
from tests.worlds.postgres import PostgresBackend
from tests.worlds.switchboards import DEFAULTS, Switchboard, until_holds
from tests.worlds.world import World

POINTS = Flag.POINTS_ENABLED
NEVER = 3600.0
LISTENERS = "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE '%listener'"
NOWHERE = "postgresql://nobody@127.0.0.1:1/nothing"


@pytest.fixture
async def superuser(server: tuple[str, str], owner_dsn: str) -> AsyncIterator[Session]:
    async with session(superuser_of(server, owner_dsn)) as connection:
        yield connection


def listen_notify(dsn: str, *, heartbeat_seconds: float = NEVER, patience_seconds: float = 5.0) -> ListenNotify:
    return ListenNotify(
        dsn, CHANNEL, SystemRandomness(), heartbeat_seconds=heartbeat_seconds, patience_seconds=patience_seconds
    )


@asynccontextmanager
async def following(world: World, signal: ChangeSignal, *, poll_seconds: float = NEVER) -> AsyncIterator[Switchboard]:
    """Return the flags of a process that follows: by the signal alone, where nothing else is said."""
    board = Switchboard(world)
    task = asyncio.create_task(FollowFlags(board.flags, signal, poll_seconds=poll_seconds).run())
    try:
        yield board
        assert not task.done()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def listeners(superuser: Session) -> list[int]:
    return [row["pid"] for row in await superuser.fetch(LISTENERS)]


async def follows(there: Switchboard, here: Switchboard, *, on: bool) -> None:
    """Switch points here, and wait until they are so there."""

    async def followed() -> bool:
        return there.flags.enabled(POINTS) is on

    await here.switch(POINTS, on=on)
    await until_holds(followed)


async def listened(superuser: Session, *, but: int | None = None) -> int:
    """Wait until somebody listens, and return the session."""

    async def found() -> bool:
        return [pid for pid in await listeners(superuser) if pid != but] != []

    await until_holds(found)
    return next(pid for pid in await listeners(superuser) if pid != but)


async def test_a_switch_is_heard_by_every_process_that_never_looks_by_itself(
    world: World, owner_dsn: str, superuser: Session
) -> None:
    async with (
        following(world, listen_notify(owner_dsn)) as first,
        following(world, listen_notify(owner_dsn)) as second,
    ):

        async def both_listen() -> bool:
            return len(await listeners(superuser)) == 2

        await until_holds(both_listen)
        for on in (False, True, False):
            await follows(second, first, on=on)
        for on in (True, False):
            await follows(first, second, on=on)


async def test_a_process_that_cannot_listen_follows_by_looking(world: World) -> None:
    async with following(world, listen_notify(NOWHERE), poll_seconds=0.05) as there:
        for on in (False, True):
            await follows(there, Switchboard(world), on=on)


async def test_a_session_that_is_ended_is_opened_again_and_missed_changes_are_seen(
    world: World, owner_dsn: str, superuser: Session
) -> None:
    here = Switchboard(world)
    async with following(world, listen_notify(owner_dsn)) as there:
        await follows(there, here, on=False)
        for on in (True, False):
            ended = await listened(superuser)
            assert await superuser.fetchval("SELECT pg_terminate_backend($1)", ended)
            await follows(there, here, on=on)
            await listened(superuser, but=ended)
            await follows(there, here, on=not on)


async def test_a_connection_that_falls_silent_is_given_up_for_another_one(
    world: World, owner_dsn: str, superuser: Session
) -> None:
    here = Switchboard(world)
    async with wired(owner_dsn) as wire:
        signal = listen_notify(wire.dsn, heartbeat_seconds=0.05, patience_seconds=0.5)
        async with following(world, signal) as there:
            await follows(there, here, on=False)
            silent = await listened(superuser)
            wire.fault = "silent"
            await here.switch(POINTS, on=True)

            async def is_given_up() -> bool:
                return wire.callers > 1

            await until_holds(is_given_up)
            wire.heal()
            await listened(superuser, but=silent)
            await follows(there, here, on=False)


async def test_a_database_that_comes_later_is_listened_to(world: World, owner_dsn: str) -> None:
    here = Switchboard(world)
    with tempfile.TemporaryDirectory(prefix="wire-") as folder:
        wire = Wire(owner_dsn, Path(folder))
        async with following(world, listen_notify(wire.dsn)) as there:
            await here.switch(POINTS, on=False)
            async with await asyncio.start_unix_server(wire.connect, wire.socket):
                await follows(there, here, on=False)
                await follows(there, here, on=True)
                await wire.close()


async def test_a_follower_that_has_ended_leaves_no_session_behind(
    world: World, owner_dsn: str, superuser: Session
) -> None:
    async with following(world, listen_notify(owner_dsn)):
        await listened(superuser)

    async def nobody_listens() -> bool:
        return await listeners(superuser) == []

    await until_holds(nobody_listens)


async def test_the_service_listens_as_its_own_role(owner_dsn: str) -> None:
    connection = await listen_notify(owner_dsn)._connect()
    try:
        assert await connection.fetchval("SELECT current_user::text") == "tallystick_app"
    finally:
        connection.terminate()


async def test_a_flag_of_another_version_is_left_alone(world: World, owner_dsn: str) -> None:
    async with session(owner_dsn) as owner:
        await owner.execute("SET ROLE tallystick_app")
        await owner.execute("INSERT INTO tallystick.flags VALUES ('flag_of_tomorrow', true, now(), 'ada')")
        board = Switchboard(world)

        await board.switch(POINTS, on=False)

        assert board.known() == {**DEFAULTS, POINTS: False}
        assert set(await board.stored()) == {POINTS}
        assert await owner.fetchval("SELECT enabled FROM tallystick.flags WHERE name = 'flag_of_tomorrow'")


async def test_a_switch_that_changes_nothing_stores_nothing(world: World, owner_dsn: str) -> None:
    async with session(owner_dsn) as owner:
        await owner.execute("SET ROLE tallystick_app")
        board = Switchboard(world)
        await board.switch(POINTS, on=False)
        stored = await owner.fetchval("SELECT xmin::text FROM tallystick.flags")

        await board.switch(POINTS, on=False, by="bob")

        assert await owner.fetchval("SELECT xmin::text FROM tallystick.flags") == stored


async def test_many_who_switch_everything_in_opposite_orders_do_not_lock_up(
    world: World, shared_database: Database
) -> None:
    free = [flag for flag in Flag if flag is not Flag.MINT_IN_REFERRAL_API]
    boards = [Switchboard(World(PostgresBackend(shared_database), seed=number)) for number in range(8)]

    async def work(number: int, board: Switchboard) -> None:
        for turn in range(10):
            flags = free[:: -1 if (number + turn) % 2 else 1]
            await board.switch_together(*(board.wanted(flag, on=(number + turn) % 2 == 0) for flag in flags))

    await asyncio.gather(*(work(number, board) for number, board in enumerate(boards)))

    stored = await Switchboard(world).stored()
    for board in boards:
        await board.flags.refresh()
        assert all(board.flags.enabled(flag) is switch.enabled for flag, switch in stored.items())
