"""Statements that mend what differs from the manifest: rights that are too much, and definitions that were changed."""

import re
from collections.abc import Collection, Iterator

from tallystick.adapters.postgres.contract.comparison import Item, changed_items, excess_items
from tallystick.adapters.postgres.contract.manifest import Found, Manifest, alternatives, wanted
from tallystick.adapters.postgres.contract.restoring import Mend, restoring, right, table
from tallystick.adapters.postgres.database import SERVICE_ROLE
from tallystick.adapters.postgres.identifiers import quoted

_COLUMN = re.compile(r"(?P<type>.+?)(?P<filled> NOT NULL(?: NOT VALID)?)?(?: DEFAULT (?P<default>.+))?")
_RULES = ("CHECK ", "FOREIGN KEY ")
"""Constraints on which nothing depends: they can be dropped and added."""


def mending(
    expected: Manifest,
    found: Found,
    *,
    shared: Collection[Item] = (),
    is_newer: bool = False,
    is_waiting: bool = False,
) -> list[Mend]:
    """Return what brings the schema to its manifest, as far as no row can be lost by it.

    A policy of `shared` applies to other roles too, and is left as it is where the manifest does not name it. Of a
    schema that a newer version migrated, only what is missing comes back: the rest may belong to that version. If
    migrations wait, servers of the version before may serve: what those migrations add or drop is not added.
    """
    removed = [] if is_newer else list(_removals(expected, found, shared, is_waiting))
    gone = {(owner, item) for owner, item, _ in removed}
    left = {
        owner: {item: text for item, text in items.items() if (owner, item) not in gone}
        for owner, items in found.items()
    }
    restored = [
        mend
        for mend in restoring(expected, left, is_waiting=is_waiting)
        if mend[:2] in gone or not (is_waiting and None in alternatives(expected[mend.owner][mend.item]))
    ]
    altered = [] if is_newer else list(_alterations(expected, left, is_waiting))
    return [*removed, *restored, *altered]


def _removals(expected: Manifest, found: Found, shared: Collection[Item], is_waiting: bool) -> Iterator[Mend]:
    """Yield what has to go: too much, or to be created anew as the manifest has it."""
    for owner, item in excess_items(expected, found):
        if item.startswith("grant "):
            yield Mend(owner, item, f"REVOKE {right(owner, item)} FROM {SERVICE_ROLE}")
        elif (owner, item) not in shared:
            yield _dropped_policy(owner, item)
    for owner, item in changed_items(expected, found):
        kind, _, name = item.partition(" ")
        rule = wanted(expected[owner][item], is_waiting=is_waiting) or found[owner][item]
        if kind == "policy":
            yield _dropped_policy(owner, item)
        elif kind == "index":
            yield Mend(owner, item, f"DROP INDEX tallystick.{quoted(name)}")
        elif kind == "constraint" and rule.startswith(_RULES):
            yield Mend(owner, item, f"ALTER TABLE {table(owner)} DROP CONSTRAINT {quoted(name)}")


def _dropped_policy(owner: str, item: str) -> Mend:
    return Mend(owner, item, f"DROP POLICY {quoted(item.removeprefix('policy '))} ON {table(owner)}")


def _alterations(expected: Manifest, found: Found, is_waiting: bool) -> Iterator[Mend]:
    """Yield what makes columns refuse NULL, and gives them their defaults, as the manifest has it."""
    for owner, item in changed_items(expected, found):
        if not item.startswith("column "):
            continue
        definition = wanted(expected[owner][item], is_waiting=is_waiting)
        then, now = (_COLUMN.fullmatch(text or "") for text in (definition, found[owner][item]))
        if then is None or now is None or then["type"] != now["type"]:
            continue
        altering = f"ALTER TABLE {table(owner)} ALTER COLUMN {quoted(item.removeprefix('column '))}"
        if then["filled"] != now["filled"]:
            yield Mend(owner, item, f"{altering} {'SET' if then['filled'] else 'DROP'} NOT NULL")
        if then["default"] != now["default"]:
            change = f"SET DEFAULT {then['default']}" if then["default"] else "DROP DEFAULT"
            yield Mend(owner, item, f"{altering} {change}")
