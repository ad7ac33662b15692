"""The lines of a source in temporary tables, where set-based statements merge users and decide claims."""

from collections.abc import Sequence
from datetime import datetime

import msgspec

from tallystick.adapters.postgres.backfill.checksums import checksum, edges_here, one_row, points_here
from tallystick.adapters.postgres.backfill.runs import faults_of
from tallystick.adapters.postgres.database import Connection
from tallystick.adapters.postgres.statements import Statements
from tallystick.application.backfill_ports import StagedCounts, StagedLines
from tallystick.domain.backfill import Contest, LineFaults, Plan, ReferredBy, Run, plan_hash
from tallystick.domain.legacy import LegacyRecord
from tallystick.domain.legacy_sources import MalformedLine
from tallystick.domain.usernames import username_key
from tallystick.domain.users import email_key

_SQL = Statements.load("backfill_plan")

_TEXT = 'text COLLATE "C"'
_FIELDS = f"""
    created_at timestamptz, email text, email_key {_TEXT}, username {_TEXT}, username_key {_TEXT},
    display_name text, phone text,
    phone_verified boolean, referred_by {_TEXT}, referred_code {_TEXT}, points bigint"""
STAGING = f"""
CREATE TEMP TABLE incoming (line bigint, user_id {_TEXT}, code {_TEXT}, {_FIELDS});
CREATE TEMP TABLE ranked (LIKE incoming, age bigint, lines bigint);
CREATE TEMP TABLE people (
    position bigint, user_id {_TEXT}, {_FIELDS}, is_here boolean,
    inviter_id {_TEXT}, inviter_code {_TEXT}, refusal text
);
CREATE TEMP TABLE claims (
    position bigint, code {_TEXT}, user_id {_TEXT}, is_canonical boolean, created_at timestamptz,
    claimed_at timestamptz, kept_by {_TEXT}
);
CREATE TEMP TABLE malformed (line bigint, reason text);
"""


class PostgresStagedLines(StagedLines):
    """Rows of `incoming`, `ranked`, `people` and `claims`, which end with the session."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def create(self) -> None:
        await self._connection.execute(STAGING)

    async def add(self, records: Sequence[LegacyRecord], malformed: Sequence[MalformedLine]) -> None:
        rows = [_row(record) for record in records]
        await self._connection.copy_records_to_table("incoming", records=rows, schema_name="pg_temp")
        if malformed:
            await self._connection.copy_records_to_table("malformed", records=malformed, schema_name="pg_temp")

    async def finish(self) -> None:
        await self._connection.execute("ANALYZE pg_temp.incoming")

    async def faults(self) -> list[LineFaults]:
        return faults_of(await self._connection.fetch(_SQL.faults))

    async def rank(self) -> None:
        await self._fill("ranked", _SQL.rank)

    async def merge(self) -> None:
        await self._fill("people", _SQL.gather)

    async def claim(self) -> None:
        await self._fill("claims", _SQL.claim)

    async def _fill(self, table: str, statement: str) -> None:
        await self._connection.execute(statement)
        await self._connection.execute(f"ANALYZE pg_temp.{table}")

    async def unresolved(self, limit: int) -> tuple[list[Contest], int]:
        rows = await self._connection.fetch(_SQL.unresolved, limit)
        contests = [Contest(row["code"], row["user_id"], row["claimed_at"]) for row in rows]
        return contests, rows[0]["total"] if rows else 0

    async def decide(self, referred_by: ReferredBy) -> None:
        await self._connection.execute(_SQL.contest)
        await self._connection.execute(_SQL.refer, referred_by)
        await self._connection.execute(_SQL.break_cycles)
        await self._connection.execute(_SQL.share_out_emails)
        await self._connection.execute(_SQL.share_out_usernames)

    async def count(self, *, before: datetime) -> StagedCounts:
        connection = self._connection
        people, claims = await one_row(connection, _SQL.count_people), await one_row(connection, _SQL.count_claims)
        refusals = await connection.fetch(_SQL.count_refusals)
        return StagedCounts(
            users=people["users"],
            users_here=people["users_here"],
            deleted_here=await connection.fetchval(_SQL.count_deleted_here),
            with_code_here=people["with_code_here"],
            codes=claims["codes"],
            duplicate_codes=claims["duplicate_codes"],
            duplicate_users=claims["duplicate_users"],
            kept=claims["kept"],
            reminted=claims["reminted"],
            aliases=claims["aliases"],
            held_here=claims["held_here"],
            edges=await checksum(connection, _SQL.sum_edges),
            edges_left_out={row["refusal"]: row["users"] for row in refusals},
            points=await checksum(connection, _SQL.sum_points),
            points_total=people["points_total"],
            claims=await checksum(connection, _SQL.sum_claims),
            edges_here=await edges_here(connection, before),
            points_here=await points_here(connection, before),
        )

    async def store(self, plan: Plan, at: datetime) -> Run:
        run = Run(await self._connection.fetchval(_SQL.next_run), plan_hash(plan), "planned", plan, at, None, None)
        encoded = msgspec.json.encode(plan).decode()
        await self._connection.execute(_SQL.record_run, run.run, run.plan_hash, plan.source_hash, encoded, at)
        await self._connection.execute(_SQL.record_users, run.run)
        await self._connection.execute(_SQL.record_codes, run.run)
        await self._connection.execute(_SQL.record_malformed, run.run)
        return run


def _row(record: LegacyRecord) -> tuple[object, ...]:
    """Return a row of `incoming`."""
    return (
        record.line,
        record.user_id,
        record.code,
        record.created_at,
        record.email,
        email_key(record.email) if record.email is not None else None,
        record.username,
        username_key(record.username) if record.username is not None else None,
        record.display_name,
        record.phone,
        record.phone_verified,
        record.referred_by,
        record.referred_code,
        record.points,
    )
