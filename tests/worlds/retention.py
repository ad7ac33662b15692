"""Logs of a world that are trimmed up to a number, by the use case that trims them."""

from datetime import timedelta

from tallystick.adapters.memory.ports import ManualClock
from tallystick.application.retention import TrimLogs, Trimmed
from tallystick.domain.retention import Retention
from tallystick.domain.topics import LogExtent, TopicId
from tests.worlds.world import World

RETENTION = Retention(timedelta(days=7), timedelta(days=30))


async def trim(world: World, channel: str, *, to: int, messages_too: bool = False) -> Trimmed:
    """Trim at a time at which the events of a channel up to a number are too old, and its messages where asked."""
    (last,) = await world.reads(lambda stores: stores.topics.events(TopicId(channel), after=to - 1, limit=1))
    age = RETENTION.messages if messages_too and RETENTION.messages is not None else RETENTION.events
    clock = ManualClock(last.created_at + timedelta(microseconds=1) + age)
    found = Trimmed()
    async for step in TrimLogs(world.transactions, world.reads, clock, world.randomness, RETENTION).steps():
        found = found.plus(step)
    return found


async def extent(world: World, channel: str) -> LogExtent:
    """Return which events the log of a channel has."""
    return (await world.reads(lambda stores: stores.topics.extents([TopicId(channel)])))[TopicId(channel)]
