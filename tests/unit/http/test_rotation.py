"""Secrets while they rotate: signatures with the old one are accepted while both are listed."""

import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from itertools import permutations
from typing import Any

import pytest
from dishka import AsyncContainer

from tallystick.adapters.identity.sessions import Bearers, SessionTokens
from tallystick.adapters.webhooks.signatures import Signed, WebhookSecrets
from tallystick.entrypoints.http.pages import Cursors
from tallystick.entrypoints.http.refusals import InvalidRequest
from tests.http.services import WEBHOOK_SECRET, Caller, running, settings, signature_headers, signed_in
from tests.http.tokens import HS256, by_secret, claims, token

OLD, NEW, OTHER = "the-secret-of-before-1", "the-secret-of-today-22", "nobody-listed-this-one"
NEXT_WEBHOOK_SECRET = f"whsec_{base64.b64encode(b'the webhook secret after that one').decode()}"
ROOTS: dict[str, dict[str, Any]] = {
    "session secrets": {"session_secret": "{}"},
    "JWT secrets alone": {"jwt_secret": "{}"},
    "session secrets beside published keys": {
        "session_secret": "{}",
        "jwt_secret": None,
        "jwks_url": "https://id.example.org/keys",
    },
}


def listing(root: str, *secrets: str) -> dict[str, Any]:
    """Return settings that list these secrets, in this order."""
    return {name: value.format(" ".join(secrets)) if value is not None else None for name, value in ROOTS[root].items()}


@asynccontextmanager
async def instance(root: str, *secrets: str) -> AsyncIterator[tuple[Caller, AsyncContainer]]:
    """Run an instance that lists these secrets, where a session of Ada's lives."""
    async with running(settings(**listing(root, *secrets)), "memory") as (anyone, container):
        await signed_in(container)
        yield anyone, container


async def credentials(container: AsyncContainer) -> dict[str, dict[str, str]]:
    """Return a session as a cookie and as a bearer token."""
    cookie, bearer = await container.get(SessionTokens), await container.get(Bearers)
    session = await signed_in(container)
    return {
        "cookie": {"cookie": f"tallystick_session={cookie.issue(session)}"},
        "bearer": {"authorization": f"Bearer {bearer.issue(session)}"},
    }


async def statuses(anyone: Caller, given: dict[str, dict[str, str]]) -> dict[str, int]:
    return {form: (await anyone.get("/api/referral", headers=headers)).status_code for form, headers in given.items()}


@pytest.mark.parametrize("root", ROOTS)
async def test_a_session_of_the_old_secret_is_taken_while_it_is_listed(root: str) -> None:
    async with instance(root, OLD) as (_, container):
        given = await credentials(container)

    for listed in (*permutations([OLD, NEW]), *permutations([OLD, NEW, OTHER])):
        async with instance(root, *listed) as (anyone, _):
            assert await statuses(anyone, given) == {"cookie": 200, "bearer": 200}, listed
    async with instance(root, NEW) as (anyone, _):
        assert await statuses(anyone, given) == {"cookie": 401, "bearer": 401}


@pytest.mark.parametrize("root", ROOTS)
async def test_the_first_secret_signs(root: str) -> None:
    async with instance(root, NEW, OLD) as (_, container):
        given = await credentials(container)

    for listed, status in ((NEW, 200), (OLD, 401)):
        async with instance(root, listed) as (anyone, _):
            assert await statuses(anyone, given) == {"cookie": status, "bearer": status}


@pytest.mark.parametrize("root", ROOTS)
async def test_a_cursor_of_the_old_secret_opens_while_it_is_listed(root: str) -> None:
    async with instance(root, OLD) as (_, container):
        cursor = (await container.get(Cursors)).seal("leaderboard", 7)

    for listed in ((NEW, OLD), (OLD, NEW), (OTHER, OLD, NEW)):
        async with instance(root, *listed) as (_, container):
            assert (await container.get(Cursors)).open("leaderboard", cursor, int) == 7
    async with instance(root, NEW) as (_, container):
        with pytest.raises(InvalidRequest):
            (await container.get(Cursors)).open("leaderboard", cursor, int)


async def test_a_token_may_be_signed_with_any_of_the_jwt_secrets() -> None:
    async with running(settings(jwt_secret=f"{NEW} {OLD}"), "memory") as (anyone, _):
        taken = {
            secret: [
                (
                    await anyone.get(
                        "/api/referral",
                        headers={"authorization": f"Bearer {token(HS256, claims(sub=user), by_secret(secret))}"},
                    )
                ).status_code
                for user in ("ada", "bob")  # the second one has a header that was seen before
            ]
            for secret in (OLD, NEW, OTHER, f"{NEW} {OLD}")
        }

    assert taken == {OLD: [200, 200], NEW: [200, 200], OTHER: [401, 401], f"{NEW} {OLD}": [401, 401]}


@pytest.mark.parametrize("listed", list(permutations([WEBHOOK_SECRET, NEXT_WEBHOOK_SECRET])))
def test_the_first_webhook_secret_signs_and_each_of_them_verifies(listed: tuple[str, str]) -> None:
    sent_at = datetime(2026, 1, 1, tzinfo=UTC)
    secrets = WebhookSecrets.parse(" ".join(listed))
    first, second = (signature_headers(b"{}", sent_at=sent_at.timestamp(), secret=secret) for secret in listed)

    assert secrets.sign("msg_1", sent_at, b"{}") == first["webhook-signature"]
    for headers in (first, second):
        assert secrets.verify(headers, b"{}", sent_at) == Signed("msg_1", sent_at)


async def test_a_delivery_may_be_authorised_by_any_of_the_bearers() -> None:
    async with running(settings(webhook_secrets="off", webhook_bearer=f"{NEW} {OLD}"), "memory") as (anyone, _):
        statuses = [
            (
                await anyone.post(
                    "/api/webhooks/auth",
                    {"type": "user.created", "data": {"id": "ada"}},
                    headers={"authorization": f"Bearer {bearer}"},
                )
            ).status_code
            for bearer in (OLD, NEW, OTHER, f"{NEW} {OLD}")
        ]

    assert statuses == [200, 200, 401, 401]
