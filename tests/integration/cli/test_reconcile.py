"""`tallystick reconcile invites`: faults of an import are found, and mended by an option."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import pytest
from click.testing import CliRunner, Result

from tallystick.entrypoints.cli.main import main
from tests.integration.cli.conftest import Spoil, on
from tests.integration.postgres.sessions import session
from tests.processes.installations import Installation

INVITE = "INSERT INTO tallystick.invites (code, invite_id, owner_id, max_uses, current_uses, created_at) VALUES"
USE = "INSERT INTO tallystick.invite_uses (invite_id, user_id, attempt_id, used_at) VALUES"
NO_KEY = "ALTER TABLE tallystick.invite_uses DROP CONSTRAINT invite_uses_pkey"
SOUND = f"{INVITE} ('SOUND', 'sound', 'owner', 5, 1, now()); {USE} ('sound', 'ada', 'a', now())"
MISCOUNTED = (
    f"{INVITE} ('SOME', 'some', 'owner', 5, 0, now()), ('HIGH', 'high', 'owner', 5, 4, now()); "
    f"{USE} ('some', 'ada', 'a', now()), ('some', 'bob', 'b', now()), ('high', 'ada', 'a', now())"
)
REPEATED = (
    f"{NO_KEY}; {INVITE} ('TWICE', 'twice', 'owner', 5, 4, now()); "
    f"{USE} ('twice', 'ada', 'late', '2026-01-03Z'), ('twice', 'ada', 'early', '2026-01-01Z'), "
    "('twice', 'ada', 'later', '2026-01-04Z'), ('twice', 'bob', 'only', '2026-01-02Z')"
)
OVERSOLD = (
    "ALTER TABLE tallystick.invites DROP CONSTRAINT invites_never_oversold; "
    f"{INVITE} ('SOLD', 'sold', 'owner', 2, {{counted}}, now()); "
    f"{USE} ('sold', 'ada', 'a', now()), ('sold', 'bob', 'b', now()), ('sold', 'cid', 'c', now())"
)

Reconcile = Callable[..., Awaitable[Result]]


@pytest.fixture
def reconcile(dsn: str) -> Reconcile:
    """Return a function that runs the command on the test's database."""

    async def run(*arguments: str) -> Result:
        command = ["reconcile", "invites", *arguments]
        return await asyncio.to_thread(CliRunner().invoke, main, command, env=on(dsn))

    return run


async def stored(dsn: str) -> tuple[Mapping[str, tuple[int, int]], list[tuple[str, str, str]]]:
    """Return seats and counter of the invites by id, and the uses."""
    async with session(dsn) as owner:
        await owner.execute("SET search_path = tallystick; SET ROLE tallystick_app")
        invites = await owner.fetch("SELECT invite_id, max_uses, current_uses FROM invites")
        uses = await owner.fetch("SELECT invite_id, user_id, attempt_id FROM invite_uses ORDER BY 1, 2, used_at, 3")
        return {row["invite_id"]: (row["max_uses"], row["current_uses"]) for row in invites}, [
            (row["invite_id"], row["user_id"], row["attempt_id"]) for row in uses
        ]


async def rights(dsn: str) -> tuple[bool, bool]:
    """Return whether the service may delete uses, and change how many seats there are."""
    async with session(dsn) as owner:
        row = await owner.fetchrow(
            "SELECT has_table_privilege('tallystick_app', 'tallystick.invite_uses', 'DELETE') AS may_delete, "
            "has_column_privilege('tallystick_app', 'tallystick.invites', 'max_uses', 'UPDATE') AS may_enlarge"
        )
        assert row is not None
        return row["may_delete"], row["may_enlarge"]


def found(result: Result) -> dict[str, Any]:
    finished: dict[str, Any] = json.loads(result.stdout)
    return finished


def item(invite_id: str, *, seats: int, counted: int, users: int, rows: int) -> dict[str, object]:
    numbers = {"max_uses": seats, "current_uses": counted, "users": users, "rows": rows}
    return {"invite_id": invite_id, "code": invite_id.upper(), **numbers}


async def test_where_all_is_well_it_says_so_and_changes_nothing(reconcile: Reconcile, spoil: Spoil, dsn: str) -> None:
    await spoil(SOUND)
    before = await stored(dsn)

    for arguments in ([], ["--apply"]):
        finished = await reconcile(*arguments)
        assert (finished.exit_code, finished.stdout) == (0, "every invite is consistent\n")
    finished = await reconcile("--json", "--apply")
    assert (finished.exit_code, found(finished)) == (0, {"repaired": False, "has_key": True, "items": []})
    assert await stored(dsn) == before


async def test_counters_that_differ_are_reported_and_left_alone_until_it_is_asked_to_repair_them(
    reconcile: Reconcile, spoil: Spoil, dsn: str
) -> None:
    await spoil(f"{SOUND}; {MISCOUNTED}")
    before = await stored(dsn)
    wrong = [
        item("high", seats=5, counted=4, users=1, rows=1),
        item("some", seats=5, counted=0, users=2, rows=2),
    ]

    reported = await reconcile("--json")
    assert (reported.exit_code, found(reported)) == (1, {"repaired": False, "has_key": True, "items": wrong})
    shown = await reconcile()
    assert shown.exit_code == 1
    assert [line.split()[0] for line in shown.stdout.splitlines()[1:3]] == ["high", "some"]
    assert shown.stdout.endswith("run it again with --apply to repair this\n")
    assert await stored(dsn) == before

    repaired = await reconcile("--json", "--apply")
    assert (repaired.exit_code, found(repaired)) == (0, {"repaired": True, "has_key": True, "items": wrong})
    invites, uses = await stored(dsn)
    assert invites == {"sound": (5, 1), "high": (5, 1), "some": (5, 2)}
    assert uses == before[1]
    assert (await reconcile()).exit_code == 0
    assert await rights(dsn) == (False, False)


async def test_of_repeated_uses_the_earliest_stays_and_the_key_is_put_back(
    reconcile: Reconcile, spoil: Spoil, dsn: str, connected: Installation
) -> None:
    await spoil(REPEATED)
    assert "the schema lacks: constraint invite_uses_pkey on invite_uses" in connected.run("check").stdout
    wrong = [item("twice", seats=5, counted=4, users=2, rows=4)]
    before = await stored(dsn)

    reported = await reconcile("--json")
    assert (reported.exit_code, found(reported)) == (1, {"repaired": False, "has_key": False, "items": wrong})
    shown = await reconcile()
    assert "the key invite_uses_pkey is missing" in shown.stdout
    assert await stored(dsn) == before

    repaired = await reconcile("--apply")
    assert (repaired.exit_code, repaired.stdout.splitlines()[-1]) == (0, "repaired: 1")
    assert await stored(dsn) == ({"twice": (5, 2)}, [("twice", "ada", "early"), ("twice", "bob", "only")])
    assert await rights(dsn) == (False, False)
    assert connected.run("check").returncode == 0
    again = await reconcile("--json")
    assert (again.exit_code, found(again)) == (0, {"repaired": False, "has_key": True, "items": []})


async def test_a_key_that_is_missing_without_repeated_uses_is_a_finding_and_put_back(
    reconcile: Reconcile, spoil: Spoil
) -> None:
    await spoil(f"{SOUND}; {NO_KEY}")

    reported = await reconcile("--json")
    repaired = await reconcile("--json", "--apply")

    assert (reported.exit_code, found(reported)) == (1, {"repaired": False, "has_key": False, "items": []})
    assert (repaired.exit_code, found(repaired)) == (0, {"repaired": True, "has_key": True, "items": []})
    assert (await reconcile()).exit_code == 0


@pytest.mark.parametrize("counted", [2, 3])
async def test_nobody_loses_a_seat_in_an_invite_that_was_oversold(
    counted: int, reconcile: Reconcile, spoil: Spoil, dsn: str
) -> None:
    await spoil(OVERSOLD.format(counted=counted))

    reported = await reconcile("--json")
    repaired = await reconcile("--apply")

    assert found(reported)["items"] == [item("sold", seats=2, counted=counted, users=3, rows=3)]
    assert (reported.exit_code, repaired.exit_code) == (1, 0)
    assert (await stored(dsn))[0] == {"sold": (3, 3)}
    assert await rights(dsn) == (False, False)
    assert (await reconcile()).exit_code == 0


@pytest.mark.parametrize("arguments", [[], ["--json"], ["--apply"]])
async def test_a_database_that_was_never_migrated_is_a_sentence(unmigrated: Installation, arguments: list[str]) -> None:
    refused = unmigrated.run("reconcile", "invites", *arguments)

    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr.startswith("tallystick: ")
    assert "Traceback" not in refused.stderr
