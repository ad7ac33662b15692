"""Bounds: how much of each resource one user may hold, so that no user takes capacity from the others."""

from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Literal, NamedTuple, Protocol, get_args

import msgspec

from tallystick.domain.refusals import Refusal
from tallystick.domain.users import UserId

CountedName = Literal[
    "rewards",
    "aliases",
    "invites",
    "slips",
    "channels",
    "stage_rooms",
    "overlays",
    "overlay_sessions",
]
"""Resources that are counted in their table, up to the bound."""
BoundName = Literal[CountedName, "channel_members", "replies", "reply_bytes"]

MAX_REPLY_BYTES = 1024 * 1024
"""The most bytes of one stored reply."""


class Bound(NamedTuple):
    """A bound on what one user may hold."""

    default: int
    largest: int
    """The largest value of the setting. A request that stores one more counts up to this number of rows."""
    counts: str
    """The rows that are counted."""
    instead: str
    """The advice to a user who has reached the bound."""


BOUNDS: Mapping[BoundName, Bound] = MappingProxyType(
    {
        "rewards": Bound(
            1000,
            100_000,
            "rewards that a user offered, active or not",
            "change one of them, or reactivate it",
        ),
        "aliases": Bound(
            100,
            100_000,
            "older codes of a user that still resolve",
            "keep the present code: an older code is never dropped",
        ),
        "invites": Bound(
            1000, 100_000, "invites that a user made, used and revoked ones included", "share one of them"
        ),
        "slips": Bound(
            100,
            100_000,
            "rating slips of a player that are open, or whose points wait",
            "complete or recover one of them first",
        ),
        "channels": Bound(1000, 100_000, "channels that a user made", "use one of them"),
        "channel_members": Bound(
            10_000, 100_000, "members of one channel, former members included", "make another channel"
        ),
        "stage_rooms": Bound(1000, 100_000, "stage rooms that a user made", "use one of them"),
        "overlays": Bound(
            100, 100_000, "overlays of a user that are shown", "remove one of them first, or wait for its end"
        ),
        "overlay_sessions": Bound(
            10_000,
            100_000,
            "sessions of a user, shown or ended",
            "put the overlay in one of them",
        ),
        "replies": Bound(
            2_000_000,
            1_000_000_000_000,
            "stored replies to idempotency keys of a caller",
            "wait until replies are forgotten, eight days after they were stored",
        ),
        "reply_bytes": Bound(
            1024**3,
            1_000_000_000_000_000,
            "bytes of stored replies of a caller",
            "wait until replies are forgotten, eight days after they were stored",
        ),
    }
)
"""Every bound on what one user may hold; `docs/limits.md` is rendered from it."""


class BoundReached(Refusal):
    """The user holds as much of a resource as one user may."""

    code = "BOUND_REACHED"
    bound: BoundName
    limit: int
    """How much of it one user may have."""

    def __init__(self, bound: BoundName, *, limit: int) -> None:
        super().__init__(f"the bound of {limit} {BOUNDS[bound].counts} is reached; {BOUNDS[bound].instead}")
        self.bound, self.limit = bound, limit


class UserBounds(msgspec.Struct, frozen=True):
    """The bounds of this service."""

    rewards: int = BOUNDS["rewards"].default
    aliases: int = BOUNDS["aliases"].default
    invites: int = BOUNDS["invites"].default
    slips: int = BOUNDS["slips"].default
    channels: int = BOUNDS["channels"].default
    channel_members: int = BOUNDS["channel_members"].default
    stage_rooms: int = BOUNDS["stage_rooms"].default
    overlays: int = BOUNDS["overlays"].default
    overlay_sessions: int = BOUNDS["overlay_sessions"].default
    replies: int = BOUNDS["replies"].default
    reply_bytes: int = BOUNDS["reply_bytes"].default

    def __post_init__(self) -> None:
        """ValueError says which bound is too small or too large."""
        for name, bound in BOUNDS.items():
            if not 1 <= self.of(name) <= bound.largest:
                raise ValueError(f"{name} must be from 1 to {bound.largest}")

    def of(self, name: BoundName) -> int:
        """Return a bound by its name."""
        bound: int = getattr(self, name)
        return bound


DEFAULT_BOUNDS = UserBounds()
COUNTED: tuple[CountedName, ...] = get_args(CountedName)


class Holdings(Protocol):
    """The rows of users, counted in their tables."""

    async def lock(self, user_ids: Collection[UserId]) -> None:
        """Lock the holdings of these users until the end of the transaction.

        A user needs no row for it. LockHeld where another transaction holds a lock for too long.
        """

    async def count(self, name: CountedName, user_ids: Collection[UserId], *, up_to: int) -> dict[UserId, int]:
        """Return how much of a resource each of these users holds, at most `up_to`."""
