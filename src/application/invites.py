"""Invites: made with a number of seats, redeemed by as many users, revoked by their owner."""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from tallystick.application.bounds import Capacity
from tallystick.application.idempotency import AnswerOnce, Keyed, Replayed
from tallystick.application.transactions import Stores, Transactions
from tallystick.domain.bounds import DEFAULT_BOUNDS, UserBounds
from tallystick.domain.codes import Code, CodesExhausted
from tallystick.domain.invites import (
    CodeTaken,
    Invite,
    InviteId,
    InviteNotFound,
    InviteUse,
    SeatKey,
    redeem,
)
from tallystick.domain.refusals import Failure
from tallystick.domain.users import UserDeleted, UserId


class NewInvite(msgspec.Struct, frozen=True):
    """Make an invite with the first free code of these."""

    invite_id: InviteId
    owner_id: UserId
    codes: tuple[Code, ...]
    is_chosen: bool
    """True where the owner chose the code, which is the only candidate then."""
    max_uses: int
    expires_at: datetime | None
    at: datetime


class RevokeInvite(msgspec.Struct, frozen=True):
    """Revoke an invite; taken seats stay."""

    invite_id: InviteId
    user_id: UserId
    manages: bool
    """True where the user may revoke the invites of others."""
    at: datetime


class Redemption(msgspec.Struct, frozen=True):
    """Take a seat; the same attempt id again is the same seat."""

    user_id: UserId
    code: Code | None
    """None where the typed text has no normal form."""
    attempt_id: str
    at: datetime


class Redeemed(msgspec.Struct, frozen=True):
    """A taken seat, and the number of seats that are left."""

    invite_id: InviteId
    code: Code
    """The code of the invite in its normal form."""
    redeemed_at: datetime
    remaining: int


class MakeInvites:
    """Make and revoke invites; a deleted user cannot make one."""

    def __init__(self, transactions: Transactions, once: AnswerOnce, bounds: UserBounds = DEFAULT_BOUNDS) -> None:
        self._transactions, self._once, self._bounds = transactions, once, bounds

    async def __call__(self, commands: Sequence[Keyed[NewInvite | RevokeInvite]]) -> list[Invite | Failure | Replayed]:
        async with self._transactions.begin() as stores:
            return await self._once(stores, commands, lambda fresh: self._decide(stores, fresh))

    async def _decide(self, stores: Stores, commands: Sequence[NewInvite | RevokeInvite]) -> list[Invite | Failure]:
        # Without a lock: an invite of a user who is deleted a moment later stays valid, like their other invites.
        owners = {command.owner_id for command in commands if isinstance(command, NewInvite)}
        deleted = await stores.users.deleted(owners) if owners else set[UserId]()
        capacity = await Capacity.open(stores, "invites", owners - deleted, self._bounds)
        # One after the other: batches of invites are small.
        return [
            await self._make(stores, command, deleted, capacity)
            if isinstance(command, NewInvite)
            else await self._revoke(stores, command)
            for command in commands
        ]

    async def _make(
        self, stores: Stores, command: NewInvite, deleted: set[UserId], capacity: Capacity
    ) -> Invite | Failure:
        if command.owner_id in deleted:
            return UserDeleted()
        if not capacity.take(command.owner_id):
            # An earlier attempt whose answer was lost may have stored it as the last one within the bound.
            return await stores.invites.find(command.invite_id) or capacity.refusal
        for code in command.codes:
            invite = Invite(
                invite_id=command.invite_id,
                code=code,
                owner_id=command.owner_id,
                max_uses=command.max_uses,
                current_uses=0,
                expires_at=command.expires_at,
                revoked_at=None,
                created_at=command.at,
            )
            if await stores.invites.add(invite):
                return invite
        return CodeTaken() if command.is_chosen else CodesExhausted()

    async def _revoke(self, stores: Stores, command: RevokeInvite) -> Invite | Failure:
        found = await stores.invites.find(command.invite_id)
        if found is None or not (command.manages or found.owner_id == command.user_id):
            return InviteNotFound()
        invite = (await stores.invites.lock([found.code]))[found.code]
        if invite.revoked_at is not None:
            return invite
        revoked = msgspec.structs.replace(invite, revoked_at=command.at)
        await stores.invites.store([revoked])
        return revoked


class RedeemInvites:
    """Give seats to users: one for each user, and no more than the invite has."""

    def __init__(self, transactions: Transactions, once: AnswerOnce) -> None:
        self._transactions, self._once = transactions, once

    async def __call__(self, redemptions: Sequence[Keyed[Redemption]]) -> list[Redeemed | Failure | Replayed]:
        async with self._transactions.begin() as stores:
            return await self._once(stores, redemptions, lambda fresh: self._redeem(stores, fresh))

    async def _redeem(self, stores: Stores, redemptions: Sequence[Redemption]) -> list[Redeemed | Failure]:
        seats = await Seats.open(stores, redemptions)
        outcomes = [UserDeleted() if r.user_id in seats.deleted else _take(seats, r) for r in redemptions]
        await seats.record(stores)
        return outcomes


class Seats:
    """The locked invites of a batch and their taken seats, kept current while the batch is decided."""

    def __init__(self, invites: dict[Code, Invite], uses: dict[SeatKey, InviteUse], deleted: set[UserId]) -> None:
        self._invites, self._uses = invites, uses
        self._new: list[InviteUse] = []
        self.deleted = deleted
        """The users of the batch who were deleted."""

    @classmethod
    async def open(cls, stores: Stores, redemptions: Sequence[Redemption]) -> "Seats":
        """Lock the invites, and load the seats of these users."""
        wanted = [(redemption.code, redemption.user_id) for redemption in redemptions if redemption.code is not None]
        invites = await stores.invites.lock({code for code, _ in wanted})
        keys = {SeatKey(invites[code].invite_id, user_id) for code, user_id in wanted if code in invites}
        uses, deleted = await stores.invites.seats(keys, {redemption.user_id for redemption in redemptions})
        return cls(invites, uses, deleted)

    def decide(self, redemption: Redemption) -> tuple[Invite, InviteUse]:
        """Decide one redemption without keeping the result; raise the failure where there is no seat for it."""
        invite = self._invites.get(redemption.code) if redemption.code is not None else None
        kept = self._uses.get(SeatKey(invite.invite_id, redemption.user_id)) if invite is not None else None
        return redeem(invite, redemption.user_id, kept, attempt_id=redemption.attempt_id, at=redemption.at)

    def holds(self, use: InviteUse) -> bool:
        """Return whether a seat was taken before."""
        return SeatKey(use.invite_id, use.user_id) in self._uses

    def keep(self, invite: Invite, use: InviteUse) -> None:
        """Keep a decision for the rest of the batch."""
        if not self.holds(use):
            self._invites[invite.code] = invite
            self._uses[SeatKey(use.invite_id, use.user_id)] = use
            self._new.append(use)

    async def record(self, stores: Stores) -> None:
        """Store the new seats."""
        if self._new:
            await stores.invites.record_uses(self._new)


def _take(seats: Seats, redemption: Redemption) -> Redeemed | Failure:
    try:
        invite, use = seats.decide(redemption)
    except Failure as failure:
        return failure
    seats.keep(invite, use)
    return Redeemed(invite.invite_id, invite.code, use.used_at, invite.remaining)
