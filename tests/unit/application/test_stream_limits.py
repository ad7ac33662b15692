"""The limits of streams, by the limit of open files."""

import pytest

from tallystick.application.stream_hub import StreamLimits


@pytest.mark.parametrize(
    ("open_files", "streams"), [(256, 192), (13_333, 9_999), (13_334, 10_000), (1_000_000, 10_000)]
)
def test_a_quarter_of_the_open_files_is_kept_for_all_else(open_files: int, streams: int) -> None:
    assert StreamLimits.within(open_files).of_a_process == streams
