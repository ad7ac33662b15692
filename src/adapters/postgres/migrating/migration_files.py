"""Migrations as files: dbmate's format, numbered, with a checksum over what was written."""

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
    """One step of the schema, with its way back."""

    version: str
    name: str
    up: str
    down: str
    checksum: str
    in_transaction: bool = True
    back_in_transaction: bool = True


def parse(file_name: str, text: str) -> Migration:
    """Read one file; ValueError says what is wrong with it."""
    name = _NAME.match(file_name)
    if name is None:
        raise ValueError(f"{file_name}: a migration is called 0001_words.sql")
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
        back_in_transaction=down[1] is None,
    )


def in_order(migrations: Iterable[Migration]) -> list[Migration]:
    """Return migrations by version, which may leave numbers out; ValueError where a number is there twice."""
    ordered = sorted(migrations, key=lambda migration: migration.version)
    for one, other in pairwise(ordered):
        if one.version == other.version:
            raise ValueError(f"migration {one.version} is there twice")
    return ordered


def shipped() -> list[Migration]:
    """Return the migrations of this version, in order."""
    folder = files("tallystick.adapters.postgres") / "migrations"
    return in_order(
        parse(file.name, file.read_text(encoding="utf-8")) for file in folder.iterdir() if file.name[0] != "_"
    )
