"""The manifest: each table, column, constraint, index, policy and grant that the service needs, with its definition."""

from collections.abc import Mapping
from functools import cache
from importlib.resources import files

import msgspec

from tallystick.adapters.postgres.database import Connection
from tallystick.adapters.postgres.statements import Statements

_SQL = Statements.load("manifest")

FILE_NAME = "manifest.json"

Manifest = Mapping[str, Mapping[str, str]]
"""Definitions by owner (a table, the schema or a role) and item, as "column email", "grant INSERT" or "table"."""


@cache
def shipped_manifest() -> Manifest:
    """Return the manifest of this version."""
    source = files("tallystick.adapters.postgres") / "contract" / FILE_NAME
    return msgspec.json.decode(source.read_bytes(), type=dict[str, dict[str, str]])


async def read_fingerprint(connection: Connection) -> str | None:
    """Read a text that changes with the catalogue; it locks no table. None where the role of the service is missing."""
    fingerprint: str | None = await connection.fetchval(_SQL.fingerprint)
    return fingerprint


async def read_manifest(connection: Connection) -> Manifest:
    """Read what the database has, in the session of the service."""
    manifest: dict[str, dict[str, str]] = {}
    for owner, item, definition in await connection.fetch(_SQL.contents):
        manifest.setdefault(owner, {})[item] = definition
    return manifest


def rendered(manifest: Manifest) -> str:
    """Return the text of the file: one line an item, in the order of names."""
    document = msgspec.json.encode(manifest, order="deterministic")
    return msgspec.json.format(document, indent=2).decode() + "\n"
