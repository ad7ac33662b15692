"""Tokens that sign-in issues: their user, their lifetime, and forged ones."""

from collections.abc import AsyncIterator, Callable
from datetime import timedelta

import pytest
from dishka import AsyncContainer

from tallystick.adapters.identity.keys import derive
from tallystick.adapters.identity.sessions import Bearers
from tallystick.adapters.memory.ports import ManualClock
from tests.http.replacements import stopped
from tests.http.services import JWT_SECRET, SESSION_ID, Caller, running, settings, signed_in
from tests.http.tokens import EXPIRED, HS256, TURNED_AWAY, answer_to, by_secret, claims, seconds_from_now, token

OF_OURS = {"iss": "tallystick", "aud": "tallystick-bearer"}
PUBLISHED = {"jwt_secret": None, "session_secret": "a secret for the sessions", "jwks_url": "https://id.example.org/k"}


@pytest.fixture
async def anyone() -> AsyncIterator[Caller]:
    """Return a caller without a name, where a session of Ada's lives."""
    async with running(settings(), "memory") as (caller, container):
        await signed_in(container)
        yield caller


async def token_of(container: AsyncContainer, user: str = "ada") -> str:
    return (await container.get(Bearers)).issue(await signed_in(container, user))


async def is_taken(anyone: Caller, given: str) -> bool:
    """Return whether a token is valid; every bad token gets the same answer."""
    answer = await answer_to(anyone, f"Bearer {given}")
    assert answer[0] == 200 or answer in {TURNED_AWAY, EXPIRED}
    return answer[0] == 200


def forged(key: bytes | None = None, **changes: object) -> str:
    """Return a token as the service would sign it, with changes; `...` leaves a claim out."""
    body = claims(**{"iat": seconds_from_now(0), "sid": SESSION_ID, **OF_OURS, **changes})
    return token(HS256, body, by_secret(key or derive(JWT_SECRET, "bearers")))


FORGED: dict[str, Callable[[], str]] = {
    "signed with a key derived for something else": lambda: forged(derive(JWT_SECRET, "cursors")),
    "signed with a key derived from another secret": lambda: forged(derive("another secret", "bearers")),
    "without an issuer": lambda: forged(iss=...),
    "of another issuer": lambda: forged(iss="somebody"),
    "without an audience": lambda: forged(aud=...),
    "for another audience": lambda: forged(aud="tallystick"),
    "a session": lambda: forged(aud="tallystick-session"),
    "without an end": lambda: forged(exp=...),
    "expired": lambda: forged(exp=seconds_from_now(-60)),
    "of nobody": lambda: forged(sub=...),
    "unsigned": lambda: token({"alg": "none"}, claims(**OF_OURS), lambda _text: b""),
}


@pytest.mark.parametrize("row", FORGED)
async def test_a_forged_token_is_none(anyone: Caller, row: str) -> None:
    assert not await is_taken(anyone, FORGED[row]())


async def test_the_text_that_the_forgers_began_with_is_a_token(anyone: Caller) -> None:
    assert await is_taken(anyone, forged())


async def test_a_token_is_no_session(anyone: Caller) -> None:
    cookie = {"cookie": f"tallystick_session={forged()}"}

    assert (await anyone.get("/api/referral", headers=cookie)).status_code == 401


async def test_a_token_holds_for_a_week_and_the_leeway() -> None:
    clock = ManualClock()
    async with running(settings(), "memory", stopped(clock)) as (anyone, container):
        given = await token_of(container)

        clock.move(timedelta(days=7, seconds=29))
        assert await is_taken(anyone, given)
        clock.move(timedelta(seconds=1))
        assert not await is_taken(anyone, given)


async def test_a_token_is_taken_beside_those_of_published_keys() -> None:
    async with running(settings(**PUBLISHED), "memory") as (anyone, container):
        assert await is_taken(anyone, await token_of(container))


async def test_a_required_audience_is_that_of_the_providers_tokens_alone() -> None:
    async with running(settings(jwt_audience="app", jwt_issuer="https://id.example.org"), "memory") as (anyone, graph):
        assert await is_taken(anyone, await token_of(graph))


async def test_where_an_identity_provider_signs_users_in_none_of_ours_is_taken() -> None:
    async with running(settings(identity="external"), "memory") as (anyone, container):
        # Nothing was required of audiences and issuers, and yet it is signed with another key.
        assert not await is_taken(anyone, await token_of(container))
