"""Identity events: users are created, changed and deleted as their provider reports."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Literal

import msgspec

from tallystick.application.erasures import EraseTraces, erase_single_rows
from tallystick.application.legacy_metadata import AdoptLegacyUsers, NoteCodes
from tallystick.application.minting import Minted, count_mints, mint, seconds_between
from tallystick.application.missing_codes import MissingCodes
from tallystick.application.pending_accruals import credit_referrals
from tallystick.application.points import Points
from tallystick.application.ports import Clock, Metrics
from tallystick.application.transactions import Stores, Transactions
from tallystick.application.users import UserBatch, holders_of, lock_or_create
from tallystick.domain.codes import Code
from tallystick.domain.identity import Verification
from tallystick.domain.identity_events import IdentityEvent, apply, carries_profile, is_out_of_order, yields_claim
from tallystick.domain.refusals import Failure
from tallystick.domain.users import UNIQUE_FIELDS, Profile, UserId

Receipt = Literal["processed", "duplicate"]


class DeliveredEvent(msgspec.Struct, frozen=True):
    """One delivery, with candidates for the code of its user."""

    event: IdentityEvent
    candidates: tuple[Code, ...]


class ReceiveIdentityEvents:
    """Apply each delivery of the identity provider once, with all of its effects in one transaction."""

    def __init__(
        self,
        transactions: Transactions,
        points: Points,
        clock: Clock,
        metrics: Metrics,
        adopt_users: AdoptLegacyUsers,
        mirror: NoteCodes,
        erase: EraseTraces,
        missing: MissingCodes,
    ) -> None:
        self._transactions, self._points, self._clock, self._metrics = transactions, points, clock, metrics
        self._adopt_users, self._mirror, self._erase = adopt_users, mirror, erase
        self._missing = missing

    async def __call__(self, deliveries: Sequence[DeliveredEvent]) -> list[Receipt]:
        now = self._clock.now()
        async with self._transactions.begin() as stores:
            new = await stores.deliveries.claim([delivery.event for delivery in deliveries])
            # A delivery that is in the batch twice is applied once.
            fresh = {
                delivery.event.delivery_id: delivery
                for delivery in reversed(deliveries)
                if delivery.event.delivery_id in new
            }
            batch = await EventBatch.open(
                stores, [delivery.event for delivery in fresh.values()], self._adopt_users, now
            )
            for delivery in deliveries:
                if fresh.get(delivery.event.delivery_id) is delivery:
                    batch.take(delivery)
            minted = await batch.record(stores, now)
            credited = await credit_referrals(stores, self._points, verified=batch.newly_verified, at=now)
        credited.measure(self._metrics)
        await self._erase.begin(batch.deleted(), now)
        self._mirror(minted)
        self._missing.answered([user_id for user_id, code in minted.items() if isinstance(code, Minted)])
        self._missing.answered(batch.deleted())
        events = [delivery.event for delivery in fresh.values()]
        self._measure(events, minted, out_of_order=batch.out_of_order, replays=len(deliveries) - len(fresh))
        return ["processed" if fresh.get(n.event.delivery_id) is n else "duplicate" for n in deliveries]

    def _measure(
        self,
        events: Sequence[IdentityEvent],
        minted: Mapping[UserId, Minted | Failure],
        *,
        out_of_order: int,
        replays: int,
    ) -> None:
        now = self._clock.now()
        self._metrics.count("webhook_replays", replays)
        self._metrics.count("webhook_out_of_order", out_of_order)
        created = [event for event in events if event.kind == "created" and event.user_id in minted]
        mints = [(event.user_id, event.received_at, minted[event.user_id]) for event in created]
        count_mints(self._metrics, mints, now)
        for event in events:
            self._metrics.observe("webhook_lag_seconds", seconds_between(event.received_at, now))
            self._metrics.observe("webhook_delivery_seconds", seconds_between(event.sent_at, event.received_at))


class EventBatch:
    """The users of a batch of events, kept current while the events are applied."""

    def __init__(self, users_batch: UserBatch, verified: set[UserId]) -> None:
        self._users, self._verified = users_batch, verified
        self._candidates: dict[UserId, tuple[Code, ...]] = {}
        self._new_verifications: list[Verification] = []
        self.out_of_order = 0

    @classmethod
    async def open(
        cls, stores: Stores, events: Sequence[IdentityEvent], adopt_users: AdoptLegacyUsers, at: datetime
    ) -> "EventBatch":
        """Lock and load the users of the events and the users who may lose a claim to them, in one order."""
        holders = await holders_of(stores, [event.profile for event in events])
        named = {event.user_id for event in events} | {holder.user_id for holder in holders}
        coming = {event.user_id for event in events if event.kind != "deleted"}
        await adopt_users(stores, coming, at, beside=named)
        users = await lock_or_create(stores, named, at)
        return cls(UserBatch(users, users.values(), at=at), await stores.verifications.verified(named))

    def take(self, delivery: DeliveredEvent) -> None:
        """Apply one event."""
        event, user = delivery.event, self._users[delivery.event.user_id]
        self.out_of_order += is_out_of_order(event, user)
        self._users.keep(apply(self._with_free_claims(event) if carries_profile(event, user) else event, user))
        if self._users[event.user_id].deleted_at is not None:
            self._candidates.pop(event.user_id, None)
            return
        self._candidates[event.user_id] = delivery.candidates
        if event.phone_confirmed and event.user_id not in self._verified:
            self._verified.add(event.user_id)
            self._new_verifications.append(Verification(event.user_id, "webhook", event.received_at))

    def _with_free_claims(self, event: IdentityEvent) -> IdentityEvent:
        """Return the event without the claims that other users keep; they lose the claims that it verifies."""
        for claim, holder_id in zip(UNIQUE_FIELDS, self._users.others(event.user_id, event.profile), strict=True):
            if holder_id is None:
                continue
            holder = self._users[holder_id]
            if yields_claim(holder, claim, event):
                self._users.keep(holder.merged_with(Profile(), clears={claim}))
            else:
                event = event.without(claim)
        return event

    @property
    def newly_verified(self) -> list[UserId]:
        """The users whose phone was verified by this batch."""
        return [verification.user_id for verification in self._new_verifications]

    def deleted(self) -> list[UserId]:
        """Return the users who were deleted by the events."""
        return self._users.deleted()

    async def record(self, stores: Stores, at: datetime) -> dict[UserId, Minted | Failure]:
        """Store the changes, and mint codes for users who were not deleted."""
        await self._users.store(stores)
        await erase_single_rows(stores, self._users.deleted(), at)
        if self._new_verifications:
            await stores.verifications.record(self._new_verifications)
        return await mint(stores, self._candidates, at)
