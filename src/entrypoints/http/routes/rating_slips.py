"""Rating slips: staff open, list, complete and recover them."""

from datetime import datetime
from typing import Annotated

import msgspec
from litestar import Response, Router, get, post
from litestar.params import FromPath, JSONBody, QueryParameter

from tallystick.application.group_commit import Single
from tallystick.application.idempotency import Keyed
from tallystick.application.points import Accrued
from tallystick.application.ports import Clock, Randomness
from tallystick.application.rating_slips import Completed, CompleteSlip, NewSlip, RecoverSlip
from tallystick.application.reads import Reads
from tallystick.domain.ids import RANDOM_BYTES, uuid_v7
from tallystick.domain.loyalty import Accrual
from tallystick.domain.rating_slips import (
    GameNotFound,
    ImpossibleTimes,
    PartialCompletion,
    Slip,
    SlipId,
    SlipLimitExceeded,
    SlipNotFound,
    SlipNotOpen,
    SlipState,
)
from tallystick.domain.times import in_utc
from tallystick.domain.users import UserId, UserNotFound
from tallystick.entrypoints.http.caller_guard import PERMISSION, CallerGuard
from tallystick.entrypoints.http.fields import Amount, Time, UserIdText
from tallystick.entrypoints.http.pages import DEFAULT_LIMIT, Cursor, Cursors, Limit, Page, clamp
from tallystick.entrypoints.http.problems import FAILURES
from tallystick.entrypoints.http.replies import HIT
from tallystick.entrypoints.http.request_context import context_of
from tallystick.entrypoints.http.requests import ApiRequest, Nothing

State = Annotated[SlipState | None, QueryParameter(name="state", description="Only slips in this state.")]


class SlipBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A slip to open; money in minor units."""

    player_id: UserIdText
    game: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    average_bet: Amount
    opened_at: Time | None = None
    """The beginning of the session at the table; now, where it is absent or null."""


class CompletionBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The end of a slip; a field that is absent or null keeps its value, and the default end is now."""

    average_bet: Amount | None = None
    """The average bet of the whole session, in minor units of money."""
    closed_at: Time | None = None
    """The end of the session at the table."""


class SlipView(msgspec.Struct, frozen=True):
    """A slip; its end and its points are null while it is open."""

    slip_id: SlipId
    player_id: UserId
    game: str
    average_bet: int
    decisions_per_hour: int
    house_edge_bp: int
    points_per_100: int
    state: SlipState
    """Whether the slip is open, closed, or closed with points that wait."""
    opened_at: datetime
    closed_at: datetime | None
    points: int | None
    """The points that the slip earned; null while it is open."""


class Completion(msgspec.Struct, frozen=True):
    """A closed slip with the receipt of its points."""

    slip: SlipView
    accrual: Accrual


class Slips(Page[SlipView], frozen=True):
    """A page of slips, newest first."""


def rating_slips_router(
    open_one: Single[Keyed[NewSlip], Slip],
    complete_one: Single[Keyed[CompleteSlip], Completed],
    recover_one: Single[Keyed[RecoverSlip], Accrued],
    reads: Reads,
    caller_guard: CallerGuard,
    cursors: Cursors,
    clock: Clock,
    randomness: Randomness,
) -> Router:
    """Return the routes of rating slips; all of them need `slips:write`."""

    @post(
        "/",
        status_code=201,
        opt={FAILURES: (UserNotFound, GameNotFound, ImpossibleTimes)},
    )
    async def open_rating_slip(request: ApiRequest, data: JSONBody[SlipBody]) -> SlipView:
        """Open a slip with the present settings of the game."""
        now = clock.now()
        command = NewSlip(
            slip_id=SlipId(uuid_v7(now, randomness.bytes(RANDOM_BYTES))),
            player_id=UserId(data.player_id),
            game=data.game,
            average_bet=data.average_bet,
            opened_at=data.opened_at and in_utc(data.opened_at),
            at=now,
        )
        return wire_slip(await open_one(Keyed(command, await request.idempotency_key(now, success_status=201))))

    @get("/")
    async def list_rating_slips(in_state: State = None, limit: Limit = DEFAULT_LIMIT, cursor: Cursor = "") -> Slips:
        """Return slips, newest first: all of them, or those in one state."""
        wanted, listing = clamp(limit), f"rating slips {in_state or ''}"
        before = SlipId(cursors.open(listing, cursor, str)) if cursor else None
        found = await reads(lambda stores: stores.slips.page(state=in_state, before=before, limit=wanted + 1))
        page = [wire_slip(slip) for slip in found[:wanted]]
        return Slips(page, cursors.seal(listing, page[-1].slip_id) if len(found) > wanted else None)

    @get("/{slip_id:str}", opt={FAILURES: (SlipNotFound,)})
    async def get_rating_slip(slip_id: FromPath[str]) -> SlipView:
        """Return a slip."""
        slip = (await reads(lambda stores: stores.slips.find([SlipId(slip_id)]))).get(SlipId(slip_id))
        if slip is None:
            raise SlipNotFound
        return wire_slip(slip)

    @post(
        "/{slip_id:str}/complete",
        status_code=200,
        opt={
            FAILURES: (
                *(SlipNotFound, SlipNotOpen),
                *(ImpossibleTimes, SlipLimitExceeded, PartialCompletion),
            )
        },
    )
    async def complete_rating_slip(
        request: ApiRequest, slip_id: FromPath[str], data: JSONBody[CompletionBody | None] = None
    ) -> Response[Completion]:
        """Close a slip and credit its points. Repeated with the same or no values, it returns the first answer.

        If the points cannot be credited, the slip is closed nevertheless, and the points are a pending accrual.
        """
        given, now = data or CompletionBody(), clock.now()
        command = CompleteSlip(
            slip_id=SlipId(slip_id),
            average_bet=given.average_bet,
            closed_at=given.closed_at and in_utc(given.closed_at),
            staff_id=request.user.user_id,
            correlation_id=context_of(request.scope).correlation_id,
            at=now,
        )
        completed = await complete_one(Keyed(command, await request.idempotency_key(now)))
        return Response(wire_completed(completed), status_code=200, headers=HIT if completed.is_repeated else None)

    @post(
        "/{slip_id:str}/recover",
        status_code=200,
        opt={FAILURES: (SlipNotFound, SlipNotOpen, PartialCompletion)},
    )
    async def recover_rating_slip(
        request: ApiRequest,
        slip_id: FromPath[str],
        data: JSONBody[Nothing | None] = None,  # noqa: ARG001  checked
    ) -> Response[Accrual]:
        """Credit the pending points of a closed slip; safe to repeat."""
        now = clock.now()
        accrued = await recover_one(Keyed(RecoverSlip(SlipId(slip_id), now), await request.idempotency_key(now)))
        return Response(accrued.accrual, status_code=200, headers=HIT if accrued.is_repeated else None)

    return Router(
        "/api/rating-slips",
        route_handlers=[
            open_rating_slip,
            list_rating_slips,
            get_rating_slip,
            complete_rating_slip,
            recover_rating_slip,
        ],
        guards=[caller_guard.guard],
        opt={PERMISSION: "slips:write"},
        tags=["Rating slips"],
    )


def wire_slip(slip: Slip) -> SlipView:
    """Return a slip as the wire shows it."""
    return SlipView(
        slip_id=slip.slip_id,
        player_id=slip.player_id,
        game=slip.game,
        average_bet=slip.average_bet,
        decisions_per_hour=slip.decisions_per_hour,
        house_edge_bp=slip.house_edge_bp,
        points_per_100=slip.points_per_100,
        state=slip.state,
        opened_at=slip.opened_at,
        closed_at=slip.closed_at,
        points=slip.points,
    )


def wire_completed(completed: Completed) -> Completion:
    """Return a completion as the wire shows it."""
    return Completion(wire_slip(completed.slip), completed.accrual)
