"""The commands of one batch do not affect each other, with any failure of one of them."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import pytest

from tallystick.adapters.memory.ports import ManualClock, RecordedMetrics
from tallystick.application.group_commit import Bounds, GroupCommit
from tallystick.application.idempotency import Replayed, StoredReply
from tallystick.application.transactions import CommitUncertain, LockHeld, TransactionAborted, WriteConflict
from tallystick.domain.refusals import OutcomeUnknown, Overloaded
from tests.unit.application.batches import NoPause, Open, ScriptedUseCase, until_idle


async def test_a_conflict_that_a_retry_resolves_fails_no_command(group: Open, use_case: ScriptedUseCase) -> None:
    use_case.failures = [WriteConflict("users_email_key")]

    assert await asyncio.gather(*(map(group(), "abc"))) == ["did a", "did b", "did c"]
    assert use_case.batches == [["a", "b", "c"]] * 2


@pytest.mark.parametrize("place", range(4))
async def test_a_conflict_that_no_retry_resolves_fails_one_command_alone(
    group: Open, use_case: ScriptedUseCase, metrics: RecordedMetrics, place: int
) -> None:
    names = "abcd"
    use_case.poison[names[place]] = WriteConflict("users_email_key")

    outcomes = await asyncio.gather(*(map(group(retries=2), names)), return_exceptions=True)

    assert [isinstance(outcome, Overloaded) for outcome in outcomes] == [name == names[place] for name in names]
    assert metrics.counts["group_commit_splits", "use_case"] > 0


@pytest.mark.parametrize("place", range(4))
async def test_a_locked_row_fails_only_commands_that_need_it_after_two_attempts(
    group: Open, use_case: ScriptedUseCase, place: int
) -> None:
    names = "abcd"
    use_case.poison[names[place]] = LockHeld("55P03")

    outcomes = await asyncio.gather(*(map(group(), names)), return_exceptions=True)

    assert [isinstance(outcome, Overloaded) for outcome in outcomes] == [name == names[place] for name in names]
    assert [len(batch) for batch in use_case.batches if names[place] in batch] == [4, 1]


async def test_commands_of_one_key_stay_together_and_in_order_when_keys_run_apart(
    group: Open, use_case: ScriptedUseCase
) -> None:
    use_case.poison["c:1"] = LockHeld("55P03")

    await asyncio.gather(*(map(group(), ["a:1", "b:1", "a:2", "c:1", "b:2"])), return_exceptions=True)

    assert use_case.batches[1:] == [["a:1", "a:2"], ["b:1", "b:2"], ["c:1"]]


async def test_an_abort_without_a_conflict_is_not_split(
    group: Open, use_case: ScriptedUseCase, metrics: RecordedMetrics
) -> None:
    use_case.failures = [TransactionAborted("40P01")] * 3

    outcomes = await asyncio.gather(*(map(group(retries=2), "ab")), return_exceptions=True)

    assert [type(outcome) for outcome in outcomes] == [Overloaded, Overloaded]
    assert metrics.counts["group_commit_splits", "use_case"] == 0


async def test_a_command_past_its_deadline_is_shed_and_the_others_go_on(
    group: Open, use_case: ScriptedUseCase, clock: ManualClock, metrics: RecordedMetrics
) -> None:
    commit = group(deadline_seconds=8)
    use_case.gate.clear()
    running = asyncio.create_task(commit("a"))
    await until_idle()
    old = asyncio.create_task(commit("b"))
    await until_idle()
    clock.move(timedelta(seconds=5))
    fresh = asyncio.create_task(commit("c"))
    await until_idle()

    def pass_time_and_abort(commands: Sequence[str]) -> None:
        clock.move(timedelta(seconds=4))
        use_case.failures = [TransactionAborted("40001")]

    use_case.before = pass_time_and_abort
    use_case.gate.set()

    assert await running == "did a"
    with pytest.raises(Overloaded, match="waited too long"):
        await old
    assert await fresh == "did c"
    assert use_case.batches == [["a"], ["b", "c"], ["c"]]
    assert metrics.counts["group_commit_shed", "use_case"] == 1


async def test_a_keyed_command_whose_commit_was_lost_is_answered_with_the_stored_reply(
    group: Open, use_case: ScriptedUseCase
) -> None:
    replayed = Replayed(StoredReply(b"", 200, b"{}"))
    use_case.failures = [CommitUncertain()]
    use_case.replays["a"] = replayed

    outcomes = await asyncio.gather(*(map(group(), "ab")), return_exceptions=True)

    assert outcomes == [replayed, "did b"]


async def test_a_batch_that_is_cancelled_from_within_leaves_nobody_waiting(
    clock: ManualClock, metrics: RecordedMetrics
) -> None:
    started = asyncio.Event()

    async def work(commands: Sequence[str]) -> list[str]:
        if "a" in commands:
            started.set()
            await until_idle()
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


async def test_commands_of_one_key_never_run_in_two_batches_at_once(group: Open, use_case: ScriptedUseCase) -> None:
    commit = group(lanes=8)
    use_case.gate.clear()
    tasks = [asyncio.create_task(commit(f"ada:{number}")) for number in range(2)]
    await until_idle()
    tasks += [asyncio.create_task(commit(f"ada:{number}")) for number in range(2, 5)]
    await until_idle()

    assert use_case.running == 1
    use_case.gate.set()
    await asyncio.gather(*tasks)
    assert use_case.batches == [["ada:0", "ada:1"], ["ada:2", "ada:3", "ada:4"]]


async def test_pauses_between_tries_grow_and_are_jittered(
    use_case: ScriptedUseCase, clock: ManualClock, metrics: RecordedMetrics, monkeypatch: pytest.MonkeyPatch
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
    use_case.failures = [TransactionAborted("40001")] * 5
    commit: GroupCommit[str, str] = GroupCommit(
        use_case, key=str, clock=clock, randomness=Half(), metrics=metrics, name="use_case"
    )

    assert await commit("a") == "did a"
    assert waited == [0.025, 0.05, 0.1, 0.2, 0.4]
