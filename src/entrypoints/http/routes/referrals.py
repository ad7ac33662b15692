"""Referral links of the caller, the leaderboard and the globe."""

import hashlib
import hmac
from collections.abc import Callable
from functools import lru_cache
from math import asin, degrees
from typing import NewType, cast

import msgspec
from litestar import Response, Router, get, post
from litestar.params import JSONBody

from tallystick.application.codes import Remint, Reminted
from tallystick.application.group_commit import Single
from tallystick.application.idempotency import Keyed
from tallystick.application.minting import DrawCandidates
from tallystick.application.ports import Clock
from tallystick.application.reads import Reads
from tallystick.application.referral_links import LinkState, PeekReferralLink, ReadReferralLink
from tallystick.application.shared_answers import SharedAnswer
from tallystick.domain.codes import CodesExhausted
from tallystick.domain.refusals import OutcomeUnknown
from tallystick.domain.users import UserId
from tallystick.entrypoints.http.caller_guard import REFUSES_DELETED, CallerGuard
from tallystick.entrypoints.http.links import Addresses
from tallystick.entrypoints.http.pages import DEFAULT_LIMIT, Cursor, Cursors, Limit, Page, clamp
from tallystick.entrypoints.http.problems import FAILURES
from tallystick.entrypoints.http.requests import ApiRequest, Nothing

MAX_GLOBE_NODES = 1000
GLOBE_FRESH_SECONDS = 60.0
GLOBE_STALE_SECONDS = 600.0

GlobeKey = NewType("GlobeKey", bytes)
"""The key that places on the globe are derived from."""


class ReferralLink(msgspec.Struct, frozen=True):
    """A share link; empty strings while it is pending."""

    referral_url: str
    referral_code: str
    otp_verified: bool
    pending: bool


class RemintedLink(ReferralLink, frozen=True):
    """A share link, and the code that it replaced; that code still resolves, and is empty if there was none."""

    alias: str


class RankedLeader(msgspec.Struct, frozen=True):
    """A row of the leaderboard; equal referrals share a rank."""

    rank: int
    display_name: str
    referrals: int


class Leaderboard(Page[RankedLeader], frozen=True):
    """A page of the leaderboard."""


class GlobeNode(msgspec.Struct, frozen=True):
    """A user as a place on the globe; the place reveals nothing about the user."""

    id: str
    """An id that does not identify the user."""
    lat: float
    lng: float
    referrals: int


class Globe(msgspec.Struct, frozen=True):
    """The users with the most referrals, at most a thousand."""

    nodes: list[GlobeNode]


class _Position(msgspec.Struct, frozen=True, array_like=True):
    referrals: int
    user_id: UserId
    rank: int
    position: int


def referrals_router(
    read_link: ReadReferralLink,
    peek_link: PeekReferralLink,
    remint: Single[Keyed[Remint], Reminted],
    reads: Reads,
    caller_guard: CallerGuard,
    addresses: Addresses,
    cursors: Cursors,
    clock: Clock,
    draw_candidates: DrawCandidates,
    globe_key: GlobeKey,
) -> Router:
    """Return the routes of referral links."""

    def link(state: LinkState) -> ReferralLink:
        url = addresses.share_link(state.code)
        return ReferralLink(url, state.code or "", state.otp_verified, pending=state.code is None)

    @get("/my-referral-link", opt={REFUSES_DELETED: True, FAILURES: (CodesExhausted, OutcomeUnknown)})
    async def get_my_referral_link(request: ApiRequest) -> ReferralLink:
        """Return the caller's share link; a user without a code gets one first."""
        return link(await read_link(request.user.user_id))

    @get("/referral", opt={REFUSES_DELETED: True})
    async def peek_referral_link(request: ApiRequest) -> ReferralLink:
        """Return the caller's share link; this request never writes."""
        return link(await peek_link(request.user.user_id))

    @post("/referral/remint", status_code=200, opt={REFUSES_DELETED: True, FAILURES: (CodesExhausted,)})
    async def remint_code(request: ApiRequest, data: JSONBody[Nothing | None] = None) -> RemintedLink:  # noqa: ARG001  checked
        """Replace the caller's code; the old one becomes an alias that still resolves."""
        command = Keyed(Remint(request.user.user_id, draw_candidates()), await request.idempotency_key(clock.now()))
        return wire_reminted(await remint(command), addresses)

    @get("/leaderboard")
    async def list_leaders(limit: Limit = DEFAULT_LIMIT, cursor: Cursor = "") -> Leaderboard:
        """Return users by referrals, most first."""
        last = cursors.open("leaderboard", cursor, _Position) if cursor else None
        after = (last.referrals, last.user_id) if last is not None else None
        wanted = clamp(limit)
        leaders = await reads(lambda stores: stores.leaderboard.leaders(after=after, limit=wanted + 1))
        ranked: list[RankedLeader] = []
        for leader in leaders[:wanted]:
            position = last.position + 1 if last is not None else 1
            rank = last.rank if last is not None and last.referrals == leader.referrals else position
            last = _Position(leader.referrals, leader.user_id, rank, position)
            ranked.append(RankedLeader(rank, leader.display_name, leader.referrals))
        more = len(leaders) > wanted
        return Leaderboard(ranked, cursors.seal("leaderboard", last) if more and last is not None else None)

    globe_position = _globe_positions(globe_key)

    async def encoded_globe() -> bytes:
        users = await reads(lambda stores: stores.leaderboard.most_connected(MAX_GLOBE_NODES))
        return msgspec.json.encode(
            Globe([GlobeNode(*globe_position(user_id), referrals) for user_id, referrals in users])
        )

    shared_globe = SharedAnswer(
        encoded_globe, clock, fresh_seconds=GLOBE_FRESH_SECONDS, stale_seconds=GLOBE_STALE_SECONDS
    )

    @get("/globe")
    async def get_globe() -> Response[Globe]:
        """Return users as places on the globe. Id and place do not identify a user, and a remint does not move them.

        The globe is computed once a minute: new and deleted users may appear or disappear a minute late.
        """
        body = (await shared_globe()).value
        return Response(cast("Globe", body), media_type="application/json")  # bytes are sent as they are

    return Router(
        "/api",
        route_handlers=[get_my_referral_link, peek_referral_link, remint_code, list_leaders, get_globe],
        guards=[caller_guard.guard],
        tags=["Referrals"],
    )


def wire_reminted(reminted: Reminted, addresses: Addresses) -> RemintedLink:
    """Return a remint as the wire shows it."""
    url, alias = addresses.share_link(reminted.code), reminted.alias or ""
    return RemintedLink(url, reminted.code, reminted.otp_verified, pending=False, alias=alias)


def _globe_positions(key: bytes) -> Callable[[UserId], tuple[str, float, float]]:
    """Return the function from a user to their id and position on the globe, which never change."""

    @lru_cache(maxsize=2 * MAX_GLOBE_NODES)
    def position(user_id: UserId) -> tuple[str, float, float]:
        digest = hmac.digest(key, user_id.encode(), hashlib.sha256)
        up, round_ = (int.from_bytes(digest[start : start + 6], "big") / 2**48 for start in (8, 14))
        # The arc sine spreads positions evenly over the sphere, without a crowd at the poles.
        latitude, longitude = degrees(asin(2 * up - 1)), 360 * round_ - 180
        return digest[:8].hex(), round(latitude, 4), round(longitude, 4)

    return position
