"""Pending accruals: points that were earned and could not be credited yet."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import NamedTuple, Protocol

import msgspec

from tallystick.domain.ledger import Event, EventKey, EventType
from tallystick.domain.loyalty import Earning, day_of
from tallystick.domain.referral_points import PhoneNotVerified, ReferralCapReached
from tallystick.domain.refusals import Failure, Incomplete, Refusal
from tallystick.domain.users import UserDeleted, UserId


class AccrualNotFound(Refusal):
    """No entry and no pending accrual belongs to the event."""

    code = "ACCRUAL_NOT_FOUND"

    def __init__(self) -> None:
        super().__init__("this event has no accrual, and no pending one")


class AccrualPending(Incomplete):
    """The points still cannot be credited."""

    code = "ACCRUAL_PENDING"
    cause: str
    """The code of the failure of the last attempt."""
    correlation_id: str
    """The request that earned the points."""
    _failure_cause = "pending"

    def __init__(self, cause: str, correlation_id: str) -> None:
        super().__init__(f"the points cannot be credited yet ({cause}); they stay pending")
        self.cause, self.correlation_id = cause, correlation_id


NOT_STUCK = frozenset({UserDeleted.code, PhoneNotVerified.code, ReferralCapReached.code})
"""Causes that need no action by staff. The metrics leave them out."""


class PendingAccrual(msgspec.Struct, frozen=True):
    """Points that wait to be credited, under the key of their event."""

    player_id: UserId
    event_type: EventType
    event_key: str
    points: int
    """The points that wait."""
    reason: str | None
    """A sentence about why; null if there is none."""
    staff_id: UserId | None
    correlation_id: str
    """The request that earned them. The later entry carries it, not the request that recovers them."""
    cause: str
    """The code of the failure at the last attempt to credit them."""
    created_at: datetime
    tries: int
    last_tried_at: datetime

    @property
    def event(self) -> EventKey:
        """The event that they are for."""
        return EventKey(self.player_id, "points", self.event_type, self.event_key)

    @property
    def is_stuck(self) -> bool:
        """True where staff have to act before the points can be credited; the metrics count it.

        False where the player was deleted, and where the rules of referral points make the points wait.
        """
        return self.cause not in NOT_STUCK

    def is_due(self, at: datetime, *, is_verified: bool, needs_phone: bool) -> bool:
        """Return whether an attempt may succeed now, by the time and by the verified phone of the invitee."""
        if self.cause == PhoneNotVerified.code:
            return is_verified or not needs_phone
        if self.cause == ReferralCapReached.code:
            return self.last_tried_at < day_of(at)
        return self.cause != UserDeleted.code

    def earning(self, at: datetime) -> Earning:
        """Return the earning that is to be credited at this time."""
        event = Event(self.event_type, self.event_key)
        return Earning(self.player_id, self.points, event, self.reason, self.staff_id, self.correlation_id, at)

    def tried(self, failure: Failure, at: datetime) -> "PendingAccrual":
        """Return the accrual after another failed attempt."""
        return msgspec.structs.replace(self, cause=failure.code, tries=self.tries + 1, last_tried_at=at)


class Backlog(NamedTuple):
    """How many accruals are stuck, and the time of the oldest."""

    waiting: int
    oldest_at: datetime | None


class PendingAccruals(Protocol):
    """Pending accruals by event. A row is removed in the transaction that stores the entry."""

    async def add(self, pending: Sequence[PendingAccrual]) -> None:
        """Store new pending accruals."""

    async def lock(self, events: Collection[EventKey]) -> dict[EventKey, PendingAccrual]:
        """Lock and return the pending accruals of these events, in key order."""

    async def store(self, pending: Sequence[PendingAccrual]) -> None:
        """Replace locked pending accruals after a failed attempt."""

    async def remove(self, events: Collection[EventKey]) -> None:
        """Drop locked pending accruals that were credited."""

    async def take_due(self, *, before: datetime, at: datetime, limit: int, needs_phone: bool) -> list[PendingAccrual]:
        """Mark as tried and return at most `limit` accruals that are due and were tried before `before`, oldest first.

        Rows that another transaction has locked are skipped. `is_due` says which are due.
        """

    async def page(self, *, after: tuple[datetime, EventKey] | None, limit: int) -> list[PendingAccrual]:
        """Return pending accruals, oldest first, after (created at, event)."""

    async def backlog(self) -> Backlog:
        """Count the accruals that are stuck."""


def wait(earning: Earning, failure: Failure) -> PendingAccrual:
    """Return the pending accrual of an earning that could not be credited, because of a failure."""
    return PendingAccrual(
        player_id=earning.player_id,
        event_type=earning.event.type,
        event_key=earning.event.key,
        points=earning.points,
        reason=earning.reason,
        staff_id=earning.staff_id,
        correlation_id=earning.correlation_id,
        cause=failure.code,
        created_at=earning.at,
        tries=1,
        last_tried_at=earning.at,
    )
