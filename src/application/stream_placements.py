"""Placements of streams: where streams begin, read once for all of them that open at the same time."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from tallystick.application.transactions import Transactions
from tallystick.domain.channels import ChannelId, Member, MemberKey, may_read
from tallystick.domain.overlays import OVERLAYS
from tallystick.domain.refusals import Failure
from tallystick.domain.streams import Position, ResetReason, read_positions, reset_reason, tag_of
from tallystick.domain.topics import LogExtent, TopicEventKey, TopicId
from tallystick.domain.users import UserId


class Placement(NamedTuple):
    """A stream that opens: its reader, its topics, and the id behind which it goes on, where it has one."""

    user_id: UserId
    topic_ids: tuple[TopicId, ...]
    resume: str | None


class Start(NamedTuple):
    """Where a stream begins in one topic, of which the caller was a member when `head` was its head."""

    seq: int
    tag: str | None
    head: int
    reset: ResetReason | None


class PlaceStreams:
    """Return where each stream begins in each of its topics, with three statements for all concurrent callers.

    ChannelNotFound or NotAMember for a stream whose reader may not read one of its topics.
    """

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions

    async def __call__(self, placements: Sequence[Placement]) -> list[list[Start] | Failure]:
        topic_ids = {topic_id for each in placements for topic_id in each.topic_ids}
        keys = {key for each in placements for key in _members_of(each)}
        async with self._transactions.reading() as stores:
            logs = await stores.topics.extents(topic_ids)
            # Behind the heads: a removal up to a head is seen here, and one above it is an event of the stream.
            members = await stores.channels.members(keys)
            wanted = {key for each in placements for key in _events_of(each, logs)}
            event_ids = await stores.topics.event_ids(wanted)
        return [_starts(each, logs, members, event_ids) for each in placements]


def _starts(
    placement: Placement,
    logs: Mapping[TopicId, LogExtent],
    members: Mapping[MemberKey, Member],
    event_ids: Mapping[TopicEventKey, str],
) -> list[Start] | Failure:
    try:
        for key in _members_of(placement):
            may_read(members.get(key))
    except Failure as refusal:
        return refusal
    return [
        _start(_log(logs, topic_id), position, event_ids, is_new=placement.resume is None)
        for topic_id, position in _positions(placement)
    ]


def _start(log: LogExtent, position: Position | None, event_ids: Mapping[TopicEventKey, str], *, is_new: bool) -> Start:
    seq = log.head if position is None else position.seq
    tag = _tag(log, seq, event_ids)
    reason = None if is_new else reset_reason(position, log, tag)
    if reason is not None:
        seq, tag = log.head, _tag(log, log.head, event_ids)
    return Start(seq, tag, log.head, reason)


def _tag(log: LogExtent, seq: int, event_ids: Mapping[TopicEventKey, str]) -> str | None:
    """Return the tag of a number, if the log knows it."""
    if seq <= log.trimmed:
        return log.trimmed_tag if seq == log.trimmed else None
    event_id = event_ids.get(TopicEventKey(log.topic_id, seq))
    return None if event_id is None else tag_of(event_id)


def _members_of(placement: Placement) -> list[MemberKey]:
    """Return the members as whom the reader reads the channels of a stream; everybody reads overlays."""
    channels = [ChannelId(topic_id) for topic_id in placement.topic_ids if topic_id != OVERLAYS]
    return [MemberKey(channel_id, placement.user_id) for channel_id in channels]


def _events_of(placement: Placement, logs: Mapping[TopicId, LogExtent]) -> list[TopicEventKey]:
    """Return the events whose tags place a stream: the one behind which it goes on, and the head for a reset."""
    keys = []
    for topic_id, position in _positions(placement):
        log = _log(logs, topic_id)
        seqs = {log.head} if position is None else {log.head, position.seq}
        keys += [TopicEventKey(topic_id, seq) for seq in seqs if log.trimmed < seq <= log.head]
    return keys


def _positions(placement: Placement) -> list[tuple[TopicId, Position | None]]:
    topic_ids, resume = placement.topic_ids, placement.resume
    asked = [None] * len(topic_ids) if resume is None else read_positions(resume, len(topic_ids))
    return list(zip(topic_ids, asked, strict=True))


def _log(logs: Mapping[TopicId, LogExtent], topic_id: TopicId) -> LogExtent:
    """Return the log of a topic; the one without events where nothing was stored yet."""
    return logs.get(topic_id) or LogExtent(topic_id, 0, 0, None)
