"""The file of a backup, as its table of contents describes it."""

import re
from pathlib import Path

import msgspec

from tallystick.adapters.postgres.backups.programs import BackupError, Program

_HEADER = re.compile(r"^; +([A-Za-z][^:]*?)(?::| at) (.+)$", re.MULTILINE)
_OWNER = re.compile(r"^\d+; \d+ \d+ SCHEMA - tallystick (.+)$", re.MULTILINE)
_ENTRY = re.compile(r"^\d+; ", re.MULTILINE)
_MIGRATIONS = re.compile(r"^\d+; \d+ \d+ TABLE tallystick schema_migrations ", re.MULTILINE)
_ROLES = (
    re.compile(r"^ALTER .+ OWNER TO (.+);$", re.MULTILINE),
    re.compile(r"^(?:GRANT|REVOKE) .+ (?:TO|FROM) (.+?)(?: WITH GRANT OPTION)?;$", re.MULTILINE),
    re.compile(
        r"^CREATE POLICY .+? ON \S+ (?:AS RESTRICTIVE )?(?:FOR \w+ )?TO (.+?)(?: USING| WITH CHECK|;)", re.MULTILINE
    ),
)
_NAME = re.compile(r'"(?:[^"]|"")+"|[^",\s]+')


class Archive(msgspec.Struct, frozen=True):
    """A backup: where it is from, and which roles its objects name."""

    file: Path
    taken_at: str
    """The time of the backup as text, in UTC."""
    database: str
    server_major: int
    """The major version of the server that was backed up."""
    entries: int
    owner: str
    """The role that owns the schema."""
    roles: frozenset[str]
    """Every role that owns an object, holds a grant or is named by a policy, the owner included."""


def read_archive(file: Path, program: Program) -> Archive:
    """Read the table of contents; BackupError where the file is damaged or is no backup of Tallystick."""
    contents = program.output_of("--list", str(file))
    facts = dict(_HEADER.findall(contents))
    owner = _OWNER.search(contents)
    if owner is None or _MIGRATIONS.search(contents) is None:
        raise BackupError(f"{file} is an archive of pg_dump, and not one that 'tallystick backup' wrote")
    return Archive(
        file=file,
        taken_at=facts["Archive created"],
        database=facts["dbname"],
        server_major=int(facts["Dumped from database version"].partition(".")[0]),
        entries=len(_ENTRY.findall(contents)),
        owner=owner[1],
        roles=named_roles(program.output_of("--schema-only", "--file=-", str(file))) | {owner[1]},
    )


def named_roles(script: str) -> frozenset[str]:
    """Return the roles that the statements of a script name; they have to exist before the script is run."""
    listed = [names for pattern in _ROLES for names in pattern.findall(script)]
    names = {name for each in listed for name in _NAME.findall(each)}
    return frozenset(name[1:-1].replace('""', '"') if name.startswith('"') else name for name in names - {"PUBLIC"})
