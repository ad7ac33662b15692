"""Pending accruals: points that cannot be credited yet are stored, and credited later."""

import asyncio
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

import msgspec

from tallystick.application.group_commit import Single
from tallystick.application.idempotency import AnswerOnce, Keyed, Replayed
from tallystick.application.points import Accrued, Points, PointsBatch
from tallystick.application.ports import Clock, Metrics
from tallystick.application.transactions import Stores, Transactions
from tallystick.domain.ledger import EventKey
from tallystick.domain.loyalty import Earning, receipt
from tallystick.domain.pending_accruals import AccrualNotFound, AccrualPending, PendingAccrual, wait
from tallystick.domain.rating_slips import Slip, SlipId
from tallystick.domain.referral_points import referral_event
from tallystick.domain.refusals import Failure, Incomplete
from tallystick.domain.users import UserId

SWEEP_PAUSE = timedelta(seconds=55)
"""An accrual that was tried within this time is skipped: it is due in the next round."""
BATCH_ROWS = 100
MAX_BATCHES = 10


class Recovery(msgspec.Struct, frozen=True):
    """Credit the pending accrual of an event."""

    event: EventKey
    at: datetime


class RecoverAccruals:
    """Finish pending accruals under the keys of their events; safe to repeat."""

    def __init__(self, transactions: Transactions, points: Points, metrics: Metrics, once: AnswerOnce) -> None:
        self._transactions, self._points, self._metrics, self._once = transactions, points, metrics, once

    async def __call__(self, recoveries: Sequence[Keyed[Recovery]]) -> list[Accrued | Failure | Replayed]:
        async with self._transactions.begin() as stores:
            outcomes = await self._once(stores, recoveries, lambda fresh: self._recover(stores, fresh))
        count_recoveries(self._metrics, outcomes)
        return outcomes

    async def _recover(self, stores: Stores, recoveries: Sequence[Recovery]) -> list[Accrued | Failure]:
        events = {recovery.event for recovery in recoveries}
        points = await self._points.batch(stores, {event.user_id for event in events})
        batch = await PendingBatch.open(stores, points, events)
        await points.load_entries(stores, [event for event in events if not batch.holds(event)])
        referrals = [(r.event, r.at) for r in recoveries if r.event.type == "referral_signup" and batch.holds(r.event)]
        await points.prepare_referrals(stores, referrals)
        outcomes = [batch.recover(recovery.event, recovery.at) for recovery in recoveries]
        await batch.record(stores)
        return outcomes


class SweepAccruals:
    """Retry pending accruals: a bounded number in a round, each at most once in a round, on any instance."""

    def __init__(
        self, transactions: Transactions, recover: Single[Keyed[Recovery], Accrued], points: Points, clock: Clock
    ) -> None:
        self._transactions, self._recover, self._points, self._clock = transactions, recover, points, clock

    async def __call__(self) -> list[tuple[PendingAccrual, Accrued | BaseException]]:
        """Return the accruals that were tried, with their outcomes."""
        swept: list[tuple[PendingAccrual, Accrued | BaseException]] = []
        needs_phone = self._points.referrals.need == "phone"
        for _ in range(MAX_BATCHES if self._points.are_on else 0):
            now = self._clock.now()
            async with self._transactions.begin() as stores:
                due = await stores.pending.take_due(
                    before=now - SWEEP_PAUSE, at=now, limit=BATCH_ROWS, needs_phone=needs_phone
                )
            # Each is a command of the group commit: one that fails for an unforeseen reason fails alone.
            tried = (self._recover(Keyed(Recovery(pending.event, now))) for pending in due)
            swept += zip(due, await asyncio.gather(*tried, return_exceptions=True), strict=True)
            if len(due) < BATCH_ROWS:
                break
        return swept


class PendingBatch:
    """Locked pending accruals and their slips. Locks are taken after the accounts: slips first, then accruals."""

    def __init__(self, points: PointsBatch, slips: dict[SlipId, Slip], waiting: dict[EventKey, PendingAccrual]) -> None:
        self._points, self._slips, self._waiting = points, slips, waiting
        self._changed: dict[SlipId, Slip] = {}
        self._begun: dict[EventKey, PendingAccrual] = {}
        self._tried: dict[EventKey, PendingAccrual] = {}
        self._done: set[EventKey] = set()

    @classmethod
    async def open(cls, stores: Stores, points: PointsBatch, events: Collection[EventKey]) -> "PendingBatch":
        """Lock the slips of these events, and then their pending accruals."""
        slip_ids = {SlipId(event.key) for event in events if event.type == "rating_slip"}
        slips = await stores.slips.lock(slip_ids) if slip_ids else {}
        return cls(points, slips, await stores.pending.lock(events) if events else {})

    def slip(self, slip_id: SlipId) -> Slip | None:
        """Return a locked slip."""
        return self._slips.get(slip_id)

    def keep(self, slip: Slip) -> None:
        """Replace a locked slip."""
        self._slips[slip.slip_id] = self._changed[slip.slip_id] = slip

    def holds(self, event: EventKey) -> bool:
        """Return whether the points of an event are pending."""
        return event in self._waiting

    def begin(self, earning: Earning, failure: Failure) -> None:
        """Keep an earning as a pending accrual, because of a failure."""
        self._waiting[earning.key] = self._begun[earning.key] = wait(earning, failure)

    def recover(self, event: EventKey, at: datetime) -> Accrued | Failure:
        """Credit the pending accrual of an event; return the first accrual where it was credited before."""
        pending = self._waiting.get(event)
        if pending is None:
            made = self._points.entry(event)
            # A retry after a lost commit finds its own entry.
            is_hit = made is not None and (event in self._done or made.created_at != at)
            return Accrued(receipt(made), is_repeated=is_hit) if made is not None else AccrualNotFound()
        try:
            accrued = self._points.credit(pending.earning(at))
        except Failure as failure:
            tried = self._waiting[event] = self._tried[event] = pending.tried(failure, at)
            return AccrualPending(tried.cause, tried.correlation_id)
        del self._waiting[event]
        self._done.add(event)
        slip = self._slips.get(SlipId(event.key)) if event.type == "rating_slip" else None
        if slip is not None:
            self.keep(msgspec.structs.replace(slip, state="closed"))
        return accrued

    async def record(self, stores: Stores) -> None:
        """Store the decisions, with one statement for each table."""
        await self._points.record(stores)
        if self._changed:
            await stores.slips.store(list(self._changed.values()))
        if self._begun:
            await stores.pending.add(list(self._begun.values()))
        tried = [pending for event, pending in self._tried.items() if event not in self._done]
        if tried:
            await stores.pending.store(tried)
        if self._done:
            await stores.pending.remove(self._done)


class ReferralsCredited(NamedTuple):
    """How many referrals a transaction credited now, made pending, and credited after they had been pending."""

    credited: int = 0
    waiting: int = 0
    recovered: int = 0

    def measure(self, metrics: Metrics) -> None:
        """Count them in the metrics, after the commit."""
        metrics.count("accrual_outcomes", self.credited, label="credited")
        metrics.count("accrual_outcomes", self.waiting, label="pending")
        metrics.count("accrual_outcomes", self.recovered, label="recovered")


async def credit_referrals(
    stores: Stores, points: Points, *, earned: Sequence[Earning] = (), verified: Collection[UserId] = (), at: datetime
) -> ReferralsCredited:
    """Credit the earnings of new edges; those that cannot be credited now become pending accruals.

    `verified` are invitees whose phone was verified in this transaction: pending accruals for them are credited too.
    """
    new = {earning.key for earning in earned}
    edges = await stores.edges.find(verified) if verified and points.referrals.need == "phone" else {}
    waiting = sorted({referral_event(edge) for edge in edges.values()} - new)
    if not earned and not waiting:
        return ReferralsCredited()
    points_batch = await points.batch(stores, {event.user_id for event in (*new, *waiting)})
    batch = await PendingBatch.open(stores, points_batch, waiting)
    times = [(earning.key, earning.at) for earning in earned] + [(event, at) for event in waiting]
    await points_batch.prepare_referrals(stores, times)
    recovered = sum(isinstance(batch.recover(event, at), Accrued) for event in waiting if batch.holds(event))
    refused = 0
    for earning in earned:
        try:
            points_batch.credit(earning)
        except Failure as failure:
            batch.begin(earning, failure)
            refused += 1
    await batch.record(stores)
    return ReferralsCredited(len(earned) - refused, refused, recovered)


def count_recoveries(metrics: Metrics, outcomes: Sequence[object]) -> None:
    """Count the outcomes of a committed batch of recoveries."""
    for outcome in outcomes:
        if isinstance(outcome, Accrued):
            metrics.count("accrual_outcomes", label="repeated" if outcome.is_repeated else "recovered")
        elif isinstance(outcome, Incomplete):
            metrics.count("accrual_outcomes", label="pending")
