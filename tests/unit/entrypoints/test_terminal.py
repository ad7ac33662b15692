"""How commands end: with a sentence and a status, and nothing of anybody in it."""

import asyncpg
import pytest

from tallystick.entrypoints.cli.terminal import named_errors


def test_details_of_the_database_stay_there(capsys: pytest.CaptureFixture[str]) -> None:
    error = asyncpg.UniqueViolationError("duplicate key value [users_email_key]")
    error.detail = "Key (email_key)=(ada@example.com) already exists."
    assert "ada@example.com" in str(error)

    with pytest.raises(SystemExit) as ended, named_errors(asyncpg.PostgresError):
        raise error

    assert ended.value.code == 1
    assert capsys.readouterr().err == "tallystick: duplicate key value [users_email_key] (SQLSTATE 23505)\n"


@pytest.mark.parametrize(
    ("error", "sentence"),
    [(FileNotFoundError(2, "No such file", "x"), "[Errno 2] No such file: 'x'"), (OSError(), "OSError")],
)
def test_other_errors_say_what_they_say(error: Exception, sentence: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit), named_errors(OSError):
        raise error

    assert capsys.readouterr().err == f"tallystick: {sentence}\n"


def test_what_nobody_foresaw_is_not_hidden() -> None:
    with pytest.raises(ValueError, match="a bug"), named_errors(OSError):
        raise ValueError("a bug")
