"""`tallystick check` and `tallystick invariants`: would a server start here, and are the promises kept."""

import json

import pytest

from application.invariants import PROMISES
from tests.installations import Installation
from tests.integration.cli.conftest import Spoil
from tests.services import JWT_SECRET

UNGUARDED = "ALTER TABLE tallystick.users NO FORCE ROW LEVEL SECURITY"
MISCOUNTED = "INSERT INTO tallystick.users (user_id, referrals, created_at) VALUES ('ada', 3, now())"
BROKEN = "referrals_are_edges"


async def test_a_sound_database_is_ok_and_a_spoilt_one_is_not(connected: Installation, spoil: Spoil) -> None:
    sound = connected.run("check")
    assert sound.returncode == 0
    assert sound.stdout.startswith("ok  ")

    await spoil(f"{UNGUARDED}; GRANT TRUNCATE ON tallystick.referral_edges TO tallystick_app")

    spoilt = connected.run("check")
    assert spoilt.returncode == 1
    assert spoilt.stdout.splitlines() == [
        "no  row level security is not forced on: users",
        "no  the service may change what is history: referral_edges",
    ]


async def test_machines_are_told_the_reasons_in_json(connected: Installation, spoil: Spoil) -> None:
    await spoil(UNGUARDED)

    spoilt = connected.run("check", "--json")

    assert spoilt.returncode == 1
    assert json.loads(spoilt.stdout) == {"ok": False, "reasons": ["row level security is not forced on: users"]}


def test_a_check_names_the_secret_that_a_server_would_miss(installation: Installation, dsn: str) -> None:
    refused = installation.run("check", DATABASE_URL=dsn, TALLYSTICK_JWT_SECRET=JWT_SECRET)

    assert refused.returncode == 2
    assert refused.stderr.startswith("tallystick: TALLYSTICK_WEBHOOK_SECRETS ")


def test_a_check_of_a_new_database_says_what_to_run(unmigrated: Installation) -> None:
    refused = unmigrated.run("check")

    assert refused.returncode == 1
    assert "'tallystick migrate'" in refused.stdout


def test_a_check_of_a_database_that_is_out_of_reach_says_so(connected: Installation) -> None:
    refused = connected.run("check", "--json", DATABASE_URL="postgresql://ada:hunter2@127.0.0.1:1/tally")

    assert refused.returncode == 1
    assert json.loads(refused.stdout) == {"ok": False, "reasons": ["the database cannot be reached"]}
    assert "hunter2" not in refused.stderr


async def test_promises_that_are_kept_and_broken_are_counted(connected: Installation, spoil: Spoil) -> None:
    kept = connected.run("invariants")
    assert kept.returncode == 0
    for promise in PROMISES.values():
        assert promise in kept.stdout

    await spoil(MISCOUNTED)

    broken = connected.run("invariants")
    assert broken.returncode == 1
    rows = {line.strip().rpartition(" ")[0].strip(): line.split()[-1] for line in broken.stdout.splitlines()[1:]}
    assert rows == {promise: "1" if name == BROKEN else "0" for name, promise in PROMISES.items()}


async def test_machines_are_told_the_promises_in_json(connected: Installation, spoil: Spoil) -> None:
    await spoil(MISCOUNTED)

    broken = connected.run("invariants", "--json")

    assert broken.returncode == 1
    assert json.loads(broken.stdout) == {
        "kept": False,
        "items": [
            {"name": name, "promise": promise, "violations": int(name == BROKEN)} for name, promise in PROMISES.items()
        ],
    }


@pytest.mark.parametrize("arguments", [["invariants"], ["invariants", "--json"]])
def test_promises_of_a_new_database_cannot_be_counted(unmigrated: Installation, arguments: list[str]) -> None:
    refused = unmigrated.run(*arguments)

    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr.startswith("tallystick: ")
    assert "Traceback" not in refused.stderr
