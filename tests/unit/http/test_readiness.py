"""The readiness probe by itself: asked seldom, by many at once, and unready while the process drains."""

import asyncio
import io
import json
from datetime import timedelta

from tallystick.adapters.memory.ports import ManualClock, RecordedMetrics
from tallystick.adapters.telemetry.logs import configure
from tallystick.application.readiness import Fault
from tallystick.entrypoints.http.routes.operations import ReadinessProbe

DRAINING = ["the process is shutting down"]


class Contract:
    """A contract with the database that is broken as the test says, and counts its calls."""

    def __init__(self) -> None:
        self.breaches: list[str] = []
        self.details: list[str] = []
        self.asked = 0
        self.gate = asyncio.Event()
        self.gate.set()

    async def __call__(self) -> list[Fault]:
        self.asked += 1
        await self.gate.wait()
        details = self.details or [""] * len(self.breaches)
        return [Fault("server", reason, detail) for reason, detail in zip(self.breaches, details, strict=True)]


async def test_a_broken_database_is_reported_and_a_whole_one_is_ready() -> None:
    contract, clock = Contract(), ManualClock()
    probe = ReadinessProbe([contract], clock, RecordedMetrics())
    assert await probe.reasons() == []

    contract.breaches = ["the database is read-only"]
    clock.move(timedelta(seconds=1))
    assert await probe.reasons() == ["the database is read-only"]

    contract.breaches = []
    clock.move(timedelta(seconds=1))
    assert await probe.reasons() == []


async def test_a_database_that_is_read_only_keeps_writes_away_and_no_reads() -> None:
    found = [Fault("server", "the database is read-only", blocks="writes")]

    async def check() -> list[Fault]:
        return found

    clock, metrics = ManualClock(), RecordedMetrics()
    probe = ReadinessProbe([check], clock, metrics)
    assert await probe.reasons("reads") == []
    assert await probe.reasons() == ["the database is read-only"]
    assert probe.notes == []

    found.append(Fault("schema", "the schema lacks: table users"))
    clock.move(timedelta(seconds=1))
    assert await probe.reasons("reads") == ["the schema lacks: table users"]

    found.clear()
    probe.drain()
    assert await probe.reasons("reads") == DRAINING


async def test_the_store_is_asked_once_a_second_at_most() -> None:
    contract, clock = Contract(), ManualClock()
    probe = ReadinessProbe([contract], clock, RecordedMetrics())

    for _ in range(10):
        await probe.reasons()
        clock.move(timedelta(milliseconds=100))
    assert contract.asked == 1

    await probe.reasons()
    assert contract.asked == 2


async def test_many_who_ask_at_once_share_one_question() -> None:
    contract = Contract()
    contract.gate.clear()
    probe = ReadinessProbe([contract], ManualClock(), RecordedMetrics())

    async with asyncio.TaskGroup() as together:
        askers = [together.create_task(probe.reasons()) for _ in range(20)]
        await asyncio.sleep(0)
        contract.gate.set()

    assert [asker.result() for asker in askers] == [[]] * 20
    assert contract.asked == 1


async def test_a_draining_process_is_unready_at_once_and_for_good() -> None:
    contract, clock = Contract(), ManualClock()
    probe = ReadinessProbe([contract], clock, RecordedMetrics())
    assert await probe.reasons() == []

    probe.drain()

    assert await probe.reasons() == DRAINING
    clock.move(timedelta(seconds=5))
    assert await probe.reasons() == DRAINING
    assert contract.asked == 1


async def test_draining_does_not_wait_for_a_store_that_does_not_answer() -> None:
    contract = Contract()
    contract.gate.clear()
    probe = ReadinessProbe([contract], ManualClock(), RecordedMetrics())
    asking = asyncio.create_task(probe.reasons())
    await asyncio.sleep(0)

    probe.drain()

    assert await asyncio.wait_for(probe.reasons(), 5) == DRAINING
    contract.gate.set()
    await asking


async def test_every_change_of_the_reasons_is_logged_once_with_the_details_that_callers_do_not_see() -> None:
    contract, clock, lines = Contract(), ManualClock(), io.StringIO()
    configure("info", lines)
    probe = ReadinessProbe([contract], clock, RecordedMetrics())

    async def asked(*breaches: str, details: tuple[str, ...] = ()) -> list[str]:
        contract.breaches, contract.details = list(breaches), list(details)
        clock.move(timedelta(seconds=1))
        return await probe.reasons()

    assert await asked() == []
    assert await asked("it is away", details=("the server said so (SQLSTATE 28P01)",)) == ["it is away"]
    assert await asked("it is away", details=("the server said so (SQLSTATE 28P01)",)) == ["it is away"]
    assert await asked("it is read-only") == ["it is read-only"]
    assert await asked() == []
    assert await asked() == []

    logged = [json.loads(line) for line in lines.getvalue().splitlines()]
    assert [(line["level"], line["event"], line["reasons"]) for line in logged] == [
        ("warning", "not ready", ["it is away: the server said so (SQLSTATE 28P01)"]),
        ("warning", "not ready", ["it is read-only"]),
        ("info", "ready again", []),
    ]


async def test_a_note_does_not_turn_a_server_red_and_is_logged_when_it_changes() -> None:
    lines, found = io.StringIO(), [Fault("schema", "the database is newer", blocks="nothing")]
    configure("info", lines)

    async def check() -> list[Fault]:
        return list(found)

    clock = ManualClock()
    probe = ReadinessProbe([check], clock, RecordedMetrics())

    assert (await probe.reasons(), probe.notes) == ([], ["the database is newer"])
    clock.move(timedelta(seconds=1))
    assert await probe.reasons() == []
    found.clear()
    clock.move(timedelta(seconds=1))
    assert (await probe.reasons(), probe.notes) == ([], [])

    logged = [json.loads(line) for line in lines.getvalue().splitlines()]
    assert [(line["event"], line["notes"]) for line in logged] == [
        ("readiness notes", ["the database is newer"]),
        ("readiness notes", []),
    ]


async def test_every_check_is_asked_and_adds_its_reasons() -> None:
    first, second = Contract(), Contract()
    first.breaches, second.breaches = ["one"], ["two", "three"]

    assert await ReadinessProbe([first, second], ManualClock(), RecordedMetrics()).reasons() == ["one", "two", "three"]


async def test_readiness_and_the_topics_of_its_faults_are_measured() -> None:
    contract, clock, metrics = Contract(), ManualClock(), RecordedMetrics()
    probe = ReadinessProbe([contract], clock, metrics)

    def shown() -> tuple[float, ...]:
        faults = (metrics.watched["readiness_faults", topic]() for topic in ("server", "shutdown"))
        return (metrics.watched["ready", ""](), *faults)

    assert shown() == (0, 0, 0)
    await probe.reasons()
    assert shown() == (1, 0, 0)
    contract.breaches = ["the database is read-only"]
    clock.move(timedelta(seconds=1))
    await probe.reasons()
    assert shown() == (0, 1, 0)
    probe.drain()
    assert shown() == (0, 1, 1)
