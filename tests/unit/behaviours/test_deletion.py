"""How users leave: by the administrators' word as by the provider's, once and for good."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import timedelta

import pytest

from tallystick.application.deletion import Deleted, Deletion
from tallystick.application.idempotency import Keyed, StoredReply
from tallystick.domain.dispositions import WITHDRAWN
from tallystick.domain.flags import Flag
from tallystick.domain.rewards import Reward, RewardNotFound
from tallystick.domain.users import Profile, UserDeleted, UserId, UserNotFound
from tests.worlds.stages import Stages
from tests.worlds.switchboards import Switchboard
from tests.worlds.world import World

ADA = Profile("ada@example.org", "ada", "Ada", "+4512345678")
Leave = Callable[[World], Awaitable[object]]


async def _by_the_provider(world: World) -> None:
    await world.deliver("deleted", "ada")


async def _by_an_administrator(world: World) -> None:
    await world.delete("ada")


WAYS = pytest.mark.parametrize("leave", [_by_the_provider, _by_an_administrator])


async def _staged(world: World) -> None:
    await world.imported("ada", "ADAS1111")
    await world.run_is("planned")


async def _granted(world: World) -> None:
    await world.grant("ada")


async def _offering(world: World) -> None:
    await world.a_reward(owner="ada")


async def _inviting(world: World) -> None:
    await world.an_invite(owner="ada")


async def _organising(world: World) -> None:
    stages = Stages(world)
    await stages.sync(stages.command("room", by="ada"))


async def _playing(world: World) -> None:
    stages = Stages(world)
    await stages.sync(stages.command("room", "captain 1 ada"))


async def _seated(world: World) -> None:
    await world.redeem("ada", (await world.an_invite()).code)


async def _refused(world: World) -> None:
    with pytest.raises(RewardNotFound):
        await world.purchase("ada", world.reward(), key="key")


async def _awarding(world: World) -> None:
    await world.a_player("bob")
    await world.award("bob", 5, staff="ada")


async def _switching(world: World) -> None:
    await Switchboard(world).switch(Flag.POINTS_ENABLED, on=False, by="ada")


TRACES: Mapping[str, Callable[[World], Awaitable[None]]] = {
    "staged": _staged,
    "granted": _granted,
    "offering": _offering,
    "inviting": _inviting,
    "organising": _organising,
    "playing": _playing,
    "seated": _seated,
    "refused": _refused,
    "awarding": _awarding,
    "switching": _switching,
}
"""Ways to be named by a row without ever having come."""


async def reward_of(world: World, reward: Reward) -> Reward | None:
    async with world.transactions.begin() as stores:
        return await stores.rewards.lock(reward.reward_id)


async def stored_behind(world: World, user: str) -> Reward:
    """Store a reward and a reply of a user, as a request does that was under way when they were deleted."""
    reward, reply = world.reward(owner=user), StoredReply(b"", 200, b"{}")
    async with world.transactions.begin() as stores:
        await stores.rewards.add(reward)
        await stores.idempotency.record([(world.key(user, "late", b""), reply)])
    return reward


async def replied(world: World, *users: str) -> list[str]:
    """Return who of them has the reply of `stored_behind`."""
    async with world.transactions.begin() as stores:
        claims = await stores.idempotency.claim([world.key(user, "late", b"") for user in users])
    return [user for user, claim in zip(users, claims, strict=True) if claim != "fresh"]


class TestDeleteUsers:
    @WAYS
    async def test_a_deleted_user_has_no_profile_and_the_history_stays(self, world: World, leave: Leave) -> None:
        await world.deliver("created", "ada", profile=ADA)
        first = await world.code_of("ada")
        second = (await world.remint("ada")).code
        await world.arrive("bob", first)
        await world.an_account("ada", balance=40)

        await leave(world)

        summary = await world.summary("ada")
        assert summary is not None
        assert (summary.user.profile, summary.user.deleted_at) == (Profile(), world.clock.now())
        assert [await world.resolve(code) for code in (first, second)] == ["unknown", "unknown"]
        assert await world.by_email("ada@example.org") is None
        assert await world.inviter("bob") == "ada"
        assert await world.balance_and_amounts("ada") == (40, [40])
        assert await world.broken_promises() == []

    @WAYS
    async def test_a_deleted_user_cannot_sign_in_and_keeps_their_seat(self, world: World, leave: Leave) -> None:
        invite = await world.an_invite(code="SEATS123")
        await world.sign_up(world.sign_up_command("ada", "SEATS123"))

        await leave(world)

        async with world.transactions.begin() as stores:
            credentials = await stores.directory.find([UserId("ada")])
        assert credentials[UserId("ada")].password_hash is None
        assert await world.seats_and_counter(invite) == (["ada"], 1)

    @WAYS
    async def test_nobody_pays_who_is_gone(self, world: World, leave: Leave) -> None:
        await world.arrive("ada")
        hers, anothers = await world.a_reward(owner="ada"), await world.a_reward(owner="bob")
        await world.change(hers, name="Coffee with Ada", description="Ada Lovelace, +4512345678")
        await world.purchase(await world.an_account("early", balance=40), hers)

        await leave(world)

        assert [reward.reward_id for reward in await world.rewards()] == [anothers.reward_id]
        withdrawn = await reward_of(world, hers)
        assert withdrawn is not None
        assert (withdrawn.name, withdrawn.description, withdrawn.active) == (WITHDRAWN, None, False)
        with pytest.raises(RewardNotFound):
            await world.purchase(await world.an_account("late", balance=40), hers)
        assert [each.reward_id for each in await world.collected("early")] == [hers.reward_id]
        assert await world.broken_promises() == []

    @WAYS
    async def test_replies_of_a_deleted_user_are_dropped_and_those_of_others_are_not(
        self, world: World, leave: Leave
    ) -> None:
        for user in ("ada", "bob"):
            await world.arrive(user, key="key")

        await leave(world)

        keys = [world.key(user, "key", b"") for user in ("ada", "bob")]
        async with world.transactions.begin() as stores:
            claims = await stores.idempotency.claim(keys)
        assert [claim == "fresh" for claim in claims] == [True, False]

    @WAYS
    async def test_an_invite_of_a_deleted_user_stays_valid(self, world: World, leave: Leave) -> None:
        await world.arrive("ada")
        invite = await world.an_invite(code="SEATS123", owner="ada")

        await leave(world)
        await world.redeem("bob", "SEATS123")

        assert await world.seats_and_counter(invite) == (["bob"], 1)

    async def test_deleted_again_they_are_gone_since_the_first_time(self, world: World) -> None:
        await world.deliver("created", "ada", profile=ADA)
        first = await world.delete("ada")
        world.pass_time(hours=1)

        assert await world.delete("ada") == first == Deleted(UserId("ada"), world.clock.now() - timedelta(hours=1))

    async def test_rows_that_were_stored_behind_a_deletion_go_with_the_next_one(self, world: World) -> None:
        await world.arrive("ada")
        await world.delete("ada")
        late = await stored_behind(world, "ada")

        await world.delete("ada")

        withdrawn = await reward_of(world, late)
        assert withdrawn is not None
        assert not withdrawn.active

    async def test_rows_that_are_stored_behind_a_deletion_go_by_themselves_for_a_quarter_of_an_hour(
        self, world: World
    ) -> None:
        for user in ("ada", "bob", "cid"):
            await world.arrive(user)
        await world.delete("ada")
        world.pass_time(minutes=1)
        for user in ("bob", "cid"):
            await world.delete(user)
        late = {user: await stored_behind(world, user) for user in ("ada", "bob", "cid")}
        living = await world.a_reward(owner="dan")
        world.pass_time(minutes=14, microseconds=1)

        await world.finish_erasures(batch_users=1)

        left = {user: await reward_of(world, reward) for user, reward in late.items()}
        assert [user for user, reward in left.items() if reward is not None and reward.active] == ["ada"]
        assert await replied(world, *late) == ["ada"]
        assert {reward.reward_id for reward in await world.rewards()} == {living.reward_id, late["ada"].reward_id}

    async def test_the_provider_and_an_administrator_delete_once(self, world: World) -> None:
        await world.deliver("created", "ada", profile=ADA)
        first = await world.delete("ada")
        world.pass_time(seconds=1)

        await world.deliver("deleted", "ada")
        await world.deliver("updated", "ada", profile=ADA)

        summary = await world.summary("ada")
        assert summary is not None
        assert (summary.user.deleted_at, summary.user.profile) == (first.deleted_at, Profile())

    async def test_a_user_who_was_never_seen_cannot_be_deleted(self, world: World) -> None:
        with pytest.raises(UserNotFound):
            await world.delete("nobody")

        assert await world.summary("nobody") is None

    @pytest.mark.parametrize("trace", TRACES)
    async def test_a_user_whom_a_row_names_can_be_deleted_though_they_never_came(
        self, world: World, trace: str
    ) -> None:
        await TRACES[trace](world)
        assert await world.summary("ada") is None

        deleted = await world.delete("ada")

        assert deleted == Deleted(UserId("ada"), world.clock.now())
        outcomes = await world.attribute_referrals([Keyed(world.upsert("ada"))])
        assert isinstance(outcomes[0], UserDeleted)
        with pytest.raises(UserDeleted):
            await world.grant("ada")
        assert await world.broken_promises() == []

    async def test_a_code_that_was_brought_along_leads_to_nobody_who_is_deleted_first(self, world: World) -> None:
        world.fall_back()
        await world.imported("ada", "ADAS1111")
        assert await world.resolve("ADAS1111") == "legacy"

        await world.delete("ada")

        assert await world.resolve("ADAS1111") == "unknown"

    async def test_a_batch_deletes_each_once_and_refuses_only_the_unknown(self, world: World) -> None:
        for user in ("ada", "bob"):
            await world.arrive(user, profile=Profile(username=user))
        now = world.clock.now()

        outcomes = await world.delete_users([Deletion(UserId(user), now) for user in ("bob", "x", "ada", "bob")])

        assert [outcome.user_id if isinstance(outcome, Deleted) else outcome.code for outcome in outcomes] == [
            "bob",
            "USER_NOT_FOUND",
            "ada",
            "bob",
        ]
        assert [await world.profile(user) for user in ("ada", "bob")] == [Profile(), Profile()]

    async def test_a_claim_is_free_afterwards_and_the_user_does_not_come_back(self, world: World) -> None:
        await world.arrive("ada", profile=ADA)
        await world.delete("ada")

        await world.arrive("bob", profile=ADA)

        assert await world.profile("bob") == ADA
        assert isinstance((await world.attribute_referrals([Keyed(world.upsert("ada"))]))[0], UserDeleted)
