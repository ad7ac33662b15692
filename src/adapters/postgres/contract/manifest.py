"""The manifest: each table, column, constraint, index, policy and grant that the service needs, with its definition."""

from collections.abc import Mapping
from functools import cache
from importlib.resources import files

import msgspec

from tallystick.adapters.postgres.database import Connection
from tallystick.adapters.postgres.statements import Statements

_SQL = Statements.load("manifest")

FILE_NAME = "manifest.json"

Found = Mapping[str, Mapping[str, str]]
"""Definitions by owner (a table, the schema or a role) and item, as "column email", "grant INSERT" or "table"."""
Definition = str | tuple[str | None, str | None]
"""A definition. Of an item that a waiting migration changes: the one before and the one after it; None for no item."""
Manifest = Mapping[str, Mapping[str, Definition]]
"""The definitions that a version needs."""


@cache
def shipped_manifest() -> Manifest:
    """Return the manifest of this version."""
    source = files("tallystick.adapters.postgres") / "contract" / FILE_NAME
    return msgspec.json.decode(source.read_bytes(), type=dict[str, dict[str, str | tuple[str | None, str | None]]])


async def read_fingerprint(connection: Connection) -> str | None:
    """Read a text that changes with the catalogue; it locks no table. None where the role of the service is missing."""
    fingerprint: str | None = await connection.fetchval(_SQL.fingerprint)
    return fingerprint


async def read_manifest(connection: Connection) -> Found:
    """Read what the database has, in the session of the service."""
    manifest: dict[str, dict[str, str]] = {}
    for owner, item, definition in await connection.fetch(_SQL.contents):
        manifest.setdefault(owner, {})[item] = definition
    return manifest


def alternatives(definition: Definition | None) -> tuple[str | None, ...]:
    """Return the definitions that fulfil one of the manifest; None among them for an item that may be missing."""
    return definition if isinstance(definition, tuple) else (definition,)


def wanted(definition: Definition, *, is_waiting: bool) -> str | None:
    """Return the definition of the schema before or after the migrations that wait; None for no item."""
    return alternatives(definition)[0 if is_waiting else -1]


def merged(before: Found, after: Found) -> Manifest:
    """Return the manifest of a version that serves the schema before and after the migrations that wait."""
    manifest: dict[str, dict[str, Definition]] = {}
    for owner in {**before, **after}:
        old, new = before.get(owner, {}), after.get(owner, {})
        manifest[owner] = {item: text for item, text in new.items() if old.get(item) == text}
        changed = [item for item in {**old, **new} if item not in manifest[owner]]
        manifest[owner].update({item: (old.get(item), new.get(item)) for item in changed})
    return manifest


def rendered(manifest: Manifest) -> str:
    """Return the text of the file: one line an item, in the order of names."""
    document = msgspec.json.encode(manifest, order="deterministic")
    return msgspec.json.format(document, indent=2).decode() + "\n"
