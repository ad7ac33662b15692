"""Pending accruals: points that were earned and could not be credited yet, until they are."""

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
    """Nothing was ever earned by the event."""

    code = "ACCRUAL_NOT_FOUND"

    def __init__(self) -> None:
        super().__init__("nothing was earned by this event, and nothing waits for it")


class AccrualPending(Incomplete):
    """The points still cannot be credited."""

    code = "ACCRUAL_PENDING"
    _failure_cause = "pending"

    def __init__(self, cause: str, correlation_id: str) -> None:
        super().__init__(f"the points still cannot be credited ({cause}); they go on waiting")
        self.cause, self.correlation_id = cause, correlation_id


NOT_STUCK = frozenset({UserDeleted.code, PhoneNotVerified.code, ReferralCapReached.code})
"""Causes that nobody has to mend: the measurements leave them out."""


class PendingAccrual(msgspec.Struct, frozen=True):
    """Points that wait for being credited, under the key of their event."""

    player_id: UserId
    event_type: EventType
    event_key: str
    points: int
    reason: str | None
    staff_id: UserId | None
    correlation_id: str
    """The request that earned them: the entry will carry it, whoever recovers them."""
    cause: str
    """The code of the failure that keeps them waiting, as it was at the last try."""
    created_at: datetime
    tries: int
    last_tried_at: datetime

    @property
    def event(self) -> EventKey:
        """Which event they are for."""
        return EventKey(self.player_id, "points", self.event_type, self.event_key)

    @property
    def is_stuck(self) -> bool:
        """True where something is to be mended before the points can be credited; it is measured.

        False where the player was deleted, whom nobody credits any more, and where the rules of referrals say wait.
        """
        return self.cause not in NOT_STUCK

    def is_due(self, at: datetime, *, is_verified: bool, needs_phone: bool) -> bool:
        """Tell whether a try may succeed now: by the clock, and where referrals need a phone, by the invitee's."""
        if self.cause == PhoneNotVerified.code:
            return is_verified or not needs_phone
        if self.cause == ReferralCapReached.code:
            return self.last_tried_at < day_of(at)
        return self.cause != UserDeleted.code

    def earning(self, at: datetime) -> Earning:
        """Return what is to be credited, as of now."""
        event = Event(self.event_type, self.event_key)
        return Earning(self.player_id, self.points, event, self.reason, self.staff_id, self.correlation_id, at)

    def tried(self, failure: Failure, at: datetime) -> "PendingAccrual":
        """Return it after another try in vain."""
        return msgspec.structs.replace(self, cause=failure.code, tries=self.tries + 1, last_tried_at=at)


class Backlog(NamedTuple):
    """How much waits, and since when."""

    waiting: int
    oldest_at: datetime | None


class PendingAccruals(Protocol):
    """What waits, by event. A row goes away with the entry that takes its place."""

    async def add(self, pending: Sequence[PendingAccrual]) -> None:
        """Store what begins to wait."""

    async def lock(self, events: Collection[EventKey]) -> dict[EventKey, PendingAccrual]:
        """Lock and return those of these that wait, in key order."""

    async def store(self, pending: Sequence[PendingAccrual]) -> None:
        """Replace locked ones after a try in vain."""

    async def remove(self, events: Collection[EventKey]) -> None:
        """Drop locked ones that were credited."""

    async def take_due(self, *, before: datetime, at: datetime, limit: int, needs_phone: bool) -> list[PendingAccrual]:
        """Mark as tried now, and return, at most so many that were not tried since then; the longest waiting first.

        What another transaction is taking or crediting is left out, and what is not due: see `is_due`.
        """

    async def page(self, *, after: tuple[datetime, EventKey] | None, limit: int) -> list[PendingAccrual]:
        """Return what waits, oldest first, after (created at, event)."""

    async def backlog(self) -> Backlog:
        """Count what is stuck."""


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
