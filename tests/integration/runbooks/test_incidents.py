"""Every runbook: the incident happens, the command finds it, its fix is followed, and the command finds nothing."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from datetime import timedelta
from functools import partial
from typing import Any, NamedTuple

import pytest
from click.testing import CliRunner, Result

from tallystick.entrypoints.cli.main import main
from tallystick.entrypoints.cli.runbook_table import RUNBOOKS
from tests.http.replacements import SkewedClock
from tests.http.services import JWT_SECRET
from tests.integration.cli.conftest import on
from tests.integration.postgres.sessions import Session, session, superuser_of
from tests.integration.postgres.test_invariants import ACCOUNT, CODE, ENTRY, INVITE, PENDING, SLIP, USER, WAITING
from tests.integration.races.waiting import until_waiting_or_done
from tests.worlds.world import World

USE = "INSERT INTO invite_uses (invite_id, user_id, attempt_id, used_at) VALUES"
SPENDER = f"{USER} ('a', now() - interval '1 h', NULL, 0); {CODE} ('AAAA', 'a', true, now(), NULL, NULL)"
GRANTED = (
    f"{SPENDER}; {ACCOUNT} ('a', 'credits', {{balance}}, 1); "
    f"{ENTRY} ('a', 'credits', 1, 5, 0, 5, 'grant', 'k', '', now())"
)
Follow = Callable[..., Awaitable[Result]]


class Incident(NamedTuple):
    """Statements of a superuser that cause an incident, and the finding of the runbook."""

    cause: str
    finding: str
    cure: str = ""
    """The statement or command of a person, where `--apply` has no fix."""


INCIDENTS: Mapping[str, Incident] = {
    "missing-codes": Incident(f"{USER} ('a', now() - interval '1 h', NULL, 0)", "1 users have no code: a"),
    "resolver-errors": Incident("REVOKE SELECT ON referral_codes FROM tallystick_app", "a look-up fails: "),
    "enumeration": Incident(
        f"{USER} ('a', now(), NULL, 0); INSERT INTO attribution_attempts (user_id, code_digest, reason, attempted_at) "
        "SELECT 'a', 'digest' || n, 'not_found', now() FROM generate_series(1, 12) AS n",
        "a sent 12 unknown codes in the last hour",
        "users delete a --yes",
    ),
    "double-mint": Incident(
        f"DROP INDEX referral_codes_one_canonical; {SPENDER}; {CODE} ('BBBB', 'a', true, now(), NULL, NULL)",
        "one_code_each is broken by a",
    ),
    "deletion": Incident(
        f"{USER} ('a', now() - interval '1 h', now() - interval '1 h', 0); "
        f"{CODE} ('AAAA', 'a', false, now(), now(), NULL); "
        "UPDATE users SET erasing_since = now() - interval '1 h'",
        "a is being erased since ",
    ),
    "invite-counter": Incident(f"{INVITE} ('FIRST', 'first', 'a', 2, 1, now())", "first shows 1 uses, and has 0 users"),
    "duplicate-uses": Incident(
        f"ALTER TABLE invite_uses DROP CONSTRAINT invite_uses_pkey; {INVITE} ('FIRST', 'first', 'a', 5, 1, now()); "
        f"{USE} ('first', 'a', 'early', now() - interval '1 h'), ('first', 'a', 'late', now())",
        "first has 1 repeated uses",
    ),
    "partial-completion": Incident(
        f"{SPENDER}; {SLIP} ('s', {WAITING.format(points=5)}); "
        f"{PENDING} ('a', 'rating_slip', 's', 5, '', 'POINTS_DISABLED', now(), 1, now())",
        "rating_slip s of a waits: POINTS_DISABLED",
    ),
    "balance-differs": Incident(GRANTED.format(balance=7), "balances_are_entries is broken by a credits"),
    "negative-balance": Incident(
        f"ALTER TABLE ledger_accounts DROP CONSTRAINT ledger_accounts_never_negative; {GRANTED.format(balance=-2)}",
        "a has -2 credits",
    ),
    "contract-missing": Incident(
        "DROP POLICY rewards_service ON rewards; ALTER TABLE invites NO FORCE ROW LEVEL SECURITY; "
        "DROP INDEX channels_by_owner; REVOKE UPDATE (referrals) ON users FROM tallystick_app; "
        "ALTER TABLE referral_edges DROP CONSTRAINT referral_edges_invitee_fkey; "
        "GRANT UPDATE, DELETE ON ledger_entries TO tallystick_app; ALTER POLICY users_service ON users USING (false)",
        "the schema lacks: ",
    ),
    "disk-full": Incident(
        "SELECT pg_create_physical_replication_slot('forgotten_{worker}', true)",
        "the replication slot forgotten_{worker} is not read, and keeps ",
        "SELECT pg_drop_replication_slot('forgotten_{worker}')",
    ),
    "clock-skew": Incident(
        "INSERT INTO schedules (name, leased_until, last_done_at) VALUES ('trim_logs', now() + interval '3 d', now())",
        "the schedule trim_logs has a time in the future: ",
        "DELETE FROM schedules",
    ),
    "restore": Incident(
        f"{GRANTED.format(balance=5)}; CREATE TABLE public.kept AS TABLE ledger_entries; DELETE FROM ledger_entries",
        "balances_are_entries is broken: 1 rows",
        "INSERT INTO ledger_entries SELECT * FROM public.kept; DROP TABLE public.kept",
    ),
}
"""The incidents that statements cause; the others have tests of their own below."""
OTHERS = {"webhook-lag", "lock-conflicts", "drift", "key-rotation"}


@pytest.fixture
async def superuser(world: World, server: tuple[str, str], owner_dsn: str) -> AsyncIterator[Session]:
    """Return a superuser to whom foreign keys do not apply, in the empty database of the module."""
    async with session(superuser_of(server, owner_dsn)) as connection:
        await connection.execute("SET session_replication_role = replica; SET search_path = tallystick")
        yield connection


@pytest.fixture
def follow(owner_dsn: str) -> Follow:
    """Return a function that runs a command in this process."""

    async def run(*arguments: str, **environment: str) -> Result:
        given = {**on(owner_dsn), **environment}
        return await asyncio.to_thread(CliRunner().invoke, main, arguments, env=given)

    return run


def findings(result: Result) -> list[str]:
    found: list[str] = json.loads(result.stdout)["findings"]
    return found


def test_every_runbook_has_its_incident() -> None:
    assert {each.name for each in RUNBOOKS} == INCIDENTS.keys() | OTHERS


@pytest.mark.parametrize("name", INCIDENTS)
async def test_an_incident_is_found_fixed_and_over(
    name: str, superuser: Session, follow: Follow, worker_id: str
) -> None:
    incident = Incident(*(text.replace("{worker}", worker_id) for text in INCIDENTS[name]))
    before = await follow("runbook", name)
    assert (before.exit_code, before.stdout[: len(name)]) == (0, name), before.output
    await superuser.execute(incident.cause)

    diagnosed = await follow("runbook", name, "--json")

    assert diagnosed.exit_code == 1, diagnosed.output
    assert incident.finding in " ".join(findings(diagnosed))
    assert not await superuser.fetch("SELECT FROM operator_actions"), "a diagnosis changes nothing"
    if incident.cure.startswith("users"):
        assert (await follow(*incident.cure.split())).exit_code == 0
    elif incident.cure:
        await superuser.execute(incident.cure)
    else:
        applied = await follow("runbook", name, "--apply", "--yes")
        assert applied.exit_code == 0, applied.output
        assert await superuser.fetch("SELECT FROM operator_actions")
    assert (await follow("runbook", name)).exit_code == 0
    assert (await follow("invariants")).exit_code == 0
    assert (await follow("runbook", "contract-missing")).exit_code == 0


@pytest.mark.parametrize("name", ["double-mint", "duplicate-uses", "negative-balance"])
async def test_a_repair_of_rows_changes_no_right(name: str, superuser: Session, follow: Follow) -> None:
    await superuser.execute(f"{INCIDENTS[name].cause}; GRANT DELETE ON ledger_entries TO tallystick_app")

    applied = await follow("runbook", name, "--apply", "--yes")

    try:
        assert applied.exit_code == 0, applied.output
        assert "REVOKE" not in applied.stdout
        assert await superuser.fetchval("SELECT has_table_privilege('tallystick_app', 'ledger_entries', 'DELETE')")
    finally:
        await superuser.execute("REVOKE DELETE ON ledger_entries FROM tallystick_app")


@pytest.mark.parametrize("name", ["webhook-lag", "lock-conflicts"])
async def test_a_session_that_holds_others_up_is_found_and_ended(
    name: str, world: World, superuser: Session, follow: Follow, owner_dsn: str
) -> None:
    await world.arrive("ada")
    async with session(owner_dsn) as forgotten:
        await forgotten.execute("SET search_path = tallystick; BEGIN; LOCK TABLE users IN EXCLUSIVE MODE")
        held_up = asyncio.create_task(_touch(owner_dsn))
        await until_waiting_or_done(superuser, held_up)

        diagnosed = await follow("runbook", name, "--json")
        pid = forgotten.get_server_pid()
        applied = await follow("runbook", name, "--apply", "--yes")

        assert diagnosed.exit_code == 1, diagnosed.output
        assert f"session {pid} holds 1 others up" in findings(diagnosed)[0]
        assert applied.exit_code == 0, applied.output
        assert f"session {pid}: holds others up -> ended" in applied.stdout
        await held_up
        assert forgotten.is_closed()


async def _touch(dsn: str) -> None:
    async with session(dsn) as traffic:
        await traffic.execute("SET ROLE tallystick_app; UPDATE tallystick.users SET referrals = referrals")


async def test_drift_is_found_and_reconciled(world: World, superuser: Session, follow: Follow) -> None:
    await world.imported("ada", "1234")
    await world.mint("cid")
    await world.mirrors("cid", "OLDER123")

    diagnosed = await follow("runbook", "drift", "--json")
    applied = await follow("runbook", "drift", "--apply", "--yes")

    assert (diagnosed.exit_code, findings(diagnosed)) == (1, ["1 codes are unadopted", "1 codes are stale"])
    assert applied.exit_code == 0, applied.output
    assert await superuser.fetchval("SELECT action FROM operator_actions") == "runbook drift"
    assert (await follow("runbook", "drift")).exit_code == 0


async def test_a_rotation_is_unfinished_until_the_old_secret_is_removed(superuser: Session, follow: Follow) -> None:
    both = f'"{JWT_SECRET}" "the secret from before"'
    during = await follow("runbook", "key-rotation", "--json", TALLYSTICK_JWT_SECRET=both)
    after = await follow("runbook", "key-rotation")

    finding = "TALLYSTICK_JWT_SECRET holds 2 secrets: a rotation is not finished"
    assert (during.exit_code, findings(during)) == (1, [finding])
    assert after.exit_code == 0


async def test_a_clock_that_differs_is_found(
    superuser: Session, follow: Follow, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as wrong:
        wrong.setattr("tallystick.entrypoints.cli.check.SystemClock", partial(SkewedClock, timedelta(seconds=40)))
        skewed = await follow("runbook", "clock-skew", "--json")

    assert skewed.exit_code == 1
    assert findings(skewed)[0].startswith("this machine's clock is 40 s ahead of the database's")
    assert (await follow("runbook", "clock-skew")).exit_code == 0


async def test_the_runbooks_are_listed(follow: Follow) -> None:
    listed, in_json = await follow("runbook"), await follow("runbook", "--json")

    items: list[dict[str, Any]] = json.loads(in_json.stdout)["items"]
    assert [item["name"] for item in items] == [each.name for each in RUNBOOKS]
    assert [line.split()[0] for line in listed.stdout.splitlines()[1:]] == [each.name for each in RUNBOOKS]


async def test_nothing_is_fixed_unasked_or_where_only_a_person_can(superuser: Session, follow: Follow) -> None:
    await superuser.execute(INCIDENTS["invite-counter"].cause)

    unasked = await follow("runbook", "invite-counter", "--apply")
    by_person = await follow("runbook", "enumeration", "--apply", "--yes")

    assert unasked.exit_code == 2
    assert "first shows 1 uses" in unasked.stderr
    assert "--yes" in unasked.stderr
    assert await superuser.fetchval("SELECT current_uses FROM invites") == 1
    assert by_person.exit_code == 2
    assert "no command applies this fix" in by_person.stderr
