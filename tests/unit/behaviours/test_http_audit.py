"""The routes that show entries of points as clients see them."""

from tests.http.services import Caller
from tests.http.wallets import UTC_TIME, pages, said
from tests.unit.behaviours.test_http_credits import ENTRY
from tests.unit.behaviours.test_http_loyalty import award, credit, seen
from tests.unit.behaviours.test_http_rating_slips import complete, opened

EVERYBODYS = "/api/point-entries"


class TestAuditRoutes:
    async def test_an_entry_says_who_why_before_after_and_which_request(self, anyone: Caller) -> None:
        ada = await seen(anyone, "ada")
        await credit(anyone, ("ada", 990, "a"))
        awarded = await award(anyone, "ada", 20, reward_id="christmas")

        page = (await ada.get("/api/loyalty/ada/entries")).json()

        entry, first = page["items"]
        assert page["next_cursor"] is None
        assert entry.keys() == first.keys() == ENTRY
        assert UTC_TIME.match(entry.pop("created_at"))
        assert entry == {
            "user_id": "ada",
            "unit": "points",
            "seq": 2,
            "amount": 20,
            "balance_before": 990,
            "balance_after": 1010,
            "event_type": "manual_reward",
            "event_key": "christmas",
            "reason": "because",
            "staff_id": "staff",
            "tier_before": "bronze",
            "tier_after": "silver",
            "correlation_id": awarded.headers["x-correlation-id"],
        }

    async def test_filters_are_combined(self, anyone: Caller) -> None:
        ada = await seen(anyone, "ada")
        await credit(anyone, ("ada", 1, "a"))
        sent = await award(anyone, "ada", 2)
        await award(anyone, "ada", 4)
        correlation_id = sent.headers["x-correlation-id"]

        async def listed(query: str) -> list[int]:
            return [e["amount"] for e in (await ada.get(f"/api/loyalty/ada/entries?{query}")).json()["items"]]

        assert await listed("event_type=manual_reward") == [4, 2]
        assert await listed("staff_id=staff") == [4, 2]
        assert await listed(f"correlation_id={correlation_id}") == [2]
        assert await listed(f"correlation_id={correlation_id}&staff_id=staff&event_type=manual_reward") == [2]
        assert await listed(f"correlation_id={correlation_id}&event_type=promotion") == []

    async def test_nobody_sees_the_entries_of_others_without_the_permission(self, anyone: Caller) -> None:
        await seen(anyone, "ada")
        staff = anyone.named("staff", "loyalty:read")

        refused = await anyone.named("bob", "loyalty:award").get("/api/loyalty/ada/entries")
        closed = await anyone.named("ada").get(f"{EVERYBODYS}?player_id=ada")

        assert said(refused, closed) == [(403, "FORBIDDEN")] * 2
        assert (await staff.get("/api/loyalty/ada/entries")).json()["items"] == []
        assert said(await staff.get("/api/loyalty/nobody/entries")) == [(404, "USER_NOT_FOUND")]

    async def test_staff_see_what_one_of_them_gave_to_whom(self, anyone: Caller) -> None:
        for user in ("ada", "bob"):
            await seen(anyone, user)
            await award(anyone, user, 5)
        await complete(anyone, await opened(anyone))
        staff = anyone.named("auditor", "loyalty:read")

        found = [e for page in await pages(staff, f"{EVERYBODYS}?staff_id=staff", limit=1) for e in page]
        slips = (await staff.get(f"{EVERYBODYS}?staff_id=pit")).json()["items"]

        assert [(entry["user_id"], entry["amount"]) for entry in found] == [("bob", 5), ("ada", 5)]
        assert [(entry["user_id"], entry["event_type"]) for entry in slips] == [("ada", "rating_slip")]

    async def test_one_correlation_id_leads_from_the_reply_to_the_entries(self, anyone: Caller) -> None:
        for user in ("ada", "bob"):
            await seen(anyone, user)
        answer = await credit(anyone, ("ada", 1, "a"), ("bob", 2, "b"))
        staff = anyone.named("auditor", "loyalty:read")

        found = await staff.get(f"{EVERYBODYS}?correlation_id={answer.headers['x-correlation-id']}")

        assert sorted((entry["user_id"], entry["amount"]) for entry in found.json()["items"]) == [
            ("ada", 1),
            ("bob", 2),
        ]

    async def test_everything_at_once_is_too_much(self, anyone: Caller) -> None:
        refused = await anyone.named("auditor", "loyalty:read").get(EVERYBODYS)

        assert said(refused) == [(400, "INVALID_REQUEST")]

    async def test_a_cursor_belongs_to_its_question(self, anyone: Caller) -> None:
        ada = await seen(anyone, "ada")
        await credit(anyone, ("ada", 1, "a"), ("ada", 2, "b"))
        cursor = (await ada.get("/api/loyalty/ada/entries?limit=1")).json()["next_cursor"]

        assert (await ada.get(f"/api/loyalty/ada/entries?limit=1&cursor={cursor}")).json()["items"][0]["amount"] == 1
        refused = await ada.get(f"/api/loyalty/ada/entries?event_type=promotion&cursor={cursor}")
        assert said(refused) == [(400, "INVALID_REQUEST")]
