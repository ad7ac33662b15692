"""Referrals: permanent edges from inviter to invitee, and codes that attributed nothing."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Literal, NamedTuple, Protocol

import msgspec

from tallystick.domain.codes import Code
from tallystick.domain.users import User, UserId

Attribution = Literal["recorded", "kept", "none"]
"""`recorded`: the edge was stored now; `kept`: the user had an edge; `none`: the user has no edge."""

AttributionReason = Literal["no_code", "not_found", "self", "cycle", "kept"]
"""Why no edge was stored now.

`no_code`: no code was sent. `not_found`: no living user has the code. `self`: the user owns it. `cycle`: the owner is
an invitee of the user, directly or through other users. `kept`: the user has an inviter already.
"""

MAX_RING = 32
"""The longest ring of inviters that is refused: the chain above an inviter is followed this far."""
MAX_ATTEMPTS = 20
"""How many codes that attributed nothing are kept for one user, the latest ones."""


class Edge(msgspec.Struct, frozen=True):
    """Inviter to invitee, immutable."""

    invitee_id: UserId
    inviter_id: UserId
    code: Code | None
    """The code that was used; None for edges that were imported without one."""
    arrival_id: str
    """The attempt that stored it: a retry after a lost connection recognises its own edge."""
    created_at: datetime


class SentCode(msgspec.Struct, frozen=True):
    """A referral code that came with a sign-up, in the body or by a click."""

    code: Code | None
    """Its normal form; None where it has none."""
    digest: str
    """A keyed hash of the code: support can find the code by it, and cannot read it."""


class AttributionRequest(msgspec.Struct, frozen=True):
    """A user who signs up or returns, with or without referral codes."""

    user_id: UserId
    codes: tuple[SentCode, ...]
    """In the order of trial: the first code of a living user counts."""
    arrival_id: str
    at: datetime


class AttributionAttempt(msgspec.Struct, frozen=True):
    """A code that came with a sign-up and attributed nothing."""

    user_id: UserId
    code_digest: str
    reason: AttributionReason
    attempted_at: datetime
    """The last time that it was sent."""


class Decision(NamedTuple):
    """The decision about a request."""

    attribution: Attribution
    reason: AttributionReason | None
    """Why no edge is stored now; None where an edge is stored."""
    edge: Edge | None
    """The edge that is to be stored."""
    attempts: tuple[AttributionAttempt, ...]
    """The codes that were tried and attributed nothing."""


class Leader(msgspec.Struct, frozen=True):
    """A living user with at least one referral."""

    user_id: UserId
    display_name: str
    referrals: int


class Edges(Protocol):
    """Edges by invitee; append-only."""

    async def find(self, invitee_ids: Collection[UserId]) -> dict[UserId, Edge]:
        """Return the edges of the invitees who have one."""

    async def inviters_above(self, user_ids: Collection[UserId], *, steps: int) -> dict[UserId, UserId]:
        """Return the inviters above these users, by invitee, at most `steps` steps up."""

    async def record(self, edges: Sequence[Edge]) -> None:
        """Store edges of invitees who have none."""


class AttributionAttempts(Protocol):
    """Codes that attributed nothing: the latest ones of each user."""

    async def record(self, attempts: Collection[AttributionAttempt], *, keep: int) -> None:
        """Store attempts, one for each user, code and reason; drop all but the latest `keep` of each user."""

    async def of(self, user_id: UserId) -> list[AttributionAttempt]:
        """Return the attempts of a user, newest first."""

    async def forget(self, user_ids: Collection[UserId]) -> None:
        """Drop the attempts of these users."""


class Leaderboard(Protocol):
    """Living users by referrals, most first, then by id."""

    async def leaders(self, *, after: tuple[int, UserId] | None, limit: int) -> list[Leader]:
        """Return the users with at least one referral, after (referrals, user id)."""

    async def most_connected(self, limit: int) -> list[tuple[UserId, int]]:
        """Return living users with their numbers of referrals, most first."""


def attribute(
    request: AttributionRequest, *, owners: Mapping[Code, User], kept: Edge | None, inviters: Mapping[UserId, UserId]
) -> Decision:
    """Decide which inviter a request is attributed to.

    `owners` holds the owners of the sent codes, `kept` is the edge that the user has already, and `inviters` holds the
    inviters above the owners, by invitee, as far as a ring could reach.
    """
    if kept is not None and kept.arrival_id == request.arrival_id:
        return Decision("recorded", None, None, ())
    missed: list[AttributionAttempt] = []
    for sent in request.codes:
        owner = living_owner(sent, owners)
        if owner is not None:
            reason = _reason_against(request.user_id, owner, kept, inviters)
            if reason is None:
                edge = Edge(request.user_id, owner.user_id, sent.code, request.arrival_id, request.at)
                return Decision("recorded", None, edge, tuple(missed))
            if kept is None or kept.inviter_id != owner.user_id:
                missed.append(_attempt(request, sent, reason))
            return Decision("none" if kept is None else "kept", reason, None, tuple(missed))
        missed.append(_attempt(request, sent, "not_found"))
    if kept is not None:
        return Decision("kept", "kept", None, tuple(missed))
    return Decision("none", "not_found" if request.codes else "no_code", None, tuple(missed))


def living_owner(sent: SentCode, owners: Mapping[Code, User]) -> User | None:
    """Return the living user whose code was sent."""
    owner = owners.get(sent.code) if sent.code is not None else None
    return owner if owner is not None and owner.deleted_at is None else None


def chain_above(user_id: UserId, inviters: Mapping[UserId, UserId]) -> Iterator[UserId]:
    """Yield a user, their inviter, the inviter's inviter and so on: at most as many users as a ring may have."""
    for _ in range(MAX_RING):
        yield user_id
        if user_id not in inviters:
            return
        user_id = inviters[user_id]


def top_of_chain(user_id: UserId, inviters: Mapping[UserId, UserId]) -> UserId | None:
    """Return the user at the top of the chain of inviters; None where the chain is longer than a ring may be."""
    *_, top = chain_above(user_id, inviters)
    return top if top not in inviters else None


def _reason_against(
    user_id: UserId, owner: User, kept: Edge | None, inviters: Mapping[UserId, UserId]
) -> AttributionReason | None:
    if kept is not None:
        return "kept"
    if owner.user_id == user_id:
        return "self"
    return "cycle" if user_id in chain_above(owner.user_id, inviters) else None


def _attempt(request: AttributionRequest, sent: SentCode, reason: AttributionReason) -> AttributionAttempt:
    return AttributionAttempt(request.user_id, sent.digest, reason, request.at)
