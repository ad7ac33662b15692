"""Referrals: users, their profiles and their inviters, stored together."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

import msgspec
from msgspec import UNSET, UnsetType

from tallystick.application.idempotency import AnswerOnce, Keyed, Replayed
from tallystick.application.legacy_metadata import AdoptCodes
from tallystick.application.pending_accruals import ReferralsCredited, credit_referrals
from tallystick.application.points import Points
from tallystick.application.ports import Clock, Metrics
from tallystick.application.transactions import Stores, Transactions, WriteConflict
from tallystick.application.users import UserBatch, holders_of
from tallystick.domain.codes import Code
from tallystick.domain.identity import Verification
from tallystick.domain.loyalty import Earning
from tallystick.domain.referral_points import ReferralPoints
from tallystick.domain.referrals import (
    MAX_ATTEMPTS,
    MAX_RING,
    Attribution,
    AttributionAttempt,
    AttributionReason,
    AttributionRequest,
    Decision,
    Edge,
    attribute,
    living_owner,
    top_of_chain,
)
from tallystick.domain.refusals import Failure
from tallystick.domain.users import Profile, User, UserDeleted, UserId

_MAX_ROUNDS = 8
"""How often a batch reads the chains of inviters again, while other transactions extend them."""


class UserUpsert(msgspec.Struct, frozen=True):
    """A request with the profile that the user sent and the facts of their token."""

    request: AttributionRequest
    profile: Profile
    phone_verified: bool
    correlation_id: str


class UpsertResult(msgspec.Struct, frozen=True):
    """The state of a user after an upsert."""

    user_id: UserId
    otp_verified: bool
    attribution: Attribution
    attribution_reason: AttributionReason | UnsetType = UNSET
    """Why no inviter was recorded now; absent where one was recorded."""


class TopsNotLocked(Exception):
    """The transaction has to begin again, to lock the tops of chains of inviters in key order with the others."""

    def __init__(self, user_ids: set[UserId]) -> None:
        self.user_ids = user_ids


class AttributeReferrals:
    """Store users, their profiles and their inviters: the first committed inviter stays for ever.

    Profile, verification, edge and the points of the inviter are one transaction. Where the profile is refused, none of
    them is stored.
    """

    def __init__(
        self,
        transactions: Transactions,
        adopt: AdoptCodes,
        points: Points,
        clock: Clock,
        metrics: Metrics,
        once: AnswerOnce,
    ) -> None:
        self._transactions, self._adopt, self._points = transactions, adopt, points
        self._clock, self._metrics, self._once = clock, metrics, once

    async def __call__(self, upserts: Sequence[Keyed[UserUpsert]]) -> list[UpsertResult | Failure | Replayed]:
        # An edge names a code of the code book: codes that are only in the legacy metadata are adopted first.
        await self._adopt(_codes_of(keyed.command.request for keyed in upserts))
        tops: set[UserId] = set()
        for _ in range(_MAX_ROUNDS):
            try:
                return await self._attribute(upserts, tops)
            except TopsNotLocked as found:
                tops |= found.user_ids
        raise WriteConflict("other transactions kept adding inviters above the owners of these codes")

    async def _attribute(
        self, upserts: Sequence[Keyed[UserUpsert]], tops: set[UserId]
    ) -> list[UpsertResult | Failure | Replayed]:
        overwrites, credited = 0, ReferralsCredited()

        async def attribute_all(fresh: Sequence[UserUpsert]) -> list[UpsertResult | Failure]:
            nonlocal overwrites, credited
            now = self._clock.now()
            batch = await UpsertBatch.open(stores, fresh, self._points.referrals, tops, now)
            outcomes = [batch.decide(upsert) for upsert in fresh]
            await batch.record(stores)
            credited = await credit_referrals(
                stores, self._points, earned=batch.earnings, verified=batch.newly_verified, at=now
            )
            overwrites = batch.overwrites
            return outcomes

        async with self._transactions.begin() as stores:
            outcomes = await self._once(stores, upserts, attribute_all)
        self._metrics.count("attribution_overwrite_attempts", overwrites)
        credited.measure(self._metrics)
        return outcomes


class UpsertBatch:
    """The users, edges and verifications of a batch of upserts, kept current while the batch is decided."""

    def __init__(
        self,
        users_batch: UserBatch,
        owners: dict[Code, UserId],
        edges: dict[UserId, Edge],
        inviters: dict[UserId, UserId],
        verified: set[UserId],
        referral_points: ReferralPoints,
    ) -> None:
        self._users, self._owners, self._edges, self._verified = users_batch, owners, edges, verified
        self._inviters, self._referral_points = inviters, referral_points
        self._new_edges: list[Edge] = []
        self._new_verifications: list[Verification] = []
        self._attempts: dict[tuple[UserId, str, AttributionReason], AttributionAttempt] = {}
        self.earnings: list[Earning] = []
        """The earnings of the inviters from the new edges."""
        self.overwrites = 0

    @classmethod
    async def open(
        cls,
        stores: Stores,
        upserts: Sequence[UserUpsert],
        referral_points: ReferralPoints,
        tops: set[UserId],
        at: datetime,
    ) -> "UpsertBatch":
        """Lock the users, the owners of their codes and the users above these, in one order; load their edges."""
        requests = [upsert.request for upsert in upserts]
        codes = _codes_of(requests)
        entries = (await stores.codes.resolve(codes)).values() if codes else ()
        owners = {entry.code: entry.user_id for entry in entries}
        arriving = {request.user_id for request in requests}
        users = await stores.users.lock(arriving | set(owners.values()) | tops)
        # A user whose backfill is being rolled back owns no code any more.
        owners = {code: owner for code, owner in owners.items() if owner in users}
        # Edges are read after the locks: two users who name each other at the same time queue on their rows.
        edges = await stores.edges.find(arriving | users.keys())
        inviters = {edge.invitee_id: edge.inviter_id for edge in edges.values()}
        below = _owners_who_may_close_a_ring(requests, users, owners, edges)
        if below:
            inviters |= await stores.edges.inviters_above(below, steps=MAX_RING)
            _require_locked_tops(below, inviters, users)
        verified = await stores.verifications.verified(arriving)
        holders = await holders_of(stores, [upsert.profile for upsert in upserts])
        users_batch = UserBatch(users, holders, newcomers=arriving - users.keys(), at=at)
        return cls(users_batch, owners, edges, inviters, verified, referral_points)

    @property
    def newly_verified(self) -> list[UserId]:
        """The users whose phone was verified by this batch."""
        return [verification.user_id for verification in self._new_verifications]

    def decide(self, upsert: UserUpsert) -> UpsertResult | Failure:
        """Decide one upsert."""
        request = upsert.request
        user = self._users[request.user_id]
        if user.deleted_at is not None:
            return UserDeleted()
        refusal = self._users.refusal(user.user_id, upsert.profile)
        if refusal is not None:
            return refusal
        self._users.create(user.user_id)
        self._users.keep(user.merged_with(upsert.profile))
        if upsert.phone_verified and user.user_id not in self._verified:
            self._verified.add(user.user_id)
            self._new_verifications.append(Verification(user.user_id, "token", request.at))
        decision = self._attribute(upsert)
        reason = decision.reason if decision.reason is not None else UNSET
        return UpsertResult(user.user_id, user.user_id in self._verified, decision.attribution, reason)

    def _attribute(self, upsert: UserUpsert) -> Decision:
        request = upsert.request
        owners = {code: self._users[self._owners[code]] for code in _codes_of([request]) if code in self._owners}
        kept = self._edges.get(request.user_id)
        decision = attribute(request, owners=owners, kept=kept, inviters=self._inviters)
        self.overwrites += any(attempt.reason == "kept" for attempt in decision.attempts)
        self._attempts |= {(each.user_id, each.code_digest, each.reason): each for each in decision.attempts}
        edge = decision.edge
        if edge is not None:
            self._edges[edge.invitee_id] = edge
            self._inviters[edge.invitee_id] = edge.inviter_id
            self._new_edges.append(edge)
            inviter = self._users[edge.inviter_id]
            self._users.keep(msgspec.structs.replace(inviter, referrals=inviter.referrals + 1))
            earning = self._referral_points.earning_of(edge, upsert.correlation_id)
            if earning is not None:
                self.earnings.append(earning)
        return decision

    async def record(self, stores: Stores) -> None:
        """Store the decisions, with one statement for each table."""
        await self._users.store(stores)
        if self._new_verifications:
            await stores.verifications.record(self._new_verifications)
        if self._new_edges:
            await stores.edges.record(self._new_edges)
        if self._attempts:
            await stores.attempts.record(self._attempts.values(), keep=MAX_ATTEMPTS)


def _codes_of(requests: Iterable[AttributionRequest]) -> set[Code]:
    return {sent.code for request in requests for sent in request.codes if sent.code is not None}


def _owners_who_may_close_a_ring(
    requests: Sequence[AttributionRequest],
    users: Mapping[UserId, User],
    owners: Mapping[Code, UserId],
    edges: Mapping[UserId, Edge],
) -> set[UserId]:
    """Return the owners whose chains of inviters have to be read.

    An edge closes a ring only where its invitee has invitees. The row of a user without invitees is locked, so that
    only requests of this batch can name that user meanwhile.
    """
    named = set(owners.values())
    by_code = {code: users[owner] for code, owner in owners.items()}
    found = set[UserId]()
    for request in requests:
        user = users.get(request.user_id)
        has_invitees = (user is not None and user.referrals > 0) or request.user_id in named
        owner = next(filter(None, (living_owner(sent, by_code) for sent in request.codes)), None)
        if has_invitees and owner is not None and request.user_id not in edges:
            found.add(owner.user_id)
    return found


def _require_locked_tops(owners: set[UserId], inviters: Mapping[UserId, UserId], users: Mapping[UserId, User]) -> None:
    """Check that the top of the chain above each owner is locked; TopsNotLocked where one is not.

    A transaction that joins two chains locks the tops of both. Of several transactions that would close a ring
    together, the last one sees what the others stored.
    """
    tops = {top for owner in owners if (top := top_of_chain(owner, inviters)) is not None}
    if missing := tops - users.keys():
        raise TopsNotLocked(missing)
