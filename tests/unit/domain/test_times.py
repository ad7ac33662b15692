"""Times at the ends of the calendar."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from tallystick.domain.times import EARLIEST, LATEST, bounded, in_utc

EAST, WEST = timezone(timedelta(hours=14)), timezone(timedelta(hours=-14))


@pytest.mark.parametrize(
    "time",
    [
        datetime.max.replace(tzinfo=UTC),
        datetime.min.replace(tzinfo=UTC),
        datetime.max.replace(tzinfo=WEST),
        datetime.min.replace(tzinfo=EAST),
        datetime(9999, 1, 1, tzinfo=UTC),
        datetime(1, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
        datetime(2, 1, 1, tzinfo=EAST),
        datetime(9998, 12, 31, 23, tzinfo=WEST),
        datetime(2030, 1, 1),  # noqa: DTZ001  without a zone on purpose
    ],
)
def test_a_time_outside_of_the_bounds_or_without_a_zone_is_none(time: datetime) -> None:
    assert in_utc(time) is None


@pytest.mark.parametrize("time", [EARLIEST, LATEST, datetime(2030, 1, 1, tzinfo=EAST)])
def test_a_time_inside_of_the_bounds_comes_in_utc(time: datetime) -> None:
    shifted = in_utc(time)

    assert shifted == time
    assert shifted is not None
    assert shifted.tzinfo is UTC


def test_infinity_of_a_database_is_the_nearest_bound() -> None:
    now = datetime(2030, 1, 1, tzinfo=UTC)

    assert (bounded(datetime.min), bounded(datetime.max), bounded(now)) == (EARLIEST, LATEST, now)  # noqa: DTZ901  as asyncpg gives it
