"""Sign-up by invite as clients see it."""

from typing import Any

import pytest

from tests.http.services import Caller, Serve
from tests.http.wallets import invited, is_replay_of, redeemed, said, uses_left

SIGN_UP = "/api/auth/complete-phone-signup"
PHONE = "+45 12 34 56 78"


def who(user: str, code: str, **sent: Any) -> dict[str, Any]:
    """Return the body of a sign-up; members that are None are left out."""
    body = {
        "userId": user,
        "email": f"{user}@example.org",
        "password": "a good password",
        "username": user,
        "displayName": user.title(),
        "inviteCode": code,
        "phone": PHONE,
        **sent,
    }
    return {name: value for name, value in body.items() if value is not None}


class TestSignUpRoute:
    async def test_profile_credentials_and_seat_come_together(self, anyone: Caller) -> None:
        invite, ada = await invited(anyone), anyone.named("ada")

        answer = await ada.post(SIGN_UP, who("ada", invite["code"].lower(), displayName="Ada L."))

        assert (answer.status_code, answer.json()) == (200, {"success": True})
        assert "set-cookie" not in answer.headers
        me = (await ada.get("/api/me")).json()
        assert (me["username"], me["display_name"], me["otp_verified"]) == ("ada", "Ada L.", False)
        staff = anyone.named("staff", "profiles:read")
        found = (await staff.get("/api/profiles/by-email?email=ada%40example.org")).json()
        assert (found["user_id"], found["phone"]) == ("ada", PHONE)
        assert await uses_left(anyone, invite) == 4

    @pytest.mark.parametrize(
        "verified", [{}, *({"phone_verified": value} for value in (False, None, 1, "true", PHONE))]
    )
    async def test_a_phone_that_the_token_does_not_call_verified_is_not(
        self, anyone: Caller, verified: dict[str, object]
    ) -> None:
        invite, ada = await invited(anyone), anyone.named("ada", phone=PHONE, **verified)

        assert (await ada.post(SIGN_UP, who("ada", invite["code"]))).status_code == 200
        assert (await ada.get("/api/me")).json()["otp_verified"] is False

    @pytest.mark.parametrize("claimed", ["unknown", "()", "-"])
    async def test_a_token_whose_phone_is_no_number_matches_none(self, anyone: Caller, claimed: str) -> None:
        invite, ada = await invited(anyone), anyone.named("ada", phone=claimed)

        assert said(await ada.post(SIGN_UP, who("ada", invite["code"]))) == [(403, "IDENTITY_MISMATCH")]

    @pytest.mark.parametrize("phone", ["+491234567\n", "(...)", "   ", "12"])
    async def test_a_phone_that_nobody_could_dial_is_refused(self, anyone: Caller, phone: str) -> None:
        invite, ada = await invited(anyone), anyone.named("ada")

        refused = await ada.post(SIGN_UP, who("ada", invite["code"], phone=phone))

        assert said(refused) == [(400, "INVALID_REQUEST")]
        assert [fault["pointer"] for fault in refused.json()["errors"]] == ["/phone"]

    async def test_whose_name_it_is_comes_before_what_is_wrong_with_it(self, anyone: Caller) -> None:
        invite = await invited(anyone)

        refused = await anyone.named("ada").post(SIGN_UP, who("bob", invite["code"], password="short"))

        assert said(refused) == [(403, "IDENTITY_MISMATCH")]

    async def test_a_password_of_any_length_is_weak_and_not_malformed(self, anyone: Caller) -> None:
        invite, ada = await invited(anyone), anyone.named("ada")

        assert said(await ada.post(SIGN_UP, who("ada", invite["code"], password="x" * 9000))) == [
            (422, "WEAK_PASSWORD")
        ]

    async def test_nobody_signs_up_in_anothers_name(self, anyone: Caller) -> None:
        invite = await invited(anyone)

        refused = await anyone.named("ada").post(SIGN_UP, who("bob", invite["code"]))

        assert said(refused) == [(403, "IDENTITY_MISMATCH")]
        assert refused.json()["member"] == "userId"
        assert await uses_left(anyone, invite) == 5

    @pytest.mark.parametrize(
        ("claimed", "status"),
        [
            *(("+4512345678", 200), ("4512345678", 200), ("+4512345679", 403)),
            *((4512345678, 200), (4512345679, 403), (True, 403), (["+4512345679"], 403), ({"number": "+4512"}, 403)),
            *((None, 200), ("", 200), (False, 200)),
        ],
    )
    async def test_the_phone_is_the_one_that_the_token_names(self, anyone: Caller, claimed: Any, status: int) -> None:
        invite, ada = await invited(anyone), anyone.named("ada", phone=claimed)

        answer = await ada.post(SIGN_UP, who("ada", invite["code"]))

        assert answer.status_code == status
        if status == 200:
            # That the number is hers and that somebody verified it are two things: only phone_verified says the latter.
            assert (await ada.get("/api/me")).json()["otp_verified"] is False
        else:
            assert (answer.json()["code"], answer.json()["member"]) == ("IDENTITY_MISMATCH", "phone")
            assert await uses_left(anyone, invite) == 5

    @pytest.mark.parametrize("token", [{"phone_verified": True}, {"phone_verified": True, "phone": PHONE}])
    async def test_a_verified_phone_marks_the_otp(self, anyone: Caller, token: dict[str, object]) -> None:
        invite, ada = await invited(anyone), anyone.named("ada", **token)

        await ada.post(SIGN_UP, who("ada", invite["code"]))

        assert (await anyone.named("ada").get("/api/me")).json()["otp_verified"] is True

    async def test_a_taken_address_or_name_leaves_the_seat_free(self, anyone: Caller) -> None:
        invite, ada = await invited(anyone, 1), anyone.named("ada")
        await anyone.named("bob").post("/api/users/upsert", {"email": "Taken@example.org", "username": "taken"})

        email = await ada.post(SIGN_UP, who("ada", invite["code"], email="taken@EXAMPLE.org"))
        username = await ada.post(SIGN_UP, who("ada", invite["code"], username="taken"))

        assert said(email, username) == [(409, "EMAIL_TAKEN"), (409, "USERNAME_TAKEN")]
        assert await uses_left(anyone, invite) == 1
        assert (await ada.post(SIGN_UP, who("ada", invite["code"]))).status_code == 200

    @pytest.mark.parametrize("length", [0, 1, 7, 129, 4096])
    async def test_a_password_that_is_too_short_or_too_long_is_weak(self, anyone: Caller, length: int) -> None:
        invite = await invited(anyone)

        refused = await anyone.named("ada").post(SIGN_UP, who("ada", invite["code"], password="x" * length))

        assert said(refused) == [(422, "WEAK_PASSWORD")]
        assert await uses_left(anyone, invite) == 5

    @pytest.mark.parametrize("password", ["x" * 8, "x" * 128, "éééééééé", "        "])
    async def test_a_password_of_8_to_128_characters_is_taken(self, anyone: Caller, password: str) -> None:
        invite = await invited(anyone)

        answer = await anyone.named("ada").post(SIGN_UP, who("ada", invite["code"], password=password))

        assert answer.status_code == 200
        signed_in = await anyone.post("/api/auth/sign-in", {"email": "ada@example.org", "password": password})
        assert signed_in.status_code == 200

    async def test_the_same_key_gets_the_first_answer_and_a_new_attempt_does_not(self, anyone: Caller) -> None:
        invite, ada = await invited(anyone), anyone.named("ada")
        first = await ada.post(SIGN_UP, who("ada", invite["code"]), key="k1")

        again = await ada.post(SIGN_UP, who("ada", invite["code"]), key="k1")
        mismatch = await ada.post(SIGN_UP, who("ada", invite["code"], username="eve"), key="k1")
        attempts = [await ada.post(SIGN_UP, who("ada", invite["code"]), key=key) for key in ("k2", None)]

        assert is_replay_of(first, again)
        assert said(mismatch, *attempts) == [(422, "IDEMPOTENCY_MISMATCH"), *[(409, "ALREADY_USED")] * 2]
        assert await uses_left(anyone, invite) == 4

    async def test_every_refusal_of_the_seat_has_its_code(self, anyone: Caller) -> None:
        exhausted, revoked = await invited(anyone, 1), await invited(anyone)
        expired = await invited(anyone, expires_at="2020-01-01T00:00:00Z")
        await redeemed(anyone.named("bob"), exhausted["code"])
        await anyone.named("owner").post(f"/api/invites/{revoked['invite_id']}/revoke")
        codes = [invite["code"] for invite in (exhausted, revoked, expired)]

        refused = [await anyone.named("ada").post(SIGN_UP, who("ada", code)) for code in (*codes, "NOBODY99", "!")]

        assert said(*refused) == [
            (409, "INVITE_EXHAUSTED"),
            (410, "INVITE_REVOKED"),
            (410, "INVITE_EXPIRED"),
            *[(404, "INVITE_NOT_FOUND")] * 2,
        ]

    async def test_a_deleted_user_is_refused_as_deleted(self, anyone: Caller) -> None:
        invite = await invited(anyone)
        await anyone.deliver({"type": "user.deleted", "data": {"id": "ada"}})

        assert said(await anyone.named("ada").post(SIGN_UP, who("ada", invite["code"]))) == [(410, "USER_DELETED")]

    async def test_sign_ups_and_sign_ins_are_counted_with_upserts(self, serve: Serve) -> None:
        anyone = await serve(rate_limits="sign_up=2/minute")
        invite, ada = await invited(anyone), anyone.named("ada")
        await ada.post("/api/users/upsert", {})

        answers = [await ada.post(SIGN_UP, who("ada", code)) for code in ("NOBODY99", invite["code"])]
        sign_ins = [await anyone.post("/api/auth/sign-in", {"email": "a@b.c", "password": "x"}) for _ in range(3)]

        assert [answer.status_code for answer in answers] == [404, 429]
        assert answers[0].headers["ratelimit-policy"] == '"sign_up";q=2;w=60'
        assert [answer.status_code for answer in sign_ins] == [401, 401, 429]
        assert await uses_left(anyone, invite) == 5


class TestExternalIdentity:
    async def test_sign_up_refuses_what_the_identity_provider_holds(self, serve: Serve) -> None:
        anyone = await serve(identity="external")
        invite, ada = await invited(anyone), anyone.named("ada")

        refused = await ada.post(SIGN_UP, who("ada", invite["code"]))
        taken = await ada.post(SIGN_UP, who("ada", invite["code"], email=None, password=None))

        assert said(refused) == [(400, "INVALID_REQUEST")]
        assert [fault["pointer"] for fault in refused.json()["errors"]] == ["/email", "/password"]
        assert (taken.status_code, taken.json()) == (200, {"success": True})
        assert await uses_left(anyone, invite) == 4

    async def test_nobody_signs_in_here(self, serve: Serve) -> None:
        anyone = await serve(identity="external")

        refused = await anyone.post("/api/auth/sign-in", {"email": "a@b.c", "password": "a good password"})

        assert said(refused) == [(403, "IDENTITY_EXTERNAL")]
        assert "set-cookie" not in refused.headers

    async def test_by_default_both_are_needed(self, anyone: Caller) -> None:
        invite = await invited(anyone)

        refused = await anyone.named("ada").post(SIGN_UP, who("ada", invite["code"], email=None, password=None))

        assert said(refused) == [(400, "INVALID_REQUEST")]
        assert [fault["pointer"] for fault in refused.json()["errors"]] == ["/email", "/password"]
