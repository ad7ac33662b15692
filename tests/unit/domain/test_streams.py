"""Ids of streams: which of them a log can go on from, and why not."""

import pytest

from tallystick.domain.streams import Position, lifetime, read_positions, reset_reason, spread, tag_of
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


def test_an_hour_of_age_is_a_tenth_shorter_or_longer() -> None:
    assert [round(spread(3600, fraction)) for fraction in (0, 0.5, 1)] == [3240, 3600, 3960]


def test_a_stream_ends_with_its_token_or_by_its_age() -> None:
    assert lifetime(3600, None) == lifetime(3600, 3600.0) == (3600, "aged")
    assert lifetime(3600, 3599.5) == (3599.5, "token_ended")
