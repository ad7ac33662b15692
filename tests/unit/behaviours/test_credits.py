"""How credits are granted: once for each event, within what an account can hold."""

from itertools import pairwise

import pytest

from tallystick.application.credits import Granted
from tallystick.application.idempotency import IdempotencyMismatch, Keyed, Replayed
from tallystick.domain.ledger import MAX_BALANCE, AccountKey, BalanceLimitExceeded, InsufficientFunds
from tallystick.domain.users import UserDeleted, UserId
from tests.worlds.world import World


class TestGrantCredits:
    async def test_a_user_never_seen_can_be_granted_to(self, world: World) -> None:
        granted = await world.grant("ada", 100)

        assert granted.entry.balance_after == 100
        assert await world.balance_and_amounts("ada") == (100, [100])
        assert await world.summary("ada") is None

    async def test_the_entry_says_who_what_why_and_when(self, world: World) -> None:
        command = world.grant_command("ada", 100, event="welcome", correlation="request-1")

        (granted,) = await world.grant_credits([Keyed(command)])

        assert isinstance(granted, Granted)
        entry = granted.entry
        assert (entry.user_id, entry.unit, entry.seq, entry.amount) == ("ada", "credits", 1, 100)
        assert (entry.balance_before, entry.balance_after) == (0, 100)
        assert (entry.event_type, entry.event_key) == ("grant", "welcome")
        assert (entry.reason, entry.staff_id, entry.correlation_id) == ("because", "staff", "request-1")
        assert (entry.tier_before, entry.tier_after, entry.created_at) == (None, None, world.clock.now())
        assert await world.entries("ada") == [entry]

    async def test_the_same_event_again_is_the_first_grant(self, world: World) -> None:
        first = await world.grant("ada", 100, event="welcome")
        world.pass_time(hours=1)

        again = await world.grant("ada", 100, event="welcome")

        assert (first.is_repeated, again.is_repeated) == (False, True)
        assert again.entry == first.entry
        assert await world.balance_and_amounts("ada") == (100, [100])

    async def test_another_event_is_another_grant(self, world: World) -> None:
        await world.grant("ada", 100, event="welcome")

        await world.grant("ada", 100, event="birthday")

        assert await world.balance_and_amounts("ada") == (200, [100, 100])

    @pytest.mark.parametrize(("user", "amount"), [("ada", 101), ("bob", 100)])
    async def test_the_same_event_for_another_amount_or_user_is_refused(
        self, world: World, user: str, amount: int
    ) -> None:
        await world.grant("ada", 100, event="welcome")

        with pytest.raises(IdempotencyMismatch):
            await world.grant(user, amount, event="welcome")

        assert await world.balance_and_amounts("ada") == (100, [100])
        assert await world.balance_and_amounts("bob") == (0, [])

    async def test_a_batch_that_runs_again_after_a_lost_answer_finds_its_own_grant(self, world: World) -> None:
        command = world.grant_command("ada", 100, event="welcome")
        (first,) = await world.grant_credits([Keyed(command)])

        (again,) = await world.grant_credits([Keyed(command)])

        assert again == first
        assert await world.balance_and_amounts("ada") == (100, [100])

    async def test_a_deleted_user_is_granted_nothing(self, world: World) -> None:
        await world.deliver("deleted", "ada")

        with pytest.raises(UserDeleted):
            await world.grant("ada", 100)

        assert await world.balance_and_amounts("ada") == (0, [])

    async def test_an_event_from_before_the_deletion_still_answers(self, world: World) -> None:
        first = await world.grant("ada", 100, event="welcome")
        await world.deliver("deleted", "ada")

        assert (await world.grant("ada", 100, event="welcome")).entry == first.entry

    async def test_an_account_holds_the_largest_balance_and_not_one_more(self, world: World) -> None:
        await world.grant("ada", MAX_BALANCE)

        with pytest.raises(BalanceLimitExceeded):
            await world.grant("ada", 1)

        assert await world.balance_and_amounts("ada") == (MAX_BALANCE, [MAX_BALANCE])

    async def test_a_balance_is_taken_to_zero_and_not_below(self, world: World) -> None:
        await world.an_account("ada", balance=10)

        await world.grant("ada", -10)
        with pytest.raises(InsufficientFunds) as refused:
            await world.grant("ada", -1)

        assert refused.value.facts() == {"balance": 0, "cost": 1}
        assert await world.balance_and_amounts("ada") == (0, [10, -10])

    async def test_grants_of_one_batch_build_on_each_other(self, world: World) -> None:
        commands = [world.grant_command(user, amount) for user, amount in (("ada", 1), ("bob", 2), ("ada", 4))]

        outcomes = await world.grant_credits([Keyed(command) for command in commands])

        entries = [outcome.entry for outcome in outcomes if isinstance(outcome, Granted)]
        assert [(entry.user_id, entry.seq, entry.balance_after) for entry in entries] == [
            ("ada", 1, 1),
            ("bob", 1, 2),
            ("ada", 2, 5),
        ]
        assert await world.broken_promises() == []

    async def test_one_event_twice_in_a_batch_is_one_grant(self, world: World) -> None:
        first, again, other = (world.grant_command("ada", amount, event="welcome") for amount in (100, 100, 101))

        outcomes = await world.grant_credits([Keyed(first), Keyed(again), Keyed(other)])

        assert isinstance(outcomes[0], Granted)
        assert isinstance(outcomes[1], Granted)
        assert (outcomes[0].entry, outcomes[1].is_repeated) == (outcomes[1].entry, True)
        assert isinstance(outcomes[2], IdempotencyMismatch)
        assert await world.balance_and_amounts("ada") == (100, [100])

    async def test_a_refusal_stops_nobody_else_in_its_batch(self, world: World) -> None:
        await world.deliver("deleted", "gone")
        commands = [
            world.grant_command("ada", MAX_BALANCE),
            world.grant_command("ada", 1),
            world.grant_command("gone", 1),
            world.grant_command("bob", 1),
        ]

        outcomes = await world.grant_credits([Keyed(command) for command in commands])

        assert [type(outcome) for outcome in outcomes] == [Granted, BalanceLimitExceeded, UserDeleted, Granted]
        assert [await world.balance(user) for user in ("ada", "gone", "bob")] == [MAX_BALANCE, 0, 1]
        assert await world.broken_promises() == []

    async def test_the_same_key_answers_the_first_reply_and_grants_nothing(self, world: World) -> None:
        first = await world.grant("ada", 100, event="welcome", key="k1")

        with pytest.raises(Replayed) as replayed:
            await world.grant("ada", 100, event="welcome", key="k1")
        with pytest.raises(IdempotencyMismatch):
            await world.grant("ada", 101, event="another", key="k1")

        assert replayed.value.reply.body == repr(first).encode()
        assert await world.balance_and_amounts("ada") == (100, [100])

    async def test_a_refused_grant_opens_no_account(self, world: World) -> None:
        await world.grant("ada", event="e1")
        await world.deliver("deleted", "eve")

        for user, event in (("ghost", "e1"), ("eve", "e2")):
            with pytest.raises((IdempotencyMismatch, UserDeleted)):
                await world.grant(user, event=event)

        keys = [AccountKey(UserId(user), "credits") for user in ("ghost", "eve")]
        assert await world.reads(lambda stores: stores.ledger.balances(keys)) == {}


class TestEntries:
    async def test_every_entry_starts_where_the_last_one_ended(self, world: World) -> None:
        await world.an_account("ada", balance=100)
        for cost in (10, 20, 30):
            await world.purchase("ada", await world.a_reward(cost=cost))
        await world.grant("ada", 5)

        chain = list(reversed(await world.entries("ada")))

        assert [entry.seq for entry in chain] == [1, 2, 3, 4, 5]
        assert chain[0].balance_before == 0
        assert all(before.balance_after == after.balance_before for before, after in pairwise(chain))
        assert chain[-1].balance_after == sum(entry.amount for entry in chain) == 45
        assert (await world.account("ada")).version == 5
        assert await world.broken_promises() == []

    async def test_pages_are_the_newest_first_and_stable_under_new_entries(self, world: World) -> None:
        for amount in (1, 2, 3, 4, 5):
            await world.grant("ada", amount)

        first = await world.entries("ada", limit=2)
        await world.grant("ada", 6)
        second = await world.entries("ada", before=first[-1].seq, limit=2)
        last = await world.entries("ada", before=second[-1].seq, limit=2)

        assert [[entry.amount for entry in page] for page in (first, second, last)] == [[5, 4], [3, 2], [1]]
        assert await world.entries("ada", before=1) == []

    async def test_everybody_has_entries_of_their_own(self, world: World) -> None:
        await world.grant("ada", 1)
        await world.grant("bob", 2)

        assert [entry.amount for entry in await world.entries("ada")] == [1]
        assert await world.entries("carol") == []

    async def test_a_summary_shows_the_balance(self, world: World) -> None:
        await world.arrive("ada")
        await world.an_account("ada", balance=7)

        summary = await world.summary("ada")

        assert summary is not None
        assert (summary.credits, summary.points) == (7, 0)
