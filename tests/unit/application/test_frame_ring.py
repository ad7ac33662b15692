"""The newest frames of a topic: bounded in number and in bytes, from either end."""

import pytest

from tallystick.application.stream_frames import RING_BYTES, RING_FRAMES, Frame, FrameRing

LARGE = RING_BYTES // 4


def frames(first: int, last: int, size: int = 1) -> list[Frame]:
    return [Frame(seq, b"%d-tag" % seq, "message", f"m{seq}", b"x" * size) for seq in range(first, last + 1)]


def kept(ring: FrameRing, last: int) -> list[int]:
    """Return the numbers that the ring has, up to the last one."""
    oldest = next((seq for seq in range(last) if ring.after(seq) is not None), None)
    return [] if oldest is None else list(range(oldest + 1, last + 1))


@pytest.mark.parametrize(("size", "number"), [(1, RING_FRAMES), (LARGE, 4), (LARGE + 1, 3), (RING_BYTES, 1)])
def test_the_oldest_frames_make_room_for_new_ones(size: int, number: int) -> None:
    ring = FrameRing()
    ring.extend(frames(1, 2 * RING_FRAMES, size))

    assert kept(ring, 2 * RING_FRAMES) == list(range(2 * RING_FRAMES - number + 1, 2 * RING_FRAMES + 1))


@pytest.mark.parametrize(("size", "number"), [(1, RING_FRAMES), (LARGE, 4), (LARGE + 1, 3), (RING_BYTES + 1, 0)])
def test_earlier_frames_are_taken_while_there_is_room(size: int, number: int) -> None:
    ring = FrameRing()
    ring.reach_back(frames(1, 2 * RING_FRAMES, size), 2 * RING_FRAMES)

    assert len(kept(ring, 2 * RING_FRAMES)) == number


def test_what_is_dropped_makes_room_again() -> None:
    ring = FrameRing()
    ring.extend(frames(1, 4, LARGE))
    ring.drop(2)
    ring.extend(frames(5, 6, LARGE))
    assert kept(ring, 6) == [3, 4, 5, 6]

    ring.extend(frames(8, 11, LARGE))  # a gap: nothing before it is kept
    assert kept(ring, 11) == [8, 9, 10, 11]
