"""The ledger in memory."""

from collections.abc import Collection, Sequence

from tallystick.adapters.memory.tables import ConstraintViolated, View
from tallystick.domain.ledger import MAX_BALANCE, Account, AccountKey, Entry, EventKey, Ledger


class MemoryLedger(Ledger):
    """The accounts and entries of a view."""

    def __init__(self, view: View) -> None:
        self._view = view

    async def open(self, keys: Collection[AccountKey]) -> None:
        self._view.require_writable()
        for key in keys:
            if key not in self._view.accounts:
                self._view.accounts.put(key, Account(*key))

    async def lock(self, keys: Collection[AccountKey]) -> dict[AccountKey, Account]:
        self._view.require_writable()
        held = await self.balances(keys)
        self._view.locked_accounts |= set(held)
        return held

    async def balances(self, keys: Collection[AccountKey]) -> dict[AccountKey, Account]:
        found = {key: self._view.accounts.get(key) for key in keys}
        return {key: account for key, account in found.items() if account is not None}

    async def made_by(self, events: Collection[EventKey]) -> dict[EventKey, Entry]:
        numbers = {event: self._view.events.get(event) for event in events}
        found = {e: self._view.entries.get((e.user_id, e.unit, seq)) for e, seq in numbers.items() if seq is not None}
        return {event: entry for event, entry in found.items() if entry is not None}

    async def grants(self, event_keys: Collection[str]) -> dict[str, Entry]:
        granted = {key: self._view.grants.get(key) for key in event_keys}
        found = {key: self._view.entries.get(row) for key, row in granted.items() if row is not None}
        return {key: entry for key, entry in found.items() if entry is not None}

    async def post(self, entries: Sequence[Entry]) -> None:
        self._view.require_writable()
        for entry in entries:
            key = AccountKey(entry.user_id, entry.unit)
            account = self._view.accounts.get(key)
            if account is None or key not in self._view.locked_accounts:
                raise ConstraintViolated("an entry was posted to an account that was not locked")
            self._check(entry, account)
            self._view.events.put(entry.event, entry.seq)
            if entry.event_type == "grant":
                self._view.grants.put(entry.event_key, (*key, entry.seq))
            self._view.entries.put((*key, entry.seq), entry)
            self._view.accounts.put(key, account.after(entry))

    def _check(self, entry: Entry, account: Account) -> None:
        if entry.event in self._view.events:
            raise ConstraintViolated("ledger_entries_event_key")
        if entry.event_type == "grant" and entry.event_key in self._view.grants:
            raise ConstraintViolated("ledger_entries_grant_key")
        if (entry.seq, entry.balance_before) != (account.version + 1, account.balance):
            raise ConstraintViolated("ledger_entries_pkey, or an entry that does not start where the last one ended")
        if entry.balance_after != entry.balance_before + entry.amount or not 0 <= entry.balance_after <= MAX_BALANCE:
            raise ConstraintViolated("ledger_entries_add_up or ledger_accounts_never_negative")
        of_points = (entry.lifetime_after, entry.tier_before, entry.tier_after, entry.tier_progress)
        if any((fact is None) != (entry.unit != "points") for fact in of_points):
            raise ConstraintViolated("ledger_entries_points_have_tiers")
        if entry.lifetime_after is not None and entry.lifetime_after != account.lifetime + max(entry.amount, 0):
            raise ConstraintViolated("lifetime points did not grow by the credited points")

    async def page(self, key: AccountKey, *, before: int | None, limit: int) -> list[Entry]:
        account = self._view.accounts.get(key)
        newest = account.version if account is not None else 0
        start = newest if before is None else min(newest, before - 1)
        page = [self._view.entries.get((*key, seq)) for seq in range(start, max(0, start - limit), -1)]
        return [entry for entry in page if entry is not None]
