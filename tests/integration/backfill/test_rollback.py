"""A run is rolled back: its rows go, rows that were used since stay, and traffic loses nothing."""

import asyncio

import asyncpg
import pytest

from tallystick.adapters.postgres.statements import Statements
from tallystick.application.backfill_ports import BackfillRefused
from tallystick.domain.codes import Code
from tests.integration.postgres.sessions import database_name, login_of, session
from tests.worlds.moving import Moving, a_user


async def test_the_rows_of_the_run_are_gone_and_all_others_are_unchanged(moving: Moving) -> None:
    code = await moving.world.mint("here")
    await moving.world.arrive("guest", code)
    before = await moving.dump()
    run = await moving.move_in(
        a_user("here", "HERE1111", points=9),
        a_user("ada", "ADA11111", points=5, email="a@example.com", phone_verified=True),
        a_user("ada", "OLDER111", day=-3),
        a_user("ben", "ADA11111", day=9, referred_by="here"),
        a_user("cyd", referred_by="ada"),
    )

    done = await moving.roll_back(run)

    assert await moving.dump() == before
    assert (done.users_removed, done.codes_removed, done.edges_removed, done.points_removed) == (3, 5, 2, 2)
    assert await moving.conflicts() == set()
    assert await moving.state(run) == "rolled_back"
    assert await moving.world.broken_promises() == []


async def test_no_row_that_was_imported_is_kept(moving: Moving) -> None:
    run = await moving.move_in(a_user("ada", "ADA11111", email="a@example.com"))

    await moving.roll_back(run)

    assert await moving.rows("SELECT 1 FROM tallystick.legacy_users") == []
    assert await moving.rows("SELECT 1 FROM tallystick.legacy_codes") == []


async def test_a_code_that_somebody_came_by_stays_as_an_alias(moving: Moving) -> None:
    run = await moving.move_in(a_user("ada", "ADA11111"), a_user("ben", "BEN11111"))
    await moving.world.arrive("guest", "ADA11111")

    done = await moving.roll_back(run)

    assert (done.codes_attributed, done.codes_removed, done.users_kept, done.users_removed) == (1, 1, 1, 1)
    assert (await moving.codes())["ADA11111"] == ("ada", False)
    assert await moving.canonical("ada") is not None
    assert await moving.world.inviter("guest") == "ada"
    assert await moving.world.broken_promises() == []


async def test_a_code_that_somebody_followed_stays_as_an_alias(moving: Moving) -> None:
    run = await moving.move_in(a_user("ada", "ADA11111"), a_user("ben", "BEN11111"))
    async with moving.session() as connection:
        await connection.execute("INSERT INTO tallystick.clicked_codes VALUES ('ADA11111', now())")

    done = await moving.roll_back(run)

    assert (done.codes_clicked, done.codes_removed) == (1, 1)
    assert await moving.world.resolve("ADA11111") == "alias"
    assert await moving.world.resolve("BEN11111") == "unknown"


async def test_a_code_that_somebody_followed_before_it_was_written_stays_as_an_alias(moving: Moving) -> None:
    run = await moving.plan(a_user("ada", "ADA11111"), a_user("ben", "BEN11111"))
    moving.world.clicks.note(Code("ADA11111"))
    await moving.world.clicks.flush()
    await moving.apply(run)

    done = await moving.roll_back(run)

    assert (done.codes_clicked, done.codes_removed) == (1, 1)
    assert [await moving.world.resolve(code) for code in ("ADA11111", "BEN11111")] == ["alias", "unknown"]
    assert await moving.world.broken_promises() == []


async def test_rows_that_traffic_wrote_stay(moving: Moving) -> None:
    run = await moving.move_in(a_user("ada", "ADA11111"), a_user("ben", "BEN11111"), a_user("cyd", "CYD11111"))
    reminted = await moving.world.remint("ada")
    await moving.world.award("ben", 10)
    await moving.world.arrive("cyd", phone_verified=True)

    done = await moving.roll_back(run)

    assert await moving.codes() == {reminted.code: ("ada", True)}
    assert [entry.amount for entry in await moving.world.point_entries("ben")] == [10]
    assert (await moving.world.link("cyd")).otp_verified
    assert done.users_kept == 3
    assert await moving.world.broken_promises() == []


async def test_points_that_were_added_to_stay_with_the_later_entries(moving: Moving) -> None:
    run = await moving.move_in(a_user("ada", points=5), a_user("ben", points=6))
    await moving.world.award("ada", 10)

    done = await moving.roll_back(run)

    assert [entry.amount for entry in await moving.world.point_entries("ada")] == [10, 5]
    assert await moving.world.point_entries("ben") == []
    assert (done.points_kept, done.points_removed) == (1, 1)
    assert await moving.world.broken_promises() == []


async def test_points_return_to_their_earlier_balance(moving: Moving) -> None:
    await moving.world.a_player("ada")
    await moving.world.award("ada", 10)
    before = await moving.dump()
    run = await moving.move_in(a_user("ada", points=2000))

    await moving.roll_back(run)

    after = await moving.dump()
    assert after["ledger_accounts"] == before["ledger_accounts"]
    assert after["ledger_entries"] == before["ledger_entries"]


async def test_a_user_who_was_deleted_meanwhile_stays_deleted(moving: Moving) -> None:
    run = await moving.move_in(a_user("ada", "ADA11111"))
    await moving.world.deliver("deleted", "ada")

    await moving.roll_back(run)

    summary = await moving.world.summary("ada")
    assert summary is not None
    assert summary.user.deleted_at is not None
    assert await moving.world.broken_promises() == []


async def test_a_code_of_a_user_who_was_deleted_meanwhile_is_given_to_nobody_else(moving: Moving) -> None:
    run = await moving.move_in(a_user("ada", "ADA11111"))
    await moving.world.deliver("deleted", "ada")
    await moving.roll_back(run)

    await moving.move_in(a_user("ben", "ADA11111"))

    assert await moving.world.resolve("ADA11111") == "unknown"
    assert await moving.conflicts() == {("ADA11111", "ben", "ada", "held")}


async def test_a_run_that_was_killed_half_way_can_be_taken_back(moving: Moving) -> None:
    run = await moving.plan(*(a_user(f"user{n}", f"CODE{n}") for n in range(6)), chunk=2)
    async with moving.session() as connection:
        await connection.execute("UPDATE tallystick.backfill_runs SET state = 'applying', started_at = now()")

    await moving.roll_back(run)

    assert await moving.state(run) == "rolled_back"
    assert await moving.codes() == {}


async def test_a_run_that_was_rolled_back_can_be_planned_again(moving: Moving) -> None:
    lines = [a_user("ada", "ADA11111")]
    first = await moving.move_in(*lines)
    await moving.roll_back(first)

    second = await moving.move_in(*lines)

    assert first.plan_hash != second.plan_hash
    assert await moving.codes() == {"ADA11111": ("ada", True)}
    assert (await moving.verify(second)).holds


async def test_taking_back_twice_is_taking_back_once(moving: Moving) -> None:
    run = await moving.move_in(a_user("ada", "ADA11111"))
    await moving.roll_back(run)
    minted = await moving.world.mint("ada")

    await moving.roll_back(run)

    assert await moving.codes() == {minted: ("ada", True)}


async def test_there_is_nothing_to_take_back_of_a_plan(moving: Moving) -> None:
    run = await moving.plan(a_user("ada"))

    with pytest.raises(BackfillRefused, match="nothing to roll back"):
        await moving.roll_back(run)


async def test_the_service_itself_can_remove_nothing(moving: Moving) -> None:
    await moving.move_in(a_user("ada", "ADA11111"))

    async with moving.session() as connection:
        for table in ("users", "referral_codes", "legacy_users", "legacy_codes", "backfill_runs", "code_conflicts"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await connection.execute(f"DELETE FROM tallystick.{table}")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute("UPDATE tallystick.backfill_runs SET plan = ''")


async def test_the_indexes_of_a_rollback_go_with_it(moving: Moving) -> None:
    run = await moving.move_in(a_user("ada", "ADA11111"))
    async with session(moving.dsn) as owner:
        # As a killed rollback leaves one.
        await owner.execute("CREATE INDEX backfill_codes_of_user ON tallystick.referral_codes (code)")

    await moving.roll_back(run)

    assert await moving.rows("SELECT 1 FROM pg_indexes WHERE indexname LIKE 'backfill_%_of_%'") == []


async def test_a_user_who_offers_or_invites_here_stays(moving: Moving) -> None:
    """Rewards, invites and seats hang on a user without a foreign key."""
    run = await moving.move_in(*(a_user(user) for user in ("ada", "ben", "cyd", "dan")))
    await moving.world.a_reward(owner="ada")
    await moving.world.an_invite(code="SEATS123", owner="ben")
    await moving.world.redeem("cyd", "SEATS123")

    done = await moving.roll_back(run)

    assert (done.users_kept, done.users_removed) == (3, 1)
    assert await moving.rows("SELECT user_id FROM tallystick.users ORDER BY user_id") == [("ada",), ("ben",), ("cyd",)]


async def test_a_chunk_that_is_being_written_is_waited_for(moving: Moving, server: tuple[str, str]) -> None:
    run = await moving.move_in(a_user("ada", "ADA11111"))
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = $1"
    async with moving.session() as worker, session(server[0]) as superuser, worker.transaction():
        await worker.fetchval(Statements.load("backfill_runs").lock_state, run.run)
        rollback = asyncio.create_task(moving.roll_back(run))
        async with asyncio.timeout(60):
            while not await superuser.fetchval(waiting, database_name(moving.dsn)):  # noqa: ASYNC110  nobody tells
                await asyncio.sleep(0.01)
        assert await moving.state(run) == "applied"

    await rollback
    assert await moving.state(run) == "rolled_back"


async def test_nothing_is_written_for_a_run_that_was_taken_back(moving: Moving) -> None:
    """By a worker, say, whose runner lost its lock."""
    run = await moving.move_in(a_user("ada", "ADA11111"))
    await moving.roll_back(run)

    async with moving.database().chunk_session() as worker:
        with pytest.raises(BackfillRefused, match="rolled_back by now"):
            await moving.application().write_chunk(worker, run, "points", 0)


async def test_a_login_that_is_not_the_owner_changes_nothing(moving: Moving, server: tuple[str, str]) -> None:
    run = await moving.move_in(a_user("ada", "ADA11111"))
    name = f"guest_of_{database_name(moving.dsn)}"
    async with session(server[0]) as superuser:
        await superuser.execute(f"CREATE ROLE {name} LOGIN PASSWORD 'guest' IN ROLE tallystick_app")
    try:
        with pytest.raises(asyncpg.PostgresError):
            await moving.roll_back(run, dsn=login_of(moving.dsn, name, "guest"))
    finally:
        async with session(server[0]) as superuser:
            await superuser.execute(f"DROP ROLE {name}")

    assert await moving.state(run) == "applied"
    assert (await moving.verify(run)).holds


async def test_a_later_run_with_the_same_users_is_taken_back_first(moving: Moving) -> None:
    first = await moving.move_in(a_user("ada", "ADA11111"))
    second = await moving.plan(a_user("ada", "ADA11111"), a_user("ben", "BEN11111"), name="more.jsonl")
    await moving.apply(second)

    with pytest.raises(BackfillRefused, match="roll that one back first"):
        await moving.roll_back(first)

    await moving.roll_back(second)
    await moving.roll_back(first)
    assert await moving.codes() == {}
