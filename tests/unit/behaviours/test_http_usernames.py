"""One rule for usernames and one for addresses at every entrance: sign-up, upsert and webhook."""

from collections.abc import Awaitable, Callable

import pytest

from tests.http.providers import body_of
from tests.http.services import Caller
from tests.http.wallets import invited, said
from tests.unit.behaviours.test_http_claims import deliver, username_of
from tests.unit.behaviours.test_http_sign_up import SIGN_UP, who

SAME = ["ada", "Ada", "ada ", " ADA", "ａｄａ", "ada\u3000"]
INVISIBLE = [
    "ad\u200ba",
    "ada\u200b",
    "\ufeffada",
    "ad\u00ada",
    "\u202eada",
    "ada\ufe0f",
    "ada\u3164",
    "ada\u0378",
    " ",
]
WITHIN_ADDRESSES = ["ad\u200ba@example.org", "ａｄａ@example.org", "ada@example\u2060.org", "ada@ｅxample.org"]
Door = Callable[[Caller, str, str], Awaitable[bool]]
"""Lets a user claim a username, and returns whether they have it then."""


async def by_upsert(anyone: Caller, user: str, name: str) -> bool:
    answer = await anyone.named(user).post("/api/users/upsert", {"username": name})
    assert answer.status_code == 200 or said(answer) in ([(409, "USERNAME_TAKEN")], [(400, "INVALID_REQUEST")])
    return answer.status_code == 200


async def by_sign_up(anyone: Caller, user: str, name: str) -> bool:
    invite = await invited(anyone)
    answer = await anyone.named(user).post(SIGN_UP, who(user, invite["code"], username=name))
    assert answer.status_code == 200 or said(answer) in ([(409, "USERNAME_TAKEN")], [(400, "INVALID_REQUEST")])
    return answer.status_code == 200


async def by_webhook(anyone: Caller, user: str, name: str) -> bool:
    await deliver(anyone, body_of("plain", user, username=name), f"plain {user}".replace(" ", "_"))
    return await username_of(anyone, user) is not None


async def by_metadata(anyone: Caller, user: str, name: str) -> bool:
    await deliver(anyone, body_of("supabase", user, raw_user_meta_data={"username": name}), f"supabase_{user}")
    return await username_of(anyone, user) is not None


DOORS: dict[str, Door] = {
    "upsert": by_upsert,
    "sign-up": by_sign_up,
    "webhook": by_webhook,
    "metadata": by_metadata,
}


class TestUsernames:
    @pytest.mark.parametrize("first", DOORS)
    async def test_one_name_is_one_users_however_it_is_spelled_and_wherever_it_enters(
        self, anyone: Caller, first: str
    ) -> None:
        assert await DOORS[first](anyone, "ada", "ａda ")
        assert await username_of(anyone, "ada") == "ada"

        for door, claims in DOORS.items():
            for number, name in enumerate(SAME):
                assert not await claims(anyone, f"{door}{number}", name), (door, name)
        assert await by_upsert(anyone, "ada", "ADA")
        assert await username_of(anyone, "ada") == "ADA"

    @pytest.mark.parametrize("door", DOORS)
    async def test_a_name_with_invisible_characters_enters_nowhere(self, anyone: Caller, door: str) -> None:
        for number, name in enumerate(INVISIBLE):
            assert not await DOORS[door](anyone, f"user{number}", name), name

    async def test_the_fault_says_what_a_username_is(self, anyone: Caller) -> None:
        invite = await invited(anyone)
        upsert = await anyone.named("ada").post("/api/users/upsert", {"username": "ad\u200ba"})
        sign_up = await anyone.named("ada").post(SIGN_UP, who("ada", invite["code"], username="ad\u200ba"))

        for refused in (upsert, sign_up):
            assert said(refused) == [(400, "INVALID_REQUEST")]
            assert [fault["pointer"] for fault in refused.json()["errors"]] == ["/username"]
            assert "invisible" in refused.text

    async def test_a_name_is_free_again_in_every_spelling(self, anyone: Caller) -> None:
        await by_upsert(anyone, "ada", "Ada")
        await by_upsert(anyone, "ada", "countess")

        assert await by_upsert(anyone, "bob", "ADA")
        assert not await by_upsert(anyone, "cid", "Countess")

    async def test_a_proof_takes_a_name_in_another_spelling(self, anyone: Caller) -> None:
        await by_upsert(anyone, "bob", "ADA")

        await deliver(anyone, body_of("clerk", "ada", username="ada"))

        assert [await username_of(anyone, user) for user in ("ada", "bob")] == ["ada", None]

    @pytest.mark.parametrize("address", WITHIN_ADDRESSES)
    async def test_an_address_that_only_looks_like_another_enters_nowhere(self, anyone: Caller, address: str) -> None:
        invite, ada = await invited(anyone), anyone.named("ada")

        refused = [
            *said(await ada.post("/api/users/upsert", {"email": address})),
            *said(await ada.post(SIGN_UP, who("ada", invite["code"], email=address))),
        ]
        await deliver(anyone, body_of("plain", "eve", email=address, email_verified=True))

        assert refused == [(400, "INVALID_REQUEST")] * 2
        staff = anyone.named("staff", "profiles:read")
        assert (await staff.call("GET", "/api/profiles/by-email?email=" + address)).status_code == 404
