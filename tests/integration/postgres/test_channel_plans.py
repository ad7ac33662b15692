"""Statements about channels: each reads ranges of keys, however many rows a channel or a user has."""

import json
from typing import Any

import pytest

from tallystick.adapters.postgres.statements import Statements
from tests.integration.postgres.sessions import Session

PLANS = {
    ("topics", "find"): ("ARRAY['c00007'], ARRAY['e3']", {"topic_events_by_id"}),
    ("channels", "member_counts"): ("ARRAY['c00007'], 100", {"channel_members_pkey"}),
    ("channels", "page"): ("'ada', NULL, 3", {"channel_members_present_by_user", "messages_pkey"}),
}
# Ada has left all channels but three, where others have sent much since her marker.
FILLING = """
INSERT INTO topics (topic_id, kind, head)
SELECT 'c' || lpad(n::text, 5, '0'), 'channel', 9 FROM generate_series(1, 3000) n;
INSERT INTO channels SELECT topic_id, 'owner', 'a name', now() FROM topics;
INSERT INTO channel_members (channel_id, user_id, role, joined_seq, left_seq)
SELECT topic_id, 'ada', 'member', 1, CASE WHEN topic_id > 'c00003' THEN 2 END FROM topics;
INSERT INTO channel_members (channel_id, user_id, role, joined_seq) SELECT topic_id, 'owner', 'owner', 1 FROM topics;
INSERT INTO channel_members (channel_id, user_id, role, joined_seq)
SELECT 'c00007', 'user' || n, 'member', 1 FROM generate_series(1, 3000) n;
INSERT INTO messages (channel_id, seq, message_id, sender_id, client_message_id, body, created_at, deleted_at)
SELECT
    'c0000' || n % 4, n, 'm' || n, 'owner', 'c' || n, CASE WHEN n % 4 <> 3 THEN 'a text' END, now(),
    CASE WHEN n % 4 = 3 THEN now() END
FROM generate_series(1, 8000) AS n;
INSERT INTO topic_events (topic_id, seq, event_id, kind, ref, actor_id, created_at)
SELECT 'c00007', n, 'e' || n, CASE WHEN n % 100 = 3 THEN 'member_added' ELSE 'message' END, 'r' || n, 'owner', now()
FROM generate_series(1, 8000) AS n;
"""


@pytest.fixture
async def filled(superuser: Session) -> Session:
    await superuser.execute("SET session_replication_role = replica; SET search_path = tallystick")
    await superuser.execute(FILLING)
    await superuser.execute("ANALYZE; SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off")
    return superuser


async def test_every_statement_reads_by_key(filled: Session) -> None:
    for (capability, name), (arguments, indexes) in PLANS.items():
        await filled.execute(f"PREPARE {name} AS {dict(Statements.load(capability))[name]}")
        plan = "\n".join(row[0] for row in await filled.fetch(f"EXPLAIN EXECUTE {name} ({arguments})"))

        assert "Seq Scan" not in plan, f"{name}\n{plan}"
        assert {index for index in indexes if index in plan} == indexes, f"{name}\n{plan}"


async def test_a_list_of_channels_reads_few_messages_of_each(filled: Session) -> None:
    """A hundred where none was deleted, and two hundred where all were."""
    await filled.execute(f"PREPARE page AS {dict(Statements.load('channels'))['page']}")

    found = await filled.fetchval("EXPLAIN (ANALYZE, FORMAT JSON) EXECUTE page ('ada', NULL, 3)")

    scans = [each for each in _nodes(json.loads(found)[0]["Plan"]) if each.get("Index Name") == "messages_pkey"]
    assert [(each["Actual Loops"], round(each["Actual Rows"] * each["Actual Loops"])) for each in scans] == [
        (3, 100 + 100 + 200)
    ]
    states = await filled.fetch("EXECUTE page ('ada', NULL, 3)")
    assert [(each["channel_id"], each["unread"]) for each in states] == [
        ("c00003", 0),
        ("c00002", 100),
        ("c00001", 100),
    ]


def _nodes(plan: dict[str, Any]) -> list[dict[str, Any]]:
    return [plan, *(node for part in plan.get("Plans", ()) for node in _nodes(part))]
