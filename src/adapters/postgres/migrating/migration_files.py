"""Files of migrations: numbered, in dbmate's format, with their kind, their locks and a checksum of the text."""

import hashlib
import re
from collections.abc import Iterable
from importlib.resources import files
from itertools import pairwise
from typing import Literal, get_args

import msgspec

_NAME = re.compile(r"(\d{4})_([a-z0-9_]+)\.sql\Z")
_UP = re.compile(r"^-- migrate:up( transaction:false)?\s*$", re.MULTILINE)
_DOWN = re.compile(r"^-- migrate:down( transaction:false)?\s*$", re.MULTILINE)
_KIND = re.compile(r"^-- kind: (before|after)\n", re.MULTILINE)
_LOCKS = re.compile(r"^-- locks: (.+)\n", re.MULTILINE)
_FORMERLY = re.compile(r"^-- formerly: ([0-9a-f]{64})\n", re.MULTILINE)

Kind = Literal["before", "after"]
"""Before: servers of the previous version go on. After: it runs once no server of the previous version is left."""
LockMode = Literal["ACCESS EXCLUSIVE", "EXCLUSIVE", "SHARE ROW EXCLUSIVE", "SHARE", "SHARE UPDATE EXCLUSIVE"]
"""The locks of tables that conflict with each other, strongest first. Those of requests are weaker and not declared."""


class TableLock(msgspec.Struct, frozen=True):
    """A lock that a migration takes on a table that exists already."""

    table: str
    mode: LockMode


class Migration(msgspec.Struct, frozen=True):
    """One change of the schema, and the statements that undo it."""

    version: str
    name: str
    up: str
    down: str
    checksum: str
    kind: Kind
    locks: tuple[TableLock, ...] = ()
    in_transaction: bool = True
    down_in_transaction: bool = True
    former_checksums: frozenset[str] = frozenset()
    """Checksums of earlier forms of the file, which ran on databases of unreleased versions."""

    @property
    def full_name(self) -> str:
        """The number and the words of the file's name."""
        return f"{self.version}_{self.name}"


def parse(file_name: str, text: str) -> Migration:
    """Parse one file; ValueError holds the reason where it is malformed."""
    name = _NAME.match(file_name)
    if name is None:
        raise ValueError(f"{file_name}: the name of a migration looks like 0001_words.sql")
    up, down = _UP.search(text), _DOWN.search(text)
    if up is None or down is None or down.start() < up.start():
        raise ValueError(f"{file_name}: '-- migrate:up' and then '-- migrate:down' are needed")
    header = text[: up.start()]
    kind, locks = _KIND.search(header), _LOCKS.search(header)
    if kind is None or locks is None:
        raise ValueError(
            f"{file_name}: '-- kind: before' (or after) and '-- locks: none' (or TABLE MODE, ...) are needed"
        )
    return Migration(
        version=name[1],
        name=name[2],
        up=text[up.end() : down.start()].strip(),
        down=text[down.end() :].strip(),
        checksum=hashlib.sha256(f"{_without_facts(header)}{text[up.start() :]}".encode()).hexdigest(),
        kind="before" if kind[1] == "before" else "after",
        locks=tuple(_table_lock(file_name, text) for text in locks[1].split(", ") if text != "none"),
        in_transaction=up[1] is None,
        down_in_transaction=down[1] is None,
        former_checksums=frozenset(_FORMERLY.findall(header)),
    )


def _without_facts(header: str) -> str:
    """Return a header without the lines that were added to files which had run already."""
    return _FORMERLY.sub("", _LOCKS.sub("", _KIND.sub("", header)))


def _table_lock(file_name: str, text: str) -> TableLock:
    table, _, mode = text.partition(" ")
    for known in get_args(LockMode):
        if mode == known:
            return TableLock(table, known)
    raise ValueError(f"{file_name}: a lock is TABLE MODE, with one of the modes {', '.join(get_args(LockMode))}")


def split(text: str) -> list[str]:
    """Split a text into statements; a semicolon between dollar quotes does not end a statement."""
    statements = [""]
    for number, part in enumerate(text.split("$$")):
        if number % 2:
            statements[-1] += f"$${part}$$"
        else:
            first, *others = part.split(";\n")
            statements[-1] += first
            statements += others
    return [statement.strip() for statement in statements if statement.strip()]


def in_order(migrations: Iterable[Migration]) -> list[Migration]:
    """Return migrations by version, which may skip numbers; ValueError where two have one number."""
    ordered = sorted(migrations, key=lambda migration: migration.version)
    for one, other in pairwise(ordered):
        if one.version == other.version:
            raise ValueError(f"two migrations have the number {one.version}")
    return ordered


def shipped() -> list[Migration]:
    """Return the migrations of this version, in order."""
    folder = files("tallystick.adapters.postgres") / "migrations"
    return in_order(
        parse(file.name, file.read_text(encoding="utf-8")) for file in folder.iterdir() if file.name[0] != "_"
    )
