"""Statements that mend what differs from the manifest: rights that are too much, and definitions that were changed."""

import re
from collections.abc import Collection, Iterator
from typing import NamedTuple

from tallystick.adapters.postgres.contract.comparison import Item, changed_items, excess_items
from tallystick.adapters.postgres.contract.manifest import Found, Manifest, alternatives
from tallystick.adapters.postgres.contract.restoring import restoring_statements
from tallystick.adapters.postgres.database import SERVICE_ROLE

_COLUMN = re.compile(r"(?P<type>.+?)(?P<filled> NOT NULL(?: NOT VALID)?)?(?: DEFAULT (?P<default>.+))?")
_RULES = ("CHECK ", "FOREIGN KEY ")
"""Constraints on which nothing depends: they can be dropped and added."""


def mending_statements(
    expected: Manifest, found: Found, *, shared: Collection[Item] = (), is_newer: bool = False
) -> list[str]:
    """Return the statements that bring the schema to its manifest, as far as no row can be lost by them.

    A policy of `shared` applies to other roles too, and is left as it is where the manifest does not name it. Of a
    schema that a newer version migrated, only what is missing comes back: the rest may belong to that version.
    """
    removed = [] if is_newer else list(_removals(expected, found, shared))
    gone = {(owner, item) for owner, item, _ in removed}
    left = {
        owner: {item: text for item, text in items.items() if (owner, item) not in gone}
        for owner, items in found.items()
    }
    altered = [] if is_newer else list(_alterations(expected, left))
    return [*(each.statement for each in removed), *restoring_statements(expected, left), *altered]


class _Removal(NamedTuple):
    owner: str
    item: str
    statement: str


def _removals(expected: Manifest, found: Found, shared: Collection[Item]) -> Iterator[_Removal]:
    """Yield what has to go: too much, or to be created anew as the manifest has it."""
    for owner, item in excess_items(expected, found):
        if item.startswith("grant "):
            target = f"SCHEMA {owner}" if owner == "tallystick" else f"tallystick.{owner}"
            yield _Removal(owner, item, f"REVOKE {item.removeprefix('grant ')} ON {target} FROM {SERVICE_ROLE}")
        elif (owner, item) not in shared:
            yield _Removal(owner, item, f"DROP POLICY {item.removeprefix('policy ')} ON tallystick.{owner}")
    for owner, item in changed_items(expected, found):
        kind, _, name = item.partition(" ")
        wanted = alternatives(expected[owner][item])[-1] or ""
        if kind == "policy":
            yield _Removal(owner, item, f"DROP POLICY {name} ON tallystick.{owner}")
        elif kind == "index":
            yield _Removal(owner, item, f"DROP INDEX tallystick.{name}")
        elif kind == "constraint" and wanted.startswith(_RULES):
            yield _Removal(owner, item, f"ALTER TABLE tallystick.{owner} DROP CONSTRAINT {name}")


def _alterations(expected: Manifest, found: Found) -> Iterator[str]:
    """Yield what makes columns refuse NULL, and gives them their defaults, as the manifest has it."""
    for owner, item in changed_items(expected, found):
        if not item.startswith("column "):
            continue
        wanted, now = (
            _COLUMN.fullmatch(text or "") for text in (alternatives(expected[owner][item])[-1], found[owner][item])
        )
        if wanted is None or now is None or wanted["type"] != now["type"]:
            continue
        altering = f"ALTER TABLE tallystick.{owner} ALTER {item}"
        if wanted["filled"] != now["filled"]:
            yield f"{altering} {'SET' if wanted['filled'] else 'DROP'} NOT NULL"
        if wanted["default"] != now["default"]:
            yield f"{altering} SET DEFAULT {wanted['default']}" if wanted["default"] else f"{altering} DROP DEFAULT"
