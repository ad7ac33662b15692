"""Every command that fails, is refused or answers no: the same kind of failure has the same status everywhere."""

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path

import pytest
from click.testing import CliRunner

from tallystick.entrypoints.cli.main import main
from tests.commands import EVERY
from tests.http.services import JWT_SECRET
from tests.integration.cli.conftest import Spoil, on
from tests.processes.installations import Installation
from tests.worlds.moving import a_user

PLAN = "0" * 64
FAR_AWAY = "postgresql://ada:hunter2@127.0.0.1:1/tally"
ARGUMENTS: Mapping[str, list[str]] = {
    "serve": ["--port", "0"],
    "migrate": ["--check"],
    "token": ["--sub", "ada"],
    "check": [],
    "invariants": [],
    "openapi": [],
    "runbook": ["invite-counter"],
    "probe": ["http://127.0.0.1:1"],
    "reconcile invites": [],
    "reconcile metadata": [],
    "freeze": ["ada"],
    "thaw": ["ada"],
    "backfill plan": ["--source", "users.jsonl"],
    "backfill apply": ["--plan", PLAN, "--yes"],
    "backfill verify": ["--plan", PLAN],
    "backfill rollback": ["--plan", PLAN, "--yes"],
    "backfill status": [],
    "export": ["codes"],
    "backup": ["a.dump"],
    "restore": [__file__, "--yes"],
    "users delete": ["ada", "--yes"],
    "users attempts": ["ada"],
    "users show": ["ada"],
    "flags": [],
    "flags set": ["points_enabled", "on"],
}
"""Every command with arguments that let it reach its database."""
WITHOUT_DATABASE = {"token", "probe", "openapi"}
WITH_DATABASE = sorted(set(ARGUMENTS) - WITHOUT_DATABASE)
REFUSED: Mapping[str, list[str]] = {
    "freeze": ["nobody"],
    "thaw": ["nobody"],
    "flags set": ["mint_in_referral_api", "on"],
    "backfill plan": ["--source", "missing.jsonl"],
    "backfill apply": ["--plan", PLAN, "--yes"],
    "backfill verify": ["--plan", PLAN],
    "backfill rollback": ["--plan", PLAN, "--yes"],
    "backfill status": ["--plan", PLAN],
    "token": ["--explain", "no.token.at-all"],
    "probe": ["http://127.0.0.1:1"],
    "users delete": ["nobody", "--yes"],
    "restore": [__file__, "--yes"],
}
"""Every command that can be refused on a sound database, with what it is refused for."""
IMPLAUSIBLE: Mapping[str, list[str]] = {
    "serve": ["--store", "memory", "--workers", "2"],
    "token": ["--sub", "no id"],
    "probe": ["ftp://example.com"],
    "openapi": ["--url", "ftp://example.com"],
    "freeze": ["no id"],
    "thaw": ["no id"],
    "users delete": ["no id", "--yes"],
    "users attempts": ["no id"],
    "export": ["codes", "--json"],
    "backup": ["-"],
    "restore": [__file__, "--into", "mysql://ada@example.org/tally"],
    "backfill plan": ["--source", "users.jsonl", "--map", "colour=red"],
    "backfill apply": ["--connections", "0"],
    "flags set": ["points", "on"],
}
"""Arguments that are wrong with any database."""


def test_every_command_has_a_row() -> None:
    assert set(ARGUMENTS) == set(EVERY)


@pytest.mark.parametrize("name", sorted(set(ARGUMENTS) - {"probe", "openapi"}))
def test_a_wrong_setting_is_2(name: str) -> None:
    """A probe and the document read no settings: one asks a server by its address, the other is the same everywhere."""
    refused = CliRunner().invoke(main, [*name.split(), *ARGUMENTS[name]], env={"TALLYSTICK_POOL_SIZE": "1"})

    assert (refused.exit_code, refused.stdout) == (2, "")
    assert refused.stderr.startswith("tallystick: TALLYSTICK_POOL_SIZE: ")


@pytest.mark.parametrize("name", sorted(set(WITH_DATABASE) - {"serve"}))
def test_a_database_that_is_out_of_reach_is_1(name: str, connected: Installation) -> None:
    refused = connected.run(*name.split(), *ARGUMENTS[name], DATABASE_URL=FAR_AWAY, DATABASE_DIRECT_URL=FAR_AWAY)

    assert refused.returncode == 1
    assert "the database cannot be reached: " in refused.stdout + refused.stderr
    assert "Traceback" not in refused.stderr
    assert "hunter2" not in refused.stdout + refused.stderr


@pytest.mark.parametrize("name", sorted(set(WITH_DATABASE) - {"restore"}))
def test_a_database_that_is_not_migrated_is_1(name: str, unmigrated: Installation) -> None:
    refused = unmigrated.run(*name.split(), *ARGUMENTS[name], TALLYSTICK_AUTO_MIGRATE="off")

    assert refused.returncode == 1
    assert ("pending" if name == "migrate" else "'tallystick migrate'") in refused.stdout + refused.stderr
    assert "Traceback" not in refused.stderr


@pytest.mark.parametrize("name", sorted(set(WITH_DATABASE) - {"serve", "migrate", "restore"}))
def test_a_data_directory_that_is_not_there_is_1(name: str, tmp_path: Path) -> None:
    """Without DATABASE_URL; `serve`, `migrate` and `restore` create one."""
    environment = {"TALLYSTICK_DATA_DIR": str(tmp_path / "none")}
    refused = CliRunner().invoke(main, [*name.split(), *ARGUMENTS[name]], env=environment)

    assert (refused.exit_code, refused.stdout) == (1, "")
    assert refused.stderr.startswith("tallystick: there is no data directory of a server in ")


@pytest.mark.parametrize("name", REFUSED)
async def test_a_refusal_is_1_and_one_sentence(name: str, dsn: str) -> None:
    arguments = [*name.split(), *REFUSED[name]]
    refused = await asyncio.to_thread(CliRunner().invoke, main, arguments, env=on(dsn))

    assert (refused.exit_code, type(refused.exception)) == (1, SystemExit), refused.output
    if name != "token":  # an explanation is printed, whatever it says
        assert refused.stdout == ""
        assert refused.stderr.splitlines()[-1].startswith("tallystick: ")


@pytest.mark.parametrize("name", IMPLAUSIBLE)
async def test_arguments_that_are_wrong_are_2(name: str, dsn: str) -> None:
    arguments = [*name.split(), *IMPLAUSIBLE[name]]
    wrong = await asyncio.to_thread(CliRunner().invoke, main, arguments, env=on(dsn))

    assert (wrong.exit_code, wrong.stdout) == (2, ""), wrong.output


SPOILT = (
    "ALTER TABLE tallystick.users NO FORCE ROW LEVEL SECURITY; "
    "INSERT INTO tallystick.users (user_id, referrals, created_at) VALUES ('zed', 3, now()); "
    "ALTER TABLE tallystick.invite_uses DROP CONSTRAINT invite_uses_pkey; "
    "SET session_replication_role = replica; DELETE FROM tallystick.referral_codes; "
    "SET session_replication_role = origin"
)


async def test_every_report_has_two_verdicts(dsn: str, spoil: Spoil, tmp_path: Path) -> None:
    """On a sound database each report is 0; on a spoilt one it is 1, in words and in JSON."""
    source = tmp_path / "users.jsonl"
    source.write_text("".join(json.dumps(a_user(name, f"{name}11111".upper())) + "\n" for name in ("ada", "ben")))

    async def status_of(*arguments: str) -> int:
        ran = await asyncio.to_thread(CliRunner().invoke, main, list(arguments), env=on(dsn))
        assert type(ran.exception) in {type(None), SystemExit}, ran.output
        return ran.exit_code

    planned = await asyncio.to_thread(
        CliRunner().invoke, main, ["backfill", "plan", "--source", str(source), "--json"], env=on(dsn)
    )
    plan_hash = str(json.loads(planned.stdout)["plan_hash"])
    assert await status_of("backfill", "apply", "--plan", plan_hash, "--yes") == 0
    assert await status_of("reconcile", "metadata", "--apply") == 0  # what was just imported is mirrored
    reports = (
        ("check",),
        ("invariants",),
        ("reconcile", "invites"),
        ("reconcile", "metadata"),
        ("backfill", "verify", "--plan", plan_hash),
    )

    sound = {report[:2]: await status_of(*report) for report in reports}
    await spoil(SPOILT)
    spoilt = {report[:2]: await status_of(*report) for report in reports}
    in_json = {report[:2]: await status_of(*report, "--json") for report in reports}

    assert sound == dict.fromkeys(sound, 0)
    assert spoilt == dict.fromkeys(sound, 1)
    assert in_json == spoilt


def test_a_token_that_is_refused_is_1_and_a_good_one_is_0(dsn: str) -> None:
    token = CliRunner().invoke(main, ["token", "--sub", "ada"], env=on(dsn)).stdout.strip()
    explain = ["token", "--explain", token]

    assert CliRunner().invoke(main, explain, env=on(dsn)).exit_code == 0
    assert CliRunner().invoke(main, explain, env={**on(dsn), "TALLYSTICK_JWT_SECRET": JWT_SECRET[::-1]}).exit_code == 1


async def test_claims_that_cannot_be_decided_are_3(dsn: str, tmp_path: Path) -> None:
    source = tmp_path / "users.jsonl"
    lines = (a_user("ada", "SAME1111", day=None), a_user("ben", "SAME1111"))
    source.write_text("".join(json.dumps(line) + "\n" for line in lines))

    for more in ([], ["--json"]):
        arguments = ["backfill", "plan", "--source", str(source), *more]
        assert (await asyncio.to_thread(CliRunner().invoke, main, arguments, env=on(dsn))).exit_code == 3
