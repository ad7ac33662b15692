"""Data directories: three commands create one; every other command looks for one, and says where it looked."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from tallystick.entrypoints.cli.main import main
from tests.commands import EVERY
from tests.processes.installations import Installation

ARGUMENTS = {
    "backfill plan": ["--source", "users.jsonl"],
    "backfill apply": ["--plan", "0123456789", "--yes"],
    "backfill verify": ["--plan", "0123456789"],
    "backfill rollback": ["--plan", "0123456789", "--yes"],
    "export": ["codes"],
    "backup": ["a.dump"],
    "flags set": ["points_enabled", "on"],
    "freeze": ["ada"],
    "migrate": ["--check"],
    "runbook": ["invite-counter"],
    "thaw": ["ada"],
    "token": ["--sub", "ada"],
    "users attempts": ["ada"],
    "users show": ["ada"],
    "users delete": ["ada", "--yes"],
}
WITHOUT_DATA = {"serve", "probe", "restore", "openapi"}
LOOKING = sorted(set(EVERY) - set(WITHOUT_DATA))


@pytest.mark.parametrize("name", LOOKING)
def test_a_command_in_another_folder_creates_nothing_and_says_where_it_looked(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "users.jsonl").write_text('{"user_id": "ada"}\n')
    monkeypatch.chdir(tmp_path)

    refused = CliRunner().invoke(main, [*name.split(), *ARGUMENTS.get(name, [])])

    assert refused.exit_code == 1, refused.output
    assert f"there is no data directory of a server in {tmp_path / '.tallystick'}" in refused.stderr
    assert "TALLYSTICK_DATA_DIR" in refused.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["users.jsonl"]


def test_a_server_says_where_its_data_is_and_commands_find_it_by_that(installation: Installation) -> None:
    server = installation.serve()
    code = installation.code_of("ada", server)

    assert f"data directory: {installation.data.resolve()}\n" in server.output
    elsewhere = installation.folder / "elsewhere"
    elsewhere.mkdir()
    found = Installation(elsewhere, {"TALLYSTICK_DATA_DIR": str(installation.data)}).run("export", "codes")
    assert found.returncode == 0, found.stderr
    assert json.loads(found.stdout)["code"] == code
    assert list(elsewhere.iterdir()) == []


def test_a_probe_takes_a_port(installation: Installation) -> None:
    server = installation.serve("--store", "memory")
    port = server.address.rpartition(":")[2]

    assert installation.run("probe", "--port", port).returncode == 0
