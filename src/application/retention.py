"""Trimming: events and messages that are older than their retention are deleted from the start of each log."""

from collections.abc import AsyncIterator
from typing import NamedTuple

from tallystick.application.ports import Clock, Randomness
from tallystick.application.reads import Reads, run_with_retries
from tallystick.application.transactions import Stores, Transactions
from tallystick.domain.channels import ChannelId
from tallystick.domain.retention import Retention
from tallystick.domain.topics import TopicId

STEP_ROWS = 200
"""How many events, and how many messages, one step deletes at most: the topic is locked for a few milliseconds."""
_PAGE_TOPICS = 1000


class Trimmed(NamedTuple):
    """How many rows were deleted."""

    events: int = 0
    messages: int = 0

    def plus(self, other: "Trimmed") -> "Trimmed":
        """Return the sum."""
        return Trimmed(self.events + other.events, self.messages + other.messages)


class TrimLogs:
    """Delete old events and messages in small steps, each in a transaction that locks one topic."""

    def __init__(
        self, transactions: Transactions, reads: Reads, clock: Clock, randomness: Randomness, retention: Retention
    ) -> None:
        self._transactions, self._reads, self._clock, self._randomness = transactions, reads, clock, randomness
        self._retention = retention

    async def steps(self) -> AsyncIterator[Trimmed]:
        """Go through all topics, and yield behind each step. Overloaded where the stores cannot answer."""
        after: str | None = ""
        while after is not None:
            after, old = await self._old_topics(after)
            yield Trimmed()
            for topic_id in old:
                while (trimmed := await self._step(topic_id)) != Trimmed():
                    yield trimmed

    async def _old_topics(self, after: str) -> tuple[str | None, list[TopicId]]:
        """Return the last id of the next page of topics, None behind the last page, and those with old rows."""
        now = self._clock.now()
        messages_before = self._retention.messages_before(now)

        async def ask(stores: Stores) -> tuple[str | None, list[TopicId]]:
            page = await stores.topics.page(after=after, limit=_PAGE_TOPICS)
            old = set(await stores.topics.with_old_events(page, before=self._retention.events_before(now)))
            if messages_before is not None:
                channels = [ChannelId(topic_id) for topic_id in page]
                found = await stores.messages.with_old_messages(channels, before=messages_before)
                old |= {TopicId(channel_id) for channel_id in found}
            return (page[-1] if len(page) == _PAGE_TOPICS else None), sorted(old)

        return await self._reads(ask)

    async def _step(self, topic_id: TopicId) -> Trimmed:
        now = self._clock.now()
        messages_before = self._retention.messages_before(now)

        async def step() -> Trimmed:
            async with self._transactions.begin() as stores:
                await stores.topics.lock([topic_id])
                events = await stores.topics.trim(topic_id, before=self._retention.events_before(now), limit=STEP_ROWS)
                messages = 0
                if messages_before is not None:
                    messages = await stores.messages.forget(
                        ChannelId(topic_id), before=messages_before, limit=STEP_ROWS
                    )
            return Trimmed(events, messages)

        return await run_with_retries(step, self._randomness)
