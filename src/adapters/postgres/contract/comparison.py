"""Compares the manifest with a database: what is missing, what differs, and rights that the service must not have."""

import re
from collections.abc import Iterator, Sequence

from tallystick.adapters.postgres.contract.manifest import Manifest
from tallystick.adapters.postgres.contract.obstacles import obstacles
from tallystick.application.readiness import Fault

LARGEST_LIST = 20
"""How many names a fault lists: the answer of the readiness probe is short."""

Item = tuple[str, str]
"""An owner and an item of the manifest."""

_WHOLE = frozenset({"table", "role"})
"""The items that are the owner itself, and not a part of it."""
_ORDINARY_PRIVILEGES = frozenset({"SELECT", "INSERT", "UPDATE", "DELETE"})
_VALUE = re.compile(r"'(?:[^']|'')*'::text")
_VALUES = re.compile(
    rf"CHECK \(\((?P<column>\w+) = (?:ANY \(ARRAY\[)?(?P<values>{_VALUE.pattern}(?:, {_VALUE.pattern})*)(?:\]\))?\)\)"
)
"""A constraint that lists the values of a column, as PostgreSQL prints it."""


def manifest_faults(expected: Manifest, found: Manifest, *, is_newer: bool = False) -> list[Fault]:
    """Return how the database differs from the manifest.

    Items that only the database has are faults where they refuse a write of this version, or give the service a right.
    If migrations of a newer version ran, rights that a version may need and wider lists of values are no faults.
    """
    changed = [one for one in _changed(expected, found) if not (is_newer and _is_widened(expected, found, *one))]
    unprotected = [owner for owner, item in changed if item == "row level security"]
    return [
        *_missing_faults(list(_missing(expected, found))),
        *_definition_faults(expected, found, [one for one in changed if one[1] != "row level security"]),
        *([Fault("schema", f"row level security is not forced on: {_listed(unprotected)}")] if unprotected else ()),
        *_excess_faults([one for one in _excess(expected, found) if not (is_newer and _is_ordinary(found, *one))]),
        *_obstacle_faults(found, list(obstacles(expected, found))),
    ]


def _missing(expected: Manifest, found: Manifest) -> Iterator[Item]:
    """Return the items that the database lacks; of a table that is missing, the table alone."""
    for owner, items in expected.items():
        if "table" in items and owner not in found:
            yield owner, "table"
        else:
            of_owner = found.get(owner, {})
            # A grant on the table covers its columns.
            yield from ((owner, item) for item in items if not {item, item.partition(" (")[0]} & of_owner.keys())


def _excess(expected: Manifest, found: Manifest) -> Iterator[Item]:
    """Return the grants and policies of the service that only the database has, on what the manifest lists."""
    for owner, items in expected.items():
        for item in found.get(owner, {}):
            column = item.partition("(")[2].removesuffix(")")
            is_known = not column or f"column {column}" in items
            if item not in items and item.startswith(("grant ", "policy ")) and is_known:
                yield owner, item


def _changed(expected: Manifest, found: Manifest) -> Iterator[Item]:
    for owner, items in expected.items():
        of_owner = found.get(owner, {})
        yield from ((owner, item) for item in items if of_owner.get(item, items[item]) != items[item])


def _is_widened(expected: Manifest, found: Manifest, owner: str, item: str) -> bool:
    """Return whether a CHECK lists the values of a column, and lists more of them now."""
    before, now = _VALUES.fullmatch(expected[owner][item]), _VALUES.fullmatch(found[owner][item])
    if before is None or now is None or before["column"] != now["column"]:
        return False
    return set(_VALUE.findall(before["values"])) <= set(_VALUE.findall(now["values"]))


def _is_ordinary(found: Manifest, owner: str, item: str) -> bool:
    """Return whether an item gives the service a right that the code of a version may need."""
    if item.startswith("policy "):
        return found[owner][item].startswith("PERMISSIVE")
    return item.removeprefix("grant ").partition(" ")[0] in _ORDINARY_PRIVILEGES


def _obstacle_faults(found: Manifest, items: Sequence[Item]) -> Iterator[Fault]:
    if items:
        detail = "; ".join(found[owner][item] for owner, item in items[:LARGEST_LIST])
        names = _listed([_name(*one) for one in items])
        yield Fault("schema", f"the schema has rules that this version does not know: {names}", detail)


def _missing_faults(missing: Sequence[Item]) -> Iterator[Fault]:
    if missing:
        whole_first = sorted(missing, key=lambda one: one[1] not in _WHOLE)
        yield Fault("schema", f"the schema lacks: {_listed([_name(*one) for one in whole_first])}")


def _definition_faults(expected: Manifest, found: Manifest, changed: Sequence[Item]) -> Iterator[Fault]:
    for owner, item in changed[:LARGEST_LIST]:
        detail = f"expected {expected[owner][item]}, found {found[owner][item]}"
        yield Fault("schema", f"the schema has another definition of {_name(owner, item)}", detail)
    if (rest := len(changed) - LARGEST_LIST) > 0:
        yield Fault("schema", f"the schema has another definition of {rest} more")


def _excess_faults(excess: Sequence[Item]) -> Iterator[Fault]:
    verbs = {"UPDATE": "change", "TRUNCATE": "change", "DELETE": "delete"}
    history: dict[tuple[str, str], None] = {}
    others: list[Item] = []
    for owner, item in excess:
        privilege = item.removeprefix("grant ").partition(" ")[0]
        if privilege in verbs:
            history[owner, verbs[privilege]] = None
        else:
            others.append((owner, item))
    for owner, verb in history:
        yield Fault("schema", f"the service may {verb} what is history: {owner}")
    if others:
        yield Fault("schema", f"the service has other rights than it needs: {_listed([_name(*one) for one in others])}")


def _name(owner: str, item: str) -> str:
    return f"{item} {owner}" if item in _WHOLE else f"{item} on {owner}"


def _listed(names: Sequence[str]) -> str:
    rest = len(names) - LARGEST_LIST
    shown = ", ".join(names[:LARGEST_LIST])
    return f"{shown} and {rest} more" if rest > 0 else shown
