"""Memory is the model of PostgreSQL: after any commands on points and slips, both answer and show the same."""

from collections.abc import Awaitable
from datetime import timedelta
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, multiple, rule

from tallystick.application.idempotency import Keyed
from tallystick.application.rating_slips import RecoverSlip
from tallystick.application.transactions import Stores
from tallystick.domain.audit import AuditQuery
from tallystick.domain.ledger import MAX_BALANCE, AccountKey
from tallystick.domain.rating_slips import Slip
from tallystick.domain.users import UserId
from tests.integration.postgres.twins import Twins, run
from tests.worlds.world import World

USERS = [UserId(name) for name in ("ada", "bob", "cid", "dan")]
# Few of each, so that they meet.
NAMES = st.sampled_from([*USERS, "nobody"])
KEYS = st.sampled_from([None, None, None, None, None, "key", "other-key"])
POINTS = st.sampled_from([1, 100, 999, 10_000, 10_001])
EVENTS = st.sampled_from(["first", "second", None, None])
EARNED = st.sampled_from([1, 999, 5000, MAX_BALANCE - 10])
BETS = st.sampled_from([None, None, 10_000, 1_000_000_000])

EXPECTED = {
    *("Accrued", "Credited", "Completed", "Slip", "UpsertResult", "Replayed", "str"),
    *("PARTIAL_COMPLETION", "ACCRUAL_PENDING", "SLIP_NOT_OPEN", "IMPOSSIBLE_TIMES", "SLIP_LIMIT_EXCEEDED"),
    *("REWARD_LIMIT_EXCEEDED", "SELF_AWARD", "POINTS_DISABLED", "ACCOUNT_FROZEN", "BALANCE_LIMIT_EXCEEDED"),
    *("USER_NOT_FOUND", "USER_DELETED", "IDEMPOTENCY_MISMATCH"),
}
"""Outcomes without which the machine did not get around."""


class Points(RuleBasedStateMachine):
    """Commands of players and staff, and the passing of time, on points."""

    slips: Bundle[Slip] = Bundle("slips")

    def __init__(self, twins: Twins) -> None:
        super().__init__()
        self._twins = twins
        twins.start_over()
        for user in USERS:
            twins.run(lambda world, user=user: world.a_player(user))  # type: ignore[misc]  # bound in the loop

    @rule(name=NAMES, points=POINTS, staff=NAMES, reward=st.sampled_from([None, "gift"]), key=KEYS)
    def award(self, name: str, points: int, staff: str, reward: str | None, key: str | None) -> None:
        self._twins.run(lambda world: world.award(name, points, staff=staff, reward=reward, key=key))

    @rule(name=st.sampled_from(USERS[:2]))
    def award_again(self, name: str) -> None:
        for staff in ("eve", "eve", name):
            self._twins.run(lambda world, staff=staff: world.award(name, 7, staff=staff, key=f"{staff}-for-{name}"))  # type: ignore[misc]  # bound in the loop

    @rule(names=st.lists(NAMES, min_size=2, max_size=5), points=POINTS)
    def award_together(self, names: list[str], points: int) -> None:
        self._twins.run(lambda world: world.award_points([Keyed(world.award_command(name, points)) for name in names]))

    @rule(earned=st.lists(st.tuples(NAMES, EARNED, EVENTS), min_size=1, max_size=5), key=KEYS)
    def accrue(self, earned: list[tuple[str, int, str | None]], key: str | None) -> None:
        self._twins.run(
            lambda world: world.accrue(*(world.earning(name, n, event=event) for name, n, event in earned), key=key)
        )

    @rule(
        target=slips,
        name=st.sampled_from([*USERS, *USERS, "nobody"]),
        game=st.sampled_from(["blackjack", "slots"]),
        hours=st.sampled_from([0, 1, 1, 2000]),
    )
    def open(self, name: str, game: str, hours: int) -> Any:
        def open_it(world: World) -> Awaitable[object]:
            return world.a_slip(name, game=game, opened_at=world.clock.now() - timedelta(hours=hours))

        opened = self._twins.run(open_it)
        if not isinstance(opened, Slip):
            return multiple()
        return opened

    @rule(slip=slips, bet=BETS, ends=st.sampled_from([None, None, None, -1, 0, 1, 100]), key=KEYS)
    def complete(self, slip: Slip, bet: int | None, ends: int | None, key: str | None) -> None:
        closed_at = slip.opened_at + timedelta(hours=ends) if ends is not None else None
        self._twins.run(lambda world: world.complete(slip, bet=bet, closed_at=closed_at, key=key))

    @rule(name=st.sampled_from(USERS[:2]))
    def bet_too_much(self, name: str) -> None:
        async def bet(world: World) -> object:
            begun = world.clock.now() - timedelta(days=365 * 900)
            return await world.complete(await world.a_slip(name, game="slots", opened_at=begun), bet=1_000_000_000)

        self._twins.run(bet)

    @rule(name=st.sampled_from(USERS[:2]))
    def end_before_the_beginning(self, name: str) -> None:
        async def end(world: World) -> object:
            slip = await world.a_slip(name, opened_at=world.clock.now() - timedelta(hours=1))
            return await world.complete(slip, closed_at=slip.opened_at - timedelta(seconds=1))

        self._twins.run(end)

    @rule(slips=st.lists(slips, min_size=2, max_size=5))
    def complete_together(self, slips: list[Slip]) -> None:
        self._twins.run(lambda world: world.complete_slips([Keyed(world.completion(slip)) for slip in slips]))

    @rule(slips=st.lists(slips, min_size=1, max_size=4))
    def recover(self, slips: list[Slip]) -> None:
        def recovered(world: World) -> Awaitable[object]:
            return world.recover_slips([Keyed(RecoverSlip(slip.slip_id, world.clock.now())) for slip in slips])

        self._twins.run(recovered)

    @rule(slip=slips)
    def recover_event(self, slip: Slip) -> None:
        self._twins.run(lambda world: world.recover_event(slip.event))

    @rule(target=slips, name=st.sampled_from(USERS[:2]))
    def close_in_vain(self, name: str) -> Any:
        self.switch(are_off=True)
        slip = self.open(name, "blackjack", hours=1)
        if isinstance(slip, Slip):
            self._twins.run(lambda world: world.complete(slip))
            self._twins.run(lambda world: world.recover_event(slip.event))
        return slip

    @rule()
    def sweep(self) -> None:
        async def swept(world: World) -> list[str]:
            return sorted(await world.sweep())

        self._twins.run(swept)

    @rule(inviter=st.sampled_from(USERS), invitee=st.sampled_from([*USERS, UserId("eve"), UserId("fay")]))
    def arrive(self, inviter: str, invitee: str) -> None:
        async def arrived(world: World) -> object:
            summary = await world.summary(inviter)
            code = summary.code if summary is not None else None
            return await world.arrive(invitee, code or await world.mint(inviter))

        self._twins.run(arrived)

    @rule(name=st.sampled_from(USERS), is_frozen=st.booleans())
    def freeze(self, name: str, is_frozen: bool) -> None:
        self._twins.run(lambda world: world.freeze(name) if is_frozen else world.thaw(name))

    @rule(name=st.sampled_from(USERS[:2]))
    def award_in_vain(self, name: str) -> None:
        self.switch(are_off=False)
        self.freeze(name, is_frozen=True)
        self._twins.run(lambda world: world.award(name, 7, staff="eve"))

    @rule(are_off=st.sampled_from([False, False, True]))
    def switch(self, are_off: bool) -> None:
        self._twins.each(lambda world: world.switch_points(on=not are_off))

    @rule()
    def delete(self) -> None:
        self._twins.run(lambda world: world.deliver("deleted", "dan"))

    @rule(minutes=st.sampled_from([1, 30, 60, 60, 600]))
    def wait(self, minutes: int) -> None:
        self._twins.pass_time(minutes=minutes)

    @invariant()
    def show_the_same(self) -> None:
        async def seen(stores: Stores) -> list[object]:
            keys = [AccountKey(user, "points") for user in USERS]
            asked = [
                AuditQuery(player_id=USERS[0]),
                AuditQuery(staff_id=USERS[1]),
                AuditQuery(event_type="rating_slip"),
            ]
            return [
                await stores.ledger.balances(keys),
                [await stores.ledger.page(key, before=None, limit=1000) for key in keys],
                await stores.slips.page(state=None, before=None, limit=1000),
                await stores.slips.page(state="accrual_pending", before=None, limit=1000),
                await stores.pending.page(after=None, limit=1000),
                await stores.pending.backlog(),
                await stores.players.find(USERS),
                [await stores.audit.entries(query, before=None, limit=1000) for query in asked],
            ]

        self._twins.show(seen)


def test_whatever_becomes_of_points_both_say_and_show_the_same(twins: Twins) -> None:
    run(Points, twins, examples=40)

    assert twins.broken_promises() == []
    assert set(twins.outcomes) >= EXPECTED
