"""Erasure in channels: a deleted user is removed from their channels, and the texts that they sent are deleted."""

from datetime import datetime

import msgspec

from tallystick.application.messages import deletion_of
from tallystick.application.topics import Appending, TopicBatch
from tallystick.application.transactions import Stores
from tallystick.domain.channels import ChannelId, Member, MemberKey
from tallystick.domain.messages import Message
from tallystick.domain.topics import TopicEvent, TopicId
from tallystick.domain.users import UserId

_STEP_CHANNELS = 100
"""How many topics one step locks at most."""


async def leave_channels(
    stores: Stores, user_id: UserId, _at: datetime, after: str, limit: int, appending: Appending
) -> str | None:
    """Remove a user from the first channels behind a key, and delete at most `limit` messages of theirs.

    Return the last key: a channel, and behind a space the client message id where the step stopped within it. None
    where that was all.
    """
    within, _, sent = after.partition(" ")
    channels = await stores.channels.channels_of(user_id, after=within, limit=_STEP_CHANNELS)
    is_last = len(channels) < _STEP_CHANNELS
    if sent:
        channels = [ChannelId(within), *channels]
    # All topics of a step are locked at once, in key order: two transactions queue instead of deadlocking.
    topics = await TopicBatch.lock(stores, [TopicId(channel_id) for channel_id in channels], appending.randomness)
    members = await stores.channels.members([MemberKey(channel_id, user_id) for channel_id in channels])
    await _remove(stores, [members[key] for key in sorted(members) if members[key].is_present], topics, appending)
    for channel_id in channels:
        page = await stores.messages.of_sender(MemberKey(channel_id, user_id), after=sent, limit=limit)
        await _delete(stores, page, topics, user_id, appending)
        if len(page) == limit:
            return f"{channel_id} {page[-1].client_message_id}"
        limit, sent = limit - len(page), ""
    return None if is_last else channels[-1]


async def _remove(stores: Stores, members: list[Member], topics: TopicBatch, appending: Appending) -> None:
    if not members:
        return
    events = [
        topics.next_event(TopicId(member.channel_id), "member_removed", member.user_id, actor_id=member.user_id)
        for member in members
    ]
    await stores.topics.append(events)
    appending.changed.update(event.topic_id for event in events)
    await stores.channels.store_members(
        [msgspec.structs.replace(member, left_seq=event.seq) for member, event in zip(members, events, strict=True)]
    )


async def _delete(
    stores: Stores, messages: list[Message], topics: TopicBatch, user_id: UserId, appending: Appending
) -> None:
    gone: list[tuple[Message, TopicEvent]] = [
        deletion_of(message, topics, user_id) for message in messages if message.deleted_at is None
    ]
    if gone:
        await stores.messages.delete(gone)
        appending.changed.update(event.topic_id for _, event in gone)
