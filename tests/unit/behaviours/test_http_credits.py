"""The routes of credits as clients see them."""

from tests.http.services import Caller
from tests.http.wallets import (
    UTC_TIME,
    balance,
    bought,
    funded,
    grant,
    is_replay_of,
    offered,
    pages,
    said,
)

ENTRY = {
    "user_id",
    "unit",
    "seq",
    "amount",
    "balance_before",
    "balance_after",
    "event_type",
    "event_key",
    "reason",
    "staff_id",
    "tier_before",
    "tier_after",
    "correlation_id",
    "created_at",
}


class TestCreditRoutes:
    async def test_a_user_who_never_had_credits_has_none(self, anyone: Caller) -> None:
        ada = anyone.named("ada")

        assert (await ada.get("/api/credits")).json() == {"balance": 0, "version": 0}
        assert (await ada.get("/api/credits/entries")).json() == {"items": [], "next_cursor": None}

    async def test_the_version_counts_the_entries(self, anyone: Caller) -> None:
        ada = await funded(anyone, "ada", 100)
        await bought(ada, await offered(anyone, 40))

        assert (await ada.get("/api/credits")).json() == {"balance": 60, "version": 2}

    async def test_entries_say_what_changed_the_balance(self, anyone: Caller) -> None:
        ada = await funded(anyone, "ada", 100)
        reward_id = await offered(anyone, 40)
        await bought(ada, reward_id, headers={"x-correlation-id": "purchase-1"})

        purchase, granted = (await ada.get("/api/credits/entries")).json()["items"]

        assert UTC_TIME.match(purchase.pop("created_at"))
        assert purchase == {
            "user_id": "ada",
            "unit": "credits",
            "seq": 2,
            "amount": -40,
            "balance_before": 100,
            "balance_after": 60,
            "event_type": "purchase",
            "event_key": reward_id,
            "reason": None,
            "staff_id": None,
            "tier_before": None,
            "tier_after": None,
            "correlation_id": "purchase-1",
        }
        assert (granted["event_type"], granted["staff_id"], granted["reason"]) == ("grant", "staff", "because")

    async def test_nobody_sees_the_entries_of_others(self, anyone: Caller) -> None:
        await funded(anyone, "ada", 100)

        assert await balance(anyone.named("bob")) == 0
        assert (await anyone.named("bob").get("/api/credits/entries")).json()["items"] == []
        for query in ("user_id=ada", "userId=ada", "sub=ada"):
            assert (await anyone.named("bob").get(f"/api/credits/entries?{query}")).status_code == 400

    async def test_pages_are_the_newest_first(self, anyone: Caller) -> None:
        for amount in (1, 2, 3, 4, 5):
            await grant(anyone, "ada", amount)

        found = await pages(anyone.named("ada"), "/api/credits/entries", limit=2)

        assert [[entry["amount"] for entry in page] for page in found] == [[5, 4], [3, 2], [1]]

    async def test_a_page_that_is_full_to_the_end_has_no_cursor(self, anyone: Caller) -> None:
        for amount in (1, 2):
            await grant(anyone, "ada", amount)

        assert len(await pages(anyone.named("ada"), "/api/credits/entries", limit=2)) == 1

    async def test_a_cursor_of_another_listing_is_refused(self, anyone: Caller) -> None:
        ada = anyone.named("ada")
        for cost in (1, 2):
            await offered(anyone, cost)
        cursor = (await ada.get("/api/rewards?limit=1")).json()["next_cursor"]

        refused = [await ada.get(f"/api/credits/entries?cursor={given}") for given in (cursor, "x", "%00", "A" * 400)]

        assert said(*refused) == [(400, "INVALID_REQUEST")] * 4

    async def test_me_shows_the_balance(self, anyone: Caller) -> None:
        ada = await funded(anyone, "ada", 100)
        await ada.post("/api/users/upsert", {})

        assert (await ada.get("/api/me")).json()["credits"] == 100


class TestGrantRoute:
    async def test_a_grant_answers_its_entry(self, anyone: Caller) -> None:
        granted = await grant(anyone, "ada", 100, event_key="welcome")

        entry = granted.json()
        assert granted.status_code == 200
        assert entry.keys() == ENTRY
        assert UTC_TIME.match(entry["created_at"])
        assert (entry["user_id"], entry["unit"], entry["seq"], entry["amount"]) == ("ada", "credits", 1, 100)
        assert (entry["balance_before"], entry["balance_after"]) == (0, 100)
        assert (entry["event_type"], entry["event_key"]) == ("grant", "welcome")
        assert (entry["reason"], entry["staff_id"]) == ("because", "staff")
        assert (entry["tier_before"], entry["tier_after"]) == (None, None)
        assert entry["correlation_id"] == granted.headers["x-correlation-id"]
        assert (await anyone.named("ada").get("/api/credits/entries")).json()["items"] == [entry]

    async def test_it_takes_the_permission(self, anyone: Caller) -> None:
        body = {"user_id": "ada", "amount": 1, "reason": "r", "event_key": "e"}

        refused = await anyone.named("ada", "credits", "purchases:batch").post("/api/credits/grants", body)

        assert said(refused) == [(403, "FORBIDDEN")]
        assert refused.json()["permission"] == "credits:grant"
        assert await balance(anyone.named("ada")) == 0

    async def test_the_same_event_again_is_the_first_entry_and_a_hit(self, anyone: Caller) -> None:
        first = await grant(anyone, "ada", 100, event_key="welcome")

        again = await grant(anyone, "ada", 100, event_key="welcome", reason="another reason")

        assert is_replay_of(first, again)
        assert await balance(anyone.named("ada")) == 100

    async def test_the_same_event_for_another_amount_or_user_is_refused(self, anyone: Caller) -> None:
        await grant(anyone, "ada", 100, event_key="welcome")

        amount = await grant(anyone, "ada", 101, event_key="welcome")
        user = await grant(anyone, "bob", 100, event_key="welcome")

        assert said(amount, user) == [(422, "IDEMPOTENCY_MISMATCH")] * 2
        assert (await balance(anyone.named("ada")), await balance(anyone.named("bob"))) == (100, 0)

    async def test_the_same_key_gets_the_first_answer_byte_for_byte(self, anyone: Caller) -> None:
        staff = anyone.named("staff", "credits:grant")
        body = {"user_id": "ada", "amount": 100, "reason": "r", "event_key": "welcome"}
        first = await staff.post("/api/credits/grants", body, key="k1")

        again = await staff.post("/api/credits/grants", body, key="k1")
        other = await staff.post("/api/credits/grants", {**body, "event_key": "another"}, key="k1")

        assert is_replay_of(first, again)
        assert said(other) == [(422, "IDEMPOTENCY_MISMATCH")]
        assert await balance(anyone.named("ada")) == 100

    async def test_a_hit_under_a_new_key_is_stored_as_its_answer(self, anyone: Caller) -> None:
        staff = anyone.named("staff", "credits:grant")
        body = {"user_id": "ada", "amount": 100, "reason": "r", "event_key": "welcome"}
        first = await staff.post("/api/credits/grants", body)

        hits = [await staff.post("/api/credits/grants", body, key="k1") for _ in range(2)]

        assert all(is_replay_of(first, hit) for hit in hits)

    async def test_a_deleted_user_is_granted_nothing(self, anyone: Caller) -> None:
        await anyone.deliver({"type": "user.deleted", "data": {"id": "ada"}})

        assert said(await grant(anyone, "ada", 100)) == [(410, "USER_DELETED")]

    async def test_staff_may_grant_to_themselves_like_to_anybody(self, anyone: Caller) -> None:
        assert (await grant(anyone, "staff", 1)).json()["balance_after"] == 1
