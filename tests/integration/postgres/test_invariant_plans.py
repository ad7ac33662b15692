"""Promises of long logs are counted by a bounded number of rows for each row that is stored."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from tallystick.adapters.postgres.statements import Statements
from tests.integration.postgres.sessions import Session

MESSAGES = 5_000
ROWS_READ_FOR_EACH = 20
FILLING = f"""
SET session_replication_role = replica;
SET search_path = tallystick;
INSERT INTO topics (topic_id, kind, head) VALUES ('room', 'channel', {MESSAGES + 1});
INSERT INTO channel_members (channel_id, user_id, role, joined_seq) VALUES ('room', 'ada', 'owner', 1);
INSERT INTO messages (channel_id, seq, message_id, sender_id, client_message_id, body, created_at)
SELECT 'room', n + 1, 'm' || n, 'ada', 'c' || n, 'a text', now() FROM generate_series(1, {MESSAGES}) AS n;
INSERT INTO topic_events (topic_id, seq, event_id, kind, ref, actor_id, created_at)
SELECT channel_id, seq, 'e' || seq, 'message', message_id, sender_id, created_at FROM messages
UNION ALL SELECT 'room', 1, 'e1', 'member_added', 'ada', 'ada', now();
"""


@pytest.mark.parametrize("promise", ["events_have_no_gaps", "messages_are_events", "senders_were_members"])
@pytest.mark.parametrize("is_analyzed", [True, False], ids=["with statistics", "without statistics"])
async def test_a_long_channel_is_not_read_again_for_each_message(
    superuser: Session, promise: str, is_analyzed: bool
) -> None:
    await superuser.execute(FILLING)
    if is_analyzed:
        await superuser.execute("ANALYZE topics, topic_events, messages, channel_members")

    plan = json.loads(
        (
            await superuser.fetch(
                f"EXPLAIN (ANALYZE, FORMAT JSON) {dict(Statements.load('invariants'))[promise]}", "", None
            )
        )[0][0]
    )

    read = sum(rows_read(node) for node in nodes(plan[0]["Plan"]))
    assert read < ROWS_READ_FOR_EACH * MESSAGES, json.dumps(plan, indent=1)


def nodes(plan: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """Yield the nodes of a plan."""
    yield plan
    for below in plan.get("Plans", ()):
        yield from nodes(below)


def rows_read(node: Mapping[str, Any]) -> float:
    """Return how many rows a node read or made, in all its loops."""
    removed = (value for name, value in node.items() if name.startswith("Rows Removed"))
    return float(node["Actual Loops"] * (node["Actual Rows"] + sum(removed)))
