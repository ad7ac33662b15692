"""What the commands of one batch do to each other: nothing, whatever befalls one of them."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import pytest

from tallystick.adapters.memory.ports import ManualClock, RecordedMetrics
from tallystick.application.group_commit import Bounds, GroupCommit
from tallystick.application.idempotency import Replayed, StoredReply
from tallystick.application.transactions import CommitUncertain, LockHeld, TransactionAborted, WriteConflict
from tallystick.domain.refusals import OutcomeUnknown, Overloaded
from tests.unit.application.batches import Desk, NoPause, Open, settled


async def test_a_rival_who_is_seen_at_the_next_try_costs_nobody_anything(group: Open, desk: Desk) -> None:
    desk.failures = [WriteConflict("users_email_key")]

    assert await asyncio.gather(*(map(group(), "abc"))) == ["did a", "did b", "did c"]
    assert desk.batches == [["a", "b", "c"]] * 2


@pytest.mark.parametrize("place", range(4))
async def test_a_rival_who_is_never_seen_is_met_by_one_command_alone(
    group: Open, desk: Desk, metrics: RecordedMetrics, place: int
) -> None:
    names = "abcd"
    desk.poison[names[place]] = WriteConflict("users_email_key")

    outcomes = await asyncio.gather(*(map(group(retries=2), names)), return_exceptions=True)

    assert [isinstance(outcome, Overloaded) for outcome in outcomes] == [name == names[place] for name in names]
    assert metrics.counts["group_commit_splits", "desk"] > 0


@pytest.mark.parametrize("place", range(4))
async def test_a_row_that_is_held_stops_only_who_wants_it_and_is_waited_for_twice(
    group: Open, desk: Desk, place: int
) -> None:
    names = "abcd"
    desk.poison[names[place]] = LockHeld("55P03")

    outcomes = await asyncio.gather(*(map(group(), names)), return_exceptions=True)

    assert [isinstance(outcome, Overloaded) for outcome in outcomes] == [name == names[place] for name in names]
    assert [len(batch) for batch in desk.batches if names[place] in batch] == [4, 1]


async def test_commands_of_one_key_stay_together_and_in_order_when_they_are_settled_apart(
    group: Open, desk: Desk
) -> None:
    desk.poison["c:1"] = LockHeld("55P03")

    await asyncio.gather(*(map(group(), ["a:1", "b:1", "a:2", "c:1", "b:2"])), return_exceptions=True)

    assert desk.batches[1:] == [["a:1", "a:2"], ["b:1", "b:2"], ["c:1"]]


async def test_an_abort_without_a_rival_is_not_split(group: Open, desk: Desk, metrics: RecordedMetrics) -> None:
    desk.failures = [TransactionAborted("40P01")] * 3

    outcomes = await asyncio.gather(*(map(group(retries=2), "ab")), return_exceptions=True)

    assert [type(outcome) for outcome in outcomes] == [Overloaded, Overloaded]
    assert metrics.counts["group_commit_splits", "desk"] == 0


async def test_who_has_waited_too_long_is_shed_and_the_others_go_on(
    group: Open, desk: Desk, clock: ManualClock, metrics: RecordedMetrics
) -> None:
    commit = group(patience_seconds=8)
    desk.gate.clear()
    running = asyncio.create_task(commit("a"))
    await settled()
    old = asyncio.create_task(commit("b"))
    await settled()
    clock.move(timedelta(seconds=5))
    fresh = asyncio.create_task(commit("c"))
    await settled()

    def pass_time_and_abort(commands: Sequence[str]) -> None:
        clock.move(timedelta(seconds=4))
        desk.failures = [TransactionAborted("40001")]

    desk.before = pass_time_and_abort
    desk.gate.set()

    assert await running == "did a"
    with pytest.raises(Overloaded, match="waited too long"):
        await old
    assert await fresh == "did c"
    assert desk.batches == [["a"], ["b", "c"], ["c"]]
    assert metrics.counts["group_commit_shed", "desk"] == 1


async def test_a_keyed_command_whose_commit_was_lost_is_answered_with_what_was_stored(group: Open, desk: Desk) -> None:
    replayed = Replayed(StoredReply(b"", 200, b"{}"))
    desk.failures = [CommitUncertain()]
    desk.replays["a"] = replayed

    outcomes = await asyncio.gather(*(map(group(), "ab")), return_exceptions=True)

    assert outcomes == [replayed, "did b"]


async def test_a_batch_that_is_cancelled_from_within_leaves_nobody_waiting(
    clock: ManualClock, metrics: RecordedMetrics
) -> None:
    started = asyncio.Event()

    async def work(commands: Sequence[str]) -> list[str]:
        if "a" in commands:
            started.set()
            await settled()
            raise asyncio.CancelledError
        return list(commands)

    commit: GroupCommit[str, str] = GroupCommit(
        work, key=len, clock=clock, randomness=NoPause(), metrics=metrics, name="work", bounds=Bounds(batch_size=1)
    )
    cancelled = asyncio.create_task(commit("a"))
    await started.wait()
    queued = asyncio.create_task(commit("b"))

    with pytest.raises(OutcomeUnknown):
        await cancelled
    assert await queued == "b"


async def test_commands_of_one_key_never_run_in_two_batches_at_once(group: Open, desk: Desk) -> None:
    commit = group(lanes=8)
    desk.gate.clear()
    tasks = [asyncio.create_task(commit(f"ada:{number}")) for number in range(2)]
    await settled()
    tasks += [asyncio.create_task(commit(f"ada:{number}")) for number in range(2, 5)]
    await settled()

    assert desk.running == 1
    desk.gate.set()
    await asyncio.gather(*tasks)
    assert desk.batches == [["ada:0", "ada:1"], ["ada:2", "ada:3", "ada:4"]]


async def test_pauses_between_tries_grow_and_are_jittered(
    desk: Desk, clock: ManualClock, metrics: RecordedMetrics, monkeypatch: pytest.MonkeyPatch
) -> None:
    waited: list[float] = []
    sleep = asyncio.sleep

    async def note(seconds: float) -> None:
        if seconds:
            waited.append(seconds)
        await sleep(0)

    class Half(NoPause):
        def fraction(self) -> float:
            return 0.5

    monkeypatch.setattr("tallystick.application.group_commit.asyncio.sleep", note)
    desk.failures = [TransactionAborted("40001")] * 5
    commit: GroupCommit[str, str] = GroupCommit(
        desk, key=str, clock=clock, randomness=Half(), metrics=metrics, name="desk"
    )

    assert await commit("a") == "did a"
    assert waited == [0.025, 0.05, 0.1, 0.2, 0.4]
