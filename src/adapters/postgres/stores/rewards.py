"""Rewards on PostgreSQL."""

from collections.abc import Collection, Sequence
from datetime import datetime

from tallystick.adapters.postgres.database import Connection
from tallystick.adapters.postgres.statements import Statements
from tallystick.adapters.postgres.stores.erasures import last_key
from tallystick.domain.dispositions import WITHDRAWN
from tallystick.domain.ledger import Entry
from tallystick.domain.rewards import Collected, CollectionKey, Offer, PurchaseContext, Reward, RewardId, Rewards
from tallystick.domain.users import UserId

_SQL = Statements.load("rewards")


class PostgresRewards(Rewards):
    """Rows of `rewards` and `collected_rewards`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def add(self, reward: Reward) -> None:
        await self._connection.execute(
            _SQL.add,
            reward.reward_id,
            reward.owner_id,
            reward.name,
            reward.description,
            reward.cost,
            reward.active,
            reward.created_at,
        )

    async def lock(self, reward_id: RewardId) -> Reward | None:
        row = await self._connection.fetchrow(_SQL.lock, reward_id)
        return Reward(*row) if row is not None else None

    async def store(self, reward: Reward) -> None:
        await self._connection.execute(
            _SQL.store, reward.reward_id, reward.name, reward.description, reward.cost, reward.active
        )

    async def withdraw(self, owner_id: UserId, *, after: str, limit: int) -> str | None:
        return last_key(await self._connection.fetchrow(_SQL.withdraw, owner_id, WITHDRAWN, after, limit), limit)

    async def page(self, *, before: RewardId | None, limit: int) -> list[Reward]:
        if before is None:
            rows = await self._connection.fetch(_SQL.page, limit)
        else:
            rows = await self._connection.fetch(_SQL.page_before, before, limit)
        return [Reward(*row) for row in rows]

    async def purchase_context(self, keys: Collection[CollectionKey]) -> PurchaseContext:
        rows = await self._connection.fetch(
            _SQL.purchase_context, [key.user_id for key in keys], [key.reward_id for key in keys]
        )
        offers: dict[RewardId, Offer] = {}
        collected: dict[CollectionKey, Collected] = {}
        deleted: set[UserId] = set()
        for buyer_id, is_deleted, reward_id, owner_id, cost, active, paid, before, after, order_id, at in rows:
            if is_deleted:
                deleted.add(buyer_id)
            if reward_id is not None:
                offers[reward_id] = Offer(reward_id, owner_id, cost, active)
            if order_id is not None:
                key = CollectionKey(buyer_id, reward_id)
                collected[key] = Collected(buyer_id, reward_id, paid, before, after, order_id, at)
        return PurchaseContext(offers, collected, deleted)

    async def sell(self, sales: Sequence[tuple[Collected, Entry]]) -> None:
        rows = [
            (
                each.user_id,
                each.reward_id,
                each.cost,
                each.balance_before,
                each.balance_after,
                each.order_id,
                each.collected_at,
                entry.seq,
                entry.correlation_id,
            )
            for each, entry in sales
        ]
        await self._connection.execute(_SQL.sell, *zip(*rows, strict=True))

    async def collected_by(
        self, user_id: UserId, *, before: tuple[datetime, RewardId] | None, limit: int
    ) -> list[Collected]:
        if before is None:
            rows = await self._connection.fetch(_SQL.collected_by, user_id, limit)
        else:
            rows = await self._connection.fetch(_SQL.collected_by_before, user_id, *before, limit)
        return [Collected(*row) for row in rows]
