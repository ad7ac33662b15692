"""`tallystick freeze` and `thaw`: accounts are stopped and let go on, and the service keeps no right to do it."""

import asyncio
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from tallystick.adapters.postgres.freezing import AccountFreezing
from tallystick.domain.users import UserId
from tests.integration.postgres.sessions import session
from tests.processes.installations import Installation


async def may_freeze(dsn: str) -> bool:
    """Return whether the service could do it by itself."""
    async with session(dsn) as owner:
        return bool(
            await owner.fetchval(
                "SELECT has_column_privilege('tallystick_app', 'tallystick.ledger_accounts', 'frozen_at', 'UPDATE')"
            )
        )


async def seen(dsn: str, user: str) -> None:
    async with session(dsn) as owner:
        await owner.execute("SET ROLE tallystick_app")
        await owner.execute("INSERT INTO tallystick.users (user_id, created_at) VALUES ($1, now())", user)


def accounts_after(connected: Installation, *arguments: str) -> list[dict[str, Any]]:
    ran = connected.run(*arguments, "--json")
    assert ran.returncode == 0, ran.stderr
    items: list[dict[str, Any]] = json.loads(ran.stdout)["items"]
    return items


async def test_accounts_are_frozen_and_thawed_one_by_one_or_together(connected: Installation, dsn: str) -> None:
    await seen(dsn, "ada")
    points = accounts_after(connected, "freeze", "ada", "--unit", "points")
    both = accounts_after(connected, "freeze", "ada")
    thawed = accounts_after(connected, "thaw", "ada", "--unit", "credits")

    assert [(account["unit"], account["balance"], account["version"]) for account in points] == [("points", 0, 0)]
    assert [account["unit"] for account in both] == ["credits", "points"]
    assert both[1]["frozen_at"] == points[0]["frozen_at"] is not None
    assert [(account["unit"], account["frozen_at"]) for account in thawed] == [("credits", None)]
    assert not await may_freeze(dsn)


async def test_a_user_who_does_not_exist_is_refused(connected: Installation) -> None:
    refused = connected.run("freeze", "adda")

    assert (refused.returncode, refused.stdout) == (1, "")
    assert "there is no user adda" in refused.stderr


async def test_people_read_a_table(connected: Installation, dsn: str) -> None:
    await seen(dsn, "ada")
    frozen = connected.run("freeze", "ada", "--unit", "points")
    thawed = connected.run("thaw", "ada", "--unit", "points")

    assert frozen.stdout.splitlines()[1].split()[:3] == ["ada", "points", "0"]
    assert thawed.stdout.splitlines()[1].split() == ["ada", "points", "0"]


def test_a_user_without_an_account_has_nothing_to_thaw(connected: Installation) -> None:
    assert connected.run("thaw", "nobody").returncode == 1


async def test_many_are_frozen_at_once(connected: Installation, dsn: str) -> None:
    users = [UserId(f"user-{number}") for number in range(6)]
    for user in users:
        await seen(dsn, user)
    freezing, now = AccountFreezing(dsn), datetime.now(UTC)

    frozen = await asyncio.gather(*(freezing.freeze(user, ["points"], now) for user in users))

    assert [account.user_id for [account] in frozen] == users
    assert not await may_freeze(dsn)


@pytest.mark.parametrize("arguments", [["a b"], ["ada", "--unit", "shells"]])
def test_an_argument_that_names_no_account_is_refused_in_a_sentence(
    connected: Installation, arguments: list[str]
) -> None:
    refused = connected.run("freeze", *arguments)

    assert (refused.returncode, refused.stdout) == (2, "")
    assert "Traceback" not in refused.stderr
