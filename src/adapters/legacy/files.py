"""Legacy users in a file of JSON Lines or CSV: read line by line, whatever a line holds."""

import csv
import hashlib
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, Literal

import msgspec

from adapters.legacy.sources import BATCH, LONGEST_LINE, Batch, Malformed, SourceError
from domain.backfill import LISTED
from domain.legacy import Column, LegacyRecord, MalformedRecord, Value, read_record

FileFormat = Literal["jsonl", "csv"]

_BOM = b"\xef\xbb\xbf"
_NOT_UTF8 = "the line is not UTF-8"
_TOO_LONG = f"the line is longer than {LONGEST_LINE} bytes"
_BLOCK = 2**20
_LONGEST_NAME = 100
_DECODER = msgspec.json.Decoder(dict[str, object])

_Line = tuple[int, Mapping[str, Value] | str]
"""The number of a line with its fields, or with what is wrong with it."""


class FileSource:
    """A file; a name inside an object is reached by dots, as in `raw_user_meta_data.referral_id`."""

    def __init__(self, path: Path, file_format: FileFormat, names: Mapping[Column, str]) -> None:
        self._path, self._format, self._names = path.resolve(), file_format, dict(names)
        self._ignored: dict[str, None] = {}
        self._digest = hashlib.sha256()

    @property
    def name(self) -> str:
        return str(self._path)

    @property
    def ignored(self) -> list[str]:
        return sorted(self._ignored)

    @property
    def fingerprint(self) -> str:
        return self._digest.hexdigest()

    async def batches(self) -> AsyncIterator[Batch]:
        self._digest, self._ignored = hashlib.sha256(), {}
        try:
            size = max(self._path.stat().st_size, 1)
            with self._path.open("rb") as file:
                lines = self._json_lines(file) if self._format == "jsonl" else self._csv_lines(file)
                records: list[LegacyRecord] = []
                malformed: list[Malformed] = []
                for number, fields in lines:
                    record = _read(number, fields)
                    if isinstance(record, Malformed):
                        malformed.append(record)
                    else:
                        records.append(record)
                    if len(records) + len(malformed) == BATCH:
                        yield Batch(records, malformed, min(file.tell() / size, 1.0))
                        records, malformed = [], []
                yield Batch(records, malformed, 1.0)
        except OSError as error:
            raise SourceError(f"the file cannot be read: {error.strerror}") from None

    async def rehash(self) -> AsyncIterator[float]:
        self._digest = hashlib.sha256()
        try:
            size = max(self._path.stat().st_size, 1)
            with self._path.open("rb") as file:
                while block := file.read(_BLOCK):
                    self._digest.update(block)
                    yield min(file.tell() / size, 1.0)
        except OSError as error:
            raise SourceError(f"the file cannot be read: {error.strerror}") from None

    def _json_lines(self, file: IO[bytes]) -> Iterator[_Line]:
        paths = {column: tuple(name.split(".")) for column, name in self._names.items()}
        used = {path[0] for path in paths.values()}
        for number, line in enumerate(self._lines(file), 1):
            if _is_too_long(line):
                yield number, _TOO_LONG
                continue
            text = line.removeprefix(_BOM) if number == 1 else line
            if not text.strip():
                continue
            try:
                fields = _DECODER.decode(text)
            except (msgspec.DecodeError, RecursionError):
                yield number, "the line is no JSON object"
                continue
            except UnicodeDecodeError:
                yield number, _NOT_UTF8
                continue
            if not used.issuperset(fields):
                self._ignore(fields.keys() - used)
            yield number, {column: _reach(fields, path) for column, path in paths.items()}

    def _csv_lines(self, file: IO[bytes]) -> Iterator[_Line]:
        too_long = list[bytes]()

        def texts() -> Iterator[str]:
            for line in self._lines(file):
                if _is_too_long(line):
                    too_long.append(line)
                # What is cut off could still look like a record.
                yield "\n" if _is_too_long(line) else line.decode("utf-8", "surrogateescape")

        csv.field_size_limit(LONGEST_LINE)
        rows = csv.reader(texts(), strict=True)
        header = _header(rows)
        places = self._places(header)
        self._ignore(name for name in header if name not in self._names.values())
        while True:
            number = rows.line_num + 1
            try:
                row = next(rows, None)
            except csv.Error as error:
                there = "the line" if rows.line_num == number else f"what stands from here to line {rows.line_num}"
                yield number, f"{there} is no CSV: {error}"
                continue
            if row is None:
                return
            if too_long:
                too_long.clear()
                yield number, _TOO_LONG
            elif row:
                yield number, self._fields(row, header, places)

    def _places(self, header: list[str]) -> Mapping[Column, int]:
        """Return where each column stands; SourceError where one that was named is missing or there twice."""
        for column, name in self._names.items():
            if header.count(name) > 1:
                raise SourceError(f"the first line has two columns {name}")
            if name not in header and (column == "user_id" or name != column):
                raise SourceError(f"the first line has no column {name}: name it by --map {column}=NAME")
        return {column: header.index(name) for column, name in self._names.items() if name in header}

    def _fields(self, row: list[str], header: list[str], places: Mapping[Column, int]) -> Mapping[str, Value] | str:
        if len(row) != len(header):
            return f"the line has {len(row)} fields, the first line has {len(header)}"
        fields: dict[str, Value] = {column: row[place] for column, place in places.items()}
        try:
            for value in row:
                value.encode()
        except UnicodeEncodeError:
            return _NOT_UTF8
        return fields

    def _ignore(self, names: Iterable[str]) -> None:
        """Note columns that are not used; a source that makes up names without end is not followed."""
        for name in names:
            if len(self._ignored) < LISTED and len(name) <= _LONGEST_NAME:
                self._ignored[name] = None

    def _lines(self, file: IO[bytes]) -> Iterator[bytes]:
        """Return the lines, each bounded: of one that is too long only its beginning is kept."""
        read: Callable[[int], bytes] = file.readline
        while line := read(LONGEST_LINE + 1):
            self._digest.update(line)
            rest = line
            while len(rest) > LONGEST_LINE and not rest.endswith(b"\n"):
                rest = read(LONGEST_LINE + 1)
                self._digest.update(rest)
            yield line


def _is_too_long(line: bytes) -> bool:
    return len(line) > LONGEST_LINE and not line.endswith(b"\n")


def _header(rows: Iterator[list[str]]) -> list[str]:
    try:
        header = [name.removeprefix("\ufeff").strip() for name in next(rows, [])]
        "".join(header).encode()
    except (csv.Error, UnicodeEncodeError):
        raise SourceError("the first line is no CSV in UTF-8: it has to name the columns") from None
    return header


def _read(number: int, fields: Mapping[str, Value] | str) -> LegacyRecord | Malformed:
    if isinstance(fields, str):
        return Malformed(number, fields)
    try:
        return read_record(number, fields)
    except MalformedRecord as error:
        return Malformed(number, str(error))


def _reach(fields: Mapping[str, Value], path: tuple[str, ...]) -> Value:
    value: Value = fields.get(path[0])
    for name in path[1:]:
        value = value.get(name) if isinstance(value, dict) else None
    return value
