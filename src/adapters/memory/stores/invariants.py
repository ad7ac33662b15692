"""The invariants in memory: the values that break them, counted and named."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from tallystick.adapters.memory.drafts import Draft
from tallystick.adapters.memory.room_invariants import RoomInvariants
from tallystick.adapters.memory.tables import View
from tallystick.application.invariants import PROMISES, CountedPart, Invariant, Invariants
from tallystick.domain.ledger import Account, AccountKey, Entry
from tallystick.domain.rating_slips import Slip
from tallystick.domain.users import UserId


class _Check(NamedTuple):
    broken: Callable[[], Iterable[str]]
    tables: tuple[Draft[Any, Any], ...]
    """The tables that the promise is about."""


class MemoryInvariants(Invariants):
    """The same keys as the SQL statements return, over the values of a view."""

    def __init__(self, view: View) -> None:
        self._view, self._rooms = view, RoomInvariants(view)

    async def count(self) -> Sequence[Invariant]:
        counts = {name: len(list(check.broken())) for name, check in self._checks().items()}
        return [
            Invariant.judged(name, counts[name], has_rows=self._has_rows(check), is_hidden=False)
            for name, check in self._checks().items()
        ]

    async def part(self, name: str, *, after: str, rows: int, seconds: float) -> CountedPart:  # noqa: ARG002  it is fast
        check = self._checks()[name]
        return CountedPart(None, len(list(check.broken())), has_rows=self._has_rows(check), is_hidden=False)

    async def broken_rows(self, name: str, *, after: str = "", limit: int) -> list[str]:
        return sorted(key for key in self._checks()[name].broken() if key > after)[:limit]

    def _has_rows(self, check: "_Check") -> bool:
        return any(next(table.values(), None) is not None for table in check.tables)

    def _checks(self) -> Mapping[str, "_Check"]:
        view, rooms = self._view, self._rooms
        codes, edges, chains = (view.codes, view.users), (view.edges,), (view.accounts, view.entries)
        messages = (view.messages, view.topic_events)
        checks = {
            "one_code_each": _Check(self._without_one_code, codes),
            "living_codes_resolve": _Check(self._wrongly_retired, codes),
            "verified_users_exist": _Check(self._verified_without_user, (view.verifications, view.users)),
            "one_inviter_no_cycle": _Check(self._cycles, edges),
            "seats_are_uses": _Check(self._wrong_seats, (view.invites, view.invite_uses)),
            "balances_are_entries": _Check(self._wrong_balances, chains),
            "lifetime_is_earned": _Check(self._unearned, chains),
            "events_count_once": _Check(self._repeated_events, (view.entries,)),
            "slips_accrue_once": _Check(self._wrong_slips, (view.slips, view.entries, view.pending)),
            "waiting_is_not_credited": _Check(self._credited_and_pending, (view.pending, view.entries)),
            "collected_once_and_paid": _Check(self._unpaid, (view.collected, view.entries, view.rewards)),
            "events_have_no_gaps": _Check(rooms.topics_with_gaps, (view.topics, view.topic_events)),
            "messages_are_events": _Check(rooms.unpaired_messages, (*messages, view.topics)),
            "senders_were_members": _Check(rooms.strangers_messages, (*messages, view.topics, view.members)),
            "rosters_keep_their_rules": _Check(rooms.broken_rosters, (view.rosters,)),
            "overlays_end_once": _Check(rooms.wrong_ends, (view.topic_events, view.overlays)),
            "referrals_are_edges": _Check(self._miscounted, (view.users, view.edges)),
        }
        return {name: checks[name] for name in PROMISES}

    def _is_living(self, user_id: UserId) -> bool:
        user = self._view.users.get(user_id)
        return user is not None and user.deleted_at is None

    def _without_one_code(self) -> Iterable[str]:
        canonical: Counter[UserId] = Counter()
        for entry in self._view.codes.values():
            canonical[entry.user_id] += entry.is_canonical
        return (user_id for user_id, count in canonical.items() if count != 1 and self._is_living(user_id))

    def _wrongly_retired(self) -> Iterable[str]:
        return (
            entry.user_id
            for entry in self._view.codes.values()
            if (entry.retired_at is None) != self._is_living(entry.user_id)
            and (entry.retired_at is not None or entry.user_id not in self._view.erasing)
        )

    def _verified_without_user(self) -> Iterable[str]:
        return (each.user_id for each in self._view.verifications.values() if each.user_id not in self._view.users)

    def _cycles(self) -> Iterable[str]:
        pairs = {(edge.invitee_id, edge.inviter_id) for edge in self._view.edges.values()}
        return (invitee_id for invitee_id, inviter_id in pairs if (inviter_id, invitee_id) in pairs)

    def _miscounted(self) -> Iterable[str]:
        edges = Counter(edge.inviter_id for edge in self._view.edges.values())
        return (user.user_id for user in self._view.users.values() if user.referrals != edges[user.user_id])

    def _wrong_seats(self) -> Iterable[str]:
        uses = Counter(use.invite_id for use in self._view.invite_uses.values())
        return (
            invite.invite_id
            for invite in self._view.invites.values()
            if invite.current_uses > invite.max_uses or invite.current_uses != uses[invite.invite_id]
        )

    def _wrong_balances(self) -> Iterable[str]:
        return (f"{a.user_id} {a.unit}" for a, chain in self._chains() if not _adds_up(a, chain))

    def _unearned(self) -> Iterable[str]:
        points = ((account, chain) for account, chain in self._chains() if account.unit == "points")
        return (f"{a.user_id} {a.unit}" for a, chain in points if not _is_earned(a, chain))

    def _chains(self) -> list[tuple[Account, list[Entry]]]:
        """Return the accounts, each with its entries."""
        chains: dict[AccountKey, list[Entry]] = {}
        for entry in self._view.entries.values():
            chains.setdefault(AccountKey(entry.user_id, entry.unit), []).append(entry)
        return [
            (account, sorted(chains.get(AccountKey(account.user_id, account.unit), ()), key=_seq))
            for account in self._view.accounts.values()
        ]

    def _repeated_events(self) -> Iterable[str]:
        events = Counter((e.user_id, e.unit, e.event_type, e.event_key) for e in self._view.entries.values())
        return (" ".join(event) for event, count in events.items() if count > 1)

    def _wrong_slips(self) -> Iterable[str]:
        existing = {slip.event for slip in self._view.slips.values()}
        credited = {entry.event for entry in self._view.entries.values() if entry.event_type == "rating_slip"}
        waiting = {pending.event for pending in self._view.pending.values() if pending.event_type == "rating_slip"}
        orphaned = (credited | waiting) - existing
        wrong = [slip.slip_id for slip in self._view.slips.values() if not self._has_accrued(slip)]
        return [*(event.key for event in orphaned), *wrong]

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

    def _credited_and_pending(self) -> Iterable[str]:
        waiting = (pending.event for pending in self._view.pending.values())
        return (f"{event.user_id} {event.type} {event.key}" for event in waiting if event in self._view.events)

    def _unpaid(self) -> Iterable[str]:
        paid = {
            (entry.user_id, entry.event_key): entry
            for entry in self._view.entries.values()
            if entry.event_type == "purchase" and entry.unit == "credits"
        }
        collected = {(each.user_id, str(each.reward_id)): each for each in self._view.collected.values()}
        broken = [" ".join(key) for key in paid.keys() ^ collected.keys()]
        for key in paid.keys() & collected.keys():
            entry, each = paid[key], collected[key]
            reward = self._view.rewards.get(each.reward_id)
            is_own = reward is not None and reward.owner_id == each.user_id
            if is_own or (entry.amount, entry.balance_after) != (-each.cost, each.balance_after):
                broken.append(" ".join(key))
        return broken


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
