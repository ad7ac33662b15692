"""Backups: pg_dump of the schema, in one snapshot and beside running servers."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import BinaryIO

import msgspec

from tallystick.adapters.postgres.backups.programs import BackupError, Program, find_program
from tallystick.adapters.postgres.connecting import connect
from tallystick.adapters.postgres.database import SERVICE_ROLE
from tallystick.adapters.postgres.statements import Statements

_SQL = Statements.load("backups")

_TABLE = re.compile(r"^pg_dump: dumping contents of table ")
_ARGUMENTS = ("--format=custom", "--schema=tallystick", "--no-publications")
_LOCK_TIMEOUT = "30s"
"""A migration that runs holds a table for less."""
_AS_SERVICE = (f"--role={SERVICE_ROLE}", "--enable-row-security")


class Dump(msgspec.Struct, frozen=True):
    """A backup that can begin."""

    program: Program
    dsn: str
    server_version: str
    newest_migration: str
    tables: int
    bypasses_policies: bool
    """Whether the login sees every row by itself; else it sees them as the role of the service."""

    def write(self, file: BinaryIO, show: Callable[[float], None]) -> None:
        """Write the backup, and show how many tables are done; BackupError where it fails."""
        done = -1.0

        def report(line: str) -> None:
            nonlocal done
            if _TABLE.match(line):
                done += 1
                show(done)

        arguments = [
            *_ARGUMENTS,
            f"--lock-wait-timeout={_LOCK_TIMEOUT}",
            # pg_dump appends to standard output, and would leave the offsets of the rows out of the table of contents.
            f"--file=/dev/fd/{file.fileno()}",
            *(() if self.bypasses_policies else _AS_SERVICE),
        ]
        self.program.run(arguments, dsn=self.dsn, passed=file, report=report)
        show(self.tables)


async def prepare_dump(dsn: str, folders: Sequence[Path]) -> Dump:
    """Check that the login sees every row, and find pg_dump; BackupError and Unreachable say what is missing."""
    connection = await connect(dsn, name="tallystick backup", settings={"lock_timeout": _LOCK_TIMEOUT})
    try:
        source = await connection.fetchrow(_SQL.source, SERVICE_ROLE)
        if source is None:
            raise AssertionError("a SELECT without FROM returns a row")
        if source["table_count"] == 0:
            raise BackupError("the database has no schema tallystick: run 'tallystick migrate', or name another one")
        if not source["bypasses_policies"]:
            hidden = [row["name"] for row in await connection.fetch(_SQL.hidden_tables, SERVICE_ROLE)]
            if not source["is_member"] or hidden:
                raise BackupError(_blind(source["login"], hidden if source["is_member"] else []))
        newest = await connection.fetchval(_SQL.newest_migration)
    finally:
        await connection.close(timeout=5)
    return Dump(
        program=find_program("pg_dump", source["version"] // 10_000, folders),
        dsn=dsn,
        server_version=source["version_text"],
        newest_migration=newest or "",
        tables=source["table_count"],
        bypasses_policies=source["bypasses_policies"],
    )


def _blind(login: str, tables: Sequence[str]) -> str:
    which = f"the rows of {', '.join(tables)}" if tables else "rows of the service"
    return (
        f"the login {login} may not see {which}, and a backup by it would lack them: back up as the owner of the "
        f"schema, as a superuser, or as a role with BYPASSRLS that may read the schema"
    )
