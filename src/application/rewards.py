"""Rewards: bought with credits, once by each collector, for the price that the reply shows."""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from tallystick.application.bounds import Capacity
from tallystick.application.idempotency import AnswerOnce, Keyed, Replayed
from tallystick.application.transactions import Stores, Transactions
from tallystick.domain.bounds import DEFAULT_BOUNDS, UserBounds
from tallystick.domain.ledger import Account, AccountKey, Entry
from tallystick.domain.refusals import Failure
from tallystick.domain.rewards import (
    Collected,
    CollectionKey,
    NotYourReward,
    PurchaseContext,
    Reward,
    RewardId,
    RewardNotFound,
    purchase,
)
from tallystick.domain.users import UserDeleted, UserId


class Order(msgspec.Struct, frozen=True):
    """Buy this reward for this user; the same order id again is the same order."""

    user_id: UserId
    reward_id: RewardId
    order_id: str
    correlation_id: str
    at: datetime


class Purchase(msgspec.Struct, frozen=True):
    """A bought reward, and the balances before and after."""

    reward_id: RewardId
    cost: int
    balance_before: int
    balance_after: int
    collected_at: datetime


class OrderBatch(msgspec.Struct, frozen=True):
    """Orders of one request, decided one by one."""

    orders: tuple[Order, ...]


class BatchResult(msgspec.Struct, frozen=True):
    """The outcomes of the orders of a batch, in their order."""

    results: tuple[Purchase | Failure, ...]


class OfferReward(msgspec.Struct, frozen=True):
    """Offer a new reward."""

    reward: Reward


class ChangeReward(msgspec.Struct, frozen=True):
    """Change a reward; UNSET leaves a field as it is, and a description of None clears it."""

    user_id: UserId
    reward_id: RewardId
    name: str | msgspec.UnsetType = msgspec.UNSET
    description: str | msgspec.UnsetType | None = msgspec.UNSET
    cost: int | msgspec.UnsetType = msgspec.UNSET
    active: bool | msgspec.UnsetType = msgspec.UNSET
    is_manager: bool = False
    """True where the caller may change the rewards of others too."""


class PurchaseRewards:
    """Spend credits on rewards; each collector pays at most once for each reward."""

    def __init__(self, transactions: Transactions, once: AnswerOnce) -> None:
        self._transactions, self._once = transactions, once

    async def __call__(self, orders: Sequence[Keyed[Order]]) -> list[Purchase | Failure | Replayed]:
        async with self._transactions.begin() as stores:
            return await self._once(stores, orders, lambda fresh: run_batch(stores, fresh))


class PurchaseOrderBatches:
    """Decide all orders of each request; a failure affects one order only."""

    def __init__(self, transactions: Transactions, once: AnswerOnce) -> None:
        self._transactions, self._once = transactions, once

    async def __call__(self, order_batches: Sequence[Keyed[OrderBatch]]) -> list[BatchResult | Failure | Replayed]:
        async with self._transactions.begin() as stores:
            return await self._once(stores, order_batches, lambda fresh: self._run(stores, fresh))

    async def _run(self, stores: Stores, order_batches: Sequence[OrderBatch]) -> list[BatchResult | Failure]:
        results = iter(
            await run_batch(stores, [order for order_batch in order_batches for order in order_batch.orders])
        )
        return [BatchResult(tuple(next(results) for _ in order_batch.orders)) for order_batch in order_batches]


class OfferRewards:
    """Offer and change rewards, as their owner or as a manager; a deleted user cannot."""

    def __init__(self, transactions: Transactions, once: AnswerOnce, bounds: UserBounds = DEFAULT_BOUNDS) -> None:
        self._transactions, self._once, self._bounds = transactions, once, bounds

    async def __call__(
        self, commands: Sequence[Keyed[OfferReward | ChangeReward]]
    ) -> list[Reward | Failure | Replayed]:
        async with self._transactions.begin() as stores:
            return await self._once(stores, commands, lambda fresh: self._decide(stores, fresh))

    async def _decide(self, stores: Stores, commands: Sequence[OfferReward | ChangeReward]) -> list[Reward | Failure]:
        # Locked, so that a deletion waits and withdraws the rewards of this batch. For a user without a row, the
        # later rounds of the erasure withdraw them.
        users = await stores.users.lock({_offering(command) for command in commands})
        deleted = {user.user_id for user in users.values() if user.deleted_at is not None}
        owners = {command.reward.owner_id for command in commands if isinstance(command, OfferReward)}
        capacity = await Capacity.open(stores, "rewards", owners - deleted, self._bounds)
        # One after the other: batches of offers are small.
        return [
            UserDeleted() if _offering(command) in deleted else await self._decide_one(stores, command, capacity)
            for command in commands
        ]

    async def _decide_one(
        self, stores: Stores, command: OfferReward | ChangeReward, capacity: Capacity
    ) -> Reward | Failure:
        if isinstance(command, ChangeReward):
            return await self._change(stores, command)
        if not capacity.take(command.reward.owner_id):
            # An earlier attempt whose answer was lost may have stored it as the last one within the bound.
            return await stores.rewards.lock(command.reward.reward_id) or capacity.refusal
        await stores.rewards.add(command.reward)
        return command.reward

    async def _change(self, stores: Stores, command: ChangeReward) -> Reward | Failure:
        reward = await stores.rewards.lock(command.reward_id)
        if reward is None:
            return RewardNotFound()
        if reward.owner_id != command.user_id and not command.is_manager:
            return NotYourReward() if reward.active else RewardNotFound()
        fields = {name: getattr(command, name) for name in ("name", "description", "cost", "active")}
        changes = {name: value for name, value in fields.items() if value is not msgspec.UNSET}
        changed = msgspec.structs.replace(reward, **changes)
        await stores.rewards.store(changed)
        return changed


def _offering(command: OfferReward | ChangeReward) -> UserId:
    return command.reward.owner_id if isinstance(command, OfferReward) else command.user_id


async def run_batch(stores: Stores, orders: Sequence[Order]) -> list[Purchase | Failure]:
    """Decide orders in sequence, and store the purchases."""
    batch = await PurchaseBatch.open(stores, orders)
    outcomes = [batch.decide(order) for order in orders]
    await batch.record(stores)
    return outcomes


class PurchaseBatch:
    """The accounts, rewards and purchases of a batch of orders, kept current while the batch is decided."""

    def __init__(
        self,
        accounts: dict[AccountKey, Account],
        context: PurchaseContext,
    ) -> None:
        self._accounts = accounts
        self._offers, self._collected, self._deleted = context
        self._sales: list[tuple[Collected, Entry]] = []

    @classmethod
    async def open(cls, stores: Stores, orders: Sequence[Order]) -> "PurchaseBatch":
        """Lock the buyers' accounts, and load the context of the decisions."""
        accounts = await stores.ledger.lock({AccountKey(order.user_id, "credits") for order in orders})
        # After the locks, so that concurrent purchases of the same buyer are seen, and the buyer pays this price.
        context = await stores.rewards.purchase_context(
            {CollectionKey(order.user_id, order.reward_id) for order in orders}
        )
        return cls(accounts, context)

    def decide(self, order: Order) -> Purchase | Failure:
        """Decide one order."""
        if order.user_id in self._deleted:
            return UserDeleted()
        account_key, key = AccountKey(order.user_id, "credits"), CollectionKey(order.user_id, order.reward_id)
        account = self._accounts.get(account_key) or Account(*account_key)
        try:
            collected, entry = purchase(
                self._offers.get(order.reward_id),
                account,
                self._collected.get(key),
                order_id=order.order_id,
                correlation_id=order.correlation_id,
                at=order.at,
            )
        except Failure as failure:
            return failure
        if entry is not None:
            self._accounts[account_key] = account.after(entry)
            self._collected[key] = collected
            self._sales.append((collected, entry))
        return Purchase(
            collected.reward_id,
            collected.cost,
            collected.balance_before,
            collected.balance_after,
            collected.collected_at,
        )

    async def record(self, stores: Stores) -> None:
        """Store the purchases."""
        if self._sales:
            await stores.rewards.sell(self._sales)
