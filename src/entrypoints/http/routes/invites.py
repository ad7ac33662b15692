"""Invites: made, validated by their code, redeemed, listed and revoked."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

import msgspec
from litestar import Router, get, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath, JSONBody

from tallystick.application.group_commit import Single
from tallystick.application.idempotency import Keyed
from tallystick.application.invites import NewInvite, Redeemed, Redemption, RevokeInvite
from tallystick.application.minting import DrawCandidates
from tallystick.application.ports import Clock, Randomness
from tallystick.application.reads import Reads
from tallystick.domain.codes import CodesExhausted, normal_form
from tallystick.domain.identity import Principal
from tallystick.domain.ids import RANDOM_BYTES, uuid_v7
from tallystick.domain.invites import (
    MAX_USES,
    AlreadyUsed,
    CodeTaken,
    Invite,
    InviteExhausted,
    InviteExpired,
    InviteId,
    InviteNotFound,
    InviteRevoked,
)
from tallystick.domain.times import in_utc
from tallystick.domain.users import UserId
from tallystick.entrypoints.http.authentication import PUBLIC
from tallystick.entrypoints.http.caller_guard import (
    LIMIT,
    PERMISSION,
    PERMISSION_FOR_OTHERS,
    REFUSES_DELETED,
    CallerGuard,
)
from tallystick.entrypoints.http.fields import ChosenCode, Time, TypedCode
from tallystick.entrypoints.http.pages import DEFAULT_LIMIT, Cursor, Cursors, Limit, Page, clamp
from tallystick.entrypoints.http.problems import FAILURES
from tallystick.entrypoints.http.raw_routes import RawRequest, raw_post
from tallystick.entrypoints.http.requests import ApiRequest, Nothing


class InviteBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An invite to make; without a code, the service draws one."""

    max_uses: Annotated[int, msgspec.Meta(ge=1, le=MAX_USES)]
    expires_at: Time | None = None
    """The end of the invite; without it, the invite does not end."""
    code: ChosenCode | None = None
    """The code, in any spelling; without it, the service draws one."""


class InviteView(msgspec.Struct, frozen=True):
    """An invite as its owner sees it."""

    invite_id: str
    code: str
    """The code in its normal form."""
    max_uses: int
    current_uses: int
    expires_at: datetime | None
    """The end of the invite; null if it does not end."""
    revoked_at: datetime | None
    created_at: datetime


class CodeBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An invite code, in any spelling."""

    code: TypedCode
    """The code as a user typed it."""


class OpenInvite(msgspec.Struct, frozen=True, rename="camel"):
    """The public facts of an invite that can be used."""

    code: str
    """The code in its normal form."""
    remaining: int
    expires_at: datetime | None
    """The end of the invite; null if it does not end."""


class Validity(msgspec.Struct, frozen=True, rename="camel"):
    """Whether a code can be used now; the answer gives no reason."""

    is_valid: bool
    invite: OpenInvite | None


class Use(msgspec.Struct, frozen=True):
    """A seat that was taken: the user and the time."""

    user_id: UserId
    """The user who took the seat."""
    used_at: datetime


class Uses(Page[Use], frozen=True):
    """A page of seats, oldest first."""


class _Seat(msgspec.Struct, frozen=True, array_like=True):
    used_at: datetime
    user_id: UserId


_OF_OTHERS = {PERMISSION_FOR_OTHERS: "invites:manage"}


def invites_router(
    make: Single[Keyed[NewInvite | RevokeInvite], Invite],
    redeem: Single[Keyed[Redemption], Redeemed],
    reads: Reads,
    caller_guard: CallerGuard,
    cursors: Cursors,
    clock: Clock,
    randomness: Randomness,
    draw_candidates: DrawCandidates,
) -> Router:
    """Return the routes of invites."""

    @post("/", status_code=201, opt={PERMISSION: "invites:create", FAILURES: (CodeTaken, CodesExhausted)})
    async def make_invite(request: ApiRequest, data: JSONBody[InviteBody]) -> InviteView:
        """Make an invite of the caller."""
        chosen = normal_form(data.code) if data.code is not None else None
        now = clock.now()
        command = NewInvite(
            invite_id=InviteId(uuid_v7(now, randomness.bytes(RANDOM_BYTES))),
            owner_id=request.user.user_id,
            codes=(chosen,) if chosen is not None else draw_candidates(),
            is_chosen=chosen is not None,
            max_uses=data.max_uses,
            expires_at=data.expires_at and in_utc(data.expires_at),
            at=now,
        )
        return wire_invite(await make(Keyed(command, await request.idempotency_key(now, success_status=201))))

    @post("/validate", status_code=200, opt={PUBLIC: True, LIMIT: "resolver"})
    async def validate_invite(data: JSONBody[CodeBody]) -> Validity:
        """Return whether a code can be used now; the request takes no seat."""
        code = normal_form(data.code)
        found = await reads(lambda stores: stores.invites.by_code([code] if code is not None else []))
        invite = found.get(code) if code is not None else None
        if invite is None or invite.refusal(clock.now()) is not None:
            return Validity(is_valid=False, invite=None)
        return Validity(is_valid=True, invite=OpenInvite(invite.code, invite.remaining, invite.expires_at))

    async def redeem_invite(request: RawRequest, data: CodeBody) -> Redeemed:
        """Take a seat; each user has at most one in each invite."""
        code = normal_form(data.code)
        now = clock.now()
        redemption = Redemption(request.principal.user_id, code, uuid_v7(now, randomness.bytes(RANDOM_BYTES)), now)
        return await redeem(Keyed(redemption, await request.idempotency_key(now)))

    @post("/{invite_id:str}/revoke", status_code=200, opt={**_OF_OTHERS, FAILURES: (InviteNotFound,)})
    async def revoke_invite(
        request: ApiRequest,
        invite_id: FromPath[str],
        data: JSONBody[Nothing | None] = None,  # noqa: ARG001  checked
    ) -> InviteView:
        """Revoke an invite of the caller; with `invites:manage`, of any user. Seats that were taken stay taken."""
        now = clock.now()
        command = RevokeInvite(InviteId(invite_id), request.user.user_id, _manages(request.user), now)
        return wire_invite(await make(Keyed(command, await request.idempotency_key(now))))

    guarded = Router(
        "/",
        route_handlers=[make_invite, validate_invite, revoke_invite, *_views(reads, cursors)],
        guards=[caller_guard.guard],
    )
    redeeming = raw_post(
        "/redeem",
        redeem_invite,
        caller_guard=caller_guard,
        options={REFUSES_DELETED: True},
        tag="Invites",
        body=CodeBody,
        answer=Redeemed,
        failures=(InviteNotFound, InviteExpired, InviteRevoked, InviteExhausted, AlreadyUsed),
    )
    return Router("/api/invites", route_handlers=[guarded, redeeming], tags=["Invites"])


def _views(reads: Reads, cursors: Cursors) -> Sequence[HTTPRouteHandler]:
    async def visible(invite_id: str, principal: Principal) -> Invite:
        invite = await reads(lambda stores: stores.invites.find(InviteId(invite_id)))
        if invite is None or not (invite.owner_id == principal.user_id or _manages(principal)):
            raise InviteNotFound
        return invite

    @get("/{invite_id:str}", opt={**_OF_OTHERS, FAILURES: (InviteNotFound,)})
    async def get_invite(request: ApiRequest, invite_id: FromPath[str]) -> InviteView:
        """Return an invite of the caller; with `invites:manage`, of any user."""
        return wire_invite(await visible(invite_id, request.user))

    @get("/{invite_id:str}/uses", opt={**_OF_OTHERS, FAILURES: (InviteNotFound,)})
    async def list_invite_uses(
        request: ApiRequest, invite_id: FromPath[str], limit: Limit = DEFAULT_LIMIT, cursor: Cursor = ""
    ) -> Uses:
        """Return the seats that were taken, oldest first. With `invites:manage` the invite may be of any user."""
        found, wanted = await visible(invite_id, request.user), clamp(limit)
        listing = f"uses {found.invite_id}"
        last = cursors.open(listing, cursor, _Seat) if cursor else None
        after = (last.used_at, last.user_id) if last is not None else None
        taken = await reads(lambda stores: stores.invites.uses_of(found.invite_id, after=after, limit=wanted + 1))
        page = [Use(use.user_id, use.used_at) for use in taken[:wanted]]
        if len(taken) <= wanted:
            return Uses(page, None)
        return Uses(page, cursors.seal(listing, _Seat(page[-1].used_at, page[-1].user_id)))

    return [get_invite, list_invite_uses]


def wire_invite(invite: Invite) -> InviteView:
    """Return an invite as the wire shows it."""
    return InviteView(
        invite_id=invite.invite_id,
        code=invite.code,
        max_uses=invite.max_uses,
        current_uses=invite.current_uses,
        expires_at=invite.expires_at,
        revoked_at=invite.revoked_at,
        created_at=invite.created_at,
    )


def _manages(principal: Principal) -> bool:
    return principal.may("invites:manage")
