"""`tallystick flags`: shown to people and machines, switched for every server, refused with a reason."""

import json
from typing import Any

import pytest

from tallystick.domain.flags import Flag
from tallystick.domain.users import is_user_id
from tests.processes.installations import Installation, paused, until, until_ready, workers_of
from tests.processes.service import Process
from tests.worlds.switchboards import DEFAULTS


def listed(connected: Installation, *arguments: str, **environment: str) -> dict[str, dict[str, Any]]:
    ran = connected.run("flags", *arguments, "--json", **environment)
    assert ran.returncode == 0, ran.stderr
    return {item["name"]: item for item in json.loads(ran.stdout)["items"]}


def test_people_read_the_state_and_the_effect_of_each_flag(connected: Installation) -> None:
    connected.run("flags", "set", "points_enabled", "off")

    shown = connected.run("flags", COLUMNS="400", TALLYSTICK_FLAGS="webhook_enabled=off")

    assert shown.returncode == 0
    rows = {line.split()[0]: line for line in shown.stdout.splitlines()[1:]}
    assert list(rows) == list(Flag)
    assert rows["table_as_sot"].split()[1] == "on"
    assert rows["webhook_enabled"].split()[1:3] == ["off", "pinned"]
    assert "(command line)" in rows["points_enabled"]
    assert all(flag.meaning in rows[flag] for flag in Flag)


def test_nothing_but_a_meaning_is_broken_where_the_terminal_is_narrow(connected: Installation) -> None:
    state = listed(connected, "set", "points_enabled", "off")["points_enabled"]

    shown = connected.run("flags", COLUMNS="40").stdout

    assert state["updated_by"] in shown
    assert all(flag in shown for flag in Flag)
    assert "…" not in shown


def test_machines_get_json(connected: Installation) -> None:
    nobody = {"updated_at": None, "updated_by": None}

    shown = listed(connected, TALLYSTICK_FLAGS="webhook_enabled=off")

    assert shown == {
        flag: {"name": flag, "enabled": is_on, "pinned": False, **nobody} for flag, is_on in DEFAULTS.items()
    } | {"webhook_enabled": {"name": "webhook_enabled", "enabled": False, "pinned": True, **nobody}}


def test_a_switch_is_kept_with_its_author_and_its_time(connected: Installation) -> None:
    switched = listed(connected, "set", "points_enabled", "off")

    assert switched.keys() == {"points_enabled"}
    state = switched["points_enabled"]
    assert (state["enabled"], state["pinned"]) == (False, False)
    assert state["updated_by"].endswith(" (command line)")
    assert not is_user_id(state["updated_by"])
    assert listed(connected)["points_enabled"] == state
    assert listed(connected, "set", "points_enabled", "on")["points_enabled"]["enabled"] is True


def test_machines_may_ask_for_json_before_the_command_too(connected: Installation) -> None:
    ran = connected.run("flags", "--json", "set", "points_enabled", "off")

    assert [item["name"] for item in json.loads(ran.stdout)["items"]] == ["points_enabled"]


@pytest.mark.parametrize(
    ("arguments", "pins", "status", "reason"),
    [
        (["mint_in_referral_api", "on"], "", 1, "GET /api/referral never writes"),
        (["points_enabled", "off"], "points_enabled=on", 1, "TALLYSTICK_FLAGS"),
        (["points_enabled", "on"], "points_enabled=on", 1, "TALLYSTICK_FLAGS"),
        (["points", "on"], "", 2, "points_enabled"),
        (["points_enabled", "maybe"], "", 2, "on"),
        (["points_enabled"], "", 2, "STATE"),
    ],
)
def test_a_refusal_says_why_and_switches_nothing(
    connected: Installation, arguments: list[str], pins: str, status: int, reason: str
) -> None:
    refused = connected.run("flags", "set", *arguments, TALLYSTICK_FLAGS=pins)

    assert (refused.returncode, refused.stdout) == (status, "")
    assert reason in refused.stderr
    assert "Traceback" not in refused.stderr
    assert {name: item["updated_at"] for name, item in listed(connected).items()} == dict.fromkeys(Flag)


@pytest.mark.parametrize("arguments", [["flags"], ["flags", "set", "points_enabled", "off"]])
def test_a_database_that_is_new_or_out_of_reach_is_a_sentence(unmigrated: Installation, arguments: list[str]) -> None:
    new = unmigrated.run(*arguments)
    away = unmigrated.run(*arguments, DATABASE_URL="postgresql://ada:hunter2@127.0.0.1:1/tally")

    assert (new.returncode, new.stdout) == (away.returncode, away.stdout) == (1, "")
    assert "'tallystick migrate'" in new.stderr
    for refused in (new, away):
        assert "Traceback" not in refused.stderr
        assert "hunter2" not in refused.stderr


def test_every_worker_of_every_server_follows(connected: Installation) -> None:
    servers = [connected.serve("--workers", "2"), connected.serve()]
    for worker in workers_of(servers[0]):
        with paused(worker):
            until_ready(servers[0].address)

    for state, pending in (("off", True), ("on", False)):
        listed(connected, "set", "ensure_on_read_enabled", state)

        for worker in workers_of(servers[0]):
            with paused(worker):
                until_pending(connected, servers[0], pending=pending)
        until_pending(connected, servers[1], pending=pending)


def until_pending(connected: Installation, server: Process, *, pending: bool) -> None:
    """Ask for links in names of new users until they are as they should be."""
    names = iter(f"{server.pid}-{pending}-{number}" for number in range(10_000))
    until(lambda: True if connected.link_of(next(names), server)["pending"] is pending else None, "it does not follow")
