"""The end of a group commit: queued commands are rejected with a reason, and nothing runs on behind `close`."""

import asyncio

import pytest

from tallystick.domain.refusals import Unavailable
from tests.unit.application.batches import Open, ScriptedUseCase, until_idle


async def test_what_was_not_begun_is_rejected_as_shut_down(use_case: ScriptedUseCase, group: Open) -> None:
    use_case.gate.clear()
    commit = group()
    running = asyncio.create_task(commit("first"))
    await until_idle()
    waiting = [asyncio.create_task(commit("first")) for _ in range(2)]
    await until_idle()

    await commit.close(grace_seconds=0)

    for task in waiting:
        with pytest.raises(Unavailable, match=r"^shutting down; nothing was done") as rejected:
            await task
        assert rejected.value.failure_cause == "shutdown"
    await asyncio.gather(running, return_exceptions=True)
    assert use_case.batches == [["first"]]


async def test_nothing_runs_on_when_it_is_closed(use_case: ScriptedUseCase, group: Open) -> None:
    use_case.gate.clear()
    commit = group()
    running = asyncio.create_task(commit("first"))
    await until_idle()

    await commit.close(grace_seconds=0)

    assert use_case.running == 0
    assert not [task for task in asyncio.all_tasks() if "lane" in task.get_name()]
    await asyncio.gather(running, return_exceptions=True)
