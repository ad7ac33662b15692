"""Signing out and changing a password, as clients see them."""

from typing import Any

import pytest
from httpx2 import Response

from tests.http.services import BASE_URL, Caller, Serve
from tests.http.wallets import said
from tests.unit.behaviours.test_http_sign_in import PASSWORD, by_cookie, by_token, cookie_of, sign_in, signed_up

SIGN_OUT, CHANGE = "/api/auth/sign-out", "/api/auth/password"
NEW = "another good password"
APP = {"origin": BASE_URL}
CHANGE_BODY = {"current": PASSWORD, "new": NEW}


async def statuses(anyone: Caller, *headers: dict[str, Any]) -> list[int]:
    return [(await anyone.get("/api/me", headers=each)).status_code for each in headers]


async def signed_in(anyone: Caller, user: str = "ada") -> Response:
    return await sign_in(anyone, f"{user}@example.org")


class TestSignOutRoute:
    @pytest.mark.parametrize("form", [by_cookie, by_token])
    async def test_this_session_ends_in_both_of_its_forms_and_no_other(self, anyone: Caller, form: Any) -> None:
        await signed_up(anyone, "ada")
        this, other = await signed_in(anyone), await signed_in(anyone)

        answer = await anyone.post(SIGN_OUT, headers={**form(this), **APP})

        assert (answer.status_code, answer.json()) == (200, {"success": True})
        ended, living = (by_cookie(this), by_token(this)), (by_cookie(other), by_token(other))
        assert await statuses(anyone, *ended, *living) == [401, 401, 200, 200]
        assert (await anyone.post(SIGN_OUT, headers={**form(this), **APP})).status_code == 401

    async def test_the_cookie_is_taken_back(self, anyone: Caller) -> None:
        await signed_up(anyone, "ada")

        answer = await anyone.post(SIGN_OUT, headers={**by_cookie(await signed_in(anyone)), **APP})

        value, attributes = cookie_of(answer)
        assert (value.strip('"'), attributes["max-age"], attributes["path"]) == ("", "0", "/")
        assert {"httponly", "secure"} <= attributes.keys()

    async def test_everywhere_ends_every_session_of_the_user_alone(self, anyone: Caller) -> None:
        for user in ("ada", "bob"):
            await signed_up(anyone, user)
        this, other, bobs = await signed_in(anyone), await signed_in(anyone), await signed_in(anyone, "bob")

        answer = await anyone.post(SIGN_OUT, {"everywhere": True}, headers=by_token(this))

        assert answer.status_code == 200
        headers = [by_cookie(this), by_token(this), by_cookie(other), by_token(other), by_token(bobs)]
        assert await statuses(anyone, *headers) == [401, 401, 401, 401, 200]
        assert await statuses(anyone, by_token(await signed_in(anyone))) == [200]

    @pytest.mark.parametrize("body", [None, {}, {"everywhere": False}])
    async def test_without_everywhere_it_is_this_one(self, anyone: Caller, body: Any) -> None:
        await signed_up(anyone, "ada")
        this, other = await signed_in(anyone), await signed_in(anyone)

        await anyone.post(SIGN_OUT, body, headers=by_token(this))

        assert await statuses(anyone, by_token(this), by_token(other)) == [401, 200]

    @pytest.mark.parametrize("everywhere", [True, False])
    async def test_the_key_of_another_session_is_of_another_request(self, anyone: Caller, everywhere: bool) -> None:
        await signed_up(anyone, "ada")
        body, key = {"everywhere": everywhere}, {"idempotency-key": "sign-out"}
        await anyone.post(SIGN_OUT, body, headers={**by_token(await signed_in(anyone)), **key})
        later = by_token(await signed_in(anyone))

        refused = await anyone.post(SIGN_OUT, body, headers={**later, **key})

        assert said(refused) == [(422, "IDEMPOTENCY_MISMATCH")]
        assert await statuses(anyone, later) == [200]
        await anyone.post(SIGN_OUT, body, headers={**later, "idempotency-key": "sign-out-again"})
        assert await statuses(anyone, later) == [401]

    async def test_a_cookie_signs_out_for_the_app_itself_alone(self, anyone: Caller) -> None:
        await signed_up(anyone, "ada")
        cookie = by_cookie(await signed_in(anyone))

        for path, body in ((SIGN_OUT, {"everywhere": True}), (CHANGE, CHANGE_BODY)):
            for origin in ({}, {"origin": "https://evil.example.org"}):
                assert said(await anyone.post(path, body, headers={**cookie, **origin})) == [(403, "CSRF_REFUSED")]

        assert await statuses(anyone, cookie) == [200]

    async def test_an_ended_session_buys_nothing(self, anyone: Caller) -> None:
        await signed_up(anyone, "ada")
        headers = by_token(await signed_in(anyone))
        await anyone.post(SIGN_OUT, headers=headers)

        for path, body in (("/api/rewards/r/purchase", None), ("/api/invites/redeem", {"code": "SEATS123"})):
            assert said(await anyone.post(path, body, headers=headers)) == [(401, "UNAUTHENTICATED")]

    async def test_a_token_of_the_identity_provider_is_no_session(self, anyone: Caller) -> None:
        ada = anyone.named("ada")

        refused = [await ada.post(SIGN_OUT, {"everywhere": True}), await ada.post(CHANGE, CHANGE_BODY)]

        assert said(*refused) == [(403, "SESSION_REQUIRED")] * 2

    async def test_where_an_identity_provider_signs_users_in_it_is_said_so(self, serve: Serve) -> None:
        ada = (await serve(identity="external")).named("ada")

        refused = [await ada.post(SIGN_OUT), await ada.post(CHANGE, CHANGE_BODY)]

        assert said(*refused) == [(403, "IDENTITY_EXTERNAL")] * 2

    @pytest.mark.parametrize(
        "body", [{"everywhere": 1}, {"everywhere": "true"}, {"everywhere": None}, {"all": True}, []]
    )
    async def test_a_body_of_another_shape_ends_nothing(self, anyone: Caller, body: Any) -> None:
        await signed_up(anyone, "ada")
        headers = by_token(await signed_in(anyone))

        assert said(await anyone.post(SIGN_OUT, body, headers=headers)) == [(400, "INVALID_REQUEST")]

        assert await statuses(anyone, headers) == [200]


class TestPasswordRoute:
    @pytest.mark.parametrize("form", [by_cookie, by_token])
    async def test_the_new_password_counts_and_every_other_session_ends(self, anyone: Caller, form: Any) -> None:
        await signed_up(anyone, "ada")
        this, other = await signed_in(anyone), await signed_in(anyone)

        answer = await anyone.post(CHANGE, CHANGE_BODY, headers={**form(this), **APP})

        assert (answer.status_code, answer.json()) == (200, {"success": True})
        kept, ended = (by_cookie(this), by_token(this)), (by_cookie(other), by_token(other))
        assert await statuses(anyone, *kept, *ended) == [200, 200, 401, 401]
        assert said(await signed_in(anyone)) == [(401, "SIGN_IN_REFUSED")]
        assert (await sign_in(anyone, "ada@example.org", NEW)).status_code == 200

    @pytest.mark.parametrize("current", ["no password", "", "x" * 4096])
    async def test_another_current_password_changes_nothing(self, anyone: Caller, current: str) -> None:
        await signed_up(anyone, "ada")
        headers = by_token(await signed_in(anyone))

        refused = await anyone.post(CHANGE, {"current": current, "new": NEW}, headers=headers)

        assert said(refused) == [(403, "WRONG_PASSWORD")]
        assert await statuses(anyone, headers) == [200]
        assert (await signed_in(anyone)).status_code == 200

    @pytest.mark.parametrize("new", ["", "seven77", "x" * 129])
    async def test_a_password_that_may_not_be_chosen_is_weak(self, anyone: Caller, new: str) -> None:
        await signed_up(anyone, "ada")
        headers = by_token(await signed_in(anyone))

        assert said(await anyone.post(CHANGE, {"current": PASSWORD, "new": new}, headers=headers)) == [
            (422, "WEAK_PASSWORD")
        ]
        assert (await signed_in(anyone)).status_code == 200

    @pytest.mark.parametrize("new", ["eight888", "x" * 128])
    async def test_one_at_the_edge_is_taken(self, anyone: Caller, new: str) -> None:
        await signed_up(anyone, "ada")
        headers = by_token(await signed_in(anyone))

        assert (await anyone.post(CHANGE, {"current": PASSWORD, "new": new}, headers=headers)).status_code == 200
        assert (await sign_in(anyone, "ada@example.org", new)).status_code == 200

    async def test_a_repeated_key_gets_the_first_answer(self, anyone: Caller) -> None:
        await signed_up(anyone, "ada")
        headers = by_token(await signed_in(anyone))

        first, again = [await anyone.post(CHANGE, CHANGE_BODY, key="k1", headers=headers) for _ in range(2)]

        assert (first.content, again.content) == (b'{"success":true}',) * 2
        assert (again.status_code, again.headers["idempotency-hit"]) == (200, "true")

    async def test_the_key_of_another_session_is_of_another_request(self, anyone: Caller) -> None:
        await signed_up(anyone, "ada")
        key = {"idempotency-key": "change"}
        first = by_token(await signed_in(anyone))
        await anyone.post(CHANGE, CHANGE_BODY, headers={**first, **key})
        second = by_token(await sign_in(anyone, "ada@example.org", NEW))

        refused = await anyone.post(CHANGE, CHANGE_BODY, headers={**second, **key})

        assert said(refused) == [(422, "IDEMPOTENCY_MISMATCH")]
        assert await statuses(anyone, first, second) == [200, 200]

    async def test_a_body_of_another_shape_changes_nothing(self, anyone: Caller) -> None:
        await signed_up(anyone, "ada")
        headers = by_token(await signed_in(anyone))

        for body in (
            {},
            {"current": PASSWORD},
            {"new": NEW},
            {"current": PASSWORD, "new": None},
            {**CHANGE_BODY, "x": 1},
        ):
            assert said(await anyone.post(CHANGE, body, headers=headers)) == [(400, "INVALID_REQUEST")]
        assert (await signed_in(anyone)).status_code == 200


class TestAccountLimit:
    LIMITS = "account=3/minute; sign_up=off"

    async def test_attempts_at_an_account_are_counted_whoever_makes_them(self, serve: Serve) -> None:
        anyone = await serve(rate_limits=self.LIMITS, trusted_proxies="203.0.113.7")
        await signed_up(anyone, "ada")

        async def attempt(number: int, email: str, password: str) -> Response:
            headers = {"x-forwarded-for": f"198.51.100.{number}"}
            return await anyone.post("/api/auth/sign-in", {"email": email, "password": password}, headers=headers)

        wrong = [await attempt(number, "ADA@example.org", "no password") for number in range(3)]
        right = await attempt(9, "ada@example.org", PASSWORD)

        assert said(*wrong, right) == [(401, "SIGN_IN_REFUSED")] * 3 + [(429, "RATE_LIMITED")]

    async def test_the_limit_does_not_reveal_whether_there_is_an_account(self, serve: Serve) -> None:
        anyone = await serve(rate_limits=self.LIMITS)
        await signed_up(anyone, "ada")

        known, unknown = [
            [await sign_in(anyone, email, "no password") for _ in range(4)]
            for email in ("ada@example.org", "nobody@example.org")
        ]

        assert said(*known) == said(*unknown) == [(401, "SIGN_IN_REFUSED")] * 3 + [(429, "RATE_LIMITED")]
        limits = [[answer.headers.get_list("ratelimit-policy") for answer in each] for each in (known, unknown)]
        assert limits[0] == limits[1]

    async def test_another_account_is_another_matter(self, serve: Serve) -> None:
        anyone = await serve(rate_limits=self.LIMITS)
        for user in ("ada", "bob"):
            await signed_up(anyone, user)
        for _ in range(4):
            await sign_in(anyone, "ada@example.org", "no password")

        assert (await signed_in(anyone, "bob")).status_code == 200

    async def test_a_session_does_not_guess_the_password_for_ever(self, serve: Serve) -> None:
        anyone = await serve(rate_limits=self.LIMITS)
        await signed_up(anyone, "ada")
        headers = by_token(await signed_in(anyone))

        tries = [await anyone.post(CHANGE, {"current": "no password", "new": NEW}, headers=headers) for _ in range(4)]

        assert said(*tries) == [(403, "WRONG_PASSWORD")] * 3 + [(429, "RATE_LIMITED")]
