"""The routes of rewards as clients see them."""

from tests.http.services import Caller, Serve
from tests.http.wallets import (
    UTC_TIME,
    UUID,
    balance,
    bought,
    funded,
    grant,
    is_replay_of,
    offered,
    pages,
    said,
)


class TestRewardRoutes:
    async def test_an_offer_is_the_callers(self, anyone: Caller) -> None:
        offer = {"name": "A song", "description": "sung\nby me", "cost": 40}

        answer = await anyone.named("ada", "rewards:offer").post("/api/rewards", offer)

        reward = answer.json()
        assert answer.status_code == 201
        assert UUID.match(reward["reward_id"])
        assert UTC_TIME.match(reward["created_at"])
        assert reward == {
            **offer,
            "reward_id": reward["reward_id"],
            "owner_id": "ada",
            "active": True,
            "created_at": reward["created_at"],
        }
        assert (await anyone.named("bob").get("/api/rewards")).json() == {"items": [reward], "next_cursor": None}

    async def test_a_description_may_be_absent(self, anyone: Caller) -> None:
        ada = anyone.named("ada", "rewards:offer")

        reward = (await ada.post("/api/rewards", {"name": "A song", "cost": 1})).json()

        assert reward["description"] is None

    async def test_nobody_offers_in_anothers_name(self, anyone: Caller) -> None:
        ada = anyone.named("ada", "rewards:offer")

        refused = await ada.post("/api/rewards", {"name": "n", "cost": 1, "owner_id": "bob"})

        assert said(refused) == [(400, "INVALID_REQUEST")]

    async def test_the_same_key_makes_one_reward(self, anyone: Caller) -> None:
        ada = anyone.named("ada", "rewards:offer")
        first = await ada.post("/api/rewards", {"name": "A song", "cost": 1}, key="k1")

        again = await ada.post("/api/rewards", {"name": "A song", "cost": 1}, key="k1")

        assert first.status_code == 201
        assert is_replay_of(first, again)
        assert len((await ada.get("/api/rewards")).json()["items"]) == 1

    async def test_pages_list_every_active_reward_once(self, anyone: Caller) -> None:
        ids = [await offered(anyone, cost, owner=owner) for cost, owner in ((1, "ada"), (2, "bob"), (3, "ada"))]
        hidden = await offered(anyone, 4)
        await anyone.named("owner").call("PATCH", f"/api/rewards/{hidden}", body={"active": False})

        found = await pages(anyone.named("carol"), "/api/rewards", limit=2)

        assert [len(page) for page in found] == [2, 1]
        assert {reward["reward_id"] for page in found for reward in page} == set(ids)

    async def test_its_owner_changes_what_is_sent_and_nothing_else(self, anyone: Caller) -> None:
        owner, reward_id = anyone.named("owner"), await offered(anyone, 40, name="before")

        renamed = await owner.call("PATCH", f"/api/rewards/{reward_id}", body={"name": "after"})
        dearer = await owner.call("PATCH", f"/api/rewards/{reward_id}", body={"cost": 50, "description": "about it"})
        same = await owner.call("PATCH", f"/api/rewards/{reward_id}", body={})

        assert (renamed.status_code, renamed.json()["name"], renamed.json()["cost"]) == (200, "after", 40)
        assert (dearer.json()["name"], dearer.json()["cost"], dearer.json()["description"]) == ("after", 50, "about it")
        assert same.json() == dearer.json() == (await owner.get("/api/rewards")).json()["items"][0]

    async def test_null_clears_what_may_be_null_and_nothing_else(self, anyone: Caller) -> None:
        owner, path = anyone.named("owner"), f"/api/rewards/{await offered(anyone, 40, name='before')}"
        described = await owner.call("PATCH", path, body={"description": "about it"})

        cleared = await owner.call("PATCH", path, body={"description": None})

        assert (described.json()["description"], cleared.json()["description"]) == ("about it", None)
        for field in ("name", "cost", "active"):
            refused = await owner.call("PATCH", path, body={field: None})
            assert said(refused) == [(400, "INVALID_REQUEST")]
            assert [fault["pointer"] for fault in refused.json()["errors"]] == [f"/{field}"]
        assert (await owner.get("/api/rewards")).json()["items"][0] == cleared.json()

    async def test_nobody_else_changes_it(self, anyone: Caller) -> None:
        eve, reward_id = anyone.named("eve"), await offered(anyone, 40)

        refused = await eve.call("PATCH", f"/api/rewards/{reward_id}", body={"cost": 1})
        unknown = await eve.call("PATCH", "/api/rewards/nothing", body={"cost": 1})
        await anyone.named("owner").call("PATCH", f"/api/rewards/{reward_id}", body={"active": False})
        hidden = await eve.call("PATCH", f"/api/rewards/{reward_id}", body={"active": True})

        assert said(refused, unknown, hidden) == [
            (403, "NOT_YOUR_REWARD"),
            (404, "REWARD_NOT_FOUND"),
            (404, "REWARD_NOT_FOUND"),
        ]
        assert (await eve.get("/api/rewards")).json()["items"] == []

    async def test_a_caller_who_may_not_offer_is_refused_and_nothing_is_offered(self, anyone: Caller) -> None:
        offer = {"name": "A song", "cost": 40}

        refused = [
            await anyone.named("ada", *permissions).post("/api/rewards", offer)
            for permissions in ((), ("rewards:manage",), ("rewards", "REWARDS:OFFER"))
        ]

        assert said(*refused) == [(403, "FORBIDDEN")] * 3
        assert {answer.json()["permission"] for answer in refused} == {"rewards:offer"}
        assert (await anyone.named("bob").get("/api/rewards")).json()["items"] == []

    async def test_in_a_marketplace_anyone_offers(self, serve: Serve) -> None:
        anyone = await serve(reward_offers="anyone")

        offered_by_ada = await anyone.named("ada").post("/api/rewards", {"name": "A song", "cost": 40})

        assert (offered_by_ada.status_code, offered_by_ada.json()["owner_id"]) == (201, "ada")

    async def test_staff_take_a_reward_off_sale_and_it_stays_its_owners(self, anyone: Caller) -> None:
        ada, reward_id = await funded(anyone, "ada", 100), await offered(anyone, 40)
        staff, path = anyone.named("staff", "rewards:manage"), f"/api/rewards/{reward_id}"

        off = await staff.call("PATCH", path, body={"active": False})

        assert (off.status_code, off.json()["owner_id"], off.json()["active"]) == (200, "owner", False)
        assert said(await bought(ada, reward_id)) == [(404, "REWARD_NOT_FOUND")]
        assert (await staff.call("PATCH", path, body={"active": True})).json()["active"] is True
        assert (await bought(ada, reward_id)).status_code == 200

    async def test_rewards_that_the_caller_collected_are_listed_with_their_price(self, anyone: Caller) -> None:
        ada = await funded(anyone, "ada", 100)
        rewards = [await offered(anyone, cost) for cost in (10, 20, 30)]
        answers = [(await bought(ada, reward_id)).json() for reward_id in rewards]

        found = await pages(ada, "/api/rewards/collected", limit=2)

        assert [each for page in found for each in page] == list(reversed(answers))
        assert [len(page) for page in found] == [2, 1]
        assert (await anyone.named("bob").get("/api/rewards/collected")).json()["items"] == []


class TestPurchaseRoute:
    async def test_a_purchase_answers_the_price_and_the_balance(self, anyone: Caller) -> None:
        ada, reward_id = await funded(anyone, "ada", 100), await offered(anyone, 40)

        answer = await bought(ada, reward_id)

        purchase = answer.json()
        assert answer.status_code == 200
        assert UTC_TIME.match(purchase.pop("collected_at"))
        assert purchase == {"reward_id": reward_id, "cost": 40, "balance_before": 100, "balance_after": 60}
        assert await balance(ada) == 60

    async def test_an_empty_object_is_a_body_too_and_nothing_else_is(self, anyone: Caller) -> None:
        ada, reward_id = await funded(anyone, "ada", 100), await offered(anyone, 40)

        refused = await bought(ada, reward_id, body={"cost": 1})
        taken = await bought(ada, reward_id, body={})

        assert said(refused) == [(400, "INVALID_REQUEST")]
        assert (taken.status_code, taken.json()["cost"]) == (200, 40)

    async def test_a_body_is_held_to_the_rule_of_all_bodies(self, anyone: Caller) -> None:
        ada, reward_id = await funded(anyone, "ada", 100), await offered(anyone, 40)
        path = f"/api/rewards/{reward_id}/purchase"

        malformed = [await ada.call("POST", path, raw=raw) for raw in (b"{", b"[]", b"1", b'{"a":1,"a":1}', b"\xff")]
        typed = await ada.call("POST", path, raw=b"{}", headers={"content-type": "text/plain"})
        large = await ada.call("POST", path, raw=b"{}".ljust(64 * 1024 + 1))

        assert said(*malformed, typed, large) == [
            *[(400, "INVALID_REQUEST")] * 5,
            (415, "UNSUPPORTED_MEDIA_TYPE"),
            (413, "BODY_TOO_LARGE"),
        ]
        assert await balance(ada) == 100

    async def test_without_funds_the_answer_names_the_balance_and_the_cost(self, anyone: Caller) -> None:
        ada, reward_id = await funded(anyone, "ada", 39), await offered(anyone, 40)

        refused = await bought(ada, reward_id)

        assert said(refused) == [(402, "INSUFFICIENT_FUNDS")]
        assert (refused.json()["balance"], refused.json()["cost"]) == (39, 40)
        assert refused.headers["content-type"] == "application/problem+json"
        assert await balance(ada) == 39
        assert (await ada.get("/api/rewards/collected")).json()["items"] == []

    async def test_every_other_refusal_has_its_code(self, anyone: Caller) -> None:
        ada, reward_id = await funded(anyone, "ada", 100), await offered(anyone, 40)
        own, inactive = await offered(anyone, 1, owner="ada"), await offered(anyone, 1)
        await anyone.named("owner").call("PATCH", f"/api/rewards/{inactive}", body={"active": False})
        await bought(ada, reward_id)

        refused = [await bought(ada, each) for each in (reward_id, own, inactive, "nothing")]

        assert said(*refused) == [(409, "ALREADY_COLLECTED"), (403, "SELF_PURCHASE"), *[(404, "REWARD_NOT_FOUND")] * 2]
        assert await balance(ada) == 60

    async def test_the_price_of_now_is_charged_and_shown(self, anyone: Caller) -> None:
        ada, reward_id = await funded(anyone, "ada", 100), await offered(anyone, 40)
        await anyone.named("owner").call("PATCH", f"/api/rewards/{reward_id}", body={"cost": 70})

        purchase = (await bought(ada, reward_id)).json()

        assert (purchase["cost"], purchase["balance_after"], await balance(ada)) == (70, 30, 30)

    async def test_the_same_key_gets_the_first_answer_byte_for_byte(self, anyone: Caller) -> None:
        ada, reward_id, other = await funded(anyone, "ada", 100), await offered(anyone, 40), await offered(anyone, 40)
        first = await bought(ada, reward_id, key="k1")

        again, mismatch = await bought(ada, reward_id, key="k1"), await bought(ada, other, key="k1")

        assert is_replay_of(first, again)
        assert said(mismatch) == [(422, "IDEMPOTENCY_MISMATCH")]
        assert await balance(ada) == 60

    async def test_a_stored_refusal_is_the_answer_with_its_facts(self, anyone: Caller) -> None:
        ada, reward_id = await funded(anyone, "ada", 39), await offered(anyone, 40)
        first = await bought(ada, reward_id, key="k1")
        await grant(anyone, "ada", 1)

        again = await bought(ada, reward_id, key="k1")

        assert is_replay_of(first, again)
        assert (again.status_code, again.json()["balance"]) == (402, 39)
        assert again.json()["correlation_id"] == first.headers["x-correlation-id"] != again.headers["x-correlation-id"]
        assert (await bought(ada, reward_id, key="k2")).status_code == 200

    async def test_another_callers_same_key_is_another_matter(self, anyone: Caller) -> None:
        reward_id = await offered(anyone, 40)

        answers = [await bought(await funded(anyone, user, 100), reward_id, key="k1") for user in ("ada", "bob")]

        assert [answer.status_code for answer in answers] == [200, 200]
        assert all("idempotency-hit" not in answer.headers for answer in answers)

    async def test_a_deleted_user_is_refused_as_deleted(self, anyone: Caller) -> None:
        ada, reward_id = await funded(anyone, "ada", 100), await offered(anyone, 40)
        await anyone.deliver({"type": "user.deleted", "data": {"id": "ada"}})

        assert said(await bought(ada, reward_id)) == [(410, "USER_DELETED")]
