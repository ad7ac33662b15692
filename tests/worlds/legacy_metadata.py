"""Moving in over one backend: what was imported, what is mirrored, and what is done about it."""

from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec

from tallystick.adapters.memory.transactions import MemoryTransactions
from tallystick.adapters.postgres.database import Database
from tallystick.adapters.postgres.transactions import PostgresTransactions
from tallystick.application.clicks import Clicks
from tallystick.application.legacy_metadata import AdoptCodes, AdoptLegacyUsers, MirrorMetadata
from tallystick.application.reconciliation import MetadataDrift, ReconcileMetadata
from tallystick.application.transactions import Transactions
from tallystick.domain.codes import CROCKFORD, Code, draw_candidates
from tallystick.domain.flags import Flag
from tallystick.domain.legacy_metadata import Claim
from tallystick.domain.users import UserId
from tallystick.entrypoints.worker.mirror import MirrorLater
from tests.worlds.loyalty import LoyaltyWorld

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


class LegacyWorld(LoyaltyWorld):
    """The stores of a migration, beside the permanent ones."""

    def __init__(
        self, transactions: Transactions, *, seed: int = 0, alphabet: str = CROCKFORD, length: int = 8
    ) -> None:
        super().__init__(transactions, seed=seed)
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
        if isinstance(self.transactions, MemoryTransactions):
            tables = self.transactions._tables
            tables.runs.setdefault(run, "applied")
            for claim in claims:
                tables.claims[run, claim.code, claim.user_id] = (claim, UserId(lost_to) if lost_to else None)
            return
        async with self._database().connection() as connection:
            await connection.execute(
                "INSERT INTO backfill_runs (run, plan_hash, state, source_hash, plan, planned_at) "
                "VALUES ($1::bigint, $2, 'applied', '', '', $3) ON CONFLICT DO NOTHING",
                run,
                f"plan {run}",
                LONG_AGO,
            )
            position = await connection.fetchval(
                "INSERT INTO legacy_users (run, position, user_id, phone_verified) "
                "SELECT $1, count(*) + 1, $2, false FROM legacy_users WHERE run = $1 RETURNING position",
                run,
                user,
            )
            await connection.executemany(
                "INSERT INTO legacy_codes (run, position, code, user_id, is_canonical, created_at, kept_by) "
                "VALUES ($1, $2, $3, $4, $5, $6, $7)",
                [(run, position, c.code, user, c.is_canonical, c.created_at, lost_to) for c in claims],
            )

    async def run_is(self, state: str, *, run: int = 1) -> None:
        """Let a run be in a state."""
        if isinstance(self.transactions, MemoryTransactions):
            self.transactions._tables.runs[run] = state
            return
        async with self._database().connection() as connection:
            await connection.execute("UPDATE backfill_runs SET state = $2 WHERE run = $1", run, state)

    async def mirrored(self, user: str) -> Code | None:
        """Return what readers of the legacy field are shown, when everything that waits is written."""
        await self.mirroring.close(grace_seconds=10)
        if isinstance(self.transactions, MemoryTransactions):
            return (self.transactions._tables.mirrored.get(UserId(user)) or (None,))[0]
        async with self._database().connection() as connection:
            code: Code | None = await connection.fetchval("SELECT code FROM metadata_mirror WHERE user_id = $1", user)
            return code

    async def mirrors(self, user: str, code: str) -> None:
        """Let the legacy field show a code, whatever is right."""
        if isinstance(self.transactions, MemoryTransactions):
            self.transactions._tables.mirrored[UserId(user)] = (Code(code), LONG_AGO)
            return
        async with self._database().connection() as connection:
            await connection.execute(
                "INSERT INTO metadata_mirror VALUES ($1, $2, $3) ON CONFLICT (user_id) DO UPDATE SET code = $2",
                user,
                code,
                LONG_AGO,
            )

    async def brought_by(self, code: str) -> int | None:
        """Return which run wrote a code."""
        if isinstance(self.transactions, MemoryTransactions):
            return self.transactions._tables.imported.get(code)
        async with self._database().connection() as connection:
            run: int | None = await connection.fetchval("SELECT backfill_run FROM referral_codes WHERE code = $1", code)
            return run

    async def clicked(self) -> set[str]:
        """Return the codes whose clicks are stored."""
        if isinstance(self.transactions, MemoryTransactions):
            return set(self.transactions._tables.clicked)
        async with self._database().connection() as connection:
            return {row["code"] for row in await connection.fetch("SELECT code FROM clicked_codes")}

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

    def _database(self) -> Database:
        assert isinstance(self.transactions, PostgresTransactions)
        return self.transactions._database
