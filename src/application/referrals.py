"""Arrivals: who came, what they told about themselves, and who invited them."""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from application.idempotency import AnswerOnce, Keyed, Replayed
from application.legacy_metadata import AdoptCodes
from application.pending_accruals import credit_or_wait
from application.points import Points
from application.ports import Clock, Metrics
from application.transactions import Stores, Transactions
from application.users import Roll, holders_of
from domain.codes import Code
from domain.identity import Verification
from domain.loyalty import Earning
from domain.referrals import Arrival, Attribution, Edge, ReferralPoints, attribute, earning_of, is_overwrite
from domain.refusals import Refusal
from domain.users import Profile, UserDeleted, UserId


class Introduction(msgspec.Struct, frozen=True):
    """An arrival with what the user tells about themselves and what their token says."""

    arrival: Arrival
    profile: Profile
    phone_verified: bool
    correlation_id: str


class Arrived(msgspec.Struct, frozen=True):
    """Where a user stands after an arrival."""

    user_id: UserId
    otp_verified: bool
    attribution: Attribution


class AttributeReferrals:
    """Store who came and who invited them: the first committed inviter stays for ever.

    Profile, verification, edge and the inviter's points are one transaction; a refused profile leaves nothing of them.
    """

    def __init__(
        self,
        transactions: Transactions,
        adopt: AdoptCodes,
        points: Points,
        referral_points: ReferralPoints,
        clock: Clock,
        metrics: Metrics,
        once: AnswerOnce,
    ) -> None:
        self._transactions, self._adopt = transactions, adopt
        self._points, self._referral_points = points, referral_points
        self._clock, self._metrics, self._once = clock, metrics, once

    async def __call__(self, introductions: Sequence[Keyed[Introduction]]) -> list[Arrived | Refusal | Replayed]:
        overwrites, credited, waiting = 0, 0, 0

        async def attribute_all(fresh: Sequence[Introduction]) -> list[Arrived | Refusal]:
            nonlocal overwrites, credited, waiting
            book = await _Book.open(stores, fresh, self._referral_points, self._clock.now())
            outcomes = [book.enter(introduction) for introduction in fresh]
            await book.record(stores)
            if book.earnings:
                credited, waiting = await credit_or_wait(stores, self._points, book.earnings)
            overwrites = book.overwrites
            return outcomes

        # An edge names a code of the code book: what only the legacy metadata knows is brought in first.
        await self._adopt({code for i in introductions if (code := i.command.arrival.referred_by) is not None})
        async with self._transactions.begin() as stores:
            outcomes = await self._once(stores, introductions, attribute_all)
        self._metrics.count("attribution_overwrite_attempts", overwrites)
        self._metrics.count("accrual_outcomes", credited, label="credited")
        self._metrics.count("accrual_outcomes", waiting, label="pending")
        return outcomes


class _Book:
    """Everything that a batch of introductions is decided on, kept current while it is decided."""

    def __init__(
        self,
        roll: Roll,
        owners: dict[Code, UserId],
        edges: dict[UserId, Edge],
        verified: set[UserId],
        referral_points: ReferralPoints,
    ) -> None:
        self._roll, self._owners, self._edges, self._verified = roll, owners, edges, verified
        self._referral_points = referral_points
        self._new_edges: list[Edge] = []
        self._new_verifications: list[Verification] = []
        self.earnings: list[Earning] = []
        """What the new edges earn their inviters."""
        self.overwrites = 0

    @classmethod
    async def open(
        cls, stores: Stores, introductions: Sequence[Introduction], referral_points: ReferralPoints, at: datetime
    ) -> "_Book":
        """Load and lock: the arrivals and the owners of the codes that they name, in one order."""
        arrivals = [introduction.arrival for introduction in introductions]
        codes = {arrival.referred_by for arrival in arrivals if arrival.referred_by is not None}
        entries = (await stores.codes.resolve(codes)).values() if codes else ()
        owners = {entry.code: entry.user_id for entry in entries}
        arriving = {arrival.user_id for arrival in arrivals}
        users = await stores.users.lock(arriving | set(owners.values()))
        # Whoever a backfill brought and is being taken back with it owns nothing any more.
        owners = {code: owner for code, owner in owners.items() if owner in users}
        # Edges are read after the locks: two users who name each other at once queue on their rows.
        edges = await stores.edges.find(arriving | users.keys())
        verified = await stores.verifications.verified(arriving)
        holders = await holders_of(stores, [introduction.profile for introduction in introductions])
        roll = Roll(users, holders, newcomers=arriving - users.keys(), at=at)
        return cls(roll, owners, edges, verified, referral_points)

    def enter(self, introduction: Introduction) -> Arrived | Refusal:
        """Decide one introduction."""
        arrival = introduction.arrival
        user = self._roll[arrival.user_id]
        if user.deleted_at is not None:
            return UserDeleted()
        refusal = self._roll.refusal(user.user_id, introduction.profile)
        if refusal is not None:
            return refusal
        self._roll.welcome(user.user_id)
        self._roll.keep(user.merged_with(introduction.profile))
        if introduction.phone_verified and user.user_id not in self._verified:
            self._verified.add(user.user_id)
            self._new_verifications.append(Verification(user.user_id, "token", arrival.at))
        return Arrived(user.user_id, user.user_id in self._verified, self._attribute(introduction))

    def _attribute(self, introduction: Introduction) -> Attribution:
        arrival = introduction.arrival
        owner_id = self._owners.get(arrival.referred_by) if arrival.referred_by is not None else None
        owner = self._roll[owner_id] if owner_id is not None else None
        self.overwrites += is_overwrite(self._edges.get(arrival.user_id), owner)
        attribution, edge = attribute(arrival, owner=owner, edges=self._edges)
        if edge is not None:
            self._edges[edge.invitee_id] = edge
            self._new_edges.append(edge)
            inviter = self._roll[edge.inviter_id]
            self._roll.keep(msgspec.structs.replace(inviter, referrals=inviter.referrals + 1))
            earning = earning_of(edge, self._referral_points, introduction.correlation_id)
            if earning is not None:
                self.earnings.append(earning)
        return attribution

    async def record(self, stores: Stores) -> None:
        """Store what was decided, one statement a table."""
        await self._roll.store(stores)
        if self._new_verifications:
            await stores.verifications.record(self._new_verifications)
        if self._new_edges:
            await stores.edges.record(self._new_edges)
