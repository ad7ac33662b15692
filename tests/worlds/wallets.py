"""Credits and rewards over one backend, in verbs and builders that name only what matters."""

from datetime import datetime, timedelta
from typing import Any, TypeVar

from tallystick.adapters.memory.ports import ManualClock, RecordedMetrics, SeededRandomness
from tallystick.application.credits import Grant, GrantCredits, Granted
from tallystick.application.idempotency import AnswerOnce, Keyed, RequestKey, StoredReply
from tallystick.application.reads import Reads
from tallystick.application.rewards import (
    BatchResult,
    ChangeReward,
    OfferReward,
    OfferRewards,
    Order,
    OrderBatch,
    Purchase,
    PurchaseOrderBatches,
    PurchaseRewards,
)
from tallystick.domain.ids import RANDOM_BYTES, uuid_v7
from tallystick.domain.ledger import Account, AccountKey, Entry
from tallystick.domain.refusals import Refusal
from tallystick.domain.rewards import Collected, Reward, RewardId
from tallystick.domain.users import UserId
from tests.worlds.backend import Backend

T = TypeVar("T")


def result(outcome: T | Exception) -> T:
    """Return what came out; a refusal is raised."""
    if isinstance(outcome, Exception):
        raise outcome
    return outcome


def encode_for_test(outcome: object, key: RequestKey) -> StoredReply:
    """Stand in for the wire's encoder."""
    if isinstance(outcome, Refusal):
        return StoredReply(key.fingerprint, 409, outcome.code.encode())
    return StoredReply(key.fingerprint, key.success_status, repr(outcome).encode())


class WalletWorld:
    """One backend, and what can be done with wallets on it."""

    def __init__(self, backend: Backend, *, seed: int = 0) -> None:
        transactions = backend.transactions
        self.backend, self.transactions = backend, transactions
        self.clock = ManualClock()
        self.randomness = SeededRandomness(seed)
        self.metrics = RecordedMetrics()
        self.once = AnswerOnce(encode_for_test)
        self.reads = Reads(transactions, self.randomness)
        self.grant_credits = GrantCredits(transactions, self.once)
        self.purchase_rewards = PurchaseRewards(transactions, self.once)
        self.purchase_order_batches = PurchaseOrderBatches(transactions, self.once)
        self.offer_rewards = OfferRewards(transactions, self.once)

    def new_id(self) -> str:
        return uuid_v7(self.clock.now(), self.randomness.bytes(RANDOM_BYTES))

    def pass_time(self, **by: float) -> None:
        self.clock.move(timedelta(**by))

    def key(self, user: str, key: str, fingerprint: bytes) -> RequestKey:
        return RequestKey(UserId(user), key, fingerprint, 200, "correlation", self.clock.now())

    def keyed(self, user: str, command: T, key: str | None, *request: object) -> Keyed[T]:
        """Return a command under its user's key, where it has one; `request` is what the client sent."""
        return Keyed(command, self.key(user, key, repr(request).encode()) if key is not None else None)

    async def an_account(self, user: str = "ada", *, balance: int) -> UserId:
        if balance:
            await self.grant(user, balance)
        return UserId(user)

    def grant_command(
        self, user: str, amount: int = 100, *, event: str | None = None, correlation: str | None = None
    ) -> Grant:
        return Grant(
            user_id=UserId(user),
            amount=amount,
            reason="because",
            event_key=event or self.new_id(),
            staff_id=UserId("staff"),
            correlation_id=correlation or self.new_id(),
            at=self.clock.now(),
        )

    async def grant(self, user: str, amount: int = 100, *, event: str | None = None, key: str | None = None) -> Granted:
        command = self.grant_command(user, amount, event=event)
        return result((await self.grant_credits([self.keyed("staff", command, key, user, amount, event)]))[0])

    async def account(self, user: str) -> Account:
        key = AccountKey(UserId(user), "credits")
        return (await self.reads(lambda stores: stores.ledger.balances([key]))).get(key) or Account(*key)

    async def balance(self, user: str) -> int:
        return (await self.account(user)).balance

    async def entries(self, user: str, *, before: int | None = None, limit: int = 50) -> list[Entry]:
        """Return a page of a user's entries, newest first."""
        key = AccountKey(UserId(user), "credits")
        return await self.reads(lambda stores: stores.ledger.page(key, before=before, limit=limit))

    async def balance_and_amounts(self, user: str) -> tuple[int, list[int]]:
        """Return a balance and what made it, oldest first."""
        return await self.balance(user), [entry.amount for entry in reversed(await self.entries(user))]

    def reward(self, *, cost: int = 40, owner: str = "owner", reward_id: str | None = None) -> Reward:
        now = self.clock.now()
        return Reward(RewardId(reward_id or self.new_id()), UserId(owner), "a name", None, cost, True, now)

    async def a_reward(self, *, cost: int = 40, owner: str = "owner", active: bool = True) -> Reward:
        offered = result((await self.offer_rewards([Keyed(OfferReward(self.reward(cost=cost, owner=owner)))]))[0])
        return offered if active else await self.change(offered, active=False)

    async def change(
        self,
        reward: Reward,
        *,
        by: str | None = None,
        **changes: Any,
    ) -> Reward:
        changed = ChangeReward(UserId(by or reward.owner_id), reward.reward_id, **changes)
        return result((await self.offer_rewards([Keyed(changed)]))[0])

    def order(self, user: str, reward: Reward, *, order_id: str | None = None) -> Order:
        return Order(UserId(user), reward.reward_id, order_id or self.new_id(), "correlation", self.clock.now())

    async def purchase(
        self, user: str, reward: Reward, *, order_id: str | None = None, key: str | None = None
    ) -> Purchase:
        command = self.order(user, reward, order_id=order_id)
        return result((await self.purchase_rewards([self.keyed(user, command, key, reward.reward_id)]))[0])

    async def purchase_together(self, *orders: Order) -> list[object]:
        """Return the outcomes of orders that were decided in one batch."""
        return list(await self.purchase_rewards([Keyed(order) for order in orders]))

    async def order_batch(self, *orders: Order, key: str | None = None) -> BatchResult:
        request = [(order.user_id, order.reward_id) for order in orders]
        return result((await self.purchase_order_batches([self.keyed("staff", OrderBatch(orders), key, request)]))[0])

    async def rewards(self, *, before: RewardId | None = None, limit: int = 50) -> list[Reward]:
        return await self.reads(lambda stores: stores.rewards.page(before=before, limit=limit))

    async def collected(
        self, user: str, *, before: tuple[datetime, RewardId] | None = None, limit: int = 50
    ) -> list[Collected]:
        return await self.reads(lambda s: s.rewards.collected_by(UserId(user), before=before, limit=limit))
