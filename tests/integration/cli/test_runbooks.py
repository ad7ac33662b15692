"""Runbooks are executable: the blocks of a page are run as they stand, and the incident is over."""

import re
import subprocess
from pathlib import Path
from textwrap import dedent

from click.testing import CliRunner

from tallystick.entrypoints.cli.main import main
from tests.integration.cli.conftest import on
from tests.integration.conftest import service_of
from tests.processes.service import PROGRAM, clean_environment

PAGES = Path(__file__).parents[3] / "docs/runbooks"
BLOCK = re.compile(r"^( *)```sh\n(.*?)^ *```", re.DOTALL | re.MULTILINE)


def script_of(page: str) -> str:
    """Return the commands of a runbook."""
    text = (PAGES / f"{page}.md").read_text(encoding="utf-8")
    return "".join(dedent(block) for _, block in BLOCK.findall(text))


def followed(page: str, folder: Path, environment: dict[str, str]) -> "subprocess.CompletedProcess[str]":
    """Run the commands of a runbook, up to the first that fails."""
    path = {"PATH": f"{PROGRAM.parent}:/usr/local/bin:/usr/bin:/bin"}
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script_of(page)],
        cwd=folder,
        env=clean_environment({**environment, **path}),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_a_lost_database_is_restored(dsn: str, empty_dsn: str, tmp_path: Path) -> None:
    backup = tmp_path / "a.dump"
    assert CliRunner().invoke(main, ["backup", str(backup)], env=on(dsn)).exit_code == 0
    secrets = {name: value for name, value in on(dsn).items() if not name.startswith("DATABASE_")}
    urls = {"OWNER_URL": empty_dsn, "SERVICE_URL": service_of(empty_dsn)}

    done = followed("restore", tmp_path, {**secrets, **urls, "BACKUP": str(backup)})

    assert done.returncode == 0, done.stdout + done.stderr
    assert [line for line in done.stdout.splitlines() if line.startswith("restored into ")] != []
    assert followed("restore", tmp_path, {**secrets, **urls}).returncode != 0
