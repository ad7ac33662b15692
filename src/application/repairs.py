"""Repairs: what an operator can do about each broken promise by one command, and where only a person can decide."""

from collections.abc import Mapping

REPAIRS: Mapping[str, str] = {
    "one_code_each": "the code that was canonical last is canonical again, and all others are aliases",
    "living_codes_resolve": "codes resolve again while their user lives, and are retired with the time of the deletion",
    "seats_are_uses": "the counter becomes the number of users; the earliest of repeated uses stays, and an oversold "
    "invite gets as many seats as were used",
    "balances_are_entries": "the account is set to its last entry, where the entries follow each other; where that "
    "changes the balance, an entry `correction` of 0 says what it was",
    "lifetime_is_earned": "the lifetime points are set to those of the last entry, where the entries add up",
    "events_have_no_gaps": "the head is set to the last event, where no number is missing",
    "referrals_are_edges": "the counter becomes the number of edges",
}
"""The repair of each promise that has one. None of them changes a row of history."""

UNREPAIRED: Mapping[str, str] = {
    "verified_users_exist": "a verification is never undone, and only a backup has the user: restore the row",
    "one_inviter_no_cycle": "edges are history, and only a person can tell which of two came first",
    "events_count_once": "entries are history: grant or debit the difference, with a reason",
    "slips_accrue_once": "points are credited by `POST /api/rating-slips/{slip_id}/recover`; a lost entry or pending "
    "accrual comes back from a backup alone",
    "waiting_is_not_credited": "the sweep of pending accruals closes them within two minutes; its log says why not",
    "collected_once_and_paid": "purchases and entries are history: restore the lost row, or grant the price back",
    "messages_are_events": "the log of a channel is history: restore the lost rows",
    "senders_were_members": "the log of a channel is history: restore the lost rows",
    "rosters_keep_their_rules": "the owner of the room synchronises the roster again",
    "overlays_end_once": "the log of overlays is history: restore the lost rows",
}
"""Why no command repairs each of the other promises."""
