"""Credits: granted by staff, once for each event."""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from tallystick.application.idempotency import AnswerOnce, IdempotencyMismatch, Keyed, Replayed
from tallystick.application.transactions import Stores, Transactions
from tallystick.domain.ledger import Account, AccountKey, Entry, Event
from tallystick.domain.refusals import Failure
from tallystick.domain.users import UserDeleted, UserId


class Grant(msgspec.Struct, frozen=True):
    """Give a user credits for an event; the same event key again is the same grant."""

    user_id: UserId
    amount: int
    reason: str
    event_key: str
    staff_id: UserId
    correlation_id: str
    at: datetime


class Granted(msgspec.Struct, frozen=True):
    """The entry of a grant; `is_repeated` where an earlier request stored it."""

    entry: Entry
    is_repeated: bool


class GrantCredits:
    """Post grants to accounts; each event key counts once across all users."""

    def __init__(self, transactions: Transactions, once: AnswerOnce) -> None:
        self._transactions, self._once = transactions, once

    async def __call__(self, grants: Sequence[Keyed[Grant]]) -> list[Granted | Failure | Replayed]:
        async with self._transactions.begin() as stores:
            return await self._once(stores, grants, lambda fresh: self._grant(stores, fresh))

    async def _grant(self, stores: Stores, grants: Sequence[Grant]) -> list[Granted | Failure]:
        deleted = await stores.users.deleted({grant.user_id for grant in grants})
        kept = await stores.ledger.grants({grant.event_key for grant in grants})
        new = [grant for grant in grants if grant.event_key not in kept and grant.user_id not in deleted]
        keys = {AccountKey(grant.user_id, "credits") for grant in new}
        await stores.ledger.open(keys)
        accounts = await stores.ledger.lock(keys)
        # Again after the locks: another transaction may have granted to the same user meanwhile.
        kept |= await stores.ledger.grants({grant.event_key for grant in new})
        posted: list[Entry] = []
        outcomes: list[Granted | Failure] = []
        for grant in grants:
            known = kept.get(grant.event_key)
            if known is not None:
                outcomes.append(_repeated(grant, known))
            elif grant.user_id in deleted:
                outcomes.append(UserDeleted())
            else:
                outcomes.append(_post(grant, accounts, kept, posted))
        await stores.ledger.post(posted)
        return outcomes


def _post(
    grant: Grant, accounts: dict[AccountKey, Account], kept: dict[str, Entry], posted: list[Entry]
) -> Granted | Failure:
    key = AccountKey(grant.user_id, "credits")
    try:
        entry = accounts[key].post(
            grant.amount,
            Event("grant", grant.event_key),
            correlation_id=grant.correlation_id,
            at=grant.at,
            reason=grant.reason,
            staff_id=grant.staff_id,
        )
    except Failure as failure:
        return failure
    accounts[key] = accounts[key].after(entry)
    kept[grant.event_key] = entry
    posted.append(entry)
    return Granted(entry, is_repeated=False)


def _repeated(grant: Grant, known: Entry) -> Granted | Failure:
    if (known.user_id, known.amount) != (grant.user_id, grant.amount):
        return IdempotencyMismatch("this event_key was used for another grant; a new grant needs a new event_key")
    # A retry after a lost commit finds its own entry, which no earlier request stored.
    is_own = (known.created_at, known.correlation_id) == (grant.at, grant.correlation_id)
    return Granted(known, is_repeated=not is_own)
