"""Rules of every route of the document: methods, codings, pages of other origins, cookies of other sites."""

from collections.abc import AsyncIterator, Mapping
from typing import Any, NamedTuple

import pytest

from tallystick.adapters.identity.sessions import SessionTokens
from tests.http.openapi_document import ENDLESS
from tests.http.services import BASE_URL, Caller, running, settings, signed_in

APP, MOBILE, EXTENSION = "https://app.example.org", "capacitor://localhost", "chrome-extension://abcdefghijklmnop"
EVIL = "https://evil.example"
UNSAFE = {"POST", "PUT", "PATCH", "DELETE"}
STAFF = (
    *("admin:export", "admin:flags", "admin:read", "admin:users", "credits:grant", "invites:create", "invites:manage"),
    *("loyalty:award", "loyalty:batch", "loyalty:read", "loyalty:recover", "profiles:read", "purchases:batch"),
    *("rewards:offer", "rewards:manage", "rooms:manage", "overlays:manage", "slips:write"),
)
SUPABASE_PREFLIGHT = {
    "access-control-request-method": "POST",
    "access-control-request-headers": "apikey,authorization,content-profile,content-type,prefer,x-client-info",
    "sec-fetch-mode": "cors",
}
TRACED_PREFLIGHT = {
    "access-control-request-method": "POST",
    "access-control-request-headers": "baggage,content-type,sentry-trace,traceparent,tracestate",
}


EXPOSED = {
    *("x-correlation-id", "idempotency-hit", "retry-after", "ratelimit", "ratelimit-policy", "www-authenticate"),
}


class Served(NamedTuple):
    """The service, its routes by path, and a session cookie."""

    anyone: Caller
    routes: Mapping[str, set[str]]
    cookie: str

    def filled(self) -> list[tuple[str, set[str]]]:
        """Return a path for each route, with its parameters filled in, and its methods."""
        return [(path.replace("{", "").replace("}", ""), methods) for path, methods in self.routes.items()]


@pytest.fixture(scope="module")
async def served() -> AsyncIterator[Served]:
    given = settings(allowed_origins=f"{APP} {MOBILE} {EXTENSION}", allowed_headers="X-App-Version")
    async with running(given, "memory") as (anyone, container):
        document = (await anyone.get("/schema/openapi.json")).json()
        routes = {path: {method.upper() for method in operations} for path, operations in document["paths"].items()}
        session = (await container.get(SessionTokens)).issue(await signed_in(container))
        pages = {"/schema": {"GET"}, "/schema/openapi.json": {"GET"}}
        yield Served(anyone, {**routes, **pages}, f"tallystick_session={session}")


def allow(methods: set[str]) -> str:
    """Return the Allow header of some methods."""
    return ", ".join(sorted(methods | {"OPTIONS"} | ({"HEAD"} if "GET" in methods else set())))


async def test_options_needs_no_token_and_names_the_methods(served: Served) -> None:
    for path, methods in served.filled():
        answer = await served.anyone.call("OPTIONS", path)
        assert (answer.status_code, answer.headers["allow"], answer.content) == (204, allow(methods), b""), path


async def test_a_method_that_a_route_does_not_take_is_refused_with_those_that_it_takes(served: Served) -> None:
    for path, methods in served.filled():
        for method in {"GET", "HEAD", *UNSAFE, "PURGE"} - methods - ({"HEAD"} if "GET" in methods else set()):
            for caller in (served.anyone, served.anyone.named("ada")):
                answer = await caller.call(method, path)
                assert (answer.status_code, answer.headers["allow"]) == (405, allow(methods)), (method, path)


async def test_there_is_nothing_at_an_unknown_path(served: Served) -> None:
    for method in ("OPTIONS", "HEAD", "GET", "POST"):
        answer = await served.anyone.call(method, "/api/nowhere")
        assert answer.status_code == 404, method
        assert answer.headers["content-type"] == "application/problem+json"
        assert "allow" not in answer.headers


GROWING = {"/metrics", "/api/admin/invariants"}
"""Paths whose answers hold measurements, or the age of a count."""


@pytest.mark.parametrize("permissions", [None, STAFF], ids=["nobody", "staff"])
async def test_head_is_get_without_its_body(served: Served, permissions: tuple[str, ...] | None) -> None:
    caller = served.anyone if permissions is None else served.anyone.named("ada", *permissions)
    for path, methods in served.filled():
        if "GET" in methods and path != ENDLESS:
            same = {"x-correlation-id": "same"}
            get, head = await caller.call("GET", path, headers=same), await caller.call("HEAD", path, headers=same)
            assert (head.status_code, head.content) == (get.status_code, b""), path
            assert _stable(path, head.headers) == _stable(path, get.headers), path


def _stable(path: str, headers: Mapping[str, str]) -> dict[str, str]:
    """Return the headers without those that change from request to request: measurements and ages grow."""
    changing = {"date", "ratelimit", *(["content-length"] if path in GROWING else [])}
    return {name: value for name, value in headers.items() if name not in changing}


@pytest.mark.parametrize("encoding", ["gzip", "GZIP", "br", "deflate, gzip", "identity, gzip", "x"])
async def test_an_encoded_body_is_refused(served: Served, encoding: str) -> None:
    for path, methods in served.filled():
        for method in methods & UNSAFE:
            caller = served.anyone.named("ada", *STAFF)
            refused = await caller.call(method, path, raw=b"{}", headers={"content-encoding": encoding})
            assert (refused.status_code, refused.json()["code"]) == (415, "UNSUPPORTED_MEDIA_TYPE"), path
            assert refused.headers["accept-encoding"] == "identity"


async def test_a_body_that_is_as_it_is_may_say_so(served: Served) -> None:
    caller = served.anyone.named("ada")

    for headers in ({"content-encoding": "identity"}, {"content-encoding": "Identity, identity"}):
        assert (await caller.call("POST", "/api/users/upsert", raw=b"{}", headers=headers)).status_code == 200
    assert (await caller.call("GET", "/api/me", headers={"content-encoding": "gzip"})).status_code == 200


@pytest.mark.parametrize("origin", [APP, MOBILE, EXTENSION])
async def test_a_page_of_an_allowed_origin_may_read_every_answer(served: Served, origin: str) -> None:
    for path, methods in [*served.filled(), ("/nowhere", {"GET"}), ("/" + "x" * 9000, {"GET"})]:
        for method in {*methods, "OPTIONS", "TRACE"}:
            answer = await served.anyone.call(method, path, headers={"origin": origin})
            assert answer.headers["access-control-allow-origin"] == origin, (method, path)
            assert answer.headers["access-control-allow-credentials"] == "true"
            assert answer.headers["vary"] == "Origin"
            assert set(answer.headers["access-control-expose-headers"].split(", ")) >= EXPOSED


@pytest.mark.parametrize("headers", [{}, {"origin": EVIL}, {"origin": "null"}, {"origin": f"{APP}/"}])
async def test_another_page_may_read_none_and_caches_keep_them_apart(served: Served, headers: dict[str, str]) -> None:
    for path, methods in [*served.filled(), ("/nowhere", {"GET"}), ("/" + "x" * 9000, {"GET"})]:
        for method in {*methods, "OPTIONS"}:
            answer = await served.anyone.call(method, path, headers={**headers, **SUPABASE_PREFLIGHT})
            assert not [name for name in answer.headers if name.startswith("access-control-")], (method, path)
            assert answer.headers["vary"] == "Origin"


@pytest.mark.parametrize("origin", [APP, MOBILE, EXTENSION])
@pytest.mark.parametrize("asked", [SUPABASE_PREFLIGHT, TRACED_PREFLIGHT], ids=["supabase", "traced"])
async def test_preflights_allow_what_clients_send(served: Served, origin: str, asked: dict[str, str]) -> None:
    for path, methods in [*served.filled(), ("/api/nowhere", set())]:
        answer = await served.anyone.call("OPTIONS", path, headers={"origin": origin, **asked})
        assert (answer.status_code, answer.content) == (204, b""), path
        assert answer.headers["access-control-allow-origin"] == origin
        allowed = answer.headers["access-control-allow-headers"].split(", ")
        assert set(asked["access-control-request-headers"].split(",")) <= set(allowed)
        assert {"last-event-id", "accept-profile", "x-retry-count", "idempotency-key", "x-app-version"} <= set(allowed)
        assert methods <= set(answer.headers["access-control-allow-methods"].split(", "))


async def test_without_allowed_origins_no_answer_depends_on_one() -> None:
    async with running(settings(), "memory") as (anyone, _):
        answer = await anyone.get("/healthz", headers={"origin": APP})

    assert "vary" not in answer.headers


async def test_every_unsafe_method_under_a_cookie_needs_an_origin_that_is_allowed(served: Served) -> None:
    public = {"/api/webhooks/auth", "/api/invites/validate", "/api/auth/sign-in"}
    for path, methods in served.filled():
        for method in methods & UNSAFE:
            if path in public:
                continue
            for headers in ({}, {"origin": EVIL}, {"origin": "null"}, {"sec-fetch-site": "cross-site"}):
                refused = await _with_cookie(served, method, path, headers)
                assert (refused.status_code, refused.json()["code"]) == (403, "CSRF_REFUSED"), (method, path, headers)
            for headers in (
                *({"origin": origin} for origin in (APP, MOBILE, EXTENSION, BASE_URL)),
                {"sec-fetch-site": "same-origin"},
            ):
                answer = await _with_cookie(served, method, path, headers)
                assert "CSRF_REFUSED" not in answer.text, (method, path, headers)


async def _with_cookie(served: Served, method: str, path: str, headers: Mapping[str, str]) -> Any:
    sent = {"cookie": served.cookie, **headers}
    return await served.anyone.call(method, path, raw=b"not JSON", headers=sent)
