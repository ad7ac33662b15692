"""Group commit by itself: order, lanes, retries, splits, shedding, callers who go away, shutdown."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import pytest

from tallystick.adapters.memory.ports import ManualClock, RecordedMetrics
from tallystick.application.group_commit import Bounds, GroupCommit
from tallystick.application.transactions import CommitUncertain, StoreUnavailable, TransactionAborted
from tallystick.domain.codes import CodesExhausted
from tallystick.domain.rating_slips import PartialCompletion, SlipId
from tallystick.domain.refusals import Failure, OutcomeUnknown, Overloaded
from tests.unit.application.batches import Desk, No, NoPause, Open, settled


async def test_one_command_is_a_batch_of_one(group: Open, desk: Desk) -> None:
    assert await group()("a") == "did a"
    assert desk.batches == [["a"]]


async def test_commands_that_arrive_during_a_batch_form_the_next_one(group: Open, desk: Desk) -> None:
    commit = group()
    desk.gate.clear()
    first = asyncio.create_task(commit("a"))
    await settled()
    others = [asyncio.create_task(commit(name)) for name in "bcd"]
    await settled()
    desk.gate.set()

    assert await asyncio.gather(first, *others) == ["did a", "did b", "did c", "did d"]
    assert desk.batches == [["a"], ["b", "c", "d"]]


async def test_a_batch_has_a_largest_size(group: Open, desk: Desk) -> None:
    await asyncio.gather(*(map(group(batch_size=2), "abcde")))

    assert desk.batches == [["a", "b"], ["c", "d"], ["e"]]


async def test_commands_of_one_key_keep_their_order_and_never_overlap(group: Open, desk: Desk) -> None:
    commit = group(lanes=4, batch_size=1)

    await asyncio.gather(*(commit(f"key:{number}") for number in range(10)))

    assert desk.batches == [[f"key:{number}"] for number in range(10)]
    assert desk.most_running == 1


async def test_commands_of_other_keys_run_side_by_side(group: Open, desk: Desk) -> None:
    commit = group(lanes=8)
    desk.gate.clear()
    tasks = [asyncio.create_task(commit(str(number))) for number in range(64)]
    await settled()
    desk.gate.set()
    await asyncio.gather(*tasks)

    assert 1 < desk.most_running <= 8


async def test_a_refusal_reaches_its_caller_and_nobody_else(group: Open, desk: Desk) -> None:
    desk.refusals["b"] = No("not you")

    outcomes = await asyncio.gather(*(map(group(), "abc")), return_exceptions=True)

    assert [outcomes[0], outcomes[2]] == ["did a", "did c"]
    assert isinstance(outcomes[1], No)
    assert desk.batches == [["a", "b", "c"]]


@pytest.mark.parametrize("failure", [TransactionAborted(), CommitUncertain()])
async def test_a_batch_that_failed_as_a_whole_is_run_again_as_a_whole(
    group: Open, desk: Desk, metrics: RecordedMetrics, failure: Exception
) -> None:
    desk.failures = [failure] * 5

    assert await asyncio.gather(*(map(group(), "ab"))) == ["did a", "did b"]
    assert desk.batches == [["a", "b"]] * 6
    assert metrics.counts["group_commit_retries", "desk"] == 5


async def test_the_sixth_failure_is_the_last(group: Open, desk: Desk) -> None:
    desk.failures = [TransactionAborted()] * 6

    outcomes = await asyncio.gather(*(map(group(), "ab")), return_exceptions=True)

    assert [type(outcome) for outcome in outcomes] == [Overloaded, Overloaded]
    assert len(desk.batches) == 6


async def test_a_commit_that_stays_uncertain_is_never_called_undone(group: Open, desk: Desk) -> None:
    desk.failures = [CommitUncertain(), StoreUnavailable()]

    with pytest.raises(OutcomeUnknown):
        await group()("a")


async def test_a_commit_that_stays_uncertain_through_a_split_is_never_called_undone(group: Open, desk: Desk) -> None:
    desk.failures = [CommitUncertain(), ZeroDivisionError()]
    desk.poison["a"] = ZeroDivisionError()

    outcomes = await asyncio.gather(*(map(group(), "ab")), return_exceptions=True)

    assert [type(outcome) for outcome in outcomes] == [OutcomeUnknown, str]


@pytest.mark.parametrize(
    ("error", "answer"),
    [(No("not you"), No), (CodesExhausted(), OutcomeUnknown), (PartialCompletion(SlipId("s"), "c"), OutcomeUnknown)],
)
async def test_after_a_lost_commit_only_a_refusal_is_definite(
    group: Open, desk: Desk, error: Failure, answer: type[Failure]
) -> None:
    desk.failures = [CommitUncertain()]
    desk.poison["a"] = error

    outcomes = await asyncio.gather(*(map(group(), "ab")), return_exceptions=True)

    assert [type(outcome) for outcome in outcomes] == [answer, str]


async def test_an_unavailable_store_is_not_asked_again(group: Open, desk: Desk) -> None:
    desk.failures = [StoreUnavailable()]

    with pytest.raises(Overloaded):
        await group()("a")
    assert len(desk.batches) == 1


async def test_no_retry_outlasts_the_callers_patience(clock: ManualClock, metrics: RecordedMetrics) -> None:
    tries = 0

    async def lose_time(commands: Sequence[str]) -> list[str]:
        nonlocal tries
        tries += 1
        clock.move(timedelta(seconds=3))
        raise TransactionAborted

    commit: GroupCommit[str, str] = GroupCommit(
        lose_time,
        key=str,
        clock=clock,
        randomness=NoPause(),
        metrics=metrics,
        name="slow",
        bounds=Bounds(patience_seconds=8),
    )

    with pytest.raises(Overloaded):
        await commit("a")
    assert tries == 3


async def test_what_waited_too_long_is_shed_and_not_run(group: Open, desk: Desk, clock: ManualClock) -> None:
    commit = group(patience_seconds=8)
    desk.gate.clear()
    running = asyncio.create_task(commit("a"))
    await settled()
    late = asyncio.create_task(commit("b"))
    await settled()
    clock.move(timedelta(seconds=9))
    desk.gate.set()

    assert await running == "did a"
    with pytest.raises(Overloaded):
        await late
    assert desk.batches == [["a"]]


@pytest.mark.parametrize("place", range(7))
async def test_a_command_that_fails_the_batch_fails_alone(
    group: Open, desk: Desk, metrics: RecordedMetrics, place: int
) -> None:
    names = "abcdefg"
    desk.poison[names[place]] = ZeroDivisionError()

    outcomes = await asyncio.gather(*(map(group(), names)), return_exceptions=True)

    assert [type(outcome) is ZeroDivisionError for outcome in outcomes] == [name == names[place] for name in names]
    assert metrics.counts["group_commit_splits", "desk"] > 0


async def test_a_broken_constraint_is_the_refusal_of_the_command_that_broke_it(group: Open, desk: Desk) -> None:
    desk.poison["b"] = No("somebody was faster")

    outcomes = await asyncio.gather(*(map(group(), "abc")), return_exceptions=True)

    assert [type(outcome) for outcome in outcomes] == [str, No, str]


async def test_a_use_case_that_miscounts_its_outcomes_leaves_nobody_waiting(
    clock: ManualClock, metrics: RecordedMetrics
) -> None:
    async def forgetful(commands: Sequence[str]) -> list[str]:
        return []

    commit: GroupCommit[str, str] = GroupCommit(
        forgetful, key=str, clock=clock, randomness=NoPause(), metrics=metrics, name="forgetful"
    )

    with pytest.raises(AssertionError, match="0 outcomes for 1 commands"):
        await commit("a")


async def test_past_the_queues_length_callers_are_shed_at_once(
    group: Open, desk: Desk, metrics: RecordedMetrics
) -> None:
    commit = group(queue_length=2)
    desk.gate.clear()
    running = asyncio.create_task(commit("a"))
    await settled()
    waiting = [asyncio.create_task(commit(name)) for name in "bc"]
    await settled()

    with pytest.raises(Overloaded):
        await commit("d")

    desk.gate.set()
    assert await asyncio.gather(running, *waiting) == ["did a", "did b", "did c"]
    assert metrics.counts["group_commit_shed", "desk"] == 1
    assert await commit("e") == "did e"


async def test_a_caller_who_goes_away_takes_nothing_with_them(group: Open, desk: Desk) -> None:
    commit = group()
    desk.gate.clear()
    gone, stays = asyncio.create_task(commit("a")), asyncio.create_task(commit("b"))
    await settled()
    queued = asyncio.create_task(commit("c"))
    await settled()
    gone.cancel()
    queued.cancel()
    await settled()
    desk.gate.set()

    assert await stays == "did b"
    await settled()
    assert desk.batches == [["a", "b"], ["c"]]


async def test_shutdown_finishes_what_waits(group: Open, desk: Desk) -> None:
    commit = group(batch_size=1)
    desk.gate.clear()
    tasks = [asyncio.create_task(commit(name)) for name in "abc"]
    await settled()
    closing = asyncio.create_task(commit.close(grace_seconds=5))
    await settled()

    with pytest.raises(Overloaded):
        await commit("late")

    desk.gate.set()
    await closing
    assert await asyncio.gather(*tasks) == ["did a", "did b", "did c"]


async def test_after_the_grace_the_queued_are_refused_and_the_running_are_told_the_truth(
    group: Open, desk: Desk
) -> None:
    commit = group(batch_size=1)
    desk.gate.clear()
    running, queued = asyncio.create_task(commit("a")), asyncio.create_task(commit("b"))
    await settled()

    await commit.close(grace_seconds=0)

    with pytest.raises(OutcomeUnknown):
        await running
    with pytest.raises(Overloaded):
        await queued


async def test_closing_an_idle_group_is_nothing(group: Open) -> None:
    await group().close(grace_seconds=0)
