"""Ids of streams: which of them a log can go on from, and why not."""

import pytest

from tallystick.domain.streams import Position, read_positions, reset_reason, tag_of
from tallystick.domain.topics import LogExtent, TopicId

WHOLE = LogExtent(TopicId("t"), 6, 0, None)
TRIMMED = LogExtent(TopicId("t"), 6, 4, "abcdef04")
TAG = "abcdef01"


@pytest.mark.parametrize(
    ("position", "log", "tag", "reason"),
    [
        (Position(5, TAG), WHOLE, TAG, None),
        (Position(5, None), WHOLE, TAG, None),
        (Position(0, None), WHOLE, None, None),
        (Position(0, TAG), WHOLE, None, None),
        (Position(5, "abcdef02"), WHOLE, TAG, "forked"),
        (Position(5, TAG), WHOLE, None, "trimmed"),
        (Position(7, TAG), WHOLE, None, "ahead"),
        (Position(7, None), WHOLE, None, "ahead"),
        (None, WHOLE, None, "garbage"),
        (Position(4, "abcdef04"), TRIMMED, "abcdef04", None),
        (Position(4, None), TRIMMED, "abcdef04", None),
        (Position(4, TAG), TRIMMED, "abcdef04", "forked"),
        (Position(3, None), TRIMMED, None, "trimmed"),
        (Position(0, None), TRIMMED, None, "trimmed"),
    ],
)
def test_a_log_goes_on_from_a_position_that_it_has(
    position: Position | None, log: LogExtent, tag: str | None, reason: str | None
) -> None:
    assert reset_reason(position, log, tag) == reason


def test_an_id_has_a_position_for_each_topic() -> None:
    assert tag_of("0199-abcdef01") == "abcdef01"
    assert read_positions("5-abcdef01", 1) == [Position(5, "abcdef01")]
    assert read_positions("5-abcdef01,0", 2) == [Position(5, "abcdef01"), Position(0, None)]
    assert read_positions("5-abcdef01", 2) == [None, None]
    assert read_positions("5-abcdef01,x", 2) == [Position(5, "abcdef01"), None]
