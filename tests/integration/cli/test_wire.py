"""Requests byte by byte against a started server: upgrades, framing, requests that the parser refuses."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx2
import pytest

from tallystick.entrypoints.http.protocol import MAX_CHUNKS
from tests.http.raw import RawAnswer, connect, request, send, until_closed
from tests.http.services import JWT_SECRET, WEBHOOK_SECRET, bearer, signature_headers
from tests.integration.cli.conftest import installed
from tests.processes.installations import Installation, until
from tests.processes.service import Process

ORIGIN = "https://app.example.org"
CLOSE = "Connection: close"
H2C = ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__")
STAFF = ("slips:write", "loyalty:award", "invites:create", "credits:grant", "purchases:batch", "loyalty:batch")
LAST = request("GET", "/healthz", CLOSE)
"""Closes the connection behind what was asked before."""


@pytest.fixture(scope="module")
def installation() -> Iterator[Installation]:
    secrets = {"TALLYSTICK_JWT_SECRET": JWT_SECRET, "TALLYSTICK_WEBHOOK_SECRETS": WEBHOOK_SECRET}
    limits = {"TALLYSTICK_RATE_LIMITS": "off", "TALLYSTICK_ALLOWED_ORIGINS": ORIGIN}
    with installed({**secrets, **limits}) as one:
        yield one


@pytest.fixture(scope="module")
def server(installation: Installation) -> Process:
    return installation.serve("--store", "memory")


def post(path: str, body: Any, *headers: str, authorization: str = "") -> bytes:
    """Return a POST of JSON with its length."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    sent = ("Content-Type: application/json", f"Content-Length: {len(raw)}", *headers)
    return request("POST", path, *sent, f"Authorization: {authorization or bearer('ada', *STAFF)}", body=raw)


def paths(server: Process, method: str) -> list[str]:
    """Return every path of the document that takes a method, with its parameters filled in."""
    document = httpx2.get(f"{server.address}/schema/openapi.json", trust_env=False).json()
    found = [path for path, operations in document["paths"].items() if method in operations]
    assert found
    return [path.replace("{", "").replace("}", "") for path in found]


def one(answers: list[RawAnswer]) -> RawAnswer:
    """Return the answer to the first of two requests; the second one was understood too."""
    assert [answer.status for answer in answers[1:]] == [200], answers
    return answers[0]


def test_a_slip_earns_by_the_body_that_was_sent_with_an_upgrade(server: Process) -> None:
    send(server.address, post("/api/users/upsert", {}) + LAST)
    opened_at = (datetime.now(UTC) - timedelta(hours=1)).isoformat()
    slip = {"player_id": "ada", "game": "slots", "average_bet": 100_000, "opened_at": opened_at}
    opened = json.loads(one(send(server.address, post("/api/rating-slips", slip) + LAST)).body)
    closed_at = (datetime.fromisoformat(opened_at) + timedelta(minutes=10)).isoformat()

    completion = {"average_bet": 100, "closed_at": closed_at}
    path = f"/api/rating-slips/{opened['slip_id']}/complete"
    completed = one(send(server.address, post(path, completion, *H2C) + LAST))

    assert completed.status == 200
    assert json.loads(completed.body)["slip"]["points"] == 80


def test_a_signed_delivery_with_an_upgrade_is_taken(server: Process) -> None:
    raw = json.dumps({"type": "user.created", "data": {"id": "eve"}}).encode()
    signed = [f"{name}: {value}" for name, value in signature_headers(raw, message_id="msg_h2c").items()]

    taken = one(send(server.address, post("/api/webhooks/auth", raw, *signed, *H2C) + LAST))

    assert (taken.status, json.loads(taken.body)) == (200, {"status": "processed"})


@pytest.mark.parametrize(
    "upgrade",
    [
        H2C,
        ("Connection: upgrade", "Upgrade: websocket"),
        ("Connection: keep-alive, Upgrade", "Upgrade: TLS/1.0"),
        ("Upgrade: foo/2, bar", "Connection: Upgrade"),
    ],
    ids=["h2c", "websocket", "tls", "several"],
)
@pytest.mark.parametrize("framing", ["length", "chunks", "split"])
def test_every_route_answers_an_offered_upgrade_as_if_it_was_not_there(
    server: Process, upgrade: tuple[str, ...], framing: str
) -> None:
    body = b'{"no_field_of_any_route": "' + b"x" * 40 + b'"}'
    for method in ("post", "put", "patch"):
        for path in paths(server, method):
            plain, upgraded = (_framed(server, method.upper(), path, body, framing, extra) for extra in ((), upgrade))
            assert (plain.status, plain.body) == (upgraded.status, upgraded.body), path
            assert plain.status >= 400, path


def _framed(server: Process, method: str, path: str, body: bytes, framing: str, extra: tuple[str, ...]) -> RawAnswer:
    caller = (f"Authorization: {bearer('ada', *STAFF)}", "Content-Type: application/json", "X-Correlation-Id: same")
    if framing == "chunks":
        raw = b"5\r\n%s\r\n%x\r\n%s\r\n0\r\n\r\n" % (body[:5], len(body) - 5, body[5:])
        chunked = request(method, path, *caller, *extra, "Transfer-Encoding: chunked", body=raw)
        return one(send(server.address, chunked + LAST))
    raw = request(method, path, *caller, *extra, f"Content-Length: {len(body)}", body=body) + LAST
    if framing == "length":
        return one(send(server.address, raw))
    return one(send(server.address, raw[:60], raw[60:-70], raw[-70:]))


def test_an_upgrade_is_ignored_on_routes_without_a_body(server: Process) -> None:
    for path in ("/healthz", "/api/me", "/r/ABCD1234", "/nowhere"):
        requests = (request("GET", path, *extra, "X-Correlation-Id: same") for extra in ((), H2C))
        plain, upgraded = (one(send(server.address, raw + LAST)) for raw in requests)
        assert (plain.status, plain.body) == (upgraded.status, upgraded.body)


def test_pipelined_requests_with_upgrades_are_answered_in_order(server: Process) -> None:
    invite = post("/api/invites/redeem", {"code": "NONESUCH"}, *H2C)

    answers = send(server.address, invite * 3 + request("GET", "/healthz", *H2C) * 2 + LAST)

    assert [answer.status for answer in answers] == [404, 404, 404, 200, 200, 200]


def test_a_client_that_waits_for_100_continue_gets_it(server: Process) -> None:
    raw = post("/api/invites/redeem", {"code": "NONESUCH"}, "Expect: 100-continue", CLOSE)
    head, _, body = raw.partition(b"\r\n\r\n")
    with connect(server.address) as connection:
        connection.sendall(head + b"\r\n\r\n")
        assert connection.recv(64) == b"HTTP/1.1 100 Continue\r\n\r\n"
        connection.sendall(body)
        assert until_closed(connection).startswith(b"HTTP/1.1 404 ")


def test_a_body_that_is_too_large_is_refused_before_100_continue(server: Process) -> None:
    head = ("Content-Type: application/json", "Content-Length: 99999999", "Expect: 100-continue", CLOSE)
    refused = send(server.address, request("POST", "/api/invites/redeem", *head, f"Authorization: {bearer('ada')}"))

    assert [answer.problem["code"] for answer in refused] == ["BODY_TOO_LARGE"]


@pytest.mark.parametrize(
    "malformed",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"BREW / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /\r\n\r\n",
        b"GET /a b HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/2.0\r\nHost: x\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"GET / HTTP/0.9\r\nHost: x\r\n\r\n",
        b"CONNECT x:80 HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nA: b\x00c\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nA b: c\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nA: b\r\n folded\r\n\r\n",
        b"POST /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabc",
        b"POST /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: -3\r\n\r\nabc",
        b"POST /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999999\r\n\r\nabc",
    ],
)
def test_a_request_that_the_parser_refuses_is_a_problem(server: Process, malformed: bytes) -> None:
    (refused,) = send(server.address, malformed)

    assert (refused.status, refused.problem["code"]) == (400, "MALFORMED_REQUEST")
    assert refused.headers["connection"] == "close"
    assert "\\xff" not in refused.problem["detail"]


CHUNKED = (
    "Content-Type: application/json",
    "Transfer-Encoding: chunked",
    f"Origin: {ORIGIN}",
    "X-Correlation-Id: of-the-head",
)


@pytest.mark.parametrize(
    "chunks", [b"zz\r\n", b"FFFFFFFFFFFFFFFFF\r\n", b"3\r\nabcdef\r\n", b"-1\r\n", b"2\r\n{}\r\nx\r\n"]
)
@pytest.mark.parametrize("upgrade", [(), H2C], ids=["plain", "h2c"])
def test_a_chunk_that_is_none_is_a_problem_of_the_request_that_it_is_in(
    server: Process, chunks: bytes, upgrade: tuple[str, ...]
) -> None:
    head = request("POST", "/api/invites/redeem", *CHUNKED, *upgrade, f"Authorization: {bearer('ada')}")

    (refused,) = send(server.address, head, chunks)

    assert (refused.status, refused.problem["code"]) == (400, "MALFORMED_REQUEST")
    assert refused.problem["correlation_id"] == "of-the-head"
    assert refused.headers["access-control-allow-origin"] == ORIGIN
    assert refused.headers["connection"] == "close"


def test_a_body_in_very_many_chunks_is_refused(server: Process) -> None:
    head = request("POST", "/api/invites/redeem", *CHUNKED, CLOSE, f"Authorization: {bearer('ada')}")
    space, body, end = b"1\r\n \r\n", b'14\r\n{"code": "NONESUCH"}\r\n', b"0\r\n\r\n"
    most = space * (MAX_CHUNKS - 2) + body  # and the last chunk, which is empty

    (taken,) = send(server.address, head, most + end)
    (refused,) = send(server.address, head, space + most + end)

    assert taken.problem["code"] == "INVITE_NOT_FOUND"
    assert (refused.status, refused.problem["code"]) == (400, "MALFORMED_REQUEST")
    assert f"{MAX_CHUNKS:,} chunks" in refused.problem["detail"]


def test_bytes_that_cannot_be_parsed_behind_a_request_are_answered_behind_it(server: Process) -> None:
    answers = send(server.address, request("GET", "/healthz") * 2 + b"junk junk\r\n\r\n")

    assert [answer.status for answer in answers] == [200, 200, 400]
    assert answers[2].problem["code"] == "MALFORMED_REQUEST"


def test_data_behind_a_body_is_not_part_of_it(server: Process) -> None:
    answers = send(server.address, post("/api/invites/redeem", {"code": "NONESUCH"}) + b'{"more": 1}\r\n\r\n')

    assert [answer.status for answer in answers] == [404, 400]


def test_a_refused_request_keeps_its_own_correlation_id_and_origin(server: Process) -> None:
    head = request("GET", "/", "X-Correlation-Id: mine", f"Origin: {ORIGIN}")[:-2] + b"A: b\x00\r\n\r\n"

    (refused,) = send(server.address, head)

    assert refused.problem["correlation_id"] == "mine"
    assert refused.headers["access-control-allow-origin"] == ORIGIN


def test_long_heads_are_problems_that_pages_may_read(server: Process) -> None:
    long_path, padding = "/" + "x" * 9000, "a: " + "x" * 40_000
    for path, header, status in ((long_path, "a: b", 414), ("/", padding, 431), ("/", padding * 2, 431)):
        (refused,) = send(server.address, request("GET", path, f"Origin: {ORIGIN}", header, CLOSE))
        assert refused.status == status
        assert refused.problem["status"] == status
        assert refused.headers["access-control-allow-origin"] == ORIGIN


def test_a_head_without_end_is_a_problem_that_pages_may_read(server: Process) -> None:
    endless = request("GET", "/", f"Origin: {ORIGIN}")[:-2] + b"a: " + b"x" * 600_000

    (refused,) = send(server.address, endless)

    assert (refused.status, refused.problem["code"]) == (431, "HEADERS_TOO_LARGE")
    assert refused.headers["access-control-allow-origin"] == ORIGIN


def test_a_request_that_the_parser_refuses_is_logged_and_counted(installation: Installation, server: Process) -> None:
    send(server.address, b"GET / HTTP/1.1\r\nHost: x\r\nX-Correlation-Id: logged\r\nA: \x01\r\n\r\n")

    line = until(lambda: next((json.loads(line) for line in server.output.splitlines() if '"logged"' in line), None))
    assert (line["event"], line["status"], line["code"]) == ("request", 400, "MALFORMED_REQUEST")
    scraped = httpx2.get(f"{server.address}/metrics", trust_env=False).text
    assert 'tallystick_http_problems_total{code="MALFORMED_REQUEST",route="unmatched"}' in scraped


def test_http_1_1_needs_one_host(server: Process) -> None:
    for raw in (request("GET", "/healthz", CLOSE, host=""), request("GET", "/healthz", "Host: x", CLOSE)):
        (refused,) = send(server.address, raw)
        assert (refused.status, refused.problem["code"]) == (400, "INVALID_REQUEST")


@pytest.mark.parametrize(
    "path", ["/healthz", "/api/me", "/nowhere", "/schema/openapi.json", "/schema", "/api/admin/export/codes"]
)
@pytest.mark.parametrize("host", ["x", ""])
def test_http_1_0_is_answered_without_chunks(server: Process, path: str, host: str) -> None:
    caller = f"Authorization: {bearer('staff', 'admin:export')}"
    (answer,) = send(server.address, request("GET", path, caller, version="1.0", host=host))
    (newer,) = send(server.address, request("GET", path, caller, CLOSE))

    assert "transfer-encoding" not in answer.headers
    assert answer.status == newer.status
    assert len(answer.body) == len(newer.body)


@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_other_transfer_encodings_are_refused(server: Process, version: str) -> None:
    coding = "Transfer-Encoding: chunked" if version == "1.0" else "Transfer-Encoding: gzip, chunked"
    (refused,) = send(server.address, request("POST", "/healthz", coding, CLOSE, version=version, body=b"0\r\n\r\n"))

    assert (refused.status, refused.problem["code"]) == (400, "INVALID_REQUEST")


def test_the_server_as_a_whole_names_every_method(server: Process) -> None:
    (answer,) = send(server.address, request("OPTIONS", "*", CLOSE))

    assert (answer.status, answer.body) == (204, b"")
    assert answer.headers["allow"] == "DELETE, GET, HEAD, OPTIONS, PATCH, POST, PUT"


def test_an_absolute_target_is_taken(server: Process) -> None:
    (answer,) = send(server.address, request("GET", "http://x/healthz", CLOSE))
    (root,) = send(server.address, request("GET", "http://x", CLOSE))

    assert (answer.status, root.status) == (200, 200)


def test_head_has_the_headers_of_get_and_no_body(server: Process) -> None:
    for path in ("/healthz", "/api/me", "/schema/openapi.json", "/r/ABCD1234", "/api/admin/export/codes"):
        caller = f"Authorization: {bearer('staff', 'admin:export')}"
        raw = request("HEAD", path, caller) + request("GET", path, caller) + LAST
        head, get, last = send(server.address, raw, methods=("HEAD", "GET", "GET"))
        assert (head.status, head.headers.get("content-length")) == (get.status, get.headers.get("content-length"))
        assert (head.body, last.status) == (b"", 200)
