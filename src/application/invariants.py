"""Invariants: promises about stored rows, each with the number of its violations."""

from collections.abc import Mapping, Sequence
from typing import Literal, Protocol

import msgspec

InvariantState = Literal["holds", "broken", "empty", "hidden", "unfinished"]
"""The state of a promise. `empty` means that the tables of the promise have no rows.

`hidden` means that a policy of row level security can hide rows from the role that counts. `unfinished` means that the
count took longer than it may.
"""
LARGEST_LIST = 20
"""How many rows of one promise are named."""


class Invariant(msgspec.Struct, frozen=True):
    """One promise and the number of its violations."""

    name: str
    """The lasting name of the promise."""
    promise: str
    violations: int
    state: InvariantState
    """Whether the promise holds, and why not if it cannot be said."""

    @classmethod
    def judged(cls, name: str, violations: int | None, *, has_rows: bool, is_hidden: bool) -> "Invariant":
        """Return a promise with its state; None for violations of a count that was not finished."""
        state: InvariantState = "holds"
        if violations is None:
            state = "unfinished"
        elif violations:
            state = "broken"
        elif is_hidden:
            state = "hidden"
        elif not has_rows:
            state = "empty"
        return cls(name, PROMISES[name], violations or 0, state)

    @property
    def is_kept(self) -> bool:
        """Return whether the promise holds for every row that there is."""
        return self.state in {"holds", "empty"}


class CountedPart(msgspec.Struct, frozen=True):
    """The count of a part of the rows of a promise, which ends with a key."""

    up_to: str | None
    """The last key of the part; None where no row is left after it."""
    violations: int | None
    """None where the count took too long."""
    has_rows: bool
    is_hidden: bool


class Invariants(Protocol):
    """Counts violations in the stored rows."""

    async def count(self) -> Sequence[Invariant]:
        """Return every promise with its violations; slow on large tables."""

    async def part(self, name: str, *, after: str, rows: int, seconds: float) -> CountedPart:
        """Count one promise for the rows after a key, about as many of each of its tables; needs a snapshot.

        Rows with the same key belong to one part. A store may return all rows as one part.
        """

    async def broken_rows(self, name: str, *, after: str = "", limit: int) -> list[str]:
        """Return the keys of the first rows after a key that break a promise, in their order.

        The parts of a key have spaces between them. They are ids, and neither codes nor profiles.
        """


PROMISES: Mapping[str, str] = {
    "one_code_each": "a living user who has codes has exactly one canonical one",
    "living_codes_resolve": "a code resolves while its user lives, and no longer",
    "verified_users_exist": "a verified phone belongs to a user who is known",
    "one_inviter_no_cycle": "nobody invited themselves, and no two users invited each other",
    "seats_are_uses": "an invite has as many uses as it shows, and never more than it allows",
    "balances_are_entries": "a balance is the sum of its entries, each of which starts where the one before it ended",
    "lifetime_is_earned": "lifetime points are all that was ever credited, and each entry says how far they had come",
    "events_count_once": "one event credits or debits an account once",
    "slips_accrue_once": "a closed slip that earned points has exactly one accrual, or visibly waits for it",
    "waiting_is_not_credited": "what waits for being credited was not credited",
    "collected_once_and_paid": "a collected reward was paid for once, and not by its owner",
    "events_have_no_gaps": "a topic has one event for each number from the start of its log to its head",
    "messages_are_events": "a message has its event, and a deleted one that of its deletion, as far as the log goes",
    "senders_were_members": "the sender of a message was a member of the channel at its number",
    "rosters_keep_their_rules": "a slot of a roster is one that its rules allow; no slot and no player is there twice",
    "overlays_end_once": "a version of an overlay has at most one end, and exactly one before the next one begins",
    "referrals_are_edges": "the referrals that are shown are the edges that are stored",
}
"""Every promise that can be counted, by name."""
