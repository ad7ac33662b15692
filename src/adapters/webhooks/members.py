"""Members of a provider's body, found by the paths of the trust table."""

import re
from functools import cache
from typing import NamedTuple

from msgspec import UNSET

Fields = dict[str, object]

_FIRST = re.compile(r"[.\[]")
"""The characters that end the first member of a path."""


class _Step(NamedTuple):
    name: str
    entry: str | None
    """Which entry of the list is meant: "0", or the name of the member that holds the id of the entry."""


def member(user: Fields, path: str) -> object:
    """Return the value at a path of the trust table; UNSET where there is none."""
    steps = _steps(path)
    if steps is None:
        return user.get(path, UNSET)
    if not steps:
        texts = [text for part in path.split(" + ") if isinstance(text := member(user, part), str) and text.strip()]
        return " ".join(texts) if texts else UNSET
    found: object = user
    for step in steps:
        if not isinstance(found, dict) or step.name not in found:
            return UNSET
        found = found[step.name]
        if step.entry is not None:
            found = _entry(found, step.entry, user)
    return found


def is_named(user: Fields, path: str) -> bool:
    """Return whether a user has the member that a path begins with, with any value."""
    return not _first_members(path).isdisjoint(user)


def _entry(entries: object, entry: str, user: Fields) -> object:
    listed = [each for each in entries if isinstance(each, dict)] if isinstance(entries, list) else []
    if entry == "0":
        return listed[0] if listed else UNSET
    wanted = user.get(entry)
    # Only a text is an id: true, 1 and 1.0 are equal in Python, and would be the same id.
    return next((each for each in listed if isinstance(wanted, str) and each.get("id") == wanted), UNSET)


@cache
def _first_members(path: str) -> frozenset[str]:
    return frozenset(_FIRST.split(part, maxsplit=1)[0] for part in path.split(" + "))


@cache
def _steps(path: str) -> tuple[_Step, ...] | None:
    """Return the steps of a path; None for a member of the user itself, no step for texts that are joined."""
    if " + " in path:
        return ()
    if "." not in path and "[" not in path:
        return None
    steps = []
    for word in path.split("."):
        name, _, entry = word.partition("[")
        steps.append(_Step(name, entry.removesuffix("]") or None))
    return tuple(steps)
