"""Repairs: what breaks a promise is repaired beside traffic, leaves an audit row, and never changes history."""

import asyncio
import os
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

import pytest
from click.testing import CliRunner, Result

from tallystick.adapters.addresses import without_password
from tallystick.adapters.postgres.operator_actions import Operator
from tallystick.adapters.postgres.repairs import PostgresRepairs
from tallystick.application.invariant_passes import Pass
from tallystick.application.repairs import REPAIRS, UNREPAIRED
from tallystick.domain.users import UserId
from tallystick.entrypoints.cli.main import main
from tests.integration.cli.conftest import on
from tests.integration.postgres.sessions import Session, session, superuser_of
from tests.integration.postgres.test_invariants import ACCOUNT, BREAKING, CODE, ENTRY, USER
from tests.integration.races.waiting import until_waiting_or_done
from tests.worlds.world import World

OTHER = "verified_users_exist"
"""A promise that no command repairs."""
OPERATOR = Operator("ops (command line)", datetime.now(UTC), os.urandom)


class Case(NamedTuple):
    """Statements that break a promise, what the audit says then, and rows that show the repair."""

    breaking: str
    audit: list[tuple[str, str, str]]
    query: str
    rows: list[tuple[Any, ...]]


POINTS = (
    "INSERT INTO ledger_accounts (user_id, unit, balance, version, lifetime) VALUES ('a', 'points', 9, 1, {lifetime}); "
    "INSERT INTO ledger_entries (user_id, unit, seq, amount, balance_before, balance_after, event_type, event_key, "
    "correlation_id, created_at, tier_before, tier_after, lifetime_after, tier_progress) "
    "VALUES ('a', 'points', 1, 5, 0, 5, 'promotion', 'k', '', now(), 'bronze', 'silver', 5, 7)"
)
TWO_EVENTS = (
    "INSERT INTO topics (topic_id, kind, head, trimmed, trimmed_tag) VALUES ('behind', 'channel', {head}, 1, 't'); "
    "INSERT INTO topic_events (topic_id, seq, event_id, kind, ref, actor_id, created_at) VALUES "
    "('behind', 2, 'e', 'member_added', 'a', 'a', now()), ('behind', 3, 'f', 'member_added', 'b', 'a', now())"
)
CASES: Mapping[str, Case] = {
    "one_code_each": Case(
        f"{USER} ('a', now(), NULL, 0), ('b', now(), NULL, 0); DROP INDEX referral_codes_one_canonical; "
        f"{CODE} ('AAA1', 'a', false, '2026-01-01Z', '2026-01-02Z', NULL), "
        "('AAA2', 'a', false, '2026-01-01Z', '2026-01-03Z', NULL), "
        "('BBB1', 'b', true, '2026-01-01Z', NULL, NULL), ('BBB2', 'b', true, '2026-01-02Z', NULL, NULL)",
        [("a", "0 canonical codes", "1 canonical code"), ("b", "2 canonical codes", "1 canonical code")],
        "SELECT code, is_canonical, demoted_at IS NULL FROM referral_codes ORDER BY code",
        [("AAA1", False, False), ("AAA2", True, True), ("BBB1", False, False), ("BBB2", True, True)],
    ),
    "living_codes_resolve": Case(
        BREAKING["living_codes_resolve"],
        [("a", "a code of a deleted user", "retired"), ("b", "a retired code of a living user", "resolves again")],
        "SELECT c.code, c.retired_at IS NOT DISTINCT FROM u.deleted_at FROM referral_codes AS c "
        "JOIN users AS u USING (user_id) ORDER BY 1",
        [("AAAA", True), ("BBBB", True)],
    ),
    "seats_are_uses": Case(
        BREAKING["seats_are_uses"],
        [("first", "counter 1, seats 2, uses 0", "counter 0, seats 2, uses 0")],
        "SELECT current_uses, max_uses FROM invites",
        [(0, 2)],
    ),
    "balances_are_entries": Case(
        f"{ACCOUNT} ('a', 'credits', 7, 0), ('b', 'credits', 3, 2), ('c', 'credits', 5, 9); "
        f"{ENTRY} ('b', 'credits', 1, 1, 0, 1, 'grant', 'k1', '', now()), "
        "('b', 'credits', 2, 4, 1, 5, 'grant', 'k2', '', now()), "
        "('c', 'credits', 1, 5, 0, 5, 'grant', 'k3', '', now()); " + POINTS.format(lifetime=5),
        [
            ("a credits", "balance 7, version 0", "balance 0, version 1"),
            ("a points", "balance 9, version 1", "balance 5, version 2"),
            ("b credits", "balance 3, version 2", "balance 5, version 3"),
            ("c credits", "balance 5, version 9", "balance 5, version 1"),
        ],
        "SELECT user_id, unit, amount, balance_after, reason, tier_after, lifetime_after FROM ledger_entries "
        "WHERE event_type = 'correction' ORDER BY user_id, unit",
        [
            ("a", "credits", 0, 0, "the balance was 7, and the entries add up to 0", None, None),
            ("a", "points", 0, 5, "the balance was 9, and the entries add up to 5", "silver", 5),
            ("b", "credits", 0, 5, "the balance was 3, and the entries add up to 5", None, None),
        ],
    ),
    "lifetime_is_earned": Case(
        POINTS.format(lifetime=8).replace("'points', 9", "'points', 5"),
        [("a points", "lifetime 8", "lifetime 5")],
        "SELECT balance, lifetime FROM ledger_accounts",
        [(5, 5)],
    ),
    "events_have_no_gaps": Case(
        TWO_EVENTS.format(head=2), [("behind", "head 2", "head 3")], "SELECT head FROM topics", [(3,)]
    ),
    "referrals_are_edges": Case(
        f"{USER} ('a', now(), NULL, 3)", [("a", "referrals 3", "referrals 0")], "SELECT referrals FROM users", [(0,)]
    ),
}


@pytest.fixture
async def spoiler(world: World, server: tuple[str, str], owner_dsn: str) -> AsyncIterator[Session]:
    """Return a superuser to whom foreign keys do not apply, in the empty database of the module."""
    async with session(superuser_of(server, owner_dsn)) as superuser:
        await superuser.execute("SET session_replication_role = replica; SET search_path = tallystick")
        yield superuser
        await superuser.execute(
            "DELETE FROM referral_codes; CREATE UNIQUE INDEX IF NOT EXISTS referral_codes_one_canonical "
            "ON referral_codes (user_id) WHERE is_canonical"
        )


async def command(dsn: str, *arguments: str) -> Result:
    return await asyncio.to_thread(CliRunner().invoke, main, ["invariants", *arguments], env=on(dsn))


def test_each_repair_has_a_case() -> None:
    assert CASES.keys() == REPAIRS.keys()


@pytest.mark.parametrize("name", REPAIRS)
async def test_a_repair_restores_its_promise_breaks_no_other_and_is_audited(
    name: str, world: World, spoiler: Session, owner_dsn: str
) -> None:
    case = CASES[name]
    await spoiler.execute(case.breaking)
    await known_as_broken(world, name)
    assert [each.name for each in await world.broken_promises()] == [name]

    repaired = await command(owner_dsn, "--repair", name, "--yes")

    assert (repaired.exit_code, repaired.stderr) == (0, "")
    assert f"changed in {without_password(owner_dsn)}: " in repaired.stdout
    assert "still broken: 0" in repaired.stdout
    assert await world.broken_promises() == []
    assert await found_by_looks(world) == {name: 0, OTHER: 3}
    audit = await spoiler.fetch("SELECT subject, found, done, action, operator FROM operator_actions ORDER BY subject")
    assert [tuple(row)[:3] for row in audit] == case.audit
    assert {row["action"] for row in audit} == {f"repair {name}"}
    assert all(row["operator"].endswith(" (command line)") for row in audit)
    assert [tuple(row) for row in await spoiler.fetch(case.query)] == case.rows
    again = await command(owner_dsn, "--repair", name)
    assert (again.exit_code, again.stdout.startswith(f"nothing breaks {name} in ")) == (0, True)


async def known_as_broken(world: World, name: str) -> None:
    """Let looks have found violations of a promise and of another one, in this pass and in the one before it."""
    now = world.clock.now()
    async with world.transactions.begin() as stores:
        for promise in (name, OTHER):
            await stores.passes.put(Pass(promise, now, "k", 2, 0, now, 3, 0), instead_of=now)


async def found_by_looks(world: World) -> dict[str, int | None]:
    async with world.transactions.reading() as stores:
        return {name: current.found for name, current in (await stores.passes.all()).items()}


async def test_a_promise_that_was_repaired_by_hand_is_looked_at_anew(world: World, owner_dsn: str) -> None:
    await known_as_broken(world, "events_count_once")

    await command(owner_dsn, "--repair", "events_count_once")

    assert await found_by_looks(world) == {"events_count_once": 0, OTHER: 3}


async def test_a_promise_without_a_repair_says_why(world: World, spoiler: Session, owner_dsn: str) -> None:
    await spoiler.execute(BREAKING["verified_users_exist"])

    refused = await command(owner_dsn, "--repair", "verified_users_exist", "--yes")

    assert (refused.exit_code, refused.stdout) == (1, "")
    reason = UNREPAIRED["verified_users_exist"]
    assert refused.stderr == f"tallystick: verified_users_exist: nobody: no command repairs this promise: {reason}\n"


async def test_broken_history_is_left_alone_and_reported(world: World, spoiler: Session, owner_dsn: str) -> None:
    await spoiler.execute(BREAKING["balances_are_entries"])
    await spoiler.execute(f"{USER} ('a', now(), NULL, 0)")
    before = await spoiler.fetch("SELECT * FROM ledger_entries ORDER BY user_id, seq")

    partly = await command(owner_dsn, "--repair", "balances_are_entries", "--yes")

    assert partly.exit_code == 1
    assert "2 rows still break balances_are_entries: their history is broken" in partly.stderr
    after = await spoiler.fetch("SELECT * FROM ledger_entries WHERE event_type <> 'correction' ORDER BY user_id, seq")
    assert after == before
    assert {tuple(row) for row in await spoiler.fetch("SELECT user_id, balance FROM ledger_accounts")} == {
        ("a", 0),
        ("b", 3),
        ("c", 5),
    }


async def test_a_gap_in_the_events_is_left_alone(world: World, spoiler: Session, owner_dsn: str) -> None:
    await spoiler.execute(BREAKING["events_have_no_gaps"])

    assert await PostgresRepairs(owner_dsn).repair("events_have_no_gaps", OPERATOR) == [("ahead", "head 0", "head 1")]


async def test_without_a_terminal_nothing_is_repaired_unasked(world: World, spoiler: Session, owner_dsn: str) -> None:
    await spoiler.execute(f"{USER} ('a', now(), NULL, 3)")

    refused = await command(owner_dsn, "--repair", "referrals_are_edges")

    assert refused.exit_code == 2
    assert "referrals_are_edges: a\n" in refused.stderr
    assert "--yes" in refused.stderr
    assert await spoiler.fetchval("SELECT referrals FROM users") == 3


async def test_referrals_that_are_counted_meanwhile_are_counted_once(
    world: World, spoiler: Session, owner_dsn: str
) -> None:
    await world.arrive("ada")
    await spoiler.execute("UPDATE users SET referrals = 5 WHERE user_id = 'ada'")
    async with session(owner_dsn) as traffic:
        await traffic.execute("SET search_path = tallystick; SET ROLE tallystick_app; BEGIN")
        await traffic.execute(
            "UPDATE users SET referrals = referrals + 1 WHERE user_id = 'ada'; "
            "INSERT INTO users (user_id, created_at) VALUES ('bob', now()); "
            "INSERT INTO referral_edges (invitee_id, inviter_id, arrival_id, created_at) "
            "VALUES ('bob', 'ada', gen_random_uuid(), now())"
        )
        repairing = asyncio.create_task(PostgresRepairs(owner_dsn).repair("referrals_are_edges", OPERATOR))
        await until_waiting_or_done(spoiler, repairing)
        assert not repairing.done()
        await traffic.execute("COMMIT")

        assert await repairing == [("ada", "referrals 6", "referrals 1")]
    assert await world.broken_promises() == []


async def test_a_balance_that_is_spent_meanwhile_is_repaired_after_the_purchase(
    world: World, spoiler: Session, owner_dsn: str
) -> None:
    await world.an_account("ada", balance=100)
    await spoiler.execute("UPDATE ledger_accounts SET version = 7 WHERE user_id = 'ada'")
    async with session(owner_dsn) as traffic:
        await traffic.execute("SET search_path = tallystick; SET ROLE tallystick_app; BEGIN")
        await traffic.execute("SELECT FROM ledger_accounts WHERE user_id = 'ada' FOR NO KEY UPDATE")
        await traffic.execute(
            f"{ENTRY} ('ada', 'credits', 2, -40, 100, 60, 'spent', 'k', '', now()); "
            "UPDATE ledger_accounts SET balance = 60, version = 8 WHERE user_id = 'ada'"
        )
        repairing = asyncio.create_task(PostgresRepairs(owner_dsn).repair("balances_are_entries", OPERATOR))
        await until_waiting_or_done(spoiler, repairing)
        assert not repairing.done()
        await traffic.execute("COMMIT")

        assert await repairing == [("ada credits", "balance 60, version 8", "balance 60, version 2")]
    assert await world.broken_promises() == []
    assert await world.balance(UserId("ada")) == 60
