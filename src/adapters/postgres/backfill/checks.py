"""Queries of a verification: the user of each code, and the rows of a run in the served tables."""

from collections.abc import Collection

from tallystick.adapters.postgres.backfill.checksums import checksum, edges_here, one_row, points_here
from tallystick.adapters.postgres.database import Connection
from tallystick.adapters.postgres.statements import Statements
from tallystick.adapters.postgres.stores.codes import PostgresReferralCodes
from tallystick.application.backfill_ports import Excuse, ImportChecks, ImportCounts
from tallystick.domain.backfill import Checksum, Run, Tally
from tallystick.domain.codes import Code
from tallystick.domain.users import UserId

_SQL = Statements.load("backfill_verify")


class PostgresImportChecks(ImportChecks):
    """Aggregates over the served tables, compared with the staged users and codes."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def owners(self, codes: Collection[Code]) -> dict[Code, UserId]:
        entries = await PostgresReferralCodes(self._connection).resolve(codes)
        return {entry.code: entry.user_id for entry in entries.values()}

    async def excuses(self, claims: Collection[tuple[Code, UserId]]) -> dict[tuple[Code, UserId], Excuse]:
        rows = await self._connection.fetch(
            _SQL.excused, [code for code, _ in claims], [user_id for _, user_id in claims]
        )
        return {(row["code"], row["user_id"]): Excuse(row["is_deleted"]) for row in rows}

    async def count(self, run: Run, done: Tally) -> ImportCounts:
        connection = self._connection
        aliases = await one_row(connection, _SQL.aliases, run.run)
        return ImportCounts(
            repeated_codes=await connection.fetchval(_SQL.repeated_codes),
            missing_codes=await connection.fetchval(_SQL.missing_codes, run.run),
            aliases_wanted=aliases["wanted"],
            aliases_found=aliases["found"],
            edges=_sum(
                await checksum(connection, _SQL.edges_imported, run.run),
                await checksum(connection, _SQL.edges_left_out, run.run, done.edges_left_out),
            ),
            edges_invented=await connection.fetchval(_SQL.edges_invented, run.run),
            points=_sum(
                await checksum(connection, _SQL.points_imported, run.run, run.correlation_id),
                await checksum(connection, _SQL.points_left_out, run.run, done.points_left_out),
            ),
            edges_here=await edges_here(connection, run.before),
            points_here=await points_here(connection, run.before),
        )


def _sum(imported: Checksum, left_out: Checksum) -> Checksum:
    """Return the checksum of the rows that were stored and of those that could not be."""
    return Checksum(imported.rows + left_out.rows, str(int(imported.total) + int(left_out.total)))
