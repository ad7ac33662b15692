"""The invariants of rooms in memory: topics, messages, rosters and overlays that break them."""

from collections import Counter
from collections.abc import Iterable, Mapping

from tallystick.adapters.memory.tables import View
from tallystick.domain.channels import MemberKey
from tallystick.domain.messages import Message
from tallystick.domain.overlays import BEGINNINGS, ENDS, OverlayFacts, overlay_facts, version_ref
from tallystick.domain.refusals import Refusal
from tallystick.domain.stage_rooms import Roster, verify_roles_and_slots
from tallystick.domain.topics import TopicId


class RoomInvariants:
    """The same keys as the SQL statements return, over the values of a view."""

    def __init__(self, view: View) -> None:
        self._view = view

    def topics_with_gaps(self) -> Iterable[str]:
        """Yield the topics whose events have a gap."""
        numbers: dict[TopicId, set[int]] = {}
        for event in self._view.topic_events.values():
            numbers.setdefault(event.topic_id, set()).add(event.seq)
        return (
            topic.topic_id
            for topic in self._view.topics.values()
            if numbers.get(topic.topic_id, set()) != set(range(self._trimmed(topic.topic_id) + 1, topic.head + 1))
        )

    def _trimmed(self, topic_id: str) -> int:
        return (self._view.trimmed.get(TopicId(topic_id)) or (0, ""))[0]

    def unpaired_messages(self) -> Iterable[str]:
        """Return the messages that lack an event, and the events that lack a message."""
        events = {(e.kind, e.topic_id, e.ref): e for e in self._view.topic_events.values()}
        sent = {(key[1], e.seq, key[2], e.actor_id) for key, e in events.items() if key[0] == "message"}
        deleted = {key[1:] for key in events if key[0] == "message_deleted"}
        messages = list(self._view.messages.values())
        stored = {
            (m.channel_id, m.seq, m.message_id, m.sender_id) for m in messages if m.seq > self._trimmed(m.channel_id)
        }
        gone = {(m.channel_id, m.message_id) for m in messages if self._is_deleted_in_the_log(m)}
        known = {(m.channel_id, m.message_id) for m in messages if m.deleted_at is not None}
        unknown = {key for key in deleted - known if self._trimmed(key[0]) == 0}
        broken = [(channel_id, message_id) for channel_id, _, message_id, _ in sent ^ stored]
        return [f"{channel_id} {message_id}" for channel_id, message_id in [*broken, *(gone - deleted), *unknown]]

    def _is_deleted_in_the_log(self, message: Message) -> bool:
        """Return whether the log goes back to the deletion of a message."""
        trimmed = self._trimmed(message.channel_id)
        first = self._view.topic_events.get((TopicId(message.channel_id), trimmed + 1))
        if message.deleted_at is None:
            return False
        return trimmed == 0 or (first is not None and message.deleted_at > first.created_at)

    def strangers_messages(self) -> Iterable[str]:
        """Yield the messages whose senders were no members."""
        changes: dict[tuple[str, str], list[tuple[int, bool]]] = {}
        for event in self._view.topic_events.values():
            if event.kind in {"member_added", "member_removed"}:
                change = (event.seq, event.kind == "member_added")
                changes.setdefault((event.topic_id, event.ref), []).append(change)
        return (
            f"{m.channel_id} {m.seq}"
            for m in self._view.messages.values()
            if not max(
                (c for c in changes.get((m.channel_id, m.sender_id), []) if c[0] < m.seq),
                default=(0, self._was_member_before_the_log(m)),
            )[1]
        )

    def _was_member_before_the_log(self, message: Message) -> bool:
        """Return whether the row of the sender allows that a trimmed event made them a member."""
        trimmed = self._trimmed(message.channel_id)
        sender = self._view.members.get(MemberKey(message.channel_id, message.sender_id))
        if sender is None:
            return False
        if sender.joined_seq > message.seq:
            return trimmed > 0
        return sender.joined_seq <= trimmed and (sender.left_seq is None or sender.left_seq > message.seq)

    def broken_rosters(self) -> Iterable[str]:
        """Yield the rooms whose rosters break their rules."""
        return (roster.room_id for roster in self._view.rosters.values() if not _keeps_its_rules(roster))

    def wrong_ends(self) -> Iterable[str]:
        """Return the versions of overlays that ended twice, or do not end as their session says."""
        events = list(self._view.topic_events.values())
        ends = Counter(event.ref for event in events if event.kind in ENDS)
        begun = (overlay_facts(event) for event in events if event.kind in BEGINNINGS)
        twice = [ref for ref, times in ends.items() if times > 1]
        wrong = [facts for facts in begun if not self._ends_once(facts, ends)]
        return [*twice, *(version_ref(facts.session_id, facts.version or 0) for facts in wrong)]

    def _ends_once(self, facts: OverlayFacts, ends: Mapping[str, int]) -> bool:
        held, version = self._view.overlays.get(facts.session_id), facts.version or 0
        if held is None or version > held.version:
            return False
        is_over = version < held.version or held.expires_at is None
        return is_over == (version_ref(facts.session_id, version) in ends)


def _keeps_its_rules(roster: Roster) -> bool:
    try:
        verify_roles_and_slots(roster.slots, roster.roles)
    except Refusal:
        return False
    return True
