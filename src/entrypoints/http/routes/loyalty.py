"""Loyalty: points and tiers of players, awards by staff, and batches of points from other services."""

from typing import Annotated

import msgspec
from litestar import Router, get, post
from litestar.params import FromPath, JSONBody

from tallystick.application.group_commit import Single
from tallystick.application.idempotency import Keyed
from tallystick.application.loyalty import Award, Credited, Earnings
from tallystick.application.points import Accrued
from tallystick.application.ports import Clock
from tallystick.application.reads import Reads
from tallystick.domain.ledger import Account, AccountFrozen, BalanceLimitExceeded, Event
from tallystick.domain.loyalty import Accrual, Earning, PointsDisabled, RewardLimitExceeded, SelfAward, Tiers
from tallystick.domain.refusals import Failure, PermissionMissing
from tallystick.domain.users import UserId, UserNotFound
from tallystick.entrypoints.http.caller_guard import LIMIT, PERMISSION, PERMISSION_FOR_OTHERS, CallerGuard
from tallystick.entrypoints.http.fields import Amount, EventName, ForeignEventType, Reason, UserIdText
from tallystick.entrypoints.http.problems import FAILURES
from tallystick.entrypoints.http.raw_routes import RawRequest, raw_post
from tallystick.entrypoints.http.replies import RAW_HIT
from tallystick.entrypoints.http.request_context import context_of
from tallystick.entrypoints.http.requests import MAX_BODY, ApiRequest
from tallystick.entrypoints.http.routes.rewards import MAX_BATCH_BYTES

MAX_EVENTS = 1000


class AwardBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Points for a player; the same award counts once a day, or once for ever if it has a `reward_id`."""

    player_id: UserIdText
    points: Amount
    """The points to give, at most 10,000."""
    reason: Reason
    reward_id: EventName | None = None
    """A key of the award: it counts once for ever. Without it, the same award counts once a day."""


class AccrualEvent(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Points for a player, for one event; type and key identify the event, and it counts once."""

    player_id: UserIdText
    points: Amount
    """The points to give."""
    event_type: ForeignEventType
    event_key: EventName
    reason: Reason | None = None


class AccrualEvents(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Events, decided in their order; a refused event does not stop the others."""

    events: Annotated[list[AccrualEvent], msgspec.Meta(min_length=1, max_length=MAX_EVENTS)]


class AccruedEvent(Accrual, frozen=True, omit_defaults=True, tag_field="outcome", tag="accrued"):
    """An event that was credited, with its receipt."""

    repeated: bool = False
    """True if this event was credited before: this is the first receipt."""


class RefusedEvent(msgspec.Struct, frozen=True, tag_field="outcome", tag="refused"):
    """An event that was refused, with the code of the refusal."""

    code: str
    """The code that the problem of a single award has."""
    detail: str


class AccrualOutcomes(msgspec.Struct, frozen=True):
    """The outcomes of the events, in their order."""

    results: list[AccruedEvent | RefusedEvent]


class LoyaltyView(msgspec.Struct, frozen=True):
    """A player's points and tier; the version counts the entries."""

    player_id: str
    balance: int
    """The present balance of points."""
    tier: str
    tier_progress: int
    lifetime_points: int
    version: int


def loyalty_router(
    award: Single[Keyed[Award], Accrued],
    accrue: Single[Keyed[Earnings], Credited],
    reads: Reads,
    tiers: Tiers,
    caller_guard: CallerGuard,
    clock: Clock,
) -> Router:
    """Return the routes of loyalty."""

    @get(
        "/{player_id:str}",
        opt={PERMISSION_FOR_OTHERS: "loyalty:read", FAILURES: (PermissionMissing, UserNotFound)},
    )
    async def get_loyalty(request: ApiRequest, player_id: FromPath[str]) -> LoyaltyView:
        """Return points and tier of the caller; with `loyalty:read`, of any player."""
        require_player(request, player_id)
        player = (await reads(lambda stores: stores.players.find([UserId(player_id)]))).get(UserId(player_id))
        if player is None:
            raise UserNotFound
        account = player.account or Account(player.user_id, "points")
        tier = tiers.of(account.lifetime)
        return LoyaltyView(
            player_id=player.user_id,
            balance=account.balance,
            tier=tier.name,
            tier_progress=tier.progress,
            lifetime_points=account.lifetime,
            version=account.version,
        )

    async def award_points(request: RawRequest, data: AwardBody) -> Accrual:
        """Give a player points in the caller's name, at most 10,000 at a time."""
        now = clock.now()
        command = Award(
            player_id=UserId(data.player_id),
            staff_id=request.principal.user_id,
            points=data.points,
            reason=data.reason,
            reward_id=data.reward_id,
            correlation_id=request.context.correlation_id,
            at=now,
        )
        accrued = await award(Keyed(command, await request.idempotency_key(now)))
        if accrued.is_repeated:
            request.context.reply_headers.append(RAW_HIT)
        return accrued.accrual

    @post("/accruals", status_code=200, opt={MAX_BODY: MAX_BATCH_BYTES, PERMISSION: "loyalty:batch"})
    async def accrue_points(request: ApiRequest, data: JSONBody[AccrualEvents]) -> AccrualOutcomes:
        """Credit many events at once; the outcomes are in the order of the events."""
        now, correlation_id = clock.now(), context_of(request.scope).correlation_id
        earnings = tuple(
            Earning(
                player_id=UserId(event.player_id),
                points=event.points,
                event=Event(event.event_type, event.event_key),
                reason=event.reason,
                staff_id=None,
                correlation_id=correlation_id,
                at=now,
            )
            for event in data.events
        )
        return wire_credited(await accrue(Keyed(Earnings(earnings), await request.idempotency_key(now))))

    awarding = raw_post(
        "/manual-rewards",
        award_points,
        caller_guard=caller_guard,
        options={LIMIT: "award", PERMISSION: "loyalty:award"},
        tag="Loyalty",
        body=AwardBody,
        answer=Accrual,
        failures=(
            *(SelfAward, RewardLimitExceeded, UserNotFound),
            *(PointsDisabled, AccountFrozen, BalanceLimitExceeded),
        ),
    )
    guarded = Router("/", route_handlers=[get_loyalty, accrue_points], guards=[caller_guard.guard])
    return Router("/api/loyalty", route_handlers=[guarded, awarding], tags=["Loyalty"])


def require_player(request: ApiRequest, player_id: str) -> None:
    """Raise PermissionMissing unless the player is the caller, or the caller has `loyalty:read`."""
    if request.user.user_id != player_id:
        request.user.require("loyalty:read")


def wire_credited(credited: Credited) -> AccrualOutcomes:
    """Return the outcomes of a batch as the wire shows them."""
    return AccrualOutcomes([_outcome(result) for result in credited.results])


def _outcome(result: Accrued | Failure) -> AccruedEvent | RefusedEvent:
    if isinstance(result, Failure):
        return RefusedEvent(result.code, result.detail)
    return AccruedEvent(**msgspec.structs.asdict(result.accrual), repeated=result.is_repeated)
