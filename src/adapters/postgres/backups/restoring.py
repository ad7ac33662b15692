"""Restores: a backup into a database without the schema, in one transaction."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from tallystick.adapters.postgres.backups.archive import Archive, read_archive
from tallystick.adapters.postgres.backups.programs import BackupError, Program, find_program
from tallystick.adapters.postgres.connecting import connect
from tallystick.adapters.postgres.database import SERVICE_ROLE
from tallystick.adapters.postgres.identifiers import quoted
from tallystick.adapters.postgres.statements import Statements

_SQL = Statements.load("restores")

_ENTRY = re.compile(r"^pg_restore: (?:creating|processing data for) ")
MADE_BY_MIGRATIONS = frozenset({SERVICE_ROLE, "anon", "authenticated"})
"""The roles that migrations create where they are missing; a restore does the same."""


class Restore(msgspec.Struct, frozen=True):
    """A restore that can begin."""

    program: Program
    archive: Archive
    dsn: str
    new_roles: list[str]
    """Roles that are missing, and that this restore creates."""

    async def create_roles(self) -> None:
        """Create the missing roles, and let the owner become the service, as migrations do."""
        connection = await connect(self.dsn, name="tallystick restore")
        try:
            for role in self.new_roles:
                await connection.execute(f"CREATE ROLE {quoted(role)} NOLOGIN")
            members = await connection.fetchrow(_SQL.memberships, self.archive.owner, SERVICE_ROLE)
            if members is not None and not members["owner_is_service"]:
                await connection.execute(f"GRANT {SERVICE_ROLE} TO {quoted(self.archive.owner)}")
        finally:
            await connection.close(timeout=5)

    def load(self, show: Callable[[float], None]) -> None:
        """Restore everything in one transaction, and show how many entries are done; BackupError where it fails."""
        done = 0

        def report(line: str) -> None:
            nonlocal done
            if _ENTRY.match(line):
                done += 1
                show(done)

        arguments = ["--single-transaction", "--exit-on-error", str(self.archive.file)]
        self.program.run(arguments, dsn=self.dsn, report=report)

    async def finish(self) -> None:
        """Let the server count its rows, so that it plans statements as before."""
        connection = await connect(self.dsn, name="tallystick restore")
        try:
            for row in await connection.fetch(_SQL.tables):
                await connection.execute(f"ANALYZE tallystick.{quoted(row['name'])}")
        finally:
            await connection.close(timeout=5)

    async def is_restored(self) -> bool:
        """Return whether the database has the schema, for a restore whose end is not known."""
        connection = await connect(self.dsn, name="tallystick restore")
        try:
            return bool(await connection.fetchval(_SQL.has_schema))
        finally:
            await connection.close(timeout=5)


async def prepare_restore(dsn: str, file: Path, folders: Sequence[Path]) -> Restore:
    """Check the database, the file, the versions and the roles, and change nothing; BackupError says what is wrong."""
    connection = await connect(dsn, name="tallystick restore")
    try:
        target = await connection.fetchrow(_SQL.target)
        if target is None:
            raise AssertionError("a SELECT without FROM returns a row")
        if target["has_schema"]:
            raise BackupError(
                "the database has a schema tallystick already: restore into a new database (CREATE DATABASE), or into "
                "a new data directory; a restore never replaces rows"
            )
        major = target["version"] // 10_000
        program = find_program("pg_restore", major, folders)
        archive = read_archive(file, program)
        if archive.server_major > major:
            raise BackupError(f"the backup is of PostgreSQL {archive.server_major}, and this server is of {major}")
        if not target["may_create"]:
            raise BackupError(f"the login {target['login']} may not create a schema: GRANT CREATE ON DATABASE to it")
        wanted = sorted(archive.roles | MADE_BY_MIGRATIONS)
        missing = [row["name"] for row in await connection.fetch(_SQL.missing_roles, wanted)]
        _refuse_missing(missing, archive, may_create_roles=target["may_create_roles"])
        members = await connection.fetchrow(_SQL.memberships, archive.owner, archive.owner)
        if members is None or not members["login_is_owner"]:
            raise BackupError(
                f"the backup belongs to the role {archive.owner}: restore as that role or as a superuser, and not as "
                f"{target['login']}"
            )
    finally:
        await connection.close(timeout=5)
    return Restore(program, archive, dsn, new_roles=missing)


def _refuse_missing(missing: Sequence[str], archive: Archive, *, may_create_roles: bool) -> None:
    """Refuse roles that nobody but the operator can create: logins, and roles that a backup grants more."""
    lacking = [role for role in missing if role not in MADE_BY_MIGRATIONS or not may_create_roles]
    if not lacking:
        return
    # The owner is a login that must not see rows as itself; docs/operations.md has the statements for both logins.
    how = [f"CREATE ROLE {quoted(r)} {'LOGIN NOINHERIT' if r == archive.owner else 'NOLOGIN'};" for r in lacking]
    raise BackupError(
        f"the server lacks roles that the backup names: {', '.join(lacking)}. Create them as a superuser, and run the "
        f"command again: {' '.join(how)}"
    )
