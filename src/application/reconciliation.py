"""Reconciliation: differences between the code book and the legacy metadata, counted and repaired."""

from collections.abc import AsyncIterator, Callable, Sequence

import msgspec

from tallystick.application.legacy_metadata import adopt, mint_missing
from tallystick.application.minting import DrawCandidates
from tallystick.application.ports import Clock, Metrics, Randomness
from tallystick.application.reads import Reads, run_with_retries
from tallystick.application.transactions import Stores, Transactions
from tallystick.domain.users import UserId

PAGE_SIZE = 200


class MetadataDrift(msgspec.Struct, frozen=True):
    """Differences by kind."""

    users: int = 0
    """How many users were compared."""
    unadopted: int = 0
    """Imported codes that are not in the code book."""
    stale: int = 0
    """Mirrored codes that are no longer canonical."""
    missing: int = 0
    """Canonical codes that are not mirrored, of users for whom codes were imported."""
    orphaned: int = 0
    """Mirrored codes of deleted users."""
    failed: int = 0
    """Users of pages that failed in every attempt: they were not compared."""

    @property
    def total(self) -> int:
        """Return the number of differences."""
        return self.unadopted + self.stale + self.missing + self.orphaned

    def plus(self, other: "MetadataDrift") -> "MetadataDrift":
        """Return the sum of both."""
        mine, others = msgspec.structs.asdict(self), msgspec.structs.asdict(other)
        return MetadataDrift(**{kind: count + others[kind] for kind, count in mine.items()})


class ReconcileMetadata:
    """Compare code book and legacy metadata in pages of users; each page is repaired in its own transaction."""

    def __init__(
        self,
        transactions: Transactions,
        clock: Clock,
        randomness: Randomness,
        metrics: Metrics,
        draw_candidates: DrawCandidates,
    ) -> None:
        self._transactions, self._clock, self._metrics = transactions, clock, metrics
        self._draw_candidates = draw_candidates
        self._randomness, self._reads = randomness, Reads(transactions, randomness)

    async def pages(
        self,
        *,
        is_to_repair: bool,
        size: int = PAGE_SIZE,
        report_failure: Callable[[Exception], None] = lambda _failure: None,
    ) -> AsyncIterator[MetadataDrift]:
        """Yield the differences page by page; Overloaded where the next page cannot be read.

        A page that fails in every attempt is skipped, because it would block all later pages; `report_failure` gets the
        error.
        """
        last, left = UserId(""), 0
        while user_ids := await self._page(last, size):
            try:
                met, remaining = await self._page_drift(user_ids, is_to_repair=is_to_repair)
            except Exception as failure:  # noqa: BLE001  any error of one page: the other pages go on
                report_failure(failure)
                met, remaining = MetadataDrift(failed=len(user_ids)), 0
            self._metrics.count("legacy_drift_found", met.total, label="reconcile")
            last, left = user_ids[-1], left + remaining
            yield met
        self._metrics.gauge("legacy_drift", left)

    async def _page(self, after: UserId, limit: int) -> list[UserId]:
        return await self._reads(lambda stores: stores.mirror.users(after=after, limit=limit))

    async def _page_drift(self, user_ids: Sequence[UserId], *, is_to_repair: bool) -> tuple[MetadataDrift, int]:
        """Return the differences of a page, and the number that is left after a repair."""
        if is_to_repair:
            return await run_with_retries(lambda: self._repair(user_ids), self._randomness)
        met = await self._reads(lambda stores: _count(stores, user_ids))
        return met, met.total

    async def _repair(self, user_ids: Sequence[UserId]) -> tuple[MetadataDrift, int]:
        now = self._clock.now()
        async with self._transactions.begin() as stores:
            adopted = await adopt(stores, user_ids, now)
            await mint_missing(stores, adopted.values(), self._draw_candidates, now)
            await stores.users.lock(user_ids)
            drift = await _count(stores, user_ids)
            wrong = await stores.mirror.drift(user_ids)
            await stores.mirror.write([user_id for user_id, kind in wrong.items() if kind != "orphaned"], now)
            await stores.mirror.erase([user_id for user_id, kind in wrong.items() if kind == "orphaned"])
            left = await _count(stores, user_ids)
        return msgspec.structs.replace(drift, unadopted=len(adopted)), left.total


async def _count(stores: Stores, user_ids: Sequence[UserId]) -> MetadataDrift:
    claims = await stores.legacy.claims_of(user_ids)
    kinds = list((await stores.mirror.drift(user_ids)).values())
    return MetadataDrift(
        users=len(user_ids),
        unadopted=sum(map(len, claims.values())),
        stale=kinds.count("stale"),
        missing=kinds.count("missing"),
        orphaned=kinds.count("orphaned"),
    )
