"""A scene for every class that begins transactions: the rows before it, and the requests of a client."""

import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

from tallystick.adapters.memory.ports import ManualClock, SeededRandomness
from tallystick.adapters.memory.tables import Tables
from tallystick.adapters.memory.transactions import MemoryTransactions
from tallystick.application import erasures
from tallystick.application.channels import ReadUpTo
from tallystick.application.clicks import Clicks
from tallystick.application.deletion import Deletion
from tallystick.application.fingerprints import Fingerprints
from tallystick.application.flags import FollowedFlags, SwitchFlags
from tallystick.application.invariant_looks import LookAtPromises
from tallystick.application.legacy_metadata import MirrorMetadata
from tallystick.application.loyalty import Earnings
from tallystick.application.members import PlaceMember
from tallystick.application.messages import DeleteMessage, NewMessage
from tallystick.application.overlay_batch import RemoveOverlay
from tallystick.application.pending_accruals import Recovery
from tallystick.application.rating_slips import RecoverSlip
from tallystick.application.reads import SlowReads
from tallystick.application.retention import TrimLogs
from tallystick.application.rewards import OfferReward, OrderBatch
from tallystick.application.sessions import NewSession, SignOut
from tallystick.application.transactions import Stores
from tallystick.application.work_lease import LEASE
from tallystick.domain.channels import MemberKey
from tallystick.domain.codes import Code
from tallystick.domain.flags import Flag, Pins, Switch
from tallystick.domain.ledger import EventKey
from tallystick.domain.retention import Retention
from tallystick.domain.sessions import LIFETIME, Session, SessionId
from tallystick.domain.users import Profile, UserId
from tallystick.entrypoints.worker.nightly import Nightly
from tallystick.entrypoints.worker.upkeep import Upkeep
from tests.worlds.overlays import Screens
from tests.worlds.rooms import Rooms
from tests.worlds.stages import Stages
from tests.worlds.world import World

ADA, BOB = UserId("ada"), UserId("bob")


class Killed(Exception):
    """The process is gone."""


class MortalTransactions(MemoryTransactions):
    """Transactions of a process that is killed once it has committed so many."""

    def __init__(self, tables: Tables) -> None:
        super().__init__(tables, now=ManualClock().now)
        self.left: int | None = None

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[Stores]:
        if self.left == 0:
            raise Killed
        async with super().begin() as stores:
            yield stores
        if self.left is not None:
            self.left -= 1
            if self.left == 0:
                raise Killed


Attempt = Callable[[], Awaitable[Any]]
Scene = Callable[[World, str | None], Awaitable[Attempt]]
"""Prepares a world, and returns what a client does under a key or none: the same each time."""


def one(use_case: Callable[[World], Any], command: Callable[[World], Any], *users: str) -> Scene:
    """Return a scene in which users are known and one keyed command is given."""

    async def scene(world: World, key: str | None) -> Attempt:
        for user in users:
            await world.a_player(user)
        given = command(world)
        keyed = world.keyed("ada", await given if inspect.isawaitable(given) else given, key)
        return lambda: use_case(world)([keyed])

    return scene


def bare(use_case: Callable[[World], Any], command: Callable[[World], Any]) -> Scene:
    """Return a scene in which one command is given that takes no key."""

    async def scene(world: World, key: str | None) -> Attempt:
        given = command(world)
        commands = [await given if inspect.isawaitable(given) else given]
        return lambda: use_case(world)(commands)

    return scene


async def _order(world: World) -> Any:
    await world.an_account("ada", balance=100)
    return world.order("ada", await world.a_reward(cost=40))


async def _order_batch(world: World) -> Any:
    return OrderBatch((await _order(world), world.order("bob", await world.a_reward(cost=1))))


async def _upsert(world: World) -> Any:
    return world.upsert("ada", await world.mint("bob"), profile=Profile(username="ada"), phone_verified=True)


async def _session(world: World) -> NewSession:
    await world.sign_up(world.sign_up_command("ada", (await world.an_invite()).code))
    now = world.clock.now()
    return NewSession(Session(ADA, SessionId("ab" * 16), now, now + LIFETIME), "hash of a good password")


async def _sign_out(world: World) -> SignOut:
    return SignOut((await world.start_session(await _session(world))).key, everywhere=True)


async def _password_change(world: World) -> Any:
    session = await world.start_session(await _session(world))
    return await world.check_password(session.key, current="a good password", new="a better password")


async def _sign_up(world: World) -> Any:
    return world.sign_up_command("ada", (await world.an_invite()).code, phone_verified=True)


async def _redemption(world: World) -> Any:
    return world.redemption("ada", (await world.an_invite()).code)


async def _completion(world: World) -> Any:
    slip = await world.a_slip("ada")
    world.pass_time(hours=1)
    return world.completion(slip)


async def _waiting_event(world: World) -> EventKey:
    slip = await world.a_waiting_slip("ada")
    return EventKey(ADA, "points", "rating_slip", slip.slip_id)


async def _recovery(world: World) -> Recovery:
    return Recovery(await _waiting_event(world), world.clock.now())


async def _slip_recovery(world: World) -> RecoverSlip:
    return RecoverSlip((await world.a_waiting_slip("ada")).slip_id, world.clock.now())


async def _sweep(world: World, _key: str | None) -> Attempt:
    await world.a_player("ada")
    await _waiting_event(world)
    world.pass_time(minutes=5)

    async def sweep() -> None:
        world.pass_time(minutes=5)
        if [out for _, out in await world.sweep_accruals() if isinstance(out, Killed)]:
            raise Killed

    return sweep


async def _placement(world: World) -> PlaceMember:
    rooms = Rooms(world)
    return rooms.placement(await rooms.a_channel(owner="ada"), BOB, by=ADA)


async def _message(world: World) -> NewMessage:
    rooms = Rooms(world)
    return rooms.message(await rooms.a_channel(owner="ada"), "ada")


async def _message_deletion(world: World) -> DeleteMessage:
    rooms = Rooms(world)
    message = await rooms.send(await rooms.a_channel(owner="ada"), "ada")
    return rooms.deletion(message, by=ADA)


async def _marker(world: World) -> ReadUpTo:
    rooms = Rooms(world)
    message = await rooms.send(await rooms.a_channel("ada"), "owner")
    return ReadUpTo(MemberKey(message.channel_id, ADA), message.seq)


async def _much_of(world: World, user: str) -> None:
    """Give a user several rows of each kind that a deletion has to remove."""
    await world.a_player(user)
    for _ in range(3):
        await world.remint(user)
        await world.a_reward(owner=user)
        await world.grant(user, 1, key=world.new_id())
        rooms = Rooms(world)
        await rooms.send(await rooms.a_channel(user), user)


async def _deletion(world: World, _key: str | None) -> Attempt:
    await _much_of(world, "ada")
    deletion = Deletion(ADA, world.clock.now())
    return lambda: _delete(world, deletion)


async def _delete(world: World, deletion: Deletion) -> None:
    await world.delete_users([deletion])
    await world.finish_erasures()


async def _erasure(world: World, _key: str | None) -> Attempt:
    await _much_of(world, "ada")
    async with world.transactions.begin() as stores:
        (user,) = (await stores.users.lock([ADA])).values()
        await stores.users.store([user.deleted(world.clock.now())])
        await erasures.erase_single_rows(stores, [ADA], world.clock.now())
    return lambda: world.erase_traces(ADA, world.clock.now())


async def _deletion_by_event(world: World, _key: str | None) -> Attempt:
    await _much_of(world, "ada")
    delivered = [world.delivery("created", "bob", phone_confirmed=True), world.delivery("deleted", "ada")]

    async def deliver() -> None:
        await world.receive_identity_events(delivered)
        await world.finish_erasures()

    return deliver


async def _staged(world: World) -> None:
    world.fall_back()
    for user in ("ada", "bob"):
        await world.imported(user, f"{user.upper()}2222", aliases=[f"{user.upper()}3333"])


async def _adoption(world: World, _key: str | None) -> Attempt:
    await _staged(world)
    return lambda: world.adopt_codes([Code("ADA2222")])


async def _reconciliation(world: World, _key: str | None) -> Attempt:
    await _staged(world)

    async def reconcile() -> None:
        failures: list[Exception] = []
        async for _ in world.reconcile_metadata.pages(is_to_repair=True, size=1, report_failure=failures.append):
            pass
        for failure in failures:
            raise failure

    return reconcile


async def _mirroring(world: World, _key: str | None) -> Attempt:
    await world.mint("ada")
    mirror = MirrorMetadata(world.transactions, world.clock)
    return lambda: mirror([ADA])


async def _night(world: World, _key: str | None) -> Attempt:
    await _staged(world)

    def instance() -> Nightly:
        return Nightly(world.transactions, world.reconcile_metadata, world.flags, world.clock, world.randomness, 3)

    await instance().reconcile_if_due()
    world.pass_time(days=1)

    async def look() -> None:
        world.pass_time(seconds=LEASE.total_seconds() + 1)
        await instance().reconcile_if_due()
        if isinstance(world.transactions, MortalTransactions) and world.transactions.left == 0:
            raise Killed  # a page that fails is passed over

    return look


async def _trimming(world: World, _key: str | None) -> Attempt:
    rooms = Rooms(world)
    channel = await rooms.a_channel("ada")
    await rooms.send(channel, "ada")
    world.pass_time(days=9)
    trim = TrimLogs(world.transactions, world.reads, world.clock, world.randomness, Retention(*[timedelta(days=8)] * 2))

    async def run() -> None:
        async for _ in trim.steps():
            pass

    return run


async def _look(world: World, _key: str | None) -> Attempt:
    async def keep_lease() -> bool:
        return True

    async def look() -> None:
        reads = SlowReads(world.transactions, world.randomness)
        await LookAtPromises(reads, world.transactions, world.clock, world.randomness, world.metrics)(keep_lease)

    return look


async def _click(world: World, _key: str | None) -> Attempt:
    await _staged(world)

    async def click() -> None:
        clicks = Clicks(world.transactions, world.clock, world.metrics)
        clicks.note(Code("ADA2222"))
        await clicks.flush()

    return click


async def _fingerprint(world: World, _key: str | None) -> Attempt:
    async def first() -> bytes:
        prints = Fingerprints(world.transactions, world.reads, SeededRandomness(7), earlier_key=b"earlier")
        return await prints(b"a request")

    return first


async def _switch(world: World, key: str | None) -> Attempt:
    flags = FollowedFlags(world.transactions, Pins({}))
    wanted = world.keyed(
        "ada", Switch(Flag.POINTS_ENABLED, enabled=False, updated_at=world.clock.now(), updated_by=ADA), key
    )
    return lambda: SwitchFlags(world.transactions, flags, world.once)([wanted])


async def _removal(world: World) -> RemoveOverlay:
    screens = Screens(world)
    await screens.put()
    return screens.removal()


async def _expiry(world: World, _key: str | None) -> Attempt:
    screens = Screens(world)
    await screens.put()
    await world.backend.reach_end("s")
    return screens.expire


async def _upkeep(world: World, _key: str | None) -> Attempt:
    await world.a_player("ada")
    await _waiting_event(world)
    await world.grant("bob", 1, key="old")
    await world.deliver("created", "cid")
    world.pass_time(days=9)

    async def run_once() -> None:
        world.pass_time(minutes=5)
        await Upkeep(
            world.transactions,
            world.reads,
            world.sweep_accruals,
            world.finish_erasures,
            world.clock,
            world.randomness,
            world.metrics,
            world.flags,
        ).run_once()

    return run_once


SCENES: Mapping[str, Scene] = {
    "AccruePoints": one(
        lambda w: w.accrue_points, lambda w: Earnings((w.earning("ada"), w.earning("bob"))), "ada", "bob"
    ),
    "AdoptCodes": _adoption,
    "AttributeReferrals": one(lambda w: w.attribute_referrals, _upsert),
    "AwardPoints": one(lambda w: w.award_points, lambda w: w.award_command("bob"), "bob"),
    "ChangeMembers": one(lambda w: Rooms(w).change_members, _placement),
    "ChangePasswords": one(lambda w: w.change_passwords, _password_change),
    "Clicks": _click,
    "CompleteSignUps": one(lambda w: w.complete_sign_ups, _sign_up),
    "CompleteSlips": one(lambda w: w.complete_slips, _completion, "ada"),
    "DeleteMessages": bare(lambda w: Rooms(w).delete_messages, _message_deletion),
    "DeleteUsers": _deletion,
    "EndSessions": one(lambda w: w.end_sessions, _sign_out),
    "EraseTraces": _erasure,
    "ExpireOverlays": _expiry,
    "FinishErasures": _deletion,
    "Fingerprints": _fingerprint,
    "GrantCredits": one(lambda w: w.grant_credits, lambda w: w.grant_command("ada", 5, event="a gift")),
    "LookAtPromises": _look,
    "MakeChannels": one(lambda w: Rooms(w).make_channels, lambda w: Rooms(w).new_channel("ada")),
    "MakeInvites": one(lambda w: w.make_invites, lambda w: w.new_invite(owner="ada")),
    "MintCodes": bare(lambda w: w.mint_codes, lambda w: w.mint_command("ada")),
    "MirrorMetadata": _mirroring,
    "OfferRewards": one(lambda w: w.offer_rewards, lambda w: OfferReward(w.reward(owner="ada"))),
    "OpenSlips": one(lambda w: w.open_slips, lambda w: w.new_slip("bob"), "bob"),
    "PurchaseOrderBatches": one(lambda w: w.purchase_order_batches, _order_batch),
    "PurchaseRewards": one(lambda w: w.purchase_rewards, _order),
    "PutOverlays": bare(lambda w: Screens(w).put_overlays, lambda w: Screens(w).command()),
    "ReadMessages": bare(lambda w: Rooms(w).read_messages, _marker),
    "ReceiveIdentityEvents": _deletion_by_event,
    "ReconcileMetadata": _reconciliation,
    "RecoverAccruals": one(lambda w: w.recover_accruals, _recovery, "ada"),
    "RecoverSlips": one(lambda w: w.recover_slips, _slip_recovery, "ada"),
    "RedeemInvites": one(lambda w: w.redeem_invites, _redemption),
    "RemintCodes": one(lambda w: w.remint_codes, lambda w: w.remint_command("ada").command, "ada"),
    "RemoveOverlays": bare(lambda w: Screens(w).remove_overlays, _removal),
    "SendMessages": one(lambda w: Rooms(w).send_messages, _message),
    "StartSessions": bare(lambda w: w.start_sessions, _session),
    "SweepAccruals": _sweep,
    "SwitchFlags": _switch,
    "SyncRosters": one(
        lambda w: Stages(w).sync_rosters, lambda w: Stages(w).command("room", "captain 1 ada", by="ada")
    ),
    "TrimLogs": _trimming,
    "Upkeep": _upkeep,
    "WorkLease": _night,
}
"""Every class that begins transactions, by its name."""
