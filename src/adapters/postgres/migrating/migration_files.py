"""Files of migrations: numbered, in dbmate's format, with a checksum of the text."""

import hashlib
import re
from collections.abc import Iterable
from importlib.resources import files
from itertools import pairwise

import msgspec

_NAME = re.compile(r"(\d{4})_([a-z0-9_]+)\.sql\Z")
_UP = re.compile(r"^-- migrate:up( transaction:false)?\s*$", re.MULTILINE)
_DOWN = re.compile(r"^-- migrate:down( transaction:false)?\s*$", re.MULTILINE)


class Migration(msgspec.Struct, frozen=True):
    """One change of the schema, and the statements that undo it."""

    version: str
    name: str
    up: str
    down: str
    checksum: str
    in_transaction: bool = True
    down_in_transaction: bool = True


def parse(file_name: str, text: str) -> Migration:
    """Parse one file; ValueError holds the reason where it is malformed."""
    name = _NAME.match(file_name)
    if name is None:
        raise ValueError(f"{file_name}: the name of a migration looks like 0001_words.sql")
    up, down = _UP.search(text), _DOWN.search(text)
    if up is None or down is None or down.start() < up.start():
        raise ValueError(f"{file_name}: '-- migrate:up' and then '-- migrate:down' are needed")
    return Migration(
        version=name[1],
        name=name[2],
        up=text[up.end() : down.start()].strip(),
        down=text[down.end() :].strip(),
        checksum=hashlib.sha256(text.encode()).hexdigest(),
        in_transaction=up[1] is None,
        down_in_transaction=down[1] is None,
    )


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
