"""The orchestration of a backfill: states, chunks, retries and interruptions, over tables in memory."""

import asyncio
from collections.abc import Coroutine

import msgspec
import pytest

from tallystick.adapters.memory.ports import ManualClock
from tallystick.application import backfill_chunks
from tallystick.application.backfill import ApplyBackfill
from tallystick.application.backfill_chunks import SourceChanged, check_source, find_run, tally_of
from tallystick.application.backfill_planning import DuplicatesUnresolved, NothingReadable, PlanBackfill
from tallystick.application.backfill_ports import BackfillRefused, CodelessUser, Excuse, RunnerBusy
from tallystick.application.backfill_rollback import RollBackBackfill
from tallystick.application.backfill_verification import VerifyBackfill
from tallystick.application.transactions import TransactionAborted
from tallystick.domain.backfill import Contest, Options, Run, RunState, Tally
from tallystick.domain.codes import MAX_CANDIDATES, Code
from tallystick.domain.legacy import LegacyRecord, read_record
from tallystick.domain.loyalty import Tiers
from tallystick.domain.referral_points import ReferralPoints
from tallystick.domain.users import UserId
from tests.unit.application.backfills import SOME, FakeSource, MemoryBackfill, a_plan, a_run

TIERS = Tiers((("bronze", 0),))
CANDIDATES = tuple(Code(f"CODE{number:04}") for number in range(MAX_CANDIDATES))
ADA = UserId("ada")


@pytest.fixture(autouse=True)
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backfill_chunks, "PAUSE_SECONDS", 0.0)


async def applied(database: MemoryBackfill, run: Run | None = None, *, connections: int = 1) -> list[tuple[str, int]]:
    """Apply a run and return what was reported: each phase with its number of users."""
    reports: list[tuple[str, int]] = []
    apply_backfill = ApplyBackfill(database, ManualClock(), lambda: CANDIDATES, TIERS, ReferralPoints(1))
    await apply_backfill(
        run or database.run,
        connections=connections,
        report=lambda phase, users, _tally: reports.append((phase, users)),
    )
    return reports


async def rolled_back(database: MemoryBackfill) -> None:
    roll_back = RollBackBackfill(database, ManualClock(), lambda: CANDIDATES)
    await roll_back(database.run, report=lambda *_: None)


async def interrupted(database: MemoryBackfill, command: Coroutine[None, None, object], *, at: int) -> None:
    """Run a command that is cancelled, as by Ctrl-C, before the transaction of a chunk ends."""
    database.interrupt_at, database.command = at, asyncio.create_task(command)
    with pytest.raises(asyncio.CancelledError):
        await database.command


async def done(database: MemoryBackfill) -> Tally:
    async with database.reading() as stores:
        return await tally_of(stores, database.run)


async def test_every_chunk_of_every_phase_is_written_once_and_reported() -> None:
    database = MemoryBackfill(a_run(plan=a_plan(users=5, edges=SOME)))

    reports = await applied(database)

    assert database.tables.work == [f"{what} {place}" for what in ("users", "edges") for place in PLACES]
    assert reports == [(phase, users) for phase in ("codes", "edges") for users in (2, 2, 1)]
    assert (await done(database)).edges_left_out == [2, 4, 6]
    assert database.run.state == "applied"


PLACES = ("1 to 2", "3 to 4", "5 to 6")


async def test_a_run_that_is_applied_is_not_written_again() -> None:
    database = MemoryBackfill(a_run("applied"))

    assert await applied(database) == []
    assert database.log == []


@pytest.mark.parametrize(("state", "says"), [("rolled_back", "plan again"), ("rolling_back", "plan again")])
async def test_a_run_that_was_taken_back_is_not_applied(state: RunState, says: str) -> None:
    database = MemoryBackfill(a_run(state))

    with pytest.raises(BackfillRefused, match=says):
        await applied(database)

    assert database.tables.work == []


async def test_another_run_that_is_unfinished_comes_first() -> None:
    database = MemoryBackfill(a_run(), a_run("applying", number=2))

    with pytest.raises(BackfillRefused, match="is applying; finish it, or roll it back"):
        await applied(database)

    assert database.run.state == "planned"


async def test_a_chunk_that_other_traffic_aborted_is_run_again_and_counted_once() -> None:
    database = MemoryBackfill(a_run())
    database.failures = [TransactionAborted("deadlock detected")] * 7

    await applied(database)

    assert database.tables.work == [f"users {place}" for place in PLACES]
    assert (await done(database)).users == 6


async def test_a_chunk_that_is_aborted_each_time_ends_the_command_and_the_next_one_goes_on() -> None:
    database = MemoryBackfill(a_run())
    database.failures, database.failures_from = [TransactionAborted("deadlock")] * 8, 2

    with pytest.raises(TransactionAborted, match="deadlock"):
        await applied(database)

    assert (database.run.state, (await done(database)).users) == ("applying", 2)
    assert database.failures == []
    assert await applied(database) == [("codes", 2)] * 3
    assert database.tables.work == [f"users {place}" for place in PLACES]
    assert database.run.state == "applied"


async def test_a_command_that_is_interrupted_leaves_whole_chunks() -> None:
    database = MemoryBackfill(a_run())

    await interrupted(database, applied(database), at=3)

    assert (database.run.state, (await done(database)).users) == ("applying", 4)
    assert database.tables.work == [f"users {place}" for place in PLACES[:2]]
    await applied(database)
    assert database.tables.work == [f"users {place}" for place in PLACES]


async def test_the_first_failure_stops_all_connections_and_is_raised_itself() -> None:
    database = MemoryBackfill(a_run(plan=a_plan(users=40)))
    database.failures = [OSError("connection lost")]

    with pytest.raises(OSError, match="connection lost"):
        await applied(database, connections=3)

    assert database.run.state == "applying"


async def test_a_chunk_that_another_process_wrote_ends_the_command() -> None:
    database = MemoryBackfill(a_run())
    database.failures = [RunnerBusy()]

    with pytest.raises(RunnerBusy):
        await applied(database)


async def test_nothing_is_written_once_the_run_was_taken_back() -> None:
    database = MemoryBackfill(a_run("rolled_back"))
    apply_backfill = ApplyBackfill(database, ManualClock(), lambda: CANDIDATES, TIERS, ReferralPoints(1))

    with pytest.raises(BackfillRefused, match="rolled_back by now"):
        await apply_backfill.write_chunk(database, database.run, "codes", 0)


async def test_one_command_at_a_time() -> None:
    database = MemoryBackfill(a_run("applied"))

    async with database.only_runner():
        with pytest.raises(RunnerBusy):
            await applied(database)
        with pytest.raises(RunnerBusy):
            await rolled_back(database)
        with pytest.raises(RunnerBusy):
            await planned(database, a_record())


async def test_a_user_without_a_code_gets_the_first_candidate_that_is_free() -> None:
    database = MemoryBackfill(a_run(plan=a_plan(users=2)))
    database.codeless = [CodelessUser(ADA, has_lost_one=True), CodelessUser(UserId("ben"), has_lost_one=False)]
    database.taken = set(CANDIDATES[:-1])

    await applied(database)

    assert await done(database) == Tally(users=2, kept=2, reminted=1, minted=1, aliases=3, conflicts=4)


async def test_a_chunk_without_a_free_code_is_refused_and_rolled_back() -> None:
    database = MemoryBackfill(a_run())
    database.codeless, database.taken = [CodelessUser(ADA, has_lost_one=False)], set(CANDIDATES)

    with pytest.raises(BackfillRefused, match="every new code was taken"):
        await applied(database)

    assert database.tables.work == []


async def test_a_rollback_removes_what_refers_to_users_first() -> None:
    database = MemoryBackfill(a_run("applied", plan=a_plan(users=4)))

    await rolled_back(database)

    effects = [step for place in PLACES[:2] for step in (f"lock {place}", "effects")]
    assert database.tables.work == effects + [
        step for place in PLACES[:2] for step in (f"lock {place}", "codes", "users")
    ]
    assert database.log == [
        "create indexes",
        "rolling_back",
        "refresh served",
        "drop indexes",
        "forget plan",
        "rolled_back",
    ]


async def test_a_rollback_that_is_interrupted_goes_on() -> None:
    database = MemoryBackfill(a_run("applied", plan=a_plan(users=4)))

    await interrupted(database, rolled_back(database), at=3)

    assert (database.run.state, len(database.tables.chunks)) == ("rolling_back", 2)
    await rolled_back(database)
    assert (database.run.state, database.tables.work.count("effects")) == ("rolled_back", 2)


async def test_a_chunk_of_a_rollback_is_run_again_too() -> None:
    database = MemoryBackfill(a_run("applied", plan=a_plan(users=2)))
    database.failures = [TransactionAborted("lock time-out")]

    await rolled_back(database)

    assert (database.run.state, database.tables.work.count("effects")) == ("rolled_back", 1)


async def test_a_plan_and_a_run_with_followers_are_not_rolled_back() -> None:
    database = MemoryBackfill(a_run())
    with pytest.raises(BackfillRefused, match="nothing to roll back"):
        await rolled_back(database)

    database = MemoryBackfill(a_run("applied"))
    database.follower = a_run("applied", number=2)
    with pytest.raises(BackfillRefused, match="roll that one back first"):
        await rolled_back(database)

    assert database.log == []


async def test_rolling_back_twice_is_rolling_back_once() -> None:
    database = MemoryBackfill(a_run("rolled_back"))

    await rolled_back(database)

    assert database.log == []


def a_record(line: int = 1, code: str | None = "ADA11111", user_id: str = "ada", **fields: object) -> LegacyRecord:
    return read_record(line, {"user_id": user_id, "code": code, **fields})


async def planned(database: MemoryBackfill, *records: LegacyRecord, malformed: int = 0) -> Run:
    plan = PlanBackfill(database, ManualClock())
    return await plan(FakeSource(*records, malformed=malformed), Options("jsonl"), lambda _share: None)


async def test_a_plan_counts_the_lines_and_stores_no_user_who_is_deleted_there() -> None:
    database = MemoryBackfill()

    run = await planned(
        database,
        a_record(1),
        a_record(2, None, "ben"),
        a_record(3, "ß", "cyd"),
        a_record(4, "", "dan"),
        a_record(5, "x", "eve", deleted_at="2024-01-01T00:00:00Z"),
        malformed=1,
    )

    plan = run.plan
    assert (plan.lines, plan.malformed, plan.deleted_there, plan.users) == (6, 1, 1, 4)
    assert (plan.missing, plan.formless, plan.formless_lines, plan.empty) == (2, 1, [3], 1)
    assert database.run == run


async def test_the_same_source_is_the_same_plan_until_a_run_is_taken_back() -> None:
    database = MemoryBackfill()
    first = await planned(database, a_record())

    assert await planned(database, a_record()) == first
    await database.change_state(first, "rolled_back", first.planned_at)
    again = await planned(database, a_record())
    assert (again.plan.attempt, again.plan_hash == first.plan_hash) == (2, False)


async def test_a_new_plan_takes_the_place_of_those_that_were_never_applied() -> None:
    database = MemoryBackfill()
    await planned(database, a_record())

    other = await planned(database, a_record(user_id="ben"), a_record(2, user_id="cyd"))

    assert list(database.tables.runs.values()) == [other]


async def test_a_source_without_a_record_is_no_plan() -> None:
    database = MemoryBackfill()

    with pytest.raises(NothingReadable, match="no line of the source can be read") as refused:
        await planned(database, malformed=1)

    assert [fault.reason for fault in refused.value.faults] == ["no JSON object"]
    assert database.tables.runs == {}


async def test_claims_that_cannot_be_decided_are_no_plan() -> None:
    database = MemoryBackfill()
    database.staged.contests = [Contest(Code("SAME1111"), ADA, None)]

    with pytest.raises(DuplicatesUnresolved, match="1 claims"):
        await planned(database, a_record())

    assert database.tables.runs == {}


async def test_a_run_is_found_by_the_beginning_of_its_hash() -> None:
    database = MemoryBackfill(a_run())
    async with database.reading() as stores:
        assert await find_run(stores.runs, database.run.plan_hash[:8]) == database.run
        with pytest.raises(BackfillRefused, match="at least 8"):
            await find_run(stores.runs, database.run.plan_hash[:7])
        with pytest.raises(BackfillRefused, match="no plan has this hash"):
            await find_run(stores.runs, "0" * 64)
        database.tables.runs[2] = msgspec.structs.replace(database.run, run=2)
        with pytest.raises(BackfillRefused, match="two plans start with this hash"):
            await find_run(stores.runs, database.run.plan_hash[:8])


async def test_a_source_that_changed_is_refused() -> None:
    await check_source(a_run(), FakeSource(), lambda _share: None)

    with pytest.raises(SourceChanged):
        await check_source(a_run(), FakeSource(fingerprint="another"), lambda _share: None)


async def verified(database: MemoryBackfill, *records: LegacyRecord) -> list[str]:
    """Return the names of the broken promises; the report says the same, and is kept."""
    verify = VerifyBackfill(database, ManualClock())
    report = await verify(database.run, FakeSource(*records), lambda _share: None)
    assert database.tables.reports == [report]
    broken = [check.name for check in report.checks if not check.holds]
    assert report.holds is not bool(broken)
    return broken


@pytest.mark.parametrize(
    ("changes", "broken"),
    [
        ({}, []),
        ({"repeated_codes": 1}, ["codes_are_unique"]),
        ({"missing_codes": 1}, ["codes_are_there"]),
        ({"aliases_found": 0}, ["aliases_grew"]),
        ({"edges": SOME}, ["edges_brought"]),
        ({"edges_invented": 1}, ["edges_planned"]),
        ({"points": SOME}, ["points_brought"]),
        ({"edges_here": SOME}, ["edges_unchanged"]),
        ({"points_here": SOME}, ["points_unchanged"]),
    ],
)
async def test_each_promise_that_is_broken_breaks_the_report(changes: dict[str, object], broken: list[str]) -> None:
    database = MemoryBackfill(a_run("applied"))
    database.counts = msgspec.structs.replace(database.counts, **changes)

    assert await verified(database) == broken


async def test_a_code_that_leads_to_another_user_breaks_the_report_unless_it_is_excused() -> None:
    code = Code("ADA11111")
    database = MemoryBackfill(a_run("applied"))
    assert await verified(database, a_record()) == ["codes_resolve"]
    assert database.tables.reports[0].broken_lines == [1]

    for excuse, counted in ((Excuse(is_deleted=True), (1, 0)), (Excuse(is_deleted=False), (0, 1))):
        database = MemoryBackfill(a_run("applied"))
        database.owner_of, database.excused = {code: UserId("zoe")}, {(code, ADA): excuse}
        assert await verified(database, a_record()) == []
        report = database.tables.reports[0]
        assert (report.deleted, report.conflicts) == counted

    database = MemoryBackfill(a_run("applied"))
    database.owner_of = {code: ADA}
    assert await verified(database, a_record(), a_record(2, None, "ben")) == []
    assert database.tables.reports[0].codes == 1


@pytest.mark.parametrize("state", ["planned", "applying", "rolled_back"])
async def test_only_an_applied_run_is_verified(state: RunState) -> None:
    with pytest.raises(BackfillRefused, match=f"this run is {state}"):
        await verified(MemoryBackfill(a_run(state)))


async def test_a_source_that_changed_proves_nothing() -> None:
    database = MemoryBackfill(a_run("applied"))

    with pytest.raises(SourceChanged):
        await VerifyBackfill(database, ManualClock())(
            database.run, FakeSource(fingerprint="another"), lambda _share: None
        )

    assert database.tables.reports == []
