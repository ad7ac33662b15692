"""Messages: listed, sent and deleted by the members of a channel."""

from datetime import datetime
from typing import Annotated

import msgspec
from litestar import Router, delete, get
from litestar.params import FromPath, QueryParameter

from tallystick.application.group_commit import Single
from tallystick.application.idempotency import Keyed
from tallystick.application.messages import DeleteMessage, NewMessage
from tallystick.application.ports import Clock, Randomness
from tallystick.application.reads import Reads
from tallystick.application.transactions import Stores
from tallystick.domain.channels import ChannelId, ChannelNotFound, MemberKey, NotAMember, may_read
from tallystick.domain.ids import RANDOM_BYTES, uuid_v7
from tallystick.domain.messages import Message, MessageId, MessageLength, MessageNotFound, NotYourMessage
from tallystick.domain.topics import TopicId
from tallystick.domain.users import UserId
from tallystick.entrypoints.http.caller_guard import LIMIT, REFUSES_DELETED, CallerGuard
from tallystick.entrypoints.http.fields import ChannelIdText, ClientMessageId, time_of
from tallystick.entrypoints.http.pages import DEFAULT_LIMIT, Cursor, Cursors, Limit, Page, clamp
from tallystick.entrypoints.http.problems import FAILURES
from tallystick.entrypoints.http.raw_routes import RawRequest, raw_post
from tallystick.entrypoints.http.requests import ApiRequest
from tallystick.entrypoints.http.routes.channels import LARGEST_SEQ

InChannel = Annotated[str, QueryParameter(description="The channel, of which the caller is a member.")]
Since = Annotated[str | None, QueryParameter(description="Only messages that were sent after this time.")]
After = Annotated[
    int | None, QueryParameter(description="Only messages above this number, and the oldest of them first.")
]


class MessageBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A message to send. The same `client_message_id` again is the same message for ever."""

    channel_id: ChannelIdText
    body: str
    """The text, of 1 to 4,000 characters."""
    client_message_id: ClientMessageId | None = None


class MessageView(msgspec.Struct, frozen=True):
    """A message of a channel; `body` is null once it was deleted."""

    message_id: MessageId
    channel_id: ChannelId
    seq: int
    """The number of the event, without gaps in the channel."""
    sender_id: UserId
    body: str | None
    created_at: datetime
    deleted_at: datetime | None
    """The time of the deletion; null if it was not deleted."""


class MessagePage(Page[MessageView], frozen=True):
    """A page of messages, newest first, or oldest first with `after`.

    `head` is the number of the last event of the channel. Without a cursor, no message up to it is left out but for
    those behind `next_cursor`: a stream goes on after it.
    """

    head: int


class _Position(msgspec.Struct, frozen=True, array_like=True):
    seq: int
    is_ascending: bool


def messages_router(
    send: Single[Keyed[NewMessage], Message],
    delete_one: Single[DeleteMessage, Message],
    reads: Reads,
    caller_guard: CallerGuard,
    cursors: Cursors,
    clock: Clock,
    randomness: Randomness,
) -> Router:
    """Return the routes of messages."""

    @get("/list", opt={FAILURES: (ChannelNotFound, NotAMember)})
    async def list_messages(
        request: ApiRequest,
        channel_id: InChannel,
        since: Since = None,
        after: After = None,
        limit: Limit = DEFAULT_LIMIT,
        cursor: Cursor = "",
    ) -> MessagePage:
        """Return messages of a channel, newest first; with `after`, those above a number, oldest first."""
        key, wanted, listing = MemberKey(ChannelId(channel_id), request.user.user_id), clamp(limit), f"in {channel_id}"
        position = cursors.open(listing, cursor, _Position) if cursor else _first_position(after)
        start = time_of(since) if since is not None else None

        async def ask(stores: Stores) -> tuple[int, list[Message]]:
            # Before the page: what is above the head may be left out, and what is below it may not.
            head = (await stores.topics.heads([TopicId(channel_id)])).get(TopicId(channel_id), 0)
            in_channel, seq, most = key.channel_id, position.seq, wanted + 1
            if position.is_ascending:
                page = await stores.messages.page_after(in_channel, after=seq, since=start, limit=most)
            else:
                page = await stores.messages.page(in_channel, before=seq, since=start, limit=most)
            # Behind the page: a member who was removed meanwhile gets nothing that was sent since.
            may_read((await stores.channels.members([key])).get(key))
            return head, page

        head, found = await reads(ask)
        page = [wire_message(message) for message in found[:wanted]]
        more = cursors.seal(listing, _Position(page[-1].seq, position.is_ascending)) if len(found) > wanted else None
        return MessagePage(page, more, head)

    async def send_message(request: RawRequest, data: MessageBody) -> MessageView:
        """Send a message to a channel of the caller: a text of 1 to 4,000 characters."""
        now = clock.now()
        message_id = MessageId(uuid_v7(now, randomness.bytes(RANDOM_BYTES)))
        command = NewMessage(
            message_id,
            ChannelId(data.channel_id),
            request.principal.user_id,
            data.client_message_id or message_id,
            data.body,
        )
        return wire_message(await send(Keyed(command, await request.idempotency_key(now, success_status=201))))

    @delete(
        "/{message_id:str}",
        status_code=200,
        opt={FAILURES: (MessageNotFound, NotAMember, NotYourMessage)},
    )
    async def delete_message(request: ApiRequest, message_id: FromPath[str]) -> MessageView:
        """Delete a message of the caller, or any message of a channel that the caller owns. Safe to repeat.

        A tombstone stays in its place; the text is gone for ever.
        """
        wanted = MessageId(message_id)
        found = (await reads(lambda stores: stores.messages.find([wanted]))).get(wanted)
        if found is None:
            raise MessageNotFound
        event_id = uuid_v7(clock.now(), randomness.bytes(RANDOM_BYTES))
        command = DeleteMessage(wanted, found.channel_id, request.user.user_id, event_id)
        return wire_message(await delete_one(command))

    sending = raw_post(
        "/send",
        send_message,
        caller_guard=caller_guard,
        options={LIMIT: "send", REFUSES_DELETED: True},
        tag="Channels",
        body=MessageBody,
        answer=MessageView,
        failures=(ChannelNotFound, NotAMember, MessageLength),
        success_status=201,
    )
    guarded = Router("/", route_handlers=[list_messages, delete_message], guards=[caller_guard.guard])
    return Router("/api/messages", route_handlers=[guarded, sending], tags=["Channels"])


def wire_message(message: Message) -> MessageView:
    """Return a message as the wire shows it."""
    return MessageView(
        message.message_id,
        message.channel_id,
        message.seq,
        message.sender_id,
        message.body,
        message.created_at,
        message.deleted_at,
    )


def _first_position(after: int | None) -> _Position:
    """Return where a listing begins; a number that no event can have begins it at the nearest end."""
    return _Position(LARGEST_SEQ, False) if after is None else _Position(max(0, min(after, LARGEST_SEQ)), True)
