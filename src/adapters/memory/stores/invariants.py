"""The invariants in memory: counts of the values that break them."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from tallystick.adapters.memory.tables import View
from tallystick.application.invariants import PROMISES, Invariant, Invariants
from tallystick.domain.channels import MemberKey
from tallystick.domain.ledger import Account, AccountKey, Entry
from tallystick.domain.messages import Message
from tallystick.domain.overlays import BEGINNINGS, ENDS, OverlayFacts, overlay_facts, version_ref
from tallystick.domain.rating_slips import Slip
from tallystick.domain.refusals import Refusal
from tallystick.domain.stage_rooms import Roster, verify_roles_and_slots
from tallystick.domain.topics import TopicId
from tallystick.domain.users import UserId


class MemoryInvariants(Invariants):
    """The same counts as the SQL statements, over the values of a view."""

    def __init__(self, view: View) -> None:
        self._view = view

    async def count(self) -> Sequence[Invariant]:
        counts: Mapping[str, Callable[[], int]] = {
            "one_code_each": self._without_one_code,
            "living_codes_resolve": self._wrongly_retired,
            "verified_users_exist": self._verified_without_user,
            "one_inviter_no_cycle": self._cycles,
            "seats_are_uses": self._wrong_seats,
            "balances_are_entries": self._wrong_balances,
            "lifetime_is_earned": self._unearned,
            "events_count_once": self._repeated_events,
            "slips_accrue_once": self._wrong_slips,
            "waiting_is_not_credited": self._credited_and_pending,
            "collected_once_and_paid": self._unpaid,
            "events_have_no_gaps": self._topics_with_gaps,
            "messages_are_events": self._unpaired_messages,
            "senders_were_members": self._strangers_messages,
            "rosters_keep_their_rules": self._broken_rosters,
            "overlays_end_once": self._wrong_ends,
            "referrals_are_edges": self._miscounted,
        }
        return [Invariant(name, promise, counts[name]()) for name, promise in PROMISES.items()]

    def _is_living(self, user_id: UserId) -> bool:
        user = self._view.users.get(user_id)
        return user is not None and user.deleted_at is None

    def _without_one_code(self) -> int:
        canonical: Counter[UserId] = Counter()
        for entry in self._view.codes.values():
            canonical[entry.user_id] += entry.is_canonical
        return sum(1 for user_id, count in canonical.items() if count != 1 and self._is_living(user_id))

    def _wrongly_retired(self) -> int:
        return sum(
            (entry.retired_at is None) != self._is_living(entry.user_id)
            and (entry.retired_at is not None or entry.user_id not in self._view.erasing)
            for entry in self._view.codes.values()
        )

    def _verified_without_user(self) -> int:
        return sum(verified.user_id not in self._view.users for verified in self._view.verifications.values())

    def _cycles(self) -> int:
        pairs = {(edge.invitee_id, edge.inviter_id) for edge in self._view.edges.values()}
        return sum((inviter_id, invitee_id) in pairs for invitee_id, inviter_id in pairs)

    def _miscounted(self) -> int:
        edges = Counter(edge.inviter_id for edge in self._view.edges.values())
        return sum(user.referrals != edges[user.user_id] for user in self._view.users.values())

    def _topics_with_gaps(self) -> int:
        numbers: dict[TopicId, set[int]] = {}
        for event in self._view.topic_events.values():
            numbers.setdefault(event.topic_id, set()).add(event.seq)
        return sum(
            numbers.get(topic.topic_id, set()) != set(range(self._trimmed(topic.topic_id) + 1, topic.head + 1))
            for topic in self._view.topics.values()
        )

    def _trimmed(self, topic_id: str) -> int:
        return (self._view.trimmed.get(TopicId(topic_id)) or (0, ""))[0]

    def _unpaired_messages(self) -> int:
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
        return len(sent ^ stored) + len(gone - deleted) + len(unknown)

    def _is_deleted_in_the_log(self, message: Message) -> bool:
        """Return whether the log goes back to the deletion of a message."""
        trimmed = self._trimmed(message.channel_id)
        first = self._view.topic_events.get((TopicId(message.channel_id), trimmed + 1))
        if message.deleted_at is None:
            return False
        return trimmed == 0 or (first is not None and message.deleted_at > first.created_at)

    def _strangers_messages(self) -> int:
        changes: dict[tuple[str, str], list[tuple[int, bool]]] = {}
        for event in self._view.topic_events.values():
            if event.kind in {"member_added", "member_removed"}:
                change = (event.seq, event.kind == "member_added")
                changes.setdefault((event.topic_id, event.ref), []).append(change)
        return sum(
            not max(
                (c for c in changes.get((m.channel_id, m.sender_id), []) if c[0] < m.seq),
                default=(0, self._was_member_before_the_log(m)),
            )[1]
            for m in self._view.messages.values()
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

    def _broken_rosters(self) -> int:
        return sum(not _keeps_its_rules(roster) for roster in self._view.rosters.values())

    def _wrong_ends(self) -> int:
        events = list(self._view.topic_events.values())
        ends = Counter(event.ref for event in events if event.kind in ENDS)
        begun = (overlay_facts(event) for event in events if event.kind in BEGINNINGS)
        return sum(times > 1 for times in ends.values()) + sum(not self._ends_once(facts, ends) for facts in begun)

    def _ends_once(self, facts: OverlayFacts, ends: Mapping[str, int]) -> bool:
        held, version = self._view.overlays.get(facts.session_id), facts.version or 0
        if held is None or version > held.version:
            return False
        is_over = version < held.version or held.expires_at is None
        return is_over == (version_ref(facts.session_id, version) in ends)

    def _wrong_seats(self) -> int:
        uses = Counter(use.invite_id for use in self._view.invite_uses.values())
        return sum(
            invite.current_uses > invite.max_uses or invite.current_uses != uses[invite.invite_id]
            for invite in self._view.invites.values()
        )

    def _wrong_balances(self) -> int:
        return sum(not _adds_up(account, chain) for account, chain in self._chains())

    def _unearned(self) -> int:
        return sum(not _is_earned(account, chain) for account, chain in self._chains() if account.unit == "points")

    def _chains(self) -> list[tuple[Account, list[Entry]]]:
        """Return the accounts, each with its entries."""
        chains: dict[AccountKey, list[Entry]] = {}
        for entry in self._view.entries.values():
            chains.setdefault(AccountKey(entry.user_id, entry.unit), []).append(entry)
        return [
            (account, sorted(chains.get(AccountKey(account.user_id, account.unit), ()), key=_seq))
            for account in self._view.accounts.values()
        ]

    def _repeated_events(self) -> int:
        events = Counter((e.user_id, e.unit, e.event_type, e.event_key) for e in self._view.entries.values())
        return sum(count > 1 for count in events.values())

    def _wrong_slips(self) -> int:
        existing = {slip.event for slip in self._view.slips.values()}
        credited = {entry.event for entry in self._view.entries.values() if entry.event_type == "rating_slip"}
        waiting = {pending.event for pending in self._view.pending.values() if pending.event_type == "rating_slip"}
        orphaned = (credited | waiting) - existing
        return len(orphaned) + sum(not self._has_accrued(slip) for slip in self._view.slips.values())

    def _has_accrued(self, slip: Slip) -> bool:
        """Return whether a slip has the entry or the pending accrual that its state requires."""
        seq, pending = self._view.events.get(slip.event), self._view.pending.get(slip.event)
        entry = self._view.entries.get((slip.player_id, "points", seq)) if seq is not None else None
        earned = entry.amount if entry is not None else None
        waiting = pending.points if pending is not None else None
        match slip.state:
            case "open":
                return (earned, waiting) == (None, None)
            case "closed":
                return (earned, waiting) == (slip.points or None, None)
            case "accrual_pending":
                return (earned, waiting) == (None, slip.points)

    def _credited_and_pending(self) -> int:
        return sum(pending.event in self._view.events for pending in self._view.pending.values())

    def _unpaid(self) -> int:
        paid = {
            (entry.user_id, entry.event_key): entry
            for entry in self._view.entries.values()
            if entry.event_type == "purchase" and entry.unit == "credits"
        }
        collected = {(each.user_id, str(each.reward_id)): each for each in self._view.collected.values()}
        broken = len(paid.keys() ^ collected.keys())
        for key in paid.keys() & collected.keys():
            entry, each = paid[key], collected[key]
            reward = self._view.rewards.get(each.reward_id)
            is_own = reward is not None and reward.owner_id == each.user_id
            broken += is_own or (entry.amount, entry.balance_after) != (-each.cost, each.balance_after)
        return broken


def _keeps_its_rules(roster: Roster) -> bool:
    try:
        verify_roles_and_slots(roster.slots, roster.roles)
    except Refusal:
        return False
    return True


def _seq(entry: Entry) -> int:
    return entry.seq


def _is_earned(account: Account, chain: Sequence[Entry]) -> bool:
    lifetime = 0
    for entry in chain:
        lifetime += max(entry.amount, 0)
        if entry.lifetime_after != lifetime:
            return False
    return account.lifetime == lifetime


def _adds_up(account: Account, chain: Sequence[Entry]) -> bool:
    balance = 0
    for seq, entry in enumerate(chain, start=1):
        if (entry.seq, entry.balance_before) != (seq, balance):
            return False
        balance = entry.balance_after
    return (account.balance, account.version) == (balance, len(chain))
