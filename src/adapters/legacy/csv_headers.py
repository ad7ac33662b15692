"""The first line of a CSV file: its delimiter, the names of its columns, and the positions of those that we use."""

import csv
import re
from collections.abc import Mapping
from typing import NamedTuple

from tallystick.domain.legacy import Column
from tallystick.domain.legacy_sources import SourceError

DELIMITERS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "vertical bars"}
"""Spreadsheets use the delimiter of their locale. The first delimiter that yields the column of user ids is used."""

_SEPARATOR_LINE = re.compile(r'"?sep=([,;|\t])"?\r?\n?\Z', re.IGNORECASE)


class ColumnPath(NamedTuple):
    """The position of a value in a row: a field, or a member of the JSON object in that field."""

    field: int
    members: tuple[str, ...] = ()


class Header(NamedTuple):
    """The names of the columns in their order."""

    delimiter: str
    names: list[str]

    def paths(self, wanted: Mapping[Column, str]) -> dict[Column, ColumnPath]:
        """Return the path of each column; SourceError if a given name is missing or ambiguous."""
        found: dict[Column, ColumnPath] = {}
        for column, name in wanted.items():
            path = self._path(name)
            if path is not None:
                found[column] = path
            elif column == "user_id" or name != column:
                raise SourceError(
                    f"the first line has no column {name}: name it by --map {column}=NAME. "
                    f"Columns may be separated by {_in_words(list(DELIMITERS.values()))}"
                )
        return found

    def _path(self, name: str) -> ColumnPath | None:
        for stem, path in _readings(name):
            if self.names.count(stem) > 1:
                raise SourceError(f"the first line has two columns {stem}")
            if stem in self.names:
                return ColumnPath(self.names.index(stem), path)
        return None


def separator_of(line: str) -> str | None:
    """Return the delimiter that a line such as `sep=;` names, as Excel writes it above the header."""
    match = _SEPARATOR_LINE.match(line)
    return match[1] if match is not None else None


def delimiter_of(line: str, user_id_name: str) -> str:
    """Return the delimiter that yields the column of user ids; a comma if none does."""
    return next((one for one in DELIMITERS if _has_column(line, one, user_id_name)), ",")


def header_of(names: list[str], delimiter: str) -> Header:
    """Return the header of a row of names; SourceError where it is not UTF-8."""
    try:
        "".join(names).encode()
    except UnicodeEncodeError:
        raise no_header() from None
    return Header(delimiter, [name.strip() for name in names])


def no_header() -> SourceError:
    """Return the error of a first line that names no columns."""
    return SourceError("the first line is not CSV in UTF-8: it has to name the columns")


def _has_column(line: str, delimiter: str, name: str) -> bool:
    try:
        names = [one.strip() for one in next(csv.reader([line], delimiter=delimiter), [])]
    except csv.Error:
        return False
    return any(stem in names for stem, _ in _readings(name))


def _readings(name: str) -> list[tuple[str, tuple[str, ...]]]:
    """Return the readings of a dotted name: a column of that name, or a path into a column's JSON object."""
    words = name.split(".")
    return [(".".join(words[:count]), tuple(words[count:])) for count in range(len(words), 0, -1)]


def _in_words(names: list[str]) -> str:
    return f"{', '.join(names[:-1])} or {names[-1]}"
