"""The ledger: one account for each user and unit, and every change of it, for ever."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Literal, NamedTuple, Protocol

import msgspec

from domain.refusals import Refusal
from domain.users import UserId

Unit = Literal["credits", "points"]
EventType = Literal["grant", "purchase"]

MAX_AMOUNT = 1_000_000_000
"""The most that one event gives or takes."""
MAX_BALANCE = 2**53 - 1
"""The largest integer that every JSON reader keeps exactly."""


class InsufficientFunds(Refusal):
    """More is wanted than is there."""

    code = "INSUFFICIENT_FUNDS"

    def __init__(self, *, balance: int, cost: int) -> None:
        super().__init__(f"{cost} credits are needed, {balance} are available")
        self.balance, self.cost = balance, cost


class BalanceLimitExceeded(Refusal):
    """The account would hold more than an account can."""

    code = "BALANCE_LIMIT_EXCEEDED"

    def __init__(self) -> None:
        super().__init__(f"a balance can be at most {MAX_BALANCE}")


class AccountKey(NamedTuple):
    """Which account: everybody has one in each unit."""

    user_id: UserId
    unit: Unit


class Event(NamedTuple):
    """What causes an entry, and which one of its kind; it counts once for each account."""

    type: EventType
    key: str


class Entry(msgspec.Struct, frozen=True):
    """One change of an account, append-only."""

    user_id: UserId
    unit: Unit
    seq: int
    amount: int
    balance_before: int
    balance_after: int
    event_type: EventType
    event_key: str
    reason: str | None
    staff_id: UserId | None
    tier_before: str | None
    tier_after: str | None
    correlation_id: str
    created_at: datetime


class Account(msgspec.Struct, frozen=True):
    """A user's balance in one unit."""

    user_id: UserId
    unit: Unit
    balance: int = 0
    version: int = 0
    """The number of entries: the `seq` of the last one."""

    def post(
        self,
        amount: int,
        event: Event,
        *,
        correlation_id: str,
        at: datetime,
        reason: str | None = None,
        staff_id: UserId | None = None,
    ) -> Entry:
        """Return the entry of an event; InsufficientFunds or BalanceLimitExceeded where the balance cannot bear it."""
        after = self.balance + amount
        if after < 0:
            raise InsufficientFunds(balance=self.balance, cost=-amount)
        if after > MAX_BALANCE:
            raise BalanceLimitExceeded
        return Entry(
            user_id=self.user_id,
            unit=self.unit,
            seq=self.version + 1,
            amount=amount,
            balance_before=self.balance,
            balance_after=after,
            event_type=event.type,
            event_key=event.key,
            reason=reason,
            staff_id=staff_id,
            tier_before=None,
            tier_after=None,
            correlation_id=correlation_id,
            created_at=at,
        )

    def after(self, entry: Entry) -> "Account":
        """Return the account with an entry posted."""
        return Account(self.user_id, self.unit, entry.balance_after, entry.seq)


class Ledger(Protocol):
    """Accounts and their entries. Entries are never changed, accounts only with an entry."""

    async def open(self, keys: Collection[AccountKey]) -> None:
        """Open those accounts at zero that never were, so that an empty balance can be locked too."""

    async def lock(self, keys: Collection[AccountKey]) -> dict[AccountKey, Account]:
        """Lock and return the accounts that exist, in key order."""

    async def balances(self, keys: Collection[AccountKey]) -> dict[AccountKey, Account]:
        """Return these accounts without a lock; those that never were are left out."""

    async def grants(self, event_keys: Collection[str]) -> dict[str, Entry]:
        """Return the grants of credits with these event keys, whoever got them."""

    async def post(self, entries: Sequence[Entry]) -> None:
        """Store entries of locked accounts, in `seq` order, and bring the accounts up to them."""

    async def page(self, key: AccountKey, *, before: int | None, limit: int) -> list[Entry]:
        """Return the newest entries of an account, those with a `seq` below `before`."""
