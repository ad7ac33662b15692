"""Loyalty: points that are credited once for each event, tiers, and awards by staff."""

import hashlib
import re
from collections.abc import Collection
from datetime import UTC, datetime
from typing import NamedTuple, Protocol

import msgspec

from tallystick.domain.ledger import Account, Entry, Event, EventKey
from tallystick.domain.refusals import Refusal, Unavailable
from tallystick.domain.users import UserId

MAX_AWARD = 10_000
"""The largest number of points in one award."""

_DAY, _REWARD_ID = "day:", "id:"
_RESERVED = re.compile(rf"(?:{_REWARD_ID})*(?:{_DAY})?[0-9a-f]{{64}}\Z")
_NAME = re.compile(r"[a-z][a-z0-9_]{0,31}\Z")
_LAST_THRESHOLD = 10**15 - 1


class PointsDisabled(Unavailable):
    """Crediting of points is switched off."""

    code = "POINTS_DISABLED"

    def __init__(self) -> None:
        super().__init__("points are switched off at the moment; nothing was done, ask again later")


class RewardLimitExceeded(Refusal):
    """The award is larger than the limit."""

    code = "REWARD_LIMIT_EXCEEDED"
    limit: int
    """The most points that one award can give."""

    def __init__(self) -> None:
        super().__init__(f"at most {MAX_AWARD} points can be awarded at a time")
        self.limit = MAX_AWARD


class SelfAward(Refusal):
    """The award is for the staff member who makes it."""

    code = "SELF_AWARD"

    def __init__(self) -> None:
        super().__init__("nobody awards points to themselves")


class Tier(NamedTuple):
    """The tier of an account, and the progress to the next one."""

    name: str
    progress: int
    """Whole percent of the way from this tier's threshold to the next one's, rounded down; 100 in the highest tier."""


class Tiers(msgspec.Struct, frozen=True):
    """The tiers with the lifetime points at which each begins, the lowest first; it begins at 0."""

    thresholds: tuple[tuple[str, int], ...]

    def __post_init__(self) -> None:
        """ValueError says which names or thresholds are not allowed."""
        names, begins = [name for name, _ in self.thresholds], [points for _, points in self.thresholds]
        for name in names:
            if not _NAME.match(name):
                raise ValueError(f"{name!r}: a tier's name is 1 to 32 of a-z 0-9 _ and begins with a letter")
        if len(set(names)) != len(names):
            raise ValueError("two tiers have one name")
        if begins[:1] != [0] or sorted(set(begins)) != begins:
            raise ValueError("the first tier must begin at 0, and each other tier above the one before it")
        if begins[-1] > _LAST_THRESHOLD:
            raise ValueError(f"a tier can begin at {_LAST_THRESHOLD} points at most")

    def of(self, lifetime: int) -> Tier:
        """Return the tier for a number of lifetime points."""
        number = sum(1 for _, points in self.thresholds if points <= lifetime) - 1
        name, begin = self.thresholds[number]
        if number + 1 == len(self.thresholds):
            return Tier(name, 100)
        return Tier(name, (lifetime - begin) * 100 // (self.thresholds[number + 1][1] - begin))


class Earning(msgspec.Struct, frozen=True):
    """Points for a player, for one event."""

    player_id: UserId
    points: int
    event: Event
    reason: str | None
    staff_id: UserId | None
    correlation_id: str
    at: datetime
    former_event: Event | None = None
    """The event under which an earlier version stored an award, where that differs."""

    @property
    def key(self) -> EventKey:
        """The event that it is for; it counts once."""
        return EventKey(self.player_id, "points", *self.event)

    @property
    def former_key(self) -> EventKey | None:
        """The event under which an earlier version may have stored the same award."""
        return EventKey(self.player_id, "points", *self.former_event) if self.former_event is not None else None


class Accrual(msgspec.Struct, frozen=True):
    """The receipt of points that were credited."""

    player_id: UserId
    balance_before: int
    balance_after: int
    tier_before: str
    """The tier before the change."""
    tier_after: str
    """The tier after the change."""
    tier_progress: int
    lifetime_points: int
    updated_at: datetime
    """The time of the credit."""
    row_locked: bool
    """True where the account was locked for the decision: no other change came between the two balances."""


class Player(msgspec.Struct, frozen=True):
    """A user with their account of points."""

    user_id: UserId
    is_deleted: bool
    account: Account | None
    """None where the user never had points."""


class PlayerDay(NamedTuple):
    """A player on a day of UTC."""

    player_id: UserId
    begins_at: datetime

    @classmethod
    def of(cls, player_id: UserId, at: datetime) -> "PlayerDay":
        """Return the day of UTC that contains a time."""
        return cls(player_id, day_of(at))


class Players(Protocol):
    """Users with their points."""

    async def find(self, user_ids: Collection[UserId]) -> dict[UserId, Player]:
        """Return the users who exist, including deleted ones, without a lock."""

    async def lock(self, user_ids: Collection[UserId]) -> dict[UserId, Player]:
        """Lock the accounts of these users in key order, and return the users as `find` does."""

    async def referrals_credited(self, days: Collection[PlayerDay]) -> dict[PlayerDay, int]:
        """Return how many referrals were credited to these players on these days."""


def day_of(at: datetime) -> datetime:
    """Return the beginning of the day of UTC that contains a time."""
    return at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def earn(account: Account, earning: Earning, tiers: Tiers) -> Entry:
    """Return the entry that credits points; AccountFrozen or BalanceLimitExceeded as for every entry."""
    entry = account.post(
        earning.points,
        earning.event,
        correlation_id=earning.correlation_id,
        at=earning.at,
        reason=earning.reason,
        staff_id=earning.staff_id,
    )
    after = tiers.of(entry.lifetime_after or 0)
    return msgspec.structs.replace(
        entry, tier_before=tiers.of(account.lifetime).name, tier_after=after.name, tier_progress=after.progress
    )


def receipt(entry: Entry) -> Accrual:
    """Return the receipt of an entry of points; it is the same each time."""
    if entry.lifetime_after is None or entry.tier_progress is None:
        raise AssertionError("an entry of points knows tiers and lifetime points")
    return Accrual(
        player_id=entry.user_id,
        balance_before=entry.balance_before,
        balance_after=entry.balance_after,
        tier_before=entry.tier_before or "",
        tier_after=entry.tier_after or "",
        tier_progress=entry.tier_progress,
        lifetime_points=entry.lifetime_after,
        updated_at=entry.created_at,
        row_locked=True,  # the stores take entries of locked accounts only
    )


def award(
    player_id: UserId,
    *,
    staff_id: UserId,
    points: int,
    reason: str,
    reward_id: str | None,
    correlation_id: str,
    at: datetime,
) -> Earning:
    """Return what an award earns its player. The refusals, in their order: SelfAward, RewardLimitExceeded.

    Without a `reward_id`, the same award counts once on each day of UTC. The keys of the two kinds cannot collide: a
    day key is `day:` and a hash, and a `reward_id` of that form is stored with the prefix `id:`.
    """
    if player_id == staff_id:
        raise SelfAward
    if points > MAX_AWARD:
        raise RewardLimitExceeded
    key, former = _award_keys(reward_id, _day_hash(player_id, staff_id, points, reason, at))
    return Earning(
        player_id=player_id,
        points=points,
        event=Event("manual_reward", key),
        reason=reason,
        staff_id=staff_id,
        correlation_id=correlation_id,
        at=at,
        former_event=Event("manual_reward", former) if former is not None else None,
    )


def is_same_award(earning: Earning, stored: Entry) -> bool:
    """Return whether an entry under the former key of an award is that award.

    Earlier versions stored both kinds of key without a prefix. An entry whose key is the hash of its own facts counted
    once a day; every other entry had a `reward_id`.
    """
    facts = (stored.user_id, stored.staff_id, stored.amount, stored.reason, stored.created_at)
    was_counted_by_day = stored.event_key.removeprefix(_DAY) == _day_hash(*facts)
    return was_counted_by_day == earning.event.key.startswith(_DAY)


def _award_keys(reward_id: str | None, day_hash: str) -> tuple[str, str | None]:
    """Return the key of an award, and the key of an earlier version where that was different."""
    if reward_id is None:
        return f"{_DAY}{day_hash}", day_hash
    if not _RESERVED.match(reward_id):
        return reward_id, None
    # Earlier versions had no prefix: a `reward_id` that begins with `id:` has no former key.
    return f"{_REWARD_ID}{reward_id}", None if reward_id.startswith(_REWARD_ID) else reward_id


def _day_hash(player_id: UserId, staff_id: UserId | None, points: int, reason: str | None, at: datetime) -> str:
    facts = [player_id, staff_id, points, reason, at.astimezone(UTC).date().isoformat()]
    return hashlib.sha256(msgspec.json.encode(facts)).hexdigest()
