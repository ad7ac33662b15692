"""`tallystick check` and `tallystick invariants`: would a server start here, and are the promises kept."""

import json
from typing import get_args

import pytest

from tallystick.application.invariants import PROMISES
from tallystick.application.readiness import CheckName
from tests.http.services import JWT_SECRET
from tests.integration.cli.conftest import Spoil
from tests.integration.postgres.sessions import login_of
from tests.processes.installations import Installation

CHECKS = get_args(CheckName)
UNGUARDED = "ALTER TABLE tallystick.users NO FORCE ROW LEVEL SECURITY"
MISCOUNTED = "INSERT INTO tallystick.users (user_id, referrals, created_at) VALUES ('ada', 3, now())"
BROKEN = "referrals_are_edges"
OF_USERS = {"one_code_each", "living_codes_resolve", "verified_users_exist"}
"""Other promises about tables that have a row then."""


def states(output: str) -> dict[str, str]:
    """Return what each check came to, as the table says."""
    return {
        topic: line.split()[0] for topic in CHECKS for line in output.splitlines() if line[4:].strip().startswith(topic)
    }


async def test_a_sound_database_is_ok_and_a_spoilt_one_is_not(connected: Installation, spoil: Spoil) -> None:
    sound = connected.run("check")
    assert sound.returncode == 0
    assert states(sound.stdout) == {**dict.fromkeys(CHECKS, "ok"), "rate limits": "note", "proxies": "note"}

    await spoil(f"{UNGUARDED}; GRANT TRUNCATE ON tallystick.referral_edges TO tallystick_app")

    spoilt = connected.run("check")
    assert spoilt.returncode == 1
    assert states(spoilt.stdout)["schema"] == "no"
    assert "row level security is not forced on: users" in spoilt.stdout
    assert "the service may change what is history: referral_edges" in spoilt.stdout


async def test_machines_get_the_reasons_in_json(connected: Installation, spoil: Spoil) -> None:
    await spoil(UNGUARDED)

    spoilt = connected.run("check", "--json")

    assert spoilt.returncode == 1
    report = json.loads(spoilt.stdout)
    assert (report["ok"], report["reasons"]) == (False, ["row level security is not forced on: users"])
    assert [row["check"] for row in report["checks"] if row["state"] == "no"] == ["schema"]


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
    (reason,) = json.loads(refused.stdout)["reasons"]
    assert reason.startswith("the database cannot be reached: ")
    assert "check the host, the port and the firewall" in reason
    assert "hunter2" not in refused.stdout + refused.stderr


def test_a_check_quotes_the_server_where_it_refuses_the_login(connected: Installation, dsn: str) -> None:
    stranger = login_of(dsn, "nobody", "hunter2")

    refused = [connected.run(command, DATABASE_DIRECT_URL=stranger) for command in ("migrate", "check")]
    refused.append(connected.run("check", "--json", DATABASE_URL=stranger))

    for ran in refused:
        assert ran.returncode == 1
        assert 'password authentication failed for user "nobody"' in (ran.stdout + ran.stderr).replace("\\", "")
        assert "SQLSTATE 28P01" in ran.stdout + ran.stderr
        assert "check the user and the password" in ran.stdout + ran.stderr
        assert "hunter2" not in ran.stdout + ran.stderr


def test_a_check_asks_the_storage_of_rate_limits(connected: Installation) -> None:
    refused = connected.run("check", TALLYSTICK_RATE_LIMIT_STORAGE="valkey://:hunter2@127.0.0.1:1")

    assert refused.returncode == 1
    assert states(refused.stdout)["rate limits"] == "no"
    assert "TALLYSTICK_RATE_LIMIT_STORAGE is out of reach" in refused.stdout
    assert "Connect call failed" in refused.stdout
    assert "hunter2" not in refused.stdout


def test_a_check_says_that_each_process_counts_requests_by_itself(connected: Installation) -> None:
    checked = connected.run("check", "--json")

    assert checked.returncode == 0
    (row,) = [row for row in json.loads(checked.stdout)["checks"] if row["check"] == "rate limits"]
    (reason,) = row["reasons"]
    assert row["state"] == "note"
    assert reason.startswith("each process counts requests by itself and grants the whole limit")
    assert reason.endswith("set TALLYSTICK_RATE_LIMIT_STORAGE to a Valkey or Redis")


def test_a_check_says_which_proxies_are_believed(connected: Installation) -> None:
    checked = connected.run("check", TALLYSTICK_TRUSTED_PROXIES="10.0.0.0/8")

    assert states(checked.stdout)["proxies"] == "ok"


def found(output: str) -> dict[str, str]:
    """Return what the table says of each promise, by its name."""
    return {
        name: line.partition(promise)[2].strip()
        for name, promise in PROMISES.items()
        for line in output.splitlines()
        if promise in line
    }


async def test_promises_that_are_kept_and_broken_are_counted(connected: Installation, spoil: Spoil) -> None:
    kept = connected.run("invariants")
    assert (kept.returncode, found(kept.stdout)) == (0, dict.fromkeys(PROMISES, "no rows"))
    for promise in PROMISES.values():
        assert promise in kept.stdout

    await spoil(MISCOUNTED)

    broken = connected.run("invariants")
    assert broken.returncode == 1
    assert found(broken.stdout) == {
        name: "1" if name == BROKEN else "0" if name in OF_USERS else "no rows" for name in PROMISES
    }
    assert "ada" not in broken.stdout


async def test_machines_get_the_promises_in_json(connected: Installation, spoil: Spoil) -> None:
    await spoil(MISCOUNTED)

    broken = connected.run("invariants", "--json")

    assert broken.returncode == 1
    assert json.loads(broken.stdout) == {
        "kept": False,
        "items": [
            {
                "name": name,
                "promise": promise,
                "violations": int(name == BROKEN),
                "state": "broken" if name == BROKEN else "holds" if name in OF_USERS else "empty",
            }
            for name, promise in PROMISES.items()
        ],
    }


async def test_broken_rows_are_named_when_asked_for_and_only_the_first_of_them(
    connected: Installation, spoil: Spoil
) -> None:
    await spoil(
        "INSERT INTO tallystick.users (user_id, referrals, created_at) "
        "SELECT 'user' || lpad(n::text, 2, '0'), 3, now() FROM generate_series(1, 23) AS n"
    )
    first = [f"user{number:02}" for number in range(1, 21)]

    named = connected.run("invariants", "--ids")
    in_json = connected.run("invariants", "--ids", "--json")

    assert named.returncode == in_json.returncode == 1
    assert f"{BROKEN}: {', '.join(first)} and 3 more" in named.stdout
    (item,) = [item for item in json.loads(in_json.stdout)["items"] if "rows" in item]
    assert (item["name"], item["rows"], item["more"]) == (BROKEN, first, 3)


async def test_rows_that_a_policy_hides_are_not_taken_for_kept_promises(connected: Installation, spoil: Spoil) -> None:
    await spoil(f"{MISCOUNTED}; DROP POLICY users_service ON tallystick.users")

    hidden = connected.run("invariants")

    assert hidden.returncode == 1
    assert found(hidden.stdout)[BROKEN] == "hidden"
    assert found(hidden.stdout)["overlays_end_once"] == "no rows"
    assert "a policy of row level security can hide rows from this role" in hidden.stdout


@pytest.mark.parametrize("arguments", [["invariants"], ["invariants", "--json"]])
def test_promises_of_a_new_database_cannot_be_counted(unmigrated: Installation, arguments: list[str]) -> None:
    refused = unmigrated.run(*arguments)

    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr.startswith("tallystick: ")
    assert "Traceback" not in refused.stderr
