"""Rewards: what users offer each other for credits, each collected once by each collector."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import NamedTuple, NewType, Protocol

import msgspec

from tallystick.domain.ledger import Account, Entry, Event
from tallystick.domain.refusals import Refusal
from tallystick.domain.users import UserId

RewardId = NewType("RewardId", str)

MAX_REWARD_NAME_LENGTH = 200
MAX_REWARD_DESCRIPTION_LENGTH = 2000


class RewardNotFound(Refusal):
    """There is no such reward, or it cannot be bought at the moment."""

    code = "REWARD_NOT_FOUND"

    def __init__(self) -> None:
        super().__init__("no reward with this id can be bought")


class SelfPurchase(Refusal):
    """The buyer owns this reward."""

    code = "SELF_PURCHASE"

    def __init__(self) -> None:
        super().__init__("one's own reward cannot be bought")


class AlreadyCollected(Refusal):
    """The buyer collected this reward before."""

    code = "ALREADY_COLLECTED"

    def __init__(self) -> None:
        super().__init__("this reward was collected already")


class NotYourReward(Refusal):
    """Another user owns this reward."""

    code = "NOT_YOUR_REWARD"

    def __init__(self) -> None:
        super().__init__("only its owner can change a reward")


class Reward(msgspec.Struct, frozen=True):
    """An offer that users buy with credits."""

    reward_id: RewardId
    owner_id: UserId
    name: str
    """The name of the reward."""
    description: str | None
    cost: int
    active: bool
    created_at: datetime


class CollectionKey(NamedTuple):
    """A user and a reward that they collected."""

    user_id: UserId
    reward_id: RewardId


class Collected(msgspec.Struct, frozen=True):
    """A reward that a user collected, at the price of that time."""

    user_id: UserId
    reward_id: RewardId
    cost: int
    balance_before: int
    balance_after: int
    order_id: str
    """The attempt that stored it: a retry after a lost connection recognises its own purchase."""
    collected_at: datetime


class Offer(msgspec.Struct, frozen=True):
    """The facts of a reward that decide a purchase."""

    reward_id: RewardId
    owner_id: UserId
    cost: int
    active: bool


class PurchaseContext(NamedTuple):
    """The rewards, earlier purchases and deleted buyers that decide a batch of purchases."""

    offers: dict[RewardId, Offer]
    """The rewards that exist, including inactive ones; a reward of a deleted owner is inactive."""
    collected: dict[CollectionKey, Collected]
    deleted: set[UserId]
    """The buyers who were deleted."""


class Rewards(Protocol):
    """Rewards by id, and their purchases."""

    async def add(self, reward: Reward) -> None:
        """Store a new reward; a reward that the same attempt stored before stays."""

    async def lock(self, reward_id: RewardId) -> Reward | None:
        """Lock and return a reward."""

    async def store(self, reward: Reward) -> None:
        """Replace a locked reward."""

    async def withdraw(self, owner_id: UserId, *, after: str, limit: int) -> str | None:
        """Deactivate the first rewards of a user after `after`, and drop their names and descriptions.

        Return the id of the last one, None where there are no more.
        """

    async def page(self, *, before: RewardId | None, limit: int) -> list[Reward]:
        """Return the newest active rewards with an id below `before`.

        Rewards of a deleted user are withdrawn in steps. Until then the page contains them, as inactive.
        """

    async def purchase_context(self, keys: Collection[CollectionKey]) -> PurchaseContext:
        """Return the context that decides these purchases."""

    async def sell(self, sales: Sequence[tuple[Collected, Entry]]) -> None:
        """Store purchases and the entries that pay for them, and update the locked accounts."""

    async def collected_by(
        self, user_id: UserId, *, before: tuple[datetime, RewardId] | None, limit: int
    ) -> list[Collected]:
        """Return the purchases of a user, newest first, before (collected at, reward id)."""


def purchase(
    reward: Offer | None,
    buyer: Account,
    kept: Collected | None,
    *,
    order_id: str,
    correlation_id: str,
    at: datetime,
) -> tuple[Collected, Entry | None]:
    """Decide a purchase; no entry where an earlier attempt of the same order stored one.

    The refusals, in their order: RewardNotFound, SelfPurchase, AlreadyCollected, InsufficientFunds.
    """
    if kept is not None and kept.order_id == order_id:
        return kept, None
    if reward is None or not reward.active:
        raise RewardNotFound
    if reward.owner_id == buyer.user_id:
        raise SelfPurchase
    if kept is not None:
        raise AlreadyCollected
    entry = buyer.post(-reward.cost, Event("purchase", reward.reward_id), correlation_id=correlation_id, at=at)
    collected = Collected(
        buyer.user_id, reward.reward_id, reward.cost, entry.balance_before, entry.balance_after, order_id, at
    )
    return collected, entry
