"""Memory is the model of PostgreSQL: after any commands on wallets in any order, both answer and show the same."""

from collections.abc import Awaitable
from datetime import timedelta
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, multiple, rule

from tallystick.application.idempotency import Keyed
from tallystick.domain.invites import Invite
from tallystick.domain.rewards import Reward
from tallystick.domain.users import UserId
from tests.integration.postgres.twins import Twins, run
from tests.worlds.world import World

USERS = [UserId(name) for name in ("ada", "bob", "cid", "dan")]
# Few of each, so that they meet.
NAMES = st.sampled_from(USERS)
EVENTS = st.sampled_from(["first", "second", "third", None, None])
KEYS = st.sampled_from([None, None, None, None, None, "key", "other-key"])
ATTEMPTS = st.sampled_from([None, None, None, "attempt", "other attempt"])
COSTS = st.sampled_from([1, 39, 40, 41, 1_000_000_000])
RARELY = st.sampled_from([False, False, True])
AMOUNTS = st.sampled_from([1, 40, 80, 1_000_000_000])

EXPECTED = {
    *("Granted", "Purchase", "BatchResult", "Reward", "Invite", "Redeemed", "SignedUp", "Reminted", "str", "Replayed"),
    *("INSUFFICIENT_FUNDS", "ALREADY_COLLECTED", "SELF_PURCHASE", "REWARD_NOT_FOUND", "NOT_YOUR_REWARD"),
    *("INVITE_REVOKED", "INVITE_EXHAUSTED", "ALREADY_USED", "CODE_TAKEN"),
    *("USER_DELETED", "IDEMPOTENCY_MISMATCH"),
}
"""Outcomes without which the machine did not get around."""


class Wallets(RuleBasedStateMachine):
    """Commands of users with credits, rewards, invites and codes."""

    rewards: Bundle[Reward] = Bundle("rewards")
    invites: Bundle[Invite] = Bundle("invites")

    def __init__(self, twins: Twins) -> None:
        super().__init__()
        self._twins = twins
        twins.start_over()
        self._offered: dict[str, Reward] = {}
        self._made: dict[str, Invite] = {}

    @rule(name=NAMES, amount=AMOUNTS, event=EVENTS, key=KEYS)
    def grant(self, name: str, amount: int, event: str | None, key: str | None) -> None:
        self._twins.run(lambda world: world.grant(name, amount, event=event, key=key))

    @rule(names=st.lists(NAMES, min_size=2, max_size=5), amount=AMOUNTS, event=EVENTS)
    def grant_together(self, names: list[str], amount: int, event: str | None) -> None:
        self._twins.run(
            lambda world: world.grant_credits([Keyed(world.grant_command(name, amount, event=event)) for name in names])
        )

    @rule(target=rewards, name=NAMES, cost=COSTS)
    def offer(self, name: str, cost: int) -> Any:
        offered = self._twins.run(lambda world: world.a_reward(cost=cost, owner=name))
        if not isinstance(offered, Reward):
            return multiple()
        self._offered[offered.reward_id] = offered
        return offered

    @rule(reward=rewards, name=st.none() | NAMES, cost=st.none() | COSTS, active=st.sampled_from([None, True, False]))
    def change(self, reward: Reward, name: str | None, cost: int | None, active: bool | None) -> None:
        changes = {name: value for name, value in (("cost", cost), ("active", active)) if value is not None}
        self._twins.run(lambda world: world.change(reward, by=name, **changes))

    @rule(reward=rewards, name=NAMES, order_id=ATTEMPTS, key=KEYS)
    def purchase(self, reward: Reward, name: str, order_id: str | None, key: str | None) -> None:
        self._twins.run(lambda world: world.purchase(name, reward, order_id=order_id, key=key))

    @rule(target=rewards, name=st.sampled_from(USERS[:2]))
    def purchase_again(self, name: str) -> Reward:
        reward = self.offer("owner", cost=1)
        assert isinstance(reward, Reward)
        self.grant(name, 1, event=None, key=None)
        for key in ("once", "once", None):
            self.purchase(reward, name, order_id=None, key=key and f"{key}-{reward.reward_id}")
        return reward

    @rule(orders=st.lists(st.tuples(NAMES, rewards), min_size=2, max_size=6), as_order_batch=st.booleans())
    def purchase_together(self, orders: list[tuple[str, Reward]], as_order_batch: bool) -> None:
        def buy(world: World) -> Awaitable[object]:
            placed = [world.order(name, reward) for name, reward in orders]
            return world.order_batch(*placed) if as_order_batch else world.purchase_together(*placed)

        self._twins.run(buy)

    @rule(
        target=invites,
        max_uses=st.integers(1, 5),
        is_same=st.sampled_from([False, False, True]),
        hours=st.sampled_from([None, None, 1]),
    )
    def make_invite(self, max_uses: int, is_same: bool, hours: int | None) -> Any:
        code = "SAME" if is_same else None
        expires_in = timedelta(hours=hours) if hours is not None else None
        made = self._twins.run(lambda world: world.an_invite(max_uses=max_uses, code=code, expires_in=expires_in))
        if not isinstance(made, Invite):
            return multiple()
        self._made[made.invite_id] = made
        return made

    @rule(invite=invites, name=st.sampled_from([None, None, "ada"]), manages=st.booleans())
    def revoke(self, invite: Invite, name: str | None, manages: bool) -> None:
        self._twins.run(lambda world: world.revoke(invite, by=name, manages=manages))

    @rule(invite=invites, name=NAMES, attempt=ATTEMPTS, key=KEYS)
    def redeem(self, invite: Invite, name: str, attempt: str | None, key: str | None) -> None:
        self._twins.run(lambda world: world.redeem(name, invite.code.lower(), attempt=attempt, key=key))

    @rule(target=invites)
    def redeem_one_too_many(self) -> Any:
        invite = self.make_invite(1, is_same=False, hours=None)
        if isinstance(invite, Invite):
            for name in (USERS[0], USERS[0], USERS[1]):
                self.redeem(invite, name, attempt=None, key=None)
        return invite

    @rule(redemptions=st.lists(st.tuples(NAMES, invites), min_size=2, max_size=6))
    def redeem_together(self, redemptions: list[tuple[str, Invite]]) -> None:
        self._twins.run(
            lambda world: world.redeem_together(*(world.redemption(name, invite.code) for name, invite in redemptions))
        )

    @rule(invite=invites, name=NAMES, is_shared=st.sampled_from([True, True, False]), key=KEYS)
    def sign_up(self, invite: Invite, name: str, is_shared: bool, key: str | None) -> None:
        def sign_up(world: World) -> Awaitable[object]:
            email = "shared@example.org" if is_shared else None
            command = world.sign_up_command(name, invite.code, email=email, phone_verified=True)
            return world.sign_up(command, key=key)

        self._twins.run(sign_up)

    @rule(name=NAMES, key=KEYS)
    def remint(self, name: str, key: str | None) -> None:
        self._twins.pass_time(seconds=1)  # aliases of one instant have no order
        self._twins.run(lambda world: world.remint(name, key=key))

    @rule(name=st.sampled_from(USERS[2:]))
    def delete(self, name: str) -> None:
        self._twins.run(lambda world: world.deliver("deleted", name))

    @rule(hours=st.sampled_from([0.25, 0.5, 2]))
    def wait(self, hours: float) -> None:
        self._twins.pass_time(hours=hours)

    @invariant()
    def show_the_same(self) -> None:
        self._twins.look_alike(USERS, list(self._offered.values()), list(self._made.values()))


def test_whatever_is_done_both_say_and_show_the_same(twins: Twins) -> None:
    run(Wallets, twins, examples=35)

    assert twins.broken_promises() == []
    assert set(twins.outcomes) >= EXPECTED
