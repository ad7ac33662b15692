"""Statements that bring back what a schema lacks of its manifest: rights, policies, constraints and indexes."""

import re
from collections.abc import Iterator
from typing import NamedTuple

from tallystick.adapters.postgres.contract.manifest import Found, Manifest, wanted
from tallystick.adapters.postgres.database import SERVICE_ROLE
from tallystick.adapters.postgres.identifiers import quoted

_POLICY = re.compile(r"(PERMISSIVE|RESTRICTIVE) (\w+) (.*)")
_GRANT = re.compile(r"grant (?P<privilege>\w+)(?: \((?P<column>.+)\))?")
_KEYS = ("PRIMARY KEY", "UNIQUE")


class Mend(NamedTuple):
    """A statement that mends an item of an owner."""

    owner: str
    item: str
    statement: str


def restoring(expected: Manifest, found: Found, *, is_waiting: bool = False) -> list[Mend]:
    """Return what brings missing items back, keys before the constraints that refer to them.

    Tables, columns and roles cannot be brought back by a statement, because their rows are lost: restore a backup.
    If migrations wait, items come back as they are before those.
    """
    mends = [mend for owner in expected if owner in found for mend in _of(owner, expected, found, is_waiting)]
    return sorted(mends, key=_rank)


def table(name: str) -> str:
    """Return a table of the schema as SQL names it."""
    return f"tallystick.{quoted(name)}"


def right(owner: str, item: str) -> str:
    """Return the right of an item as GRANT and REVOKE name it, with the table or the schema."""
    grant = _GRANT.fullmatch(item)
    if grant is None:
        raise AssertionError("an item that begins with 'grant' names a privilege")
    column = f" ({quoted(grant['column'])})" if grant["column"] else ""
    return f"{grant['privilege']}{column} ON {f'SCHEMA {owner}' if owner == 'tallystick' else table(owner)}"


def _of(owner: str, expected: Manifest, found: Found, is_waiting: bool) -> Iterator[Mend]:
    items = found[owner]
    for item, definitions in expected[owner].items():
        kind, _, name = item.partition(" ")
        definition = wanted(definitions, is_waiting=is_waiting)
        is_covered = item.partition(" (")[0] in items
        if definition is None or (item in items and item != "row level security") or (is_covered and kind == "grant"):
            continue
        if kind == "grant":
            yield Mend(owner, item, f"GRANT {right(owner, item)} TO {SERVICE_ROLE}")
        elif kind == "policy" and (policy := _POLICY.fullmatch(definition)) is not None:
            head = f"CREATE POLICY {quoted(name)} ON {table(owner)} AS {policy[1]} FOR {policy[2]}"
            yield Mend(owner, item, f"{head} TO {SERVICE_ROLE} {policy[3]}")
        elif item == "row level security" and items.get(item) != definition:
            statement = f"ALTER TABLE {table(owner)} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY"
            yield Mend(owner, item, statement)
        elif kind == "constraint":
            yield Mend(owner, item, f"ALTER TABLE {table(owner)} ADD CONSTRAINT {quoted(name)} {definition}")
        elif kind == "index":
            yield Mend(owner, item, definition)


def _rank(mend: Mend) -> int:
    return 0 if any(key in mend.statement for key in _KEYS) else 2 if " FOREIGN KEY " in mend.statement else 1
