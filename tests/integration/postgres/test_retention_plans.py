"""Statements that trim long logs: each reads a range of a key, and deletes by one."""

import pytest

from tallystick.adapters.postgres.statements import Statements
from tests.integration.postgres.sessions import Session

EVENTS = 20_000
BEFORE = "'2026-01-02Z'"
PLANS = {
    ("topics", "trim"): (f"'room7', {BEFORE}, 200", {"topics_pkey", "topic_events_pkey"}),
    ("topics", "page"): ("'room7', 1000", {"topics_pkey"}),
    ("topics", "with_old_events"): (f"ARRAY['room7', 'room8'], {BEFORE}", {"topics_pkey", "topic_events_pkey"}),
    ("messages", "forget"): (f"'room7', {BEFORE}, 200", {"topics_pkey", "messages_pkey"}),
    ("messages", "with_old_messages"): (f"ARRAY['room7', 'room8'], {BEFORE}", {"messages_pkey"}),
}
# Half of all events are of one channel.
FILLING = f"""
INSERT INTO topics (topic_id, kind, head) SELECT 'room' || n, 'channel', 9 FROM generate_series(0, 999) AS n;
INSERT INTO messages (channel_id, seq, message_id, sender_id, client_message_id, body, created_at)
SELECT
    'room' || CASE WHEN n % 2 = 0 THEN 7 ELSE n % 1000 END, n, 'm' || n, 'ada', 'c' || n, 'a text',
    '2026-01-01Z'::timestamptz + n * interval '1 min'
FROM generate_series(1, {EVENTS}) AS n;
INSERT INTO topic_events (topic_id, seq, event_id, kind, ref, actor_id, created_at)
SELECT channel_id, seq, 'e' || seq, 'message', message_id, sender_id, created_at FROM messages;
"""


@pytest.fixture
async def filled(superuser: Session) -> Session:
    await superuser.execute("SET session_replication_role = replica; SET search_path = tallystick")
    await superuser.execute(FILLING)
    await superuser.execute("ANALYZE topics, topic_events, messages; SET plan_cache_mode = force_generic_plan")
    return superuser


async def test_every_statement_of_the_trimming_reads_by_key(filled: Session) -> None:
    for (capability, name), (arguments, indexes) in PLANS.items():
        await filled.execute(f"PREPARE {name} AS {dict(Statements.load(capability))[name]}")
        plan = "\n".join(row[0] for row in await filled.fetch(f"EXPLAIN EXECUTE {name} ({arguments})"))

        assert "Seq Scan" not in plan, f"{name}\n{plan}"
        assert {index for index in indexes if index in plan} == indexes, f"{name}\n{plan}"
