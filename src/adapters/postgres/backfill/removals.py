"""The deletions of a chunk of a rollback, in set-based statements over the staged users and codes."""

from collections.abc import Mapping
from datetime import datetime

from tallystick.adapters.postgres.backfill.imports import rows_of
from tallystick.adapters.postgres.backfill.runs import drop_staged
from tallystick.adapters.postgres.database import SERVICE_ROLE, Connection
from tallystick.adapters.postgres.statements import Statements
from tallystick.application.backfill_ports import Removals
from tallystick.domain.backfill import Chunk, Run, Tally
from tallystick.domain.codes import Code
from tallystick.domain.users import UserId

_SQL = Statements.load("backfill_rollback")

_SHRINKING = (
    "users",
    "referral_codes",
    "referral_edges",
    "ledger_entries",
    "ledger_accounts",
    "phone_verifications",
    "code_conflicts",
    "legacy_users",
    "legacy_codes",
)
"""The tables of which rows are removed."""
_TABLES = ", ".join(f"tallystick.{table}" for table in _SHRINKING)
GRANT = f"GRANT DELETE ON {_TABLES} TO {SERVICE_ROLE}"
REVOKE = f"REVOKE DELETE ON {_TABLES} FROM {SERVICE_ROLE}"
INDEXES = {
    "backfill_codes_of_user": "referral_codes (user_id)",
    "backfill_edges_of_code": "referral_edges (code)",
    "backfill_slips_of_player": "rating_slips (player_id)",
    "backfill_invites_of_owner": "invites (owner_id)",
    "backfill_uses_of_user": "invite_uses (user_id)",
}
"""They find the rows that refer to a removed row. Nothing else asks for these, so they exist during a rollback only."""


class PostgresRemovals(Removals):
    """Rows under the number of a run, and of `legacy_users` and `legacy_codes`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def lock(self, chunk: Chunk) -> None:
        await self._connection.fetch(_SQL.lock, *chunk)

    async def effects(self, chunk: Chunk, correlation_id: str) -> Tally:
        await self._connection.fetch(_SQL.lock_accounts, *chunk)
        points = await self._connection.fetchval(_SQL.uncredit, *chunk, correlation_id)
        kept = await self._connection.fetchval(_SQL.credited, *chunk, correlation_id)
        await self._connection.execute(_SQL.close_accounts, *chunk)
        edges = await self._connection.fetchval(_SQL.disconnect, *chunk)
        return Tally(points_removed=points, points_kept=kept, edges_removed=edges)

    async def codes(self, chunk: Chunk, at: datetime) -> Tally:
        kept = await self._connection.fetch(_SQL.keep_in_use, *chunk, at)
        removed = rows_of(await self._connection.execute(_SQL.remove_codes, *chunk))
        attributed = sum(1 for row in kept if row["is_attributed"])
        return Tally(codes_removed=removed, codes_attributed=attributed, codes_clicked=len(kept) - attributed)

    async def without_canonical(self, chunk: Chunk) -> list[UserId]:
        return [row["user_id"] for row in await self._connection.fetch(_SQL.without_canonical, *chunk)]

    async def assign(self, codes: Mapping[UserId, Code], at: datetime) -> set[UserId]:
        rows = await self._connection.fetch(_SQL.assign, list(codes.values()), list(codes), at)
        return {row["user_id"] for row in rows}

    async def users(self, chunk: Chunk) -> Tally:
        await self._connection.execute(_SQL.unmirror, *chunk)
        imported = await self._connection.fetchval(_SQL.imported, *chunk)
        removed = [row["user_id"] for row in await self._connection.fetch(_SQL.leaving, *chunk)]
        await self._connection.execute(_SQL.unverify_phones, removed)
        await self._connection.execute(_SQL.remove_users, removed)
        return Tally(users_removed=len(removed), users_kept=imported - len(removed))

    async def plan(self, run: Run) -> None:
        await self._connection.execute(_SQL.forget_conflicts, run.run)
        await drop_staged(self._connection, [run.run])
