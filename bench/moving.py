"""Moving in: a backfill of many users, compared with a bare COPY of the same rows into one indexed table."""

import os
import random
import subprocess
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import msgspec

from bench.database import Database, cluster, empty, program
from bench.report import Row, Say, row
from bench.servers import PROGRAM, ServerFailed, clean_environment
from tallystick.domain.codes import CROCKFORD

COPY_AIM = 0.5
MOST_SECONDS = 60.0
MOST_MEGABYTES = 300.0
_FIRST_DAY = datetime(2024, 1, 1, tzinfo=UTC)
_BARE = (
    'CREATE TABLE bare (user_id text COLLATE "C" PRIMARY KEY, code text COLLATE "C", created_at timestamptz);\n'
    "\\copy bare FROM '{file}'\n"
)


class Plan(NamedTuple):
    """The number of imported users, and of rounds."""

    users: int
    rounds: int


FULL = Plan(users=1_000_000, rounds=3)
QUICK = Plan(users=100_000, rounds=1)


class Spent(NamedTuple):
    """The time and memory of a command."""

    seconds: float
    megabytes: float


def measure(folder: Path, say: Say, plan: Plan) -> list[Row]:
    """Import in several rounds, each into an empty database, in turns with the bare COPY."""
    tidy, messy = _files(folder, plan.users)
    applied, planned, verified, copied = list[Spent](), list[Spent](), list[Spent](), list[Spent]()
    with cluster(folder / "database") as made:
        for number in range(plan.rounds):
            say(f"moving in, round {number + 1} of {plan.rounds}")
            database = empty(made, f"moving_{number}")
            if number % 2:
                copied.append(_copy(database, tidy.with_suffix(".tsv")))
            planned.append(_backfill(database, "plan", "--source", str(tidy)))
            applied.append(_backfill(database, "apply", "--yes", "--plan", _hash(database)))
            verified.append(_backfill(database, "verify", "--plan", _hash(database)))
            if not number % 2:
                copied.append(_copy(database, tidy.with_suffix(".tsv")))
            database.check()
        say("moving in with a messy source")
        database = empty(made, "moving_messy")
        _backfill(database, "plan", "--source", str(messy))
        mess = _backfill(database, "apply", "--yes", "--skip-malformed", "--plan", _hash(database))
        _backfill(database, "verify", "--plan", _hash(database))
        database.check()
    pairs = list(zip(applied, copied, strict=True))
    most = max(spent.megabytes for spent in (*applied, *planned, *verified, mess))
    users = f"{plan.users:,} users"
    return [
        row(
            f"backfill of {users}",
            "a bare COPY into one indexed table",
            [(plan.users / spent.seconds, plan.users / copy.seconds) for spent, copy in pairs],
            unit="users/s",
            at_least=COPY_AIM,
            note="the whole command `backfill apply`, with its start and its check of the source",
        ),
        row(
            "the same with a messy source",
            "a bare COPY into one indexed table",
            [(plan.users / mess.seconds, plan.users / copied[-1].seconds)],
            unit="users/s",
            note="duplicates of three, several lines of one user, no code, codes without a normal form, bad lines",
        ),
        _within(f"backfill plan of {users}", planned),
        _within(f"backfill verify of {users}", verified),
        row(
            "memory of a backfill",
            f"{MOST_MEGABYTES:.0f} MB",
            [(most, MOST_MEGABYTES)],
            unit="MB",
            at_most=1.0,
            note="the maximum of all commands",
        ),
    ]


def _within(name: str, spent: list[Spent]) -> Row:
    rounds = [(each.seconds, MOST_SECONDS) for each in spent]
    return row(name, f"{MOST_SECONDS:.0f} s", rounds, unit="s", at_most=1.0)


def _backfill(database: Database, *arguments: str) -> Spent:
    return _timed(database, [str(PROGRAM), "backfill", *arguments], "")


def _copy(database: Database, file: Path) -> Spent:
    return _timed(database, [program("psql"), "-X", "-q", "-v", "ON_ERROR_STOP=1"], _BARE.format(file=file))


def _timed(database: Database, command: list[str], said: str) -> Spent:
    """Run a program to its end, and return its time and memory; ServerFailed if it failed."""
    database.run("CHECKPOINT;", "superuser")  # so that no command pays for the writes before it
    environment = {**database.environment("owner"), **clean_environment(), "DATABASE_URL": database.url}
    began = time.monotonic()
    process = subprocess.Popen(
        command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    if process.stdin is None or process.stderr is None:
        raise AssertionError("both are pipes")
    with process.stdin as stdin:
        stdin.write(said.encode())
    with process.stderr as stderr:
        errors = stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise ServerFailed(f"{command[0]} failed: {errors.decode(errors='replace').strip()}")
    return Spent(time.monotonic() - began, usage.ru_maxrss * 1024 / 1_000_000)


def _hash(database: Database) -> str:
    return database.run("SELECT plan_hash FROM tallystick.backfill_runs ORDER BY run DESC LIMIT 1;")


def _files(folder: Path, users: int) -> tuple[Path, Path]:
    """Write the rows as JSON Lines and in the format of COPY, and a messy source with as many lines."""
    tidy, messy = folder / "users.jsonl", folder / "messy.jsonl"
    with tidy.open("wb") as lines, tidy.with_suffix(".tsv").open("w", encoding="ascii") as rows:
        for user_id, code, created_at in _users(users):
            lines.write(msgspec.json.encode({"user_id": user_id, "code": code, "created_at": created_at}) + b"\n")
            rows.write(f"{user_id}\t{code}\t{created_at.isoformat()}\n")
    with messy.open("wb") as lines:
        for number, (user_id, code, created_at) in enumerate(_users(users)):
            line = _messy(number, user_id, code) | {"created_at": created_at}
            lines.write(b"\xff\n" if number % 1000 == 0 else msgspec.json.encode(line) + b"\n")
    return tidy, messy


def _users(number: int) -> Iterator[tuple[str, str, datetime]]:
    chance = random.Random(1)
    for second in range(number):
        user_id = str(uuid.UUID(int=chance.getrandbits(128), version=4))
        yield user_id, "".join(chance.choices(CROCKFORD, k=8)), _FIRST_DAY + timedelta(seconds=second)


def _messy(number: int, user_id: str, code: str) -> dict[str, object]:
    """Break some of the lines, each kind of fault in another place."""
    match number % 20:
        case 1 | 2 | 3:
            code = f"TRIO{number // 20:07}"
        case 4:
            user_id, code = f"twice-{number // 40}", f"{number:09}"
        case 5:
            code = ""
        case 6:
            return {"user_id": user_id}
        case 7:
            code = f" {code[:4].lower()}-{code[4:]} "
        case 8:
            code *= 8
        case _:
            pass
    return {"user_id": user_id, "code": code}
