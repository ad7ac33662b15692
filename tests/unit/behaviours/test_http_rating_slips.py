"""The routes of rating slips, and of what waits, as clients see them."""

from datetime import UTC, datetime, timedelta
from typing import Any

from httpx2 import Response

from tests.http.services import Caller, Serve
from tests.http.wallets import UTC_TIME, UUID, is_replay_of, pages, said
from tests.unit.behaviours.test_http_loyalty import ACCRUAL, points, seen

SLIPS, PENDING = "/api/rating-slips", "/api/pending-accruals"
SLIP = {
    "slip_id",
    "player_id",
    "game",
    "average_bet",
    "decisions_per_hour",
    "house_edge_bp",
    "points_per_100",
    "state",
    "opened_at",
    "closed_at",
    "points",
}
WAITING = {"rate_limits": "off", "flags": "points_enabled=off"}


def ago(**by: float) -> str:
    """Return a time that has passed."""
    return (datetime.now(UTC) - timedelta(**by)).isoformat()


def pit(anyone: Caller) -> Caller:
    """Return who rates play."""
    return anyone.named("pit", "slips:write")


async def opened(anyone: Caller, player: str = "ada", *, key: str | None = None, **sent: Any) -> dict[str, Any]:
    """Return a slip that was opened an hour and a half a second ago: it earns 525 points until now."""
    body = {"player_id": player, "game": "blackjack", "average_bet": 10_000, "opened_at": ago(hours=1, seconds=0.5)}
    answer = await pit(anyone).post(SLIPS, {**body, **sent}, key=key)
    assert answer.status_code == 201, answer.text
    slip: dict[str, Any] = answer.json()
    return slip


async def complete(anyone: Caller, slip: dict[str, Any], body: Any = None, **sent: Any) -> Response:
    """Complete a slip."""
    return await pit(anyone).post(f"{SLIPS}/{slip['slip_id']}/complete", body, **sent)


async def recover(anyone: Caller, slip: dict[str, Any], **sent: Any) -> Response:
    """Recover a slip."""
    return await pit(anyone).post(f"{SLIPS}/{slip['slip_id']}/recover", **sent)


class TestSlipRoutes:
    async def test_a_slip_is_opened_with_the_settings_of_its_game(self, anyone: Caller) -> None:
        await seen(anyone, "ada")
        body = {"player_id": "ada", "game": "roulette", "average_bet": 500}

        answer = await pit(anyone).post(SLIPS, body)

        slip = answer.json()
        assert answer.status_code == 201
        assert slip.keys() == SLIP
        assert UUID.match(slip["slip_id"])
        assert UTC_TIME.match(slip["opened_at"])
        assert (slip["player_id"], slip["game"], slip["average_bet"]) == ("ada", "roulette", 500)
        assert (slip["decisions_per_hour"], slip["house_edge_bp"], slip["points_per_100"]) == (38, 526, 10)
        assert (slip["state"], slip["closed_at"], slip["points"]) == ("open", None, None)
        assert (await pit(anyone).get(f"{SLIPS}/{slip['slip_id']}")).json() == slip

    async def test_unknown_players_games_and_slips_are_not_found(self, anyone: Caller) -> None:
        await seen(anyone, "ada")
        body = {"player_id": "ada", "game": "slots", "average_bet": 1}

        assert said(
            await pit(anyone).post(SLIPS, {**body, "player_id": "nobody"}),
            await pit(anyone).post(SLIPS, {**body, "game": "whist"}),
            await pit(anyone).get(f"{SLIPS}/none"),
            await complete(anyone, {"slip_id": "none"}),
            await recover(anyone, {"slip_id": "none"}),
        ) == [
            (404, "USER_NOT_FOUND"),
            (404, "GAME_NOT_FOUND"),
            (404, "SLIP_NOT_FOUND"),
            (404, "SLIP_NOT_FOUND"),
            (404, "SLIP_NOT_FOUND"),
        ]
        assert (await pit(anyone).get(SLIPS)).json()["items"] == []

    async def test_nothing_is_stored_of_impossible_times(self, anyone: Caller) -> None:
        await seen(anyone, "ada")
        slip = await opened(anyone)
        body = {"player_id": "ada", "game": "slots", "average_bet": 1, "opened_at": ago(hours=-1)}

        assert (
            said(
                await pit(anyone).post(SLIPS, body),
                await complete(anyone, slip, {"closed_at": ago(hours=2)}),
                await complete(anyone, slip, {"closed_at": ago(hours=-1)}),
                await complete(anyone, slip, {"closed_at": ago(hours=-100_000)}),
            )
            == [(422, "IMPOSSIBLE_TIMES")] * 4
        )
        assert (await pit(anyone).get(SLIPS)).json()["items"] == [slip]

    async def test_a_completion_answers_slip_and_accrual(self, anyone: Caller) -> None:
        await seen(anyone, "ada")
        slip = await opened(anyone)

        completed = await complete(anyone, slip)

        body = completed.json()
        assert completed.status_code == 200
        assert body.keys() == {"slip", "accrual"}
        assert body["slip"].keys() == SLIP
        assert body["accrual"].keys() == ACCRUAL
        assert (body["slip"]["state"], body["slip"]["points"]) == ("closed", 525)
        assert (body["accrual"]["balance_before"], body["accrual"]["balance_after"]) == (0, 525)
        assert await points(anyone, "ada") == 525

    async def test_completing_twice_gives_the_first_answer(self, anyone: Caller) -> None:
        await seen(anyone, "ada")
        slip = await opened(anyone)
        first = await complete(anyone, slip, {"average_bet": 20_000})
        end = first.json()["slip"]["closed_at"]

        for body in (None, {}, {"average_bet": 20_000}, {"closed_at": end}, {"average_bet": None, "closed_at": end}):
            assert is_replay_of(first, await complete(anyone, slip, body))
        for body in ({"average_bet": 10_000}, {"closed_at": slip["opened_at"]}):
            assert said(await complete(anyone, slip, body)) == [(409, "SLIP_NOT_OPEN")]
        assert await points(anyone, "ada") == 1050

    async def test_the_same_keys_give_the_first_answers_byte_for_byte(self, anyone: Caller) -> None:
        await seen(anyone, "ada")
        body = {"player_id": "ada", "game": "slots", "average_bet": 1}
        first = await pit(anyone).post(SLIPS, body, key="open")
        assert is_replay_of(first, await pit(anyone).post(SLIPS, body, key="open"))

        completed = await complete(anyone, first.json(), key="complete")

        assert is_replay_of(completed, await complete(anyone, first.json(), key="complete"))
        assert len((await pit(anyone).get(SLIPS)).json()["items"]) == 1

    async def test_a_slip_that_would_earn_too_much_stays_open(self, anyone: Caller) -> None:
        await seen(anyone, "ada")
        slip = await opened(anyone, game="slots", opened_at="1000-01-01T00:00:00Z")

        refused = await complete(anyone, slip, {"average_bet": 1_000_000_000})

        assert said(refused) == [(422, "SLIP_LIMIT_EXCEEDED")]
        assert (await pit(anyone).get(f"{SLIPS}/{slip['slip_id']}")).json() == slip

    async def test_slips_are_listed_by_state(self, anyone: Caller) -> None:
        await seen(anyone, "ada")
        slips = [await opened(anyone) for _ in range(3)]
        await complete(anyone, slips[1])

        async def listed(query: str) -> list[str]:
            return [slip["slip_id"] for slip in (await pit(anyone).get(f"{SLIPS}{query}")).json()["items"]]

        ids = [slip["slip_id"] for slip in slips]
        assert sorted(await listed("")) == sorted(ids)
        assert await listed("?state=closed") == [ids[1]]
        assert sorted(await listed("?state=open")) == sorted([ids[0], ids[2]])
        assert await listed("?state=accrual_pending") == []
        assert said(await pit(anyone).get(f"{SLIPS}?state=lost")) == [(400, "INVALID_REQUEST")]
        assert [len(page) for page in await pages(pit(anyone), SLIPS, limit=2)] == [2, 1]

    async def test_a_cursor_of_another_state_is_refused(self, anyone: Caller) -> None:
        await seen(anyone, "ada")
        for _ in range(2):
            await opened(anyone)
        cursor = (await pit(anyone).get(f"{SLIPS}?limit=1&state=open")).json()["next_cursor"]

        assert said(await pit(anyone).get(f"{SLIPS}?cursor={cursor}")) == [(400, "INVALID_REQUEST")]


class TestPendingRoutes:
    async def test_points_that_cannot_be_credited_wait_under_the_first_correlation_id(self, serve: Serve) -> None:
        anyone = await serve(flags="points_enabled=off")
        await seen(anyone, "ada")
        slip = await opened(anyone)

        partial = await complete(anyone, slip, headers={"x-correlation-id": "first-try"})
        again = await complete(anyone, slip, headers={"x-correlation-id": "second-try"})
        recovered = await recover(anyone, slip, headers={"x-correlation-id": "third-try"})

        assert said(partial, again, recovered) == [(503, "PARTIAL_COMPLETION")] * 3
        for answer in (partial, again, recovered):
            problem = answer.json()
            assert (problem["slip_id"], problem["correlation_id"]) == (slip["slip_id"], "first-try")
            assert problem["retryable"] is True
            assert answer.headers["retry-after"]
        assert recovered.headers["x-correlation-id"] == "third-try"
        (item,) = (await pit(anyone).get(f"{SLIPS}?state=accrual_pending")).json()["items"]
        assert (item["slip_id"], item["state"], item["points"]) == (slip["slip_id"], "accrual_pending", 525)
        assert await points(anyone, "ada") == 0

    async def test_staff_see_what_waits_and_why(self, serve: Serve) -> None:
        anyone = await serve(flags="points_enabled=off")
        await seen(anyone, "ada")
        slips = [await opened(anyone) for _ in range(3)]
        for slip in slips:
            await complete(anyone, slip, headers={"x-correlation-id": slip["slip_id"]})
        staff = anyone.named("staff", "loyalty:read")

        found = [item for page in await pages(staff, PENDING, limit=2) for item in page]

        assert [item["event_key"] for item in found] == [slip["slip_id"] for slip in slips]
        first = found[0]
        assert UTC_TIME.match(first.pop("created_at"))
        assert UTC_TIME.match(first.pop("last_tried_at"))
        assert first == {
            "player_id": "ada",
            "event_type": "rating_slip",
            "event_key": slips[0]["slip_id"],
            "points": 525,
            "reason": None,
            "staff_id": "pit",
            "correlation_id": slips[0]["slip_id"],
            "cause": "POINTS_DISABLED",
            "tries": 1,
        }
        assert said(await pit(anyone).get(PENDING)) == [(403, "FORBIDDEN")]

    async def test_a_recovery_that_is_not_possible_yet_says_why(self, serve: Serve) -> None:
        anyone = await serve(flags="points_enabled=off")
        await seen(anyone, "ada")
        slip = await opened(anyone)
        await complete(anyone, slip, headers={"x-correlation-id": "first-try"})
        body = {"player_id": "ada", "event_type": "rating_slip", "event_key": slip["slip_id"]}

        refused = await anyone.named("staff", "loyalty:recover").post(f"{PENDING}/recover", body)

        assert said(refused) == [(503, "ACCRUAL_PENDING")]
        assert (refused.json()["cause"], refused.json()["correlation_id"]) == ("POINTS_DISABLED", "first-try")
        refused = await anyone.named("staff", "loyalty:read", "slips:write").post(f"{PENDING}/recover", body)
        assert (said(refused), refused.json()["permission"]) == ([(403, "FORBIDDEN")], "loyalty:recover")

    async def test_points_that_were_credited_already_are_answered_again(self, anyone: Caller) -> None:
        await seen(anyone, "ada")
        slip = await opened(anyone)
        accrual = (await complete(anyone, slip)).json()["accrual"]
        body = {"player_id": "ada", "event_type": "rating_slip", "event_key": slip["slip_id"]}

        by_slip = await recover(anyone, slip)
        by_event = await anyone.named("staff", "loyalty:recover").post(f"{PENDING}/recover", body)

        assert by_slip.json() == by_event.json() == accrual
        assert by_slip.headers["idempotency-hit"] == by_event.headers["idempotency-hit"] == "true"
        assert await points(anyone, "ada") == 525

    async def test_the_points_of_a_referral_wait_in_the_same_list(self, serve: Serve) -> None:
        anyone = await serve(flags="points_enabled=off")
        ada, staff = await seen(anyone, "ada"), anyone.named("staff", "loyalty:read", "loyalty:recover")
        code = (await ada.get("/api/my-referral-link")).json()["referral_code"]
        sent = {"x-correlation-id": "sign-up"}

        arrived = await anyone.named("bob").post("/api/users/upsert", {"referred_by": code}, headers=sent)

        assert arrived.json()["attribution"] == "recorded"
        (item,) = (await staff.get(PENDING)).json()["items"]
        event = {"player_id": "ada", "event_type": "referral_signup", "event_key": "bob"}
        assert event.items() <= item.items()
        assert (item["points"], item["correlation_id"]) == (100, "sign-up")
        assert said(await staff.post(f"{PENDING}/recover", event)) == [(503, "ACCRUAL_PENDING")]

    async def test_an_inviter_sees_what_they_earned(self, serve: Serve) -> None:
        anyone = await serve(referral_points=250)
        ada = await seen(anyone, "ada")
        code = (await ada.get("/api/my-referral-link")).json()["referral_code"]

        for _ in range(2):
            await anyone.named("bob").post("/api/users/upsert", {"referred_by": code})

        assert await points(anyone, "ada") == 250
        assert (await ada.get("/api/me")).json()["points"] == 250

    async def test_an_open_slip_has_nothing_to_recover(self, anyone: Caller) -> None:
        await seen(anyone, "ada")

        refused = await recover(anyone, await opened(anyone))

        assert (said(refused), refused.json()["state"]) == ([(409, "SLIP_NOT_OPEN")], "open")
