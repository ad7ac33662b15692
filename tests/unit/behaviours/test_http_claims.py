"""An unproven claim is never taken from its holder: every provider, claim and way of not proving it."""

from itertools import count
from typing import Any

import pytest

from tallystick.adapters.webhooks.trust import TRUST
from tests.http.providers import ABSENT, CLAIM_CASES, CONFIRMED_AT, Body, ClaimCase, body_of
from tests.http.services import Caller, Serve
from tests.unit.behaviours.test_http_sign_in import sign_in, signed_up

PROVIDERS_AND_CLAIMS = sorted({(case.provider, case.claim) for case in CLAIM_CASES})
VIC = "vic@example.org"


async def deliver(anyone: Caller, body: Body, message_id: str = "msg") -> None:
    receipt = await anyone.deliver(body, message_id=message_id)
    assert (receipt.status_code, receipt.json()) == (200, {"status": "processed"})


async def holder_of(anyone: Caller, email: str) -> str | None:
    found = await anyone.named("staff", "profiles:read").get(
        f"/api/profiles/by-email?email={email.replace('@', '%40')}"
    )
    return found.json().get("user_id") if found.status_code == 200 else None


async def username_of(anyone: Caller, user: str) -> str | None:
    name: str | None = (await anyone.named(user).get("/api/me")).json().get("username")
    return name


async def has(anyone: Caller, user: str, case: ClaimCase, value: str) -> bool:
    if case.claim == "email":
        return await holder_of(anyone, value) == user
    return await username_of(anyone, user) == value


def value_of(case: ClaimCase, number: int) -> str:
    return f"v{number}@example.org" if case.claim == "email" else f"v{number}"


class TestClaims:
    @pytest.mark.parametrize(("provider", "claim"), PROVIDERS_AND_CLAIMS)
    async def test_only_a_proof_takes_a_claim_from_a_user_who_claimed_it_themselves(
        self, anyone: Caller, provider: str, claim: str
    ) -> None:
        cases = [case for case in CLAIM_CASES if (case.provider, case.claim) == (provider, claim)]
        for number, case in enumerate(cases):
            value, vic, mal = value_of(case, number), f"vic{number}", f"mal{number}"
            assert (await anyone.named(vic).post("/api/users/upsert", {claim: value})).status_code == 200

            await deliver(anyone, case.body(mal, value), f"mal{number}")

            assert await has(anyone, vic, case, value) is not case.is_proved, case
            assert await has(anyone, mal, case, value) is case.is_proved, case

    @pytest.mark.parametrize(("provider", "claim"), PROVIDERS_AND_CLAIMS)
    async def test_a_claim_without_proof_is_stored_where_it_is_free(
        self, anyone: Caller, provider: str, claim: str
    ) -> None:
        for number, case in enumerate(CLAIM_CASES):
            if (case.provider, case.claim) == (provider, claim):
                value = value_of(case, number)

                await deliver(anyone, case.body(f"mal{number}", value), f"mal{number}")

                assert await has(anyone, f"mal{number}", case, value), case

    @pytest.mark.parametrize(("provider", "claim"), PROVIDERS_AND_CLAIMS)
    async def test_a_holder_without_proof_loses_the_claim_to_an_older_proof(
        self, anyone: Caller, provider: str, claim: str
    ) -> None:
        proof = next(case for case in CLAIM_CASES if case.claim == claim and case.is_proved)
        for number, case in enumerate(CLAIM_CASES):
            if (case.provider, case.claim, case.is_proved) == (provider, claim, False):
                value = value_of(case, number)
                await deliver(anyone, case.body(f"mal{number}", value), f"mal{number}")

                older = proof.body(f"vic{number}", value, updated_at="2020-01-01T00:00:00Z")
                await deliver(anyone, older, f"vic{number}")

                assert await has(anyone, f"vic{number}", case, value), case
                assert not await has(anyone, f"mal{number}", case, value), case

    def test_every_claim_of_the_trust_table_is_tried_with_and_without_proof(self) -> None:
        for provider, trust in TRUST.items():
            for claim in ("email", "username"):
                tried = {case.is_proved for case in CLAIM_CASES if (case.provider, case.claim) == (provider, claim)}
                if claim not in trust.fields:
                    assert not tried
                    continue
                sources = trust.fields[claim].sources
                can_prove = any(source.proofs or source.is_kept_unique for source in sources)
                can_fail = not any(source.is_kept_unique for source in sources)
                assert tried == {proved for proved, can in ((True, can_prove), (False, can_fail)) if can}, provider


class TestProvedAddress:
    """The address that Vic verified, and signs in with."""

    @pytest.mark.parametrize("member", ["null primary", "no verification", "as primary", "supabase"])
    async def test_vic_keeps_the_address_and_signs_in(self, anyone: Caller, member: str) -> None:
        await signed_up(anyone, "vic")
        verified = body_of("clerk", "vic", kind="created", **_address("verified", "idn_1"))
        await deliver(anyone, verified, "vic")
        attack = {
            "null primary": body_of("clerk", "mal", **_address("unverified", None)),
            "no verification": body_of("clerk", "mal", **_address(None, None)),
            "as primary": body_of("clerk", "mal", **_address("unverified", "idn_1")),
            "supabase": body_of("supabase", "mal", email=VIC, email_confirmed_at=None),
        }[member]

        await deliver(anyone, attack, "mal")

        assert await holder_of(anyone, VIC) == "vic"
        assert (await sign_in(anyone, VIC)).status_code == 200

    async def test_the_newest_proof_moves_the_address(self, anyone: Caller) -> None:
        await deliver(
            anyone, body_of("clerk", "vic", updated_at=1_700_000_000_000, **_address("verified", "idn_1")), "1"
        )
        await deliver(
            anyone, body_of("clerk", "wil", updated_at=1_700_000_001_000, **_address("verified", "idn_1")), "2"
        )
        await deliver(
            anyone, body_of("clerk", "xia", updated_at=1_700_000_000_500, **_address("verified", "idn_1")), "3"
        )

        assert await holder_of(anyone, VIC) == "wil"


def _address(status: str | None, primary: str | None) -> dict[str, Any]:
    verification = {"status": status} if status is not None else None
    entry = {"id": "idn_1", "email_address": VIC, "verification": verification}
    return {"email_addresses": [entry], "primary_email_address_id": primary}


FULL: dict[str, dict[str, Any]] = {
    "clerk": {
        "email_addresses": [{"id": "e", "email_address": VIC, "verification": {"status": "verified"}}],
        "primary_email_address_id": "e",
        "phone_numbers": [{"id": "p", "phone_number": "+4512345678", "verification": {"status": "verified"}}],
        "primary_phone_number_id": "p",
        "username": "vic",
        "first_name": "Vic",
    },
    "supabase": {
        "email": VIC,
        "email_confirmed_at": CONFIRMED_AT,
        "phone": "4512345678",
        "phone_confirmed_at": CONFIRMED_AT,
        "raw_user_meta_data": {"username": "vic", "display_name": "Vic"},
    },
    "auth0": {
        "email": VIC,
        "email_verified": True,
        "phone_number": "+4512345678",
        "phone_verified": True,
        "username": "vic",
        "name": "Vic",
    },
    "stack_auth": {"primary_email": VIC, "primary_email_verified": True, "display_name": "Vic"},
    "plain": {
        "email": VIC,
        "email_verified": True,
        "phone": "+4512345678",
        "phone_verified": True,
        "username": "vic",
        "display_name": "Vic",
    },
}
EMPTIED: dict[str, list[dict[str, Any]]] = {
    "clerk": [{}],
    "supabase": [
        {"raw_user_meta_data": {"username": None, "display_name": None}},
        {"email": "", "phone": "", "raw_user_meta_data": {"username": "", "display_name": ""}},
    ],
    "auth0": [{"username": None}, {"username": None, "email": None, "phone_number": None, "name": None}],
    "stack_auth": [{}],
    "plain": [{"email": None, "phone": None, "username": None, "display_name": None}],
}
SILENT: dict[str, dict[str, Any]] = {
    "supabase": {"email": VIC, "email_confirmed_at": CONFIRMED_AT, "raw_user_meta_data": {"theme": "dark"}},
    "auth0": {"email": VIC, "email_verified": True, "name": "Vic"},
    "plain": {"locale": "da"},
}
"""Bodies that say nothing of the username."""


def _row(member: str, value: object = None) -> dict[str, Any]:
    row = {"id": "vic", **({member: value} if member else {})}
    return {"type": "UPDATE", "schema": "auth", "table": "users", "record": row}


PARTS: list[tuple[str, dict[str, Any]]] = [
    ("clerk", {"type": "user.updated", "data": {"id": "vic", "email_addresses": FULL["clerk"]["email_addresses"]}}),
    ("clerk", {"type": "user.updated", "data": {"id": "vic", "primary_email_address_id": None}}),
    ("clerk", {"type": "user.updated", "data": {"id": "vic", "phone_numbers": []}}),
    *(("supabase", _row(each)) for each in ("", "phone", "raw_user_meta_data")),
    ("supabase", _row("email", VIC)),
    ("stack_auth", {"type": "user.updated", "data": {"id": "vic", "primary_email": VIC}}),
    ("stack_auth", {"type": "user.updated", "data": {"id": "vic", "primary_email_verified": True}}),
    ("plain", {"type": "user.updated", "data": {"id": "vic", "phone": None}}),
    ("plain", {"type": "user.updated", "data": {"id": "vic", "email": VIC}}),
]
"""Bodies of a part of a user that name neither its username nor its display name."""


class TestEmptiedProfiles:
    @pytest.mark.parametrize(("provider", "emptied"), [(p, each) for p, all_ in EMPTIED.items() for each in all_])
    async def test_a_value_that_a_provider_no_longer_has_is_cleared_and_free(
        self, anyone: Caller, provider: Any, emptied: dict[str, Any]
    ) -> None:
        await deliver(anyone, body_of(provider, "vic", kind="created", **FULL[provider]), "1")
        before = await profile(anyone, "vic")

        await deliver(anyone, body_of(provider, "vic", **emptied), "2")

        me = await profile(anyone, "vic")
        assert before["display_name"] == "Vic"
        assert (me["username"], me["display_name"]) == (None, None)
        assert me["otp_verified"] is before["otp_verified"]
        assert await holder_of(anyone, VIC) is None
        free = await anyone.named("bob").post("/api/users/upsert", {"email": VIC, "username": "vic"})
        assert free.status_code == 200

    @pytest.mark.parametrize("provider", SILENT)
    async def test_a_username_that_a_body_does_not_name_stays(self, anyone: Caller, provider: Any) -> None:
        await deliver(anyone, body_of(provider, "vic", kind="created", **FULL[provider]), "1")

        await deliver(anyone, body_of(provider, "vic", **SILENT[provider]), "2")

        me = await profile(anyone, "vic")
        assert (me["username"], me["display_name"]) == ("vic", "Vic")
        assert await holder_of(anyone, VIC) == "vic"

    @pytest.mark.parametrize(("provider", "part"), PARTS)
    async def test_a_part_of_a_user_changes_what_it_names(
        self, anyone: Caller, provider: Any, part: dict[str, Any]
    ) -> None:
        await deliver(anyone, body_of(provider, "vic", kind="created", **FULL[provider]), "1")
        before = await profile(anyone, "vic")

        await deliver(anyone, part, "2")

        assert await profile(anyone, "vic") == before
        assert await holder_of(anyone, VIC) == "vic"

    @pytest.mark.parametrize("provider", ["clerk", "supabase", "auth0", "plain"])
    async def test_an_older_body_clears_nothing(self, anyone: Caller, provider: Any) -> None:
        await deliver(anyone, body_of(provider, "vic", updated_at="2026-01-02T00:00:00Z", **FULL[provider]), "1")

        older = body_of(provider, "vic", updated_at="2026-01-01T00:00:00Z", **EMPTIED[provider][0])
        await deliver(anyone, older, "2")

        assert (await profile(anyone, "vic"))["username"] == "vic"
        assert await holder_of(anyone, VIC) == "vic"

    @pytest.mark.parametrize("provider", ["clerk", "supabase", "auth0", "plain"])
    async def test_a_phone_that_was_verified_once_stays_so(self, anyone: Caller, provider: Any) -> None:
        await deliver(anyone, body_of(provider, "vic", **FULL[provider]), "1")
        for number, body in enumerate(EMPTIED[provider]):
            await deliver(anyone, body_of(provider, "vic", **body), f"empty{number}")

        assert (await profile(anyone, "vic"))["otp_verified"] is True

    async def test_a_full_state_that_names_what_somebody_else_holds_leaves_nothing(self, anyone: Caller) -> None:
        await deliver(anyone, body_of("supabase", "vic", email=VIC, email_confirmed_at=CONFIRMED_AT), "1")
        await deliver(anyone, body_of("supabase", "mal", email="mal@example.org", email_confirmed_at=CONFIRMED_AT), "2")

        await deliver(anyone, body_of("supabase", "mal", email=VIC), "3")

        assert [await holder_of(anyone, email) for email in (VIC, "mal@example.org")] == ["vic", None]


async def profile(anyone: Caller, user: str) -> dict[str, Any]:
    me: dict[str, Any] = (await anyone.named(user).get("/api/me")).json()
    return me


class TestLifeAtEachProvider:
    @pytest.mark.parametrize("provider", TRUST)
    async def test_users_come_and_go(self, anyone: Caller, provider: Any) -> None:
        numbers = count(1)
        for kind, status in (("created", 200), ("updated", 200), ("deleted", 410)):
            await deliver(anyone, body_of(provider, "vic", kind=kind, **FULL[provider]), f"m{next(numbers)}")

            assert (await anyone.named("vic").get("/api/me")).status_code == status

    @pytest.mark.parametrize(
        "deleted_at", ["", None, False, True, 0, 1, "0001-01-01T00:00:00Z", "2999-01-01T00:00:00Z", [], {}, ABSENT]
    )
    async def test_a_deletion_without_a_time_is_none(self, anyone: Caller, deleted_at: object) -> None:
        await deliver(anyone, body_of("supabase", "vic", deleted_at=deleted_at, **FULL["supabase"]))

        assert (await anyone.named("vic").get("/api/me")).status_code == 200

    async def test_auth0_speaks_without_its_prefix_too(self, serve: Serve) -> None:
        anyone = await serve(webhook_bearer="a bearer for event streams")
        body = {**body_of("auth0", "auth0|vic", kind="created", **FULL["auth0"]), "type": "user.created"}

        receipt = await anyone.post(
            "/api/webhooks/auth", body, headers={"authorization": "Bearer a bearer for event streams"}
        )

        assert receipt.json() == {"status": "processed"}
        assert await holder_of(anyone, VIC) == "auth0|vic"

    @pytest.mark.parametrize(
        ("body", "says"),
        [
            ({"type": "com.example.user.created", "data": {"id": "vic"}}, "send user.created"),
            ({"type": "USER.CREATED", "data": {"id": "vic"}}, "send user.created"),
            ({"type": "user_updated", "data": {"id": "vic"}}, "send user.created"),
            ({"type": "userDeleted", "data": {"id": "vic"}}, "send user.created"),
            ({"type": "users.create", "data": {"id": "vic"}}, "send user.created"),
            ({"type": "com.auth0.user.created", "data": {"user_id": "vic"}}, "data.object has to be the user"),
            ({"type": "com.auth0.user.created", "data": {"object": {}}}, "the user's id"),
            ({"type": "user.created", "data": {"user": {"id": "vic"}}}, "the user's id"),
            ({"event": "user.created", "data": {"id": "vic"}}, "type has to be"),
            ({"type": "user.created", "user": {"id": "vic"}}, "data has to be"),
            ({"type": "insert", "schema": "auth", "table": "users", "record": {"id": "vic"}}, "in capitals"),
            ({"type": None, "schema": "auth", "table": "users", "record": {"id": "vic"}}, "INSERT, UPDATE or DELETE"),
            ({"type": "INSERT", "schema": "auth", "table": "users", "record": None}, "record has to be the row"),
            ({"type": "DELETE", "schema": "auth", "table": "users", "old_record": []}, "old_record has to be the row"),
            ([], "the body has to be a JSON object"),
        ],
    )
    async def test_a_body_about_a_user_that_cannot_be_read_is_refused(
        self, anyone: Caller, body: Any, says: str
    ) -> None:
        refused = await anyone.deliver(body)

        assert (refused.status_code, refused.json()["code"]) == (400, "INVALID_REQUEST")
        assert says in refused.text
        assert (await anyone.named("vic").get("/api/me")).status_code == 404
