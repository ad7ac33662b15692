"""Frames: the events of channels as streams send them."""

from datetime import datetime

import msgspec

from tallystick.domain.channels import ChannelId
from tallystick.domain.messages import Message, MessageId
from tallystick.domain.topics import TopicEvent
from tallystick.domain.users import UserId
from tallystick.entrypoints.http.event_streams import server_sent
from tallystick.entrypoints.http.routes.messages import MessageView, wire_message


class ChangeData(msgspec.Struct, frozen=True, omit_defaults=True):
    """The data of `message_deleted`, `member_added` and `member_removed`."""

    channel_id: str
    seq: int
    actor_id: UserId
    created_at: datetime
    message_id: str | None = None
    user_id: str | None = None
    role: str | None = None


class _Payload(msgspec.Struct, frozen=True):
    role: str | None = None


def encode_frame(event: TopicEvent, message: Message | None) -> bytes:
    """Return an event of a channel as streams send it, without its id."""
    if event.kind == "message":
        return server_sent(event.kind, wire_message(message) if message is not None else _without_row(event))
    payload = msgspec.json.decode(event.payload, type=_Payload) if event.payload is not None else _Payload()
    is_about_a_message = event.kind == "message_deleted"
    change = ChangeData(
        event.topic_id,
        event.seq,
        event.actor_id,
        event.created_at,
        message_id=event.ref if is_about_a_message else None,
        user_id=None if is_about_a_message else event.ref,
        role=payload.role,
    )
    return server_sent(event.kind, change)


def _without_row(event: TopicEvent) -> MessageView:
    """Return a message of which nothing is stored but its event."""
    return MessageView(
        MessageId(event.ref),
        ChannelId(event.topic_id),
        event.seq,
        event.actor_id,
        None,
        event.created_at,
        event.created_at,
    )
