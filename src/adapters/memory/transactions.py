"""Transactions in memory: one at a time, on drafts that an exception discards."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from contextvars import ContextVar
from datetime import datetime

from tallystick.adapters.memory.stores.attribution_attempts import MemoryAttributionAttempts
from tallystick.adapters.memory.stores.audit import MemoryAudit
from tallystick.adapters.memory.stores.channels import MemoryChannels
from tallystick.adapters.memory.stores.clicks import MemoryClickedCodes
from tallystick.adapters.memory.stores.codes import MemoryReferralCodes
from tallystick.adapters.memory.stores.directory import MemoryIdentityDirectory
from tallystick.adapters.memory.stores.erasures import MemoryErasures
from tallystick.adapters.memory.stores.exports import MemoryExports
from tallystick.adapters.memory.stores.flags import MemoryFlagBook
from tallystick.adapters.memory.stores.holdings import MemoryHoldings
from tallystick.adapters.memory.stores.idempotency import MemoryFingerprintKeys, MemoryIdempotencyKeys
from tallystick.adapters.memory.stores.identity import MemoryVerifications
from tallystick.adapters.memory.stores.identity_events import MemoryDeliveries
from tallystick.adapters.memory.stores.invariant_passes import MemoryInvariantPasses
from tallystick.adapters.memory.stores.invariants import MemoryInvariants
from tallystick.adapters.memory.stores.invites import MemoryInvites
from tallystick.adapters.memory.stores.ledger import MemoryLedger
from tallystick.adapters.memory.stores.legacy_metadata import MemoryLegacyMetadata
from tallystick.adapters.memory.stores.loyalty import MemoryPlayers
from tallystick.adapters.memory.stores.messages import MemoryMessages
from tallystick.adapters.memory.stores.metadata_mirror import MemoryMetadataMirror
from tallystick.adapters.memory.stores.overlays import MemoryOverlays
from tallystick.adapters.memory.stores.pending_accruals import MemoryPendingAccruals
from tallystick.adapters.memory.stores.rating_slips import MemoryRatingSlips
from tallystick.adapters.memory.stores.referrals import MemoryEdges, MemoryLeaderboard
from tallystick.adapters.memory.stores.rewards import MemoryRewards
from tallystick.adapters.memory.stores.schedules import MemorySchedules
from tallystick.adapters.memory.stores.schema_contract import MemorySchemaContract
from tallystick.adapters.memory.stores.sessions import MemorySessions
from tallystick.adapters.memory.stores.stage_rooms import MemoryStageRooms
from tallystick.adapters.memory.stores.topics import MemoryTopics
from tallystick.adapters.memory.stores.user_summaries import MemoryUserSummaries
from tallystick.adapters.memory.stores.users import MemoryUsers
from tallystick.adapters.memory.tables import Tables, View
from tallystick.adapters.system import SystemClock
from tallystick.application.transactions import Stores, Transactions

_INSIDE: ContextVar[bool] = ContextVar("inside a transaction in memory", default=False)


class MemoryTransactions(Transactions):
    """Opens transactions and reads on tables in memory."""

    def __init__(self, tables: Tables | None = None, *, now: Callable[[], datetime] | None = None) -> None:
        """`now` is the clock of the store, as PostgreSQL has one; by default, that of the machine."""
        self._tables = tables or Tables()
        self._now = now or SystemClock().now
        self._turn = asyncio.Lock()

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[Stores]:
        if _INSIDE.get():
            raise RuntimeError("a transaction was begun inside another one")
        async with self._turn:
            inside = _INSIDE.set(True)
            try:
                view = View(self._tables, self._now, writable=True)
                yield _stores(view)
                view.commit()
            finally:
                _INSIDE.reset(inside)

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[Stores]:
        yield _stores(View(self._tables, self._now, writable=False))

    def snapshot(self) -> AbstractAsyncContextManager[Stores]:
        return self.reading()


def _stores(view: View) -> Stores:
    return Stores(
        users=MemoryUsers(view),
        codes=MemoryReferralCodes(view),
        edges=MemoryEdges(view),
        attempts=MemoryAttributionAttempts(view),
        leaderboard=MemoryLeaderboard(view),
        verifications=MemoryVerifications(view),
        user_summaries=MemoryUserSummaries(view),
        deliveries=MemoryDeliveries(view),
        idempotency=MemoryIdempotencyKeys(view),
        fingerprint_keys=MemoryFingerprintKeys(view),
        invariants=MemoryInvariants(view),
        passes=MemoryInvariantPasses(view),
        ledger=MemoryLedger(view),
        players=MemoryPlayers(view),
        slips=MemoryRatingSlips(view),
        pending=MemoryPendingAccruals(view),
        audit=MemoryAudit(view),
        exports=MemoryExports(view),
        erasures=MemoryErasures(view),
        holdings=MemoryHoldings(view),
        rewards=MemoryRewards(view),
        invites=MemoryInvites(view),
        topics=MemoryTopics(view),
        channels=MemoryChannels(view),
        messages=MemoryMessages(view),
        stage_rooms=MemoryStageRooms(view),
        overlays=MemoryOverlays(view),
        contract=MemorySchemaContract(),
        sessions=MemorySessions(view),
        directory=MemoryIdentityDirectory(view),
        flags=MemoryFlagBook(view),
        legacy=MemoryLegacyMetadata(view),
        mirror=MemoryMetadataMirror(view),
        clicks=MemoryClickedCodes(view),
        schedules=MemorySchedules(view),
    )
