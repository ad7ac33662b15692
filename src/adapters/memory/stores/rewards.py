"""Rewards in memory."""

from collections.abc import Collection, Sequence
from datetime import datetime

import msgspec

from tallystick.adapters.memory.stores.ledger import MemoryLedger
from tallystick.adapters.memory.stores.users import MemoryUsers
from tallystick.adapters.memory.tables import ConstraintViolated, View
from tallystick.domain.dispositions import WITHDRAWN
from tallystick.domain.ledger import Entry
from tallystick.domain.rewards import Collected, CollectionKey, Offer, PurchaseContext, Reward, RewardId, Rewards
from tallystick.domain.users import UserId


class MemoryRewards(Rewards):
    """The rewards of a view, and the collected rewards."""

    def __init__(self, view: View) -> None:
        self._view = view

    async def add(self, reward: Reward) -> None:
        self._view.require_writable()
        if reward.reward_id not in self._view.rewards:
            self._view.rewards.put(reward.reward_id, reward)

    async def lock(self, reward_id: RewardId) -> Reward | None:
        self._view.require_writable()
        return self._view.rewards.get(reward_id)

    async def store(self, reward: Reward) -> None:
        self._view.require_writable()
        held = self._view.rewards.get(reward.reward_id)
        if held is None or (held.owner_id, held.created_at) != (reward.owner_id, reward.created_at):
            raise ConstraintViolated("a reward changed its owner or its time")
        self._view.rewards.put(reward.reward_id, reward)

    async def withdraw(self, owner_id: UserId, *, after: str, limit: int) -> str | None:
        self._view.require_writable()
        offered = [each for each in self._view.rewards.values() if each.owner_id == owner_id and each.reward_id > after]
        page = sorted(offered, key=lambda reward: reward.reward_id)[:limit]
        for reward in page:
            self._view.rewards.put(reward.reward_id, _withdrawn(reward))
        return page[-1].reward_id if len(page) == limit else None

    async def page(self, *, before: RewardId | None, limit: int) -> list[Reward]:
        on_offer = [
            reward
            for reward in self._view.rewards.values()
            if reward.active and (before is None or reward.reward_id < before)
        ]
        newest = sorted(on_offer, key=lambda reward: reward.reward_id, reverse=True)[:limit]
        return [_withdrawn(reward) if self._is_gone(reward.owner_id) else reward for reward in newest]

    async def purchase_context(self, keys: Collection[CollectionKey]) -> PurchaseContext:
        rewards = (self._view.rewards.get(key.reward_id) for key in keys)
        collected = {key: self._view.collected.get(key) for key in keys}
        return PurchaseContext(
            {each.reward_id: self._offer(each) for each in rewards if each is not None},
            {key: each for key, each in collected.items() if each is not None},
            await MemoryUsers(self._view).deleted({key.user_id for key in keys}),
        )

    def _offer(self, reward: Reward) -> Offer:
        is_active = reward.active and not self._is_gone(reward.owner_id)
        return Offer(reward.reward_id, reward.owner_id, reward.cost, is_active)

    def _is_gone(self, user_id: UserId) -> bool:
        user = self._view.users.get(user_id)
        return user is not None and user.deleted_at is not None

    async def sell(self, sales: Sequence[tuple[Collected, Entry]]) -> None:
        self._collect([collected for collected, _ in sales])
        await MemoryLedger(self._view).post([entry for _, entry in sales])

    def _collect(self, collected: Sequence[Collected]) -> None:
        self._view.require_writable()
        for each in collected:
            key = CollectionKey(each.user_id, each.reward_id)
            if key in self._view.collected:
                raise ConstraintViolated("collected_rewards_pkey")
            if each.reward_id not in self._view.rewards or each.balance_after != each.balance_before - each.cost:
                raise ConstraintViolated("collected_rewards_reward_fkey or collected_rewards_add_up")
            self._view.collected.put(key, each)

    async def collected_by(
        self, user_id: UserId, *, before: tuple[datetime, RewardId] | None, limit: int
    ) -> list[Collected]:
        own = [each for each in self._view.collected.values() if each.user_id == user_id]
        own.sort(key=_sort_key, reverse=True)
        return [each for each in own if before is None or _sort_key(each) < before][:limit]


def _withdrawn(reward: Reward) -> Reward:
    return msgspec.structs.replace(reward, name=WITHDRAWN, description=None, active=False)


def _sort_key(collected: Collected) -> tuple[datetime, RewardId]:
    return (collected.collected_at, collected.reward_id)
