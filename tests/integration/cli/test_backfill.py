"""`tallystick backfill`, as a team at a terminal and its scripts run it: from the first plan to the way back."""

import asyncio
import json
import os
import re
import signal
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from tallystick.adapters.postgres.backfill import sessions
from tallystick.adapters.postgres.backfill.sessions import PostgresBackfillDatabase, service_session
from tallystick.entrypoints.cli.main import main
from tests.integration.cli.conftest import Spoil, on
from tests.integration.conftest import with_database
from tests.integration.postgres.sessions import database_name, pool_on, session
from tests.processes.installations import Installation, until
from tests.processes.service import PROGRAM, Process, clean_environment
from tests.worlds.moving import a_user
from tests.worlds.postgres import PostgresBackend
from tests.worlds.world import World

ADA, BEN = a_user("ada", "ADA11111", points=40), a_user("ben", "ada-11111", day=2, referred_by="ada")
CONTESTED = [a_user("ada", "SAME1111", day=None), a_user("ben", "SAME1111")]

Backfill = Callable[..., Awaitable[Result]]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Return a file of two users who claim one code."""
    return written(tmp_path / "users.jsonl", ADA, BEN)


@pytest.fixture
def backfill(dsn: str) -> Backfill:
    """Return a function that runs a command on the test's database, where nobody can be asked."""

    async def run(*arguments: str) -> Result:
        return await asyncio.to_thread(CliRunner().invoke, main, ["backfill", *arguments], env=on(dsn))

    return run


@pytest.fixture
async def there(dsn: str) -> AsyncIterator[World]:
    async with pool_on(dsn) as database:
        yield World(PostgresBackend(database))


def written(path: Path, *lines: object) -> Path:
    """Write a source; bytes stand for themselves."""
    encoded = [line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines]
    path.write_bytes(b"".join(line + b"\n" for line in encoded))
    return path


def read(result: Result, status: int = 0) -> dict[str, Any]:
    """Return the one document of a command that ended so."""
    assert result.exit_code == status, result.output
    document: dict[str, Any] = json.loads(result.stdout)
    return document


def refusal(result: Result, status: int = 1) -> str:
    """Return the one sentence of a command that was refused."""
    assert (result.exit_code, result.stdout) == (status, ""), result.output
    sentences = [line for line in result.stderr.splitlines() if line.startswith("tallystick: ")]
    assert len(sentences) == 1, result.stderr
    return sentences[0].removeprefix("tallystick: ")


async def planned(backfill: Backfill, source: Path, *arguments: str) -> str:
    plan_hash: str = read(await backfill("plan", "--source", str(source), "--json", *arguments))["plan_hash"]
    return plan_hash


async def test_machines_go_all_the_way(backfill: Backfill, source: Path, there: World) -> None:
    plan = read(await backfill("plan", "--source", str(source), "--json"))
    assert (plan["state"], plan["malformed_lines"]) == ("planned", [])
    assert (plan["plan"]["users"], plan["plan"]["reminted"], plan["plan"]["points_total"]) == (2, 1, 40)
    plan_hash = plan["plan_hash"]
    named = ("--plan", plan_hash, "--json", "--yes")

    applied = read(await backfill("apply", *named))
    assert (applied["plan_hash"], applied["state"], applied["skipped_lines"]) == (plan_hash, "applied", [])
    assert (applied["done"]["kept"], applied["done"]["reminted"], applied["done"]["edges"]) == (1, 1, 1)
    assert await there.resolve("ada11111") == "canonical"

    proof = read(await backfill("verify", *named))
    assert (proof["holds"], proof["codes"], proof["conflicts"], proof["broken_lines"]) == (True, 2, 1, [])
    assert all(check["holds"] for check in proof["checks"])

    (item,) = read(await backfill("status", "--json"))["items"]
    assert (item["plan_hash"], item["state"], item["source"]) == (plan_hash, "applied", str(source))
    assert read(await backfill("status", "--plan", plan_hash[:8], "--json", "--yes"))["items"] == [item]

    undone = read(await backfill("rollback", *named))
    assert (undone["state"], undone["done"]["codes_removed"], undone["done"]["users_removed"]) == ("rolled_back", 2, 2)
    assert await there.resolve("ADA11111") == "unknown"


async def test_people_read_tables_and_the_next_step(backfill: Backfill, source: Path) -> None:
    nothing = await backfill("status")
    plan = await backfill("plan", "--source", str(source))
    plan_hash = await planned(backfill, source)
    applied = await backfill("apply", "--plan", plan_hash[:12], "--yes")
    proof = await backfill("verify", "--plan", plan_hash[:12])
    listed = await backfill("status")
    undone = await backfill("rollback", "--plan", plan_hash[:12], "--yes")

    assert nothing.stdout == "nothing was planned yet: tallystick backfill plan --source FILE_OR_DSN\n"
    assert "1  codes that several users claim" in plan.stdout
    assert f"plan {plan_hash} is planned\nnext: tallystick backfill apply --plan {plan_hash[:12]}\n" in plan.stdout
    assert "1  codes that are another user's: tallystick export conflicts" in applied.stdout
    assert applied.stdout.endswith(f"is applied; next: tallystick backfill verify --plan {plan_hash[:12]}\n")
    assert proof.stdout.count(" ok") == 9
    assert [plan_hash[:12], "applied"] == listed.stdout.splitlines()[1].split()[:2]
    assert undone.stdout.endswith(f"plan {plan_hash[:12]} is rolled_back\n")
    assert {each.exit_code for each in (nothing, plan, applied, proof, listed, undone)} == {0}


async def test_users_who_did_not_keep_their_code_are_exported(
    backfill: Backfill, connected: Installation, source: Path
) -> None:
    await backfill("apply", "--plan", await planned(backfill, source), "--yes")

    exported = connected.run("export", "conflicts")

    conflict = json.loads(exported.stdout)
    assert (conflict["code"], conflict["user_id"], conflict["kept_by"]) == ("ADA11111", "ben", "ada")


@pytest.mark.parametrize("command", ["apply", "rollback"])
async def test_nothing_changes_where_nobody_can_be_asked(
    backfill: Backfill, source: Path, there: World, command: str
) -> None:
    plan_hash = await planned(backfill, source)
    if command == "rollback":
        await backfill("apply", "--plan", plan_hash, "--yes")
    before = await there.resolve("ADA11111")

    for more in ([], ["--json"]):
        assert "--yes" in refusal(await backfill(command, "--plan", plan_hash, *more), 2)

    assert await there.resolve("ADA11111") == before


async def test_claims_that_nobody_can_rule_on_are_listed(backfill: Backfill, tmp_path: Path) -> None:
    source = written(tmp_path / "users.jsonl", *CONTESTED)

    shown = await backfill("plan", "--source", str(source))
    document = read(await backfill("plan", "--source", str(source), "--json"), 3)

    assert shown.exit_code == 3
    assert [line.split()[:2] for line in shown.stdout.splitlines()[1:]] == [["SAME1111", "ben"], ["SAME1111", "ada"]]
    assert "nothing was planned" in shown.stderr
    assert document["unresolved"] == 2
    assert [item["user_id"] for item in document["items"]] == ["ben", "ada"]
    assert read(await backfill("status", "--json"))["items"] == []


async def test_lines_that_cannot_be_read_stop_apply_unless_they_may_be_skipped(
    backfill: Backfill, tmp_path: Path, there: World
) -> None:
    source = written(tmp_path / "users.jsonl", b"{", ADA, b'{"user_id": "\xff"}')
    plan = read(await backfill("plan", "--source", str(source), "--json"))
    lines = [{"line": 1, "reason": "the line is not a JSON object"}, {"line": 3, "reason": "the line is not UTF-8"}]
    assert plan["malformed_lines"] == lines
    named = ("--plan", plan["plan_hash"], "--yes")

    sentence = refusal(await backfill("apply", *named))
    assert sentence.startswith("2 lines cannot be read, the first is line 1 (the line is not a JSON object)")
    assert "--skip-malformed" in sentence
    assert await there.resolve("ADA11111") == "unknown"

    skipped = await backfill("apply", *named, "--skip-malformed")
    assert (
        "lines that were skipped:\n  line 1: the line is not a JSON object\n  line 3: the line is not UTF-8\n"
        in skipped.stdout
    )
    assert read(await backfill("apply", *named, "--skip-malformed", "--json"))["skipped_lines"] == lines
    assert await there.resolve("ADA11111") == "canonical"


async def test_equal_faults_are_one_line(backfill: Backfill, tmp_path: Path) -> None:
    latin = '{"user_id": "ada", "display_name": "Ren\u00e9e"}'.encode("cp1252")
    source = written(tmp_path / "users.jsonl", *[b"{"] * 25, latin, *(a_user(f"user{n}", "?") for n in range(21)))

    shown = await backfill("plan", "--source", str(source))
    document = read(await backfill("plan", "--source", str(source), "--json"))

    assert (
        "  25 lines (1, 2, 3, 4, 5, ...): the line is not a JSON object\n  line 26: the line is not UTF-8\n"
        in shown.stdout
    )
    assert "iconv -f WINDOWS-1252 -t UTF-8" in shown.stdout
    assert "  line 46\n  and 1 more\n" in shown.stdout
    assert document["malformed_reasons"] == [
        {"reason": "the line is not a JSON object", "lines": 25, "first_lines": [1, 2, 3, 4, 5]},
        {"reason": "the line is not UTF-8", "lines": 1, "first_lines": [26]},
    ]


@pytest.mark.parametrize("lines", [[], [b""], [b"{"] * 40, [{"code": "ADA11111"}]])
async def test_a_source_without_a_user_is_no_plan(backfill: Backfill, tmp_path: Path, lines: list[object]) -> None:
    source = written(tmp_path / "users.jsonl", *lines)

    shown = await backfill("plan", "--source", str(source))
    document = read(await backfill("plan", "--source", str(source), "--json"), 1)

    assert shown.exit_code == 1
    assert "nothing was planned" in shown.stderr
    assert sum(fault["lines"] for fault in document["malformed_reasons"]) == len([line for line in lines if line])
    assert read(await backfill("status", "--json"))["items"] == []


async def test_the_numbers_of_a_plan_add_up(backfill: Backfill, tmp_path: Path) -> None:
    source = written(
        tmp_path / "users.jsonl",
        *(b"{", a_user("ada", "ADA11111"), a_user("ben", "ada-11111", day=2, referred_by="ada")),
        *(a_user("cyd", "?"), a_user("dan", " "), a_user("eve"), a_user("fay", "FAY11111", referred_by="nobody1")),
        a_user("gus", "GUS11111", deleted_at="2024-05-31T08:30:00Z"),
    )

    shown = await backfill("plan", "--source", str(source))

    for total, meaning, expected in (
        (8, "lines in the source", {3: "with a code", 1: "that cannot be read"}),
        (6, "users", {2: "who keep their code of the source", 3: "who get their first code"}),
        (2, "referrals in the source", {1: "left out: no user has it"}),
    ):
        parts = numbers_below(shown.stdout, f"{total}  {meaning}")
        assert sum(parts.values()) == total, shown.stdout
        assert {parts[each] for each in expected.values()} == set(expected)


def numbers_below(screen: str, headline: str) -> dict[str, int]:
    """Return the indented numbers that stand under one of a table, by their meaning."""
    lines = [line.strip() for line in screen.splitlines()]
    parts = {}
    for line in lines[lines.index(headline) + 1 :]:
        match = re.fullmatch(r"(\d+)    (\S.*)", line)
        if match is None:
            break
        parts[match[2]] = int(match[1])
    return parts


async def test_words_for_no_value_are_missing_values(backfill: Backfill, tmp_path: Path, there: World) -> None:
    source = tmp_path / "users.csv"
    source.write_bytes(
        b'\xef\xbb\xbf"user_id";"code";"username";"referred_by"\r\nada;NULL;null;N/A\r\nben;BEN11111;ben;ada\r\n'
    )

    shown = await backfill("plan", "--source", str(source))
    plan = read(await backfill("plan", "--source", str(source), "--json"))
    assert "see --null: NULL (1), null (1), N/A (1)" in shown.stdout
    assert plan["plan"]["absent_words"] == {"NULL": 1, "null": 1, "N/A": 1}
    assert (plan["plan"]["missing"], plan["plan"]["kept"], plan["plan"]["edges"]["rows"]) == (1, 1, 1)

    await backfill("apply", "--plan", plan["plan_hash"], "--yes")
    assert await there.resolve("NULL") == "unknown"
    assert (await backfill("verify", "--plan", plan["plan_hash"])).exit_code == 0

    own = read(await backfill("plan", "--source", str(source), "--json", "--null", ""))["plan"]
    assert (own["absent_words"], own["missing"]) == ({}, 0)


async def test_only_machines_read_checksums(backfill: Backfill, source: Path) -> None:
    plan_hash = await planned(backfill, source)
    await backfill("apply", "--plan", plan_hash, "--yes")

    shown, document = (
        await backfill("verify", "--plan", plan_hash),
        await backfill("verify", "--plan", plan_hash, "--json"),
    )

    (brought,) = [check for check in read(document)["checks"] if check["name"] == "points_brought"]
    assert re.fullmatch(r"1 rows, -?\d+", brought["expected"])
    assert brought["expected"].partition(", ")[2] not in shown.stdout
    assert "1 rows" in shown.stdout


async def test_a_plan_is_found_by_its_beginning(backfill: Backfill, source: Path, dsn: str) -> None:
    plan_hash = await planned(backfill, source)

    for command in ("apply", "verify", "rollback", "status"):
        yes = () if command == "status" else ("--yes",)
        assert "at least 8 characters" in refusal(await backfill(command, "--plan", plan_hash[:7], *yes))
        assert "'tallystick backfill status' lists them" in refusal(await backfill(command, "--plan", "0" * 64, *yes))
    async with service_session(dsn) as connection:
        await connection.execute(
            "INSERT INTO tallystick.backfill_runs (run, plan_hash, state, source_hash, plan, planned_at) "
            "SELECT run + 1, left(plan_hash, 63) || 'x', state, source_hash, plan, planned_at "
            "FROM tallystick.backfill_runs"
        )

    refused = refusal(await backfill("status", "--plan", plan_hash[:12]))
    assert refused == "two plans start with this hash; give more of it"
    assert len(read(await backfill("status", "--plan", plan_hash, "--json"))["items"]) == 1


async def test_a_command_that_does_not_fit_the_state_of_the_run_is_refused(backfill: Backfill, source: Path) -> None:
    plan_hash = await planned(backfill, source)

    assert "this run is planned" in refusal(await backfill("verify", "--plan", plan_hash))
    assert "nothing to roll back" in refusal(await backfill("rollback", "--plan", plan_hash, "--yes"))
    await backfill("apply", "--plan", plan_hash, "--yes")
    await backfill("rollback", "--plan", plan_hash, "--yes")
    assert "plan again" in refusal(await backfill("apply", "--plan", plan_hash, "--yes"))


async def test_a_source_may_move_but_not_change(backfill: Backfill, source: Path, tmp_path: Path) -> None:
    plan_hash = await planned(backfill, source)
    moved = source.rename(tmp_path / "moved [b] file.jsonl")  # noqa: ASYNC240  nothing else runs
    changed = written(tmp_path / "changed.jsonl", ADA)
    named = ("--plan", plan_hash, "--yes")

    assert refusal(await backfill("apply", *named)) == "the file cannot be read: No such file or directory"
    assert "has changed since" in refusal(await backfill("apply", *named, "--source", str(changed)))
    assert (await backfill("apply", *named, "--source", str(moved))).exit_code == 0
    assert "cannot be read" in refusal(await backfill("verify", "--plan", plan_hash))
    assert "has changed since" in refusal(await backfill("verify", "--plan", plan_hash, "--source", str(changed)))
    assert (await backfill("verify", "--plan", plan_hash, "--source", str(moved))).exit_code == 0
    assert (await backfill("rollback", *named)).exit_code == 0


async def test_names_that_look_like_markup_are_shown_as_they_are(backfill: Backfill, tmp_path: Path) -> None:
    folder = tmp_path / "["
    folder.mkdir()
    source = written(folder / "red].jsonl", {"user_id": "ada", "[/bold]": 1, "[dim]": 2})

    plan = await backfill("plan", "--source", str(source))
    listed = await backfill("status")

    assert "columns that are not used: [/bold], [dim]\n" in plan.stdout
    assert "/[/red].jsonl" in listed.stdout


async def test_columns_of_a_table_are_named(backfill: Backfill, tmp_path: Path) -> None:
    source = tmp_path / "users.CSV"
    source.write_text("id,ref,age\nada,ADA11111,3\n", encoding="utf-8")
    text = source.rename(tmp_path / "users.txt")

    assert "--map user_id=NAME" in refusal(await backfill("plan", "--source", str(text), "--format", "csv"))
    plan = read(
        await backfill(
            *("plan", "--source", str(text), "--format", "csv", "--json"),
            *("--map", "user_id=id", "--map", "code=ref", "--chunk", "1"),
        )
    )["plan"]
    assert (plan["kept"], plan["ignored_columns"]) == (1, ["age"])
    assert (plan["options"]["kind"], plan["options"]["names"]) == ("csv", {"user_id": "id", "code": "ref"})
    upper = text.rename(source)
    assert read(await backfill("plan", "--source", str(upper), "--map", "user_id=id", "--json"))["plan"]["minted"] == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ["plan"],
        ["plan", "--source", "x", "--map", "code"],
        ["plan", "--source", "x", "--map", "kode=x"],
        ["plan", "--source", "x", "--format", "xml"],
        ["plan", "--source", "x", "--chunk", "0"],
        ["plan", "--source", "x", "--referred-by", "name"],
        ["plan", "--source", "postgresql://h/db", "--map", "code=x"],
        ["plan", "--source", "postgresql://h/db", "--format", "csv"],
        ["apply"],
        ["apply", "--plan", "0" * 64, "--connections", "9"],
        ["verify"],
        ["rollback"],
        ["status", "x"],
        ["undo"],
    ],
)
async def test_nonsense_is_refused_before_anything_is_done(arguments: list[str]) -> None:
    refused = await asyncio.to_thread(
        CliRunner().invoke, main, ["backfill", *arguments], env=on("postgresql://nowhere:1/x")
    )

    assert (refused.exit_code, refused.stdout) == (2, "")
    assert refused.stderr


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (
            "plan",
            ["the latest code is canonical", "the earliest keeps it", "user_id", "nothing that is served changes"],
        ),
        ("apply", ["After an interruption", "--skip-malformed"]),
        ("verify", ["Exits with 1"]),
        ("rollback", ["stay as aliases", "planned again"]),
        ("status", ["the state of each"]),
        ("", ["plan", "apply", "verify", "rollback", "status", "with 3"]),
    ],
)
def test_help_teaches(command: str, words: list[str]) -> None:
    shown = CliRunner().invoke(main, ["backfill", *command.split(), "--help"], env={"COLUMNS": "200"})

    assert shown.exit_code == 0
    assert [word for word in words if word not in " ".join(shown.stdout.split())] == []


async def test_a_source_that_is_a_database_needs_its_password_each_time(
    backfill: Backfill, server: tuple[str, str], dsn: str, spoil: Spoil
) -> None:
    await spoil(
        "CREATE SCHEMA auth; CREATE TABLE auth.users (id text, meta int, raw_user_meta_data jsonb); "
        "INSERT INTO auth.users VALUES ('ada', 1, '{\"ref\": \"ADA11111\"}')"
    )
    place = with_database(server[0], database_name(dsn))
    plan = read(await backfill("plan", "--source", place, "--metadata-field", "ref", "--json"))
    assert (plan["plan"]["kept"], plan["plan"]["options"]["metadata_field"]) == (1, "ref")

    applied = await backfill("apply", "--plan", plan["plan_hash"], "--yes", "--source", place)
    assert applied.exit_code == 0, applied.output
    assert (await backfill("verify", "--plan", plan["plan_hash"], "--source", place)).exit_code == 0


async def test_a_second_runner_is_sent_away(
    backfill: Backfill, source: Path, dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sessions, "WAIT_SECONDS", 0.3)
    plan_hash = await planned(backfill, source)

    async with PostgresBackfillDatabase(dsn).session() as rival, rival.only_runner():
        for arguments in (("plan", "--source", str(source)), ("apply", "--plan", plan_hash, "--yes")):
            assert "another backfill runs" in refusal(await backfill(*arguments))


@pytest.mark.parametrize(
    ("typed", "status", "code"), [("y\n", 0, "canonical"), ("n\n", 1, "unknown"), ("\n", 1, "unknown")]
)
async def test_at_a_terminal_it_asks(
    connected: Installation, backfill: Backfill, source: Path, there: World, typed: str, status: int, code: str
) -> None:
    plan_hash = await planned(backfill, source)

    ran, screen = await asyncio.to_thread(at_a_terminal, connected, typed, "apply", "--plan", plan_hash)

    assert ran == status, screen
    assert re.search(r"Move 2 users into postgresql://tallystick@\S*/tallystick\S*\? \[y/N\]", screen), screen
    assert ("nothing was changed" in screen) is (status == 1)
    assert await there.resolve("ADA11111") == code


async def test_at_a_terminal_a_bar_shows_how_it_goes_on(
    connected: Installation, backfill: Backfill, source: Path
) -> None:
    plan_hash = await planned(backfill, source)

    _, screen = await asyncio.to_thread(at_a_terminal, connected, "", "apply", "--plan", plan_hash, "--yes")

    assert "\x1b[" in screen
    assert "━" in screen
    assert "users/s" in screen


async def test_elsewhere_progress_is_plain_lines(backfill: Backfill, source: Path) -> None:
    plan = await backfill("plan", "--source", str(source), "--json")
    plan_hash = json.loads(plan.stdout)["plan_hash"]
    applied = await backfill("apply", "--plan", plan_hash, "--yes", "--json")

    assert plan.stderr == "planning: 100%\n"
    first, *lines = applied.stderr.splitlines()
    assert first == "reading the source once more: 100%"
    assert lines[-1].startswith("moving in: 100%, ")
    assert lines[-1].endswith(" users/s")
    assert "\x1b" not in plan.stderr + applied.stderr


async def test_ctrl_c_ends_with_a_sentence_and_it_goes_on_from_there(
    connected: Installation, backfill: Backfill, tmp_path: Path, dsn: str, there: World
) -> None:
    source = written(tmp_path / "users.jsonl", *(a_user(f"user{n}", f"CODE{n}") for n in range(6)))
    plan_hash = await planned(backfill, source, "--chunk", "2")
    async with session(dsn) as holder:
        await holder.execute("BEGIN; SET LOCAL ROLE tallystick_app")
        # The second chunk waits for this user.
        await holder.execute("INSERT INTO tallystick.users (user_id, created_at) VALUES ('user3', now())")
        environment = connected._environment
        arguments = ("backfill", "apply", "--plan", plan_hash, "--yes", "--connections", "1")
        runner = Process(*arguments, folder=connected.folder, environment=environment)
        await asyncio.to_thread(until, lambda: None if runner.is_running and not waits(dsn) else True)
        status = await asyncio.to_thread(runner.end, signal.SIGINT)
        await holder.execute("ROLLBACK")

    assert status == 130, runner.output
    assert runner.output.splitlines()[-1].startswith("tallystick: stopped; ")
    assert "Traceback" not in runner.output
    (item,) = read(await backfill("status", "--json"))["items"]
    assert (item["state"], item["done"]["users"]) == ("applying", 2)

    again = read(await backfill("apply", "--plan", plan_hash, "--yes", "--json"))
    assert (again["state"], again["done"]["users"]) == ("applied", 6)
    assert await there.resolve("CODE5") == "canonical"


async def test_without_a_database_of_its_own_it_uses_the_embedded_one(
    installation: Installation, tmp_path: Path
) -> None:
    source = str(written(tmp_path / "users.jsonl", ADA))
    assert (await asyncio.to_thread(installation.run, "migrate")).returncode == 0

    plan = await asyncio.to_thread(installation.run, "backfill", "plan", "--source", source, "--json")
    assert plan.returncode == 0, plan.stderr
    plan_hash = json.loads(plan.stdout)["plan_hash"]
    server = installation.start()
    await asyncio.to_thread(server.wait_until_listening)
    applied = await asyncio.to_thread(installation.run, "backfill", "apply", "--plan", plan_hash, "--yes")
    proof = await asyncio.to_thread(installation.run, "backfill", "verify", "--plan", plan_hash)

    assert (applied.returncode, proof.returncode) == (0, 0), applied.stderr + proof.stderr
    assert installation.code_of("ada", server) == "ADA11111"


async def test_a_database_that_was_never_migrated_is_a_sentence(unmigrated: Installation, source: Path) -> None:
    for arguments in (["plan", "--source", str(source)], ["apply", "--plan", "0" * 64, "--yes"], ["status"]):
        refused = await asyncio.to_thread(unmigrated.run, "backfill", *arguments)

        assert (refused.returncode, refused.stdout) == (1, "")
        assert "'tallystick migrate'" in refused.stderr
        assert "Traceback" not in refused.stderr


def waits(dsn: str) -> bool:
    """Return whether a backfill waits for a lock."""

    async def ask() -> bool:
        async with session(dsn) as connection:
            query = (
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
                "AND application_name = 'tallystick backfill' AND wait_event_type = 'Lock'"
            )
            return bool(await connection.fetchval(query))

    return asyncio.run(ask())


def at_a_terminal(connected: Installation, typed: str, *arguments: str) -> tuple[int, str]:
    """Run a command at a terminal where something is typed; return its status and what was shown."""
    ours, theirs = os.openpty()
    with os.fdopen(ours, "r+b", buffering=0) as screen, os.fdopen(theirs) as terminal:
        screen.write(typed.encode())
        ran = subprocess.run(
            [str(PROGRAM), "backfill", *arguments],
            cwd=connected.folder,
            env=clean_environment({**connected._environment, "TERM": "xterm"}),
            stdin=terminal,
            stdout=terminal,
            stderr=terminal,
            timeout=60,
            check=False,
        )
        return ran.returncode, screen.read(65536).decode(errors="replace")
