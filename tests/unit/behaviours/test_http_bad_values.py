"""Values that no route of wallets takes: refused with a pointer, and nothing is stored."""

import json
from typing import Any

import pytest
from httpx2 import Response

from tests.http.services import Caller
from tests.http.wallets import BATCH, balance, funded, invited, offered, said, uses_left
from tests.unit.behaviours.test_http_sign_up import SIGN_UP, who


def given(values: dict[str, Any]) -> dict[str, Any]:
    """Return what stands for something where null stands for absent."""
    return {name: value for name, value in values.items() if value is not None}


STAFF = (
    *("credits:grant", "invites:create", "purchases:batch", "loyalty:award", "loyalty:batch", "slips:write"),
    "rewards:offer",
    "admin:flags",
)
NUMBERS: dict[str, Any] = {
    "zero": 0,
    "one below": -1,
    "the smallest of 64 bits": -(2**63),
    "below 64 bits": -(2**63) - 1,
    "one too many": 1_000_000_001,
    "the largest of JavaScript": 2**53 - 1,
    "nearly 64 bits": 2**63 - 1,
    "past 64 bits": 2**63,
    "past 64 bits without a sign": 2**64,
    "huge": 10**400,
    "a fraction": 1.5,
    "a whole fraction": 1.0,
    "an exponent": 1e3,
    "a string": "1",
    "true": True,
    "null": None,
    "a list": [1],
    "an object": {"value": 1},
}
TEXTS: dict[str, Any] = {
    "empty": "",
    "a number": 1,
    "true": True,
    "null": None,
    "a list": ["x"],
    "NUL": "a\x00b",
    "half a character": "\ud800",
    "a line break": "a\nb",
    "a bell": "a\x07b",
    "endless": "x" * 5000,
}
IDS = {**TEXTS, "a space": "ada lovelace", "an accent": "adá", "129 characters": "x" * 129, "a slash": "a/b"}
CODES = {
    "empty": "",
    "three characters": "ABC",
    "33 characters": "A" * 33,
    "a sign": "ABCD!",
    "not ASCII": "ＡＢＣＤ1234",
    "a number": 1234,
    "true": True,
    "a list": ["ABCD"],
    "NUL": "ABCD\x00",
    "endless": "A" * 1025,
}
TIMES = {
    "naive": "2030-01-01T00:00:00",
    "a date": "2030-01-01",
    "no month": "2030-13-01T00:00:00Z",
    "seconds since 1970": 1893456000,
    "words": "tomorrow",
    "empty": "",
    "true": True,
    "before every zone": "0001-01-01T00:00:00+14:00",
    "after every zone": "9999-12-31T23:59:59-14:00",
    "the year 10000": "10000-01-01T00:00:00Z",
    "the last moment of the calendar": "9999-12-31T23:59:59.999999Z",
    "the first moment of the calendar": "0001-01-01T00:00:00Z",
    "the year 1": "0001-12-31T23:59:59Z",
    "the year 9999": "9999-01-01T00:00:00Z",
    "the year 9998 of another zone": "9998-12-31T23:00:00-12:00",
}
SIGN_UP_FIELDS: dict[str, dict[str, Any]] = {
    "userId": {"a number": 1, "null": None, "129 characters": "x" * 129, "NUL": "ada\x00"},
    "email": {"none": "none", "a line break": "a@b\n", "a number": 1, "too long": f"{'x' * 251}@b.c", "NUL": "\x00@b"},
    "password": {"a number": 12345678, "NUL": "a good\x00password", "a list": ["password"]},
    "username": {"empty": "", "129 characters": "x" * 129, "a bell": "a\x07", "null": None, "true": True},
    "displayName": {"empty": "", "129 characters": "x" * 129, "a line break": "a\nb", "null": None},
    "inviteCode": {"a number": 1, "null": None, "too long": "A" * 1025, "NUL": "ABCD\x00"},
    "phone": {"words": "call me", "a number": 4512345678, "too long": "1" * 40, "null": None, "a line": "+45\n123"},
}


LONG = {"a number": 1, "NUL": "a\x00", "2001 characters": "x" * 2001, "true": True}
SWITCHES = {"zero": 0, "one": 1, "a string": "false", "a list": []}
NOT_TEXT = {name: CODES[name] for name in ("a number", "true", "a list", "NUL", "endless")}
GRANT = {"user_id": "ada", "amount": 1, "reason": "r", "event_key": "e"}
REWARD = {"name": "n", "cost": 1}
INVITE = {"max_uses": 1}
CHANGE = "/api/rewards/{reward}"
AWARD = {"player_id": "ada", "points": 1, "reason": "r"}
SLIP = {"player_id": "ada", "game": "slots", "average_bet": 1}
EVENT = {"player_id": "ada", "points": 1, "event_type": "promotion", "event_key": "e"}
EVENT_TYPES = {**TEXTS, "a capital": "Promotion", "a digit first": "1st", "a space": "a b", "65 characters": "x" * 65}

FIELDS: dict[tuple[str, str, str], tuple[dict[str, Any], dict[str, Any]]] = {
    ("POST", "/api/credits/grants", "amount"): (GRANT, NUMBERS),
    ("POST", "/api/credits/grants", "user_id"): (GRANT, IDS),
    ("POST", "/api/credits/grants", "reason"): (GRANT, TEXTS),
    ("POST", "/api/credits/grants", "event_key"): (GRANT, TEXTS),
    ("POST", "/api/rewards", "cost"): (REWARD, NUMBERS),
    ("POST", "/api/rewards", "name"): (REWARD, TEXTS),
    ("POST", "/api/rewards", "description"): (REWARD, LONG),
    ("PATCH", CHANGE, "cost"): ({}, NUMBERS),
    ("PATCH", CHANGE, "name"): ({}, TEXTS),
    ("PATCH", CHANGE, "description"): ({}, LONG),
    ("PATCH", CHANGE, "active"): ({}, {**SWITCHES, "null": None}),
    ("POST", "/api/invites", "max_uses"): (INVITE, NUMBERS),
    ("POST", "/api/invites", "code"): (INVITE, CODES),
    ("POST", "/api/invites", "expires_at"): (INVITE, TIMES),
    ("POST", "/api/loyalty/manual-rewards", "points"): (AWARD, NUMBERS),
    ("POST", "/api/loyalty/manual-rewards", "player_id"): (AWARD, IDS),
    ("POST", "/api/loyalty/manual-rewards", "reason"): (AWARD, TEXTS),
    ("POST", "/api/loyalty/manual-rewards", "reward_id"): (AWARD, given(TEXTS)),
    ("POST", "/api/rating-slips", "player_id"): (SLIP, IDS),
    ("POST", "/api/rating-slips", "game"): (
        SLIP,
        {name: CODES[name] for name in ("empty", "a number", "NUL", "endless")},
    ),
    ("POST", "/api/rating-slips", "average_bet"): (SLIP, NUMBERS),
    ("POST", "/api/rating-slips", "opened_at"): (SLIP, TIMES),
    ("POST", "/api/rating-slips/{slip}/complete", "average_bet"): ({}, given(NUMBERS)),
    ("POST", "/api/rating-slips/{slip}/complete", "closed_at"): ({}, TIMES),
    ("PUT", "/api/admin/flags/points_enabled", "enabled"): ({}, {**SWITCHES, "null": None}),
    ("POST", "/api/invites/redeem", "code"): ({}, NOT_TEXT),
    ("POST", "/api/invites/validate", "code"): ({}, NOT_TEXT),
}
"""A valid body of a route, and every value of one field that is refused."""


class TestBadValues:
    @pytest.mark.parametrize(("method", "path", "field"), FIELDS)
    async def test_a_wrong_value_is_named_and_nothing_is_stored(
        self, anyone: Caller, method: str, path: str, field: str
    ) -> None:
        owner, reward_id = anyone.named("owner", *STAFF), await offered(anyone, 40)
        await anyone.named("ada").post("/api/users/upsert", {})
        slip_id = (await owner.post("/api/rating-slips", SLIP)).json()["slip_id"]
        before, (body, values) = await everything(anyone), FIELDS[method, path, field]

        for name, value in values.items():
            refused = await owner.call(
                method, path.replace("{reward}", reward_id).replace("{slip}", slip_id), body={**body, field: value}
            )
            assert is_blamed(refused, field), (name, refused.text)

        assert await everything(anyone) == before

    @pytest.mark.parametrize("field", SIGN_UP_FIELDS)
    async def test_a_wrong_value_of_a_sign_up_takes_no_seat(self, anyone: Caller, field: str) -> None:
        invite, ada = await invited(anyone), anyone.named("ada")

        for name, value in SIGN_UP_FIELDS[field].items():
            refused = await ada.post(SIGN_UP, {**who("ada", invite["code"]), field: value})
            assert is_blamed(refused, field), (name, refused.text)

        assert await uses_left(anyone, invite) == 5
        assert (await ada.get("/api/me")).status_code == 404

    @pytest.mark.parametrize("field", ["user_id", "reward_id"])
    async def test_a_wrong_value_of_an_order_buys_nothing(self, anyone: Caller, field: str) -> None:
        till, reward_id = anyone.named("till", *STAFF), await offered(anyone, 40)
        ada, good = await funded(anyone, "ada", 100), {"user_id": "ada", "reward_id": reward_id}
        values = IDS if field == "user_id" else {"a number": 1, "null": None, "65 characters": "x" * 65, "NUL": "\x00"}

        for name, value in values.items():
            refused = await till.post(BATCH, {"orders": [good, {**good, field: value}]})
            assert is_blamed(refused, f"orders/1/{field}"), (name, refused.text)

        assert await balance(ada) == 100

    @pytest.mark.parametrize(
        ("field", "values"),
        [
            ("points", NUMBERS),
            ("player_id", IDS),
            ("event_type", EVENT_TYPES),
            ("event_key", TEXTS),
            ("reason", given(TEXTS)),
        ],
    )
    async def test_a_wrong_value_of_an_event_credits_nothing(
        self, anyone: Caller, field: str, values: dict[str, Any]
    ) -> None:
        till, ada = anyone.named("till", *STAFF), anyone.named("ada")
        await ada.post("/api/users/upsert", {})

        for name, value in values.items():
            refused = await till.post("/api/loyalty/accruals", {"events": [EVENT, {**EVENT, field: value}]})
            assert is_blamed(refused, f"events/1/{field}"), (name, refused.text)

        assert (await ada.get("/api/loyalty/ada")).json()["version"] == 0

    @pytest.mark.parametrize("path", ["/api/rewards/%00/purchase", "/api/rewards/%FF/purchase", "/api/invites/%00"])
    async def test_an_id_that_no_text_can_hold_is_nobodys(self, anyone: Caller, path: str) -> None:
        ada = await funded(anyone, "ada", 100)

        refused = await ada.call("GET" if "invites" in path else "POST", path)

        assert refused.status_code in {400, 404}


class TestLargestAmounts:
    async def test_the_largest_amounts_are_taken(self, anyone: Caller) -> None:
        largest = 1_000_000_000
        ada = await funded(anyone, "ada", largest)
        reward_id = await offered(anyone, largest)

        bought = await ada.post(f"/api/rewards/{reward_id}/purchase")

        assert (bought.json()["balance_before"], bought.json()["balance_after"]) == (largest, 0)
        assert (await invited(anyone, largest))["max_uses"] == largest


def is_blamed(refused: Response, field: str) -> bool:
    """Return whether an answer names a field as wrong; a value that JSON cannot hold is a fault of the whole body."""
    if said(refused) != [(400, "INVALID_REQUEST")]:
        return False
    return [fault["pointer"] for fault in refused.json()["errors"]] in ([f"/{field}"], [""])


async def everything(anyone: Caller) -> str:
    """Return what the routes show of everything that a refused request could have changed."""
    owner = anyone.named("owner")
    shown = [
        (await owner.get("/api/rewards")).json(),
        *[(await anyone.named(user).get("/api/credits")).json() for user in ("ada", "owner")],
        (await anyone.named("ada").get("/api/loyalty/ada")).json(),
        (await anyone.named("pit", "slips:write").get("/api/rating-slips")).json(),
        (await anyone.named("chief", "admin:flags").get("/api/admin/flags")).json(),
    ]
    return json.dumps(shown)
