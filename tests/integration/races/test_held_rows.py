"""A row that another transaction holds: commands that need it are refused, and others wait only briefly."""

import asyncio

import asyncpg
import pytest

from tests.http.services import running, settings
from tests.integration.conftest import NewDatabase, service_of
from tests.integration.postgres.sessions import session
from tests.unit.behaviours.test_http_loyalty import award, seen


@pytest.mark.parametrize("place", [0, 3])
async def test_only_the_command_that_needs_the_locked_row_is_refused(new_database: NewDatabase, place: int) -> None:
    dsn = await new_database()
    players = [f"player-{number}" for number in range(4)]
    async with running(settings(database_url=service_of(dsn)), "postgres") as (anyone, _), session(dsn) as owner:
        for player in players:
            await seen(anyone, player)
            await award(anyone, player, 1)
        async with owner.transaction():
            await hold(owner, players[place])

            answers = await asyncio.gather(*(award(anyone, player, 2) for player in players))

        replies = [(answer.status_code, answer.json().get("code")) for answer in answers]
        assert replies == [(503, "OVERLOADED") if player == players[place] else (200, None) for player in players]
        assert (await award(anyone, players[place], 2)).status_code == 200


async def hold(connection: "asyncpg.Connection[asyncpg.Record]", player: str) -> None:
    await connection.execute("SET LOCAL ROLE tallystick_app")
    await connection.execute("SELECT FROM tallystick.ledger_accounts WHERE user_id = $1 FOR UPDATE", player)
