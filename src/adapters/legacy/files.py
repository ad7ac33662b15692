"""Legacy users in a file of JSON Lines or CSV: read line by line; one malformed line does not stop the others."""

import csv
import hashlib
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import IO, Literal

import msgspec

from tallystick.adapters.legacy.csv_headers import ColumnPath, Header, delimiter_of, header_of, no_header, separator_of
from tallystick.adapters.legacy.sources import BATCH, LONGEST_LINE
from tallystick.domain.backfill import LISTED
from tallystick.domain.legacy import NO_WORDS, AbsentWords, Column, LegacyRecord, MalformedRecord, Value, read_record
from tallystick.domain.legacy_sources import LegacySource, MalformedLine, SourceBatch, SourceError

FileFormat = Literal["jsonl", "csv"]

_BOM = b"\xef\xbb\xbf"
_UTF16 = (b"\xff\xfe", b"\xfe\xff")
NOT_UTF8 = "the line is not UTF-8"
_TOO_LONG = f"the line is longer than {LONGEST_LINE} bytes"
_BLOCK = 2**20
_LONGEST_NAME = 100
_DECODER = msgspec.json.Decoder(dict[str, object])

_Line = tuple[int, Mapping[str, Value] | str]
"""The number of a line with its fields, or with the reason why it cannot be read."""


class FileSource(LegacySource):
    """A file. Dots lead into objects, as in `raw_user_meta_data.referral_id`.

    An object is a JSON object, or a text that holds one, as exports of tables write it.
    """

    def __init__(
        self, path: Path, file_format: FileFormat, names: Mapping[Column, str], absent: AbsentWords = NO_WORDS
    ) -> None:
        self._path, self._format, self._names, self._absent = path.resolve(), file_format, dict(names), absent
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

    async def batches(self) -> AsyncIterator[SourceBatch]:
        self._digest, self._ignored = hashlib.sha256(), {}
        try:
            size = max(self._path.stat().st_size, 1)
            with self._path.open("rb") as file:
                if file.peek(2).startswith(_UTF16):
                    raise SourceError("the file is UTF-16: save it as UTF-8, for example by iconv -f UTF-16 -t UTF-8")
                lines = self._json_lines(file) if self._format == "jsonl" else self._csv_lines(file)
                records: list[LegacyRecord] = []
                malformed: list[MalformedLine] = []
                for number, fields in lines:
                    record = self._read(number, fields)
                    if isinstance(record, MalformedLine):
                        malformed.append(record)
                    else:
                        records.append(record)
                    if len(records) + len(malformed) == BATCH:
                        yield SourceBatch(records, malformed, min(file.tell() / size, 1.0))
                        records, malformed = [], []
                yield SourceBatch(records, malformed, 1.0)
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

    def _read(self, number: int, fields: Mapping[str, Value] | str) -> LegacyRecord | MalformedLine:
        if isinstance(fields, str):
            return MalformedLine(number, fields)
        try:
            return read_record(number, fields, self._absent)
        except MalformedRecord as error:
            return MalformedLine(number, str(error))

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
                yield number, "the line is not a JSON object"
                continue
            except UnicodeDecodeError:
                yield number, NOT_UTF8
                continue
            if not used.issuperset(fields):
                self._ignore(fields.keys() - used)
            try:
                yield number, {column: self._inside(column, fields, path) for column, path in paths.items()}
            except MalformedRecord as error:
                yield number, str(error)

    def _csv_lines(self, file: IO[bytes]) -> Iterator[_Line]:
        too_long = list[bytes]()

        def texts() -> Iterator[str]:
            for line in self._lines(file):
                if _is_too_long(line):
                    too_long.append(line)
                # The beginning of the line could still look like a record.
                yield "\n" if _is_too_long(line) else line.decode("utf-8", "surrogateescape")

        csv.field_size_limit(LONGEST_LINE)
        lines = texts()
        first = next(lines, "").removeprefix("\ufeff")
        separator = separator_of(first)
        skipped = 0 if separator is None else 1
        delimiter = separator or delimiter_of(first, self._names["user_id"])
        rows = csv.reader(lines if skipped else chain([first], lines), strict=True, delimiter=delimiter)
        try:
            header = header_of(next(rows, []), delimiter)
        except csv.Error:
            raise no_header() from None
        paths = header.paths(self._names)
        used = {path.field for path in paths.values()}
        self._ignore(name for index, name in enumerate(header.names) if index not in used)
        while True:
            number = rows.line_num + 1 + skipped
            try:
                row = next(rows, None)
            except csv.Error as error:
                end = rows.line_num + skipped
                there = "the line" if end == number else f"the text from here to line {end}"
                yield number, f"{there} is not CSV: {error}"
                continue
            if row is None:
                return
            if too_long:
                too_long.clear()
                yield number, _TOO_LONG
            elif row:
                yield number, self._fields(row, header, paths)

    def _fields(self, row: list[str], header: Header, paths: Mapping[Column, ColumnPath]) -> Mapping[str, Value] | str:
        if len(row) != len(header.names):
            return f"the line has {len(row)} fields, the first line has {len(header.names)}"
        try:
            for value in row:
                value.encode()
        except UnicodeEncodeError:
            return NOT_UTF8
        try:
            return {column: self._inside(column, row[path.field], path.members) for column, path in paths.items()}
        except MalformedRecord as error:
            return str(error)

    def _inside(self, column: Column, value: Value, path: tuple[str, ...]) -> Value:
        """Follow a path into objects, which may be JSON texts. MalformedRecord where a value is not an object."""
        for name in path:
            if isinstance(value, str):
                value = None if self._absent.contains(value) or not value.strip() else _object_in(column, value)
            if value is None:
                return None
            if not isinstance(value, dict):
                raise _no_object(column)
            value = value.get(name)
        return value

    def _ignore(self, names: Iterable[str]) -> None:
        """Note columns that are not used, up to a bound."""
        for name in names:
            if len(self._ignored) < LISTED and len(name) <= _LONGEST_NAME:
                self._ignored[name] = None

    def _lines(self, file: IO[bytes]) -> Iterator[bytes]:
        """Return the lines; of a line that is too long, only its beginning."""
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


def _object_in(column: Column, text: str) -> Mapping[str, Value]:
    try:
        return _DECODER.decode(text)
    except (msgspec.DecodeError, RecursionError, UnicodeEncodeError):
        raise _no_object(column) from None


def _no_object(column: Column) -> MalformedRecord:
    return MalformedRecord(f"{column} is a field of a JSON object, and the value is not a JSON object")
