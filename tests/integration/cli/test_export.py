"""`tallystick export`: to a pipe or to a file, whole or not at all."""

import csv
import json
import os
import signal
import stat
import subprocess
from collections.abc import AsyncIterator
from contextlib import nullcontext
from pathlib import Path

import pytest

from tallystick.entrypoints.cli.outputs import opened
from tests.integration.cli.conftest import Spoil
from tests.integration.postgres.sessions import pool_on, session
from tests.processes.installations import Installation, until_true
from tests.processes.service import PROGRAM, Process, clean_environment
from tests.worlds.postgres import PostgresBackend
from tests.worlds.world import World

LONGEST = "Z" * 32
MANY = """
SET ROLE tallystick_app;
INSERT INTO tallystick.users (user_id, created_at) SELECT 'user' || n, now() FROM generate_series(1, 20000) AS n;
INSERT INTO tallystick.referral_codes (code, user_id, is_canonical, created_at)
SELECT 'CODE' || n, 'user' || n, true, now() FROM generate_series(1, 20000) AS n
"""

CONFLICT = """
SET session_replication_role = replica;
INSERT INTO tallystick.code_conflicts VALUES ('SAME1111', 'ben', 'ada', 'duplicate', 1, now())
"""


@pytest.fixture
async def there(dsn: str) -> AsyncIterator[World]:
    """Return a world on the database of `connected`, with two codes."""
    async with pool_on(dsn) as database:
        world = World(PostgresBackend(database))
        await world.mint("ada", candidates=["0012E34"])
        await world.mint("bob", candidates=[LONGEST])
        yield world


def shell(connected: Installation, command: str) -> "subprocess.CompletedProcess[str]":
    """Run a command line, in which `tallystick` is the program."""
    return subprocess.run(
        ["/bin/bash", "-o", "pipefail", "-c", command.replace("tallystick", str(PROGRAM))],
        cwd=connected.folder,
        env=clean_environment(connected._environment),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def mode_of(file: Path) -> int:
    return stat.S_IMODE(file.stat().st_mode)


def left(connected: Installation) -> list[str]:
    return sorted(file.name for file in connected.folder.iterdir())


async def test_rows_go_to_standard_output_and_nothing_else_does(connected: Installation, there: World) -> None:
    lines = connected.run("export", "codes")
    table = connected.run("export", "codes", "--format", "csv")

    assert (lines.returncode, lines.stderr) == (0, "codes: 2 rows\n")
    assert [json.loads(line)["code"] for line in lines.stdout.splitlines()] == ["0012E34", LONGEST]
    assert [row["user_id"] for row in csv.DictReader(table.stdout.splitlines())] == ["ada", "bob"]


@pytest.mark.parametrize("kind", ["codes", "aliases", "edges", "entries", "conflicts"])
async def test_every_kind_can_be_exported(connected: Installation, there: World, spoil: Spoil, kind: str) -> None:
    await there.arrive("cid", LONGEST)
    await there.remint("ada")
    await there.grant("ada")
    await spoil(CONFLICT)

    exported = connected.run("export", kind)

    assert exported.returncode == 0, exported.stderr
    assert exported.stdout.endswith("}\n")


async def test_a_file_has_the_mode_of_all_new_files_and_machines_get_its_content_in_json(
    connected: Installation, there: World
) -> None:
    finished = connected.run("export", "codes", "--output", "codes.jsonl", "--json")

    assert (finished.returncode, finished.stderr) == (0, "")
    assert json.loads(finished.stdout) == {"kind": "codes", "format": "jsonl", "rows": 2, "output": "codes.jsonl"}
    file = connected.folder / "codes.jsonl"
    assert len(file.read_text(encoding="utf-8").splitlines()) == 2
    (connected.folder / "another").touch()
    assert mode_of(file) == mode_of(connected.folder / "another")
    assert left(connected) == ["another", "codes.jsonl"]


async def test_a_link_is_followed_and_its_target_keeps_its_mode(connected: Installation, there: World) -> None:
    (connected.folder / "dir").mkdir()
    link, file = connected.folder / "link.jsonl", connected.folder / "dir" / "codes.jsonl"
    link.symlink_to("dir/codes.jsonl")

    assert connected.run("export", "codes", "--output", "link.jsonl").returncode == 0
    file.chmod(0o640)
    refused = connected.run("export", "codes", "--output", "link.jsonl", "--format", "csv")
    assert (refused.returncode, "--force" in refused.stderr) == (2, True)
    assert connected.run("export", "codes", "--output", "link.jsonl", "--format", "csv", "--force").returncode == 0

    assert link.is_symlink()
    assert file.read_text(encoding="utf-8").startswith("code,user_id")
    assert mode_of(file) == 0o640
    assert [each.name for each in (connected.folder / "dir").iterdir()] == ["codes.jsonl"]


async def test_a_dash_is_standard_output(connected: Installation, there: World) -> None:
    ran = connected.run("export", "codes", "--output", "-")

    assert (ran.returncode, len(ran.stdout.splitlines())) == (0, 2)
    assert left(connected) == []


@pytest.mark.parametrize(
    ("output", "sentence"),
    [
        ("/dev/null", "standard output"),
        ("pipe", "standard output"),
        ("missing/codes.jsonl", "there is no folder missing"),
        ("loop", "leads to itself"),
    ],
)
def test_an_output_that_cannot_be_a_file_is_refused_before_anything_is_read(
    connected: Installation, output: str, sentence: str
) -> None:
    os.mkfifo(connected.folder / "pipe")
    (connected.folder / "loop").symlink_to("loop")

    refused = connected.run("export", "codes", "--output", output, "--force")

    assert (refused.returncode, refused.stdout) == (2, "")
    assert sentence in refused.stderr
    assert "Traceback" not in refused.stderr
    assert left(connected) == ["loop", "pipe"]


@pytest.mark.parametrize(("how", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
async def test_one_that_gets_a_signal_leaves_no_file(
    connected: Installation, there: World, dsn: str, how: signal.Signals, status: int
) -> None:
    async with session(dsn) as owner, owner.transaction():
        await owner.execute("LOCK tallystick.referral_codes")
        exporting = Process(
            "export", "codes", "--output", "codes.jsonl", folder=connected.folder, environment=connected._environment
        )
        until_true(lambda: len(left(connected)) == 1)

        assert exporting.end(how) == status, exporting.output

    assert left(connected) == []
    assert "Traceback" not in exporting.output


async def test_a_file_that_is_there_is_replaced_only_by_force(connected: Installation, there: World) -> None:
    file = connected.folder / "codes.csv"
    file.write_text("mine", encoding="utf-8")
    arguments = ("export", "codes", "--format", "csv", "--output", "codes.csv")

    refused = connected.run(*arguments)
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "--force" in refused.stderr
    assert file.read_text(encoding="utf-8") == "mine"

    assert connected.run(*arguments, "--force").returncode == 0
    assert file.read_text(encoding="utf-8").startswith("code,user_id")
    assert left(connected) == ["codes.csv"]


async def test_an_export_that_fails_leaves_no_file(connected: Installation, there: World, dsn: str) -> None:
    async with session(dsn) as owner:
        await owner.execute("REVOKE SELECT ON tallystick.referral_codes FROM tallystick_app")

    failed = connected.run("export", "codes", "--output", "codes.jsonl")

    assert failed.returncode == 1
    assert "Traceback" not in failed.stderr
    assert left(connected) == []


async def test_a_reader_who_has_enough_ends_it_quietly(connected: Installation, dsn: str) -> None:
    async with session(dsn) as owner:
        await owner.execute(MANY)

    ran = shell(connected, "{ tallystick export codes; echo status $? >&2; } | head -n 1")

    assert json.loads(ran.stdout)["code"] == "CODE1"
    assert ran.stderr == "status 1\n"


async def test_a_reader_who_is_gone_before_it_begins_is_no_error_either(connected: Installation, there: World) -> None:
    ran = without_a_reader(connected, "export", "codes")

    assert (ran.returncode, ran.stderr) == (1, b"")


def test_a_file_that_comes_meanwhile_is_left_as_it_is(tmp_path: Path) -> None:
    output = tmp_path / "codes.jsonl"

    with pytest.raises(FileExistsError), opened(output, is_to_replace=False) as file:
        file.write(b"ours")
        output.write_bytes(b"theirs")

    assert output.read_bytes() == b"theirs"
    assert list(tmp_path.iterdir()) == [output]


@pytest.mark.parametrize("is_there", [False, True])
def test_where_there_are_no_hard_links_a_file_is_not_replaced_either(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_there: bool
) -> None:
    def no_link(_old: Path, _new: Path) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr("os.link", no_link)
    output = tmp_path / "codes.jsonl"
    refused = pytest.raises(FileExistsError) if is_there else nullcontext()

    with refused, opened(output, is_to_replace=False) as file:
        file.write(b"ours")
        if is_there:
            output.write_bytes(b"theirs")

    assert output.read_bytes() == (b"theirs" if is_there else b"ours")
    assert list(tmp_path.iterdir()) == [output]
    (tmp_path / "another").touch()
    assert mode_of(output) == mode_of(tmp_path / "another")


@pytest.mark.parametrize(
    "arguments",
    [["users"], ["codes", "--format", "xml"], ["codes", "--json"], ["codes", "--json", "--output", "-"]],
)
def test_a_kind_that_cannot_be_exported_is_refused(connected: Installation, arguments: list[str]) -> None:
    refused = connected.run("export", *arguments)

    assert (refused.returncode, refused.stdout) == (2, "")
    assert "Traceback" not in refused.stderr


async def test_at_a_terminal_progress_is_shown_beside_the_file(connected: Installation, there: World) -> None:
    ran, shown = at_a_terminal(connected, "export", "codes", "--output", "codes.jsonl")

    assert (ran.returncode, ran.stdout) == (0, b"")
    assert "\x1b[" in shown
    assert "codes: 2 rows" in shown


def at_a_terminal(connected: Installation, *arguments: str) -> "tuple[subprocess.CompletedProcess[bytes], str]":
    """Run a command whose standard error is a terminal, and return what that shows."""
    ours, theirs = os.openpty()
    with os.fdopen(ours, "rb", buffering=0) as screen, os.fdopen(theirs) as terminal:
        ran = subprocess.run(
            [str(PROGRAM), *arguments],
            cwd=connected.folder,
            env=clean_environment({**connected._environment, "TERM": "xterm"}),
            stderr=terminal,
            stdout=subprocess.PIPE,
            timeout=60,
            check=False,
        )
        return ran, screen.read(65536).decode()


def without_a_reader(connected: Installation, *arguments: str) -> "subprocess.CompletedProcess[bytes]":
    """Run a command into a pipe that nobody reads."""
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as pipe:
        return subprocess.run(
            [str(PROGRAM), *arguments],
            cwd=connected.folder,
            env=clean_environment(connected._environment),
            stdout=pipe,
            stderr=subprocess.PIPE,
            timeout=60,
            check=False,
        )
