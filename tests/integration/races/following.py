"""Instances that follow each other's topics, by notifications and by looking, as a test says."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from dishka import Provider, Scope

from tallystick.application.ports import TopicSignal
from tallystick.application.stream_hub import StreamLimits
from tallystick.application.topic_news import TopicNews
from tests.http.services import Caller, running, settings
from tests.integration.conftest import service_of
from tests.integration.postgres.sessions import Session
from tests.worlds.switchboards import until_holds

LISTENERS = (
    "SELECT count(*) FROM pg_stat_activity "
    "WHERE datname = current_database() AND application_name = 'tallystick_topics listener'"
)
NEVER = 3600.0


def news(*, look_seconds: float | None = None, signal: type[TopicSignal] | None = None) -> Provider:
    """Look for new events as seldom as it is said, and by another signal where one is named."""
    replacement = Provider(scope=Scope.APP)
    if look_seconds is not None:
        replacement.provide(lambda: StreamLimits(look_seconds=look_seconds), provides=StreamLimits)
    if signal is not None:
        replacement.provide(signal, provides=TopicSignal)
    return replacement


@asynccontextmanager
async def following(owner_dsn: str, replacement: Provider) -> AsyncIterator[tuple[Caller, Caller]]:
    """Run two instances that follow each other's topics, and return nameless callers."""
    given = settings(database_url=service_of(owner_dsn))
    async with AsyncExitStack() as stack:
        callers, tasks = [], []
        for _ in range(2):
            caller, container = await stack.enter_async_context(running(given, "postgres", replacement))
            tasks.append(asyncio.create_task((await container.get(TopicNews)).run()))
            callers.append(caller)
        try:
            yield callers[0], callers[1]
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


async def until_both_listen(superuser: Session) -> None:
    async def do_they() -> bool:
        return bool(await superuser.fetchval(LISTENERS) == 2)

    await until_holds(do_they)
