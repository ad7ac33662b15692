"""Renderings: rows of an export as JSON Lines or as CSV."""

import csv
import io
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Literal

import msgspec

from tallystick.domain.exports import ROWS, ExportKind, ExportRow

Format = Literal["jsonl", "csv"]
FORMATS: tuple[Format, ...] = ("jsonl", "csv")
MEDIA_TYPES: Mapping[Format, str] = MappingProxyType({"jsonl": "application/x-ndjson", "csv": "text/csv"})


class Rendering:
    """Renders the rows of one kind, each on a line of its own; reading them back gives the stored values.

    In CSV (RFC 4180) the first line names the fields and null is an empty field, which no stored text is. Nothing is
    put before a text that a spreadsheet takes for a formula or a number: it would not be the same text any more.
    """

    def __init__(self, kind: ExportKind, form: Format) -> None:
        self._fields, self._form = ROWS[kind].__struct_fields__, form
        self._encoder = msgspec.json.Encoder()

    def opening(self) -> bytes:
        """Return what stands before all rows."""
        return _csv([self._fields]) if self._form == "csv" else b""

    def lines(self, rows: Sequence[ExportRow]) -> bytes:
        """Return the lines of some rows."""
        if self._form == "jsonl":
            return self._encoder.encode_lines(rows)
        return _csv([list(msgspec.to_builtins(row).values()) for row in rows])


def _csv(lines: Sequence[Sequence[object]]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text).writerows(lines)
    return text.getvalue().encode()
