"""Legacy metadata, used: codes that only it knows are adopted by the code book, and it is shown what changed."""

from collections.abc import Collection
from datetime import datetime
from typing import Protocol

from application.ports import Clock, Metrics
from application.transactions import Stores, Transactions
from domain.codes import Code
from domain.flags import Flag, Flags
from domain.legacy_metadata import settle
from domain.users import UserId


class NoteCodes(Protocol):
    """Notes whose canonical code may have changed, after the commit; never waits and never fails."""

    def __call__(self, user_ids: Collection[UserId], /) -> None: ...


class AdoptCodes:
    """Store codes that only the legacy metadata knows in the code book, while the fallback is on.

    All codes of an owner come at once, so that the canonical one becomes canonical.
    """

    def __init__(self, transactions: Transactions, flags: Flags, clock: Clock, metrics: Metrics) -> None:
        self._transactions, self._flags, self._clock, self._metrics = transactions, flags, clock, metrics

    async def __call__(self, codes: Collection[Code]) -> None:
        if not codes or not self._flags.enabled(Flag.LEGACY_FALLBACK_ENABLED):
            return
        async with self._transactions.reading() as stores:
            claims = await stores.legacy.resolve(codes)
        if not claims:
            return
        async with self._transactions.begin() as stores:
            adopted = await adopt(stores, {claim.user_id for claim in claims.values()}, self._clock.now())
        self._metrics.count("legacy_drift_count", len(adopted & claims.keys()), label="referrals")


class MirrorMetadata:
    """Write the present canonical codes of users where readers of the legacy field see them."""

    def __init__(self, transactions: Transactions, clock: Clock) -> None:
        self._transactions, self._clock = transactions, clock

    async def __call__(self, user_ids: Collection[UserId]) -> None:
        async with self._transactions.begin() as stores:
            # Locked, so that what is read of them is still so when it is written.
            await stores.users.lock(user_ids)
            await stores.mirror.write(user_ids, self._clock.now())


async def adopt(stores: Stores, user_ids: Collection[UserId], at: datetime) -> set[Code]:
    """Store what these users are missing in the code book, and return it; nobody's canonical code changes.

    Runs are held before users are locked, and users before their codes are written.
    """
    await stores.legacy.hold()
    wanting = await stores.legacy.claims_of(user_ids)
    if not wanting:
        return set()
    users = await stores.users.lock(wanting)
    unseen = wanting.keys() - users.keys()
    if unseen:
        await stores.legacy.admit(unseen, at)
        await stores.users.lock(unseen)  # somebody else may have let them in meanwhile
    # Anew behind the locks: somebody else may have adopted them meanwhile, or deleted their user.
    claims = await stores.legacy.claims_of(wanting)
    held = await stores.codes.canonical(wanting)
    return await stores.legacy.adopt(
        [claim for user_id in claims for claim in settle(claims[user_id], has_canonical=user_id in held)]
    )
