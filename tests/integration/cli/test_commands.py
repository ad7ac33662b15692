"""The commands of `tallystick` as a whole: they explain themselves, and get along with a server that runs."""

import json
from importlib.metadata import version

import pytest
import rich_click as click
from click.testing import CliRunner

from tallystick.entrypoints.cli.main import main
from tests.commands import EVERY
from tests.processes.installations import Installation, answer

COMMANDS = {
    "serve",
    "migrate",
    "token",
    "openapi",
    "check",
    "invariants",
    "probe",
    "runbook",
    "reconcile invites",
    "freeze",
    "thaw",
    "backfill plan",
    "backfill apply",
    "backfill verify",
    "backfill rollback",
    "backfill status",
    "export",
    "backup",
    "restore",
    "users delete",
    "users attempts",
    "users show",
    "flags",
    "flags set",
    "reconcile metadata",
    *(f"backfill {word}" for word in ("plan", "apply", "verify", "rollback", "status")),
}


def test_every_command_that_is_promised_is_there() -> None:
    assert set(EVERY) == COMMANDS


@pytest.mark.parametrize("name", sorted(EVERY))
@pytest.mark.parametrize("asked", ["--help", "-h"])
def test_every_command_explains_itself_and_its_options(name: str, asked: str) -> None:
    explained = CliRunner().invoke(main, [*name.split(), asked], env={"COLUMNS": "200"})

    assert explained.exit_code == 0
    assert explained.stderr == ""
    for parameter in EVERY[name].params:
        for spelling in parameter.opts if isinstance(parameter, click.Option) else [parameter.name.upper()]:
            assert spelling in explained.stdout


@pytest.mark.parametrize("name", sorted(EVERY))
def test_every_command_and_option_says_what_it_is_for(name: str) -> None:
    command = EVERY[name]

    assert command.help
    assert [option.name for option in command.params if isinstance(option, click.Option) and not option.help] == []


def test_every_command_that_answers_a_question_can_answer_in_json() -> None:
    without = [name for name, command in EVERY.items() if "as_json" not in {p.name for p in command.params}]

    assert sorted(without) == ["openapi", "serve"]  # a document is JSON already


def test_the_program_explains_itself(installation: Installation) -> None:
    explained = installation.run("--help")

    assert explained.returncode == 0
    for name in main.list_commands(click.Context(main)):
        assert f" {name} " in explained.stdout
    assert not installation.data.exists()


def test_the_program_says_which_version_it_is(installation: Installation) -> None:
    said = installation.run("--version")

    assert (said.returncode, said.stdout) == (0, f"tallystick, version {version('tallystick')}\n")


@pytest.mark.parametrize("arguments", [["brew"], ["token"], ["serve", "--port", "65536"], ["migrate", "--force"]])
def test_a_command_that_is_none_is_refused(arguments: list[str]) -> None:
    assert CliRunner().invoke(main, arguments).exit_code == 2


def test_commands_share_the_database_of_a_server_that_runs(installation: Installation) -> None:
    server = installation.serve()
    code = installation.code_of("ada", server)
    postmaster = installation.postmaster

    migrated = installation.run("migrate", "--json")
    checked = installation.run("check", "--json")
    counted = installation.run("invariants", "--json")
    reconciled = installation.run("reconcile", "invites", "--json")

    assert json.loads(migrated.stdout) == {"applied": [], "waiting": []}
    assert json.loads(checked.stdout)["ok"] is True
    assert json.loads(counted.stdout)["kept"] is True
    assert json.loads(reconciled.stdout) == {"repaired": False, "has_key": True, "items": []}
    assert installation.postmaster == postmaster
    assert answer(server.address, "/readyz") is not None
    assert installation.code_of("ada", server) == code


def test_a_command_without_a_server_runs_the_database_for_as_long_as_it_needs_it(installation: Installation) -> None:
    migrated = installation.run("migrate", "--json")
    assert json.loads(migrated.stdout)["applied"] != []
    assert installation.postmaster is None

    checked = installation.run("check")
    assert checked.returncode == 0, checked.stdout
    assert installation.postmaster is None
