"""The ledger on PostgreSQL."""

from collections.abc import Collection, Sequence

import asyncpg

from tallystick.adapters.postgres.database import Connection
from tallystick.adapters.postgres.statements import Statements
from tallystick.domain.ledger import Account, AccountKey, Entry, EventKey, Ledger

_SQL = Statements.load("ledger")


class PostgresLedger(Ledger):
    """Rows of `ledger_accounts` and `ledger_entries`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def open(self, keys: Collection[AccountKey]) -> None:
        await self._connection.execute(_SQL.open, *_columns(keys, 2))

    async def lock(self, keys: Collection[AccountKey]) -> dict[AccountKey, Account]:
        return _by_key(await self._connection.fetch(_SQL.lock, *_columns(keys, 2)))

    async def balances(self, keys: Collection[AccountKey]) -> dict[AccountKey, Account]:
        return _by_key(await self._connection.fetch(_SQL.balances, *_columns(keys, 2)))

    async def made_by(self, events: Collection[EventKey]) -> dict[EventKey, Entry]:
        entries = [Entry(*row) for row in await self._connection.fetch(_SQL.made_by, *_columns(events, 4))]
        return {entry.event: entry for entry in entries}

    async def grants(self, event_keys: Collection[str]) -> dict[str, Entry]:
        rows = await self._connection.fetch(_SQL.grants, list(event_keys))
        return {row["event_key"]: Entry(*row) for row in rows}

    async def post(self, entries: Sequence[Entry]) -> None:
        if not entries:
            return
        rows = [
            (
                entry.user_id,
                entry.unit,
                entry.seq,
                entry.amount,
                entry.balance_before,
                entry.balance_after,
                entry.event_type,
                entry.event_key,
                entry.reason,
                entry.staff_id,
                entry.tier_before,
                entry.tier_after,
                entry.correlation_id,
                entry.created_at,
                entry.lifetime_after,
                entry.tier_progress,
            )
            for entry in entries
        ]
        last = {(entry.user_id, entry.unit): entry for entry in entries}
        accounts = [
            (*key, entry.balance_after, entry.seq, entry.lifetime_after or 0, entry.created_at)
            for key, entry in last.items()
        ]
        await self._connection.execute(_SQL.post, *_columns(rows, 16), *_columns(accounts, 6))

    async def page(self, key: AccountKey, *, before: int | None, limit: int) -> list[Entry]:
        if before is None:
            rows = await self._connection.fetch(_SQL.page, *key, limit)
        else:
            rows = await self._connection.fetch(_SQL.page_before, *key, before, limit)
        return [Entry(*row) for row in rows]


def _columns(rows: Collection[Sequence[object]], width: int) -> list[Sequence[object]]:
    """Return the columns of rows as arrays, for `unnest`."""
    return list(zip(*rows, strict=True)) if rows else [()] * width


def _by_key(rows: Sequence[asyncpg.Record]) -> dict[AccountKey, Account]:
    accounts: dict[AccountKey, Account] = {}
    for row in rows:
        account = Account(*row)
        accounts[AccountKey(account.user_id, account.unit)] = account
    return accounts
