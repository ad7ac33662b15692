"""News of topics: after a commit the hub of this process looks for the events, and the other processes are notified.

A notification only makes it faster: the heads of all topics that are read are compared every second besides.
"""

import asyncio
import contextlib
from collections.abc import Collection

from tallystick.application.ports import Randomness, TopicSignal
from tallystick.application.stream_hub import Hub, StreamLimits
from tallystick.application.transactions import StoreFailure
from tallystick.domain.refusals import Failure
from tallystick.domain.topics import TopicId

_PAUSE_SECONDS = 0.005
"""At most one notification in this time; the topics of all commits in between share it."""
_MOST_TOPICS = 150
"""A payload of NOTIFY has less than 8,000 bytes; more topics than fit are said by naming none."""


class TopicNews:
    """Announces topics to the hub of this process and to other processes, and hears what these announce."""

    def __init__(self, hub: Hub, signal: TopicSignal, randomness: Randomness, limits: StreamLimits) -> None:
        self._hub, self._signal, self._look_seconds = hub, signal, limits.look_seconds
        self._origin = randomness.bytes(4).hex()
        self._changed: set[TopicId] = set()
        self._has_changed = asyncio.Event()

    def announce(self, topic_ids: Collection[TopicId]) -> None:
        """Announce topics whose new events are committed."""
        if topic_ids:
            self._hub.changed(topic_ids)
            self._changed.update(topic_ids)
            self._has_changed.set()

    async def run(self) -> None:
        """Notify, hear and look until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._signal.listen(), name="listen for topics")
            tasks.create_task(self._notify(), name="notify of topics")
            tasks.create_task(self._hear(), name="hear of topics")
            while True:
                await asyncio.sleep(self._look_seconds)
                await self._look()

    async def _notify(self) -> None:
        while True:
            await self._has_changed.wait()
            self._has_changed.clear()
            topic_ids, self._changed = self._changed, set()
            named = sorted(topic_ids) if len(topic_ids) <= _MOST_TOPICS else []
            with contextlib.suppress(StoreFailure):  # the others look by themselves
                await self._signal.notify(" ".join([self._origin, *named]))
            await asyncio.sleep(_PAUSE_SECONDS)

    async def _hear(self) -> None:
        while True:
            for payload in await self._signal.wait():
                origin, _, named = payload.partition(" ")
                if origin == self._origin:
                    continue
                if named:
                    self._hub.changed([TopicId(topic_id) for topic_id in named.split(" ")])
                else:
                    await self._look()

    async def _look(self) -> None:
        with contextlib.suppress(Failure):  # the next look may succeed
            await self._hub.look()
