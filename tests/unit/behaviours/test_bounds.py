"""Bounds of one user: accepted up to the bound, refused beyond it with its name, and never dropped."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any

import msgspec
import pytest

from tallystick.application.channels import MakeChannels
from tallystick.application.codes import RemintCodes
from tallystick.application.idempotency import AnswerOnce, Keyed, Replayed
from tallystick.application.invites import MakeInvites
from tallystick.application.overlay_batch import PutOverlay
from tallystick.application.rating_slips import OpenSlips
from tallystick.application.rewards import OfferReward, OfferRewards
from tallystick.application.stage_rooms import SyncRosters
from tallystick.domain.bounds import COUNTED, BoundReached, CountedName, UserBounds
from tallystick.domain.overlays import ShownOverlay
from tallystick.domain.refusals import Failure
from tallystick.domain.users import UserId
from tests.worlds.loyalty import GAMES
from tests.worlds.overlays import Screens
from tests.worlds.rooms import Rooms
from tests.worlds.stages import Stages
from tests.worlds.wallets import encode_for_test
from tests.worlds.world import World

ADA = UserId("ada")
Batch = Callable[[Sequence[Keyed[Any]]], Awaitable[Sequence[object]]]


class Holder:
    """Lets users hold one more of each thing, under bounds of its own, as another instance of the service does."""

    def __init__(self, world: World, **bounds: int) -> None:
        given = UserBounds(**bounds)
        self._world = world
        self.once = AnswerOnce(encode_for_test, given)
        batches: Mapping[CountedName, Batch] = {
            "rewards": OfferRewards(world.transactions, self.once, given),
            "invites": MakeInvites(world.transactions, self.once, given),
            "slips": OpenSlips(world.transactions, GAMES, self.once, given),
            "aliases": RemintCodes(
                world.transactions,
                world.clock,
                world.metrics,
                self.once,
                world.adopt_legacy_users,
                world.mirroring,
                given,
            ),
            "channels": MakeChannels(world.transactions, self.once, world.randomness, given),
            "overlays": self._show,
            "overlay_sessions": self._show,
            "stage_rooms": SyncRosters(world.transactions, self.once, given),
        }
        self.batches = batches
        self._screens = Screens(world, given)
        self._rooms = Rooms(world)

    async def _show(self, commands: Sequence[Keyed[PutOverlay]]) -> Sequence[object]:
        """Show overlays; two answers to one command differ in the time of the server."""
        answers = await self._screens.put_overlays([keyed.command for keyed in commands])
        return [
            msgspec.structs.replace(answer, server_time=answer.expires_at)
            if isinstance(answer, ShownOverlay)
            else answer
            for answer in answers
        ]

    def command(self, name: CountedName, user: str) -> Any:
        """Return a command that stores one more."""
        commands: Mapping[CountedName, Callable[[], object]] = {
            "rewards": lambda: OfferReward(self._world.reward(owner=user)),
            "invites": lambda: self._world.new_invite(owner=user),
            "slips": lambda: self._world.new_slip(user),
            "aliases": lambda: self._world.remint_command(user).command,
            "channels": lambda: self._rooms.new_channel(user),
            "stage_rooms": lambda: Stages(self._world).command(self._world.new_id(), by=user),
            "overlays": lambda: self._screens.command(self._world.new_id(), by=user),
            "overlay_sessions": lambda: self._screens.command(self._world.new_id(), by=user),
        }
        return commands[name]()

    async def hold(self, name: CountedName, user: str, *, times: int = 1) -> list[object]:
        """Store so many more, one after the other, and return the outcomes."""
        return [(await self.batches[name]([Keyed(self.command(name, user))]))[0] for _ in range(times)]


async def held(world: World, name: CountedName, user: str) -> int:
    async with world.transactions.begin() as stores:
        return (await stores.holdings.count(name, [UserId(user)], up_to=100))[UserId(user)]


def refused(outcomes: Sequence[object]) -> list[object]:
    """Return the bounds that outcomes name, and None for each success."""
    return [(each.bound, each.limit) if isinstance(each, BoundReached) else None for each in outcomes]


async def a_user(world: World, user: str) -> None:
    await world.a_player(user)
    await world.mint(user)


class TestUserBounds:
    @pytest.mark.parametrize("name", COUNTED)
    async def test_at_the_bound_it_is_accepted_and_one_more_is_refused(self, world: World, name: CountedName) -> None:
        holder = Holder(world, **{name: 3})
        for user in ("ada", "bob"):
            await a_user(world, user)

        outcomes = await holder.hold(name, "ada", times=5)

        assert refused(outcomes) == [None, None, None, (name, 3), (name, 3)]
        assert await held(world, name, "ada") == 3
        assert refused(await holder.hold(name, "bob")) == [None]
        assert await world.broken_promises() == []

    @pytest.mark.parametrize("name", COUNTED)
    async def test_a_batch_is_counted_like_requests_one_by_one(self, world: World, name: CountedName) -> None:
        holder = Holder(world, **{name: 3})
        await a_user(world, "ada")

        outcomes = await holder.batches[name]([Keyed(holder.command(name, "ada")) for _ in range(5)])

        assert refused(outcomes) == [None, None, None, (name, 3), (name, 3)]
        assert await held(world, name, "ada") == 3

    @pytest.mark.parametrize("name", COUNTED)
    async def test_rows_beyond_a_bound_stay_and_no_more_are_accepted(self, world: World, name: CountedName) -> None:
        await a_user(world, "ada")
        await Holder(world).hold(name, "ada", times=5)

        outcomes = await Holder(world, **{name: 3}).hold(name, "ada")

        assert refused(outcomes) == [(name, 3)]
        assert await held(world, name, "ada") == 5

    @pytest.mark.parametrize("name", COUNTED)
    async def test_a_try_that_is_run_again_after_a_lost_answer_is_not_refused(
        self, world: World, name: CountedName
    ) -> None:
        holder = Holder(world, **{name: 1})
        await a_user(world, "ada")
        command = Keyed(holder.command(name, "ada"))

        first, again = [(await holder.batches[name]([command]))[0] for _ in range(2)]

        assert not isinstance(first, Failure)
        assert again == first
        assert await held(world, name, "ada") == 1

    # The answer about an overlay is not stored: it has the payload, which has an end.
    @pytest.mark.parametrize("name", [name for name in COUNTED if not name.startswith("overlay")])
    async def test_the_refusal_is_an_answer_that_is_stored(self, world: World, name: CountedName) -> None:
        holder = Holder(world, **{name: 1})
        await a_user(world, "ada")
        await holder.hold(name, "ada")
        keyed = world.keyed("ada", holder.command(name, "ada"), "key")

        first, again = [(await holder.batches[name]([keyed]))[0] for _ in range(2)]

        assert refused([first]) == [(name, 1)]
        assert isinstance(again, Replayed)
        assert again.reply.body == b"BOUND_REACHED"

    async def test_a_remint_at_the_bound_leaves_every_code_as_it_was(self, world: World) -> None:
        holder = Holder(world, aliases=1)
        first = await world.mint("ada")
        await holder.hold("aliases", "ada")
        second = await world.code_of("ada")

        (outcome,) = await holder.hold("aliases", "ada")

        assert isinstance(outcome, BoundReached)
        assert "never dropped" in outcome.detail
        assert await world.code_of("ada") == second
        assert [await world.resolve(code) for code in (first, second)] == ["alias", "canonical"]

    async def test_a_first_code_is_minted_whatever_the_bound_of_aliases(self, world: World) -> None:
        assert refused(await Holder(world, aliases=1).hold("aliases", "ada", times=3)) == [None, None, ("aliases", 1)]

    async def test_a_slip_that_is_completed_makes_room(self, world: World) -> None:
        holder = Holder(world, slips=1)
        await world.a_player("ada")
        await world.complete(await world.a_slip("ada"))

        assert refused(await holder.hold("slips", "ada", times=2)) == [None, ("slips", 1)]


class TestReplyBounds:
    async def ask(self, world: World, once: AnswerOnce, key: str | None, *, user: str = "ada") -> object:
        """Send a request under a key, and return what came of it."""

        async def work(commands: Sequence[str]) -> Sequence[str]:
            self.worked += commands
            return commands

        self.worked: list[str] = []
        async with world.transactions.begin() as stores:
            return (await once(stores, [world.keyed(user, "12345678", key)], work))[0]

    async def test_a_key_without_room_for_its_reply_is_refused_before_anything_is_done(self, world: World) -> None:
        once = AnswerOnce(encode_for_test, UserBounds(replies=2))
        for key in ("k1", "k2"):
            assert await self.ask(world, once, key) == "12345678"

        outcome = await self.ask(world, once, "k3")

        assert refused([outcome]) == [("replies", 2)]
        assert self.worked == []
        assert isinstance(await self.ask(world, once, "k1"), Replayed)
        assert await self.ask(world, once, None) == "12345678"
        assert await self.ask(world, once, "k3", user="bob") == "12345678"

    async def test_bytes_are_bounded_too(self, world: World) -> None:
        once = AnswerOnce(encode_for_test, UserBounds(reply_bytes=15))  # a reply has ten
        for key in ("k1", "k2"):
            assert await self.ask(world, once, key) == "12345678"

        assert refused([await self.ask(world, once, "k3")]) == [("reply_bytes", 15)]
        assert self.worked == []

    async def test_of_one_batch_no_more_keys_are_run_than_there_is_room_for(self, world: World) -> None:
        once = AnswerOnce(encode_for_test, UserBounds(replies=2))

        async def work(commands: Sequence[str]) -> Sequence[str]:
            return commands

        async with world.transactions.begin() as stores:
            outcomes = await once(stores, [world.keyed("ada", "x", f"k{number}") for number in range(4)], work)

        assert refused(outcomes) == [None, None, ("replies", 2), ("replies", 2)]

    async def test_replies_that_are_forgotten_make_room(self, world: World) -> None:
        once = AnswerOnce(encode_for_test, UserBounds(replies=2))
        await self.ask(world, once, "k1")
        world.pass_time(days=9)
        await self.ask(world, once, "k2")
        assert refused([await self.ask(world, once, "k3")]) == [("replies", 2)]

        async with world.transactions.begin() as stores:
            await stores.idempotency.forget(before=world.clock.now() - timedelta(days=8), limit=10)

        assert await self.ask(world, once, "k3") == "12345678"
        assert refused([await self.ask(world, once, "k4")]) == [("replies", 2)]

    async def test_a_deletion_leaves_no_counter(self, world: World) -> None:
        once = AnswerOnce(encode_for_test)
        await world.arrive("ada")
        await self.ask(world, once, "k1")

        await world.delete("ada")

        async with world.transactions.begin() as stores:
            await stores.idempotency.claim([world.key("ada", "k2", b"")])
            assert await stores.idempotency.totals([ADA]) == {}
