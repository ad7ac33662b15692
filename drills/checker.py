"""The checker of a drill: it compares what is stored with what the clients know, and names every difference.

It reads the tables as a superuser, by statements of its own, so that a fault of the service cannot hide in it.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import NamedTuple

import asyncpg

from drills.journal import Journal, Kind, Operation
from drills.scripts import INVITER, PRICE

REFERRAL_POINTS = 100

APPLIED: dict[Kind, str] = {
    "grant": "SELECT user_id, event_key FROM ledger_entries WHERE unit = 'credits' AND event_type = 'grant'",
    "accrual": "SELECT user_id, event_key FROM ledger_entries WHERE unit = 'points' AND event_type = 'drill'",
    "invite": "SELECT owner_id, code FROM invites",
    "seat": "SELECT u.user_id, i.code FROM invite_uses AS u JOIN invites AS i USING (invite_id)",
    "mint": "SELECT user_id, '' FROM referral_codes WHERE is_canonical AND user_id LIKE 'sharer-%'",
    "delivery": "SELECT 'arrived-' || substr(delivery_id, 5), delivery_id FROM webhook_deliveries",
    "message": "SELECT sender_id, body FROM messages",
}
"""For each kind of operation the statement that lists what took effect: a row of user and key for each time."""

RULES: dict[str, str] = {
    "an account is negative": "SELECT user_id FROM ledger_accounts WHERE balance < 0",
    "a balance differs from its entries": """
        SELECT user_id FROM ledger_accounts AS a WHERE balance IS DISTINCT FROM (
            SELECT sum(amount) FROM ledger_entries AS e WHERE (e.user_id, e.unit) = (a.user_id, a.unit))""",
    "an invite has another number of uses than seats taken": """
        SELECT code FROM invites AS i WHERE current_uses > max_uses
        OR current_uses <> (SELECT count(*) FROM invite_uses AS u WHERE u.invite_id = i.invite_id)
        """,
    "a customer paid another sum than the price of their rewards": f"""
        SELECT user_id FROM ledger_accounts AS a
        WHERE user_id LIKE 'customer-%' AND unit = 'credits' AND balance <> (
            SELECT sum(amount) FROM ledger_entries AS e WHERE e.user_id = a.user_id AND event_type = 'grant'
        ) - {PRICE} * (SELECT count(*) FROM collected_rewards AS c WHERE c.user_id = a.user_id)""",
    "the inviter has other points than for their invitees": f"""
        SELECT '{INVITER}'
        WHERE {REFERRAL_POINTS} * (SELECT count(*) FROM referral_edges WHERE inviter_id = '{INVITER}')
        <> coalesce((SELECT balance FROM ledger_accounts WHERE (user_id, unit) = ('{INVITER}', 'points')), 0)""",
    "the numbers of a topic have a gap": """
        SELECT topic_id FROM topics AS t
        WHERE head <> (SELECT count(*) FROM topic_events AS e WHERE e.topic_id = t.topic_id)""",
}
"""Statements that list what breaks a rule, whatever the clients know."""


class Balance(NamedTuple):
    """A stored balance, and the sums of awards that its clients know of."""

    user: str
    stored: int
    acknowledged: int
    possible: int
    """With the awards whose outcome is unknown."""

    def faults(self) -> Iterator[str]:
        """Decode the balance: each bit of it is one award."""
        if lost := self.acknowledged & ~self.stored:
            yield f"{self.user}: the acknowledged awards {_bits(lost)} are not in the balance"
        if extra := self.stored & ~self.possible:
            yield f"{self.user}: the balance holds {_bits(extra)}, which nobody was granted, or twice"


async def differences(dsn: str, journal: Journal) -> list[str]:
    """Return every difference between the tables and what the clients know, and every broken rule, in words."""
    connection = await asyncpg.connect(dsn, server_settings={"search_path": "tallystick"})
    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            applied = {
                kind: Counter((str(user), str(key)) for user, key in await connection.fetch(statement))
                for kind, statement in APPLIED.items()
            }
            bought = Counter(
                tuple(map(str, row))
                for row in await connection.fetch("SELECT user_id, reward_id FROM collected_rewards")
            )
            arrived = {str(row[0]) for row in await connection.fetch("SELECT user_id FROM users")}
            edges = {str(row[0]) for row in await connection.fetch("SELECT invitee_id FROM referral_edges")}
            codes = {
                str(user): str(code)
                for user, code in await connection.fetch("SELECT user_id, code FROM referral_codes WHERE is_canonical")
            }
            balances = {
                (str(user), str(unit)): int(balance)
                for user, unit, balance in await connection.fetch("SELECT user_id, unit, balance FROM ledger_accounts")
            }
            broken = {rule: await connection.fetch(statement) for rule, statement in RULES.items()}
    finally:
        await connection.close()

    found = [f"{rule}: {', '.join(str(row[0]) for row in rows[:5])}" for rule, rows in broken.items() if rows]
    for kind, times in applied.items():
        found += _compared(journal, kind, times)
    found += _purchases(journal, bought)
    found += _arrivals(journal, arrived, edges)
    found += _codes(journal, codes)
    for balance in _purses(journal, balances):
        found += balance.faults()
    return found


def _compared(journal: Journal, kind: Kind, times: Counter[tuple[str, str]]) -> Iterator[str]:
    for operation in _of(journal, kind):
        count, known = times.pop((operation.user, operation.key), 0), journal.knowledge(operation)
        if known == "acknowledged" and count == 0:
            yield f"{operation} was acknowledged, and is lost"
        if known == "refused" and count > 0:
            yield f"{operation} was refused, and was done"
        if count > 1:
            yield f"{operation} was done {count} times"
    for (user, key), count in times.items():
        if count:
            yield f"{kind} {key} of {user} was done, and nobody asked for it"


def _purchases(journal: Journal, bought: Counter[tuple[str, ...]]) -> Iterator[str]:
    """A reward is bought once, by whichever of its requests was acknowledged."""
    asked: dict[tuple[str, str], list[Operation]] = defaultdict(list)
    for operation in _of(journal, "purchase"):
        asked[operation.user, operation.key.rpartition(".")[0]].append(operation)
    for order, operations in asked.items():
        known = [journal.knowledge(operation) for operation in operations]
        if known.count("acknowledged") > 1:
            yield f"the purchase {order} was acknowledged to two requests with different keys"
        if "acknowledged" in known and not bought[order]:
            yield f"the purchase {order} was acknowledged, and is lost"
        poor = [
            operation
            for operation in operations
            if operation in journal.refusals and journal.refusals[operation].status == 402
        ]
        if poor and bought[order]:  # a customer's credits never grow: who had too few then has too few now
            yield f"{poor[0]} was refused for want of credits, and the customer has the reward"
        if set(known) == {"refused"} and bought[order]:
            yield f"the purchase {order} was refused, and was done"
    for unasked in bought.keys() - asked.keys():
        yield f"the purchase {unasked} was done, and nobody asked for it"


def _arrivals(journal: Journal, arrived: set[str], edges: set[str]) -> Iterator[str]:
    for operation in _of(journal, "arrival"):
        if journal.knowledge(operation) != "acknowledged":
            continue
        if operation.user not in arrived:
            yield f"{operation} was acknowledged, and the user is lost"
        recorded = journal.replies[operation].body["attribution"] == "recorded"
        if operation.key and recorded and operation.user not in edges:
            yield f"{operation} was recorded, and the inviter is lost"


def _codes(journal: Journal, codes: dict[str, str]) -> Iterator[str]:
    for operation in _of(journal, "mint"):
        reply = journal.replies.get(operation)
        if reply is not None and reply.body["referral_code"] != codes.get(operation.user):
            yield f"{operation} was answered {reply.body['referral_code']}, and the code is {codes.get(operation.user)}"


def _purses(journal: Journal, balances: dict[tuple[str, str], int]) -> Iterator[Balance]:
    """Return the balances that only awards make: those of purses and of players."""
    sums: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0])
    for kind, unit, prefix in (("grant", "credits", "purse-"), ("accrual", "points", "player-")):
        for operation in journal.operations():
            if operation.kind == kind and operation.user.startswith(prefix):
                known = journal.knowledge(operation)
                sums[operation.user, unit][0] += operation.amount if known == "acknowledged" else 0
                sums[operation.user, unit][1] += operation.amount if known != "refused" else 0
    for (user, unit), (acknowledged, possible) in sums.items():
        yield Balance(user, balances.get((user, unit), 0), acknowledged, possible)


def _of(journal: Journal, kind: Kind) -> list[Operation]:
    return [operation for operation in journal.operations() if operation.kind == kind]


def _bits(number: int) -> str:
    return ", ".join(f"2^{place}" for place in range(number.bit_length()) if number >> place & 1)
