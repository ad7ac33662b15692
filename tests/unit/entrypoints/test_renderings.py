"""Rows as lines: whole, in both formats, with any text."""

import csv
import io
from datetime import UTC, datetime
from typing import get_args

import msgspec
import pytest

from tallystick.domain.exports import ROWS, EntryView, ExportedCode, ExportedEdge, ExportKind
from tallystick.entrypoints.renderings import Rendering

NOW = datetime(2026, 1, 1, 12, 30, 0, 5, tzinfo=UTC)


def an_entry(reason: str) -> EntryView:
    places = ("ada", "credits", 1, 2, 3, 5, "grant", "0012E34", reason, None, None, None, "request", NOW)
    return EntryView(*places)  # type: ignore[arg-type]  # in the order of the fields


def test_every_kind_has_its_row_and_its_place() -> None:
    assert set(ROWS) == set(get_args(ExportKind))
    assert an_entry("because").position == ("ada", "credits", 1)
    assert [type(each) for each in an_entry("because").position] == [type(each) for each in EntryView.start]


@pytest.mark.parametrize("reason", ["=1+1", 'say "hi"', "a,b", "line\r\nbreak", " spaces ", "Ærø", "'", "NULL", "007"])
def test_a_text_comes_back_as_it_was(reason: str) -> None:
    entry = an_entry(reason)

    as_csv = Rendering("entries", "csv").lines([entry]).decode()
    as_json = Rendering("entries", "jsonl").lines([entry])

    (line,) = csv.reader(io.StringIO(as_csv, newline=""), strict=True)
    assert line[8] == reason
    assert as_json.count(b"\n") == 1
    assert msgspec.json.decode(as_json, type=EntryView) == entry


def test_null_is_an_empty_field_and_times_are_as_on_the_wire() -> None:
    rows = [ExportedEdge("bob", "ada", None, NOW), ExportedCode("0012E34", "ada", NOW, None)]  # type: ignore[arg-type]

    assert Rendering("edges", "csv").lines(rows) == (
        b"bob,ada,,2026-01-01T12:30:00.000005Z\r\n0012E34,ada,2026-01-01T12:30:00.000005Z,\r\n"
    )


def test_the_fields_stand_before_the_rows_of_csv_alone() -> None:
    assert Rendering("edges", "csv").opening() == b"invitee_id,inviter_id,code,created_at\r\n"
    assert Rendering("edges", "jsonl").opening() == b""
