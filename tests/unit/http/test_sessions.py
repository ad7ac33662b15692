"""Session cookies: their user and their lifetime."""

import json
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Any, get_args

import httpx2
import pytest
from dishka import AsyncContainer

from tallystick.adapters.identity.keys import Purpose, derive
from tallystick.adapters.identity.sessions import Form, SessionTokens
from tallystick.adapters.memory.ports import ManualClock
from tallystick.domain.identity import Permission
from tests.http.replacements import stopped
from tests.http.services import BASE_URL, JWT_SECRET, SESSION_ID, Caller, bearer, running, settings, signed_in
from tests.http.tokens import (
    EXPIRED,
    HS256,
    NO_TOKEN,
    TURNED_AWAY,
    answer_to,
    by_secret,
    claims,
    encoded,
    good_token,
    provider,
    seconds_from_now,
    token,
)

SESSION_SECRET = "a secret for the sessions"
OF_A_SESSION = {"iss": "tallystick", "aud": "tallystick-session"}
AUDIENCES: dict[Form, str] = {"cookie": "tallystick-session", "bearer": "tallystick-bearer"}
WEEK = timedelta(days=7)

Service = tuple[Caller, AsyncContainer]


@pytest.fixture(scope="module")
async def service() -> AsyncIterator[Service]:
    async with running(settings(), "memory") as (caller, container):
        await signed_in(container)
        yield caller, container


@pytest.fixture
def anyone(service: Service) -> Caller:
    return service[0]


async def session_of(container: AsyncContainer, user: str = "ada") -> str:
    return (await container.get(SessionTokens)).issue(await signed_in(container, user))


async def read(anyone: Caller, cookie: str) -> httpx2.Response:
    return await anyone.http.get("/api/my-referral-link", headers=[(b"cookie", cookie.encode())])


async def is_taken(anyone: Caller, session: str) -> bool:
    """Return whether a session is valid; every bad session gets the same answer."""
    answer = await read(anyone, f"tallystick_session={session}")
    body = answer.content.replace(answer.headers["x-correlation-id"].encode(), b"")
    assert answer.status_code == 200 or (
        (answer.status_code, answer.headers["content-type"], answer.headers["www-authenticate"], body)
        in ({TURNED_AWAY, EXPIRED} if session else {NO_TOKEN})
    )
    return answer.status_code == 200


def forged_as(form: Form, **changes: object) -> str:
    """Return a session token with a valid signature, in one of its forms."""
    purpose: Purpose = "sessions" if form == "cookie" else "bearers"
    return forged(derive(JWT_SECRET, purpose), **{"aud": AUDIENCES[form], **changes})


def carried(session: str, form: Form) -> dict[str, str]:
    """Return the headers that a session travels in."""
    if form == "cookie":
        return {"cookie": f"tallystick_session={session}"}
    return {"authorization": f"Bearer {session}"}


def forged(key: bytes | None = None, **changes: object) -> str:
    """Return a session token as the service would sign it, with changes."""
    body = {**claims(iat=seconds_from_now(0), sid=SESSION_ID, **OF_A_SESSION), **changes}
    kept = {name: value for name, value in body.items() if value is not ...}
    return token(HS256, kept, by_secret(key or derive(JWT_SECRET, "sessions")))


async def test_a_session_reads_as_its_user(service: Service) -> None:
    anyone, container = service
    link = (await anyone.named("ada").get("/api/my-referral-link")).json()

    assert (await read(anyone, f"tallystick_session={await session_of(container)}")).json() == link


@pytest.mark.parametrize(
    "form", ["a=b; tallystick_session={}; c=d", "a;;tallystick_session={}", 'tallystick_session="{}"']
)
async def test_a_session_is_found_among_other_cookies(service: Service, form: str) -> None:
    anyone, container = service

    assert (await read(anyone, form.format(await session_of(container)))).status_code == 200


@pytest.mark.parametrize(
    "form", ["session={}", "TALLYSTICK_SESSION={}", "xtallystick_session={}", "{}", "a=tallystick_session={}", ""]
)
async def test_under_another_name_it_is_none(service: Service, form: str) -> None:
    anyone, container = service

    assert (await read(anyone, form.format(await session_of(container)))).status_code == 401


@pytest.mark.parametrize(("length", "status"), [(9_113, 200), (32_000, 200), (33_000, 431)])
async def test_a_session_is_found_among_as_many_cookies_as_the_headers_may_hold(
    service: Service, length: int, status: int
) -> None:
    anyone, container = service
    session = f"; tallystick_session={await session_of(container)}"

    cookies = f"x={'x' * (length - len(session) - 2)}{session}"

    assert len(cookies) == length
    assert (await read(anyone, cookies)).status_code == status


async def test_a_session_carries_no_permissions(service: Service) -> None:
    anyone, container = service
    cookie = {"cookie": f"tallystick_session={await session_of(container)}"}

    assert (await anyone.get("/api/admin/invariants", headers=cookie)).status_code == 403


PERMISSIONS = sorted(get_args(Permission))


@pytest.mark.parametrize("form", ["cookie", "bearer"])
async def test_a_session_says_who_it_is_and_no_other_claim_counts(anyone: Caller, form: Form) -> None:
    more = {"permissions": PERMISSIONS, "phone_verified": True, "phone": "+15550100"}
    headers = carried(forged_as(form, **more), form)

    assert (await anyone.get("/api/admin/invariants", headers=headers)).status_code == 403
    assert (await anyone.get("/api/admin/flags", headers=headers)).status_code == 403
    arrived = await anyone.post("/api/users/upsert", {}, headers={**headers, "origin": BASE_URL})
    assert (arrived.status_code, arrived.json()["otp_verified"]) == (200, False)


@pytest.mark.parametrize("form", ["cookie", "bearer"])
async def test_where_an_identity_provider_signs_users_in_no_session_is_taken(form: Form) -> None:
    async with running(settings(identity="external"), "memory") as (anyone, _):
        answer = await anyone.get("/api/referral", headers=carried(forged_as(form), form))

    assert answer.status_code == 401


async def test_a_deleted_user_is_refused_as_deleted_in_a_living_session(service: Service) -> None:
    anyone, container = service
    session = await session_of(container, "gone")
    await anyone.deliver({"type": "user.deleted", "data": {"id": "gone"}})

    assert (await read(anyone, f"tallystick_session={session}")).status_code == 410


FORGED: dict[str, Callable[[], str]] = {
    "signed with the secret of bearer tokens": lambda: forged(JWT_SECRET.encode()),
    "signed with a key derived for something else": lambda: forged(derive(JWT_SECRET, "cursors")),
    "signed with a key derived from another secret": lambda: forged(derive("another secret", "sessions")),
    "without an issuer": lambda: forged(iss=...),
    "of another issuer": lambda: forged(iss="somebody"),
    "without an audience": lambda: forged(aud=...),
    "for another audience": lambda: forged(aud="tallystick"),
    "without an end": lambda: forged(exp=...),
    "expired": lambda: forged(exp=seconds_from_now(-60)),
    "issued in the future": lambda: forged(iat=seconds_from_now(120)),
    "of nobody": lambda: forged(sub=...),
    "of somebody who cannot be": lambda: forged(sub="ada lovelace"),
    "without a name": lambda: forged(sid=...),
    "with a name that is none": lambda: forged(sid="x" * 32),
    "with a number for a name": lambda: forged(sid=7),
    "that was never started": lambda: forged(sid="f" * 32),
    "of somebody else": lambda: forged(sub="carol"),
    "unsigned": lambda: token({"alg": "none"}, claims(**OF_A_SESSION), lambda _text: b""),
    "under another algorithm": lambda: token(
        {"alg": "HS512"}, claims(**OF_A_SESSION), by_secret(derive(JWT_SECRET, "sessions"), "sha512")
    ),
    "with other claims": lambda: ".".join(
        [forged().split(".")[0], encoded(json.dumps(claims(sub="bob")).encode()), forged().split(".")[2]]
    ),
    "with a critical header that is a number": lambda: token({**HS256, "crit": 7}, {}, by_secret(b"any")),
    "with claims nested too deep": lambda: token(
        HS256, b'{"sub":' + b"[" * 1500 + b"]" * 1500 + b"}", by_secret(derive(JWT_SECRET, "sessions"))
    ),
    "a bearer token": good_token,
    "a bearer token that says what a session says": lambda: good_token(**OF_A_SESSION),
    "no token": lambda: "ada",
    "a letter with an accent": lambda: f"é{forged()}",
    "nothing": lambda: "",
}


@pytest.mark.parametrize("row", FORGED)
async def test_a_forged_session_is_none(anyone: Caller, row: str) -> None:
    assert not await is_taken(anyone, FORGED[row]())


async def test_the_token_that_the_forgers_began_with_is_a_session(anyone: Caller) -> None:
    assert await is_taken(anyone, forged())


async def test_a_session_is_no_bearer_token(service: Service) -> None:
    anyone, container = service

    assert await answer_to(anyone, f"Bearer {await session_of(container)}") == TURNED_AWAY


@pytest.mark.parametrize(
    "given",
    [
        {"session_secret": SESSION_SECRET},
        {"session_secret": JWT_SECRET},
        {"session_secret": SESSION_SECRET, "jwt_secret": None, "jwks_url": "https://id.example.org/keys"},
    ],
    ids=["two secrets", "one secret twice", "published keys"],
)
async def test_nor_is_it_one_where_sessions_have_a_secret_of_their_own(given: dict[str, Any]) -> None:
    async with running(settings(**given), "memory") as (anyone, container):
        session = await session_of(container)

        assert await is_taken(anyone, session)
        assert await answer_to(anyone, f"Bearer {session}") == TURNED_AWAY


async def test_a_published_key_signs_no_session(service: Service) -> None:
    anyone, _ = service

    assert not await is_taken(anyone, provider().token("RS256", {}, **OF_A_SESSION))


async def test_a_session_holds_for_a_week_and_the_leeway() -> None:
    clock = ManualClock()
    async with running(settings(), "memory", stopped(clock)) as (anyone, container):
        session = await session_of(container)

        clock.move(WEEK + timedelta(seconds=29))
        assert await is_taken(anyone, session)
        clock.move(timedelta(seconds=1))
        assert not await is_taken(anyone, session)


@pytest.mark.parametrize(
    ("here", "there", "holds"),
    [
        ({}, {}, True),
        ({}, {"jwt_secret": "another shared secret, long enough"}, False),
        ({"session_secret": SESSION_SECRET}, {"session_secret": SESSION_SECRET}, True),
        (
            {"session_secret": SESSION_SECRET},
            {"session_secret": SESSION_SECRET, "jwt_secret": "another shared secret, long enough"},
            True,
        ),
        ({"session_secret": SESSION_SECRET}, {"session_secret": "another secret for sessions"}, False),
        ({"session_secret": SESSION_SECRET}, {}, False),
    ],
    ids=["one JWT secret", "two JWT secrets", "one secret", "one secret, two JWT secrets", "two secrets", "only here"],
)
async def test_a_session_holds_on_every_instance_with_its_secret(
    here: dict[str, Any], there: dict[str, Any], holds: bool
) -> None:
    async with (
        running(settings(**here), "memory") as (_, container),
        running(settings(**there), "memory") as (elsewhere, other),
    ):
        await signed_in(other)
        assert await is_taken(elsewhere, await session_of(container)) is holds


class TestBesideABearerToken:
    @staticmethod
    async def read_with_both(service: Service, authorization: str) -> httpx2.Response:
        anyone, container = service
        cookie = f"tallystick_session={await session_of(container)}"
        return await anyone.get("/api/my-referral-link", headers={"authorization": authorization, "cookie": cookie})

    async def test_the_bearer_token_counts(self, service: Service) -> None:
        bobs = (await service[0].named("bob").get("/api/my-referral-link")).json()

        assert (await self.read_with_both(service, bearer("bob"))).json() == bobs

    @pytest.mark.parametrize("authorization", ["Bearer x.y.z", "Bearer", "Basic YTpi", ""])
    async def test_a_bad_one_counts_too(self, service: Service, authorization: str) -> None:
        assert (await self.read_with_both(service, authorization)).status_code == 401
