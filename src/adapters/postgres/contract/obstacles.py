"""Items that only the database has, and that can refuse a write of this version: it knows nothing of their rules."""

import re
from collections.abc import Iterator, Mapping

from tallystick.adapters.postgres.contract.manifest import Definition, Found, Manifest

_REFERENCE = re.compile(r"FOREIGN KEY .* REFERENCES (\w+)\(")
_RULES = ("CHECK", "UNIQUE", "EXCLUDE", "FOREIGN KEY", "CREATE UNIQUE INDEX")


def obstacles(expected: Manifest, found: Found) -> Iterator[tuple[str, str]]:
    """Return owners and items: columns that need a value, narrower rules, and references that hinder a deletion.

    A rule that names a column of its own is none: the migration that adds both has to accept rows without a value.
    """
    for owner, items in found.items():
        known = expected.get(owner)
        if known is None:
            yield from ((owner, item) for item in _hindering(expected, items))
        else:
            yield from ((owner, item) for item in _refusing(known, items))


def _refusing(known: Mapping[str, Definition], items: Mapping[str, str]) -> Iterator[str]:
    inserts, updates = (any(item.startswith(f"grant {right}") for item in known) for right in ("INSERT", "UPDATE"))
    added = [item.removeprefix("column ") for item in items if item.startswith("column ") and item not in known]
    for item, definition in items.items():
        if item in known:
            continue
        if item.startswith("column "):
            if inserts and "NOT NULL" in definition and " DEFAULT " not in definition and "GENERATED" not in definition:
                yield item
        elif (inserts or updates) and definition.startswith(_RULES) and not _names(definition, added):
            yield item


def _hindering(expected: Manifest, items: Mapping[str, str]) -> Iterator[str]:
    for item, definition in items.items():
        reference = _REFERENCE.match(definition)
        deletes = reference is not None and "grant DELETE" in expected.get(reference[1], {})
        if deletes and not re.search("ON DELETE (CASCADE|SET)", definition):
            yield item


def _names(definition: str, columns: list[str]) -> bool:
    return any(re.search(rf"\b{re.escape(column)}\b", definition) for column in columns)
