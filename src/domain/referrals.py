"""Referrals: who invited whom, once and for ever."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Literal, NewType, Protocol

import msgspec

from domain.codes import Code
from domain.ledger import Event
from domain.loyalty import Earning
from domain.users import User, UserId

Attribution = Literal["recorded", "kept", "none"]
"""The edge was stored now; there was one already; there is none."""

ReferralPoints = NewType("ReferralPoints", int)
"""How many points an invitee earns their inviter; 0 for none."""


class Edge(msgspec.Struct, frozen=True):
    """Inviter to invitee, immutable."""

    invitee_id: UserId
    inviter_id: UserId
    code: Code | None
    """The code as it was used; None for edges that were imported without one."""
    arrival_id: str
    """Which attempt stored it: a retry after a lost connection recognises its own edge."""
    created_at: datetime


class Arrival(msgspec.Struct, frozen=True):
    """A user at the door, maybe with somebody's code in hand."""

    user_id: UserId
    referred_by: Code | None
    arrival_id: str
    at: datetime


class Leader(msgspec.Struct, frozen=True):
    """A living user with at least one referral."""

    user_id: UserId
    display_name: str
    referrals: int


class Edges(Protocol):
    """Who invited whom, by invitee; append-only."""

    async def find(self, invitee_ids: Collection[UserId]) -> dict[UserId, Edge]:
        """Return the edges of those who were invited."""

    async def record(self, edges: Sequence[Edge]) -> None:
        """Store edges of invitees who have none."""


class Leaderboard(Protocol):
    """Living users by referrals, most first, then by id."""

    async def leaders(self, *, after: tuple[int, UserId] | None, limit: int) -> list[Leader]:
        """Return those with a referral who come after (referrals, user id)."""

    async def most_connected(self, limit: int) -> list[tuple[UserId, int]]:
        """Return living users and their referrals, those without any at the end."""


def attribute(arrival: Arrival, *, owner: User | None, edges: Mapping[UserId, Edge]) -> tuple[Attribution, Edge | None]:
    """Decide whom an arrival is attributed to; the edge is given only where it is to be stored.

    `owner` is whose code was named; `edges` holds the edges of the arrival and of the owner, where there are any.
    """
    kept = edges.get(arrival.user_id)
    if kept is not None:
        return ("recorded" if kept.arrival_id == arrival.arrival_id else "kept"), None
    if owner is None or owner.deleted_at is not None or owner.user_id == arrival.user_id:
        return "none", None
    owners_edge = edges.get(owner.user_id)
    if owners_edge is not None and owners_edge.inviter_id == arrival.user_id:
        return "none", None
    return "recorded", Edge(arrival.user_id, owner.user_id, arrival.referred_by, arrival.arrival_id, arrival.at)


def earning_of(edge: Edge, points: ReferralPoints, correlation_id: str) -> Earning | None:
    """Return what an edge earns its inviter, once for each invitee; None where that is nothing."""
    if not points:
        return None
    event = Event("referral_signup", edge.invitee_id)
    return Earning(edge.inviter_id, points, event, None, None, correlation_id, edge.created_at)


def is_overwrite(kept: Edge | None, owner: User | None) -> bool:
    """Tell whether an attribution would have replaced the inviter by another one."""
    return kept is not None and owner is not None and owner.user_id != kept.inviter_id
