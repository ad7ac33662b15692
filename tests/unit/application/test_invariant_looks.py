"""Looks at the invariants: each is bounded in time, and goes on where the last one ended, on any instance."""

from collections.abc import Mapping, Sequence
from datetime import timedelta

import pytest

from tallystick.adapters.memory.ports import ManualClock
from tallystick.adapters.memory.stores.invariants import MemoryInvariants
from tallystick.application import invariant_looks
from tallystick.application.invariant_looks import PART_ROWS, SECONDS_EACH, LookAtPromises
from tallystick.application.invariants import CountedPart, InvariantState
from tallystick.application.reads import SlowReads
from tests.worlds.world import World

WATCHED = "seats_are_uses"


class Rows:
    """Parts of one promise, each of which ends with a letter, takes a second and has no violation by default."""

    def __init__(self, clock: ManualClock) -> None:
        self._clock = clock
        self.last = "e"
        self.violations: Mapping[str, int] = {}
        self.seconds: Mapping[str, float] = {}
        self.counted = ""

    async def part(self, _store: object, name: str, *, after: str, rows: int, seconds: float) -> CountedPart:
        """Count a part, as a store with a time-out does."""
        assert rows == PART_ROWS
        if name != WATCHED:
            return CountedPart(None, 0, has_rows=True, is_hidden=False)
        letter = chr(ord(after) + 1) if after else "a"
        took = self.seconds.get(letter, 1.0)
        self._clock.move(timedelta(seconds=min(took, seconds)))
        self.counted += letter
        violations = None if took > seconds else self.violations.get(letter, 0)
        return CountedPart(None if letter == self.last else letter, violations, has_rows=True, is_hidden=False)

    async def pause(self, seconds: float) -> None:
        """Let time pass."""
        self._clock.move(timedelta(seconds=seconds))


@pytest.fixture
def rows(world: World, monkeypatch: pytest.MonkeyPatch) -> Rows:
    rows = Rows(world.clock)

    async def part(store: MemoryInvariants, name: str, *, after: str, rows: int, seconds: float) -> CountedPart:
        return await watched.part(store, name, after=after, rows=rows, seconds=seconds)

    watched = rows
    monkeypatch.setattr(MemoryInvariants, "part", part)
    monkeypatch.setattr(invariant_looks, "pause", rows.pause)
    return rows


async def look(world: World, *, leases: Sequence[bool] = ()) -> tuple[InvariantState, int] | None:
    """Return what a look of an instance that has just started says of the promise."""
    left = list(leases)

    async def keep() -> bool:
        return left.pop(0) if left else True

    reads = SlowReads(world.transactions, world.randomness)
    looked = await LookAtPromises(reads, world.transactions, world.clock, world.randomness, world.metrics)(keep)
    return next(((each.state, each.violations) for each in looked or () if each.name == WATCHED), None)


async def reset(world: World) -> None:
    """Let the looks begin anew, as a repair does."""
    async with world.transactions.begin() as stores:
        await stores.passes.reset(WATCHED, at=world.clock.now())


def covered_since(world: World) -> float:
    return world.metrics.gauges["invariant_pass_began_timestamp_seconds", WATCHED]


@pytest.mark.parametrize(
    ("seconds", "counted", "took"),
    [(1.0, "abcde", 9.0), (3.0, "ab", 9.0), (5.0, "a", 5.0), (9.9, "a", 9.9), (10.0, "a", 10.0), (11.0, "a", 10.0)],
)
async def test_a_look_counts_for_a_bounded_time_and_pauses_as_long_as_it_counts(
    world: World, rows: Rows, seconds: float, counted: str, took: float
) -> None:
    rows.last, rows.seconds = "z", dict.fromkeys("abcdefghijkl", seconds)
    began = world.clock.monotonic()

    await look(world)

    assert world.clock.monotonic() - began == took <= SECONDS_EACH
    assert rows.counted == counted


async def test_another_instance_goes_on_after_the_last_part_and_then_begins_again(world: World, rows: Rows) -> None:
    rows.last = "h"

    for _ in range(3):
        await look(world)

    assert rows.counted == "abcde" + "fgh" + "abcde"


async def test_what_a_part_shows_stays_known_until_a_whole_pass_has_not_found_it(world: World, rows: Rows) -> None:
    rows.last, rows.violations = "h", {"g": 2}

    assert await look(world) == ("holds", 0)
    assert await look(world) == ("broken", 2)
    rows.violations = {}
    assert await look(world) == ("broken", 2)
    assert await look(world) == ("holds", 0)


async def test_a_look_after_a_repair_begins_anew(world: World, rows: Rows) -> None:
    rows.last, rows.violations = "h", {"b": 2}
    assert await look(world) == ("broken", 2)

    rows.violations = {}
    await reset(world)

    assert await look(world) == ("holds", 0)
    assert rows.counted == "abcde" * 2


async def test_a_repair_beside_a_look_is_not_undone_by_it(
    world: World, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows.last, rows.violations = "h", {"b": 2}

    async def repair(_seconds: float) -> None:
        if rows.counted == "abc":
            await reset(world)

    monkeypatch.setattr(invariant_looks, "pause", repair)

    assert await look(world) == ("holds", 0)
    rows.violations = {}
    assert await look(world) == ("holds", 0)
    assert rows.counted == "abcd" + "abcdefgh"


async def test_a_pass_is_as_old_as_its_first_part(world: World, rows: Rows) -> None:
    rows.last, began = "h", world.clock.now().timestamp()

    await look(world)
    assert covered_since(world) == began
    world.pass_time(hours=1)
    await look(world)
    assert covered_since(world) == began
    world.pass_time(hours=1)
    second = world.clock.now().timestamp()
    await look(world)
    assert covered_since(world) == began
    await look(world)
    assert covered_since(world) == second


async def test_a_part_that_takes_a_whole_look_is_passed_over_and_reported(world: World, rows: Rows) -> None:
    rows.seconds = {"b": SECONDS_EACH + 1}

    states = [await look(world) for _ in range(3)]

    assert rows.counted == "ab" + "b" + "cde"
    assert states == [("holds", 0), ("unfinished", 0), ("unfinished", 0)]
    assert world.metrics.gauges["invariants_unchecked", ""] == 1


async def test_a_look_ends_where_the_lease_is_lost_and_keeps_what_it_counted(world: World, rows: Rows) -> None:
    async with world.transactions.reading() as stores:
        assert not await stores.passes.all()

    assert await look(world, leases=[True, False]) is None

    async with world.transactions.reading() as stores:
        assert len(await stores.passes.all()) == 1
