"""The invariants on PostgreSQL: the rows that break them, counted and named."""

import re
from collections.abc import Mapping, Sequence
from typing import TypedDict

import asyncpg

from tallystick.adapters.postgres.database import Connection
from tallystick.adapters.postgres.statements import Statements
from tallystick.adapters.postgres.visibility import Visibility, read_visibility
from tallystick.application.invariants import PROMISES, CountedPart, Invariant, Invariants


class _Seen(TypedDict):
    has_rows: bool
    is_hidden: bool


_SQL = Statements.load("invariants")
"""One statement for each promise: the keys of the rows that break it, of a part or of all."""

TABLES: Mapping[str, frozenset[str]] = {name: frozenset(re.findall(r"tallystick\.(\w+)", sql)) for name, sql in _SQL}
"""The tables that each promise is about."""

_ENTRIES = ("ledger_entries", "user_id")
_EVENTS, _MESSAGES = ("topic_events", "topic_id"), ("messages", "channel_id")
LEADS: Mapping[str, Sequence[tuple[str, str]]] = {
    "one_code_each": [("users", "user_id")],
    "living_codes_resolve": [("referral_codes", "code")],
    "verified_users_exist": [("phone_verifications", "user_id")],
    "one_inviter_no_cycle": [("referral_edges", "invitee_id")],
    "referrals_are_edges": [("users", "user_id"), ("referral_edges", "inviter_id")],
    "seats_are_uses": [("invites", "invite_id"), ("invite_uses", "invite_id")],
    "balances_are_entries": [("ledger_accounts", "user_id"), _ENTRIES],
    "lifetime_is_earned": [("ledger_accounts", "user_id"), _ENTRIES],
    "events_count_once": [_ENTRIES],
    "slips_accrue_once": [("rating_slips", "slip_id"), _ENTRIES, ("pending_accruals", "player_id")],
    "waiting_is_not_credited": [("pending_accruals", "player_id")],
    "collected_once_and_paid": [("collected_rewards", "user_id"), _ENTRIES],
    "events_have_no_gaps": [("topics", "topic_id"), _EVENTS],
    "messages_are_events": [_MESSAGES, _EVENTS],
    "senders_were_members": [_MESSAGES, _EVENTS],
    "rosters_keep_their_rules": [("stage_rosters", "room_id"), ("roster_slots", "room_id")],
    "overlays_end_once": [("topics", "topic_id")],
}
"""The tables of each promise that are read in parts, each with the column by which it is; all have an index on it."""


class PostgresInvariants(Invariants):
    """The statements of the promises, one after the other."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def count(self) -> Sequence[Invariant]:
        visibility = await read_visibility(self._connection)
        counted = [(name, await self._connection.fetchval(_counting(sql), "", None)) for name, sql in _SQL]
        found = dict(counted)
        return [Invariant.judged(name, found[name], **_seen(visibility, name)) for name in PROMISES]

    async def part(self, name: str, *, after: str, rows: int, seconds: float) -> CountedPart:
        visibility = await read_visibility(self._connection)
        # One processor at most: requests need the others. A plan for all parts would read whole tables.
        await self._connection.execute(
            "SET LOCAL max_parallel_workers_per_gather = 0; SET LOCAL plan_cache_mode = force_custom_plan"
        )
        up_to = await self._connection.fetchval(_END_OF_PART[name], after, rows - 1)
        await self._connection.execute(
            f"SAVEPOINT counted; SET LOCAL statement_timeout = {max(1, int(seconds * 1000))}"
        )
        try:
            violations = int(await self._connection.fetchval(_counting(dict(_SQL)[name]), after, up_to))
        except asyncpg.QueryCanceledError:
            await self._connection.execute("ROLLBACK TO SAVEPOINT counted")
            return CountedPart(up_to, None, **_seen(visibility, name))
        return CountedPart(up_to, violations, **_seen(visibility, name))

    async def broken_rows(self, name: str, *, after: str = "", limit: int) -> list[str]:
        broken = f"({dict(_SQL)[name]}) AS broken WHERE key > $3::text"
        rows = await self._connection.fetch(
            f"SELECT key FROM {broken} ORDER BY key LIMIT $4",  # noqa: S608  of the file
            "",
            None,
            after,
            limit,
        )
        return [row["key"] for row in rows]


def _counting(statement: str) -> str:
    return f"SELECT count(*) FROM ({statement}) AS broken"  # noqa: S608  of the file


def _end_of_part(leads: Sequence[tuple[str, str]]) -> str:
    """Return the statement of the last key of a part; NULL where each table has fewer rows left."""
    ends = (
        f"(SELECT {column} FROM tallystick.{table} WHERE {column} > $1::text "  # noqa: S608  names of this file
        f"ORDER BY {column} OFFSET $2::bigint LIMIT 1)"
        for table, column in leads
    )
    return f"SELECT least({', '.join(ends)})"


_END_OF_PART: Mapping[str, str] = {name: _end_of_part(leads) for name, leads in LEADS.items()}


def _seen(visibility: Visibility, name: str) -> _Seen:
    return _Seen(
        has_rows=not visibility.filled.isdisjoint(TABLES[name]),
        is_hidden=not visibility.hidden.isdisjoint(TABLES[name]),
    )
