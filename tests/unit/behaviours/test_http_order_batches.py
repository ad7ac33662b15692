"""The batch route of purchases as clients see it."""

from tests.http.services import Caller
from tests.http.wallets import (
    BATCH,
    UTC_TIME,
    balance,
    batch,
    bought,
    funded,
    is_replay_of,
    offered,
    said,
)

FUNDS = "INSUFFICIENT_FUNDS"


class TestPurchaseBatchRoute:
    async def test_the_outcomes_are_in_the_order_of_the_orders(self, anyone: Caller) -> None:
        ada, reward_id = await funded(anyone, "ada", 100), await offered(anyone, 40)
        await anyone.deliver({"type": "user.deleted", "data": {"id": "gone"}})
        orders = [("poor", reward_id), ("ada", reward_id), ("ada", "nothing"), ("owner", reward_id), ("ada", reward_id)]

        answer = await anyone.named("till", "purchases:batch").post(BATCH, batch(*orders, ("gone", reward_id)))

        poor, purchased, *refused = answer.json()["results"]
        assert answer.status_code == 200
        assert answer.json().keys() == {"results"}
        assert poor.keys() == {"outcome", "code", "detail", "balance", "cost"}
        assert (poor["outcome"], poor["code"], poor["balance"], poor["cost"]) == ("refused", FUNDS, 0, 40)
        assert UTC_TIME.match(purchased.pop("collected_at"))
        assert purchased == {
            "outcome": "purchased",
            "reward_id": reward_id,
            "cost": 40,
            "balance_before": 100,
            "balance_after": 60,
        }
        assert all(each.keys() == {"outcome", "code", "detail"} for each in refused)
        codes = ["REWARD_NOT_FOUND", "SELF_PURCHASE", "ALREADY_COLLECTED", "USER_DELETED"]
        assert [each["code"] for each in refused] == codes
        assert await balance(ada) == 60

    async def test_an_outcome_says_zero_where_it_is_zero(self, anyone: Caller) -> None:
        await funded(anyone, "ada", 40)
        reward_id, other = await offered(anyone, 40), await offered(anyone, 1)

        answer = await anyone.named("till", "purchases:batch").post(BATCH, batch(("ada", reward_id), ("ada", other)))

        purchased, refused = answer.json()["results"]
        assert (purchased["balance_after"], refused["balance"]) == (0, 0)

    async def test_it_takes_the_permission_even_for_oneself(self, anyone: Caller) -> None:
        ada, reward_id = await funded(anyone, "ada", 100), await offered(anyone, 40)

        refused = await ada.post(BATCH, batch(("ada", reward_id)))

        assert said(refused) == [(403, "FORBIDDEN")]
        assert refused.json()["permission"] == "purchases:batch"
        assert await balance(ada) == 100

    async def test_the_same_key_gets_the_first_answer_byte_for_byte(self, anyone: Caller) -> None:
        ada, reward_id = await funded(anyone, "ada", 100), await offered(anyone, 40)
        till, orders = anyone.named("till", "purchases:batch"), batch(("ada", reward_id), ("poor", reward_id))
        first = await till.post(BATCH, orders, key="k1")

        again = await till.post(BATCH, orders, key="k1")
        mismatch = await till.post(BATCH, batch(("ada", reward_id)), key="k1")

        assert is_replay_of(first, again)
        assert said(mismatch) == [(422, "IDEMPOTENCY_MISMATCH")]
        assert await balance(ada) == 60

    async def test_a_reward_that_was_bought_in_a_batch_is_collected(self, anyone: Caller) -> None:
        ada, reward_id = await funded(anyone, "ada", 100), await offered(anyone, 40)
        headers = {"x-correlation-id": "batch-1"}

        await anyone.named("till", "purchases:batch").post(BATCH, batch(("ada", reward_id)), headers=headers)

        assert said(await bought(ada, reward_id)) == [(409, "ALREADY_COLLECTED")]
        assert (await ada.get("/api/credits/entries")).json()["items"][0]["correlation_id"] == "batch-1"

    async def test_a_thousand_orders_are_taken_and_not_one_more_or_none(self, anyone: Caller) -> None:
        till = anyone.named("till", "purchases:batch")
        ada, reward_id = await funded(anyone, "ada", 100), await offered(anyone, 40)
        orders = [("ada", reward_id)] * 1000

        most = await till.post(BATCH, batch(*orders))
        refused = [await till.post(BATCH, batch(*wrong)) for wrong in ([*orders, ("ada", reward_id)], [])]

        outcomes = [each["outcome"] for each in most.json()["results"]]
        assert (outcomes.count("purchased"), outcomes.count("refused"), outcomes[0]) == (1, 999, "purchased")
        assert said(*refused) == [(400, "INVALID_REQUEST")] * 2
        assert [fault["pointer"] for answer in refused for fault in answer.json()["errors"]] == ["/orders", "/orders"]
        assert await balance(ada) == 60

    async def test_one_order_that_is_malformed_refuses_them_all_and_is_named(self, anyone: Caller) -> None:
        till = anyone.named("till", "purchases:batch")
        ada, reward_id = await funded(anyone, "ada", 100), await offered(anyone, 40)
        good = {"user_id": "ada", "reward_id": reward_id}

        for pointer, wrong in {
            "/orders/1/user_id": {**good, "user_id": "ada lovelace"},
            "/orders/1/reward_id": {"user_id": "ada"},
            "/orders/1/more": {**good, "more": 7},
        }.items():
            refused = await till.post(BATCH, {"orders": [good, wrong]})
            assert said(refused) == [(400, "INVALID_REQUEST")]
            assert [fault["pointer"] for fault in refused.json()["errors"]] == [pointer]
        assert await balance(ada) == 100

    async def test_a_body_has_at_most_one_mebibyte(self, anyone: Caller) -> None:
        till, mebibyte = anyone.named("till", "purchases:batch"), 1024 * 1024
        reward_id = await offered(anyone, 40)
        orders = str(batch(("ada", reward_id))).replace("'", '"')

        most = await till.call("POST", BATCH, raw=orders.ljust(mebibyte).encode())
        refused = await till.call("POST", BATCH, raw=orders.ljust(mebibyte + 1).encode())

        assert most.json()["results"][0]["code"] == FUNDS
        assert said(refused) == [(413, "BODY_TOO_LARGE")]
        assert refused.json()["limit_bytes"] == mebibyte
