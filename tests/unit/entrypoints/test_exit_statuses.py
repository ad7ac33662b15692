"""How commands end: the same failure ends every command with the same status, one sentence, and nobody's data in it."""

import re
from pathlib import Path

import asyncpg
import pytest
import rich_click as click
from click.testing import CliRunner, Result

from tallystick.adapters.embedded.cluster import ClusterError
from tallystick.adapters.postgres.backups.programs import BackupError
from tallystick.adapters.postgres.connecting import Unreachable
from tallystick.adapters.postgres.migrating.migrator import MigrationRefused
from tallystick.application.backfill_chunks import SourceChanged
from tallystick.application.backfill_ports import RunnerBusy
from tallystick.application.transactions import StoreUnavailable, TransactionAborted
from tallystick.domain.legacy_sources import SourceError
from tallystick.domain.refusals import OutcomeUnknown, Overloaded
from tallystick.domain.users import UserNotFound
from tallystick.entrypoints.cli.exit_statuses import MEANINGS, ExitStatus
from tallystick.entrypoints.cli.main import main
from tallystick.entrypoints.settings import SettingsError
from tests.commands import EVERY

ROOT = Path(__file__).parents[3]

FAILURES: tuple[tuple[BaseException, ExitStatus], ...] = (
    (SettingsError("TALLYSTICK_POOL_SIZE: has to be from 2"), ExitStatus.WRONG),
    (ClusterError("no data directory"), ExitStatus.NO),
    (Unreachable("the database cannot be reached"), ExitStatus.NO),
    (MigrationRefused("migrations are pending"), ExitStatus.NO),
    (BackupError("pg_dump failed"), ExitStatus.NO),
    (ConnectionResetError(104, "Connection reset by peer"), ExitStatus.NO),
    (asyncpg.DeadlockDetectedError("deadlock detected"), ExitStatus.NO),
    (asyncpg.ConnectionDoesNotExistError("connection was closed"), ExitStatus.NO),
    (asyncpg.InterfaceError("connection is closed"), ExitStatus.NO),
    (TransactionAborted("lock time-out", sqlstate="55P03"), ExitStatus.NO),
    (StoreUnavailable("disk full"), ExitStatus.NO),
    (Overloaded(), ExitStatus.NO),
    (OutcomeUnknown(), ExitStatus.NO),
    (UserNotFound(), ExitStatus.NO),
    (RunnerBusy(), ExitStatus.NO),
    (SourceChanged(), ExitStatus.NO),
    (SourceError("the file cannot be read"), ExitStatus.NO),
    (KeyboardInterrupt(), ExitStatus.INTERRUPTED),
    (click.Abort(), ExitStatus.INTERRUPTED),
)


def ended(name: str, error: BaseException) -> Result:
    """Run a command that fails like this with any arguments."""

    def fail(**_: object) -> None:
        raise error

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(EVERY[name], "callback", fail)
        patch.setattr(EVERY[name], "params", [])
        return CliRunner().invoke(main, name.split())


@pytest.mark.parametrize("name", EVERY)
def test_the_same_failure_ends_every_command_with_the_same_status(name: str) -> None:
    for error, status in FAILURES:
        result = ended(name, error)

        assert (result.exit_code, result.stdout) == (status, ""), (error, result.output)
        assert result.stderr.startswith("tallystick: "), error
        assert len(result.stderr.splitlines()) == 1, error


def test_a_bug_is_not_hidden() -> None:
    assert isinstance(ended("invariants", ValueError("a bug")).exception, ValueError)


def test_details_of_the_database_stay_there() -> None:
    error = asyncpg.UniqueViolationError("duplicate key value [users_email_key]")
    error.detail = "Key (email_key)=(ada@example.com) already exists."
    assert "ada@example.com" in str(error)

    result = ended("invariants", error)

    assert result.stderr == "tallystick: duplicate key value [users_email_key] (SQLSTATE 23505)\n"


@pytest.mark.parametrize(
    ("error", "sentence"),
    [(FileNotFoundError(2, "No such file", "x"), "[Errno 2] No such file: 'x'"), (OSError(), "OSError")],
)
def test_other_errors_say_what_they_say(error: Exception, sentence: str) -> None:
    assert ended("invariants", error).stderr == f"tallystick: {sentence}\n"


def test_a_reader_who_closes_the_pipe_needs_no_sentence() -> None:
    result = ended("invariants", BrokenPipeError(32, "Broken pipe"))

    assert (result.exit_code, result.stderr) == (1, "")


def test_every_status_is_explained_by_the_program_and_in_the_docs() -> None:
    shown = " ".join(CliRunner().invoke(main, ["--help"], env={"COLUMNS": "200"}).stdout.split())
    page = (ROOT / "docs/operations.md").read_text(encoding="utf-8")

    assert set(MEANINGS) == set(ExitStatus)
    for status, meaning in MEANINGS.items():
        assert f"{status.value}: {meaning}" in shown
        assert f"| {status.value} | {meaning} |" in page


def test_no_command_has_a_status_of_its_own() -> None:
    numbers = re.compile(r"SystemExit\(\d|exit\([1-9]")

    for file in (ROOT / "src/entrypoints/cli").glob("*.py"):
        assert not numbers.search(file.read_text(encoding="utf-8")), file
