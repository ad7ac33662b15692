"""Acceptance from outside: each check passes on the service as it is, and fails where one answer is spoilt."""

import re
from collections.abc import AsyncIterator, Callable, Mapping

import httpx2
import pytest
from joserfc import jwt
from joserfc.jwk import OctKey

from tallystick.adapters.memory.ports import SeededRandomness
from tallystick.entrypoints.acceptance import boundary_checks, referral_checks
from tallystick.entrypoints.acceptance.checks import CHECKS, accept
from tallystick.entrypoints.acceptance.flood import flood
from tallystick.entrypoints.acceptance.outside import MARK, Answer, Outside
from tallystick.entrypoints.acceptance.statistics import deviation, later_share, percentile, unevenness
from tests.http.services import BASE_URL, JWT_SECRET, running, settings

Spoil = Callable[[httpx2.Request, httpx2.Response], httpx2.Response]

_USERS = 50
IN_TIME = 4_000_000_000


class Spoilt(httpx2.AsyncBaseTransport):
    """A transport that spoils answers."""

    def __init__(self, inner: httpx2.AsyncBaseTransport) -> None:
        self._inner = inner
        self.spoil: Spoil = lambda _, answer: answer

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        answer = await self._inner.handle_async_request(request)
        await answer.aread()
        return self.spoil(request, answer)


@pytest.fixture
async def transport() -> AsyncIterator[Spoilt]:
    async with running(settings(rate_limits="resolver=120/minute"), "memory") as (service, _):
        yield Spoilt(service.http._transport)


@pytest.fixture
async def outside(transport: Spoilt) -> AsyncIterator[Outside]:
    def sign(user: str, claims: Mapping[str, object]) -> str:
        return jwt.encode({"alg": "HS256"}, {"sub": user, "exp": IN_TIME, **claims}, OctKey.import_key(JWT_SECRET))

    async with httpx2.AsyncClient(transport=transport, base_url=BASE_URL) as http:
        yield Outside(http, sign, "0123abcd", _USERS)


def at(path: str, change: Spoil, *, method: str | None = None, matching: str = "") -> Spoil:
    """Spoil the answers of one path, and let all others pass."""

    def spoil(request: httpx2.Request, answer: httpx2.Response) -> httpx2.Response:
        is_meant = request.url.path.startswith(path) and method in {None, request.method}
        return change(request, answer) if is_meant and re.search(matching, str(request.url)) else answer

    return spoil


def status(number: int) -> Spoil:
    return lambda _, answer: httpx2.Response(number, headers=answer.headers, content=answer.content)


def text(pattern: str, replacement: str) -> Spoil:
    return lambda _, answer: httpx2.Response(
        answer.status_code, content=re.sub(pattern.encode(), replacement.encode(), answer.content)
    )


def headers(**changed: str) -> Spoil:
    named = {name.replace("_", "-"): value for name, value in changed.items()}
    return lambda _, answer: httpx2.Response(
        answer.status_code, headers={**answer.headers, **named}, content=answer.content
    )


LINK, RESOLVE, UPSERT = "/api/my-referral-link", "/api/referral/resolve", "/api/users/upsert"
SPOILT: Mapping[str, tuple[str, Spoil]] = {
    "a server that is not ready": ("ready", at("/readyz", status(503))),
    "no code": ("time to code", at(LINK, status(503))),
    "one code for all": ("no collisions", at(LINK, text('"referral_code":"[^"]*"', '"referral_code":"AAAAAAAA"'))),
    "a lazy generator": ("randomness", at(LINK, text('[G-Z](?=[^:]*","otp)', "0"))),
    "another code at the next request": ("share", at("/api/referral", text('_code":"[^"]*"', '_code":"AAAAAAAA"'))),
    "a code that is not known yet": ("share", at(RESOLVE, text("true ", "false"))),
    "a click that leads nowhere": ("share", at("/r/", headers(location="https://app.example.org"))),
    "one spelling": ("normal form", at(RESOLVE, text("true ", "false"), matching="=[A-Z0-9]*[a-z]")),
    "an alias that is lost": ("alias", at("/api/referral/remint", text('_code":"[^"]*"', '_code":"AAAAAAAA"'))),
    "a phone that is forgotten": ("verified phone", at(UPSERT, text("true", "false"))),
    "strangers": ("authentication", at(LINK, status(200))),
    "a refusal that does not say how": ("authentication", at(LINK, lambda _, answer: httpx2.Response(401))),
    "a cookie of another site": ("cross-site", at(UPSERT, status(200), method="POST")),
    "any origin": ("cross-site", at(UPSERT, headers(access_control_allow_origin="*"), method="OPTIONS")),
    "an answer that is kept": ("cache headers", at(RESOLVE, headers(cache_control="public, max-age=60"))),
    "an answer that was kept": ("cache headers", at("/api/referral", headers(age="7"))),
    "a longer answer": ("constant shape", at(RESOLVE, text("true ", "true"))),
    "another content type": ("constant shape", at(RESOLVE, headers(content_type="text/plain"), matching="code=x")),
    "no refusal": ("rate limit", at(RESOLVE, status(200))),
    "a refusal without a time": ("rate limit", at(RESOLVE, lambda _, answer: without(answer, "retry-after"))),
    "no limit": ("rate limit", at(RESOLVE, lambda _, answer: without(answer, "ratelimit-policy"))),
}


def without(answer: httpx2.Response, name: str) -> httpx2.Response:
    kept = {key: value for key, value in answer.headers.items() if key != name}
    return httpx2.Response(answer.status_code, headers=kept, content=answer.content)


async def test_the_service_as_it_is_passes_every_check(outside: Outside) -> None:
    findings = {name: finding async for name, finding in accept(outside)}

    assert {name: finding for name, finding in findings.items() if finding.state != "ok"} == {}
    assert findings.keys() == CHECKS.keys()


@pytest.mark.parametrize("row", SPOILT)
async def test_a_check_fails_on_a_spoilt_answer(outside: Outside, transport: Spoilt, row: str) -> None:
    name, spoil = SPOILT[row]
    if name == "constant shape":
        await referral_checks.collisions(outside)
    transport.spoil = spoil
    if name == "randomness":
        await referral_checks.collisions(outside)

    finding = await CHECKS[name](outside)

    assert finding.state == "no", finding


def test_every_check_has_a_spoilt_answer() -> None:
    assert CHECKS.keys() - {name for name, _ in SPOILT.values()} == {"constant time"}


async def test_a_slower_answer_to_known_codes_is_noticed(outside: Outside, monkeypatch: pytest.MonkeyPatch) -> None:
    await referral_checks.collisions(outside)
    known, ask = set(outside.codes.values()), outside.ask

    async def slower(method: str, path: str) -> Answer:
        answer = await ask(method, path)
        return answer._replace(seconds=answer.seconds + (path.rpartition("=")[2] in known) * 60)

    monkeypatch.setattr(outside, "ask", slower)

    assert (await boundary_checks.constant_time(outside)).state == "no"


async def test_a_slow_mint_is_too_slow(outside: Outside, monkeypatch: pytest.MonkeyPatch) -> None:
    ask = outside.ask

    async def slower(method: str, path: str, *, headers: Mapping[str, str] | None = None) -> Answer:
        return (await ask(method, path, headers=headers))._replace(seconds=1.1)

    monkeypatch.setattr(outside, "ask", slower)

    assert (await referral_checks.time_to_code(outside)).state == "no"


async def test_a_server_that_is_not_ready_is_asked_nothing_else(outside: Outside, transport: Spoilt) -> None:
    transport.spoil = at("/readyz", status(503))

    assert [name async for name, _ in accept(outside)] == ["ready"]


async def test_every_user_of_a_run_is_marked_and_deleted(outside: Outside, transport: Spoilt) -> None:
    await referral_checks.collisions(outside)
    asked: list[str] = []

    def note(request: httpx2.Request, answer: httpx2.Response) -> httpx2.Response:
        asked.append(f"{request.method} {request.url.path}")
        return answer

    transport.spoil = note
    left = await outside.remove_users(lambda _: None)

    assert left == 0
    assert sorted(asked) == sorted(f"DELETE /api/admin/users/{MARK}0123abcd-{number}" for number in range(_USERS))
    assert not await outside.resolves(next(iter(outside.codes.values())))


async def test_users_that_cannot_be_deleted_are_counted(outside: Outside, transport: Spoilt) -> None:
    await outside.mint(outside.user("one"))
    transport.spoil = at("/api/admin/users", status(403))

    assert await outside.remove_users(lambda _: None) == 1


async def test_a_flood_is_refused_at_the_limit_and_finds_nothing(outside: Outside) -> None:
    shown: list[float] = []

    found = await flood(outside, SeededRandomness(), 150, shown.append)

    assert (found.guesses, found.answered, found.refused, found.found, found.shapes) == (150, 120, 30, 0, 1)
    assert (found.others, found.faults, shown) == ({}, [], [100, 150])


@pytest.mark.parametrize(
    ("spoil", "fault"),
    [
        (at(RESOLVE, status(200)), "none of 150 guesses was refused"),
        (at(RESOLVE, headers(content_type="text/plain"), matching="=[0-9]"), "answers have 2 shapes"),
        (at(RESOLVE, status(500), matching="=[0-9]"), "guesses got 500"),
        (at(RESOLVE, lambda _, answer: without(answer, "retry-after")), "30 guesses got 429"),
    ],
)
async def test_a_flood_says_what_is_wrong(outside: Outside, transport: Spoilt, spoil: Spoil, fault: str) -> None:
    transport.spoil = spoil

    found = await flood(outside, SeededRandomness(), 150, lambda _: None)

    assert any(fault in each for each in found.faults)


async def test_a_code_that_is_guessed_is_counted(outside: Outside, transport: Spoilt) -> None:
    transport.spoil = at(RESOLVE, text("false", "true "), matching="=[0-9]")

    assert (await flood(outside, SeededRandomness(), 50, lambda _: None)).found > 0


def test_statistics() -> None:
    assert percentile(range(1, 101), 0.95) == 95
    assert percentile([7.0], 0.95) == 7.0
    assert later_share([1, 2, 3], [1, 2, 3]) == 0.5
    assert later_share([4, 5], [1, 2]) == 1.0
    assert later_share([1, 2], [4, 5]) == 0.0
    assert abs(deviation(1000, 1000) - 0.0129) < 0.0001
    assert unevenness(["0123456789"] * 100, "0123456789") < 0
    assert unevenness(["0000000000"] * 100, "0123456789") > 1000
    assert unevenness(["x"] * 100, "0123456789") > 100
