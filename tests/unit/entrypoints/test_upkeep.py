"""Upkeep on memory: its measurements, the rows that it drops, and the failures that it survives."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime

import pytest

from tallystick.adapters.memory.ports import RecordedMetrics
from tallystick.adapters.memory.transactions import MemoryTransactions
from tallystick.adapters.telemetry.logs import configure
from tallystick.application.idempotency import RequestKey, StoredReply
from tallystick.application.ports import Metrics, Randomness
from tallystick.application.reads import Reads
from tallystick.application.transactions import Stores, StoreUnavailable, TransactionAborted, Transactions
from tallystick.domain.loyalty import Earning
from tallystick.domain.pending_accruals import PendingAccrual
from tallystick.domain.refusals import Overloaded
from tallystick.domain.users import UserId
from tallystick.entrypoints.worker.upkeep import Upkeep
from tests.worlds.memory import MemoryBackend
from tests.worlds.world import World

REPLY = StoredReply(b"fingerprint", 200, b"{}")


class NoPause:
    """Chance that makes no round wait for the next one, nor a try for the next try."""

    def bytes(self, count: int) -> bytes:
        return bytes(count)

    def fraction(self) -> float:
        return -0.5


class Failing:
    """Transactions that fail as the test says, one after the other, and then work."""

    def __init__(self, transactions: MemoryTransactions, failures: list[Exception]) -> None:
        self._transactions, self.failures = transactions, failures
        self.snapshot = transactions.snapshot

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[Stores]:
        async with self._transactions.begin() as stores:
            if self.failures:
                raise self.failures.pop(0)
            yield stores

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[Stores]:
        async with self._transactions.reading() as stores:
            yield stores


class Rounds(RecordedMetrics):
    """Measurements that tell when enough rounds were begun."""

    def __init__(self, enough: int) -> None:
        super().__init__()
        self._left = enough
        self.are_enough = asyncio.Event()

    def gauge(self, name: str, value: float, *, label: str = "") -> None:
        self._left -= 1
        if not self._left:
            self.are_enough.set()


@pytest.fixture
def transactions() -> MemoryTransactions:
    return MemoryTransactions()


@pytest.fixture
def world(transactions: MemoryTransactions) -> World:
    return World(MemoryBackend(transactions))


def upkeep_of(
    world: World,
    reads: Reads,
    randomness: Randomness,
    metrics: Metrics,
    transactions: Transactions | None = None,
) -> Upkeep:
    """Return the upkeep of a world."""
    sweep, finish = world.sweep_accruals, world.finish_erasures
    return Upkeep(
        transactions or world.transactions, reads, sweep, finish, world.clock, randomness, metrics, world.flags
    )


@pytest.fixture
def upkeep(world: World) -> Upkeep:
    return upkeep_of(world, world.reads, world.randomness, world.metrics)


async def remember(world: World, *keys: str) -> None:
    """Store a reply to each key, as of now."""
    async with world.transactions.begin() as stores:
        requests = [RequestKey(UserId("ada"), key, b"fingerprint", 200, "c", world.clock.now()) for key in keys]
        await stores.idempotency.record([(request, REPLY) for request in requests])


async def remembered(world: World, *keys: str) -> list[str]:
    """Return the keys that still have a reply."""
    requests = [RequestKey(UserId("ada"), key, b"fingerprint", 200, "c", world.clock.now()) for key in keys]
    async with world.transactions.begin() as stores:
        claims = await stores.idempotency.claim(requests)
    return [key for key, claim in zip(keys, claims, strict=True) if claim == REPLY]


async def test_the_last_success_of_a_scheduled_job_is_measured_while_the_job_is_on(
    world: World, upkeep: Upkeep
) -> None:
    began = world.clock.now()
    async with world.transactions.begin() as stores:
        await stores.schedules.lease("reconcile_metadata", now=began, until=began, due_at=began)
    world.pass_time(days=1)

    await upkeep.run_once()
    assert world.metrics.gauges["scheduled_job_success_timestamp_seconds", "reconcile_metadata"] == 0

    world.fall_back()
    await upkeep.run_once()
    measured = world.metrics.gauges["scheduled_job_success_timestamp_seconds", "reconcile_metadata"]
    assert measured == began.timestamp()


async def test_replies_are_kept_for_longer_than_the_promised_week(world: World, upkeep: Upkeep) -> None:
    await remember(world, "old")
    world.pass_time(microseconds=1)
    await remember(world, "young")
    world.pass_time(days=8)

    await upkeep.run_once()

    assert await remembered(world, "old", "young") == ["young"]


async def test_deliveries_are_kept_for_longer_than_their_signatures_are_valid(world: World, upkeep: Upkeep) -> None:
    old = world.delivery("created", "old", delivery="old")
    await world.receive_identity_events([old])
    world.pass_time(microseconds=1)
    young = world.delivery("created", "young", delivery="young")
    await world.receive_identity_events([young])
    world.pass_time(days=8)

    await upkeep.run_once()

    assert [await world.receive_identity_events([delivery]) for delivery in (old, young)] == [
        ["processed"],
        ["duplicate"],
    ]


async def test_sessions_are_forgotten_a_day_after_they_expired(world: World, upkeep: Upkeep) -> None:
    invite = await world.an_invite()
    await world.sign_up(world.sign_up_command("ada", invite.code))
    await world.sign_in("ada@example.org", "a good password")

    world.pass_time(days=8)
    await upkeep.run_once()
    assert len(await world.sessions_of("ada")) == 1

    world.pass_time(seconds=1)
    await upkeep.run_once()
    assert await world.sessions_of("ada") == []


async def test_one_round_forgets_batch_by_batch_until_nothing_old_is_left(
    world: World, upkeep: Upkeep, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tallystick.entrypoints.worker.upkeep.BATCH_ROWS", 2)
    keys = [f"key{number}" for number in range(7)]
    await remember(world, *keys)
    world.pass_time(days=9)

    await upkeep.run_once()

    assert await remembered(world, *keys) == []


async def test_one_round_has_an_end_whatever_there_is_to_forget(
    world: World, upkeep: Upkeep, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tallystick.entrypoints.worker.upkeep.BATCH_ROWS", 1)
    monkeypatch.setattr("tallystick.entrypoints.worker.upkeep.MAX_BATCHES", 3)
    keys = [f"key{number}" for number in range(7)]
    await remember(world, *keys)
    world.pass_time(days=9)

    await upkeep.run_once()

    assert len(await remembered(world, *keys)) == 4


@pytest.mark.parametrize(
    "failure",
    [Overloaded("not now"), TransactionAborted("40001"), StoreUnavailable("57014"), RuntimeError("a bug")],
    ids=lambda failure: type(failure).__name__,
)
async def test_a_failed_round_is_followed_by_the_next_one(
    failure: Exception, transactions: MemoryTransactions, world: World
) -> None:
    await remember(world, "old")
    world.pass_time(days=9)
    failing, rounds = Failing(transactions, [failure]), Rounds(18)  # each of three rounds sets six gauges
    reads = Reads(failing, NoPause())
    upkeep = upkeep_of(world, reads, NoPause(), rounds, failing)

    running = asyncio.create_task(upkeep.run())
    async with asyncio.timeout(10):
        await rounds.are_enough.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running

    assert failing.failures == []
    assert await remembered(world, "old") == []


async def test_rows_that_were_stored_behind_a_deletion_are_forgotten(world: World, upkeep: Upkeep) -> None:
    await world.arrive("ada")
    await world.delete("ada")
    await remember(world, "late")

    await upkeep.run_once()

    assert await remembered(world, "late") == []


async def test_a_failed_count_does_not_keep_it_from_forgetting(
    world: World, upkeep: Upkeep, monkeypatch: pytest.MonkeyPatch
) -> None:
    await remember(world, "old")
    world.pass_time(days=9)

    async def too_many(_schedules: object, _names: object) -> dict[str, datetime]:
        raise StoreUnavailable("57014")

    monkeypatch.setattr("tallystick.adapters.memory.stores.schedules.MemorySchedules.successes", too_many)
    with pytest.raises(Overloaded):
        await upkeep.run_once()

    assert await remembered(world, "old") == []


async def test_pending_points_are_credited_and_measured(
    world: World, upkeep: Upkeep, capsys: pytest.CaptureFixture[str]
) -> None:
    configure("info")
    for user in ("ada", "bob"):
        await world.a_player(user)
    await world.a_waiting_slip("ada", correlation="first-try")
    await world.freeze("bob")
    await world.a_waiting_slip("bob", correlation="another-try")
    world.pass_time(minutes=10)

    await upkeep.run_once()

    assert (await world.points_of("ada")).balance == 525
    assert world.metrics.gauges["pending_accruals", ""] == 1
    assert world.metrics.gauges["pending_accruals_oldest_seconds", ""] == 600
    (line,) = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert (line["event"], line["event_type"], line["correlation_id"]) == (
        "pending accrual credited",
        "rating_slip",
        "first-try",
    )

    await world.thaw("bob")
    world.pass_time(minutes=1)
    await upkeep.run_once()
    assert world.metrics.gauges["pending_accruals", ""] == 0
    assert world.metrics.gauges["pending_accruals_oldest_seconds", ""] == 0


async def test_one_that_fails_for_an_unforeseen_reason_is_logged_and_keeps_nobody_else_waiting(
    world: World, upkeep: Upkeep, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    configure("info")
    for user in ("ada", "bob"):
        await world.a_player(user)
        await world.a_waiting_slip(user, correlation=f"try-of-{user}")
    world.pass_time(minutes=10)

    def fail_for_ada(_self: PendingAccrual, at: datetime) -> Earning:
        if _self.player_id == "ada":
            raise RuntimeError("a bug")
        return world.earning(_self.player_id, _self.points, event=_self.event_key, kind=_self.event_type)

    monkeypatch.setattr("tallystick.domain.pending_accruals.PendingAccrual.earning", fail_for_ada)
    await upkeep.run_once()

    assert (await world.points_of("bob")).balance == 525
    assert world.metrics.gauges["pending_accruals", ""] == 1
    logged = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {(line["event"], line["correlation_id"]) for line in logged} == {
        ("pending accrual failed", "try-of-ada"),
        ("pending accrual credited", "try-of-bob"),
    }
    assert all("a bug" not in str(line) for line in logged)
