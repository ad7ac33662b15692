"""Ids of streams: which of them a log can go on from, and why not."""

from datetime import UTC, datetime

import pytest

from tallystick.domain.streams import Position, read_positions, reset_reason, tag_of
from tallystick.domain.topics import TopicEvent, TopicId
from tallystick.domain.users import UserId

NOW = datetime(2026, 11, 30, tzinfo=UTC)
EVENT = TopicEvent(TopicId("t"), 5, "0199-abcdef01", "message", "m", UserId("ada"), None, NOW)


@pytest.mark.parametrize(
    ("position", "stored", "reason"),
    [
        (Position(5, "abcdef01"), EVENT, None),
        (Position(5, None), EVENT, None),
        (Position(0, None), None, None),
        (Position(0, "abcdef01"), None, None),
        (Position(5, "abcdef02"), EVENT, "forked"),
        (Position(5, "abcdef01"), None, "trimmed"),
        (Position(7, "abcdef01"), None, "ahead"),
        (Position(7, None), None, "ahead"),
        (None, None, "garbage"),
    ],
)
def test_a_log_goes_on_from_a_position_that_it_has(
    position: Position | None, stored: TopicEvent | None, reason: str | None
) -> None:
    assert reset_reason(position, 6, stored) == reason


def test_an_id_has_a_position_for_each_topic() -> None:
    assert tag_of(EVENT.event_id) == "abcdef01"
    assert read_positions("5-abcdef01", 1) == [Position(5, "abcdef01")]
    assert read_positions("5-abcdef01,0", 2) == [Position(5, "abcdef01"), Position(0, None)]
    assert read_positions("5-abcdef01", 2) == [None, None]
    assert read_positions("5-abcdef01,x", 2) == [Position(5, "abcdef01"), None]
