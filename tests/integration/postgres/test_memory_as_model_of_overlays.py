"""Memory is the model of PostgreSQL: after any commands on overlays in any order, both answer and show the same.

The clock of PostgreSQL is the real one: every overlay is put for hours, and none ends by time here.
"""

import os
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from msgspec.structs import replace

from tallystick.adapters.memory.ports import ManualClock, SeededRandomness
from tallystick.application.overlay_batch import PutOverlay, RemoveOverlay
from tallystick.application.transactions import Stores
from tallystick.domain.bounds import UserBounds
from tallystick.domain.ids import RANDOM_BYTES, uuid_v7
from tallystick.domain.overlays import OVERLAYS, Overlay, OverlaySessionId, ShownOverlay, overlay_facts
from tallystick.domain.topics import TopicEvent
from tallystick.domain.users import UserId
from tests.integration.postgres.twins import Twins, run
from tests.worlds.overlays import Screens
from tests.worlds.world import World

EXAMPLES = int(os.environ.get("TALLYSTICK_TEST_OVERLAYS", "12"))  # `make storm` takes more
USERS = [UserId(name) for name in ("ada", "Bob", "çem", "dan")]
# Texts whose order depends on the collation; few of them, so that they meet.
SESSIONS = [OverlaySessionId(name) for name in ("screen", "Screen", "écran", "a b")]
NAMES, SHOWN_IN = st.sampled_from(USERS), st.sampled_from(SESSIONS)
PAYLOADS = st.sampled_from(['"hello"', "{}", '{"ü": [1, 2]}', "null", '"\\u0000"'])
HOURS = st.integers(8, 24)
BOUNDS = UserBounds(overlays=2)
"""So small that it is reached."""

EXPECTED = {
    *("ShownOverlay", "RemovedOverlay", "Deleted"),
    *("OVERLAY_NOT_FOUND", "NOT_YOUR_OVERLAY", "BOUND_REACHED", "USER_DELETED"),
}
"""Outcomes without which the machine did not get around."""

_START = datetime(2026, 1, 1, tzinfo=UTC)


class OverlayCommands(RuleBasedStateMachine):
    """Commands of owners and managers on overlays, and the deletion of users."""

    def __init__(self, twins: Twins) -> None:
        super().__init__()
        self._twins = twins
        twins.start_over()
        self._clock, self._randomness = ManualClock(), SeededRandomness()
        self._done: list[Sequence[PutOverlay | RemoveOverlay]] = []

    def _event_id(self) -> str:
        return uuid_v7(self._clock.now(), self._randomness.bytes(RANDOM_BYTES))

    def _do(self, commands: Sequence[PutOverlay | RemoveOverlay]) -> None:
        self._done.append(commands)
        self._twins.run(lambda world: _outcomes(world, commands))

    @rule(
        shown=st.lists(st.tuples(SHOWN_IN, NAMES, PAYLOADS, HOURS), min_size=1, max_size=3),
        is_manager=st.sampled_from([False, False, True]),
    )
    def put(self, shown: list[tuple[OverlaySessionId, UserId, str, int]], is_manager: bool) -> None:
        self._do(
            [
                PutOverlay(session, actor, self._event_id(), payload, hours * 3600, is_manager)
                for session, actor, payload, hours in shown
            ]
        )

    @rule(
        gone=st.lists(st.tuples(SHOWN_IN, NAMES), min_size=1, max_size=3),
        is_manager=st.sampled_from([False, False, True]),
    )
    def remove(self, gone: list[tuple[OverlaySessionId, UserId]], is_manager: bool) -> None:
        self._do([RemoveOverlay(session, actor, self._event_id(), is_manager) for session, actor in gone])

    @rule(session=SHOWN_IN, owner=NAMES, other=NAMES)
    def put_and_remove_of_another(self, session: OverlaySessionId, owner: UserId, other: UserId) -> None:
        self.put([(session, owner, "{}", 8), (session, other, "[]", 9)], is_manager=False)
        self.remove([(session, other), (session, owner), (session, owner)], is_manager=False)

    @rule(owner=NAMES)
    def put_too_many(self, owner: UserId) -> None:
        self.put([(session, owner, "{}", 8) for session in SESSIONS], is_manager=True)

    @rule(back=st.integers(1, 4))
    def repeat(self, back: int) -> None:
        """Run a batch again, as after a lost commit."""
        if self._done:
            commands = self._done[-min(back, len(self._done))]
            self._twins.run(lambda world: _outcomes(world, commands))

    @rule(name=st.sampled_from(["", "", "", "dan", "Bob"]))
    def delete_user(self, name: str) -> None:
        if name:
            self._twins.run(lambda world: world.delete(name))

    @rule()
    def finish_erasures(self) -> None:
        self._twins.run(lambda world: world.finish_erasures())

    @rule(owner=NAMES, after=st.sampled_from(["", *SESSIONS, "b"]), limit=st.integers(1, 3), seq=st.integers(0, 8))
    def list_some(self, owner: UserId, after: str, limit: int, seq: int) -> None:
        async def listed(stores: Stores) -> list[object]:
            events = await stores.topics.events(OVERLAYS, after=seq, limit=limit)
            return [await stores.overlays.of_owner(owner, after=after, limit=limit), [_timeless(e) for e in events]]

        self._twins.show(listed)

    @invariant()
    def show_the_same(self) -> None:
        async def seen(stores: Stores) -> list[object]:
            shown, to_end = await stores.overlays.shown(SESSIONS), await stores.overlays.milliseconds_to_next_end()
            return [
                {session: _comparable(overlay) for session, overlay in shown.items()},
                round(to_end / 3_600_000) if to_end is not None else None,
                [await stores.overlays.of_owner(user, after="", limit=100) for user in USERS],
                await stores.holdings.count("overlays", USERS, up_to=100),
                await stores.erasures.waiting(after=UserId(""), limit=100),
                await stores.topics.heads([OVERLAYS]),
                [_timeless(event) for event in await stores.topics.events(OVERLAYS, after=0, limit=10_000)],
            ]

        async def held(stores: Stores) -> list[object]:
            return [_held(overlay) for overlay in (await stores.overlays.lock(SESSIONS)).values()]

        self._twins.show(seen)
        self._twins.changes(held)

    def teardown(self) -> None:
        assert self._twins.broken_promises() == []


async def _outcomes(world: World, commands: Sequence[PutOverlay | RemoveOverlay]) -> list[object]:
    screens = Screens(world, BOUNDS)
    if put := [each for each in commands if isinstance(each, PutOverlay)]:
        return [_comparable(each) for each in await screens.put_overlays(put)]
    return list(await screens.remove_overlays([each for each in commands if isinstance(each, RemoveOverlay)]))


def _comparable(outcome: object) -> object:
    """Return an overlay with the hours to its end in place of its times."""
    if not isinstance(outcome, ShownOverlay):
        return outcome
    hours = round((outcome.expires_at - outcome.server_time) / timedelta(hours=1))
    return replace(outcome, server_time=_START, expires_at=_START + timedelta(hours=hours))


def _held(overlay: Overlay) -> Overlay:
    return replace(overlay, expires_at=_START if overlay.expires_at is not None else None)


def _timeless(event: TopicEvent) -> object:
    facts = overlay_facts(event)
    kept = replace(facts, expires_at=_START if facts.expires_at is not None else None)
    return replace(event, event_id="", payload=None, created_at=_START), kept


def test_whatever_becomes_of_overlays_both_say_and_show_the_same(twins: Twins) -> None:
    run(OverlayCommands, twins, examples=EXAMPLES, steps=40, shrinks=False)

    assert set(twins.outcomes) >= EXPECTED
