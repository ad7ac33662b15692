"""The routes of loyalty as clients see them."""

from typing import Any

from httpx2 import Response

from tallystick.domain.ledger import OWN_EVENTS
from tests.http.services import Caller, Serve
from tests.http.wallets import UTC_TIME, is_replay_of, said

AWARDS, ACCRUALS = "/api/loyalty/manual-rewards", "/api/loyalty/accruals"
ACCRUAL = {
    "player_id",
    "balance_before",
    "balance_after",
    "tier_before",
    "tier_after",
    "tier_progress",
    "lifetime_points",
    "updated_at",
    "row_locked",
}


async def seen(anyone: Caller, user: str) -> Caller:
    """Return a user who was seen."""
    assert (await anyone.named(user).post("/api/users/upsert", {})).status_code == 200
    return anyone.named(user)


async def award(anyone: Caller, player: str, points: int, *, key: str | None = None, **sent: Any) -> Response:
    """Let staff award points."""
    body = {"player_id": player, "points": points, "reason": "because", **sent}
    return await anyone.named("staff", "loyalty:award").post(AWARDS, body, key=key)


async def credit(anyone: Caller, *events: tuple[str, int, str], key: str | None = None) -> Response:
    """Let a till send events: player, points and key."""
    listed = [{"player_id": p, "points": n, "event_type": "promotion", "event_key": k} for p, n, k in events]
    return await anyone.named("till", "loyalty:batch").post(ACCRUALS, {"events": listed}, key=key)


async def points(anyone: Caller, player: str) -> int:
    """Return a player's points, as they see them."""
    return int((await anyone.named(player).get(f"/api/loyalty/{player}")).json()["balance"])


class TestLoyaltyRoute:
    async def test_a_user_without_points_is_in_the_first_tier(self, anyone: Caller) -> None:
        ada = await seen(anyone, "ada")

        assert (await ada.get("/api/loyalty/ada")).json() == {
            "player_id": "ada",
            "balance": 0,
            "tier": "bronze",
            "tier_progress": 0,
            "lifetime_points": 0,
            "version": 0,
        }

    async def test_points_lead_to_tiers(self, anyone: Caller) -> None:
        ada = await seen(anyone, "ada")
        await credit(anyone, ("ada", 1000, "a"), ("ada", 2000, "b"))

        assert (await ada.get("/api/loyalty/ada")).json() == {
            "player_id": "ada",
            "balance": 3000,
            "tier": "silver",
            "tier_progress": 50,
            "lifetime_points": 3000,
            "version": 2,
        }
        me = (await ada.get("/api/me")).json()
        assert (me["points"], me["tier"], me["credits"]) == (3000, "silver", 0)

    async def test_nobody_sees_others_without_the_permission(self, anyone: Caller) -> None:
        await seen(anyone, "ada")
        staff = anyone.named("staff", "loyalty:read")

        refused = await anyone.named("bob", "loyalty:award").get("/api/loyalty/ada")

        assert said(refused) == [(403, "FORBIDDEN")]
        assert refused.json()["permission"] == "loyalty:read"
        assert (await staff.get("/api/loyalty/ada")).json()["balance"] == 0
        assert said(await staff.get("/api/loyalty/nobody")) == [(404, "USER_NOT_FOUND")]

    async def test_staff_see_who_was_deleted(self, anyone: Caller) -> None:
        await seen(anyone, "ada")
        await credit(anyone, ("ada", 7, "a"))
        await anyone.deliver({"type": "user.deleted", "data": {"id": "ada"}})

        assert (await anyone.named("staff", "loyalty:read").get("/api/loyalty/ada")).json()["balance"] == 7
        assert said(await anyone.named("ada").get("/api/loyalty/ada")) == [(410, "USER_DELETED")]

    async def test_tiers_are_a_setting(self, serve: Serve) -> None:
        anyone = await serve(tiers="guest=0; member=10")
        await seen(anyone, "ada")

        receipt = (await award(anyone, "ada", 10)).json()

        assert (receipt["tier_before"], receipt["tier_after"], receipt["tier_progress"]) == ("guest", "member", 100)
        assert (await anyone.named("ada").get("/api/me")).json()["tier"] == "member"


class TestAwardRoute:
    async def test_an_award_answers_its_receipt(self, anyone: Caller) -> None:
        await seen(anyone, "ada")

        awarded = await award(anyone, "ada", 150)

        receipt = awarded.json()
        assert awarded.status_code == 200
        assert receipt.keys() == ACCRUAL
        assert UTC_TIME.match(receipt.pop("updated_at"))
        assert receipt == {
            "player_id": "ada",
            "balance_before": 0,
            "balance_after": 150,
            "tier_before": "bronze",
            "tier_after": "bronze",
            "tier_progress": 15,
            "lifetime_points": 150,
            "row_locked": True,
        }

    async def test_it_takes_the_permission(self, anyone: Caller) -> None:
        await seen(anyone, "ada")
        body = {"player_id": "ada", "points": 1, "reason": "r"}

        refused = await anyone.named("bob", "loyalty:batch", "loyalty:read", "credits:grant").post(AWARDS, body)

        assert said(refused) == [(403, "FORBIDDEN")]
        assert refused.json()["permission"] == "loyalty:award"
        assert await points(anyone, "ada") == 0

    async def test_nobody_awards_in_the_name_of_others(self, anyone: Caller) -> None:
        await seen(anyone, "ada")

        for spoofed in ({"staff_id": "boss"}, {"staffId": "boss"}, {"user_id": "boss"}):
            assert said(await award(anyone, "ada", 1, **spoofed)) == [(400, "INVALID_REQUEST")]
        staff = anyone.named("staff", "loyalty:award")
        sent = {"x-staff-id": "boss", "x-user-id": "boss"}
        body = {"player_id": "ada", "points": 1, "reason": "r"}
        assert said(await staff.call("POST", f"{AWARDS}?staff_id=boss", body=body)) == [(400, "INVALID_REQUEST")]
        await staff.call("POST", AWARDS, body=body, headers=sent)

        assert await points(anyone, "ada") == 1

    async def test_refusals_are_distinguished(self, anyone: Caller) -> None:
        await seen(anyone, "ada")
        await seen(anyone, "staff")
        await anyone.deliver({"type": "user.deleted", "data": {"id": "gone"}})

        assert said(
            await award(anyone, "ada", 10_001),
            await award(anyone, "staff", 1),
            await award(anyone, "nobody", 1),
            await award(anyone, "gone", 1),
        ) == [
            (422, "REWARD_LIMIT_EXCEEDED"),
            (403, "SELF_AWARD"),
            (404, "USER_NOT_FOUND"),
            (410, "USER_DELETED"),
        ]
        assert (await award(anyone, "ada", 10_000)).status_code == 200

    async def test_the_same_award_again_is_the_first_receipt_and_a_hit(self, anyone: Caller) -> None:
        await seen(anyone, "ada")
        first = await award(anyone, "ada", 100)

        assert is_replay_of(first, await award(anyone, "ada", 100))
        assert await points(anyone, "ada") == 100

    async def test_the_same_reward_id_again_is_the_first_receipt_and_a_hit(self, anyone: Caller) -> None:
        await seen(anyone, "ada")
        first = await award(anyone, "ada", 100, reward_id="christmas")

        assert is_replay_of(first, await award(anyone, "ada", 100, reward_id="christmas", reason="another"))
        assert is_replay_of(first, await award(anyone, "ada", 101, reward_id="christmas"))
        assert await points(anyone, "ada") == 100

    async def test_the_same_key_gets_the_first_answer_byte_for_byte(self, anyone: Caller) -> None:
        await seen(anyone, "ada")
        first = await award(anyone, "ada", 100, key="k1")

        assert is_replay_of(first, await award(anyone, "ada", 100, key="k1"))
        assert said(await award(anyone, "ada", 101, key="k1")) == [(422, "IDEMPOTENCY_MISMATCH")]

    async def test_awards_have_a_limit_of_their_own(self, serve: Serve) -> None:
        anyone = await serve(rate_limits="award=2/minute")
        await seen(anyone, "ada")

        answers = [await award(anyone, "ada", number) for number in (1, 2, 3)]

        assert [answer.status_code for answer in answers] == [200, 200, 429]
        assert answers[0].headers["ratelimit-policy"] == '"award";q=2;w=60'
        assert (await credit(anyone, ("ada", 1, "a"))).status_code == 200

    async def test_while_points_are_off_nothing_is_awarded(self, serve: Serve) -> None:
        anyone = await serve(flags="points_enabled=off")
        await seen(anyone, "ada")

        refused = await award(anyone, "ada", 1)

        assert said(refused) == [(409, "POINTS_DISABLED")]
        assert refused.json()["retryable"] is True

    async def test_while_points_are_off_batches_are_refused_and_no_key_is_spent(self, serve: Serve) -> None:
        anyone = await serve(flags="points_enabled=off")
        await seen(anyone, "ada")

        refused = [await credit(anyone, ("ada", 1, "a"), key="k1") for _ in range(2)]

        assert said(*refused) == [(409, "POINTS_DISABLED")] * 2
        assert "idempotency-hit" not in refused[1].headers

    async def test_a_permission_that_was_taken_back_counts_for_new_tokens(self, anyone: Caller) -> None:
        await seen(anyone, "ada")
        body = {"player_id": "ada", "points": 1, "reason": "r"}

        assert (await anyone.named("staff", "loyalty:award").post(AWARDS, body)).status_code == 200
        assert said(await anyone.named("staff").post(AWARDS, body)) == [(403, "FORBIDDEN")]


class TestAccrualRoute:
    async def test_each_event_has_its_outcome(self, anyone: Caller) -> None:
        await seen(anyone, "ada")
        await credit(anyone, ("ada", 1, "old"))

        answer = await credit(anyone, ("ada", 5, "new"), ("nobody", 1, "a"), ("ada", 1, "old"), ("ada", 2, "old"))

        accrued, unknown, repeated, mismatch = answer.json()["results"]
        assert answer.status_code == 200
        assert accrued.keys() == ACCRUAL | {"outcome"}
        assert (accrued["outcome"], accrued["balance_before"], accrued["balance_after"]) == ("accrued", 1, 6)
        assert unknown.keys() == {"outcome", "code", "detail"}
        assert (unknown["outcome"], unknown["code"]) == ("refused", "USER_NOT_FOUND")
        assert (repeated["outcome"], repeated["repeated"], repeated["balance_after"]) == ("accrued", True, 1)
        assert mismatch["code"] == "IDEMPOTENCY_MISMATCH"
        assert await points(anyone, "ada") == 6

    async def test_it_takes_the_permission(self, anyone: Caller) -> None:
        await seen(anyone, "ada")
        event = {"player_id": "ada", "points": 1, "event_type": "promotion", "event_key": "a"}

        refused = await anyone.named("bob", "loyalty:award", "purchases:batch").post(ACCRUALS, {"events": [event]})

        assert said(refused) == [(403, "FORBIDDEN")]
        assert refused.json()["permission"] == "loyalty:batch"
        assert await points(anyone, "ada") == 0

    async def test_a_thousand_events_are_taken_and_not_one_more(self, anyone: Caller) -> None:
        await seen(anyone, "ada")
        events = [("ada", 1, f"event-{number:0190}") for number in range(1001)]

        assert said(await credit(anyone, *events)) == [(400, "INVALID_REQUEST")]
        assert await points(anyone, "ada") == 0
        results = (await credit(anyone, *events[1:])).json()["results"]
        assert [result["balance_after"] for result in results] == list(range(1, 1001))

    async def test_more_than_a_megabyte_is_too_much(self, anyone: Caller) -> None:
        till = anyone.named("till", "loyalty:batch")

        refused = await till.call("POST", ACCRUALS, raw=b'{"events": []}' + b" " * 1024 * 1024)

        assert said(refused) == [(413, "BODY_TOO_LARGE")]

    async def test_no_event_takes_the_place_of_one_of_our_own(self, anyone: Caller) -> None:
        await seen(anyone, "ada")
        till = anyone.named("till", "loyalty:batch")

        for kind in OWN_EVENTS:
            event = {"player_id": "ada", "points": 1, "event_type": kind, "event_key": "a"}
            refused = await till.post(ACCRUALS, {"events": [event]})
            assert said(refused) == [(400, "INVALID_REQUEST")]
            assert refused.json()["errors"][0]["pointer"] == "/events/0/event_type"

        assert await points(anyone, "ada") == 0

    async def test_the_same_key_gets_the_first_answer_byte_for_byte(self, anyone: Caller) -> None:
        await seen(anyone, "ada")
        first = await credit(anyone, ("ada", 1, "a"), ("nobody", 1, "b"), key="k1")

        assert is_replay_of(first, await credit(anyone, ("ada", 1, "a"), ("nobody", 1, "b"), key="k1"))
        assert await points(anyone, "ada") == 1
