"""Waiting for a lock: how a test knows that a transaction waits for another one."""

import asyncio

from tests.integration.postgres.sessions import Session
from tests.worlds.switchboards import until_holds

_WAITING = """
SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock')
"""


async def until_waiting_or_done(superuser: Session, task: "asyncio.Task[object]") -> None:
    """Wait until another transaction keeps the task waiting, or did not."""

    async def holds() -> bool:
        return task.done() or bool(await superuser.fetchval(_WAITING))

    await until_holds(holds)
