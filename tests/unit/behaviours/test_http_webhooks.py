"""The webhook as identity providers use it; their bodies are the examples of their own documentation."""

import json
from pathlib import Path
from typing import Any

from tests.http.services import WEBHOOK_SECRET, Caller, Serve
from tests.unit.behaviours.test_http_referrals import code_of, resolves

EXAMPLES = Path(__file__).parent / "providers"
SECOND_SECRET = "whsec_c2Vjb25kIHNlY3JldCBvZiB0aGUgdGVzdHM="
BEARER = "a bearer for the database webhook"


def example(name: str) -> dict[str, Any]:
    """Return a provider's documented body."""
    body: dict[str, Any] = json.loads((EXAMPLES / f"{name}.json").read_text(encoding="utf-8"))
    return body


class TestWebhookRoute:
    async def test_a_created_user_has_a_code_before_the_first_read(self, anyone: Caller) -> None:
        receipt = await anyone.deliver({"type": "user.created", "data": {"id": "ada", "email": "ada@example.org"}})

        assert (receipt.status_code, receipt.json()) == (200, {"status": "processed"})
        assert (await anyone.named("ada").get("/api/referral")).json()["pending"] is False

    async def test_the_same_delivery_again_is_a_duplicate(self, anyone: Caller) -> None:
        body = {"type": "user.created", "data": {"id": "ada"}}
        await anyone.deliver(body)

        assert (await anyone.deliver(body)).json() == {"status": "duplicate"}

    async def test_other_types_are_ignored(self, anyone: Caller) -> None:
        for kind in ("session.created", "organization.created", "", "user.created.later"):
            assert (await anyone.deliver({"type": kind, "data": {"id": "ada"}})).json() == {"status": "ignored"}
        assert (await anyone.named("ada").get("/api/me")).status_code == 404

    async def test_a_signed_body_of_no_known_shape_is_refused_and_can_be_sent_again(self, anyone: Caller) -> None:
        shapes: list[Any] = [
            [],
            "user.created",
            {},
            {"type": 1, "data": {"id": "ada"}},
            {"type": "user.created"},
            {"type": "user.created", "data": []},
            {"type": "user.created", "data": {}},
            {"type": "user.created", "data": {"id": ""}},
            {"type": "user.created", "data": {"id": 7}},
            {"type": "user.created", "data": {"id": "spaces are none"}},
            {"type": "user.created", "data": {"id": "x" * 129}},
            b"not json",
            b"",
            b"\xff",
            b'{"type":"user.created","type":"user.created","data":{"id":"ada"}}',
            b'{"type":"user.created","data":{"id":"ada","name":"\\u0000"}}',
            b'{"type":"user.created","data":{"id":"ada","x":' + b"[" * 40 + b"]" * 40 + b"}}",
        ]
        for body in shapes:
            refused = await anyone.deliver(body)
            assert (refused.status_code, refused.json()["code"]) == (400, "INVALID_REQUEST"), body

        assert (await anyone.deliver({"type": "user.created", "data": {"id": "ada"}})).json()["status"] == "processed"

    async def test_fields_that_do_not_fit_are_left_out_and_the_user_is_not(self, anyone: Caller) -> None:
        data = {"id": "ada", "email": "none", "username": "x" * 500, "name": 7, "phone": [], "new_field": {"a": 1}}

        assert (await anyone.deliver({"type": "user.created", "data": data})).json()["status"] == "processed"
        me = (await anyone.named("ada").get("/api/me")).json()
        assert (me["username"], me["display_name"]) == (None, None)

    async def test_both_secrets_count_while_they_rotate(self, serve: Serve) -> None:
        anyone = await serve(webhook_secrets=f"{WEBHOOK_SECRET} v1,{SECOND_SECRET}")

        for number, secret in enumerate((WEBHOOK_SECRET, SECOND_SECRET)):
            receipt = await anyone.deliver(
                {"type": "user.created", "data": {"id": f"user-{number}"}}, message_id=f"m{number}", secret=secret
            )
            assert receipt.json() == {"status": "processed"}

    async def test_a_deleted_users_living_token_is_refused_as_deleted(self, anyone: Caller) -> None:
        code = await code_of(anyone, "ada")
        await anyone.deliver({"type": "user.deleted", "data": {"id": "ada"}})

        refused = await anyone.named("ada").get("/api/my-referral-link")

        assert (refused.status_code, refused.json()["code"]) == (410, "USER_DELETED")
        assert not await resolves(anyone, code)

    async def test_a_late_creation_does_not_resurrect(self, anyone: Caller) -> None:
        await anyone.deliver({"type": "user.deleted", "data": {"id": "ada"}}, message_id="m1")

        assert (
            await anyone.deliver({"type": "user.created", "data": {"id": "ada"}}, message_id="m2")
        ).status_code == 200
        assert (await anyone.named("ada").get("/api/me")).status_code == 410

    async def test_switched_off_it_asks_to_come_again(self, serve: Serve) -> None:
        for off in ({"flags": "webhook_enabled=off"}, {"webhook_secrets": "off"}):
            refused = await (await serve(**off)).deliver({"type": "user.created", "data": {"id": "ada"}})
            assert (refused.status_code, refused.json()["code"]) == (503, "WEBHOOK_DISABLED")
            assert "retry-after" in refused.headers


class TestProviders:
    async def test_clerks_life_of_a_user(self, anyone: Caller) -> None:
        created, updated, deleted = (example(f"clerk_user_{kind}") for kind in ("created", "updated", "deleted"))
        user = created["data"]["id"]
        staff = anyone.named("staff", "profiles:read")

        assert (await anyone.deliver(created, message_id="m1", prefix="svix")).json() == {"status": "processed"}
        found = (await staff.get("/api/profiles/by-email?email=example%40example.org")).json()
        assert (found["user_id"], found["display_name"], found["otp_verified"]) == (user, "Example Example", False)

        assert (await anyone.deliver(updated, message_id="m2", prefix="svix")).json() == {"status": "processed"}
        assert (await anyone.named(user).get("/api/my-referral-link")).json()["otp_verified"] is True

        assert (await anyone.deliver(deleted, message_id="m3", prefix="svix")).json() == {"status": "processed"}
        assert (await anyone.named(user).get("/api/me")).status_code == 410

    async def test_supabases_life_of_a_user(self, serve: Serve) -> None:
        anyone = await serve(webhook_bearer=BEARER)
        inserted, updated, deleted = (example(f"supabase_{kind}") for kind in ("insert", "update", "delete"))
        user = inserted["record"]["id"]

        async def send(body: dict[str, Any]) -> str:
            sent = await anyone.call(
                "POST", "/api/webhooks/auth", body=body, headers={"authorization": f"Bearer {BEARER}"}
            )
            status: str = sent.json()["status"]
            return status

        assert await send(inserted) == "processed"
        assert (await anyone.named(user).get("/api/referral")).json() | {"referral_url": "", "referral_code": ""} == {
            "referral_url": "",
            "referral_code": "",
            "otp_verified": False,
            "pending": False,
        }
        assert await send(inserted) == "duplicate"
        assert await send(updated) == "processed"
        me = (await anyone.named(user).get("/api/me")).json()
        assert (me["display_name"], me["otp_verified"]) == ("Ada Lovelace", True)
        assert await send(deleted) == "processed"
        assert (await anyone.named(user).get("/api/me")).status_code == 410

    async def test_a_soft_deletion_in_supabase_is_a_deletion(self, serve: Serve) -> None:
        anyone = await serve(webhook_bearer=BEARER)
        body = example("supabase_update")
        body["record"]["deleted_at"] = "2026-01-02T00:00:00Z"

        await anyone.call("POST", "/api/webhooks/auth", body=body, headers={"authorization": f"Bearer {BEARER}"})

        assert (await anyone.named(body["record"]["id"]).get("/api/me")).status_code == 410

    async def test_other_tables_of_supabase_are_ignored(self, anyone: Caller) -> None:
        for change in ({"table": "posts"}, {"schema": "public"}, {"type": "TRUNCATE"}):
            assert (await anyone.deliver({**example("supabase_insert"), **change})).json() == {"status": "ignored"}
