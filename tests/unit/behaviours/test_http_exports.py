"""The route of exports, as its caller sees it."""

import csv
import io
import json

import pytest

from tests.http.services import Caller
from tests.http.wallets import UTC_TIME, funded, grant, said
from tests.unit.behaviours.test_http_referrals import code_of

EXPORT = "/api/admin/export"
REASONS = ['=HYPERLINK("https://evil.example","x")', "commas, and ; and \t no".replace("\t", " "), "Ærø, «ß»", "-1+1"]
FIELDS = {
    "codes": "code,user_id,created_at,retired_at",
    "aliases": "user_id,code,created_at,demoted_at,retired_at",
    "edges": "invitee_id,inviter_id,code,created_at",
    "entries": (
        "user_id,unit,seq,amount,balance_before,balance_after,event_type,event_key,reason,staff_id,tier_before,"
        "tier_after,correlation_id,created_at"
    ),
    "conflicts": "code,user_id,kept_by,reason,created_at",
}


def exporter(anyone: Caller) -> Caller:
    return anyone.named("exporter", "admin:export")


class TestExportRoutes:
    async def test_json_lines_are_the_default(self, anyone: Caller) -> None:
        code = await code_of(anyone, "ada")
        await anyone.named("bob").post("/api/users/upsert", {"referred_by": code})

        codes = await exporter(anyone).get(f"{EXPORT}/codes")
        edges = await exporter(anyone).get(f"{EXPORT}/edges?format=jsonl")

        assert codes.headers["content-type"] == "application/x-ndjson"
        assert codes.headers["content-disposition"] == 'attachment; filename="tallystick-codes.jsonl"'
        assert codes.headers["cache-control"] == "no-store"
        (shown,) = [json.loads(line) for line in codes.text.splitlines()]
        assert UTC_TIME.match(shown.pop("created_at"))
        assert shown == {"code": code, "user_id": "ada", "retired_at": None}
        (edge,) = [json.loads(line) for line in edges.text.splitlines()]
        assert (edge["invitee_id"], edge["inviter_id"], edge["code"]) == ("bob", "ada", code)

    @pytest.mark.parametrize("kind", FIELDS)
    async def test_csv_names_its_fields_even_where_nothing_is(self, anyone: Caller, kind: str) -> None:
        empty = await exporter(anyone).get(f"{EXPORT}/{kind}?format=csv")
        lines = await exporter(anyone).get(f"{EXPORT}/{kind}")

        assert empty.text == f"{FIELDS[kind]}\r\n"
        assert empty.headers["content-type"] == "text/csv; charset=utf-8"
        assert empty.headers["content-disposition"] == f'attachment; filename="tallystick-{kind}.csv"'
        assert lines.content == b""

    async def test_both_formats_say_the_same_and_texts_come_back_as_they_were(self, anyone: Caller) -> None:
        for number, reason in enumerate(REASONS):
            assert (await grant(anyone, "ada", number + 1, reason=reason)).status_code == 200
        listed = (await anyone.named("ada").get("/api/credits/entries")).json()["items"]

        as_json = await exporter(anyone).get(f"{EXPORT}/entries")
        as_csv = await exporter(anyone).get(f"{EXPORT}/entries?format=csv")

        rows = [json.loads(line) for line in as_json.text.splitlines()]
        assert rows == listed[::-1]
        assert [row["reason"] for row in rows] == REASONS
        expected = [{name: "" if value is None else str(value) for name, value in row.items()} for row in rows]
        assert list(csv.DictReader(io.StringIO(as_csv.text, newline=""), strict=True)) == expected

    @pytest.mark.parametrize("asked", ["entries?format=xml", "entries?format=", "users", "users?format=csv"])
    async def test_a_kind_that_cannot_be_exported_is_named(self, anyone: Caller, asked: str) -> None:
        refused = await exporter(anyone).get(f"{EXPORT}/{asked}")

        assert said(refused) == [(400, "INVALID_REQUEST")]
        name = "format" if "entries" in asked else "kind"
        assert [fault["name"] for fault in refused.json()["errors"]] == [name]

    async def test_nobody_exports_without_the_permission(self, anyone: Caller) -> None:
        await funded(anyone, "ada", 1)

        refused = await anyone.named("ada", "admin:read", "admin:users").get(f"{EXPORT}/entries")

        assert (refused.status_code, refused.json()["permission"]) == (403, "admin:export")
