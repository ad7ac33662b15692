"""The outermost layer: correlation, bounds, headers, and an answer in every case."""

import json
import re

import pytest
from dishka import Provider, Scope

from tallystick.adapters.memory.transactions import MemoryTransactions
from tallystick.adapters.telemetry.logs import configure
from tallystick.application.transactions import Transactions
from tests.http.services import Caller, Serve, running, settings


class Broken(MemoryTransactions):
    """A store with a bug."""

    def __init__(self) -> None:
        super().__init__()

    def reading(self) -> None:  # type: ignore[override]  # the bug
        raise ZeroDivisionError("ada@example.org")


def broken_store() -> Provider:
    """Return the provider that puts the broken store in the place of the other."""
    provider = Provider(scope=Scope.APP)
    provider.provide(Broken, provides=Transactions, override=True)
    return provider


async def test_a_callers_correlation_id_is_echoed(anyone: Caller) -> None:
    for given in ("a", "A-z_09", "x" * 64):
        assert (await anyone.get("/healthz", headers={"x-correlation-id": given})).headers["x-correlation-id"] == given


async def test_one_that_is_none_is_replaced(anyone: Caller) -> None:
    for given in ("", "x" * 65, "a b", "a.b", "a,b"):
        minted = (await anyone.get("/healthz", headers={"x-correlation-id": given})).headers["x-correlation-id"]
        assert re.fullmatch(r"[0-9a-f]{32}", minted)


async def test_two_requests_without_one_have_two(anyone: Caller) -> None:
    first, second = await anyone.get("/healthz"), await anyone.get("/healthz")

    assert first.headers["x-correlation-id"] != second.headers["x-correlation-id"]


async def test_problems_carry_it_in_the_body_too(anyone: Caller) -> None:
    refused = await anyone.get("/api/me", headers={"x-correlation-id": "mine"})

    assert (refused.json()["correlation_id"], refused.headers["x-correlation-id"]) == ("mine", "mine")


async def test_nothing_under_api_and_r_is_cached(anyone: Caller) -> None:
    for path in ("/api/me", "/api/referral/resolve", "/api/nowhere", "/r/ABCD1234"):
        assert (await anyone.get(path)).headers["cache-control"] == "no-store"


async def test_paths_and_headers_are_bounded(anyone: Caller) -> None:
    long_path = await anyone.get(f"/api/referral/resolve?code={'x' * 9000}")
    long_headers = await anyone.get("/healthz", headers={"x-padding": "x" * 40_000})
    many_headers = await anyone.get("/healthz", headers={f"x-{number}": "x" * 100 for number in range(400)})

    assert (long_path.status_code, long_path.json()["code"]) == (414, "URI_TOO_LONG")
    assert [r.status_code for r in (long_headers, many_headers)] == [431, 431]
    assert long_headers.json()["code"] == "HEADERS_TOO_LARGE"


async def test_unknown_paths_and_methods_are_problems(anyone: Caller) -> None:
    nowhere = await anyone.get("/nowhere")
    wrong = await anyone.call("DELETE", "/api/me")

    assert (nowhere.status_code, nowhere.json()["code"]) == (404, "NOT_FOUND")
    assert (wrong.status_code, wrong.json()["code"]) == (405, "METHOD_NOT_ALLOWED")
    assert "GET" in wrong.headers["allow"]


async def test_a_host_that_is_none_is_refused(anyone: Caller) -> None:
    refused = await anyone.get("/healthz", headers={"host": "a b/c"})

    assert (refused.status_code, refused.json()["code"]) == (400, "INVALID_REQUEST")


async def test_a_bug_reveals_nothing_but_its_correlation_id(capsys: pytest.CaptureFixture[str]) -> None:
    configure("info")
    async with running(settings(), "memory", broken_store()) as (anyone, _):
        failed = await anyone.named("ada").get("/api/leaderboard", headers={"x-correlation-id": "lost"})

    assert failed.status_code == 500
    assert failed.json() == {
        "type": "urn:tallystick:problem:internal-error",
        "title": "Internal error",
        "status": 500,
        "detail": "something went wrong on our side; the correlation id finds it in the logs",
        "code": "INTERNAL_ERROR",
        "error": "something went wrong on our side; the correlation id finds it in the logs",
        "correlation_id": "lost",
        "retryable": False,
    }
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    (bug,) = [line for line in lines if line["event"] == "request failed"]
    assert bug["correlation_id"] == "lost"
    assert bug["exception"][0]["type"] == "builtins.ZeroDivisionError"
    assert any("test_request_boundary.py" in frame for frame in bug["exception"][0]["frames"])
    assert "example.org" not in json.dumps(lines)


async def test_logs_name_routes_and_users_by_patterns_and_pseudonyms(
    serve: Serve, capsys: pytest.CaptureFixture[str]
) -> None:
    anyone = await serve(log_level="debug")
    configure("debug")
    for _ in range(2):
        await anyone.named("ada@example.org").post("/api/users/upsert", {})

    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    assert [(line["route"], line["status"]) for line in lines] == [("/api/users/upsert", 200)] * 2
    assert lines[0]["user"] == lines[1]["user"]
    assert re.fullmatch(r"[0-9a-f]{16}", lines[0]["user"])


async def test_a_request_that_succeeds_is_logged_for_debugging_alone(
    anyone: Caller, capsys: pytest.CaptureFixture[str]
) -> None:
    configure("info")
    await anyone.named("ada").post("/api/users/upsert", {})
    await anyone.named("ada").get("/api/me")
    await anyone.get("/api/me")
    await anyone.named("ada").post("/api/users/upsert", {"email": 1})

    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    assert [(line["route"], line["status"]) for line in lines] == [("/api/me", 401), ("/api/users/upsert", 400)]


async def test_a_refusal_is_logged_and_counted_by_its_code(anyone: Caller, capsys: pytest.CaptureFixture[str]) -> None:
    configure("info")
    ada = anyone.named("ada")
    await ada.post("/api/users/upsert", {"more": 1}, key="k")  # refused by a handler of the framework
    await ada.post("/api/invites/redeem", {"code": "NONESUCH"}, key="r")  # by a raw one
    await ada.post("/api/invites/redeem", {"code": "NONESUCH"}, key="r")  # by a stored reply
    await anyone.get("/api/me")  # in front of both
    await anyone.get("/nowhere")
    await anyone.get("/healthz", headers={"host": ""})

    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    codes = ["INVALID_REQUEST", *["INVITE_NOT_FOUND"] * 2, "UNAUTHENTICATED", "NOT_FOUND", "INVALID_REQUEST"]
    assert [line["code"] for line in lines if line["event"] == "request"] == codes
    scrape = (await anyone.get("/metrics")).text
    assert 'tallystick_http_problems_total{code="INVITE_NOT_FOUND",route="/api/invites/redeem"} 2.0' in scrape
    assert 'tallystick_http_problems_total{code="NOT_FOUND",route="unmatched"} 1.0' in scrape


async def test_a_request_that_succeeds_slowly_is_logged(serve: Serve, capsys: pytest.CaptureFixture[str]) -> None:
    slow = await serve(slow_request_ms=0)
    configure("info")
    await slow.get("/healthz")

    (line,) = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert (line["level"], line["route"], line["status"]) == ("info", "/healthz", 200)


async def test_writes_are_logged_on_request(serve: Serve, capsys: pytest.CaptureFixture[str]) -> None:
    anyone = await serve(log_writes="on")
    configure("info")
    await anyone.named("ada").post("/api/users/upsert", {})
    await anyone.named("ada").get("/api/me")

    (line,) = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert (line["level"], line["method"], line["route"]) == ("info", "POST", "/api/users/upsert")


async def test_requests_are_measured_by_route_template(anyone: Caller) -> None:
    await anyone.get("/r/ABCD1234")
    await anyone.get("/nowhere/at/all")
    await anyone.call("BREW", "/api/me")

    scrape = (await anyone.get("/metrics")).text

    assert 'tallystick_http_request_seconds_count{method="GET",route="/r/{code}",status="302"} 1.0' in scrape
    assert 'tallystick_http_request_seconds_count{method="GET",route="unmatched",status="404"} 1.0' in scrape
    assert 'tallystick_http_request_seconds_count{method="OTHER",route="unmatched",status="405"} 1.0' in scrape
    assert "ABCD1234" not in scrape
    assert "BREW" not in scrape


async def test_web_apps_of_allowed_origins_may_read_replies(serve: Serve) -> None:
    anyone = await serve(allowed_origins="https://app.example.org")

    allowed = await anyone.named("ada").get("/api/referral", headers={"origin": "https://app.example.org"})
    foreign = await anyone.named("ada").get("/api/referral", headers={"origin": "https://evil.example.org"})

    assert allowed.headers["access-control-allow-origin"] == "https://app.example.org"
    assert "idempotency-hit" in allowed.headers["access-control-expose-headers"].lower()
    assert foreign.headers.get("access-control-allow-origin") != "https://evil.example.org"


@pytest.mark.parametrize("path", ["/healthz", "//healthz", "/api/me", "//api/me", "/r/ABCD1234", "//r/ABCD1234", "/x"])
async def test_no_answer_is_kept_by_a_cache(anyone: Caller, path: str) -> None:
    assert (await anyone.get(path)).headers["cache-control"] == "no-store"


@pytest.mark.parametrize("path", ["/schema", "/schema/openapi.json", "/schema/assets/swagger-ui.css"])
async def test_the_documentation_may_be_kept_for_a_while(anyone: Caller, path: str) -> None:
    assert (await anyone.get(path)).headers["cache-control"] == "public, max-age=300"
    assert (await anyone.get(f"{path}/nowhere")).headers["cache-control"] == "no-store"


async def test_a_cache_that_has_a_file_gets_304(anyone: Caller) -> None:
    path = "/schema/assets/swagger-ui.css"
    whole = (await anyone.get(path)).headers
    etag, changed = whole["etag"], whole["last-modified"]

    for known in ({"if-none-match": etag}, {"if-none-match": f'"x", W/{etag}'}, {"if-modified-since": changed}):
        for method in ("GET", "HEAD"):
            answer = await anyone.call(method, path, headers=known)
            assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", etag)
            assert "content-length" not in answer.headers
    for other in ({"if-none-match": '"x"'}, {"if-none-match": '"x"', "if-modified-since": changed}):
        assert (await anyone.get(path, headers=other)).status_code == 200


async def test_a_host_that_is_none_is_named(anyone: Caller) -> None:
    refused = await anyone.get("/healthz", headers={"host": "a b"})

    assert refused.status_code == 400
    assert refused.json()["errors"] == [
        {"in": "header", "name": "Host", "message": "one host is needed, with a port where it has one"}
    ]


async def test_a_missing_parameter_is_named(anyone: Caller) -> None:
    refused = await anyone.named("ada", "profiles:read").get("/api/profiles/by-email")

    assert refused.status_code == 400
    assert refused.json()["errors"] == [
        {
            "in": "query",
            "name": "email",
            "message": "this parameter is missing: a text is needed",
        }
    ]


@pytest.mark.parametrize("length", ["0" * 5000 + "2", "9" * 5000, "9" * 19])
async def test_a_length_of_absurd_length_is_too_large(anyone: Caller, length: str) -> None:
    refused = await anyone.named("ada").call("POST", "/api/users/upsert", raw=b"{}", headers={"content-length": length})

    assert refused.status_code == 413


async def test_requests_that_were_answered_make_room_for_others(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tallystick.entrypoints.http.request_boundary.MAX_IN_FLIGHT", 1)
    anyone = await serve()

    statuses = [(await anyone.get(path)).status_code for path in ("/healthz", "/nowhere", "/api/me") * 2]

    assert statuses == [200, 404, 401] * 2
