"""How rewards are offered, changed and listed, and how all orders of a request are decided."""

import pytest

from tallystick.application.idempotency import Keyed, Replayed
from tallystick.application.rewards import BatchResult, OfferReward, OrderBatch, Purchase
from tallystick.domain.ledger import InsufficientFunds
from tallystick.domain.rewards import AlreadyCollected, NotYourReward, Reward, RewardNotFound, SelfPurchase
from tallystick.domain.users import UserDeleted
from tests.worlds.world import World


class TestPurchaseBatches:
    async def test_the_outcomes_are_in_the_order_of_the_orders(self, world: World) -> None:
        rich, poor = await world.an_account("rich", balance=100), await world.an_account("poor", balance=1)
        reward, own = await world.a_reward(cost=40), await world.a_reward(cost=1, owner="rich")
        await world.deliver("deleted", "gone")

        bought = await world.order_batch(
            world.order(poor, reward),
            world.order(rich, reward),
            world.order(rich, world.reward()),
            world.order(rich, own),
            world.order("gone", own),
            world.order(rich, reward),
            world.order(poor, own),
        )

        assert [type(each) for each in bought.results] == [
            InsufficientFunds,
            Purchase,
            RewardNotFound,
            SelfPurchase,
            UserDeleted,
            AlreadyCollected,
            Purchase,
        ]
        assert await world.balance_and_amounts(rich) == (60, [100, -40])
        assert await world.balance_and_amounts(poor) == (0, [1, -1])
        assert await world.broken_promises() == []

    async def test_order_batches_of_one_batch_keep_their_outcomes_apart(self, world: World) -> None:
        buyer, first, second = await world.an_account(balance=70), await world.a_reward(), await world.a_reward()

        order_batches = [
            OrderBatch((world.order(buyer, first), world.order(buyer, first))),
            OrderBatch((world.order(buyer, second),)),
        ]

        outcomes = await world.purchase_order_batches([Keyed(order_batch) for order_batch in order_batches])

        found = [[type(each) for each in bought.results] for bought in outcomes if isinstance(bought, BatchResult)]
        assert found == [[Purchase, AlreadyCollected], [InsufficientFunds]]

    async def test_two_orders_whose_sum_is_too_much_are_one_purchase(self, world: World) -> None:
        buyer, first, second = await world.an_account(balance=70), await world.a_reward(), await world.a_reward()

        bought = await world.order_batch(world.order(buyer, first), world.order(buyer, second))

        assert [type(each) for each in bought.results] == [Purchase, InsufficientFunds]
        assert await world.balance(buyer) == 30

    async def test_the_same_order_batch_after_a_lost_answer_has_the_same_outcomes(self, world: World) -> None:
        buyer, reward = await world.an_account(balance=100), await world.a_reward(cost=40)
        orders = [world.order(buyer, reward), world.order("poor", reward)]
        first = await world.order_batch(*orders)

        again = await world.order_batch(*orders)

        assert again.results[0] == first.results[0]
        assert isinstance(again.results[1], InsufficientFunds)
        assert await world.balance_and_amounts(buyer) == (60, [100, -40])

    async def test_the_same_key_answers_the_first_reply_and_takes_nothing(self, world: World) -> None:
        buyer, reward = await world.an_account(balance=100), await world.a_reward(cost=40)
        first = await world.order_batch(world.order(buyer, reward), key="k1")

        with pytest.raises(Replayed) as replayed:
            await world.order_batch(world.order(buyer, reward), key="k1")

        assert replayed.value.reply.body == repr(first).encode()
        assert await world.balance(buyer) == 60


class TestOfferRewards:
    async def test_an_offer_is_listed_for_everybody(self, world: World) -> None:
        reward = await world.a_reward(cost=40, owner="owner")

        assert await world.rewards() == [reward]
        assert (reward.owner_id, reward.cost, reward.active) == ("owner", 40, True)

    async def test_the_same_offer_after_a_lost_answer_is_one_reward(self, world: World) -> None:
        offer = OfferReward(world.reward())

        first, again = [(await world.offer_rewards([Keyed(offer)]))[0] for _ in range(2)]

        assert first == again == offer.reward
        assert await world.rewards() == [offer.reward]

    async def test_only_sent_fields_are_changed(self, world: World) -> None:
        reward = await world.a_reward(cost=40)

        dearer = await world.change(reward, cost=50)
        named = await world.change(reward, name="another name", description="about it")

        assert (dearer.name, dearer.description, dearer.cost, dearer.active) == ("a name", None, 50, True)
        assert (named.name, named.description, named.cost) == ("another name", "about it", 50)
        assert await world.rewards() == [named]

    async def test_an_inactive_reward_is_listed_no_more_until_it_is_active_again(self, world: World) -> None:
        reward = await world.a_reward(active=False)
        assert await world.rewards() == []

        await world.change(reward, active=True)

        assert [each.reward_id for each in await world.rewards()] == [reward.reward_id]

    async def test_only_its_owner_changes_a_reward(self, world: World) -> None:
        reward = await world.a_reward(cost=40, owner="owner")

        with pytest.raises(NotYourReward):
            await world.change(reward, by="eve", cost=1)

        assert await world.rewards() == [reward]

    async def test_an_inactive_reward_of_somebody_else_is_unknown_like_one_that_never_was(self, world: World) -> None:
        for reward in (await world.a_reward(active=False), world.reward()):
            with pytest.raises(RewardNotFound):
                await world.change(reward, by="eve", cost=1)

    async def test_nobody_who_was_deleted_offers_or_changes_anything(self, world: World) -> None:
        await world.arrive("ada")
        hers = await world.a_reward(owner="ada")
        await world.delete("ada")
        late, living = world.reward(owner="ada"), world.reward(owner="bob")

        outcomes = await world.offer_rewards([Keyed(OfferReward(reward)) for reward in (late, living)])
        with pytest.raises(UserDeleted):
            await world.change(hers, name="Coffee with Ada", active=True)

        assert [type(outcome) for outcome in outcomes] == [UserDeleted, Reward]
        assert await world.rewards() == [living]

    async def test_offers_and_changes_of_one_batch_are_decided_in_their_order(self, world: World) -> None:
        rewards = [world.reward(cost=cost) for cost in (1, 2)]

        outcomes = await world.offer_rewards([Keyed(OfferReward(reward)) for reward in rewards])

        assert outcomes == rewards


class TestRewardPages:
    async def test_pages_are_the_newest_first_and_stable_under_new_offers(self, world: World) -> None:
        offered = []
        for _ in range(5):
            offered.append((await world.a_reward()).reward_id)
            world.pass_time(seconds=1)

        first = await world.rewards(limit=2)
        await world.a_reward()
        second = await world.rewards(before=first[-1].reward_id, limit=2)
        last = await world.rewards(before=second[-1].reward_id, limit=2)

        listed = [[each.reward_id for each in page] for page in (first, second, last)]
        assert listed == [[offered[4], offered[3]], [offered[2], offered[1]], [offered[0]]]

    async def test_collected_rewards_are_listed_the_newest_first(self, world: World) -> None:
        buyer = await world.an_account(balance=100)
        rewards = [await world.a_reward(cost=10) for _ in range(5)]
        for number, reward in enumerate(rewards):
            await world.purchase(buyer, reward)
            world.pass_time(seconds=number % 2)  # two at a time share their moment

        pages, before = [], None
        while page := await world.collected(buyer, before=before, limit=2):
            pages.append(page)
            before = (page[-1].collected_at, page[-1].reward_id)

        listed = [each for page in pages for each in page]
        assert [len(page) for page in pages] == [2, 2, 1]
        assert {each.reward_id for each in listed} == {reward.reward_id for reward in rewards}
        places = [(each.collected_at, each.reward_id) for each in listed]
        assert places == sorted(places, reverse=True)

    async def test_everybody_has_a_collection_of_their_own(self, world: World) -> None:
        await world.purchase(await world.an_account("ada", balance=40), await world.a_reward(cost=40))

        assert await world.collected("bob") == []
