"""Ids that are ordered by time."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from tallystick.domain.ids import uuid_v7

MOMENTS = st.integers(40_000_000, 29_000_000_000).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))


@given(MOMENTS, st.binary(min_size=10, max_size=10))
def test_an_id_is_a_uuid_of_version_7(at: datetime, chance: bytes) -> None:
    made = UUID(uuid_v7(at, chance))

    assert (made.version, made.variant) == (7, "specified in RFC 4122")
    assert made.int >> 80 == int(at.timestamp()) * 1000


@given(MOMENTS, st.binary(min_size=10, max_size=10), st.binary(min_size=10, max_size=10))
def test_later_ids_sort_behind_earlier_ones(at: datetime, one: bytes, other: bytes) -> None:
    assert uuid_v7(at, one) < uuid_v7(at + timedelta(milliseconds=1), other)


def test_all_74_bits_of_chance_count() -> None:
    at = datetime(2026, 1, 1, tzinfo=UTC)
    ids = {uuid_v7(at, (1 << bit).to_bytes(10, "big")) for bit in range(80)}

    assert len(ids) == 75
