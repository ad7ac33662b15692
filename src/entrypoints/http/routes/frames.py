"""Frames: the events of channels and overlays as streams send them."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Union

import msgspec
from msgspec import UNSET, UnsetType

from tallystick.application.stream_frames import Subject
from tallystick.domain.channels import ChannelId
from tallystick.domain.messages import Message, MessageId
from tallystick.domain.overlays import OVERLAYS, OverlaySessionId, ShownOverlay, overlay_facts
from tallystick.domain.topics import TopicEvent
from tallystick.domain.users import UserId
from tallystick.entrypoints.http.event_streams import ByeData, HeadData, ResetData, server_sent
from tallystick.entrypoints.http.routes.messages import MessageView, wire_message


class ChangeData(msgspec.Struct, frozen=True, omit_defaults=True):
    """The data of `message_deleted`, `member_added` and `member_removed`."""

    channel_id: str
    seq: int
    """The number of the event."""
    actor_id: UserId
    created_at: datetime
    message_id: str | None = None
    """The message that was deleted."""
    user_id: str | None = None
    """The member who was added or removed."""
    role: str | None = None
    """The role of the member who was added."""


class BegunData(msgspec.Struct, frozen=True):
    """The data of `overlay_shown` and `overlay_updated`: the version that is shown until `expires_at`.

    Where it has ended since, `payload` and `server_time` are null.
    """

    session_id: OverlaySessionId
    seq: int
    """The number of the event."""
    created_at: datetime
    version: int | None
    """The number of the overlay in its session, from 1."""
    ended_version: int | None
    expires_at: datetime | None
    """The end of the overlay."""
    payload: msgspec.Raw | None
    server_time: datetime | None


class EndedData(msgspec.Struct, frozen=True):
    """The data of `overlay_expired` and `overlay_removed`."""

    session_id: OverlaySessionId
    seq: int
    """The number of the event."""
    created_at: datetime
    ended_version: int | None


_DATA: Mapping[str, tuple[type[msgspec.Struct], str]] = {
    "message": (MessageView, "A message was sent."),
    "message_deleted": (ChangeData, "A message was deleted."),
    "member_added": (ChangeData, "A member was added, or has another role."),
    "member_removed": (ChangeData, "A member was removed."),
    "overlay_shown": (BegunData, "An overlay is shown in a session that showed none."),
    "overlay_updated": (BegunData, "An overlay replaced the one that was shown."),
    "overlay_expired": (EndedData, "An overlay ended by itself."),
    "overlay_removed": (EndedData, "An overlay was removed."),
    "ready": (HeadData, "Everything from here on will arrive."),
    "head": (HeadData, "The heartbeat."),
    "reset": (ResetData, "The id of the client does not fit: load the topic again."),
    "bye": (ByeData, "The server ends the stream."),
}


def _documented(name: str, data: type[msgspec.Struct], about: str) -> type[msgspec.Struct]:
    kind = "".join(word.capitalize() for word in name.split("_")) + "Event"
    fields: Any = [("id", str | UnsetType, UNSET), ("data", data)]
    return msgspec.defstruct(
        kind, fields, namespace={"__doc__": about}, module=__name__, tag_field="event", tag=name, kw_only=True
    )


STREAM_EVENTS: Any = Union[tuple(_documented(name, *row) for name, row in _DATA.items())]  # noqa: UP007  made of a table
"""The events of streams, for the document: each by its name, with its id and its data, which is JSON."""


class _Payload(msgspec.Struct, frozen=True):
    role: str | None = None


def encode_frame(event: TopicEvent, subject: Subject | None) -> bytes:
    """Return an event as streams send it, without its id."""
    if event.topic_id == OVERLAYS:
        return server_sent(event.kind, _of_overlay(event, subject if isinstance(subject, ShownOverlay) else None))
    if event.kind == "message":
        return server_sent(event.kind, wire_message(subject) if isinstance(subject, Message) else _without_row(event))
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


def _of_overlay(event: TopicEvent, shown: ShownOverlay | None) -> BegunData | EndedData:
    facts = overlay_facts(event)
    if facts.version is None:
        return EndedData(facts.session_id, event.seq, event.created_at, facts.ended_version)
    return BegunData(
        facts.session_id,
        event.seq,
        event.created_at,
        facts.version,
        facts.ended_version,
        facts.expires_at,
        msgspec.Raw(shown.payload.encode()) if shown is not None else None,
        shown.server_time if shown is not None else None,
    )


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
