"""Moving in over one backend: imported codes, mirrored codes, and the use cases about both."""

from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec

from tallystick.application.clicks import Clicks
from tallystick.application.legacy_metadata import AdoptCodes, AdoptLegacyUsers, MirrorMetadata
from tallystick.application.reconciliation import MetadataDrift, ReconcileMetadata
from tallystick.domain.codes import CROCKFORD, Code, draw_candidates
from tallystick.domain.flags import Flag
from tallystick.domain.legacy_metadata import Claim
from tallystick.domain.users import UserId
from tallystick.entrypoints.worker.mirror import MirrorLater
from tests.worlds.backend import Backend
from tests.worlds.loyalty import LoyaltyWorld

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


class LegacyWorld(LoyaltyWorld):
    """The stores of a migration, beside the permanent ones."""

    def __init__(self, backend: Backend, *, seed: int = 0, alphabet: str = CROCKFORD, length: int = 8) -> None:
        super().__init__(backend, seed=seed)
        transactions = backend.transactions
        self.alphabet, self.length = alphabet, length
        self.adopt_codes = AdoptCodes(transactions, self.flags, self.clock, self.metrics, self.candidates)
        self.adopt_legacy_users = AdoptLegacyUsers(self.flags, self.metrics)
        self.mirroring = MirrorLater(MirrorMetadata(transactions, self.clock), self.flags, self.metrics)
        self.reconcile_metadata = ReconcileMetadata(
            transactions, self.clock, self.randomness, self.metrics, self.candidates
        )
        self.clicks = Clicks(transactions, self.clock, self.metrics)

    def candidates(self) -> tuple[Code, ...]:
        return draw_candidates(self.randomness.bytes, alphabet=self.alphabet, length=self.length)

    def fall_back(self, *, on: bool = True) -> None:
        self.flags.switch(Flag.LEGACY_FALLBACK_ENABLED, enabled=on)

    async def imported(
        self, user: str, *codes: str, aliases: Sequence[str] = (), lost_to: str | None = None, run: int = 1
    ) -> None:
        """Stage a user of a run with their codes, the first ones canonical; the run is applied unless it is there."""
        claims = [Claim(Code(code), UserId(user), code in codes, LONG_AGO, run) for code in (*codes, *aliases)]
        await self.backend.stage(run, claims, kept_by=UserId(lost_to) if lost_to else None)

    async def run_is(self, state: str, *, run: int = 1) -> None:
        """Let a run be in a state."""
        await self.backend.put_run(run, state)

    async def mirrored(self, user: str) -> Code | None:
        """Return what readers of the legacy field are shown, when everything that waits is written."""
        await self.mirroring.close(grace_seconds=10)
        return await self.backend.mirrored(UserId(user))

    async def mirrors(self, user: str, code: str) -> None:
        """Let the legacy field show a code, right or wrong."""
        await self.backend.put_mirrored(UserId(user), Code(code), LONG_AGO)

    async def brought_by(self, code: str) -> int | None:
        """Return which run wrote a code."""
        return await self.backend.run_of(code)

    async def clicked(self) -> set[str]:
        """Return the codes whose clicks are stored."""
        return await self.backend.clicked()

    async def reconcile(self, *, repair: bool, size: int = 2) -> MetadataDrift:
        """Go through all pages and return what differed."""
        found = MetadataDrift()
        async for drift in self.reconcile_metadata.pages(is_to_repair=repair, size=size):
            found = found.plus(drift)
        return found

    async def drift(self) -> dict[str, int]:
        """Return what differs now, by kind, without what does not."""
        kinds = msgspec.structs.asdict(await self.reconcile(repair=False))
        return {kind: count for kind, count in kinds.items() if count and kind != "users"}
