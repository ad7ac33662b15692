"""Statements that bring back what a schema lacks of its manifest: rights, policies, constraints and indexes."""

import re
from collections.abc import Iterator

from tallystick.adapters.postgres.contract.manifest import Found, Manifest, alternatives
from tallystick.adapters.postgres.database import SERVICE_ROLE

_POLICY = re.compile(r"(PERMISSIVE|RESTRICTIVE) (\w+) (.*)")
_GRANT = re.compile(r"grant (\w+)(?: (\(\w+\)))?")
_KEYS = ("PRIMARY KEY", "UNIQUE")


def restoring_statements(expected: Manifest, found: Found) -> list[str]:
    """Return the statements, keys before the constraints that refer to them.

    Tables, columns and roles cannot be brought back by a statement, because their rows are lost: restore a backup.
    """
    statements = [statement for owner in expected if owner in found for statement in _of(owner, expected, found)]
    return sorted(statements, key=_rank)


def _of(owner: str, expected: Manifest, found: Found) -> Iterator[str]:
    items = found[owner]
    for item, wanted in expected[owner].items():
        kind, _, name = item.partition(" ")
        definition = alternatives(wanted)[-1]
        is_covered = item.partition(" (")[0] in items
        if definition is None or (item in items and item != "row level security") or (is_covered and kind == "grant"):
            continue
        if kind == "grant" and (grant := _GRANT.fullmatch(item)) is not None:
            target = f"SCHEMA {owner}" if owner == "tallystick" else f"tallystick.{owner}"
            yield f"GRANT {grant[1]} {grant[2] or ''} ON {target} TO {SERVICE_ROLE}".replace("  ", " ")
        elif kind == "policy" and (policy := _POLICY.fullmatch(definition)) is not None:
            head = f"CREATE POLICY {name} ON tallystick.{owner} AS {policy[1]} FOR {policy[2]}"
            yield f"{head} TO {SERVICE_ROLE} {policy[3]}"
        elif item == "row level security" and items.get(item) != definition:
            yield f"ALTER TABLE tallystick.{owner} ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY"
        elif kind == "constraint":
            yield f"ALTER TABLE tallystick.{owner} ADD CONSTRAINT {name} {definition}"
        elif kind == "index":
            yield definition


def _rank(statement: str) -> int:
    return 0 if any(key in statement for key in _KEYS) else 2 if " FOREIGN KEY " in statement else 1
