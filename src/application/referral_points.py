"""Conditions of referral points inside a transaction, read after the locks of the inviters' accounts."""

from collections.abc import Collection
from datetime import datetime

from tallystick.application.transactions import Stores
from tallystick.domain.ledger import EventKey
from tallystick.domain.loyalty import Earning, PlayerDay
from tallystick.domain.referral_points import ReferralPoints
from tallystick.domain.users import UserId


class ReferralConditions:
    """Verified invitees, and the credited referrals of each inviter on a day; kept current in a batch."""

    def __init__(self, rules: ReferralPoints, verified: set[UserId], credited: dict[PlayerDay, int]) -> None:
        self._rules, self._verified, self._credited = rules, verified, credited

    @classmethod
    async def load(
        cls, stores: Stores, rules: ReferralPoints, events: Collection[tuple[EventKey, datetime]]
    ) -> "ReferralConditions":
        """Load the conditions of these events, each with the time at which it is to be credited."""
        verified, credited = set[UserId](), dict[PlayerDay, int]()
        if rules.need == "phone" and events:
            verified = await stores.verifications.verified({UserId(event.key) for event, _ in events})
        if rules.daily_cap and events:
            credited = await stores.players.referrals_credited(
                {PlayerDay.of(event.user_id, at) for event, at in events}
            )
        return cls(rules, verified, credited)

    def check(self, earning: Earning) -> None:
        """Raise PhoneNotVerified or ReferralCapReached where a referral must not be credited now."""
        invitee_id, day = UserId(earning.event.key), PlayerDay.of(earning.player_id, earning.at)
        self._rules.check(is_verified=invitee_id in self._verified, credited_on_the_day=self._credited.get(day, 0))

    def count(self, earning: Earning) -> None:
        """Count a referral that is credited."""
        day = PlayerDay.of(earning.player_id, earning.at)
        self._credited[day] = self._credited.get(day, 0) + 1
