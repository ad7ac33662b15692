"""Sign-in and the session that comes of it, as clients see them."""

import re
from typing import Any

from httpx2 import Response

from tests.http.services import BASE_URL, Caller, Serve
from tests.http.wallets import invited, said
from tests.unit.behaviours.test_http_sign_up import SIGN_UP, who

PASSWORD = "a good password"
WEEK_SECONDS = 7 * 24 * 3600


async def signed_up(anyone: Caller, user: str) -> None:
    invite = await invited(anyone)
    answer = await anyone.named(user).post(SIGN_UP, who(user, invite["code"], password=PASSWORD))
    assert answer.status_code == 200


async def sign_in(anyone: Caller, email: str, password: str = PASSWORD) -> Response:
    return await anyone.post("/api/auth/sign-in", {"email": email, "password": password})


def cookie_of(answer: Response) -> tuple[str, dict[str, str]]:
    """Return the value of the session cookie, and its attributes by their names in lower case."""
    name_and_value, *attributes = answer.headers["set-cookie"].split("; ")
    name, _, value = name_and_value.partition("=")
    assert name == "tallystick_session"
    return value, {name.lower(): value for name, _, value in (part.partition("=") for part in attributes)}


class TestSignInRoute:
    async def test_a_session_comes_as_a_cookie_and_as_a_token(self, anyone: Caller) -> None:
        await signed_up(anyone, "ada")

        answer = await sign_in(anyone, "ADA@example.org")

        value, attributes = cookie_of(answer)
        assert answer.status_code == 200
        assert answer.json().keys() == {"token"}
        assert answer.headers["cache-control"] == "no-store"
        assert (attributes["path"], attributes["samesite"].lower()) == ("/", "lax")
        assert int(attributes["max-age"]) == WEEK_SECONDS
        assert {"httponly", "secure"} <= attributes.keys()
        assert "domain" not in attributes
        assert value != answer.json()["token"]

    async def test_both_stand_for_the_user(self, anyone: Caller) -> None:
        await signed_up(anyone, "ada")
        answer = await sign_in(anyone, "ada@example.org")

        for headers in (by_token(answer), by_cookie(answer)):
            me = await anyone.get("/api/me", headers=headers)
            assert (me.status_code, me.json()["user_id"]) == (200, "ada")

    async def test_neither_is_taken_for_the_other(self, anyone: Caller) -> None:
        await signed_up(anyone, "ada")
        answer = await sign_in(anyone, "ada@example.org")
        value, token = cookie_of(answer)[0], answer.json()["token"]

        as_bearer = await anyone.get("/api/me", headers={"authorization": f"Bearer {value}"})
        as_cookie = await anyone.get("/api/me", headers={"cookie": f"tallystick_session={token}"})

        assert said(as_bearer, as_cookie) == [(401, "UNAUTHENTICATED")] * 2

    async def test_the_cookie_writes_for_the_app_itself_alone(self, anyone: Caller) -> None:
        await signed_up(anyone, "ada")
        cookie = by_cookie(await sign_in(anyone, "ada@example.org"))

        foreign = [
            await anyone.post("/api/users/upsert", {"display_name": "A"}, headers={**cookie, **origin})
            for origin in ({}, {"origin": "https://evil.example.org"})
        ]
        own = await anyone.post("/api/users/upsert", {"display_name": "A"}, headers={**cookie, "origin": BASE_URL})

        assert said(*foreign) == [(403, "CSRF_REFUSED")] * 2
        assert (own.status_code, own.json()["user_id"]) == (200, "ada")

    async def test_neither_carries_a_permission(self, anyone: Caller) -> None:
        await signed_up(anyone, "ada")
        answer = await sign_in(anyone, "ada@example.org")

        for headers in (by_token(answer), by_cookie(answer)):
            refused = await anyone.get("/api/admin/invariants", headers=headers)
            assert said(refused) == [(403, "FORBIDDEN")]

    async def test_everybody_else_gets_the_same_answer(self, anyone: Caller) -> None:
        await signed_up(anyone, "ada")
        await anyone.named("bob").post("/api/users/upsert", {"email": "bob@example.org"})
        await signed_up(anyone, "gone")
        await anyone.deliver({"type": "user.deleted", "data": {"id": "gone"}})
        pairs = [
            ("ada@example.org", "another password"),
            ("ada@example.org", ""),
            ("ada@example.org", "x" * 4096),
            ("nobody@example.org", PASSWORD),
            ("bob@example.org", PASSWORD),
            ("gone@example.org", PASSWORD),
            ("no address", PASSWORD),
            ("", ""),
        ]

        refused = [await sign_in(anyone, *pair) for pair in pairs]

        assert said(*refused) == [(401, "SIGN_IN_REFUSED")] * len(pairs)
        assert len({re.sub(r'"correlation_id":"[^"]+"', "", answer.text) for answer in refused}) == 1
        assert len({tuple(sorted(answer.headers)) for answer in refused}) == 1
        assert all("set-cookie" not in answer.headers for answer in refused)

    async def test_a_token_of_somebody_else_does_not_matter(self, anyone: Caller) -> None:
        await signed_up(anyone, "ada")

        answer = await sign_in(anyone.named("bob"), "ada@example.org")

        assert (await anyone.get("/api/me", headers=by_token(answer))).json()["user_id"] == "ada"

    async def test_a_living_session_of_a_deleted_user_is_refused_as_deleted(self, anyone: Caller) -> None:
        await signed_up(anyone, "ada")
        answer = await sign_in(anyone, "ada@example.org")
        await anyone.deliver({"type": "user.deleted", "data": {"id": "ada"}})

        gone = [await anyone.get("/api/me", headers=headers) for headers in (by_token(answer), by_cookie(answer))]

        assert said(*gone) == [(410, "USER_DELETED")] * 2

    async def test_where_the_service_is_reached_in_the_clear_the_cookie_is_not_secure(self, serve: Serve) -> None:
        anyone = await serve(public_base_url="http://127.0.0.1:8000")
        await signed_up(anyone, "ada")

        assert "secure" not in cookie_of(await sign_in(anyone, "ada@example.org"))[1]

    async def test_with_an_external_identity_no_token_of_ours_is_taken(self, serve: Serve) -> None:
        built_in, external = await serve(), await serve(identity="external")
        await signed_up(built_in, "ada")
        answer = await sign_in(built_in, "ada@example.org")

        assert said(await external.get("/api/me", headers=by_token(answer))) == [(401, "UNAUTHENTICATED")]


def by_token(answer: Response) -> dict[str, Any]:
    return {"authorization": f"Bearer {answer.json()['token']}"}


def by_cookie(answer: Response) -> dict[str, Any]:
    return {"cookie": f"tallystick_session={cookie_of(answer)[0]}"}
