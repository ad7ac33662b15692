"""The ledger: one account for each user and unit, and an entry for every change of it."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Literal, NamedTuple, Protocol, TypeAlias

import msgspec

from tallystick.domain.refusals import Refusal
from tallystick.domain.users import UserId

Unit = Literal["credits", "points"]
EventType: TypeAlias = str

OWN_EVENTS = frozenset({"backfill", "grant", "purchase", "rating_slip", "referral_signup", "manual_reward"}) | {
    "correction",
    "spend",
    "reversal",
    "refund",
}
"""Types of events that only one use case each may cause. Each type has a namespace of keys.

Spends, reversals and refunds are reserved: a batch that used these names would hide the real ones.
"""

MAX_AMOUNT = 1_000_000_000
"""The largest amount that one event credits or debits."""
MAX_BALANCE = 2**53 - 1
"""The largest integer that every JSON reader keeps exactly."""


class InsufficientFunds(Refusal):
    """The balance is smaller than the cost."""

    code = "INSUFFICIENT_FUNDS"
    balance: int
    cost: int
    """The price or amount that the balance cannot pay."""

    def __init__(self, *, balance: int, cost: int) -> None:
        super().__init__(f"{cost} credits are needed, {balance} are available")
        self.balance, self.cost = balance, cost


class BalanceLimitExceeded(Refusal):
    """The balance would be larger than an account can hold."""

    code = "BALANCE_LIMIT_EXCEEDED"

    def __init__(self) -> None:
        super().__init__(f"a balance can be at most {MAX_BALANCE}")


class AccountFrozen(Refusal):
    """Staff froze the account: nothing is credited to it or debited from it."""

    code = "ACCOUNT_FROZEN"
    unit: Unit
    """The unit of the account."""

    def __init__(self, unit: Unit) -> None:
        super().__init__(f"the account of {unit} is frozen")
        self.unit = unit


class AccountKey(NamedTuple):
    """The key of an account: each user has one in each unit."""

    user_id: UserId
    unit: Unit


class Event(NamedTuple):
    """The cause of an entry; one event counts once for each account."""

    type: EventType
    key: str


class EventKey(NamedTuple):
    """An event of an account."""

    user_id: UserId
    unit: Unit
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
    lifetime_after: int | None = None
    """Points only: the sum of all credits, including this entry."""
    tier_progress: int | None = None
    """Points only: whole percent of the way from the tier after this entry to the next one."""

    @property
    def event(self) -> EventKey:
        """The event that caused it."""
        return EventKey(self.user_id, self.unit, self.event_type, self.event_key)


class Account(msgspec.Struct, frozen=True):
    """A user's balance in one unit."""

    user_id: UserId
    unit: Unit
    balance: int = 0
    version: int = 0
    """The number of entries: the `seq` of the last one."""
    lifetime: int = 0
    """The sum of all points that were ever credited; it only grows. It stays 0 for credits."""
    updated_at: datetime | None = None
    """The time of the last entry."""
    frozen_at: datetime | None = None
    """The time since which nothing is posted to it."""

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
        """Return the entry of an event.

        AccountFrozen; InsufficientFunds or BalanceLimitExceeded where the balance would leave its range.
        """
        if self.frozen_at is not None:
            raise AccountFrozen(self.unit)
        after = self.balance + amount
        if after < 0:
            raise InsufficientFunds(balance=self.balance, cost=-amount)
        lifetime = self.lifetime + max(amount, 0) if self.unit == "points" else None
        if after > MAX_BALANCE or (lifetime is not None and lifetime > MAX_BALANCE):
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
            lifetime_after=lifetime,
        )

    def after(self, entry: Entry) -> "Account":
        """Return the account with an entry posted."""
        lifetime = entry.lifetime_after if entry.lifetime_after is not None else self.lifetime
        return Account(
            self.user_id, self.unit, entry.balance_after, entry.seq, lifetime, entry.created_at, self.frozen_at
        )


class Ledger(Protocol):
    """Accounts and their entries. Entries are never changed; an account changes only with an entry."""

    async def open(self, keys: Collection[AccountKey]) -> None:
        """Create the accounts that do not exist, with a balance of zero, so that an empty balance can be locked too."""

    async def lock(self, keys: Collection[AccountKey]) -> dict[AccountKey, Account]:
        """Lock and return the accounts that exist, in key order."""

    async def balances(self, keys: Collection[AccountKey]) -> dict[AccountKey, Account]:
        """Return the accounts that exist, without a lock."""

    async def made_by(self, events: Collection[EventKey]) -> dict[EventKey, Entry]:
        """Return the entries that these events caused."""

    async def grants(self, event_keys: Collection[str]) -> dict[str, Entry]:
        """Return the grants of credits with these event keys, for any user."""

    async def post(self, entries: Sequence[Entry]) -> None:
        """Store entries of locked accounts, in `seq` order, and update the accounts."""

    async def page(self, key: AccountKey, *, before: int | None, limit: int) -> list[Entry]:
        """Return the newest entries of an account, those with a `seq` below `before`."""
