"""Rewards: users offer, list, change and buy them."""

from datetime import datetime
from typing import Annotated, NewType

import msgspec
from litestar import Router, get, patch, post
from litestar.params import FromPath, JSONBody
from msgspec import UNSET, UnsetType

from tallystick.application.group_commit import Single
from tallystick.application.idempotency import Keyed
from tallystick.application.ports import Clock, Randomness
from tallystick.application.reads import Reads
from tallystick.application.rewards import BatchResult, ChangeReward, OfferReward, Order, OrderBatch, Purchase
from tallystick.domain.ids import RANDOM_BYTES, uuid_v7
from tallystick.domain.ledger import AccountFrozen, InsufficientFunds
from tallystick.domain.refusals import Failure
from tallystick.domain.rewards import (
    AlreadyCollected,
    NotYourReward,
    Reward,
    RewardId,
    RewardNotFound,
    SelfPurchase,
)
from tallystick.domain.users import UserId
from tallystick.entrypoints.http.caller_guard import PERMISSION, PERMISSION_FOR_OTHERS, REFUSES_DELETED, CallerGuard
from tallystick.entrypoints.http.fields import Amount, RewardDescription, RewardIdText, RewardName, UserIdText
from tallystick.entrypoints.http.pages import DEFAULT_LIMIT, Cursor, Cursors, Limit, Page, clamp
from tallystick.entrypoints.http.problems import FAILURES
from tallystick.entrypoints.http.raw_routes import RawRequest, raw_post
from tallystick.entrypoints.http.request_context import context_of
from tallystick.entrypoints.http.requests import MAX_BODY, ApiRequest, Nothing

MAX_ORDERS = 1000
MAX_BATCH_BYTES = 1024 * 1024

AnyoneOffers = NewType("AnyoneOffers", bool)
"""True if every user may offer rewards; else a caller needs the permission `rewards:offer`."""


class RewardBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A reward to offer; the caller will own it."""

    name: RewardName
    """The name of the reward."""
    cost: Amount
    description: RewardDescription | None = None


class RewardChange(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Changes of a reward; an absent field keeps its value, and null clears the description."""

    name: RewardName | UnsetType = UNSET
    """The name of the reward."""
    description: RewardDescription | UnsetType | None = UNSET
    cost: Amount | UnsetType = UNSET
    active: bool | UnsetType = UNSET


class RewardPage(Page[Reward], frozen=True):
    """A page of rewards, newest first."""


class CollectedPage(Page[Purchase], frozen=True):
    """A page of rewards that the caller collected, newest first."""


class OrderBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One order: the buyer and the reward."""

    user_id: UserIdText
    reward_id: RewardIdText


class OrdersBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Orders, decided in their order; a refused order does not stop the others."""

    orders: Annotated[list[OrderBody], msgspec.Meta(min_length=1, max_length=MAX_ORDERS)]


class PurchasedOrder(msgspec.Struct, frozen=True, tag_field="outcome", tag="purchased"):
    """An order that was carried out, with the balances before and after."""

    reward_id: RewardId
    cost: int
    balance_before: int
    balance_after: int
    collected_at: datetime


class RefusedOrder(msgspec.Struct, frozen=True, omit_defaults=True, tag_field="outcome", tag="refused"):
    """An order that was refused, with the code of the refusal."""

    code: str
    """The code that the problem of a single purchase has."""
    detail: str
    balance: int | UnsetType = UNSET
    """With INSUFFICIENT_FUNDS: the balance of the buyer."""
    cost: int | UnsetType = UNSET
    """With INSUFFICIENT_FUNDS: the price, in credits."""


class Outcomes(msgspec.Struct, frozen=True):
    """The outcomes of the orders, in their order."""

    results: list[PurchasedOrder | RefusedOrder]


class _Collected(msgspec.Struct, frozen=True, array_like=True):
    collected_at: datetime
    reward_id: RewardId


def rewards_router(
    offer: Single[Keyed[OfferReward | ChangeReward], Reward],
    purchase: Single[Keyed[Order], Purchase],
    purchase_order_batches: Single[Keyed[OrderBatch], BatchResult],
    anyone_offers: AnyoneOffers,
    reads: Reads,
    caller_guard: CallerGuard,
    cursors: Cursors,
    clock: Clock,
    randomness: Randomness,
) -> Router:
    """Return the routes of rewards."""

    @post("/", status_code=201, opt={} if anyone_offers else {PERMISSION: "rewards:offer"})
    async def offer_reward(request: ApiRequest, data: JSONBody[RewardBody]) -> Reward:
        """Offer a reward of the caller."""
        now = clock.now()
        reward = Reward(
            reward_id=RewardId(uuid_v7(now, randomness.bytes(RANDOM_BYTES))),
            owner_id=request.user.user_id,
            name=data.name,
            description=data.description,
            cost=data.cost,
            active=True,
            created_at=now,
        )
        return await offer(Keyed(OfferReward(reward), await request.idempotency_key(now, success_status=201)))

    @get("/")
    async def list_rewards(limit: Limit = DEFAULT_LIMIT, cursor: Cursor = "") -> RewardPage:
        """Return the rewards of all users that can be bought, newest first.

        A page may be shorter than its limit, or even empty, if a user was deleted a moment ago. Only the last page
        has no `next_cursor`.
        """
        wanted = clamp(limit)
        before = RewardId(cursors.open("rewards", cursor, str)) if cursor else None
        found = await reads(lambda stores: stores.rewards.page(before=before, limit=wanted + 1))
        page = found[:wanted]
        on_offer = [reward for reward in page if reward.active]
        return RewardPage(on_offer, cursors.seal("rewards", page[-1].reward_id) if len(found) > wanted else None)

    @get("/collected")
    async def list_collected_rewards(
        request: ApiRequest, limit: Limit = DEFAULT_LIMIT, cursor: Cursor = ""
    ) -> CollectedPage:
        """Return the rewards that the caller collected, newest first."""
        user_id, wanted = request.user.user_id, clamp(limit)
        last = cursors.open("collected", cursor, _Collected) if cursor else None
        before = (last.collected_at, last.reward_id) if last is not None else None
        found = await reads(lambda stores: stores.rewards.collected_by(user_id, before=before, limit=wanted + 1))
        page = [
            Purchase(each.reward_id, each.cost, each.balance_before, each.balance_after, each.collected_at)
            for each in found[:wanted]
        ]
        if len(found) <= wanted:
            return CollectedPage(page, None)
        return CollectedPage(page, cursors.seal("collected", _Collected(page[-1].collected_at, page[-1].reward_id)))

    @patch("/{reward_id:str}", opt={PERMISSION_FOR_OTHERS: "rewards:manage", FAILURES: (RewardNotFound, NotYourReward)})
    async def change_reward(request: ApiRequest, reward_id: FromPath[str], data: JSONBody[RewardChange]) -> Reward:
        """Change a reward of the caller; with `rewards:manage`, of any user. Purchases keep the price that was paid."""
        command = ChangeReward(
            user_id=request.user.user_id,
            reward_id=RewardId(reward_id),
            name=data.name,
            description=data.description,
            cost=data.cost,
            active=data.active,
            is_manager=request.user.may("rewards:manage"),
        )
        return await offer(Keyed(command, await request.idempotency_key(clock.now())))

    async def purchase_reward(request: RawRequest, _data: Nothing) -> Purchase:
        """Spend the caller's credits on one reward; the answer shows the price that was charged."""
        now = clock.now()
        order = Order(
            request.principal.user_id,
            RewardId(request.parameter("reward_id")),
            uuid_v7(now, randomness.bytes(RANDOM_BYTES)),
            request.context.correlation_id,
            now,
        )
        return await purchase(Keyed(order, await request.idempotency_key(now)))

    @post("/purchases", status_code=200, opt={MAX_BODY: MAX_BATCH_BYTES, PERMISSION: "purchases:batch"})
    async def purchase_rewards(request: ApiRequest, data: JSONBody[OrdersBody]) -> Outcomes:
        """Buy for many users at once; the outcomes are in the order of the orders."""
        now, correlation_id = clock.now(), context_of(request.scope).correlation_id
        orders = tuple(
            Order(
                UserId(order.user_id),
                RewardId(order.reward_id),
                uuid_v7(now, randomness.bytes(RANDOM_BYTES)),
                correlation_id,
                now,
            )
            for order in data.orders
        )
        return wire_batch_result(
            await purchase_order_batches(Keyed(OrderBatch(orders), await request.idempotency_key(now)))
        )

    guarded = Router(
        "/",
        route_handlers=[offer_reward, list_rewards, list_collected_rewards, change_reward, purchase_rewards],
        guards=[caller_guard.guard],
    )
    purchasing = raw_post(
        "/{reward_id:str}/purchase",
        purchase_reward,
        caller_guard=caller_guard,
        options={REFUSES_DELETED: True},
        tag="Rewards",
        body=Nothing,
        may_be_absent=True,
        answer=Purchase,
        failures=(RewardNotFound, SelfPurchase, AlreadyCollected, InsufficientFunds, AccountFrozen),
    )
    return Router("/api/rewards", route_handlers=[guarded, purchasing], tags=["Rewards"])


def wire_batch_result(batch: BatchResult) -> Outcomes:
    """Return the outcomes of the orders of a request as the wire shows them."""
    return Outcomes([_outcome(result) for result in batch.results])


def _outcome(result: Purchase | Failure) -> PurchasedOrder | RefusedOrder:
    if isinstance(result, InsufficientFunds):
        return RefusedOrder(result.code, result.detail, balance=result.balance, cost=result.cost)
    if isinstance(result, Failure):
        return RefusedOrder(result.code, result.detail)
    return PurchasedOrder(**msgspec.structs.asdict(result))
