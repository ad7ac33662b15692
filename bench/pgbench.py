"""`pgbench` calls the stored functions: the speed of the database without a service."""

import re
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import mean
from typing import NamedTuple

from bench.client import WrongAnswer
from bench.database import (
    CHANNEL_PREFIX,
    FIRST_CHANNEL,
    FIRST_REWARD,
    FIRST_USER,
    REWARD_PREFIX,
    REWARDS,
    Database,
    program,
)
from bench.drivers import Slot

ORDERS = 1000
"""Orders of one batch."""
_THREADS = 2
_START_SECONDS = 60.0
_SHOWN = 500
_PROGRESS = re.compile(r"^progress: [\d.]+ s, ([\d.]+) tps", re.MULTILINE)
_DONE = re.compile(r"^number of transactions actually processed: (\d+)", re.MULTILINE)
_RATE = re.compile(r"^tps = ([\d.]+) \(without", re.MULTILINE)
_FAILED = re.compile(r"^number of failed transactions: ([1-9]\d*)", re.MULTILINE)


class Script(NamedTuple):
    """The transaction that every client repeats."""

    name: str
    text: str
    per_transaction: int = 1


def purchases(database: Database) -> Script:
    """Return the script of purchases: any user, any reward."""
    return Script(
        "purchases",
        f"\\set user random({FIRST_USER}, {FIRST_USER + database.users - 1})\n"
        f"\\set reward random({FIRST_REWARD}, {FIRST_REWARD + REWARDS - 1})\n"
        f"SELECT * FROM bench.purchase('user_' || :user, '{REWARD_PREFIX}' || :reward);\n",
    )


def redemptions(database: Database, clients: int) -> Script:
    """Return the script of redemptions: one invite, and a new user in each call. Needs the variables code and place."""
    stride = database.users // clients
    return Script(
        "redemptions",
        "\\set place :place + 1\n"
        f"SELECT * FROM bench.redeem('user_' || ({FIRST_USER - 1} + :client_id * {stride} + :place), :code);\n",
    )


def batches(database: Database) -> Script:
    """Return the script of batches: each transaction calls the function for a thousand orders."""
    user = f"'user_' || ({FIRST_USER} + floor(random() * {database.users}))::bigint"
    reward = f"'{REWARD_PREFIX}' || ({FIRST_REWARD} + floor(random() * {REWARDS}))::bigint"
    drawn = f"SELECT array_agg({user}) AS users, array_agg({reward}) AS rewards FROM generate_series(1, {ORDERS})"
    return Script("batches", f"SELECT bench.purchase_many(o.users, o.rewards) FROM ({drawn}) AS o;\n", ORDERS)


def awards(database: Database, player: str | None = None) -> Script:
    """Return the script of awards: any player, or always the same one, and a new award in each call."""
    drawn = f"\\set user random({FIRST_USER}, {FIRST_USER + database.users - 1})\n" if player is None else ""
    who = f"'{player}'" if player is not None else "'user_' || :user"
    return Script(
        "awards", f"{drawn}SELECT * FROM bench.award({who}, 'staff_' || :client_id, 7, gen_random_uuid()::text);\n"
    )


def accruals(database: Database) -> Script:
    """Return the script of accruals: each transaction calls the function for a thousand events."""
    user = f"'user_' || ({FIRST_USER} + floor(random() * {database.users}))::bigint"
    drawn = f"SELECT array_agg({user}) AS players, array_agg(gen_random_uuid()::text) AS keys"
    many = f"{drawn} FROM generate_series(1, {ORDERS})"
    return Script("accruals", f"SELECT bench.award_many(e.players, e.keys) FROM ({many}) AS e;\n", ORDERS)


def sends(channels: int, members: int) -> Script:
    """Return the script of messages: any of so many channels, or the hot one where there are none, and any member."""
    first = 1 if channels else 0
    return Script(
        "sends",
        f"\\set room random({first}, {channels})\n"
        f"\\set member random(0, {members - 1})\n"
        f"SELECT bench.send('{CHANNEL_PREFIX}' || ({FIRST_CHANNEL} + :room), 'member_' || :room || '_' || :member, "
        "'A message of some thirty letters');\n",
    )


def drive(
    database: Database,
    folder: Path,
    script: Script,
    *,
    clients: int,
    seconds: int,
    variables: Mapping[str, str | int] | None = None,
) -> Slot:
    """Run a script at full speed; the rate leaves out the first second, in which plans are made."""
    file = folder / f"{script.name}.pgbench"
    file.write_text(script.text, encoding="ascii")
    command = [program("pgbench"), "--no-vacuum", "--protocol=prepared", "--progress=1", f"--file={file}"]
    command += [f"--client={clients}", f"--jobs={min(_THREADS, clients)}", f"--time={seconds}"]
    command += [f"--define={name}={value}" for name, value in (variables or {}).items()]
    try:
        done = subprocess.run(
            command,
            env=database.environment(),
            capture_output=True,
            check=False,
            timeout=_START_SECONDS + seconds,
            cwd=folder,
        )
    except subprocess.TimeoutExpired:
        raise WrongAnswer("pgbench did not end in time") from None
    printed, complaints = done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")
    rates = [float(rate) for rate in _PROGRESS.findall(complaints)]
    counted = _DONE.search(printed)
    if done.returncode != 0 or counted is None or not rates or _FAILED.search(printed):
        raise WrongAnswer(f"pgbench: {complaints.strip()[-_SHOWN:]}")
    number, whole = int(counted[1]), _RATE.search(printed)
    # A batch of a thousand orders takes long: plans hardly matter, and whole seconds would count too few batches.
    # A run of one second may end with a line about its last milliseconds, in which nothing was committed.
    is_whole = whole is not None and (script.per_transaction > 1 or seconds == 1)
    steady = float(whole[1]) if is_whole and whole is not None else mean(rates[1:] or rates)
    return Slot(number * script.per_transaction, number / steady, 0.0)


def best(slots: Mapping[int, Sequence[Slot]]) -> int:
    """Return the number of clients with the highest rate."""
    return max(slots, key=lambda clients: mean(slot.per_second for slot in slots[clients]))
