"""How rewards are bought: once by each collector, never one's own, never without funds."""

import pytest

from tallystick.application.idempotency import IdempotencyMismatch, Keyed, Replayed
from tallystick.application.rewards import Purchase
from tallystick.domain.ledger import InsufficientFunds
from tallystick.domain.rewards import AlreadyCollected, RewardNotFound, SelfPurchase
from tallystick.domain.users import UserDeleted
from tests.worlds.world import World


class TestPurchaseRewards:
    async def test_a_purchase_takes_the_cost_and_gives_the_reward(self, world: World) -> None:
        buyer, reward = await world.an_account(balance=100), await world.a_reward(cost=40)

        bought = await world.purchase(buyer, reward)

        assert bought == Purchase(reward.reward_id, 40, 100, 60, world.clock.now())
        assert await world.balance_and_amounts(buyer) == (60, [100, -40])
        assert [each.reward_id for each in await world.collected(buyer)] == [reward.reward_id]
        assert await world.broken_promises() == []

    async def test_its_entry_names_the_reward_and_the_request(self, world: World) -> None:
        buyer, reward = await world.an_account(balance=40), await world.a_reward(cost=40)

        await world.purchase(buyer, reward)

        entry = (await world.entries(buyer))[0]
        assert (entry.event_type, entry.event_key) == ("purchase", reward.reward_id)
        assert (entry.correlation_id, entry.reason, entry.staff_id) == ("correlation", None, None)

    async def test_the_whole_balance_can_be_spent(self, world: World) -> None:
        buyer, reward = await world.an_account(balance=40), await world.a_reward(cost=40)

        assert (await world.purchase(buyer, reward)).balance_after == 0

    async def test_one_credit_less_is_not_enough_and_leaves_no_trace(self, world: World) -> None:
        buyer, reward = await world.an_account(balance=39), await world.a_reward(cost=40)

        with pytest.raises(InsufficientFunds) as refused:
            await world.purchase(buyer, reward)

        assert refused.value.facts() == {"balance": 39, "cost": 40}
        assert await world.balance_and_amounts(buyer) == (39, [39])
        assert await world.collected(buyer) == []

    async def test_a_user_who_never_had_an_account_has_nothing_to_spend(self, world: World) -> None:
        reward = await world.a_reward(cost=1)

        with pytest.raises(InsufficientFunds) as refused:
            await world.purchase("never-seen", reward)

        assert refused.value.facts() == {"balance": 0, "cost": 1}

    async def test_a_reward_is_collected_once(self, world: World) -> None:
        buyer, reward = await world.an_account(balance=100), await world.a_reward(cost=40)
        await world.purchase(buyer, reward)

        with pytest.raises(AlreadyCollected):
            await world.purchase(buyer, reward)

        assert await world.balance_and_amounts(buyer) == (60, [100, -40])

    async def test_everybody_can_collect_the_same_reward(self, world: World) -> None:
        reward = await world.a_reward(cost=40)

        for buyer in ("ada", "bob"):
            await world.purchase(await world.an_account(buyer, balance=40), reward)

        assert [await world.balance(buyer) for buyer in ("ada", "bob")] == [0, 0]

    async def test_ones_own_reward_cannot_be_bought(self, world: World) -> None:
        owner = await world.an_account("owner", balance=100)

        with pytest.raises(SelfPurchase):
            await world.purchase(owner, await world.a_reward(cost=40, owner="owner"))

        assert await world.balance_and_amounts(owner) == (100, [100])

    async def test_nobody_offers_what_is_unknown_or_inactive(self, world: World) -> None:
        buyer, unknown = await world.an_account(balance=100), world.reward()
        inactive = await world.a_reward(active=False)

        for reward in (unknown, inactive):
            with pytest.raises(RewardNotFound):
                await world.purchase(buyer, reward)

        assert await world.balance_and_amounts(buyer) == (100, [100])

    async def test_the_refusals_come_in_their_written_order(self, world: World) -> None:
        """Each reward is refused for every reason from its place on, and the first of them is said."""
        poor = await world.an_account("poor", balance=10)
        gone = await world.a_reward(cost=100, owner=poor, active=False)
        own = await world.a_reward(cost=100, owner=poor)
        collected = await world.a_reward(cost=10)
        await world.purchase(poor, collected)
        dear = await world.a_reward(cost=1)

        outcomes = await world.purchase_together(*(world.order(poor, each) for each in (gone, own, collected, dear)))

        assert [type(each) for each in outcomes] == [RewardNotFound, SelfPurchase, AlreadyCollected, InsufficientFunds]

    async def test_a_collected_reward_that_is_inactive_now_is_unknown_again(self, world: World) -> None:
        buyer, reward = await world.an_account(balance=100), await world.a_reward()
        await world.purchase(buyer, reward)
        await world.change(reward, active=False)

        with pytest.raises(RewardNotFound):
            await world.purchase(buyer, reward)

    async def test_a_deleted_user_buys_nothing(self, world: World) -> None:
        buyer, reward = await world.an_account(balance=100), await world.a_reward(cost=40)
        await world.deliver("deleted", buyer)

        with pytest.raises(UserDeleted):
            await world.purchase(buyer, reward)

        assert await world.balance_and_amounts(buyer) == (100, [100])

    async def test_the_price_is_the_one_of_the_moment_and_the_answer_shows_it(self, world: World) -> None:
        buyer, listed = await world.an_account(balance=100), await world.a_reward(cost=40)
        await world.change(listed, cost=70)

        bought = await world.purchase(buyer, listed)

        assert (bought.cost, bought.balance_after) == (70, 30)
        assert await world.balance_and_amounts(buyer) == (30, [100, -70])

    async def test_a_collector_keeps_the_price_they_paid(self, world: World) -> None:
        buyer, reward = await world.an_account(balance=100), await world.a_reward(cost=40)
        await world.purchase(buyer, reward)

        await world.change(reward, cost=70)

        assert [each.cost for each in await world.collected(buyer)] == [40]
        assert await world.broken_promises() == []


class TestRepeatedPurchases:
    async def test_the_same_order_after_a_lost_answer_is_the_same_purchase(self, world: World) -> None:
        buyer, reward = await world.an_account(balance=100), await world.a_reward(cost=40)
        first = await world.purchase(buyer, reward, order_id="order-1")
        world.pass_time(seconds=1)

        again = await world.purchase(buyer, reward, order_id="order-1")

        assert again == first
        assert await world.balance_and_amounts(buyer) == (60, [100, -40])

    async def test_it_is_so_even_where_the_reward_was_changed_meanwhile(self, world: World) -> None:
        buyer, reward = await world.an_account(balance=100), await world.a_reward(cost=40)
        first = await world.purchase(buyer, reward, order_id="order-1")
        await world.change(reward, cost=50, active=False)

        assert await world.purchase(buyer, reward, order_id="order-1") == first

    async def test_another_users_same_order_id_is_another_order(self, world: World) -> None:
        reward = await world.a_reward(cost=40)
        await world.purchase(await world.an_account("ada", balance=40), reward, order_id="order-1")

        bought = await world.purchase(await world.an_account("bob", balance=50), reward, order_id="order-1")

        assert bought.balance_after == 10

    async def test_two_orders_whose_sum_is_too_much_are_one_purchase(self, world: World) -> None:
        buyer, first, second = (
            await world.an_account(balance=100),
            await world.a_reward(cost=60),
            await world.a_reward(cost=60),
        )

        bought, refused = await world.purchase_together(world.order(buyer, first), world.order(buyer, second))

        assert isinstance(bought, Purchase)
        assert isinstance(refused, InsufficientFunds)
        assert (bought.balance_after, refused.balance) == (40, 40)
        assert await world.balance_and_amounts(buyer) == (40, [100, -60])
        assert await world.broken_promises() == []

    async def test_one_reward_twice_in_a_batch_is_bought_once(self, world: World) -> None:
        buyer, reward = await world.an_account(balance=100), await world.a_reward(cost=40)

        bought, refused = await world.purchase_together(world.order(buyer, reward), world.order(buyer, reward))

        assert isinstance(bought, Purchase)
        assert isinstance(refused, AlreadyCollected)
        assert await world.balance(buyer) == 60

    async def test_one_order_twice_in_a_batch_is_one_purchase(self, world: World) -> None:
        buyer, reward = await world.an_account(balance=100), await world.a_reward(cost=40)
        order = world.order(buyer, reward)

        first, again = await world.purchase_together(order, order)

        assert first == again
        assert await world.balance_and_amounts(buyer) == (60, [100, -40])

    async def test_the_same_key_answers_the_first_reply_and_takes_nothing(self, world: World) -> None:
        buyer, reward, other = await world.an_account(balance=100), await world.a_reward(), await world.a_reward()
        first = await world.purchase(buyer, reward, key="k1")

        with pytest.raises(Replayed) as replayed:
            await world.purchase(buyer, reward, key="k1")
        with pytest.raises(IdempotencyMismatch):
            await world.purchase(buyer, other, key="k1")

        assert replayed.value.reply.body == repr(first).encode()
        assert await world.balance_and_amounts(buyer) == (60, [100, -40])

    async def test_a_refusal_under_a_key_stays_the_answer_when_funds_arrive(self, world: World) -> None:
        buyer, reward = await world.an_account(balance=39), await world.a_reward(cost=40)
        with pytest.raises(InsufficientFunds):
            await world.purchase(buyer, reward, key="k1")
        await world.grant(buyer, 1)

        with pytest.raises(Replayed) as replayed:
            await world.purchase(buyer, reward, key="k1")

        assert replayed.value.reply.body == b"INSUFFICIENT_FUNDS"
        assert (await world.purchase(buyer, reward, key="k2")).balance_after == 0

    async def test_the_same_key_twice_in_a_batch_is_one_purchase(self, world: World) -> None:
        buyer, reward = await world.an_account(balance=100), await world.a_reward(cost=40)
        orders = [world.keyed(buyer, world.order(buyer, reward), "k1") for _ in range(2)]

        first, again = await world.purchase_rewards(orders)

        assert isinstance(first, Purchase)
        assert isinstance(again, Replayed)
        assert await world.balance_and_amounts(buyer) == (60, [100, -40])

    async def test_replays_do_not_disturb_fresh_orders_beside_them(self, world: World) -> None:
        buyer, old, new = await world.an_account(balance=100), await world.a_reward(), await world.a_reward()
        await world.purchase(buyer, old, key="k1")
        replay = world.keyed(buyer, world.order(buyer, old), "k1", old.reward_id)

        again, fresh = await world.purchase_rewards([replay, Keyed(world.order(buyer, new))])

        assert isinstance(again, Replayed)
        assert isinstance(fresh, Purchase)
        assert await world.balance_and_amounts(buyer) == (20, [100, -40, -40])
