"""`tallystick users delete`: asked for twice, done once, and reported to people and machines."""

import json
import os
import subprocess
from collections.abc import AsyncIterator

import pytest

from tallystick.adapters.identity.code_digests import CodeDigests
from tallystick.adapters.identity.keys import KeyRing
from tallystick.adapters.telemetry.logs import Pseudonyms
from tallystick.domain.users import Profile
from tests.http.services import JWT_SECRET
from tests.integration.postgres.sessions import pool_on
from tests.processes.installations import Installation
from tests.processes.service import PROGRAM, clean_environment
from tests.worlds.postgres import PostgresBackend
from tests.worlds.world import World

ADA = Profile("ada@example.org", "ada", "Ada", "+4512345678")


@pytest.fixture
async def there(dsn: str) -> AsyncIterator[World]:
    """Return a world on the database of `connected`, where ada was seen."""
    async with pool_on(dsn) as database:
        world = World(PostgresBackend(database))
        await world.arrive("ada", profile=ADA)
        yield world


def answered(connected: Installation, typed: str) -> "subprocess.CompletedProcess[str]":
    """Run the command at a terminal, and type an answer."""
    ours, theirs = os.openpty()
    with os.fdopen(ours, "w") as keyboard, os.fdopen(theirs) as terminal:
        keyboard.write(typed)
        keyboard.flush()
        return subprocess.run(
            [str(PROGRAM), "users", "delete", "ada"],
            cwd=connected.folder,
            env=clean_environment(connected._environment),
            stdin=terminal,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )


async def test_a_user_is_deleted_once_and_the_answer_is_the_same_again(connected: Installation, there: World) -> None:
    first = connected.run("users", "delete", "ada", "--yes", "--json")
    again = connected.run("users", "delete", "ada", "--yes", "--json")

    assert (first.returncode, first.stderr) == (0, "")
    assert json.loads(first.stdout).keys() == {"user_id", "deleted_at"}
    assert again.stdout == first.stdout
    assert await there.profile("ada") == Profile()


async def test_people_read_a_sentence(connected: Installation, there: World) -> None:
    deleted = connected.run("users", "delete", "ada", "--yes")

    assert (deleted.returncode, deleted.stderr) == (0, "")
    assert deleted.stdout.startswith("ada is deleted since 20")


async def test_nothing_is_deleted_where_nobody_can_be_asked(connected: Installation, there: World) -> None:
    refused = connected.run("users", "delete", "ada")

    assert (refused.returncode, refused.stdout) == (2, "")
    assert "--yes" in refused.stderr
    assert await there.profile("ada") == ADA


@pytest.mark.parametrize(("typed", "status", "left"), [("y\n", 0, Profile()), ("n\n", 1, ADA), ("\n", 1, ADA)])
async def test_at_a_terminal_it_asks(
    connected: Installation, there: World, typed: str, status: int, left: Profile
) -> None:
    ran = answered(connected, typed)

    assert ran.returncode == status, ran.stderr
    assert "Delete ada for good from postgresql://" in ran.stderr
    assert await there.profile("ada") == left


async def test_a_user_who_was_never_seen_is_not_found(connected: Installation) -> None:
    refused = connected.run("users", "delete", "adda", "--yes")

    assert (refused.returncode, refused.stdout) == (1, "")
    assert "no such user" in refused.stderr


def test_an_argument_that_names_no_user_is_refused(connected: Installation) -> None:
    refused = connected.run("users", "delete", "a b", "--yes")

    assert (refused.returncode, refused.stdout) == (2, "")
    assert "Traceback" not in refused.stderr


async def test_a_user_is_shown_with_the_hash_of_the_log(connected: Installation, there: World) -> None:
    await there.arrive("ada")
    in_logs = Pseudonyms(KeyRing([JWT_SECRET]).key("pseudonyms")).of("ada")

    shown = json.loads(connected.run("users", "show", "ada", "--json").stdout)
    read = connected.run("users", "show", "ada")
    nobody = json.loads(connected.run("users", "show", "nobody", "--json").stdout)

    assert (shown["in_logs"], shown["deleted_at"], shown["is_referred"]) == ([in_logs], None, False)
    assert shown["created_at"] is not None
    assert (read.returncode, read.stderr) == (0, "")
    assert in_logs in read.stdout
    assert (nobody["created_at"], len(nobody["in_logs"])) == (None, 1)


def test_the_secrets_of_an_embedded_database_are_found(installation: Installation) -> None:
    installation.serve()

    shown = installation.run("users", "show", "ada")
    marked = installation.run("users", "attempts", "ada", "--code", "AB12-CD34")

    assert (shown.returncode, shown.stderr) == (0, "")
    assert (marked.returncode, marked.stderr) == (0, "")


async def test_codes_that_attributed_nothing_are_shown_and_found_by_the_code(
    connected: Installation, there: World
) -> None:
    there.digests = CodeDigests(KeyRing([JWT_SECRET]).keys("attempts"))
    await there.arrive("ada", "typed-wrong")
    there.pass_time(hours=1)
    await there.arrive("ada", await there.mint("ada"))

    shown = json.loads(connected.run("users", "attempts", "ada", "--code", " TYPED wrong", "--json").stdout)["items"]
    read = connected.run("users", "attempts", "ada")
    nobody = connected.run("users", "attempts", "nobody", "--json")
    in_words = connected.run("users", "attempts", "nobody")

    assert [(each["reason"], each["is_code"]) for each in shown] == [("self", False), ("not_found", True)]
    assert (read.returncode, read.stderr) == (0, "")
    assert "not_found" in read.stdout
    assert "TYPED" not in read.stdout.upper()
    assert json.loads(nobody.stdout) == {"items": []}
    assert "no attempt of nobody is stored" in in_words.stdout


def test_attempts_of_an_id_that_is_none_are_refused(connected: Installation) -> None:
    refused = connected.run("users", "attempts", "a b")

    assert refused.returncode == 2
    assert "USER has to be" in refused.stderr
