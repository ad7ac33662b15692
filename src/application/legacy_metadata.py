"""Legacy metadata, used: codes that only it knows are adopted by the code book, and it is shown what changed."""

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
    """Notes whose canonical code may have changed, after the commit; never waits and never fails."""

    def __call__(self, user_ids: Collection[UserId], /) -> None: ...


class AdoptLegacyUsers:
    """Adopt for users who are about to be given a code, in their transaction, while the fallback is on.

    Whoever looks at their link before their run reaches them finds the code that they know.
    """

    def __init__(self, flags: Flags, metrics: Metrics) -> None:
        self._flags, self._metrics = flags, metrics

    async def __call__(
        self, stores: Stores, user_ids: Collection[UserId], at: datetime, *, beside: Collection[UserId] = ()
    ) -> Mapping[Code, UserId]:
        """Return what was adopted; to be asked for before users are locked, with those who are locked beside these."""
        if not user_ids or not self._flags.enabled(Flag.LEGACY_FALLBACK_ENABLED):
            return {}
        adopted = await adopt(stores, user_ids, at, beside=beside)
        self._metrics.count("legacy_drift_count", len(adopted), label="mints")
        return adopted


class AdoptCodes:
    """Store codes that only the legacy metadata knows in the code book, while the fallback is on.

    All codes of an owner come at once, so that the canonical one becomes canonical.
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
        self._metrics.count("legacy_drift_count", len(adopted.keys() & claims.keys()), label="referrals")


class MirrorMetadata:
    """Write the present canonical codes of users where readers of the legacy field see them."""

    def __init__(self, transactions: Transactions, clock: Clock) -> None:
        self._transactions, self._clock = transactions, clock

    async def __call__(self, user_ids: Collection[UserId]) -> None:
        async with self._transactions.begin() as stores:
            # Locked, so that what is read of them is still so when it is written.
            await stores.users.lock(user_ids)
            await stores.mirror.write(user_ids, self._clock.now())


async def adopt(
    stores: Stores, user_ids: Collection[UserId], at: datetime, *, beside: Collection[UserId] = ()
) -> dict[Code, UserId]:
    """Store what these users are missing in the code book, and return it; nobody's canonical code changes.

    Who lost their canonical code is left without one: it is for the caller to mint. Runs are held before users are
    locked, these and those beside them at once, and users before their codes are written.
    """
    wanting = await stores.legacy.claims_of(user_ids)
    if not wanting:
        return {}
    await stores.legacy.hold()
    # Before anybody is locked, as runs do it: of two who let users in, neither waits for what the other one locked.
    await stores.legacy.admit(wanting, at)
    await stores.users.lock({*user_ids, *beside})
    # Anew behind the locks: somebody else may have adopted them meanwhile, or deleted their user.
    claims = await stores.legacy.claims_of(wanting)
    held = await stores.codes.canonical(wanting)
    decided = [claim for user_id in claims for claim in decide_claims(claims[user_id], has_canonical=user_id in held)]
    stored = await stores.legacy.adopt(decided)
    return {claim.code: claim.user_id for claim in decided if claim.code in stored}


async def mint_missing(
    stores: Stores, user_ids: Iterable[UserId], draw_candidates: DrawCandidates, at: datetime
) -> None:
    """Give those of these locked, living users a code who have no canonical one; CodesExhausted where none is free."""
    asked = set(user_ids)
    if not asked:
        return
    held = await stores.codes.canonical(asked)
    minted = await mint(stores, {user_id: draw_candidates() for user_id in asked if user_id not in held}, at)
    for outcome in minted.values():
        if isinstance(outcome, Failure):
            raise outcome
