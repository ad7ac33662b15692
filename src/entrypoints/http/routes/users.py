"""Users: their profile, their own view of it, and the look-up by staff."""

from typing import Annotated

import msgspec
from litestar import Router, get, post
from litestar.params import JSONBody, QueryParameter

from tallystick.adapters.identity.code_digests import CodeDigests
from tallystick.application.group_commit import Single
from tallystick.application.idempotency import Keyed
from tallystick.application.ports import Clock, Randomness
from tallystick.application.reads import Reads
from tallystick.application.referrals import UpsertResult, UserUpsert
from tallystick.domain.ids import RANDOM_BYTES, uuid_v7
from tallystick.domain.loyalty import Tiers
from tallystick.domain.referrals import AttributionRequest
from tallystick.domain.user_summaries import UserSummary
from tallystick.domain.usernames import username_form
from tallystick.domain.users import (
    EmailTaken,
    Profile,
    UserDeleted,
    UserId,
    UsernameTaken,
    UserNotFound,
    is_email,
)
from tallystick.entrypoints.http.authentication import cookie
from tallystick.entrypoints.http.caller_guard import LIMIT, PERMISSION, REFUSES_DELETED, CallerGuard
from tallystick.entrypoints.http.fields import Email, Name, Phone, Username
from tallystick.entrypoints.http.links import CLICK_COOKIE, Addresses, clicked_codes
from tallystick.entrypoints.http.problems import FAILURES
from tallystick.entrypoints.http.request_context import context_of
from tallystick.entrypoints.http.requests import ApiRequest


class UpsertUser(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The profile of the caller; a field that is absent or null keeps its value."""

    email: Email | None = None
    username: Username | None = None
    display_name: Name | None = None
    phone: Phone | None = None
    referred_by: str | None = None
    """A referral code, in any spelling; it outranks clicks. A code that belongs to nobody changes nothing."""


class Me(msgspec.Struct, frozen=True):
    """The caller: profile, code, referrals, credits and points."""

    user_id: str
    username: str | None
    """The unique name of the user; null if there is none."""
    display_name: str | None
    referral_code: str
    referral_url: str
    otp_verified: bool
    referred: bool
    referrals: int
    credits: int
    points: int
    tier: str


class FoundProfile(msgspec.Struct, frozen=True):
    """A user as staff see them."""

    user_id: str
    email: str | None
    """The e-mail address; null if there is none."""
    username: str | None
    """The unique name of the user; null if there is none."""
    display_name: str | None
    phone: str | None
    """The phone number; null if there is none."""
    referral_code: str
    referral_url: str
    otp_verified: bool
    referred: bool
    referrals: int


def users_router(
    attribute: Single[Keyed[UserUpsert], UpsertResult],
    read_summary: Single[UserId, UserSummary | None],
    reads: Reads,
    caller_guard: CallerGuard,
    addresses: Addresses,
    digests: CodeDigests,
    tiers: Tiers,
    clock: Clock,
    randomness: Randomness,
) -> Router:
    """Return the routes of users."""

    @post(
        "/users/upsert",
        status_code=200,
        opt={LIMIT: "sign_up", REFUSES_DELETED: True, FAILURES: (EmailTaken, UsernameTaken)},
    )
    async def upsert_user(request: ApiRequest, data: JSONBody[UpsertUser]) -> UpsertResult:
        """Store the caller's profile and inviter; the first inviter is kept for ever."""
        now = clock.now()
        named = [data.referred_by] if data.referred_by and not data.referred_by.isspace() else None
        clicked = clicked_codes(cookie(context_of(request.scope).headers, CLICK_COOKIE))
        attribution_request = AttributionRequest(
            request.user.user_id,
            tuple(map(digests.sent, named or clicked)),
            uuid_v7(now, randomness.bytes(RANDOM_BYTES)),
            now,
        )
        upsert = UserUpsert(
            attribution_request,
            Profile(data.email, data.username and username_form(data.username), data.display_name, data.phone),
            phone_verified=request.user.phone_verified,
            correlation_id=context_of(request.scope).correlation_id,
        )
        return await attribute(Keyed(upsert, await request.idempotency_key(now)))

    @get("/me", opt={REFUSES_DELETED: True, FAILURES: (UserNotFound,)})
    async def get_me(request: ApiRequest) -> Me:
        """Return the caller."""
        summary = await read_summary(request.user.user_id)
        if summary is None:
            raise UserNotFound
        if summary.user.deleted_at is not None:
            raise UserDeleted
        return _me(summary, addresses, tiers)

    @get("/profiles/by-email", opt={PERMISSION: "profiles:read", FAILURES: (UserNotFound,)})
    async def find_profile_by_email(
        email: Annotated[str, QueryParameter(description="The case of letters does not matter.")],
    ) -> FoundProfile:
        """Return the living user with an e-mail address, with their current code."""
        summary = await reads(lambda stores: stores.user_summaries.by_email(email)) if is_email(email) else None
        if summary is None:
            raise UserNotFound
        return _found(summary, addresses)

    return Router(
        "/api", route_handlers=[upsert_user, get_me, find_profile_by_email], guards=[caller_guard.guard], tags=["Users"]
    )


def _me(summary: UserSummary, addresses: Addresses, tiers: Tiers) -> Me:
    return Me(
        user_id=summary.user.user_id,
        username=summary.user.profile.username,
        display_name=summary.user.profile.display_name,
        referral_code=summary.code or "",
        referral_url=addresses.share_link(summary.code),
        otp_verified=summary.otp_verified,
        referred=summary.referred,
        referrals=summary.user.referrals,
        credits=summary.credits,
        points=summary.points,
        tier=tiers.of(summary.lifetime_points).name,
    )


def _found(summary: UserSummary, addresses: Addresses) -> FoundProfile:
    profile = summary.user.profile
    return FoundProfile(
        user_id=summary.user.user_id,
        email=profile.email,
        username=profile.username,
        display_name=profile.display_name,
        phone=profile.phone,
        referral_code=summary.code or "",
        referral_url=addresses.share_link(summary.code),
        otp_verified=summary.otp_verified,
        referred=summary.referred,
        referrals=summary.user.referrals,
    )
