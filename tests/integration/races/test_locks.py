"""Every lock of the stores makes a second transaction wait: constraints find most conflicts without it, not all."""

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping
from importlib.resources import files
from typing import Any

import pytest

from tallystick.application.transactions import Stores
from tallystick.domain.invites import Invite
from tallystick.domain.ledger import AccountKey, EventKey
from tallystick.domain.overlays import OverlaySessionId
from tallystick.domain.rewards import RewardId
from tallystick.domain.stage_rooms import RoomId
from tallystick.domain.topics import TopicId
from tallystick.domain.users import UserId
from tests.integration.postgres.sessions import Session
from tests.integration.races.waiting import until_waiting_or_done
from tests.worlds.overlays import Screens
from tests.worlds.rooms import Rooms
from tests.worlds.stages import Stages
from tests.worlds.world import World

ADA = UserId("ada")
Lock = Callable[[Stores], Awaitable[Any]]
Scene = Callable[[World], Awaitable[Lock]]
"""Prepares a row, and returns the lock that two transactions want."""


async def _users(world: World) -> Lock:
    await world.arrive("ada")
    return lambda stores: stores.users.lock([ADA])


async def _credentials(world: World) -> Lock:
    await world.sign_up(world.sign_up_command("ada", (await world.an_invite()).code))
    return lambda stores: stores.directory.lock([ADA])


async def _erasures(world: World) -> Lock:
    await world.arrive("ada")
    async with world.transactions.begin() as stores:
        (user,) = (await stores.users.lock([ADA])).values()
        await stores.users.store([user.deleted(world.clock.now())])
        await stores.erasures.begin([ADA], world.clock.now())
    return lambda stores: stores.erasures.lock(ADA)


async def _holdings(_world: World) -> Lock:
    return lambda stores: stores.holdings.lock([ADA])


async def _invites(world: World) -> Lock:
    invite: Invite = await world.an_invite()
    return lambda stores: stores.invites.lock([invite.code])


async def _accounts(world: World) -> Lock:
    await world.an_account("ada", balance=5)
    return lambda stores: stores.ledger.lock([AccountKey(ADA, "credits")])


async def _players(world: World) -> Lock:
    await world.a_player("ada")
    await world.award("ada", 5)
    return lambda stores: stores.players.lock([ADA])


async def _slips(world: World) -> Lock:
    await world.a_player("ada")
    slip = await world.a_slip("ada")
    return lambda stores: stores.slips.lock([slip.slip_id])


async def _pending(world: World) -> Lock:
    await world.a_player("ada")
    slip = await world.a_waiting_slip("ada")
    return lambda stores: stores.pending.lock([EventKey(ADA, "points", "rating_slip", slip.slip_id)])


async def _rewards(world: World) -> Lock:
    reward_id: RewardId = (await world.a_reward()).reward_id
    return lambda stores: stores.rewards.lock(reward_id)


async def _topics(world: World) -> Lock:
    channel = await Rooms(world).a_channel()
    return lambda stores: stores.topics.lock([TopicId(channel)])


async def _stage_rooms(world: World) -> Lock:
    stages = Stages(world)
    await stages.sync(stages.command("room", "captain 1 ada"))
    return lambda stores: stores.stage_rooms.lock([RoomId("room")])


async def _overlays(world: World) -> Lock:
    await Screens(world).put()
    return lambda stores: stores.overlays.lock([OverlaySessionId("s")])


SCENES: Mapping[str, Scene] = {
    "directory.lock": _credentials,
    "erasures.lock": _erasures,
    "holdings.lock": _holdings,
    "invites.lock": _invites,
    "ledger.lock": _accounts,
    "loyalty.lock": _players,
    "overlays.lock": _overlays,
    "pending_accruals.lock": _pending,
    "rating_slips.lock": _slips,
    "rewards.lock": _rewards,
    "stage_rooms.lock": _stage_rooms,
    "topics.lock": _topics,
    "users.lock": _users,
}
"""The locks that decisions are made under."""
OTHERS: Mapping[str, str] = {
    "backfill_apply.lock": "a chunk belongs to one process: tests/integration/backfill runs two of them",
    "backfill_apply.lock_pairs": "the same",
    "backfill_rollback.lock": "the same",
    "backfill_rollback.lock_accounts": "the same",
    "backfill_runs.lock_state": "a shared lock, which only keeps a rollback waiting",
    "backfill_runs.unused": "the same as for chunks",
    "overlays.claim_ended": "sweepers leave out what another has locked: tests/integration/races/test_overlays.py",
    "channels.mark_read": "the order of the rows that the statement updates",
    "idempotency.forget": "the order of the rows that the statement deletes",
    "idempotency.lock": "a key that another transaction holds is answered at once, as running",
    "legacy_metadata.hold": "a shared lock, which only keeps a rollback waiting",
    "messages.send": "the order of the members whose markers move, under the lock of the topic",
    "pending_accruals.take_due": "a row that another sweep holds is left to it",
    "reconciliation.lock": "the owner's repair: tests/integration/cli/test_reconcile_beside_a_server.py",
    "repairs.lock_accounts": "the owner's repair: tests/integration/postgres/test_repairs.py",
    "repairs.lock_topics": "the same",
    "repairs.lock_users": "the same",
    "rewards.withdraw": "the order of the rows that the statement updates",
    "schema_contract.hold": "a running migration is refused: tests/integration/postgres/test_schema_contract.py",
}
"""Other statements that lock, and why no second transaction waits for them here."""


def test_every_statement_that_locks_is_among_them() -> None:
    locking = set()
    for file in (files("tallystick.adapters.postgres") / "sql").iterdir():
        for block in re.split(r"\n(?=-- \w+\()", file.read_text(encoding="utf-8")):
            name = re.match(r"-- (\w+)\(", block)
            code = "\n".join(line for line in block.splitlines() if not line.startswith("--"))
            if name is not None and re.search(r"\bFOR (NO KEY )?(UPDATE|SHARE)|advisory_xact_lock", code):
                locking.add(f"{file.name.removesuffix('.sql')}.{name[1]}")

    assert locking == SCENES.keys() | OTHERS.keys()


@pytest.mark.parametrize("name", SCENES)
async def test_a_second_transaction_waits_until_the_first_one_ends(name: str, world: World, superuser: Session) -> None:
    lock = await SCENES[name](world)
    is_locked, may_end = asyncio.Event(), asyncio.Event()

    async def hold() -> None:
        async with world.transactions.begin() as stores:
            await lock(stores)
            is_locked.set()
            await may_end.wait()

    async def follow() -> None:
        async with world.transactions.begin() as stores:
            await lock(stores)

    first = asyncio.create_task(hold())
    await is_locked.wait()
    second = asyncio.create_task(follow())
    await until_waiting_or_done(superuser, second)
    has_waited = not second.done()
    may_end.set()
    await asyncio.gather(first, second)

    assert has_waited
