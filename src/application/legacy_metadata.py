"""Use of legacy metadata: the code book adopts imported codes that it lacks, and changed codes are mirrored."""

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Protocol

from tallystick.application.minting import DrawCandidates, mint
from tallystick.application.ports import Clock, Metrics
from tallystick.application.transactions import Stores, Transactions
from tallystick.domain.codes import Code
from tallystick.domain.flags import Flag, Flags
from tallystick.domain.legacy_metadata import decide_claims
from tallystick.domain.refusals import Failure
from tallystick.domain.users import UserId


class NoteCodes(Protocol):
    """Notes the users whose canonical code may have changed, after the commit; never waits and never fails."""

    def __call__(self, user_ids: Collection[UserId], /) -> None: ...


class AdoptLegacyUsers:
    """Adopt the imported codes of users who are about to get a code, in their transaction, while the fallback is on.

    A user who asks for their link before the run has written them finds the code that they know.
    """

    def __init__(self, flags: Flags, metrics: Metrics) -> None:
        self._flags, self._metrics = flags, metrics

    async def __call__(
        self, stores: Stores, user_ids: Collection[UserId], at: datetime, *, beside: Collection[UserId] = ()
    ) -> Mapping[Code, UserId]:
        """Return the adopted codes. Call it before users are locked; `beside` are the other users to be locked."""
        if not user_ids or not self._flags.enabled(Flag.LEGACY_FALLBACK_ENABLED):
            return {}
        adopted = await adopt(stores, user_ids, at, beside=beside)
        self._metrics.count("legacy_drift_found", len(adopted), label="mints")
        return adopted


class AdoptCodes:
    """Store codes that only the legacy metadata has in the code book, while the fallback is on.

    All codes of a user are adopted together, so that their canonical code stays canonical.
    """

    def __init__(
        self, transactions: Transactions, flags: Flags, clock: Clock, metrics: Metrics, draw_candidates: DrawCandidates
    ) -> None:
        self._transactions, self._flags, self._clock, self._metrics = transactions, flags, clock, metrics
        self._draw_candidates = draw_candidates

    async def __call__(self, codes: Collection[Code]) -> None:
        if not codes or not self._flags.enabled(Flag.LEGACY_FALLBACK_ENABLED):
            return
        async with self._transactions.reading() as stores:
            claims = await stores.legacy.resolve(codes)
        if not claims:
            return
        async with self._transactions.begin() as stores:
            now = self._clock.now()
            adopted = await adopt(stores, {claim.user_id for claim in claims.values()}, now)
            await mint_missing(stores, adopted.values(), self._draw_candidates, now)
        self._metrics.count("legacy_drift_found", len(adopted.keys() & claims.keys()), label="referrals")


class MirrorMetadata:
    """Mirror the present canonical codes of users for readers of the legacy field."""

    def __init__(self, transactions: Transactions, clock: Clock) -> None:
        self._transactions, self._clock = transactions, clock

    async def __call__(self, user_ids: Collection[UserId]) -> None:
        async with self._transactions.begin() as stores:
            # The locks keep the codes from changing between the read and the write.
            await stores.users.lock(user_ids)
            await stores.mirror.write(user_ids, self._clock.now())


async def adopt(
    stores: Stores, user_ids: Collection[UserId], at: datetime, *, beside: Collection[UserId] = ()
) -> dict[Code, UserId]:
    """Store the claims of these users that the code book lacks, and return them; no canonical code changes.

    A user whose canonical code is another user's stays without one: the caller mints. Locks are taken in the order of
    runs, users (these and those beside them at once), codes.
    """
    wanting = await stores.legacy.claims_of(user_ids)
    if not wanting:
        return {}
    await stores.legacy.hold()
    # Before users are locked, in the order of a run, so that two transactions that create users do not deadlock.
    await stores.legacy.admit(wanting, at)
    await stores.users.lock({*user_ids, *beside})
    # Read again behind the locks: another transaction may have adopted the codes or deleted their user.
    claims = await stores.legacy.claims_of(wanting)
    held = await stores.codes.canonical(wanting)
    decided = [claim for user_id in claims for claim in decide_claims(claims[user_id], has_canonical=user_id in held)]
    stored = await stores.legacy.adopt(decided)
    return {claim.code: claim.user_id for claim in decided if claim.code in stored}


async def mint_missing(
    stores: Stores, user_ids: Iterable[UserId], draw_candidates: DrawCandidates, at: datetime
) -> None:
    """Mint for the locked, living users among these without a canonical code; CodesExhausted where no code is free."""
    asked = set(user_ids)
    if not asked:
        return
    held = await stores.codes.canonical(asked)
    minted = await mint(stores, {user_id: draw_candidates() for user_id in asked if user_id not in held}, at)
    for outcome in minted.values():
        if isinstance(outcome, Failure):
            raise outcome
