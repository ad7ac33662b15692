"""The rule for bodies, on every route of the document that takes one."""

import asyncio
import json
from typing import Any, get_args

import httpx2
import pytest

from tallystick.domain.identity import Permission
from tallystick.entrypoints.http import bodies
from tallystick.entrypoints.http.bodies import decode
from tallystick.entrypoints.http.refusals import InvalidRequest
from tallystick.entrypoints.http.strict_json import parse
from tests.http.services import Caller

KIB_64 = 64 * 1024
MALFORMED = {
    "no JSON": b"{",
    "two documents": b"{}{}",
    "a trailing comma": b'{"a":1,}',
    "not UTF-8": b'{"a":"\xff"}',
    "UTF-16": '{"a":1}'.encode("utf-16"),
    "a byte order mark": b"\xef\xbb\xbf{}",
    "duplicate keys": b'{"a":1,"a":1}',
    "duplicate keys inside": b'{"a":{"b":1,"b":2}}',
    "duplicate keys by escape": b'{"a":1,"\\u0061":2}',
    "NUL": b'{"a":"\\u0000"}',
    "NUL in a key": b'{"\\u0000":1}',
    "half a surrogate pair": b'{"a":"\\ud800"}',
    "nesting of 33": b'{"a":' * 33 + b"1" + b"}" * 33,
    "nesting of 10,000": b"[" * 10_000 + b"]" * 10_000,
    "nesting hidden behind a string": b'{"[":' + b"[" * 40 + b"]" * 40 + b"}",
    "NaN": b'{"a":NaN}',
    "Infinity": b'{"a":-Infinity}',
    "an endless number": b'{"a":' + b"9" * 5000 + b"}",
    "an array": b"[]",
    "a string": b'"a"',
    "a number": b"1",
    "true": b"true",
    "an unknown field": b'{"no_route_knows_this":1}',
}


async def routes_with_bodies(anyone: Caller) -> list[tuple[str, str]]:
    """Return method and path of every documented route that takes a JSON body.

    The webhook reads its body once the signature is valid: tests/unit/behaviours/test_http_webhooks.py has its faults.
    """
    document = (await anyone.get("/schema/openapi.json")).json()
    return [
        (method.upper(), path.replace("{", "").replace("}", ""))
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
        if "requestBody" in operation and path != "/api/webhooks/auth"
    ]


@pytest.mark.parametrize("name", MALFORMED)
async def test_a_malformed_body_is_refused_with_a_pointer_and_nothing_is_stored(anyone: Caller, name: str) -> None:
    staff = anyone.named("ada", *get_args(Permission))
    routes = await routes_with_bodies(anyone)
    assert ("POST", "/api/users/upsert") in routes

    for method, path in routes:
        refused = await staff.call(method, path, raw=MALFORMED[name])
        assert (refused.status_code, refused.json()["code"]) == (400, "INVALID_REQUEST"), (path, refused.text)
        assert refused.headers["content-type"] == "application/problem+json"
        assert all(set(fault) == {"in", "pointer", "message"} for fault in refused.json()["errors"])
    assert (await staff.get("/api/me")).status_code == 404


async def test_a_body_has_to_be_json_by_its_header(anyone: Caller) -> None:
    for method, path in await routes_with_bodies(anyone):
        for content_type in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""):
            staff = anyone.named("ada", *get_args(Permission))
            refused = await staff.call(method, path, raw=b"{}", headers={"content-type": content_type})
            assert (refused.status_code, refused.json()["code"]) == (415, "UNSUPPORTED_MEDIA_TYPE"), content_type


async def test_parameters_of_the_header_do_not_matter(anyone: Caller) -> None:
    for content_type in ("application/json; charset=utf-8", "Application/JSON", "application/json;charset=latin-1"):
        taken = await anyone.named("ada").call(
            "POST", "/api/users/upsert", raw='{"display_name":"Adá"}'.encode(), headers={"content-type": content_type}
        )
        assert taken.status_code == 200


async def test_a_body_has_at_most_64_kib(anyone: Caller) -> None:
    def body(size: int) -> bytes:
        return b'{"referred_by":"' + b"x" * (size - len(b'{"referred_by":""}')) + b'"}'

    taken = await anyone.named("ada").call("POST", "/api/users/upsert", raw=body(KIB_64))
    refused = await anyone.named("ada").call("POST", "/api/users/upsert", raw=body(KIB_64 + 1))

    assert taken.status_code == 200
    assert (refused.status_code, refused.json()["limit_bytes"]) == (413, KIB_64)


async def test_a_body_that_grows_past_its_announcement_is_cut_off(anyone: Caller) -> None:
    async def chunks() -> Any:
        for _ in range(100):
            yield b"x" * 1024

    refused = await anyone.http.post(
        "/api/users/upsert",
        content=chunks(),
        headers={"content-type": "application/json", "authorization": anyone.named("ada")._authorization or ""},
    )

    assert refused.status_code == 413


async def test_a_body_that_does_not_come_is_not_waited_for(anyone: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "BODY_SECONDS", 0.01)

    async def silence() -> Any:
        yield b"{"
        await asyncio.Event().wait()

    refused = await anyone.http.post(
        "/api/users/upsert",
        content=silence(),
        headers={"content-type": "application/json", "authorization": anyone.named("ada")._authorization or ""},
    )

    assert (refused.status_code, refused.json()["code"]) == (408, "BODY_TOO_SLOW")


async def test_a_request_without_a_body_needs_no_content_type(anyone: Caller) -> None:
    bare = await anyone.named("ada").call("POST", "/api/referral/remint")
    empty = await anyone.named("ada").call("POST", "/api/referral/remint", raw=b"{}")
    missing = await anyone.named("ada").call("POST", "/api/users/upsert")

    assert (bare.status_code, empty.status_code) == (200, 200)
    assert (missing.status_code, missing.json()["code"]) == (400, "INVALID_REQUEST")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("email", 1),
        ("email", ""),
        ("email", "none"),
        ("email", "a@b\n"),
        ("email", "a b@c"),
        ("email", f"{'x' * 251}@b.c"),
        ("username", True),
        ("username", ""),
        ("username", "x" * 129),
        ("username", "line\nbreak"),
        ("display_name", ["Ada"]),
        ("display_name", {"first": "Ada"}),
        ("display_name", "bell\x07"),
        ("display_name", "next line\x85"),
        ("display_name", "line separator\u2028"),
        ("phone", 4512345678),
        ("phone", "call me"),
        ("phone", "+45\n123"),
        ("phone", "1" * 40),
        ("referred_by", 7),
        ("referred_by", 1.5),
    ],
)
async def test_a_wrong_value_is_named_by_its_pointer_and_not_repeated(anyone: Caller, field: str, value: Any) -> None:
    refused = await anyone.named("ada").post("/api/users/upsert", {field: value})

    assert refused.status_code == 400
    assert [fault["pointer"] for fault in refused.json()["errors"]] == [f"/{field}"]
    assert not isinstance(value, str) or len(value) < 2 or value not in refused.text
    assert (await anyone.named("ada").get("/api/me")).status_code == 404


async def test_null_stands_for_absent(anyone: Caller) -> None:
    ada = anyone.named("ada")
    await ada.post("/api/users/upsert", {"display_name": "Ada"})

    taken = await ada.post("/api/users/upsert", {"email": None, "display_name": None, "referred_by": None})

    assert taken.status_code == 200
    assert (await ada.get("/api/me")).json()["display_name"] == "Ada"


def test_nesting_of_32_is_taken() -> None:
    assert parse(b"[" * 32 + b"]" * 32)


def test_brackets_in_strings_are_no_nesting() -> None:
    assert parse(json.dumps({"a": "[" * 100, "b": '"[[[' * 20, "\\": "\\"}).encode())


def test_an_unclosed_string_of_quotes_is_no_trap() -> None:
    with pytest.raises(InvalidRequest):
        parse(b"[" * 33 + b'"' + b'\\"' * 30_000)


def test_strings_numbers_and_booleans_are_not_taken_for_each_other() -> None:
    for body, expected in ((b'"1"', int), (b"1.0", int), (b"true", int), (b"1", str), (b"1", bool), (b"null", int)):
        with pytest.raises(InvalidRequest):
            decode(body, expected)


async def test_a_client_that_goes_away_is_no_error(anyone: Caller, capsys: pytest.CaptureFixture[str]) -> None:
    app = anyone.http._transport.app  # type: ignore[attr-defined]  # the transport of this process
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    authorization = (anyone.named("ada")._authorization or "").encode()
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/api/users/upsert",
        "raw_path": b"/api/users/upsert",
        "query_string": b"",
        "root_path": "",
        "scheme": "https",
        "http_version": "1.1",
        "headers": [(b"host", b"x"), (b"authorization", authorization), (b"content-type", b"application/json")],
        "client": ("203.0.113.7", 50000),
        "server": ("go.example.org", 443),
    }

    await app(scope, receive, send)

    assert sent == []
    assert "request failed" not in capsys.readouterr().out


async def test_a_content_length_that_is_none_is_refused(anyone: Caller) -> None:
    for length in ("-1", "1e3", "many", "9" * 30):
        refused = await anyone.named("ada").call(
            "POST", "/api/users/upsert", raw=b"{}", headers={"content-length": length}
        )
        assert isinstance(refused, httpx2.Response)
        assert refused.status_code == 413


async def test_a_wrong_type_is_named_beside_the_right_one(anyone: Caller) -> None:
    refused = await anyone.named("ada").post("/api/users/upsert", {"display_name": 1})

    needed = "a text of 1 to 128 characters, none a control character, or null, is needed"
    assert refused.json()["errors"] == [{"in": "body", "pointer": "/display_name", "message": needed}]
