"""Compares the manifest with a database: what is missing, what differs, and rights that the service must not have."""

import re
from collections.abc import Iterator, Sequence

from tallystick.adapters.postgres.contract.manifest import Found, Manifest, alternatives
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
    rf"CHECK \((?P<column>\w+) = (?:ANY \(ARRAY\[)?(?P<values>{_VALUE.pattern}(?:, {_VALUE.pattern})*)(?:\]\))?\)"
)
"""A constraint that lists the values of a column, as PostgreSQL prints it."""


def manifest_faults(expected: Manifest, found: Found, *, is_newer: bool = False) -> list[Fault]:
    """Return how the database differs from the manifest.

    Items that only the database has are faults where they refuse a write of this version, or give the service a right.
    If migrations of a newer version ran, rights that a version may need and wider lists of values are no faults.
    """
    changed = [one for one in changed_items(expected, found) if not (is_newer and _is_widened(expected, found, *one))]
    unprotected = [owner for owner, item in changed if item == "row level security"]
    return [
        *_missing_faults(list(_missing(expected, found))),
        *_definition_faults(expected, found, [one for one in changed if one[1] != "row level security"]),
        *([Fault("schema", f"row level security is not forced on: {_listed(unprotected)}")] if unprotected else ()),
        *_excess_faults([one for one in excess_items(expected, found) if not (is_newer and _is_ordinary(found, *one))]),
        *_obstacle_faults(found, list(obstacles(expected, found))),
    ]


def _missing(expected: Manifest, found: Found) -> Iterator[Item]:
    """Return the items that the database lacks; of a table that is missing, the table alone."""
    for owner, items in expected.items():
        needed = [item for item, definition in items.items() if None not in alternatives(definition)]
        if "table" in items and owner not in found:
            yield from ((owner, item) for item in needed if item == "table")
        else:
            of_owner = found.get(owner, {})
            # A grant on the table covers its columns.
            yield from ((owner, item) for item in needed if not {item, item.partition(" (")[0]} & of_owner.keys())


def excess_items(expected: Manifest, found: Found) -> Iterator[Item]:
    """Return the grants and policies of the service that only the database has, on what the manifest lists."""
    for owner, items in expected.items():
        for item in found.get(owner, {}):
            column = item.partition("(")[2].removesuffix(")")
            is_known = not column or f"column {column}" in items
            if item not in items and (item.startswith("policy ") or (item.startswith("grant ") and is_known)):
                yield owner, item


def changed_items(expected: Manifest, found: Found) -> Iterator[Item]:
    """Return the items whose definition is another one than that of the manifest."""
    for owner, items in expected.items():
        of_owner = found.get(owner, {})
        for item, definition in items.items():
            if item in of_owner and of_owner[item] not in alternatives(definition):
                yield owner, item


def _is_widened(expected: Manifest, found: Found, owner: str, item: str) -> bool:
    """Return whether a CHECK lists the values of a column, and lists more of them now."""
    now = _VALUES.fullmatch(found[owner][item])
    for definition in alternatives(expected[owner][item]):
        before = _VALUES.fullmatch(definition or "")
        if before is not None and now is not None and before["column"] == now["column"]:
            return set(_VALUE.findall(before["values"])) <= set(_VALUE.findall(now["values"]))
    return False


def _is_ordinary(found: Found, owner: str, item: str) -> bool:
    """Return whether an item gives the service a right that the code of a version may need."""
    if item.startswith("policy "):
        return found[owner][item].startswith("PERMISSIVE")
    return item.removeprefix("grant ").partition(" ")[0] in _ORDINARY_PRIVILEGES


def _obstacle_faults(found: Found, items: Sequence[Item]) -> Iterator[Fault]:
    if items:
        detail = "; ".join(found[owner][item] for owner, item in items[:LARGEST_LIST])
        names = _listed([_name(*one) for one in items])
        yield Fault("schema", f"the schema has rules that this version does not know: {names}", detail)


def _missing_faults(missing: Sequence[Item]) -> Iterator[Fault]:
    if missing:
        whole_first = sorted(missing, key=lambda one: one[1] not in _WHOLE)
        yield Fault("schema", f"the schema lacks: {_listed([_name(*one) for one in whole_first])}")


def _definition_faults(expected: Manifest, found: Found, changed: Sequence[Item]) -> Iterator[Fault]:
    for owner, item in changed[:LARGEST_LIST]:
        wanted = " or ".join(text for text in alternatives(expected[owner][item]) if text is not None)
        detail = f"expected {wanted}, found {found[owner][item]}"
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
