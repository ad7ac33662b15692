"""The store in PostgreSQL, from the inside."""

from collections.abc import Sequence
from datetime import UTC, datetime

from tallystick.adapters.embedded.provision import OWNER, SERVICE
from tallystick.adapters.postgres.database import Database
from tallystick.adapters.postgres.freezing import AccountFreezing
from tallystick.adapters.postgres.transactions import PostgresTransactions
from tallystick.domain.codes import Code
from tallystick.domain.ledger import AccountKey
from tallystick.domain.legacy_metadata import Claim
from tallystick.domain.users import UserId
from tests.worlds.backend import Backend

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)


class PostgresBackend(Backend):
    """Speaks SQL of its own on the service's pool."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self._transactions = PostgresTransactions(database)

    @property
    def transactions(self) -> PostgresTransactions:
        return self._transactions

    async def stage(self, run: int, claims: Sequence[Claim], *, kept_by: UserId | None) -> None:
        user = claims[0].user_id
        async with self.database.connection() as connection:
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
                [(run, position, c.code, user, c.is_canonical, c.created_at, kept_by) for c in claims],
            )

    async def put_run(self, run: int, state: str) -> None:
        async with self.database.connection() as connection:
            await connection.execute("UPDATE backfill_runs SET state = $2 WHERE run = $1", run, state)

    async def run_of(self, code: str) -> int | None:
        async with self.database.connection() as connection:
            run: int | None = await connection.fetchval("SELECT backfill_run FROM referral_codes WHERE code = $1", code)
            return run

    async def mirrored(self, user: UserId) -> Code | None:
        async with self.database.connection() as connection:
            code: Code | None = await connection.fetchval("SELECT code FROM metadata_mirror WHERE user_id = $1", user)
            return code

    async def put_mirrored(self, user: UserId, code: Code, at: datetime) -> None:
        async with self.database.connection() as connection:
            await connection.execute(
                "INSERT INTO metadata_mirror VALUES ($1, $2, $3) ON CONFLICT (user_id) DO UPDATE SET code = $2",
                user,
                code,
                at,
            )

    async def clicked(self) -> set[str]:
        async with self.database.connection() as connection:
            return {row["code"] for row in await connection.fetch("SELECT code FROM clicked_codes")}

    async def reach_end(self, session: str) -> None:
        async with self.database.connection() as connection:
            await connection.execute(
                "UPDATE session_overlays SET expires_at = clock_timestamp() WHERE session_id = $1", session
            )

    async def freeze(self, account: AccountKey, at: datetime) -> None:
        await self._freezing().freeze(account.user_id, [account.unit], at)

    async def thaw(self, account: AccountKey) -> None:
        await self._freezing().thaw(account.user_id, [account.unit])

    def _freezing(self) -> AccountFreezing:
        # Both logins of the server under test have one password.
        return AccountFreezing(self.database.dsn.replace(f"{SERVICE}:", f"{OWNER}:", 1))
