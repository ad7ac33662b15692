"""Rewards on PostgreSQL."""

from collections.abc import Collection, Sequence
from datetime import datetime

from adapters.postgres.database import Connection
from adapters.postgres.statements import Statements
from domain.rewards import Collected, CollectionKey, Reward, RewardId
from domain.users import UserId

_SQL = Statements.load("rewards")


class PostgresRewards:
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

    async def page(self, *, before: RewardId | None, limit: int) -> list[Reward]:
        if before is None:
            rows = await self._connection.fetch(_SQL.page, limit)
        else:
            rows = await self._connection.fetch(_SQL.page_before, before, limit)
        return [Reward(*row) for row in rows]

    async def on_the_desk(
        self, keys: Collection[CollectionKey]
    ) -> tuple[dict[RewardId, Reward], dict[CollectionKey, Collected]]:
        rows = await self._connection.fetch(
            _SQL.on_the_desk, [key.user_id for key in keys], [key.reward_id for key in keys]
        )
        rewards = {row[0]: Reward(*row[:7]) for row in rows}
        return rewards, {CollectionKey(row[7], row[8]): Collected(*row[7:]) for row in rows if row[7] is not None}

    async def collect(self, collected: Sequence[Collected]) -> None:
        await self._connection.execute(
            _SQL.collect,
            [each.user_id for each in collected],
            [each.reward_id for each in collected],
            [each.cost for each in collected],
            [each.balance_before for each in collected],
            [each.balance_after for each in collected],
            [each.order_id for each in collected],
            [each.collected_at for each in collected],
        )

    async def collected_by(
        self, user_id: UserId, *, before: tuple[datetime, RewardId] | None, limit: int
    ) -> list[Collected]:
        if before is None:
            rows = await self._connection.fetch(_SQL.collected_by, user_id, limit)
        else:
            rows = await self._connection.fetch(_SQL.collected_by_before, user_id, *before, limit)
        return [Collected(*row) for row in rows]
