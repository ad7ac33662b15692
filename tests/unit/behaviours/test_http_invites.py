"""The routes of invites as clients see them."""

from datetime import UTC, datetime, timedelta

from tests.http.services import Caller, Serve
from tests.http.wallets import (
    UTC_TIME,
    UUID,
    invited,
    is_replay_of,
    pages,
    redeemed,
    said,
    uses_left,
)

GONE_IN_A_MOMENT = (datetime.now(UTC) - timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
INVALID = {"isValid": False, "invite": None}


class TestInviteRoutes:
    async def test_a_new_invite_has_a_code_that_was_drawn(self, anyone: Caller) -> None:
        invite = await invited(anyone, 5)

        assert UUID.match(invite["invite_id"])
        assert len(invite["code"]) == 8
        assert UTC_TIME.match(invite["created_at"])
        assert invite == {
            "invite_id": invite["invite_id"],
            "code": invite["code"],
            "max_uses": 5,
            "current_uses": 0,
            "expires_at": None,
            "revoked_at": None,
            "created_at": invite["created_at"],
        }
        assert (await anyone.named("owner").get(f"/api/invites/{invite['invite_id']}")).json() == invite

    async def test_a_code_and_an_end_can_be_chosen(self, anyone: Caller) -> None:
        invite = await invited(anyone, 1, code=" wel-come ", expires_at="2999-12-31T23:59:59Z")

        assert (invite["code"], invite["expires_at"]) == ("WELCOME", "2999-12-31T23:59:59Z")

    async def test_an_end_in_another_zone_is_shown_in_utc(self, anyone: Caller) -> None:
        invite = await invited(anyone, expires_at="2999-12-31T23:59:59+02:00")

        assert invite["expires_at"] == "2999-12-31T21:59:59Z"

    async def test_a_code_that_exists_is_refused_however_it_is_typed(self, anyone: Caller) -> None:
        await invited(anyone, code="WELCOME")

        refused = await anyone.named("eve", "invites:create").post("/api/invites", {"max_uses": 1, "code": "wel come"})

        assert said(refused) == [(409, "CODE_TAKEN")]

    async def test_it_takes_the_permission(self, anyone: Caller) -> None:
        refused = await anyone.named("ada", "invites:manage").post("/api/invites", {"max_uses": 1})

        assert said(refused) == [(403, "FORBIDDEN")]
        assert refused.json()["permission"] == "invites:create"

    async def test_the_same_key_makes_one_invite(self, anyone: Caller) -> None:
        owner = anyone.named("owner", "invites:create")
        first = await owner.post("/api/invites", {"max_uses": 5}, key="k1")

        again = await owner.post("/api/invites", {"max_uses": 5}, key="k1")
        mismatch = await owner.post("/api/invites", {"max_uses": 6}, key="k1")

        assert first.status_code == 201
        assert is_replay_of(first, again)
        assert said(mismatch) == [(422, "IDEMPOTENCY_MISMATCH")]

    async def test_owners_and_managers_see_it_and_nobody_else(self, anyone: Caller) -> None:
        invite = await invited(anyone)
        path = f"/api/invites/{invite['invite_id']}"
        await redeemed(anyone.named("ada"), invite["code"])

        for ending in ("", "/uses"):
            seen = [await caller.get(path + ending) for caller in (anyone.named("owner"), manager(anyone))]
            hidden = [await caller.get(path + ending) for caller in (anyone.named("ada"), creator(anyone))]
            hidden += [await manager(anyone).get(f"/api/invites/nothing{ending}")]
            assert [answer.status_code for answer in seen] == [200, 200]
            assert said(*hidden) == [(404, "INVITE_NOT_FOUND")] * 3
        hidden = [await caller.post(f"{path}/revoke") for caller in (anyone.named("ada"), creator(anyone))]
        assert said(*hidden) == [(404, "INVITE_NOT_FOUND")] * 2

    async def test_uses_are_listed_the_oldest_first(self, anyone: Caller) -> None:
        invite = await invited(anyone)
        users = ["zoe", "ada", "mia"]
        for user in users:
            await redeemed(anyone.named(user), invite["code"])

        found = await pages(anyone.named("owner"), f"/api/invites/{invite['invite_id']}/uses", limit=2)

        assert [[use["user_id"] for use in page] for page in found] == [["zoe", "ada"], ["mia"]]
        assert all(use.keys() == {"user_id", "used_at"} and UTC_TIME.match(use["used_at"]) for use in found[0])

    async def test_a_cursor_of_another_invite_is_refused(self, anyone: Caller) -> None:
        one, other = await invited(anyone), await invited(anyone)
        for user in ("ada", "bob"):
            await redeemed(anyone.named(user), one["code"])
        owner = anyone.named("owner")
        cursor = (await owner.get(f"/api/invites/{one['invite_id']}/uses?limit=1")).json()["next_cursor"]

        refused = await owner.get(f"/api/invites/{other['invite_id']}/uses?cursor={cursor}")

        assert said(refused) == [(400, "INVALID_REQUEST")]

    async def test_an_invite_that_was_taken_back_stays_so(self, anyone: Caller) -> None:
        invite = await invited(anyone)
        path = f"/api/invites/{invite['invite_id']}/revoke"

        first = await anyone.named("owner").post(path)
        again = await manager(anyone).post(path, {})

        assert first.status_code == 200
        assert UTC_TIME.match(first.json()["revoked_at"])
        assert first.json() == again.json() == {**invite, "revoked_at": first.json()["revoked_at"]}

    async def test_a_manager_takes_back_what_is_somebody_elses(self, anyone: Caller) -> None:
        invite = await invited(anyone)

        revoked = await manager(anyone).post(f"/api/invites/{invite['invite_id']}/revoke")

        assert (revoked.status_code, revoked.json()["revoked_at"] is None) == (200, False)


class TestValidateRoute:
    async def test_a_code_that_can_be_used_is_valid_for_anybody(self, anyone: Caller) -> None:
        invite = await invited(anyone, 5, expires_at="2999-12-31T23:59:59Z")
        await redeemed(anyone.named("ada"), invite["code"])

        valid = await anyone.post("/api/invites/validate", {"code": f" {invite['code'].lower()} "})

        assert valid.status_code == 200
        assert valid.json() == {
            "isValid": True,
            "invite": {"code": invite["code"], "remaining": 4, "expiresAt": "2999-12-31T23:59:59Z"},
        }

    async def test_an_end_may_be_absent(self, anyone: Caller) -> None:
        invite = await invited(anyone)

        assert (await validated(anyone, invite["code"]))["invite"]["expiresAt"] is None  # type: ignore[index]  # an object

    async def test_asking_uses_nothing(self, anyone: Caller) -> None:
        invite = await invited(anyone, 1)

        for caller in (anyone, anyone.named("ada"), anyone):
            assert (await validated(caller, invite["code"]))["isValid"] is True

        assert await uses_left(anyone, invite) == 1
        assert (await redeemed(anyone.named("ada"), invite["code"])).status_code == 200

    async def test_nothing_says_why_a_code_cannot_be_used(self, anyone: Caller) -> None:
        exhausted, revoked = await invited(anyone, 1), await invited(anyone)
        expired = await invited(anyone, expires_at=GONE_IN_A_MOMENT)
        await redeemed(anyone.named("ada"), exhausted["code"])
        await anyone.named("owner").post(f"/api/invites/{revoked['invite_id']}/revoke")
        codes = [invite["code"] for invite in (exhausted, revoked, expired)]

        answers = [
            await anyone.post("/api/invites/validate", {"code": code})
            for code in (*codes, "NOBODY99", "", "!", "ＡＢＣＤ1234", "x" * 1024)
        ]

        assert [(answer.status_code, answer.json()) for answer in answers] == [(200, INVALID)] * 8
        assert len({answer.content for answer in answers}) == 1

    async def test_questions_are_counted_with_those_of_referral_codes(self, serve: Serve) -> None:
        anyone = await serve(rate_limits="resolver=2/minute")
        await anyone.get("/api/referral/resolve?code=NOBODY99")

        answers = [await anyone.post("/api/invites/validate", {"code": code}) for code in ("NOBODY99", "ANOTHER9")]

        assert [answer.status_code for answer in answers] == [200, 429]
        assert answers[0].headers["ratelimit-policy"] == '"resolver";q=2;w=60'


class TestRedeemRoute:
    async def test_a_seat_answers_what_is_left(self, anyone: Caller) -> None:
        invite = await invited(anyone, 5)

        answer = await redeemed(anyone.named("ada"), invite["code"].lower())

        seat = answer.json()
        assert answer.status_code == 200
        assert UTC_TIME.match(seat.pop("redeemed_at"))
        assert seat == {"invite_id": invite["invite_id"], "code": invite["code"], "remaining": 4}
        assert await uses_left(anyone, invite) == 4

    async def test_every_refusal_has_its_code(self, anyone: Caller) -> None:
        exhausted, revoked, used = await invited(anyone, 1), await invited(anyone), await invited(anyone)
        expired = await invited(anyone, expires_at=GONE_IN_A_MOMENT)
        await redeemed(anyone.named("bob"), exhausted["code"])
        await redeemed(anyone.named("ada"), used["code"])
        for invite in (revoked, used):
            await anyone.named("owner").post(f"/api/invites/{invite['invite_id']}/revoke")
        codes = [invite["code"] for invite in (exhausted, revoked, expired, used)]

        refused = [await redeemed(anyone.named("ada"), code) for code in (*codes, "NOBODY99", "", "!")]

        assert said(*refused) == [
            (409, "INVITE_EXHAUSTED"),
            (410, "INVITE_REVOKED"),
            (410, "INVITE_EXPIRED"),
            (409, "ALREADY_USED"),
            *[(404, "INVITE_NOT_FOUND")] * 3,
        ]
        assert refused[3].json()["detail"] == refused[3].json()["error"] == "You have already used this invite code"

    async def test_the_same_key_gets_the_first_answer_byte_for_byte(self, anyone: Caller) -> None:
        invite, other, ada = await invited(anyone), await invited(anyone), anyone.named("ada")
        first = await redeemed(ada, invite["code"], key="k1")

        again, mismatch = await redeemed(ada, invite["code"], key="k1"), await redeemed(ada, other["code"], key="k1")

        assert is_replay_of(first, again)
        assert said(mismatch, await redeemed(ada, invite["code"], key="k2")) == [
            (422, "IDEMPOTENCY_MISMATCH"),
            (409, "ALREADY_USED"),
        ]
        assert (await uses_left(anyone, invite), await uses_left(anyone, other)) == (4, 5)

    async def test_a_deleted_user_is_refused_as_deleted(self, anyone: Caller) -> None:
        invite = await invited(anyone)
        await anyone.deliver({"type": "user.deleted", "data": {"id": "ada"}})

        assert said(await redeemed(anyone.named("ada"), invite["code"])) == [(410, "USER_DELETED")]


async def validated(anyone: Caller, code: str) -> dict[str, object]:
    answer: dict[str, object] = (await anyone.post("/api/invites/validate", {"code": code})).json()
    return answer


def manager(anyone: Caller) -> Caller:
    return anyone.named("manager", "invites:manage")


def creator(anyone: Caller) -> Caller:
    return anyone.named("creator", "invites:create")
