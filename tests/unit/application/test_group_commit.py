"""Group commit by itself: order, lanes, retries, splits, shedding, cancelled callers, shutdown."""

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
from tests.unit.application.batches import No, NoPause, Open, ScriptedUseCase, until_idle


async def test_one_command_is_a_batch_of_one(group: Open, use_case: ScriptedUseCase) -> None:
    assert await group()("a") == "did a"
    assert use_case.batches == [["a"]]


async def test_commands_that_arrive_during_a_batch_form_the_next_one(group: Open, use_case: ScriptedUseCase) -> None:
    commit = group()
    use_case.gate.clear()
    first = asyncio.create_task(commit("a"))
    await until_idle()
    others = [asyncio.create_task(commit(name)) for name in "bcd"]
    await until_idle()
    use_case.gate.set()

    assert await asyncio.gather(first, *others) == ["did a", "did b", "did c", "did d"]
    assert use_case.batches == [["a"], ["b", "c", "d"]]


async def test_a_batch_has_a_largest_size(group: Open, use_case: ScriptedUseCase) -> None:
    await asyncio.gather(*(map(group(batch_size=2), "abcde")))

    assert use_case.batches == [["a", "b"], ["c", "d"], ["e"]]


async def test_commands_of_one_key_keep_their_order_and_never_overlap(group: Open, use_case: ScriptedUseCase) -> None:
    commit = group(lanes=4, batch_size=1)

    await asyncio.gather(*(commit(f"key:{number}") for number in range(10)))

    assert use_case.batches == [[f"key:{number}"] for number in range(10)]
    assert use_case.most_running == 1


async def test_commands_of_other_keys_run_side_by_side(group: Open, use_case: ScriptedUseCase) -> None:
    commit = group(lanes=8)
    use_case.gate.clear()
    tasks = [asyncio.create_task(commit(str(number))) for number in range(64)]
    await until_idle()
    use_case.gate.set()
    await asyncio.gather(*tasks)

    assert 1 < use_case.most_running <= 8


async def test_a_refusal_reaches_its_caller_and_nobody_else(group: Open, use_case: ScriptedUseCase) -> None:
    use_case.refusals["b"] = No("not you")

    outcomes = await asyncio.gather(*(map(group(), "abc")), return_exceptions=True)

    assert [outcomes[0], outcomes[2]] == ["did a", "did c"]
    assert isinstance(outcomes[1], No)
    assert use_case.batches == [["a", "b", "c"]]


@pytest.mark.parametrize("failure", [TransactionAborted(), CommitUncertain()])
async def test_a_batch_that_failed_as_a_whole_is_run_again_as_a_whole(
    group: Open, use_case: ScriptedUseCase, metrics: RecordedMetrics, failure: Exception
) -> None:
    use_case.failures = [failure] * 5

    assert await asyncio.gather(*(map(group(), "ab"))) == ["did a", "did b"]
    assert use_case.batches == [["a", "b"]] * 6
    assert metrics.counts["group_commit_retries", "use_case"] == 5


async def test_a_batch_is_tried_six_times(group: Open, use_case: ScriptedUseCase) -> None:
    use_case.failures = [TransactionAborted()] * 6

    outcomes = await asyncio.gather(*(map(group(), "ab")), return_exceptions=True)

    assert [type(outcome) for outcome in outcomes] == [Overloaded, Overloaded]
    assert len(use_case.batches) == 6


async def test_a_commit_that_stays_uncertain_is_never_called_undone(group: Open, use_case: ScriptedUseCase) -> None:
    use_case.failures = [CommitUncertain(), StoreUnavailable()]

    with pytest.raises(OutcomeUnknown):
        await group()("a")


async def test_a_commit_that_stays_uncertain_through_a_split_is_never_called_undone(
    group: Open, use_case: ScriptedUseCase
) -> None:
    use_case.failures = [CommitUncertain(), ZeroDivisionError()]
    use_case.poison["a"] = ZeroDivisionError()

    outcomes = await asyncio.gather(*(map(group(), "ab")), return_exceptions=True)

    assert [type(outcome) for outcome in outcomes] == [OutcomeUnknown, str]


@pytest.mark.parametrize(
    ("error", "answer"),
    [(No("not you"), No), (CodesExhausted(), OutcomeUnknown), (PartialCompletion(SlipId("s"), "c"), OutcomeUnknown)],
)
async def test_after_a_lost_commit_only_a_refusal_is_definite(
    group: Open, use_case: ScriptedUseCase, error: Failure, answer: type[Failure]
) -> None:
    use_case.failures = [CommitUncertain()]
    use_case.poison["a"] = error

    outcomes = await asyncio.gather(*(map(group(), "ab")), return_exceptions=True)

    assert [type(outcome) for outcome in outcomes] == [answer, str]


async def test_an_unavailable_store_is_not_asked_again(group: Open, use_case: ScriptedUseCase) -> None:
    use_case.failures = [StoreUnavailable()]

    with pytest.raises(Overloaded):
        await group()("a")
    assert len(use_case.batches) == 1


async def test_no_command_is_retried_past_its_deadline(clock: ManualClock, metrics: RecordedMetrics) -> None:
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
        bounds=Bounds(deadline_seconds=8),
    )

    with pytest.raises(Overloaded):
        await commit("a")
    assert tries == 3


async def test_a_command_past_its_deadline_is_not_run(
    group: Open, use_case: ScriptedUseCase, clock: ManualClock
) -> None:
    commit = group(deadline_seconds=8)
    use_case.gate.clear()
    running = asyncio.create_task(commit("a"))
    await until_idle()
    late = asyncio.create_task(commit("b"))
    await until_idle()
    clock.move(timedelta(seconds=9))
    use_case.gate.set()

    assert await running == "did a"
    with pytest.raises(Overloaded):
        await late
    assert use_case.batches == [["a"]]


@pytest.mark.parametrize("place", range(7))
async def test_a_command_that_fails_the_batch_fails_alone(
    group: Open, use_case: ScriptedUseCase, metrics: RecordedMetrics, place: int
) -> None:
    names = "abcdefg"
    use_case.poison[names[place]] = ZeroDivisionError()

    outcomes = await asyncio.gather(*(map(group(), names)), return_exceptions=True)

    assert [type(outcome) is ZeroDivisionError for outcome in outcomes] == [name == names[place] for name in names]
    assert metrics.counts["group_commit_splits", "use_case"] > 0


async def test_a_broken_constraint_is_the_refusal_of_the_command_that_broke_it(
    group: Open, use_case: ScriptedUseCase
) -> None:
    use_case.poison["b"] = No("somebody was faster")

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
    group: Open, use_case: ScriptedUseCase, metrics: RecordedMetrics
) -> None:
    commit = group(queue_length=2)
    use_case.gate.clear()
    running = asyncio.create_task(commit("a"))
    await until_idle()
    waiting = [asyncio.create_task(commit(name)) for name in "bc"]
    await until_idle()

    with pytest.raises(Overloaded):
        await commit("d")

    use_case.gate.set()
    assert await asyncio.gather(running, *waiting) == ["did a", "did b", "did c"]
    assert metrics.counts["group_commit_shed", "use_case"] == 1
    assert await commit("e") == "did e"


async def test_a_cancelled_caller_cancels_no_command(group: Open, use_case: ScriptedUseCase) -> None:
    commit = group()
    use_case.gate.clear()
    gone, stays = asyncio.create_task(commit("a")), asyncio.create_task(commit("b"))
    await until_idle()
    queued = asyncio.create_task(commit("c"))
    await until_idle()
    gone.cancel()
    queued.cancel()
    await until_idle()
    use_case.gate.set()

    assert await stays == "did b"
    await until_idle()
    assert use_case.batches == [["a", "b"], ["c"]]


async def test_close_runs_queued_commands(group: Open, use_case: ScriptedUseCase) -> None:
    commit = group(batch_size=1)
    use_case.gate.clear()
    tasks = [asyncio.create_task(commit(name)) for name in "abc"]
    await until_idle()
    closing = asyncio.create_task(commit.close(grace_seconds=5))
    await until_idle()

    with pytest.raises(Overloaded):
        await commit("late")

    use_case.gate.set()
    await closing
    assert await asyncio.gather(*tasks) == ["did a", "did b", "did c"]


async def test_after_the_grace_period_queued_commands_are_shed_and_running_ones_are_unknown(
    group: Open, use_case: ScriptedUseCase
) -> None:
    commit = group(batch_size=1)
    use_case.gate.clear()
    running, queued = asyncio.create_task(commit("a")), asyncio.create_task(commit("b"))
    await until_idle()

    await commit.close(grace_seconds=0)

    with pytest.raises(OutcomeUnknown):
        await running
    with pytest.raises(Overloaded):
        await queued


async def test_closing_an_idle_group_is_nothing(group: Open) -> None:
    await group().close(grace_seconds=0)


async def test_the_queue_and_the_age_of_its_first_command_are_measured(
    group: Open, use_case: ScriptedUseCase, metrics: RecordedMetrics, clock: ManualClock
) -> None:
    commit = group(lanes=1, batch_size=1)
    use_case.gate.clear()
    waiting = [asyncio.create_task(commit(command)) for command in "abc"]
    await until_idle()
    clock.move(timedelta(seconds=3))

    def shown(name: str) -> float:
        return metrics.watched[f"group_commit_queue_{name}", "use_case"]()

    assert (shown("length"), shown("age_seconds")) == (2, 3)
    use_case.gate.set()
    await asyncio.gather(*waiting)
    assert (shown("length"), shown("age_seconds")) == (0, 0)
