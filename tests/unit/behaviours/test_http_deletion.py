"""The route that deletes users, as administrators see it."""

from tests.http.services import Caller
from tests.http.wallets import UTC_TIME, said

PROFILE = {"email": "ada@example.org", "username": "ada", "display_name": "Ada", "phone": "+45 12 34 56 78"}


class TestDeletionRoute:
    async def test_a_deleted_user_is_gone_for_everybody(self, anyone: Caller) -> None:
        ada, staff = anyone.named("ada"), anyone.named("staff", "admin:users", "profiles:read")
        await ada.post("/api/users/upsert", PROFILE)
        code = (await ada.get("/api/my-referral-link")).json()["referral_code"]

        answer = await staff.call("DELETE", "/api/admin/users/ada")

        assert answer.status_code == 200
        assert UTC_TIME.match(answer.json()["deleted_at"])
        assert answer.json() == {"user_id": "ada", "deleted_at": answer.json()["deleted_at"]}
        assert said(await ada.get("/api/me")) == [(410, "USER_DELETED")]
        assert said(await staff.get("/api/profiles/by-email?email=ada%40example.org")) == [(404, "USER_NOT_FOUND")]
        assert (await anyone.get(f"/api/referral/resolve?code={code}")).json()["valid"] is False

    async def test_again_is_the_same_answer(self, anyone: Caller) -> None:
        await anyone.named("auth0|ada@x").post("/api/users/upsert", {})
        staff = anyone.named("staff", "admin:users")

        first, again = [await staff.call("DELETE", "/api/admin/users/auth0%7Cada%40x") for _ in range(2)]

        assert (first.status_code, first.json()["user_id"]) == (200, "auth0|ada@x")
        assert (again.status_code, again.content) == (200, first.content)

    async def test_a_user_who_was_never_seen_is_not_found(self, anyone: Caller) -> None:
        staff = anyone.named("staff", "admin:users")

        assert said(await staff.call("DELETE", "/api/admin/users/nobody")) == [(404, "USER_NOT_FOUND")]
        for malformed in ("no%20body", "no%00body", "x" * 129):
            assert said(await staff.call("DELETE", f"/api/admin/users/{malformed}")) == [(400, "INVALID_REQUEST")]

    async def test_nobody_deletes_without_the_permission(self, anyone: Caller) -> None:
        ada = anyone.named("ada", "admin:read", "admin:export")
        await ada.post("/api/users/upsert", PROFILE)

        refused = await ada.call("DELETE", "/api/admin/users/ada")

        assert (refused.status_code, refused.json()["permission"]) == (403, "admin:users")
        assert (await ada.get("/api/me")).json()["username"] == "ada"
