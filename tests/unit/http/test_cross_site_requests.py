"""Writing with a session cookie: only from the service itself, or from an origin that it knows."""

from collections.abc import AsyncIterator, Sequence

import httpx2
import msgspec
import pytest
from dishka import AsyncContainer

from tallystick.adapters.identity.sessions import SessionTokens
from tests.http.services import BASE_URL, Caller, bearer, running, settings, signed_in

APP, LOCAL_APP = "https://app.example.org", "http://localhost:3000"
Header = tuple[str, str | bytes]


@pytest.fixture(scope="module")
async def service() -> AsyncIterator[tuple[Caller, AsyncContainer]]:
    async with running(settings(allowed_origins=f"{APP} {LOCAL_APP}"), "memory") as (caller, container):
        yield caller, container


@pytest.fixture
async def cookie(service: tuple[Caller, AsyncContainer]) -> str:
    return await cookie_of(service[1])


@pytest.fixture
def anyone(service: tuple[Caller, AsyncContainer]) -> Caller:
    return service[0]


async def cookie_of(container: AsyncContainer) -> str:
    return f"tallystick_session={(await container.get(SessionTokens)).issue(await signed_in(container))}"


async def write(anyone: Caller, cookie: str, *headers: Header) -> httpx2.Response:
    """Write as a browser does that has the session's cookie."""
    sent: Sequence[Header] = [("cookie", cookie), ("content-type", "application/json"), *headers]
    raw = [(name.encode(), value if isinstance(value, bytes) else value.encode("latin-1")) for name, value in sent]
    return await anyone.http.post("/api/users/upsert", content=b"{}", headers=raw)


async def assert_refused(anyone: Caller, cookie: str, *headers: Header) -> None:
    refused = await write(anyone, cookie, *headers)

    assert (refused.status_code, refused.json()["code"]) == (403, "CSRF_REFUSED")
    assert refused.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("origin", [BASE_URL, APP, LOCAL_APP])
async def test_the_service_and_the_allowed_origins_may_write(anyone: Caller, cookie: str, origin: str) -> None:
    assert (await write(anyone, cookie, ("origin", origin))).status_code == 200


async def test_a_browser_that_sends_no_origin_may_say_that_it_is_the_same(anyone: Caller, cookie: str) -> None:
    assert (await write(anyone, cookie, ("sec-fetch-site", "same-origin"))).status_code == 200


@pytest.mark.parametrize("site", ["same-site", "cross-site", "none", "", "same-origin, cross-site", "SAME-ORIGIN"])
async def test_any_other_site_may_not(anyone: Caller, cookie: str, site: str) -> None:
    await assert_refused(anyone, cookie, ("sec-fetch-site", site))


async def test_a_client_that_says_neither_may_not(anyone: Caller, cookie: str) -> None:
    await assert_refused(anyone, cookie)
    await assert_refused(anyone, cookie, ("referer", f"{BASE_URL}/"))


@pytest.mark.parametrize(
    "origin",
    [
        "null",
        "",
        "https://evil.example",
        "https://example.org",
        "https://www.go.example.org",
        "https://go.example.org.evil.example",
        "https://evilgo.example.org",
        "http://go.example.org",
        "https://go.example.org:8443",
        "https://go.example.org:99999",
        "https://go.example.org:port",
        "http://localhost",
        "http://localhost:3001",
        "https://localhost:3000",
        "https://go.example.org@evil.example",
        "https://evil.example#https://go.example.org",
        "https://evil.example/https://go.example.org",
        "https://evil.example?https://go.example.org",
        "https://evil.example\\@go.example.org",
        "https://ada@go.example.org",
        "https://go.example.org/path",
        "https://go.example.org, https://evil.example",
        "https://evil.example, https://go.example.org",
        "go.example.org",
        "//go.example.org",
        "https:go.example.org",
        "https://",
        "https://[::1",
        "file://",
        "moz-extension://go.example.org",
        "*",
        b"https://go.ex\xe4mple.org",
        b"\xff",
    ],
)
async def test_any_other_origin_may_not(anyone: Caller, cookie: str, origin: str | bytes) -> None:
    await assert_refused(anyone, cookie, ("origin", origin))
    await assert_refused(anyone, cookie, ("origin", origin), ("sec-fetch-site", "same-origin"))


async def test_two_origins_are_none(anyone: Caller, cookie: str) -> None:
    for other in ("https://evil.example", "null", BASE_URL):
        await assert_refused(anyone, cookie, ("origin", BASE_URL), ("origin", other))
        await assert_refused(anyone, cookie, ("origin", other), ("origin", BASE_URL))


async def test_a_refused_request_was_not_done() -> None:
    async with running(settings(), "memory") as (anyone, container):
        await assert_refused(anyone, await cookie_of(container), ("origin", "https://evil.example"))

        assert (await anyone.named("ada").get("/api/me")).json()["code"] == "USER_NOT_FOUND"


@pytest.mark.parametrize("path", ["/api/users/upsert", "/api/referral/remint"])
async def test_every_route_that_writes_is_guarded(anyone: Caller, cookie: str, path: str) -> None:
    refused = await anyone.post(path, {}, headers={"cookie": cookie, "origin": "https://evil.example"})

    assert (refused.status_code, refused.json()["code"]) == (403, "CSRF_REFUSED")


@pytest.mark.parametrize("origin", ["https://evil.example", "null"])
async def test_reading_needs_no_origin(anyone: Caller, cookie: str, origin: str) -> None:
    assert (await anyone.get("/api/referral", headers={"cookie": cookie})).status_code == 200
    assert (await anyone.get("/api/referral", headers={"cookie": cookie, "origin": origin})).status_code == 200


async def test_another_origin_may_not_read_what_it_is_answered(anyone: Caller, cookie: str) -> None:
    for origin in ("https://evil.example", "null", f"{APP}.evil.example"):
        answer = await anyone.get("/api/referral", headers={"cookie": cookie, "origin": origin})

        assert "access-control-allow-origin" not in answer.headers


async def test_a_bearer_token_needs_no_origin(anyone: Caller, cookie: str) -> None:
    for headers in ({}, {"origin": "https://evil.example"}, {"origin": "null", "cookie": cookie}):
        answer = await anyone.post("/api/users/upsert", {}, headers={"authorization": bearer("bob"), **headers})

        assert (answer.status_code, answer.json()["user_id"]) == (200, "bob")


async def test_a_bad_session_learns_nothing_of_origins(anyone: Caller) -> None:
    refused = await write(anyone, "tallystick_session=x.y.z", ("origin", "https://evil.example"))

    assert (refused.status_code, refused.json()["code"]) == (401, "UNAUTHENTICATED")


@pytest.mark.parametrize("allowed", ["https:app.example.org", "https://", "https://app.example.org:x"])
async def test_an_allowed_origin_that_is_none_lets_nobody_in(allowed: str) -> None:
    unchecked = msgspec.structs.replace(settings(), allowed_origins=(allowed,))
    async with running(unchecked, "memory") as (anyone, container):
        for origin in ("null", "", "file://"):
            await assert_refused(anyone, await cookie_of(container), ("origin", origin))


async def test_the_app_where_clicks_land_is_the_app_itself() -> None:
    async with running(settings(app_url="https://shop.example.org/welcome?a=b"), "memory") as (anyone, container):
        cookie = await cookie_of(container)

        assert (await write(anyone, cookie, ("origin", "https://shop.example.org"))).status_code == 200
        await assert_refused(anyone, cookie, ("origin", "https://example.org"))
