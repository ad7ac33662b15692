"""The store in memory, from the inside."""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from tallystick.adapters.memory.transactions import MemoryTransactions
from tallystick.domain.codes import Code
from tallystick.domain.ledger import Account, AccountKey
from tallystick.domain.legacy_metadata import Claim
from tallystick.domain.overlays import OverlaySessionId
from tallystick.domain.users import UserId
from tests.worlds.backend import Backend


class MemoryBackend(Backend):
    """Reads and writes the tables themselves."""

    def __init__(self, transactions: MemoryTransactions | None = None) -> None:
        self._transactions = transactions or MemoryTransactions()
        self._tables = self._transactions._tables

    @property
    def transactions(self) -> MemoryTransactions:
        return self._transactions

    async def stage(self, run: int, claims: Sequence[Claim], *, kept_by: UserId | None) -> None:
        self._tables.runs.setdefault(run, "applied")
        for claim in claims:
            self._tables.claims[run, claim.code, claim.user_id] = (claim, kept_by)

    async def put_run(self, run: int, state: str) -> None:
        self._tables.runs[run] = state

    async def run_of(self, code: str) -> int | None:
        return self._tables.imported.get(code)

    async def mirrored(self, user: UserId) -> Code | None:
        return (self._tables.mirrored.get(user) or (None,))[0]

    async def put_mirrored(self, user: UserId, code: Code, at: datetime) -> None:
        self._tables.mirrored[user] = (code, at)

    async def clicked(self) -> set[str]:
        return set(self._tables.clicked)

    async def reach_end(self, session: str) -> None:
        held = self._tables.overlays[OverlaySessionId(session)]
        self._tables.overlays[held.session_id] = msgspec.structs.replace(held, expires_at=self._transactions._now())

    async def freeze(self, account: AccountKey, at: datetime) -> None:
        accounts = self._tables.accounts
        if account.user_id in self._tables.users or any(each.user_id == account.user_id for each in accounts):
            found = accounts.get(account) or Account(*account)
            accounts[account] = msgspec.structs.replace(found, frozen_at=found.frozen_at or at)

    async def thaw(self, account: AccountKey) -> None:
        found = self._tables.accounts.get(account)
        if found is not None:
            self._tables.accounts[account] = msgspec.structs.replace(found, frozen_at=None)
