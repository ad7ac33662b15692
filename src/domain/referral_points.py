"""Referral points: points for an inviter, and the conditions under which they are credited."""

from typing import Literal

import msgspec

from tallystick.domain.ledger import Event, EventKey
from tallystick.domain.loyalty import Earning
from tallystick.domain.referrals import Edge
from tallystick.domain.refusals import Unavailable

ReferralNeed = Literal["nothing", "phone"]
"""The condition of a referral for its points: none, or a verified phone of the invitee."""


class PhoneNotVerified(Unavailable):
    """The points of a referral wait until the phone of the invitee is verified."""

    code = "PHONE_NOT_VERIFIED"

    def __init__(self) -> None:
        super().__init__("the phone of the invitee is not verified yet")


class ReferralCapReached(Unavailable):
    """The inviter reached the daily cap of credited referrals."""

    code = "REFERRAL_CAP_REACHED"
    cap: int

    def __init__(self, cap: int) -> None:
        super().__init__(f"at most {cap} referrals of one inviter are credited on a day")
        self.cap = cap


class ReferralPoints(msgspec.Struct, frozen=True):
    """The rules of referral points, as the settings state them."""

    points: int
    """For each invitee; 0 for none."""
    need: ReferralNeed = "nothing"
    daily_cap: int = 0
    """How many referrals of one inviter are credited on a day of UTC; 0 for no cap."""

    def earning_of(self, edge: Edge, correlation_id: str) -> Earning | None:
        """Return what an edge earns its inviter, once for each invitee; None for nothing."""
        if not self.points:
            return None
        event = Event("referral_signup", edge.invitee_id)
        return Earning(edge.inviter_id, self.points, event, None, None, correlation_id, edge.created_at)

    def check(self, *, is_verified: bool, credited_on_the_day: int) -> None:
        """Raise PhoneNotVerified or ReferralCapReached where a referral must not be credited now."""
        if self.need == "phone" and not is_verified:
            raise PhoneNotVerified
        if self.daily_cap and credited_on_the_day >= self.daily_cap:
            raise ReferralCapReached(self.daily_cap)


def referral_event(edge: Edge) -> EventKey:
    """Return the event under which an edge earns points."""
    return EventKey(edge.inviter_id, "points", "referral_signup", edge.invitee_id)
