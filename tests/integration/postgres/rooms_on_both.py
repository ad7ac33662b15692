"""Rooms in memory and on PostgreSQL: the machine below every random command on them."""

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant

from tallystick.adapters.memory.ports import ManualClock, SeededRandomness
from tallystick.application.idempotency import Keyed, RequestKey
from tallystick.domain.channels import ChannelId, Role
from tallystick.domain.ids import RANDOM_BYTES, uuid_v7
from tallystick.domain.messages import MAX_MESSAGE_LENGTH
from tallystick.domain.stage_rooms import RoleName, RoomId, Roster, RosterSlot
from tallystick.domain.users import UserId
from tests.integration.postgres.rooms_shown import (
    Command,
    channels_of,
    channels_shown,
    outcomes,
    rosters_shown,
    users_shown,
)
from tests.integration.postgres.twins import Twins

# Texts whose order depends on the collation; few of each, so that they meet.
USERS = [UserId(name) for name in ("ada", "Bob", "çem", "dan", "Eve")]
ROOMS = [RoomId(name) for name in ("arena", "Arena", "été")]
NAMES = st.sampled_from([*USERS, *USERS, "nobody"])
KEYS = st.sampled_from([None, None, None, None, "key", "other-key"])
CLIENT_IDS = st.sampled_from([None, None, "a", "B", "ä", "b-1", "b 1"])
TEXTS = {"blank": " \t\u3000", "longest": "é" * MAX_MESSAGE_LENGTH, "too long": "🂡" * (MAX_MESSAGE_LENGTH + 1)}
"""Texts by a name, which reads better than they do where a test fails."""
BODIES = st.sampled_from(["hello", "hello", "hello", "", *TEXTS])
ROLES: st.SearchStrategy[Role] = st.sampled_from(["member", "member", "owner"])
RULES = st.sampled_from([{"captain": 1, "player": 4}, {"Zoo": 2, "ä": 3, "player": 1}, {}])
SLOTS = st.lists(
    st.builds(
        RosterSlot,
        st.sampled_from([RoleName(name) for name in ("player", "player", "captain", "ä", "Zoo")]),
        st.integers(1, 5),
        NAMES,
    ),
    max_size=4,
)
SEQS = st.sampled_from([0, 1, 2, 3, 5, 8, 13, 2**63 - 1])
LIMITS = st.sampled_from([1, 2, 3, 50])


class RoomsOnBoth(RuleBasedStateMachine):
    """Runs commands on both, and compares what they answer and what is stored."""

    def __init__(self, twins: Twins) -> None:
        super().__init__()
        self.twins = twins
        twins.start_over()
        self.clock, self._randomness = ManualClock(), SeededRandomness()
        self.made: list[ChannelId] = []
        self.changed: set[ChannelId] = set()
        self.done: list[list[Keyed[Command]]] = []
        self.versions: dict[str, int] = {}

    def new_id(self) -> str:
        return uuid_v7(self.clock.now(), self._randomness.bytes(RANDOM_BYTES))

    def do(self, *commands: Command, by: str = "", key: str | None = None) -> list[object]:
        """Run commands of one kind in one batch; the first of them has the key."""
        fingerprint = repr([type(commands[0]), by]).encode()
        request = RequestKey(UserId(by), key, fingerprint, 200, "correlation", self.clock.now()) if key else None
        keyed = [Keyed(command, None if number else request) for number, command in enumerate(commands)]
        self.done.append(keyed)
        return self.answer(keyed)

    def answer(self, keyed: list[Keyed[Command]]) -> list[object]:
        found: list[object] = self.twins.run(lambda world: outcomes(world, keyed))
        self.changed.update(channels_of([each.command for each in keyed]))
        self.versions.update({each.room_id: each.roster_version for each in found if isinstance(each, Roster)})
        return found

    @invariant()
    def show_the_same(self) -> None:
        changed, self.changed = sorted(self.changed), set()
        if changed:
            self.twins.show(lambda stores: channels_shown(stores, changed, [*USERS, UserId("nobody")]))

    def show_all(self) -> None:
        self.twins.run(lambda world: rosters_shown(world, ROOMS))
        self.twins.show(lambda stores: users_shown(stores, [*USERS, UserId("nobody")]))
        self.changed.update(self.made)
        self.show_the_same()

    def teardown(self) -> None:
        self.show_all()
        assert self.twins.broken_promises() == []
